-- What a person said of discovered endpoints: patterns in the syntax of routes.yaml.
CREATE TABLE told (
    pattern TEXT PRIMARY KEY,
    at_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Of imported calls, those of health checks, bots and scanners; and when a call came last that was none of those.
ALTER TABLE log_hourly ADD COLUMN apart INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_daily ADD COLUMN apart INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_total ADD COLUMN apart INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_total ADD COLUMN regular_ms INTEGER NOT NULL DEFAULT 0;
UPDATE log_total SET regular_ms = last_ms;

-- endpoints: kind 2 are operations of routes (GraphQL, JSON-RPC), named ROUTE#OPERATION. Their calls are those of
-- their route once more, and stand in no sum beside it.
DROP VIEW total_calls;
CREATE VIEW total_calls AS
SELECT CASE e.kind WHEN 0 THEN 'route' WHEN 1 THEN 'discovered' ELSE 'operation' END AS kind,
       e.name,
       CASE t.side WHEN 0 THEN 'nobody' WHEN 1 THEN 'legacy' ELSE 'function' END AS side,
       t.method,
       CASE t.class WHEN 0 THEN 'no answer' ELSE t.class || 'xx' END AS class,
       t.calls,
       round(t.duration_us / 1000.0 / max(t.calls, 1), 1) AS mean_ms,
       datetime(t.first_ms / 1000, 'unixepoch') AS first_call,
       datetime(t.last_ms / 1000, 'unixepoch') AS last_call
FROM calls_total t JOIN endpoints e ON e.id = t.endpoint;
