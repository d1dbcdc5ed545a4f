//! The tables, and how an older file becomes a current one.
//!
//! Invariant: a file that is not ours is never changed, and a file of a newer version is refused.

use rusqlite::{Connection, TransactionBehavior};

/// "strv": tells our files from other SQLite databases.
const APPLICATION_ID: i32 = 0x7374_7276;

/// One script per version; a file at version n needs those from n on. Never change one that was released.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/latency.sql"),
    include_str!("schema/imports.sql"),
    include_str!("schema/callers.sql"),
    include_str!("schema/discovery.sql"),
    include_str!("schema/monthly.sql"),
    include_str!("schema/log_monthly.sql"),
];

pub(crate) const VERSION: u32 = MIGRATIONS.len() as u32;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A database without any table: newly created.
    Empty,
    Ours {
        version: u32,
    },
    Foreign,
}

pub(crate) fn state(connection: &Connection) -> rusqlite::Result<State> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match application {
        APPLICATION_ID => State::Ours { version },
        0 if tables == 0 && version == 0 => State::Empty,
        _ => State::Foreign,
    })
}

/// Brings an empty or older file to [`VERSION`], all in one transaction.
pub(crate) fn migrate(connection: &mut Connection, from: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for script in &MIGRATIONS[(from as usize).min(MIGRATIONS.len())..] {
        transaction.execute_batch(script)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
