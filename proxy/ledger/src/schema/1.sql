-- Configured routes (kind 0) and discovered endpoints (kind 1), numbered once.
CREATE TABLE endpoints (
    id   INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (kind, name)
) STRICT;

-- side: 0 nobody, 1 legacy, 2 function. class: 0 no answer, 1 to 5 the status class.
-- hour and day count from 1970-01-01T00:00Z.
CREATE TABLE calls_hourly (
    hour        INTEGER NOT NULL,
    endpoint    INTEGER NOT NULL,
    side        INTEGER NOT NULL,
    method      TEXT NOT NULL,
    class       INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    bytes_out   INTEGER NOT NULL,
    PRIMARY KEY (hour, endpoint, side, method, class)
) STRICT, WITHOUT ROWID;

CREATE TABLE calls_daily (
    day         INTEGER NOT NULL,
    endpoint    INTEGER NOT NULL,
    side        INTEGER NOT NULL,
    method      TEXT NOT NULL,
    class       INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    bytes_out   INTEGER NOT NULL,
    PRIMARY KEY (day, endpoint, side, method, class)
) STRICT, WITHOUT ROWID;

-- Since the ledger exists; outlives the buckets.
CREATE TABLE calls_total (
    endpoint    INTEGER NOT NULL,
    side        INTEGER NOT NULL,
    method      TEXT NOT NULL,
    class       INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    bytes_out   INTEGER NOT NULL,
    first_ms    INTEGER NOT NULL,
    last_ms     INTEGER NOT NULL,
    PRIMARY KEY (endpoint, side, method, class)
) STRICT, WITHOUT ROWID;

CREATE TABLE comparisons_hourly (
    hour     INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    verdict  TEXT NOT NULL,
    n        INTEGER NOT NULL,
    PRIMARY KEY (hour, endpoint, verdict)
) STRICT, WITHOUT ROWID;

-- Places at which the two answers of a route differed.
CREATE TABLE fields (
    id       INTEGER PRIMARY KEY,
    endpoint INTEGER NOT NULL,
    path     TEXT NOT NULL,
    kind     TEXT NOT NULL,
    UNIQUE (endpoint, path, kind)
) STRICT;

CREATE TABLE fields_hourly (
    hour  INTEGER NOT NULL,
    field INTEGER NOT NULL,
    n     INTEGER NOT NULL,
    PRIMARY KEY (hour, field)
) STRICT, WITHOUT ROWID;

CREATE TABLE samples (
    id          INTEGER PRIMARY KEY,
    endpoint    INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    method      TEXT NOT NULL,
    target      TEXT NOT NULL,
    verdict     TEXT NOT NULL,
    differences TEXT NOT NULL
) STRICT;
CREATE INDEX samples_of_endpoint ON samples (endpoint, id);

CREATE TABLE events (
    id         INTEGER PRIMARY KEY,
    at_ms      INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    route      TEXT,
    from_value TEXT,
    to_value   TEXT,
    text       TEXT NOT NULL
) STRICT;

-- When counting was on. clean: the proxy said goodbye; 0 means that it runs, or was killed.
CREATE TABLE runs (
    id         INTEGER PRIMARY KEY,
    started_ms INTEGER NOT NULL,
    seen_ms    INTEGER NOT NULL,
    clean      INTEGER NOT NULL
) STRICT;

-- applied_batch: the number of the last batch; makes a batch whose commit failed halfway apply once.
-- retained_ms: when old rows were last removed.
CREATE TABLE marks (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO marks VALUES ('applied_batch', 0), ('retained_ms', 0);

-- For people with the sqlite3 shell.
CREATE VIEW total_calls AS
SELECT CASE e.kind WHEN 0 THEN 'route' ELSE 'discovered' END AS kind,
       e.name,
       CASE t.side WHEN 0 THEN 'nobody' WHEN 1 THEN 'legacy' ELSE 'function' END AS side,
       t.method,
       CASE t.class WHEN 0 THEN 'no answer' ELSE t.class || 'xx' END AS class,
       t.calls,
       round(t.duration_us / 1000.0 / max(t.calls, 1), 1) AS mean_ms,
       datetime(t.first_ms / 1000, 'unixepoch') AS first_call,
       datetime(t.last_ms / 1000, 'unixepoch') AS last_call
FROM calls_total t JOIN endpoints e ON e.id = t.endpoint;

CREATE VIEW hourly_calls AS
SELECT datetime(h.hour * 3600, 'unixepoch') AS hour,
       e.name,
       CASE h.side WHEN 0 THEN 'nobody' WHEN 1 THEN 'legacy' ELSE 'function' END AS side,
       h.method,
       CASE h.class WHEN 0 THEN 'no answer' ELSE h.class || 'xx' END AS class,
       h.calls
FROM calls_hourly h JOIN endpoints e ON e.id = h.endpoint;

CREATE VIEW observed AS
SELECT datetime(started_ms / 1000, 'unixepoch') AS started,
       datetime(seen_ms / 1000, 'unixepoch') AS seen_until,
       (seen_ms - started_ms) / 1000 AS seconds,
       CASE clean WHEN 0 THEN 'running or killed' ELSE 'stopped' END AS ended
FROM runs;
