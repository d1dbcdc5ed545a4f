//! What a person said of discovered endpoints: written at once, beside a proxy that may be running.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::LedgerError;
use crate::open::{self, classify};
use crate::store::int;

/// The running proxy holds the lock for some milliseconds a second; an import may hold it longer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Adds `said` to what was told before and takes `taken_back` out of it; nothing else is touched. Patterns are in the
/// syntax of routes.yaml; the caller bounds them.
///
/// # Errors
/// The ledger cannot be written; it is as it was.
pub fn remember_told(
    path: &Path,
    said: &[String],
    taken_back: &[String],
    now_unix_ms: u64,
) -> Result<(), LedgerError> {
    let path = crate::writer::canonical(path);
    let mut connection = open::beside(&path)?;
    let failed = |source| classify(&path, source);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    change(&transaction, said, taken_back, int(now_unix_ms)).map_err(failed)?;
    transaction.commit().map_err(failed)
}

fn change(
    connection: &Connection,
    said: &[String],
    taken_back: &[String],
    now_ms: i64,
) -> rusqlite::Result<()> {
    for pattern in taken_back {
        connection.execute("DELETE FROM told WHERE pattern = ?1", [pattern])?;
    }
    for pattern in said {
        connection.execute("INSERT OR IGNORE INTO told VALUES (?1, ?2)", params![pattern, now_ms])?;
    }
    Ok(())
}
