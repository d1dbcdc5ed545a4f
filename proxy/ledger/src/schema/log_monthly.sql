-- As calls_monthly, for the calls of imported logs.
CREATE TABLE log_monthly (
    month       INTEGER NOT NULL,
    source      INTEGER NOT NULL,
    endpoint    INTEGER NOT NULL,
    method      TEXT NOT NULL,
    class       INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    bytes_out   INTEGER NOT NULL,
    apart       INTEGER NOT NULL,
    PRIMARY KEY (month, source, endpoint, method, class)
) STRICT, WITHOUT ROWID;
INSERT INTO log_monthly
SELECT day / 32, source, endpoint, method, class, sum(calls), sum(duration_us), sum(bytes_out), sum(apart)
FROM log_daily GROUP BY 1, 2, 3, 4, 5;
