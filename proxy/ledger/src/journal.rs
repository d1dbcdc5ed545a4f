//! What is written down one by one: differing fields, samples and events.
//!
//! Invariant: each table has a bound per route, so that hostile answers cannot fill the disk.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::batch::{Event, FieldDelta, MORE, Sample};
use crate::retention::SAMPLES_KEPT_PER_ROUTE;
use crate::store::int;

/// Distinct differing places per route; what comes after is counted as [`MORE`].
const FIELDS_PER_ROUTE_MAX: i64 = 500;
const DIFFERENCES_BYTES_MAX: usize = 64 * 1024;
/// Longer field paths and request targets are cut: they come from traffic.
const NAME_BYTES_MAX: usize = 1024;

pub(crate) fn add_field(
    connection: &Connection,
    hour: i64,
    endpoint: i64,
    delta: &FieldDelta,
) -> rusqlite::Result<()> {
    let field = field(connection, endpoint, cut(&delta.path), &delta.kind)?;
    connection
        .prepare_cached(
            "INSERT INTO fields_hourly VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET n = n + excluded.n",
        )?
        .execute(params![hour, field, int(delta.n)])
        .map(drop)
}

pub(crate) fn add_sample(connection: &Connection, endpoint: i64, sample: &Sample) -> rusqlite::Result<()> {
    let differences =
        if sample.differences.len() > DIFFERENCES_BYTES_MAX { "[]" } else { &sample.differences };
    connection
        .prepare_cached(
            "INSERT INTO samples (endpoint, at_ms, method, target, verdict, differences)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            endpoint,
            int(sample.at_unix_ms),
            sample.method,
            cut(&sample.target),
            sample.verdict,
            differences
        ])
        .map(drop)
}

pub(crate) fn drop_old_samples(connection: &Connection, endpoint: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM samples WHERE endpoint = ?1 AND id <= (
                 SELECT id FROM samples WHERE endpoint = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )?
        .execute(params![endpoint, SAMPLES_KEPT_PER_ROUTE])
        .map(drop)
}

pub(crate) fn add_event(connection: &Connection, event: &Event) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO events (at_ms, kind, route, from_value, to_value, text)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            int(event.at_unix_ms),
            event.kind.as_str(),
            event.route,
            event.from,
            event.to,
            event.text
        ])
        .map(drop)
}

fn field(connection: &Connection, endpoint: i64, path: &str, kind: &str) -> rusqlite::Result<i64> {
    let known = connection
        .prepare_cached("SELECT id FROM fields WHERE endpoint = ?1 AND path = ?2 AND kind = ?3")?
        .query_row(params![endpoint, path, kind], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM fields WHERE endpoint = ?1")?
        .query_row([endpoint], |row| row.get(0))?;
    if count >= FIELDS_PER_ROUTE_MAX && path != MORE {
        return field(connection, endpoint, MORE, MORE);
    }
    connection
        .prepare_cached("INSERT INTO fields (endpoint, path, kind) VALUES (?1, ?2, ?3)")?
        .execute(params![endpoint, path, kind])?;
    Ok(connection.last_insert_rowid())
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(NAME_BYTES_MAX)]
}
