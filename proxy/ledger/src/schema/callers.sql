-- Who calls. kind: 0 client id, 1 family of user agents, 2 referer, 3 source network. id: a keyed hash, or the network itself.
CREATE TABLE callers (
    kind INTEGER NOT NULL,
    id   INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- The most frequent callers of a route on a day: it called at least `calls` times, at most `error + floor` more.
CREATE TABLE callers_daily (
    day      INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    id       INTEGER NOT NULL,
    calls    INTEGER NOT NULL,
    error    INTEGER NOT NULL,
    PRIMARY KEY (day, endpoint, kind, id)
) STRICT, WITHOUT ROWID;

-- All callers of a route on a day: their calls, how many of them may belong to one that is in no row above, and the
-- different ones (8 bytes each, or 4096 registers of HyperLogLog).
CREATE TABLE callers_sums (
    day       INTEGER NOT NULL,
    endpoint  INTEGER NOT NULL,
    kind      INTEGER NOT NULL,
    calls     INTEGER NOT NULL,
    floor     INTEGER NOT NULL,
    different BLOB NOT NULL,
    PRIMARY KEY (day, endpoint, kind)
) STRICT, WITHOUT ROWID;

CREATE VIEW top_callers AS
SELECT date(d.day * 86400, 'unixepoch') AS day, e.name AS route,
       CASE d.kind WHEN 0 THEN 'client' WHEN 1 THEN 'agent' WHEN 2 THEN 'referer' ELSE 'network' END AS kind,
       c.name AS caller, d.calls, d.error
FROM callers_daily d JOIN endpoints e ON e.id = d.endpoint JOIN callers c ON c.kind = d.kind AND c.id = d.id;
