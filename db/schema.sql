-- SPDX-License-Identifier: Apache-2.0
-- The tables of a Pare database, version 1; the later versions' changes are the migrations in
-- store_open.c. People query the views (views.sql). Times are UTC text, booleans 0 or 1, missing is NULL, hashes are 64 hex digits.

CREATE TABLE meta(
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE host(
    host_id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,           -- what makes the machine itself
    name TEXT NOT NULL UNIQUE,
    cpu TEXT, isa TEXT, kernel TEXT,
    cores INTEGER, memory_bytes INTEGER,
    facts TEXT NOT NULL DEFAULT '{}' CHECK(json_valid(facts))
) STRICT;

-- A set of samples: the key is the hash of their content.
CREATE TABLE data(
    data_id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    n INTEGER NOT NULL CHECK(n >= 0)
) STRICT;
CREATE TABLE target(
    data_id INTEGER NOT NULL REFERENCES data ON DELETE CASCADE,
    sample INTEGER NOT NULL,
    target INTEGER NOT NULL,
    PRIMARY KEY(data_id, sample)
) STRICT, WITHOUT ROWID;

CREATE TABLE pipeline(
    pipeline_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    path TEXT,
    source TEXT NOT NULL,               -- the YAML as it was
    plan TEXT NOT NULL DEFAULT '{}' CHECK(json_valid(plan)),
    seed INTEGER,
    data_id INTEGER REFERENCES data,    -- what the variants are compared on
    confirm_id INTEGER REFERENCES data, -- held back for the chosen ones
    created_at TEXT NOT NULL,
    planned_at TEXT NOT NULL
) STRICT;
CREATE TABLE objective(
    pipeline_id INTEGER NOT NULL REFERENCES pipeline ON DELETE CASCADE,
    position INTEGER NOT NULL,
    metric TEXT NOT NULL,
    direction TEXT NOT NULL CHECK(direction IN ('min', 'max')),
    tolerance REAL NOT NULL DEFAULT 0 CHECK(tolerance >= 0),
    relative INTEGER NOT NULL DEFAULT 0 CHECK(relative IN (0, 1)),
    PRIMARY KEY(pipeline_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE bound(
    pipeline_id INTEGER NOT NULL REFERENCES pipeline ON DELETE CASCADE,
    position INTEGER NOT NULL,
    source TEXT NOT NULL,               -- as in the YAML: top1 >= baseline - 0.01
    PRIMARY KEY(pipeline_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE shape(
    pipeline_id INTEGER NOT NULL REFERENCES pipeline ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    definition TEXT NOT NULL CHECK(json_valid(definition)),
    PRIMARY KEY(pipeline_id, position),
    UNIQUE(pipeline_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE plugin(
    plugin_id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,        -- of the shared object
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    path TEXT
) STRICT;

-- What was or is to be built: by build key. Prefixes of other variants are rows as well.
CREATE TABLE variant(
    variant_id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,          -- build key
    recipe TEXT NOT NULL,
    model TEXT NOT NULL,
    label TEXT NOT NULL,
    parent_id INTEGER REFERENCES variant(variant_id), -- without the last step
    chain TEXT NOT NULL,                -- hash of model and steps, to find neighbours
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX variant_recipe ON variant(recipe);
CREATE INDEX variant_chain ON variant(chain);
CREATE INDEX variant_parent ON variant(parent_id);
CREATE TABLE step(
    variant_id INTEGER NOT NULL REFERENCES variant ON DELETE CASCADE,
    position INTEGER NOT NULL,
    stage TEXT NOT NULL,
    plugin_id INTEGER NOT NULL REFERENCES plugin,
    params TEXT NOT NULL CHECK(json_valid(params)),
    units TEXT CHECK(units IS NULL OR json_valid(units)), -- on, except, propagate
    without TEXT NOT NULL,              -- chain of the variant that lacks this step
    PRIMARY KEY(variant_id, position),
    UNIQUE(variant_id, stage)
) STRICT, WITHOUT ROWID;
CREATE INDEX step_plugin ON step(plugin_id);
CREATE INDEX step_without ON step(without);
CREATE TABLE param(
    variant_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    value ANY,
    PRIMARY KEY(variant_id, position, name),
    FOREIGN KEY(variant_id, position) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX param_name ON param(name, value);

CREATE TABLE member(
    pipeline_id INTEGER NOT NULL REFERENCES pipeline ON DELETE CASCADE,
    variant_id INTEGER NOT NULL REFERENCES variant,
    label TEXT NOT NULL,
    position INTEGER NOT NULL,
    is_baseline INTEGER NOT NULL DEFAULT 0 CHECK(is_baseline IN (0, 1)),
    is_current INTEGER NOT NULL DEFAULT 1 CHECK(is_current IN (0, 1)),
    skipped TEXT,                       -- why it is impossible
    PRIMARY KEY(pipeline_id, variant_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX member_label ON member(label, pipeline_id) WHERE is_current;
CREATE UNIQUE INDEX member_baseline ON member(pipeline_id) WHERE is_baseline AND is_current;
CREATE INDEX member_variant ON member(variant_id);

CREATE TABLE attempt(
    attempt_id INTEGER PRIMARY KEY,
    variant_id INTEGER NOT NULL REFERENCES variant,
    phase TEXT NOT NULL CHECK(phase IN ('build', 'eval', 'latency')),
    data_id INTEGER REFERENCES data,
    host_id INTEGER NOT NULL REFERENCES host,
    boot TEXT NOT NULL, pid INTEGER NOT NULL, pid_start INTEGER NOT NULL,
    isa TEXT,
    state TEXT NOT NULL CHECK(state IN ('running', 'ok', 'failed', 'blocked', 'stopped', 'lost')),
    cause TEXT CHECK(cause IN ('refused', 'crash', 'stall', 'memory', 'numbers', 'other')),
    reason TEXT, signal INTEGER, exit_code INTEGER,
    stage TEXT, plugin TEXT, log TEXT,
    cpu_seconds REAL, peak_rss_bytes INTEGER,
    forgiven INTEGER NOT NULL DEFAULT 0 CHECK(forgiven IN (0, 1)), -- --retry: counts no more
    started_at TEXT NOT NULL, finished_at TEXT,
    CHECK((state = 'running') = (finished_at IS NULL)),
    CHECK((state = 'failed') = (cause IS NOT NULL))
) STRICT;
CREATE INDEX attempt_variant ON attempt(variant_id, phase, attempt_id);
CREATE UNIQUE INDEX attempt_running ON attempt(variant_id, phase) WHERE state = 'running';

CREATE TABLE measurement(
    measurement_id INTEGER PRIMARY KEY,
    variant_id INTEGER NOT NULL REFERENCES variant,
    metric TEXT NOT NULL,
    data_id INTEGER REFERENCES data,    -- NULL: does not depend on data
    attempt_id INTEGER REFERENCES attempt,
    value REAL, unit TEXT NOT NULL, n INTEGER, lo REAL, hi REAL,
    how TEXT NOT NULL,
    measured_at TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX measurement_key ON measurement(variant_id, metric, coalesce(data_id, 0));
CREATE INDEX measurement_metric ON measurement(metric, value);

-- One row per sample and variant, keyed by integers: about 10 bytes each for classes.
CREATE TABLE outcome(
    outcome_id INTEGER PRIMARY KEY,
    variant_id INTEGER NOT NULL REFERENCES variant,
    data_id INTEGER NOT NULL REFERENCES data,
    UNIQUE(variant_id, data_id)
) STRICT;
CREATE TABLE outcome_sample(
    outcome_id INTEGER NOT NULL REFERENCES outcome ON DELETE CASCADE,
    sample INTEGER NOT NULL,
    predicted INTEGER,
    nll REAL,
    PRIMARY KEY(outcome_id, sample)
) STRICT, WITHOUT ROWID;
-- Paired comparison of a variant with its baseline and with the variants that lack one stage.
CREATE TABLE accuracy_pair(
    variant_id INTEGER NOT NULL REFERENCES variant,
    rival_id INTEGER NOT NULL REFERENCES variant,
    data_id INTEGER NOT NULL REFERENCES data,
    n INTEGER NOT NULL, gain INTEGER NOT NULL, loss INTEGER NOT NULL,
    d REAL, lo REAL, hi REAL,
    PRIMARY KEY(variant_id, rival_id, data_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX accuracy_pair_rival ON accuracy_pair(rival_id, data_id);

CREATE TABLE unit_value(
    variant_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    unit TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT,
    value ANY,
    score REAL,
    bytes_before INTEGER, bytes_after INTEGER,
    macs_before INTEGER, macs_after INTEGER,
    PRIMARY KEY(variant_id, position, unit, name),
    FOREIGN KEY(variant_id, position) REFERENCES step ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE session(
    session_id INTEGER PRIMARY KEY,
    pipeline_id INTEGER NOT NULL REFERENCES pipeline,
    host_id INTEGER NOT NULL REFERENCES host,
    shape TEXT NOT NULL,
    definition TEXT NOT NULL CHECK(json_valid(definition)),
    program TEXT NOT NULL,              -- build of Pare
    isa TEXT,
    seed INTEGER,
    facts TEXT NOT NULL DEFAULT '{}' CHECK(json_valid(facts)),
    started_at TEXT NOT NULL, finished_at TEXT
) STRICT;
CREATE INDEX session_place ON session(pipeline_id, host_id, shape);
CREATE TABLE visit(
    session_id INTEGER NOT NULL REFERENCES session ON DELETE CASCADE,
    round INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    variant_id INTEGER NOT NULL REFERENCES variant,
    n INTEGER NOT NULL CHECK(n > 0),
    min_ns INTEGER NOT NULL, p50_ns REAL NOT NULL, p90_ns INTEGER, max_ns INTEGER NOT NULL,
    nivcsw INTEGER, steal_ticks INTEGER, load1 REAL, mhz REAL,
    disturbed INTEGER NOT NULL DEFAULT 0 CHECK(disturbed IN (0, 1)),
    ns BLOB NOT NULL,                   -- uint32, little endian, every timed inference
    PRIMARY KEY(session_id, round, slot)
) STRICT;
CREATE INDEX visit_variant ON visit(session_id, variant_id, round);
-- Computed from the visits at every commit of a round; can be computed again at any time.
CREATE TABLE latency(
    session_id INTEGER NOT NULL REFERENCES session ON DELETE CASCADE,
    variant_id INTEGER NOT NULL REFERENCES variant,
    rounds INTEGER NOT NULL, disturbed INTEGER NOT NULL, n INTEGER NOT NULL,
    p50_ns REAL, lo_ns REAL, hi_ns REAL,
    min_ns INTEGER, p90_ns REAL, p99_ns REAL,
    noisy INTEGER NOT NULL CHECK(noisy IN (0, 1)),
    PRIMARY KEY(session_id, variant_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX latency_variant ON latency(variant_id);
CREATE TABLE latency_pair(
    session_id INTEGER NOT NULL REFERENCES session ON DELETE CASCADE,
    variant_id INTEGER NOT NULL REFERENCES variant,
    rival_id INTEGER NOT NULL REFERENCES variant,
    rounds INTEGER NOT NULL,
    speedup REAL, lo REAL, hi REAL,     -- rival over variant
    PRIMARY KEY(session_id, variant_id, rival_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX latency_pair_variant ON latency_pair(variant_id, rival_id);

CREATE TABLE artifact(
    sha256 TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL CHECK(bytes >= 0),
    format TEXT NOT NULL,
    path TEXT NOT NULL,                 -- relative to the folder of the database, or absolute
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE variant_artifact(
    variant_id INTEGER NOT NULL REFERENCES variant,
    sha256 TEXT NOT NULL REFERENCES artifact ON DELETE CASCADE,
    PRIMARY KEY(variant_id, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX variant_artifact_hash ON variant_artifact(sha256);

CREATE TABLE front_result(
    front_id INTEGER PRIMARY KEY,
    pipeline_id INTEGER NOT NULL REFERENCES pipeline ON DELETE CASCADE,
    host_id INTEGER REFERENCES host,
    shape TEXT,
    rule TEXT NOT NULL CHECK(json_valid(rule)),
    seed INTEGER NOT NULL,
    data_hash TEXT NOT NULL,            -- of every figure that went in
    made_at TEXT NOT NULL
) STRICT;
CREATE INDEX front_place ON front_result(pipeline_id, host_id, shape);
CREATE TABLE front_member(
    front_id INTEGER NOT NULL REFERENCES front_result ON DELETE CASCADE,
    variant_id INTEGER NOT NULL REFERENCES variant,
    status TEXT NOT NULL
        CHECK(status IN ('sure', 'front', 'maybe', 'out', 'infeasible', 'unmeasured')),
    p_front REAL, p_feasible REAL,
    rank INTEGER, knee REAL,
    folded_id INTEGER REFERENCES variant(variant_id),
    rival_id INTEGER REFERENCES variant(variant_id),
    why TEXT,
    PRIMARY KEY(front_id, variant_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE tag(
    tag TEXT PRIMARY KEY,
    variant_id INTEGER NOT NULL REFERENCES variant,
    at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_variant ON tag(variant_id);
CREATE TABLE note(
    note_id INTEGER PRIMARY KEY,
    variant_id INTEGER REFERENCES variant,
    body TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;
CREATE INDEX note_variant ON note(variant_id);
