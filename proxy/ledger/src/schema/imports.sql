-- What was imported: endpoints that the monolith is known to have, and calls from access logs.

CREATE TABLE inventory_sources (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    format      TEXT NOT NULL,
    file        TEXT NOT NULL,
    imported_ms INTEGER NOT NULL
) STRICT;

-- also: further spellings of the same endpoint, one a line. line: in the file; 0 is not known.
CREATE TABLE inventory (
    source  INTEGER NOT NULL,
    place   INTEGER NOT NULL,
    pattern TEXT NOT NULL,
    also    TEXT NOT NULL,
    line    INTEGER NOT NULL,
    PRIMARY KEY (source, place)
) STRICT, WITHOUT ROWID;

-- weak: a log that may lack lines, so that silence in it means little.
CREATE TABLE log_sources (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    weak INTEGER NOT NULL
) STRICT;

-- Which bytes of which files are in, so that nothing is counted twice. The hashes are of the first head_bytes and
-- of as many in front of byte number bytes, of the text as it was before any compression.
CREATE TABLE log_files (
    id          INTEGER PRIMARY KEY,
    source      INTEGER NOT NULL,
    name        TEXT NOT NULL,
    head_bytes  INTEGER NOT NULL,
    head_hash   TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    tail_hash   TEXT NOT NULL,
    lines       INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    bad         INTEGER NOT NULL,
    first_ms    INTEGER NOT NULL,
    last_ms     INTEGER NOT NULL,
    imported_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX log_files_of_source ON log_files (source, head_hash);

-- The stretches of time of which a source has lines.
CREATE TABLE log_spans (
    source   INTEGER NOT NULL,
    from_ms  INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (source, from_ms, until_ms)
) STRICT, WITHOUT ROWID;

-- As calls_hourly, calls_daily and calls_total, per source. Sources may tell of the same calls, so they are never
-- added up.
CREATE TABLE log_hourly (
    hour        INTEGER NOT NULL,
    source      INTEGER NOT NULL,
    endpoint    INTEGER NOT NULL,
    method      TEXT NOT NULL,
    class       INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    bytes_out   INTEGER NOT NULL,
    PRIMARY KEY (hour, source, endpoint, method, class)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_daily (
    day         INTEGER NOT NULL,
    source      INTEGER NOT NULL,
    endpoint    INTEGER NOT NULL,
    method      TEXT NOT NULL,
    class       INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    bytes_out   INTEGER NOT NULL,
    PRIMARY KEY (day, source, endpoint, method, class)
) STRICT, WITHOUT ROWID;

CREATE TABLE log_total (
    source      INTEGER NOT NULL,
    endpoint    INTEGER NOT NULL,
    method      TEXT NOT NULL,
    class       INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    bytes_out   INTEGER NOT NULL,
    first_ms    INTEGER NOT NULL,
    last_ms     INTEGER NOT NULL,
    PRIMARY KEY (source, endpoint, method, class)
) STRICT, WITHOUT ROWID;

-- inventory: grows with every import of one, so that a running proxy notices.
INSERT INTO marks VALUES ('inventory', 0);

CREATE VIEW imported_endpoints AS
SELECT s.name AS source, i.pattern, i.line, datetime(s.imported_ms / 1000, 'unixepoch') AS imported
FROM inventory i JOIN inventory_sources s ON s.id = i.source;

CREATE VIEW imported_calls AS
SELECT s.name AS source,
       CASE e.kind WHEN 0 THEN 'route' ELSE 'discovered' END AS kind,
       e.name,
       t.method,
       t.class || 'xx' AS class,
       t.calls,
       datetime(t.first_ms / 1000, 'unixepoch') AS first_call,
       datetime(t.last_ms / 1000, 'unixepoch') AS last_call
FROM log_total t JOIN log_sources s ON s.id = t.source JOIN endpoints e ON e.id = t.endpoint;
