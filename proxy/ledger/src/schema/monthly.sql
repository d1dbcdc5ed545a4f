-- The same as the daily tables by spans of 32 days from 1970-01-01 on, so that a report on a year reads a tenth of the rows.
CREATE TABLE calls_monthly (
    month       INTEGER NOT NULL,
    endpoint    INTEGER NOT NULL,
    side        INTEGER NOT NULL,
    method      TEXT NOT NULL,
    class       INTEGER NOT NULL,
    calls       INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    bytes_out   INTEGER NOT NULL,
    bytes_in    INTEGER NOT NULL,
    apart       INTEGER NOT NULL,
    PRIMARY KEY (month, endpoint, side, method, class)
) STRICT, WITHOUT ROWID;
INSERT INTO calls_monthly
SELECT day / 32, endpoint, side, method, class, sum(calls), sum(duration_us), sum(bytes_out), sum(bytes_in), sum(apart)
FROM calls_daily GROUP BY 1, 2, 3, 4, 5;

CREATE TABLE latency_monthly (
    month INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    side INTEGER NOT NULL,
    b0 INTEGER NOT NULL, b1 INTEGER NOT NULL, b2 INTEGER NOT NULL, b3 INTEGER NOT NULL, b4 INTEGER NOT NULL, b5 INTEGER NOT NULL, b6 INTEGER NOT NULL, b7 INTEGER NOT NULL, b8 INTEGER NOT NULL, b9 INTEGER NOT NULL, b10 INTEGER NOT NULL,
    b11 INTEGER NOT NULL, b12 INTEGER NOT NULL, b13 INTEGER NOT NULL, b14 INTEGER NOT NULL, b15 INTEGER NOT NULL, b16 INTEGER NOT NULL, b17 INTEGER NOT NULL, b18 INTEGER NOT NULL, b19 INTEGER NOT NULL, b20 INTEGER NOT NULL, b21 INTEGER NOT NULL,
    b22 INTEGER NOT NULL, b23 INTEGER NOT NULL, b24 INTEGER NOT NULL, b25 INTEGER NOT NULL, b26 INTEGER NOT NULL, b27 INTEGER NOT NULL, b28 INTEGER NOT NULL, b29 INTEGER NOT NULL, b30 INTEGER NOT NULL, b31 INTEGER NOT NULL, b32 INTEGER NOT NULL,
    PRIMARY KEY (month, endpoint, side)
) STRICT, WITHOUT ROWID;
INSERT INTO latency_monthly
SELECT day / 32, endpoint, side,
    sum(b0), sum(b1), sum(b2), sum(b3), sum(b4), sum(b5), sum(b6), sum(b7), sum(b8), sum(b9), sum(b10),
    sum(b11), sum(b12), sum(b13), sum(b14), sum(b15), sum(b16), sum(b17), sum(b18), sum(b19), sum(b20), sum(b21),
    sum(b22), sum(b23), sum(b24), sum(b25), sum(b26), sum(b27), sum(b28), sum(b29), sum(b30), sum(b31), sum(b32)
FROM latency_daily GROUP BY 1, 2, 3;

CREATE TABLE apart_monthly (
    month    INTEGER NOT NULL,
    endpoint INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    calls    INTEGER NOT NULL,
    PRIMARY KEY (month, endpoint, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO apart_monthly
SELECT day / 32, endpoint, kind, sum(calls) FROM apart_daily GROUP BY 1, 2, 3;
