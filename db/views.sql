-- SPDX-License-Identifier: Apache-2.0
-- What people query; every column is described in db/README.md. Built-in SQL only, no maths functions.
-- Before SQLite has gathered statistics it may walk through all members of a pipeline where it could look
-- one up: CROSS JOIN and + keep it from that.
-- Names that begin with an underscore are pieces of the others and may change.

-- Pairs that are compared sample by sample and round by round: each variant with its baseline, and with
-- the variant of the same pipeline that lacks exactly one of its stages. Members of several pipelines
-- may come more than once: a UNION would not let conditions reach the indexes. The + keeps the planner
-- from walking through all members of a pipeline, whichever of the two is asked for.
CREATE VIEW _pair AS
SELECT m.variant_id, b.variant_id AS rival_id
FROM member m JOIN member b ON b.pipeline_id = m.pipeline_id AND b.is_baseline AND b.is_current
WHERE m.variant_id <> b.variant_id
UNION ALL
SELECT m.variant_id, w.variant_id
FROM member m JOIN step s ON s.variant_id = m.variant_id
    JOIN variant v ON v.chain = s.without
    JOIN member w ON +w.pipeline_id = +m.pipeline_id AND w.variant_id = v.variant_id
WHERE NOT (w.is_baseline AND w.is_current);

-- Few attempts are anything but ok, and only they put a variant into another state than its figures tell.
CREATE INDEX IF NOT EXISTS attempt_not_ok ON attempt(variant_id, phase) WHERE state <> 'ok';

-- Attempts that tell a member's state: the newest of each phase, where it is not ok. An evaluation on other
-- samples than the pipeline's does not count, nor does timing that was cut: what it lacks is pending.
CREATE VIEW _trouble AS
SELECT p.pipeline_id, a.variant_id, a.state, a.reason,
    CASE a.state WHEN 'running' THEN 1 WHEN 'failed' THEN 2 WHEN 'blocked' THEN 3 WHEN 'stopped' THEN 4
        ELSE 5 END AS urgency
FROM pipeline p JOIN attempt a INDEXED BY attempt_not_ok
WHERE a.state <> 'ok' AND (a.data_id IS NULL OR a.data_id IS p.data_id)
    AND NOT (a.phase = 'latency' AND a.state IN ('stopped', 'lost'))
    AND NOT EXISTS (SELECT 1 FROM attempt later WHERE later.variant_id = a.variant_id
        AND later.phase = a.phase AND later.attempt_id > a.attempt_id
        AND (later.data_id IS NULL OR later.data_id IS p.data_id)
        AND NOT (later.phase = 'latency' AND later.state IN ('stopped', 'lost')));

CREATE VIEW _state AS
SELECT m.pipeline_id, m.variant_id,
    CASE WHEN m.skipped IS NOT NULL THEN 'skipped'
        ELSE coalesce((SELECT w.state FROM _trouble w WHERE w.variant_id = m.variant_id
                AND w.pipeline_id = m.pipeline_id ORDER BY w.urgency LIMIT 1),
            CASE WHEN EXISTS (SELECT 1 FROM measurement x WHERE x.variant_id = m.variant_id
                AND x.data_id IS p.data_id) THEN 'ok' ELSE 'planned' END) END AS state,
    coalesce(m.skipped, (SELECT w.reason FROM _trouble w WHERE w.variant_id = m.variant_id
        AND w.pipeline_id = m.pipeline_id ORDER BY w.urgency LIMIT 1)) AS reason
FROM member m JOIN pipeline p ON p.pipeline_id = m.pipeline_id;

