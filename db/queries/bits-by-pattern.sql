-- SPDX-License-Identifier: Apache-2.0
-- The effect of the bits of quantize at a fixed sparsity pattern of prune.
SELECT pattern, bits, count(*) AS variants, avg(d_top1) AS d_top1, avg(speedup) AS speedup,
    avg(size_ratio) AS size_ratio
FROM (
    SELECT v.variant, v.d_top1, v.speedup, v.size_ratio,
        max(CASE WHEN p.plugin = 'prune' AND p.name = 'pattern' THEN p.value END) AS pattern,
        max(CASE WHEN p.plugin = 'quantize' AND p.name = 'bits' THEN p.value END) AS bits
    FROM variants v LEFT JOIN params p USING(pipeline, variant)
    GROUP BY v.pipeline, v.variant, v.host, v.shape
)
GROUP BY pattern, bits
ORDER BY pattern, bits;
