-- SPDX-License-Identifier: Apache-2.0
-- The smallest variant within one point of top-1 that is not slower, per pipeline (:pipeline, or all).
SELECT pipeline, host, shape, label, min(size_bytes) AS size_bytes, size_ratio, d_top1, d_top1_lo,
    speedup, speedup_lo
FROM variants
WHERE d_top1_lo >= -0.01 AND speedup_lo >= 1 AND (:pipeline IS NULL OR pipeline = :pipeline)
GROUP BY pipeline, host, shape;