-- The session of a pipeline, host and shape that all latencies are expressed in: of those that hold the
-- current baseline, the one with most rounds of current variants; of equals the newest.
CREATE VIEW _reference AS
SELECT pipeline_id, host_id, shape, session_id, baseline_id, max(weight) AS weight
FROM (
    SELECT s.pipeline_id, s.host_id, s.shape, s.session_id, b.variant_id AS baseline_id,
        sum(l.rounds) + s.session_id * 1e-9 AS weight
    FROM session s
        LEFT JOIN shape h ON h.pipeline_id = s.pipeline_id AND h.name = s.shape
        JOIN member b ON b.pipeline_id = s.pipeline_id AND b.is_baseline AND b.is_current
        JOIN latency lb ON lb.session_id = s.session_id AND lb.variant_id = b.variant_id
        JOIN latency l ON l.session_id = s.session_id
        CROSS JOIN member m ON m.pipeline_id = s.pipeline_id AND m.variant_id = l.variant_id
            AND m.is_current
    WHERE h.definition IS NULL OR h.definition = s.definition
    GROUP BY s.session_id
)
GROUP BY pipeline_id, host_id, shape;

CREATE VIEW _front AS
SELECT f.front_id, f.pipeline_id, f.host_id, f.shape
FROM front_result f
WHERE f.front_id = (SELECT max(x.front_id) FROM front_result x WHERE x.pipeline_id = f.pipeline_id
    AND x.host_id IS f.host_id AND x.shape IS f.shape);

CREATE VIEW variants_all AS
SELECT p.name AS pipeline, m.label, v.hash AS variant, v.recipe, v.model, m.is_baseline,
    st.state, st.reason,
    coalesce((SELECT json_group_object(s.stage, json(s.params)) FROM step s
        WHERE s.variant_id = m.variant_id), '{}') AS params,
    acc.value AS top1, acc.lo AS top1_lo, acc.hi AS top1_hi,
    CASE WHEN m.is_baseline THEN 0.0 * acc.value ELSE ap.d END AS d_top1,
    CASE WHEN m.is_baseline THEN 0.0 * acc.value ELSE ap.lo END AS d_top1_lo,
    CASE WHEN m.is_baseline THEN 0.0 * acc.value ELSE ap.hi END AS d_top1_hi,
    ppl.value AS perplexity, bppl.value / ppl.value AS perplexity_ratio,
    h.name AS host, lat.session_id AS session, r.shape,
    CASE WHEN lat.session_id = r.session_id THEN lat.p50_ns ELSE ref.p50_ns / lp.speedup END / 1e6
        AS latency_ms,
    CASE WHEN lat.session_id = r.session_id THEN lat.lo_ns ELSE ref.p50_ns / lp.hi END / 1e6
        AS latency_ms_lo,
    CASE WHEN lat.session_id = r.session_id THEN lat.hi_ns ELSE ref.p50_ns / lp.lo END / 1e6
        AS latency_ms_hi,
    lat.session_id = r.session_id AS direct,
    CASE WHEN lat.variant_id = r.baseline_id THEN 1.0 ELSE lp.speedup END AS speedup,
    CASE WHEN lat.variant_id = r.baseline_id THEN 1.0 ELSE lp.lo END AS speedup_lo,
    CASE WHEN lat.variant_id = r.baseline_id THEN 1.0 ELSE lp.hi END AS speedup_hi,
    lat.noisy,
    CAST(size.value AS INTEGER) AS size_bytes, bsize.value / size.value AS size_ratio,
    CAST(macs.value AS INTEGER) AS macs, bmacs.value / macs.value AS macs_ratio,
    CAST(pars.value AS INTEGER) AS parameters, CAST(rss.value AS INTEGER) AS peak_rss_bytes,
    fm.status, fm.p_front, fm.p_feasible,
    (SELECT max(a.finished_at) FROM attempt a WHERE a.variant_id = m.variant_id) AS finished_at,
    ppl.lo AS perplexity_lo, ppl.hi AS perplexity_hi,
    CASE WHEN m.is_baseline THEN 0.0 * ppl.value ELSE nl.d END AS d_nll,
    CASE WHEN m.is_baseline THEN 0.0 * ppl.value ELSE nl.lo END AS d_nll_lo,
    CASE WHEN m.is_baseline THEN 0.0 * ppl.value ELSE nl.hi END AS d_nll_hi,
    kl.value AS kl, agr.value AS agreement,
    an.value AS acc_norm, an.lo AS acc_norm_lo, an.hi AS acc_norm_hi,
    rho.value AS spearman, rho.lo AS spearman_lo, rho.hi AS spearman_hi,
    CASE WHEN m.is_baseline THEN 0.0 * rho.value ELSE sp.d END AS d_spearman,
    CASE WHEN m.is_baseline THEN 0.0 * rho.value ELSE sp.lo END AS d_spearman_lo,
    CASE WHEN m.is_baseline THEN 0.0 * rho.value ELSE sp.hi END AS d_spearman_hi,
    m.is_current
