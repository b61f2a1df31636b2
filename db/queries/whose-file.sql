-- SPDX-License-Identifier: Apache-2.0
-- Which variant does a file belong to, by the beginning of its SHA-256 (:hash).
SELECT a.sha256, a.format, a.bytes, a.path, a.label, v.pipeline, v.label AS label_in_pipeline,
    a.variant, v.top1, v.latency_ms, v.size_bytes
FROM artifacts a LEFT JOIN variants v USING(variant)
WHERE a.sha256 LIKE :hash || '%';
