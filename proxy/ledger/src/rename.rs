//! Endpoints that turned out to be one: their rows are added up.
//!
//! Invariant: every sum over all endpoints is the same afterwards, in each hour, day, month, source, side and class.

mod many;

use std::sync::LazyLock;

use rusqlite::{Connection, params};

use crate::batch::HOUR_MS;
use crate::spans::MONTH_DAYS;
use crate::store::int;

pub(crate) use many::logs_at_once;

/// A table of calls by time. Its key begins with the time, then the source or nothing, then the endpoint: it is searched
/// time by time, since a search from a time on would visit the rows of all endpoints.
struct Buckets {
    table: &'static str,
    /// `hour`, `day` or `month`.
    time: &'static str,
    hours: u64,
    /// What stands in the key between time and endpoint, and where its values are found.
    front: Option<(&'static str, &'static str)>,
    /// The rest of the key beside endpoint and method.
    behind: &'static [&'static str],
    sums: &'static [&'static str],
}

const CALLS_SUMS: &[&str] = &["calls", "duration_us", "bytes_out", "bytes_in", "apart"];
const LOG_SUMS: &[&str] = &["calls", "duration_us", "bytes_out", "apart"];
const SOURCES: Option<(&str, &str)> = Some(("source", "log_sources"));

static CALLS: LazyLock<[Statements; 3]> = LazyLock::new(|| CALLS_BUCKETS.map(|buckets| buckets.statements()));
static LOGS: LazyLock<[Statements; 3]> = LazyLock::new(|| LOG_BUCKETS.map(|buckets| buckets.statements()));

const CALLS_BUCKETS: [Buckets; 3] = [
    Buckets {
        table: "calls_hourly",
        time: "hour",
        hours: 1,
        front: None,
        behind: &["side", "class"],
        sums: CALLS_SUMS,
    },
    Buckets {
        table: "calls_daily",
        time: "day",
        hours: 24,
        front: None,
        behind: &["side", "class"],
        sums: CALLS_SUMS,
    },
    Buckets {
        table: "calls_monthly",
        time: "month",
        hours: 24 * MONTH_DAYS,
        front: None,
        behind: &["side", "class"],
        sums: CALLS_SUMS,
    },
];
const LOG_BUCKETS: [Buckets; 3] = [
    Buckets {
        table: "log_hourly",
        time: "hour",
        hours: 1,
        front: SOURCES,
        behind: &["class"],
        sums: LOG_SUMS,
    },
    Buckets {
        table: "log_daily",
        time: "day",
        hours: 24,
        front: SOURCES,
        behind: &["class"],
        sums: LOG_SUMS,
    },
    Buckets {
        table: "log_monthly",
        time: "month",
        hours: 24 * MONTH_DAYS,
        front: SOURCES,
        behind: &["class"],
        sums: LOG_SUMS,
    },
];

/// An endpoint by its number, and a method.
type Named<'a> = (i64, &'a str);

/// Moves all calls of one endpoint and method to another endpoint and method.
pub(crate) fn calls(connection: &Connection, old: Named<'_>, new: Named<'_>) -> rusqlite::Result<()> {
    if old == new {
        return Ok(());
    }
    let span = "SELECT min(first_ms), max(last_ms) FROM calls_total WHERE endpoint = ?1 AND method = ?2";
    let Some(span) = span_of(connection, span, old)? else { return Ok(()) };
    for statements in &*CALLS {
        statements.rename(connection, old, new, span)?;
    }
    connection
        .prepare_cached(
            "INSERT INTO calls_total (endpoint, side, method, class, calls, duration_us, bytes_out, first_ms, last_ms,
                 bytes_in, apart, regular_ms)
             SELECT ?1, side, ?2, class, calls, duration_us, bytes_out, first_ms, last_ms, bytes_in, apart, regular_ms
                 FROM calls_total WHERE endpoint = ?3 AND method = ?4
             ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
                 duration_us = duration_us + excluded.duration_us, bytes_out = bytes_out + excluded.bytes_out,
                 first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms),
                 bytes_in = bytes_in + excluded.bytes_in, apart = apart + excluded.apart,
                 regular_ms = max(regular_ms, excluded.regular_ms)",
        )?
        .execute(params![new.0, new.1, old.0, old.1])?;
    connection
        .prepare_cached("DELETE FROM calls_total WHERE endpoint = ?1 AND method = ?2")?
        .execute(params![old.0, old.1])
        .map(drop)
}