FROM member m
    JOIN pipeline p ON p.pipeline_id = m.pipeline_id
    JOIN variant v ON v.variant_id = m.variant_id
    JOIN _state st ON st.pipeline_id = m.pipeline_id AND st.variant_id = m.variant_id
    LEFT JOIN member b ON b.pipeline_id = m.pipeline_id AND b.is_baseline AND b.is_current
    LEFT JOIN measurement acc ON acc.variant_id = m.variant_id AND acc.metric = 'top1'
        AND acc.data_id IS p.data_id
    LEFT JOIN accuracy_pair ap ON ap.variant_id = m.variant_id AND ap.rival_id = b.variant_id
        AND ap.data_id = p.data_id
    LEFT JOIN measurement ppl ON ppl.variant_id = m.variant_id AND ppl.metric = 'perplexity'
        AND ppl.data_id IS p.data_id
    LEFT JOIN loss_pair nl ON nl.variant_id = m.variant_id AND nl.rival_id = b.variant_id
        AND nl.data_id = p.data_id
    LEFT JOIN measurement kl ON kl.variant_id = m.variant_id AND kl.metric = 'kl'
        AND kl.data_id IS p.data_id
    LEFT JOIN measurement agr ON agr.variant_id = m.variant_id AND agr.metric = 'agreement'
        AND agr.data_id IS p.data_id
    LEFT JOIN measurement an ON an.variant_id = m.variant_id AND an.metric = 'acc_norm'
        AND an.data_id IS p.data_id
    LEFT JOIN measurement rho ON rho.variant_id = m.variant_id AND rho.metric = 'spearman'
        AND rho.data_id IS p.data_id
    LEFT JOIN similarity_pair sp ON sp.variant_id = m.variant_id AND sp.rival_id = b.variant_id
        AND sp.data_id = p.data_id
    LEFT JOIN measurement bppl ON bppl.variant_id = b.variant_id AND bppl.metric = 'perplexity'
        AND bppl.data_id IS p.data_id
    LEFT JOIN measurement size ON size.variant_id = m.variant_id AND size.metric = 'size_bytes'
        AND size.data_id IS NULL
    LEFT JOIN measurement bsize ON bsize.variant_id = b.variant_id AND bsize.metric = 'size_bytes'
        AND bsize.data_id IS NULL
    LEFT JOIN measurement macs ON macs.variant_id = m.variant_id AND macs.metric = 'macs'
        AND macs.data_id IS NULL
    LEFT JOIN measurement bmacs ON bmacs.variant_id = b.variant_id AND bmacs.metric = 'macs'
        AND bmacs.data_id IS NULL
    LEFT JOIN measurement pars ON pars.variant_id = m.variant_id AND pars.metric = 'parameters'
        AND pars.data_id IS NULL
    LEFT JOIN measurement rss ON rss.variant_id = m.variant_id AND rss.metric = 'peak_rss_bytes'
        AND rss.data_id IS NULL
    LEFT JOIN _reference r ON r.pipeline_id = m.pipeline_id
    LEFT JOIN session rs ON rs.session_id = r.session_id
    LEFT JOIN host h ON h.host_id = r.host_id
    -- The reference session, else the one with most rounds of it that the baseline was in, too.
    LEFT JOIN latency lat ON lat.variant_id = m.variant_id AND lat.session_id = coalesce(
        (SELECT x.session_id FROM latency x
            WHERE x.session_id = r.session_id AND x.variant_id = m.variant_id),
        (SELECT x.session_id FROM latency x CROSS JOIN session s ON s.session_id = x.session_id
            WHERE x.variant_id = m.variant_id AND s.pipeline_id = r.pipeline_id
                AND s.host_id = r.host_id AND s.shape = r.shape AND s.definition = rs.definition
                AND EXISTS (SELECT 1 FROM latency b WHERE b.session_id = x.session_id
                    AND b.variant_id = r.baseline_id)
            ORDER BY x.rounds DESC, x.session_id DESC LIMIT 1))
    LEFT JOIN latency ref ON ref.session_id = r.session_id AND ref.variant_id = r.baseline_id
    LEFT JOIN latency_pair lp ON lp.session_id = lat.session_id AND lp.variant_id = m.variant_id
        AND lp.rival_id = r.baseline_id
    LEFT JOIN _front f ON f.pipeline_id = m.pipeline_id AND f.host_id IS r.host_id
        AND f.shape IS r.shape
    LEFT JOIN front_member fm ON fm.front_id = f.front_id AND fm.variant_id = m.variant_id;

