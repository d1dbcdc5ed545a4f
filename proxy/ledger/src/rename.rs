//! Endpoints that turned out to be one: their rows are added up.
//!
//! Invariant: every sum over all endpoints is the same afterwards, in each hour, day, side and class.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::batch::HOUR_MS;
use crate::store::int;

/// Moves all calls of one endpoint and method to another endpoint and method.
pub(crate) fn calls(
    connection: &Connection,
    (old, old_method): (i64, &str),
    (new, new_method): (i64, &str),
) -> rusqlite::Result<()> {
    if (old, old_method) == (new, new_method) {
        return Ok(());
    }
    // The buckets are ordered by time: with the first call the search is as short as the endpoint is young.
    let first_ms: Option<i64> = connection
        .prepare_cached("SELECT min(first_ms) FROM calls_total WHERE endpoint = ?1 AND method = ?2")?
        .query_row(params![old, old_method], |row| row.get(0))
        .optional()?
        .flatten();
    let Some(first_ms) = first_ms else { return Ok(()) };
    let hour_ms = int(HOUR_MS);
    for (table, column, since) in
        [("calls_hourly", "hour", first_ms / hour_ms), ("calls_daily", "day", first_ms / hour_ms / 24)]
    {
        let add = format!(
            "INSERT INTO {table} ({column}, endpoint, side, method, class, calls, duration_us, bytes_out, bytes_in, apart)
             SELECT {column}, ?1, side, ?2, class, calls, duration_us, bytes_out, bytes_in, apart FROM {table}
                 WHERE {column} >= ?5 AND endpoint = ?3 AND method = ?4
             ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
                 duration_us = duration_us + excluded.duration_us, bytes_out = bytes_out + excluded.bytes_out,
                 bytes_in = bytes_in + excluded.bytes_in, apart = apart + excluded.apart"
        );
        connection.prepare_cached(&add)?.execute(params![new, new_method, old, old_method, since])?;
        let remove = format!("DELETE FROM {table} WHERE {column} >= ?3 AND endpoint = ?1 AND method = ?2");
        connection.prepare_cached(&remove)?.execute(params![old, old_method, since])?;
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
        .execute(params![new, new_method, old, old_method])?;
    connection
        .prepare_cached("DELETE FROM calls_total WHERE endpoint = ?1 AND method = ?2")?
        .execute(params![old, old_method])
        .map(drop)
}

/// The same for the calls of imported access logs, source by source.
pub(crate) fn logs(
    connection: &Connection,
    (old, old_method): (i64, &str),
    (new, new_method): (i64, &str),
) -> rusqlite::Result<()> {
    if (old, old_method) == (new, new_method) {
        return Ok(());
    }
    let first_ms: Option<i64> = connection
        .prepare_cached(
            "SELECT min(t.first_ms) FROM log_sources s JOIN log_total t ON t.source = s.id
             WHERE t.endpoint = ?1 AND t.method = ?2",
        )?
        .query_row(params![old, old_method], |row| row.get(0))?;
    let Some(first_ms) = first_ms else { return Ok(()) };
    let hour_ms = int(HOUR_MS);
    for (table, column, since) in
        [("log_hourly", "hour", first_ms / hour_ms), ("log_daily", "day", first_ms / hour_ms / 24)]
    {
        let add = format!(
            "INSERT INTO {table} ({column}, source, endpoint, method, class, calls, duration_us, bytes_out, apart)
             SELECT {column}, source, ?1, ?2, class, calls, duration_us, bytes_out, apart FROM {table}
                 WHERE {column} >= ?5 AND endpoint = ?3 AND method = ?4
             ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
                 duration_us = duration_us + excluded.duration_us, bytes_out = bytes_out + excluded.bytes_out,
                 apart = apart + excluded.apart"
        );
        connection.prepare_cached(&add)?.execute(params![new, new_method, old, old_method, since])?;
        let remove = format!("DELETE FROM {table} WHERE {column} >= ?3 AND endpoint = ?1 AND method = ?2");
        connection.prepare_cached(&remove)?.execute(params![old, old_method, since])?;
    }
    connection
        .prepare_cached(
            "INSERT INTO log_total (source, endpoint, method, class, calls, duration_us, bytes_out, first_ms, last_ms,
                 apart, regular_ms)
             SELECT source, ?1, ?2, class, calls, duration_us, bytes_out, first_ms, last_ms, apart, regular_ms
                 FROM log_total WHERE endpoint = ?3 AND method = ?4
             ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
                 duration_us = duration_us + excluded.duration_us, bytes_out = bytes_out + excluded.bytes_out,
                 first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms),
                 apart = apart + excluded.apart, regular_ms = max(regular_ms, excluded.regular_ms)",
        )?
        .execute(params![new, new_method, old, old_method])?;
    connection
        .prepare_cached("DELETE FROM log_total WHERE endpoint = ?1 AND method = ?2")?
        .execute(params![old, old_method])
        .map(drop)
}
