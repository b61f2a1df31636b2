-- SPDX-License-Identifier: Apache-2.0
-- Drift of the baseline over the sessions of a host and shape.
SELECT pipeline, host, shape, session, latency_ms, latency_ms_lo, latency_ms_hi,
    latency_ms / first_value(latency_ms) OVER (PARTITION BY pipeline, host, shape ORDER BY session)
        - 1 AS change, disturbed, program, started_at
FROM latencies
WHERE label = 'baseline'
ORDER BY pipeline, host, shape, session;