CREATE VIEW variants AS
SELECT pipeline, label, variant, recipe, model, is_baseline, state, reason, params,
    top1, top1_lo, top1_hi, d_top1, d_top1_lo, d_top1_hi, perplexity, perplexity_ratio,
    host, session, shape, latency_ms, latency_ms_lo, latency_ms_hi, direct,
    speedup, speedup_lo, speedup_hi, noisy, size_bytes, size_ratio, macs, macs_ratio,
    parameters, peak_rss_bytes, status, p_front, p_feasible, finished_at,
    perplexity_lo, perplexity_hi, d_nll, d_nll_lo, d_nll_hi, kl, agreement,
    acc_norm, acc_norm_lo, acc_norm_hi, spearman, spearman_lo, spearman_hi, d_spearman,
    d_spearman_lo, d_spearman_hi
FROM variants_all WHERE is_current;

CREATE VIEW stage_effects AS
SELECT pipeline, label, variant, stage, plugin, params, "without",
    d_top1, d_top1_lo, d_top1_hi, speedup, speedup_lo, speedup_hi, size_ratio, macs_ratio,
    coalesce(nullif(substr(
        CASE WHEN size_ratio > 1 THEN ', smaller' WHEN size_ratio < 1 THEN ', larger' ELSE '' END ||
        CASE WHEN speedup_lo > 1 THEN ', faster' WHEN speedup_hi < 1 THEN ', slower'
            ELSE '' END ||
        CASE WHEN coalesce(d_top1_lo, -d_nll_hi, d_spearman_lo) > 0 THEN ', more accurate'
            WHEN coalesce(d_top1_hi, -d_nll_lo, d_spearman_hi) < 0 THEN ', less accurate'
            ELSE '' END, 3), ''),
        CASE WHEN size_ratio IS NULL AND speedup IS NULL
            AND coalesce(d_top1, d_nll, d_spearman) IS NULL THEN 'unmeasured'
            ELSE 'no clear effect' END) AS verdict,
    d_nll, d_nll_lo, d_nll_hi, d_spearman, d_spearman_lo, d_spearman_hi