/// The same for the calls of imported access logs, source by source: the key of their tables begins with it, and without
/// it every rename would read all of them.
pub(crate) fn logs(connection: &Connection, old: Named<'_>, new: Named<'_>) -> rusqlite::Result<()> {
    if old == new {
        return Ok(());
    }
    let span =
        "SELECT min(t.first_ms), max(t.last_ms) FROM log_sources s CROSS JOIN log_total t ON t.source = s.id
                WHERE t.endpoint = ?1 AND t.method = ?2";
    let Some(span) = span_of(connection, span, old)? else { return Ok(()) };
    for statements in &*LOGS {
        statements.rename(connection, old, new, span)?;
    }
    connection
        .prepare_cached(
            "INSERT INTO log_total (source, endpoint, method, class, calls, duration_us, bytes_out, first_ms, last_ms,
                 apart, regular_ms)
             SELECT source, ?1, ?2, class, calls, duration_us, bytes_out, first_ms, last_ms, apart, regular_ms
                 FROM log_total WHERE source IN (SELECT id FROM log_sources) AND endpoint = ?3 AND method = ?4
             ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
                 duration_us = duration_us + excluded.duration_us, bytes_out = bytes_out + excluded.bytes_out,
                 first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms),
                 apart = apart + excluded.apart, regular_ms = max(regular_ms, excluded.regular_ms)",
        )?
        .execute(params![new.0, new.1, old.0, old.1])?;
    connection
        .prepare_cached(
            "DELETE FROM log_total WHERE source IN (SELECT id FROM log_sources) AND endpoint = ?1 AND method = ?2",
        )?
        .execute(params![old.0, old.1])
        .map(drop)
}

/// Gives up the name of an endpoint without any call, so that another one has its place. Returns whether it did.
pub(crate) fn forget_if_empty(connection: &Connection, endpoint: i64) -> rusqlite::Result<bool> {
    let forgotten = connection
        .prepare_cached(
            "DELETE FROM endpoints WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM calls_total WHERE endpoint = ?1)
                 AND NOT EXISTS (SELECT 1 FROM log_sources s CROSS JOIN log_total t ON t.source = s.id
                     WHERE t.endpoint = ?1)",
        )?
        .execute([endpoint])?;
    Ok(forgotten > 0)
}

/// When the first and the last call came; `None` where there are none.
fn span_of(connection: &Connection, sql: &str, of: Named<'_>) -> rusqlite::Result<Option<(i64, i64)>> {
    let read = |row: &rusqlite::Row<'_>| Ok(Option::zip(row.get(0)?, row.get(1)?));
    connection.prepare_cached(sql)?.query_row(params![of.0, of.1], read)
}

/// What moves the rows of one table.
struct Statements {
    hours: u64,
    add: String,
    remove: String,
}

impl Statements {
    fn rename(
        &self,
        connection: &Connection,
        old: Named<'_>,
        new: Named<'_>,
        (first_ms, last_ms): (i64, i64),
    ) -> rusqlite::Result<()> {
        let bucket_ms = int(HOUR_MS * self.hours);
        let (since, until) = (first_ms / bucket_ms, last_ms / bucket_ms);
        connection.prepare_cached(&self.add)?.execute(params![new.0, new.1, old.0, old.1, since, until])?;
        connection.prepare_cached(&self.remove)?.execute(params![old.0, old.1, since, until]).map(drop)
    }
}

impl Buckets {
    fn statements(&self) -> Statements {
        Statements { hours: self.hours, add: self.add(), remove: self.remove() }
    }

    fn add(&self) -> String {
        let Self { table, time, front, behind, sums, .. } = self;
        let front_column = front.map_or_else(String::new, |(column, _)| format!("{column}, "));
        let (behind, sums) = (behind.join(", "), sums.join(", "));
        let more: Vec<_> = self.sums.iter().map(|sum| format!("{sum} = {sum} + excluded.{sum}")).collect();
        format!(
            "WITH RECURSIVE {spans}
             INSERT INTO {table} ({time}, {front_column}endpoint, method, {behind}, {sums})
             SELECT {time}, {front_column}?1, ?2, {behind}, {sums} FROM {found} WHERE c.endpoint = ?3 AND c.method = ?4
             ON CONFLICT DO UPDATE SET {more}",
            spans = self.spans("?5", "?6"),
            found = self.found(),
            more = more.join(", "),
        )
    }

    fn remove(&self) -> String {
        let Self { table, time, front, behind, .. } = self;
        let front = front.map_or_else(String::new, |(column, _)| format!("{column}, "));
        let key = format!("{time}, {front}endpoint, method, {}", behind.join(", "));
        format!(
            "WITH RECURSIVE {spans}
             DELETE FROM {table} WHERE ({key}) IN
                 (SELECT {key} FROM {found} WHERE c.endpoint = ?1 AND c.method = ?2)",
            spans = self.spans("?3", "?4"),
            found = self.found(),
        )
    }

    /// The times of which there are rows, each found by one search.
    fn spans(&self, since: &str, until: &str) -> String {
        let Self { table, time, .. } = self;
        format!(
            "spans(at) AS (
                 SELECT (SELECT min({time}) FROM {table} WHERE {time} >= {since})
                 UNION ALL
                 SELECT (SELECT min({time}) FROM {table} WHERE {time} > at) FROM spans WHERE at < {until})"
        )
    }

    fn found(&self) -> String {
        let Self { table, time, .. } = self;
        match self.front {
            None => format!("spans CROSS JOIN {table} c ON c.{time} = spans.at"),
            Some((column, of)) => format!(
                "spans CROSS JOIN {of} f CROSS JOIN {table} c ON c.{time} = spans.at AND c.{column} = f.id"
            ),
        }
    }
}
