-- SPDX-License-Identifier: Apache-2.0
-- The same recipe under different plugin builds: did the results change?
SELECT pipeline, label, recipe, count(DISTINCT variant) AS builds, min(top1) AS top1_min,
    max(top1) AS top1_max, max(top1) - min(top1) AS top1_range,
    max(size_bytes) - min(size_bytes) AS size_range
FROM variants_all
GROUP BY recipe
HAVING count(DISTINCT variant) > 1
ORDER BY top1_range DESC;