FROM (
    SELECT p.name AS pipeline, m.label, v.hash AS variant, s.stage, g.name AS plugin, s.params,
        w.label AS "without", ap.d AS d_top1, ap.lo AS d_top1_lo, ap.hi AS d_top1_hi,
        nl.d AS d_nll, nl.lo AS d_nll_lo, nl.hi AS d_nll_hi,
        sp.d AS d_spearman, sp.lo AS d_spearman_lo, sp.hi AS d_spearman_hi,
        lp.speedup, lp.lo AS speedup_lo, lp.hi AS speedup_hi,
        wsize.value / size.value AS size_ratio, wmacs.value / macs.value AS macs_ratio
    FROM member m
        JOIN pipeline p ON p.pipeline_id = m.pipeline_id
        JOIN variant v ON v.variant_id = m.variant_id
        CROSS JOIN step s ON s.variant_id = m.variant_id
        CROSS JOIN variant wv ON wv.chain = s.without
        CROSS JOIN member w ON w.pipeline_id = m.pipeline_id AND w.variant_id = wv.variant_id
            AND w.is_current
        JOIN plugin g ON g.plugin_id = s.plugin_id
        LEFT JOIN accuracy_pair ap ON ap.variant_id = m.variant_id
            AND ap.rival_id = w.variant_id AND ap.data_id = p.data_id
        LEFT JOIN loss_pair nl ON nl.variant_id = m.variant_id
            AND nl.rival_id = w.variant_id AND nl.data_id = p.data_id
        LEFT JOIN similarity_pair sp ON sp.variant_id = m.variant_id
            AND sp.rival_id = w.variant_id AND sp.data_id = p.data_id
        LEFT JOIN latency_pair lp ON lp.variant_id = m.variant_id AND lp.rival_id = w.variant_id
            AND lp.session_id = (
                SELECT x.session_id FROM latency_pair x JOIN session z USING(session_id)
                    LEFT JOIN shape h ON h.pipeline_id = z.pipeline_id AND h.name = z.shape
                WHERE x.variant_id = m.variant_id AND x.rival_id = w.variant_id
                    AND z.pipeline_id = m.pipeline_id
                ORDER BY coalesce(h.position, 999), x.rounds DESC, x.session_id DESC LIMIT 1)
        LEFT JOIN measurement size ON size.variant_id = m.variant_id
            AND size.metric = 'size_bytes' AND size.data_id IS NULL
        LEFT JOIN measurement wsize ON wsize.variant_id = w.variant_id
            AND wsize.metric = 'size_bytes' AND wsize.data_id IS NULL
        LEFT JOIN measurement macs ON macs.variant_id = m.variant_id
            AND macs.metric = 'macs' AND macs.data_id IS NULL
        LEFT JOIN measurement wmacs ON wmacs.variant_id = w.variant_id
            AND wmacs.metric = 'macs' AND wmacs.data_id IS NULL
    WHERE m.is_current AND m.skipped IS NULL
);

-- A figure belongs to a variant and to samples, whichever pipeline asked for it: each pipeline sees what
-- is on the samples that it names itself.
CREATE VIEW measurements AS
SELECT p.name AS pipeline, m.label, v.hash AS variant, x.metric, x.value, x.unit, x.n, x.lo, x.hi,
    x.how, CASE x.data_id WHEN p.data_id THEN 'evaluate' WHEN p.confirm_id THEN 'confirm' END AS role,
    d.key AS data, d.name AS data_name, x.measured_at
FROM measurement x JOIN member m ON m.variant_id = x.variant_id AND m.is_current
    JOIN pipeline p ON p.pipeline_id = m.pipeline_id
    JOIN variant v ON v.variant_id = x.variant_id
    LEFT JOIN data d ON d.data_id = x.data_id
WHERE (x.data_id IS NULL OR x.data_id IN (p.data_id, p.confirm_id))
    AND (x.metric_key IS NULL OR EXISTS (SELECT 1 FROM metric k WHERE k.pipeline_id = p.pipeline_id
        AND k.key = x.metric_key));

CREATE VIEW metrics AS
SELECT p.name AS pipeline, k.name AS metric, k.unit, k.direction, g.version AS plugin_version,
    g.sha256 AS plugin_sha256, k.settings
FROM metric k JOIN pipeline p ON p.pipeline_id = k.pipeline_id
    JOIN plugin g ON g.plugin_id = k.plugin_id;

CREATE VIEW params AS
SELECT p.name AS pipeline, m.label, v.hash AS variant, s.stage, g.name AS plugin,
    g.version AS plugin_version, g.sha256 AS plugin_sha256, x.name, x.value
FROM member m JOIN pipeline p ON p.pipeline_id = m.pipeline_id
    JOIN variant v ON v.variant_id = m.variant_id
    JOIN step s ON s.variant_id = m.variant_id
    JOIN plugin g ON g.plugin_id = s.plugin_id
    JOIN param x ON x.variant_id = s.variant_id AND x.position = s.position
WHERE m.is_current;

CREATE VIEW unit_values AS
SELECT p.name AS pipeline, m.label, v.hash AS variant, s.stage, u.unit, u.role, u.name, u.value,
    u.score, u.bytes_before, u.bytes_after, u.macs_before, u.macs_after
