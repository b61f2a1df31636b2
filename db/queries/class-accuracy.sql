-- SPDX-License-Identifier: Apache-2.0
-- Change of each class's accuracy against the baseline, for a variant (:label).
SELECT pipeline, data, target, count(*) AS n, avg(b.correct) AS baseline, avg(v.correct) AS variant,
    avg(v.correct) - avg(b.correct) AS change
FROM samples v JOIN samples b USING(pipeline, data, sample, target)
WHERE v.label = :label AND b.label = 'baseline'
GROUP BY pipeline, data, target
ORDER BY pipeline, data, change;
