//! Many renames at once in the calls of imported logs: one pass over each table.
//!
//! Name by name, each costs a search in every hour of its span: 16,384 file names that are one endpoint took three
//! quarters of the import of a million lines.

use std::collections::HashMap;

use rusqlite::{Connection, params};

/// A name by the number of its endpoint, and a method.
type Name = (i64, String);

const SUMS: &str = "calls, duration_us, bytes_out, apart";
const ADD: &str = "calls = calls + excluded.calls, duration_us = duration_us + excluded.duration_us,
    bytes_out = bytes_out + excluded.bytes_out, apart = apart + excluded.apart";

/// A table's name, what its key has in front of the endpoint, what it has beside [`SUMS`], and how that is added up.
const TABLES: [(&str, &str, &str, &str); 4] = [
    ("log_hourly", "hour, source", "", ""),
    ("log_daily", "day, source", "", ""),
    ("log_monthly", "month, source", "", ""),
    (
        "log_total",
        "source",
        ", first_ms, last_ms, regular_ms",
        ", first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms),
           regular_ms = max(regular_ms, excluded.regular_ms)",
    ),
];

/// Does what [`super::logs`] does with one rename after the other.
pub(crate) fn logs_at_once(connection: &Connection, renames: &[(Name, Name)]) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TEMP TABLE renamed (old INTEGER, was TEXT, new INTEGER, method TEXT, PRIMARY KEY (old, was))
             WITHOUT ROWID",
    )?;
    let mut note = connection.prepare("INSERT INTO temp.renamed VALUES (?1, ?2, ?3, ?4)")?;
    for (old, new) in in_the_end(renames) {
        note.execute(params![old.0, old.1, new.0, new.1])?;
    }
    for (table, front, more, add_more) in TABLES {
        // First out, then in: a name may be left by some calls and taken by others.
        connection.execute_batch(&format!(
            "CREATE TEMP TABLE moved AS
                 SELECT {front}, r.new AS endpoint, r.method AS method, class, {SUMS}{more}
                     FROM {table} c CROSS JOIN temp.renamed r ON r.old = c.endpoint AND r.was = c.method;
             DELETE FROM {table} WHERE (endpoint, method) IN (SELECT old, was FROM temp.renamed);
             INSERT INTO {table} ({front}, endpoint, method, class, {SUMS}{more})
                 SELECT {front}, endpoint, method, class, {SUMS}{more} FROM temp.moved WHERE true
                 ON CONFLICT DO UPDATE SET {ADD}{add_more};
             DROP TABLE temp.moved"
        ))?;
    }
    drop(note);
    connection.execute_batch("DROP TABLE temp.renamed")
}

/// Where the calls of each name are after all renames, one after the other: a name may be renamed to one that is renamed
/// later.
fn in_the_end(renames: &[(Name, Name)]) -> HashMap<&Name, &Name> {
    let mut ends: HashMap<&Name, &Name> = HashMap::new();
    for (old, new) in renames.iter().rev() {
        let end = ends.get(new).copied().unwrap_or(new);
        ends.insert(old, end);
    }
    ends
}