FROM member m JOIN pipeline p ON p.pipeline_id = m.pipeline_id
    JOIN variant v ON v.variant_id = m.variant_id
    JOIN step s ON s.variant_id = m.variant_id
    JOIN unit_value u ON u.variant_id = s.variant_id AND u.position = s.position
WHERE m.is_current;

CREATE VIEW latencies AS
SELECT p.name AS pipeline, m.label, v.hash AS variant, h.name AS host, l.session_id AS session,
    s.shape, l.p50_ns / 1e6 AS latency_ms, l.lo_ns / 1e6 AS latency_ms_lo,
    l.hi_ns / 1e6 AS latency_ms_hi, l.min_ns / 1e6 AS min_ms, l.p90_ns / 1e6 AS p90_ms,
    l.p99_ns / 1e6 AS p99_ms,
    CASE WHEN m.is_baseline THEN 1.0 ELSE lp.speedup END AS speedup,
    CASE WHEN m.is_baseline THEN 1.0 ELSE lp.lo END AS speedup_lo,
    CASE WHEN m.is_baseline THEN 1.0 ELSE lp.hi END AS speedup_hi,
    l.rounds, l.n, l.disturbed, l.noisy, s.isa, s.program, s.started_at, s.finished_at
FROM latency l JOIN session s ON s.session_id = l.session_id
    JOIN pipeline p ON p.pipeline_id = s.pipeline_id
    JOIN host h ON h.host_id = s.host_id
    JOIN variant v ON v.variant_id = l.variant_id
    JOIN member m ON m.pipeline_id = s.pipeline_id AND m.variant_id = l.variant_id
    LEFT JOIN latency_pair lp ON lp.session_id = l.session_id AND lp.variant_id = l.variant_id
        AND lp.rival_id = (SELECT x.rival_id FROM latency_pair x
            JOIN member b ON b.pipeline_id = s.pipeline_id AND b.variant_id = x.rival_id
                AND b.is_baseline
            WHERE x.session_id = l.session_id AND x.variant_id = l.variant_id
            ORDER BY b.is_current DESC LIMIT 1);

CREATE VIEW rounds AS
SELECT p.name AS pipeline, m.label, v.hash AS variant, h.name AS host, i.session_id AS session,
    s.shape, i.round, i.slot, i.n, i.min_ns, i.p50_ns, i.p90_ns, i.max_ns, i.nivcsw,
    i.steal_ticks, i.load1, i.mhz, i.disturbed, i.ns
FROM visit i JOIN session s ON s.session_id = i.session_id
    JOIN pipeline p ON p.pipeline_id = s.pipeline_id
    JOIN host h ON h.host_id = s.host_id
    JOIN variant v ON v.variant_id = i.variant_id
    JOIN member m ON m.pipeline_id = s.pipeline_id AND m.variant_id = i.variant_id;

CREATE VIEW samples AS
SELECT p.name AS pipeline, v.hash AS variant, m.label,
    CASE o.data_id WHEN p.data_id THEN 'evaluate' ELSE 'confirm' END AS role, d.key AS data, x.sample,
    t.target, x.predicted, x.predicted = t.target AS correct, x.nll
FROM member m JOIN pipeline p ON p.pipeline_id = m.pipeline_id
    JOIN variant v ON v.variant_id = m.variant_id
    JOIN outcome o ON o.variant_id = m.variant_id
    JOIN data d ON d.data_id = o.data_id
    JOIN outcome_sample x ON x.outcome_id = o.outcome_id
    LEFT JOIN target t ON t.data_id = o.data_id AND t.sample = x.sample
WHERE m.is_current AND o.data_id IN (p.data_id, p.confirm_id);

CREATE VIEW similarities AS
SELECT p.name AS pipeline, v.hash AS variant, m.label,
    CASE o.data_id WHEN p.data_id THEN 'evaluate' ELSE 'confirm' END AS role, d.key AS data, x.sample,
    s.score, x.similarity, x.part
