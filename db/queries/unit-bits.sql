-- SPDX-License-Identifier: Apache-2.0
-- Bits and score of each unit of a variant (:label).
SELECT pipeline, stage, unit, role, value AS bits, score, bytes_before, bytes_after
FROM unit_values
WHERE label = :label AND name = 'bits'
ORDER BY pipeline, stage, unit;
