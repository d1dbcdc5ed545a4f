//! What a person said of discovered endpoints: written at once, beside a proxy that may be running.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::LedgerError;
use crate::open::{self, classify};
use crate::store::int;

/// The running proxy holds the lock for some milliseconds a second; an import may hold it longer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Replaces all that was told before. `patterns` are in the syntax of routes.yaml; the caller bounds them.
///
/// # Errors
/// The ledger cannot be written; it is as it was.
pub fn remember_told(path: &Path, patterns: &[String], now_unix_ms: u64) -> Result<(), LedgerError> {
    let path = crate::writer::canonical(path);
    let mut connection = open::beside(&path)?;
    let failed = |source| classify(&path, source);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    replace(&transaction, patterns, int(now_unix_ms)).map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn replace(connection: &Connection, patterns: &[String], now_ms: i64) -> rusqlite::Result<()> {
    let before: Vec<String> = connection
        .prepare("SELECT pattern FROM told")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for gone in before.iter().filter(|pattern| !patterns.contains(pattern)) {
        connection.execute("DELETE FROM told WHERE pattern = ?1", [gone])?;
    }
    for pattern in patterns {
        connection.execute("INSERT OR IGNORE INTO told VALUES (?1, ?2)", params![pattern, now_ms])?;
    }
    Ok(())
}