FROM member m JOIN pipeline p ON p.pipeline_id = m.pipeline_id
    JOIN variant v ON v.variant_id = m.variant_id
    JOIN outcome o ON o.variant_id = m.variant_id
    JOIN data d ON d.data_id = o.data_id
    JOIN outcome_similarity x ON x.outcome_id = o.outcome_id
    JOIN score s ON s.data_id = o.data_id AND s.sample = x.sample
WHERE m.is_current AND o.data_id IN (p.data_id, p.confirm_id);

CREATE VIEW token_losses AS
SELECT p.name AS pipeline, v.hash AS variant, m.label,
    CASE o.data_id WHEN p.data_id THEN 'evaluate' ELSE 'confirm' END AS role, d.key AS data,
    length(x.ends) / 4 AS windows, length(x.nll) / 4 AS tokens, x.ends, x.nll
FROM member m JOIN pipeline p ON p.pipeline_id = m.pipeline_id
    JOIN variant v ON v.variant_id = m.variant_id
    JOIN outcome o ON o.variant_id = m.variant_id
    JOIN data d ON d.data_id = o.data_id
    JOIN token_loss x ON x.outcome_id = o.outcome_id
WHERE m.is_current AND o.data_id IN (p.data_id, p.confirm_id);

-- Of a variant in several pipelines an attempt is one row still: CPU hours add up.
CREATE VIEW attempts AS
SELECT (SELECT p.name FROM member m JOIN pipeline p ON p.pipeline_id = m.pipeline_id
        WHERE m.variant_id = a.variant_id ORDER BY m.is_current DESC, p.planned_at LIMIT 1)
        AS pipeline,
    coalesce((SELECT m.label FROM member m JOIN pipeline p ON p.pipeline_id = m.pipeline_id
        WHERE m.variant_id = a.variant_id ORDER BY m.is_current DESC, p.planned_at LIMIT 1), v.label)
        AS label,
    v.hash AS variant, a.attempt_id AS attempt, a.phase, a.state, a.cause, a.reason, a.signal,
    a.exit_code, a.stage, a.plugin, h.name AS host, a.isa, a.pid, a.cpu_seconds, a.peak_rss_bytes,
    (julianday(a.finished_at) - julianday(a.started_at)) * 86400.0 AS wall_seconds,
    a.log, a.started_at, a.finished_at
FROM attempt a JOIN variant v ON v.variant_id = a.variant_id
    JOIN host h ON h.host_id = a.host_id;

-- What failed and has not been done since.
CREATE VIEW failures AS
SELECT t.pipeline, t.label, t.variant, t.attempt, t.phase, t.stage, t.plugin, t.state, t.cause,
    t.reason, t.signal, t.exit_code, t.log, t.host, t.started_at, t.finished_at
FROM attempts t JOIN attempt a ON a.attempt_id = t.attempt
WHERE a.state IN ('failed', 'lost')
    AND NOT EXISTS (SELECT 1 FROM attempt later WHERE later.variant_id = a.variant_id
        AND later.phase = a.phase AND later.attempt_id > a.attempt_id);

