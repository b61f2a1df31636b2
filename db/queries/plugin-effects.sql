-- SPDX-License-Identifier: Apache-2.0
-- Which plugin helps, and by how much: mean effect of each over the variants that use it.
SELECT plugin, count(*) AS variants, avg(speedup) AS speedup, avg(size_ratio) AS size_ratio,
    avg(d_top1) AS d_top1, sum(speedup_lo > 1) AS faster, sum(speedup_hi < 1) AS slower
FROM stage_effects
GROUP BY plugin
ORDER BY speedup DESC;
