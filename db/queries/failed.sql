-- SPDX-License-Identifier: Apache-2.0
-- What failed, why, and its log.
SELECT pipeline, label, phase, stage, plugin, cause, reason, signal, exit_code, log
FROM failures
ORDER BY attempt;