-- What running again would do.
CREATE VIEW pending AS
SELECT pipeline, label, variant, phase, shape, tries, reason
FROM (
    SELECT p.name AS pipeline, m.label, v.hash AS variant, m.position, q.phase, q.shape,
        (SELECT count(*) FROM attempt a WHERE a.variant_id = m.variant_id AND a.phase = q.phase
            AND a.state = 'failed' AND NOT a.forgiven) AS tries,
        (SELECT count(*) FROM attempt a WHERE a.variant_id = m.variant_id AND a.phase = q.phase
            AND a.cause IN ('refused', 'numbers') AND NOT a.forgiven) AS refusals,
        (SELECT a.reason FROM attempt a WHERE a.variant_id = m.variant_id AND a.phase = q.phase
            ORDER BY a.attempt_id DESC LIMIT 1) AS reason
    FROM member m JOIN pipeline p ON p.pipeline_id = m.pipeline_id
        JOIN variant v ON v.variant_id = m.variant_id
        JOIN (
            SELECT m.pipeline_id, m.variant_id, 'build' AS phase, NULL AS shape FROM member m
            WHERE NOT EXISTS (SELECT 1 FROM attempt a WHERE a.variant_id = m.variant_id
                    AND a.phase = 'build' AND a.state = 'ok')
                AND NOT m.is_baseline
            UNION ALL
            SELECT m.pipeline_id, m.variant_id, 'eval', NULL
            FROM member m JOIN pipeline p ON p.pipeline_id = m.pipeline_id
            WHERE p.data_id IS NOT NULL AND (NOT EXISTS (SELECT 1 FROM measurement x
                WHERE x.variant_id = m.variant_id AND x.data_id = p.data_id)
                OR EXISTS (SELECT 1 FROM metric k WHERE k.pipeline_id = p.pipeline_id
                    AND NOT EXISTS (SELECT 1 FROM measurement x WHERE x.variant_id = m.variant_id
                        AND x.data_id = p.data_id AND x.metric_key = k.key)))
            UNION ALL
            SELECT m.pipeline_id, m.variant_id, 'latency', h.name
            FROM member m JOIN shape h ON h.pipeline_id = m.pipeline_id
            WHERE NOT EXISTS (SELECT 1 FROM latency l
                    CROSS JOIN session s ON s.session_id = l.session_id
                WHERE l.variant_id = m.variant_id AND s.pipeline_id = m.pipeline_id
                    AND s.shape = h.name AND s.definition = h.definition)
        ) q ON q.pipeline_id = m.pipeline_id AND q.variant_id = m.variant_id
    WHERE m.is_current AND m.skipped IS NULL
)
WHERE tries < 3 AND refusals = 0
    AND NOT (phase = 'eval' AND coalesce(reason, '') LIKE 'racing: %') -- what a race stopped stays so
ORDER BY pipeline, position;

-- The one kept last for each place; current: no figure has changed since.
CREATE VIEW fronts AS
SELECT p.name AS pipeline, h.name AS host, f.shape,
    coalesce(f.changes = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'changes'), 0)
        AS current,
    f.summary, f.rule, f.seed, f.data_hash, f.made_at
FROM _front z JOIN front_result f ON f.front_id = z.front_id
    JOIN pipeline p ON p.pipeline_id = f.pipeline_id
    LEFT JOIN host h ON h.host_id = f.host_id;

CREATE VIEW "front" AS
SELECT p.name AS pipeline, h.name AS host, f.shape, m.label, v.hash AS variant, fm.status,
    fm.p_front, fm.p_feasible, fm.rank, fm.knee,
    (SELECT x.label FROM member x WHERE x.pipeline_id = f.pipeline_id
        AND x.variant_id = fm.folded_id) AS folded_under,
    (SELECT x.label FROM member x WHERE x.pipeline_id = f.pipeline_id
        AND x.variant_id = fm.rival_id) AS rival,
    fm.why, f.rule, f.seed, f.data_hash, f.made_at
FROM _front z JOIN front_result f ON f.front_id = z.front_id
    JOIN pipeline p ON p.pipeline_id = f.pipeline_id
    LEFT JOIN host h ON h.host_id = f.host_id
    JOIN front_member fm ON fm.front_id = f.front_id
    JOIN variant v ON v.variant_id = fm.variant_id
    JOIN member m ON m.pipeline_id = f.pipeline_id AND m.variant_id = fm.variant_id;

CREATE VIEW artifacts AS
SELECT a.sha256, v.hash AS variant, v.label, a.bytes, a.format, a.path, a.created_at
FROM artifact a JOIN variant_artifact x ON x.sha256 = a.sha256
    JOIN variant v ON v.variant_id = x.variant_id;

CREATE VIEW tags AS
SELECT t.tag, v.hash AS variant, v.label, t.at
FROM tag t JOIN variant v ON v.variant_id = t.variant_id;

CREATE VIEW notes AS
SELECT n.note_id AS note, v.hash AS variant, v.label, n.body, n.at
FROM note n LEFT JOIN variant v ON v.variant_id = n.variant_id;
