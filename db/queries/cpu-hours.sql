-- SPDX-License-Identifier: Apache-2.0
-- CPU hours by host and phase.
SELECT host, phase, count(*) AS attempts, sum(cpu_seconds) / 3600 AS cpu_hours,
    sum(wall_seconds) / 3600 AS wall_hours
FROM attempts
GROUP BY host, phase
ORDER BY host, phase;
