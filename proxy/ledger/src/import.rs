//! Writing what is imported: inventories and the counts of access logs.
//!
//! An import writes beside the running proxy, by a connection of its own: SQLite's lock lets one of them write at a
//! time, and the proxy's batches wait in memory for as long as a transaction here takes.
//!
//! Invariant: an inventory is replaced whole or not at all; a log file is taken whole or not at all, and together with
//! the mark that says so, so that whatever ends an import, doing it again adds nothing twice.

mod logs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

pub use logs::{KnownFile, LogCount, LogEndpoint, LogFile, LogSource, MethodName};

use crate::LedgerError;
use crate::lock::WriterLock;
use crate::open::{self, classify};
use crate::store::int;

/// The running proxy holds the lock for some milliseconds a second.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// An inventory as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedInventory {
    /// Under which name; what was imported under it before is replaced.
    pub source: String,
    /// Whose output it was, for people.
    pub format: String,
    /// The file's name, for people.
    pub file: String,
    pub at_unix_ms: u64,
    pub endpoints: Vec<ImportedEndpoint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedEndpoint {
    /// In the syntax of routes.yaml.
    pub pattern: String,
    /// Further spellings of the same endpoint.
    pub also: Vec<String>,
    /// In the file, from 1; 0 where that is not known.
    pub line: usize,
}

/// What an import of an inventory changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Replaced {
    /// Endpoints under this name now.
    pub endpoints: usize,
    pub added: usize,
    pub removed: usize,
}

/// The writing end for imports; there is one at a time.
#[derive(Debug)]
pub struct Importer {
    connection: Connection,
    path: PathBuf,
    _lock: WriterLock,
}

impl Importer {
    /// Opens or creates the ledger and brings it up to date, beside a proxy that may be running.
    ///
    /// # Errors
    /// The file cannot be written, another import has it, or it is damaged, of a newer version or no ledger at all.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let path = crate::writer::canonical(path);
        let lock = WriterLock::take_for_import(&path)?;
        let (connection, _) = open::open(&path)?;
        let classified = |source| classify(&path, source);
        connection.busy_timeout(BUSY_TIMEOUT).map_err(classified)?;
        Ok(Self { connection, path, _lock: lock })
    }

    /// Replaces what is known under the inventory's name.
    ///
    /// # Errors
    /// The ledger cannot be written; it is as it was.
    pub fn inventory(&mut self, inventory: &ImportedInventory) -> Result<Replaced, LedgerError> {
        self.transact(|transaction| replace(transaction, inventory))
    }

    /// Forgets an inventory. Returns how many endpoints it had; `None` when there is none of this name.
    ///
    /// # Errors
    /// The ledger cannot be written; it is as it was.
    pub fn remove_inventory(&mut self, source: &str) -> Result<Option<usize>, LedgerError> {
        self.transact(|transaction| {
            let Some(id) = find(transaction, "inventory_sources", source)? else { return Ok(None) };
            let removed = transaction.execute("DELETE FROM inventory WHERE source = ?1", [id])?;
            transaction.execute("DELETE FROM inventory_sources WHERE id = ?1", [id])?;
            grow_mark(transaction)?;
            Ok(Some(removed))
        })
    }

    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        let failed = |source| LedgerError::Import { path: self.path.clone(), source };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(failed)?;
        let done = work(&transaction).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(done)
    }
}

fn replace(transaction: &Transaction<'_>, inventory: &ImportedInventory) -> rusqlite::Result<Replaced> {
    let at = int(inventory.at_unix_ms);
    let id = match find(transaction, "inventory_sources", &inventory.source)? {
        Some(id) => id,
        None => {
            transaction.execute(
                "INSERT INTO inventory_sources (name, format, file, imported_ms) VALUES (?1, '', '', 0)",
                [&inventory.source],
            )?;
            transaction.last_insert_rowid()
        }
    };
    transaction.execute(
        "UPDATE inventory_sources SET format = ?2, file = ?3, imported_ms = ?4 WHERE id = ?1",
        params![id, inventory.format, inventory.file, at],
    )?;
    let before: std::collections::HashSet<String> = transaction
        .prepare("SELECT pattern FROM inventory WHERE source = ?1")?
        .query_map([id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    transaction.execute("DELETE FROM inventory WHERE source = ?1", [id])?;
    let mut insert = transaction.prepare("INSERT INTO inventory VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut kept = 0;
    for (place, endpoint) in inventory.endpoints.iter().enumerate() {
        kept += usize::from(before.contains(&endpoint.pattern));
        insert.execute(params![
            id,
            int(place as u64),
            endpoint.pattern,
            endpoint.also.join("\n"),
            int(endpoint.line as u64)
        ])?;
    }
    grow_mark(transaction)?;
    let endpoints = inventory.endpoints.len();
    Ok(Replaced { endpoints, added: endpoints - kept, removed: before.len().saturating_sub(kept) })
}

fn grow_mark(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute("UPDATE marks SET value = value + 1 WHERE name = 'inventory'", []).map(drop)
}

/// The number of a source; `table` is one of ours.
fn find(connection: &Connection, table: &str, name: &str) -> rusqlite::Result<Option<i64>> {
    let sql = format!("SELECT id FROM {table} WHERE name = ?1");
    connection.query_row(&sql, [name], |row| row.get(0)).optional()
}
