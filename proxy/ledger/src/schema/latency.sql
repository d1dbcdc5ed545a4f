-- Bytes of requests; calls of health checks, bots and scanners; and when a call came last that was none of those.
ALTER TABLE calls_hourly ADD COLUMN bytes_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls_hourly ADD COLUMN apart INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls_daily ADD COLUMN bytes_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls_daily ADD COLUMN apart INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls_total ADD COLUMN bytes_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls_total ADD COLUMN apart INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls_total ADD COLUMN regular_ms INTEGER NOT NULL DEFAULT 0;
UPDATE calls_total SET regular_ms = last_ms;

-- How many calls took how long: b0 up to 0.1 ms, then up to 0.15, 0.25, 0.35, 0.5, 0.75, 1 ms and so on, six to a
-- decade up to 10 s; b31 up to 30 s, b32 above.
CREATE TABLE latency_hourly (
    hour INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    side INTEGER NOT NULL,
    b0 INTEGER NOT NULL, b1 INTEGER NOT NULL, b2 INTEGER NOT NULL, b3 INTEGER NOT NULL, b4 INTEGER NOT NULL, b5 INTEGER NOT NULL, b6 INTEGER NOT NULL, b7 INTEGER NOT NULL, b8 INTEGER NOT NULL, b9 INTEGER NOT NULL, b10 INTEGER NOT NULL,
    b11 INTEGER NOT NULL, b12 INTEGER NOT NULL, b13 INTEGER NOT NULL, b14 INTEGER NOT NULL, b15 INTEGER NOT NULL, b16 INTEGER NOT NULL, b17 INTEGER NOT NULL, b18 INTEGER NOT NULL, b19 INTEGER NOT NULL, b20 INTEGER NOT NULL, b21 INTEGER NOT NULL,
    b22 INTEGER NOT NULL, b23 INTEGER NOT NULL, b24 INTEGER NOT NULL, b25 INTEGER NOT NULL, b26 INTEGER NOT NULL, b27 INTEGER NOT NULL, b28 INTEGER NOT NULL, b29 INTEGER NOT NULL, b30 INTEGER NOT NULL, b31 INTEGER NOT NULL, b32 INTEGER NOT NULL,
    PRIMARY KEY (hour, endpoint, side)
) STRICT, WITHOUT ROWID;

CREATE TABLE latency_daily (
    day INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    side INTEGER NOT NULL,
    b0 INTEGER NOT NULL, b1 INTEGER NOT NULL, b2 INTEGER NOT NULL, b3 INTEGER NOT NULL, b4 INTEGER NOT NULL, b5 INTEGER NOT NULL, b6 INTEGER NOT NULL, b7 INTEGER NOT NULL, b8 INTEGER NOT NULL, b9 INTEGER NOT NULL, b10 INTEGER NOT NULL,
    b11 INTEGER NOT NULL, b12 INTEGER NOT NULL, b13 INTEGER NOT NULL, b14 INTEGER NOT NULL, b15 INTEGER NOT NULL, b16 INTEGER NOT NULL, b17 INTEGER NOT NULL, b18 INTEGER NOT NULL, b19 INTEGER NOT NULL, b20 INTEGER NOT NULL, b21 INTEGER NOT NULL,
    b22 INTEGER NOT NULL, b23 INTEGER NOT NULL, b24 INTEGER NOT NULL, b25 INTEGER NOT NULL, b26 INTEGER NOT NULL, b27 INTEGER NOT NULL, b28 INTEGER NOT NULL, b29 INTEGER NOT NULL, b30 INTEGER NOT NULL, b31 INTEGER NOT NULL, b32 INTEGER NOT NULL,
    PRIMARY KEY (day, endpoint, side)
) STRICT, WITHOUT ROWID;

-- The same calls as `apart`, by the kind of client: health-check, bot, scanner.
CREATE TABLE apart_hourly (
    hour     INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    calls    INTEGER NOT NULL,
    PRIMARY KEY (hour, endpoint, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE apart_daily (
    day      INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    calls    INTEGER NOT NULL,
    PRIMARY KEY (day, endpoint, kind)
) STRICT, WITHOUT ROWID;

-- How far the migration was: calls and time per side on a day, and the routes at its end. -1: not noted.
CREATE TABLE progress_daily (
    day         INTEGER PRIMARY KEY,
    legacy      INTEGER NOT NULL,
    function    INTEGER NOT NULL,
    nobody      INTEGER NOT NULL,
    legacy_us   INTEGER NOT NULL,
    function_us INTEGER NOT NULL,
    routes      INTEGER NOT NULL DEFAULT -1,
    routes_on_legacy INTEGER NOT NULL DEFAULT -1
) STRICT;
INSERT INTO progress_daily (day, legacy, function, nobody, legacy_us, function_us)
SELECT c.day,
       sum(CASE c.side WHEN 1 THEN c.calls ELSE 0 END), sum(CASE c.side WHEN 2 THEN c.calls ELSE 0 END),
       sum(CASE c.side WHEN 0 THEN c.calls ELSE 0 END),
       sum(CASE c.side WHEN 1 THEN c.duration_us ELSE 0 END), sum(CASE c.side WHEN 2 THEN c.duration_us ELSE 0 END)
FROM calls_daily c JOIN endpoints e ON e.id = c.endpoint WHERE e.kind = 0 GROUP BY c.day;

CREATE VIEW progress AS
SELECT date(day * 86400, 'unixepoch') AS day, legacy, function, nobody,
       round(100.0 * legacy / max(legacy + function, 1), 1) AS legacy_percent,
       nullif(routes_on_legacy, -1) AS routes_on_legacy, nullif(routes, -1) AS routes
FROM progress_daily ORDER BY day;
