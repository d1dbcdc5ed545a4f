//! The writing end of the file: one transaction per batch.
//!
//! Invariant: a batch is applied whole and once. Its number is stored in the same transaction, so that a
//! batch whose commit failed without saying whether it came through can be given again.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use starve_migration::Side;

use crate::batch::{Batch, Count, HOUR_MS, MORE, OperationCount, Rename};
use crate::{LedgerError, callers, journal, latency, open, progress, rename, retention, spans};

/// Distinct discovered templates; what comes after is counted as [`MORE`]. Discovery holds at most 20,000 nodes and
/// 4,096 paths that are only refused.
pub(crate) const DISCOVERED_MAX: i64 = 25_000;
/// A hole in the observed time shorter than this is the batch's own rhythm, not an outage.
const CONTIGUOUS_MS: i64 = 5_000;

pub(crate) const ROUTE: i64 = 0;
pub(crate) const DISCOVERED: i64 = 1;
pub(crate) const OPERATION: i64 = 2;

#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    path: PathBuf,
    inode: (u64, u64),
    applied: i64,
    retained_at_unix_ms: u64,
    run: Option<Run>,
    names: Names,
    /// SQLite's `data_version` when `names` was right.
    names_version: i64,
}

/// The row of `runs` that is being extended.
#[derive(Clone, Copy, Debug)]
struct Run {
    id: i64,
    seen_ms: i64,
}

/// Numbers of endpoints, by name. Bounded as the table is.
#[derive(Debug, Default)]
struct Names {
    routes: HashMap<String, i64>,
    discovered: HashMap<String, i64>,
    operations: HashMap<String, i64>,
    /// How many discovered ones the file has, once it was counted.
    discovered_known: Option<i64>,
}

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, LedgerError> {
        let (connection, inode) = open::open(path)?;
        let marked = |name| mark(&connection, name).map_err(|source| open::classify(path, source));
        let (applied, retained_ms) = (marked("applied_batch")?, marked("retained_ms")?);
        Ok(Self {
            connection,
            path: path.to_owned(),
            inode,
            applied,
            retained_at_unix_ms: u64::try_from(retained_ms).unwrap_or(0),
            run: None,
            names: Names::default(),
            names_version: 0,
        })
    }

    /// The number of the last batch that is in the file.
    pub(crate) fn applied(&self) -> i64 {
        self.applied
    }

    /// Whether the open file is still the one at its path. What is written to a deleted file is lost.
    pub(crate) fn is_in_place(&self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(found) => (found.dev(), found.ino()) == self.inode,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Which file this is, whatever its path: device and inode.
    pub(crate) fn inode(&self) -> (u64, u64) {
        self.inode
    }

    pub(crate) fn apply(&mut self, number: i64, batch: &Batch) -> rusqlite::Result<()> {
        match self.transact(number, batch) {
            Ok(run) => {
                self.run = run;
                self.applied = number;
                Ok(())
            }
            Err(error) => {
                // Numbers given out in a transaction that was rolled back mean nothing.
                self.names = Names::default();
                Err(error)
            }
        }
    }

    fn transact(&mut self, number: i64, batch: &Batch) -> rusqlite::Result<Option<Run>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if mark(&transaction, "applied_batch")? >= number {
            // The commit before came through although it reported an error.
            return Ok(self.run);
        }
        // An import may have given names up, and their numbers may be others' now.
        let version = transaction.query_row("PRAGMA data_version", [], |row| row.get(0))?;
        if self.names_version != version {
            self.names = Names::default();
            self.names_version = version;
        }
        let mut writing = Writing { transaction: &transaction, names: &mut self.names };
        writing.counts(&batch.counts)?;
        writing.spread(batch)?;
        writing.discovered(batch)?;
        writing.operations(&batch.operations)?;
        writing.renames(&batch.renames)?;
        let hour = int(batch.at_unix_ms / HOUR_MS);
        writing.comparisons(hour, batch)?;
        writing.journal(batch)?;
        let run = observe(&transaction, self.run, batch)?;
        set_mark(&transaction, "applied_batch", number)?;
        transaction.commit()?;
        Ok(Some(run))
    }

    /// Goes on numbering where the file before this one ended: its batches are not in here.
    pub(crate) fn renumber(&mut self, applied: i64) -> rusqlite::Result<()> {
        set_mark(&self.connection, "applied_batch", applied)?;
        self.applied = applied;
        Ok(())
    }

    /// Once an hour, removes what is older than its retention, a bounded step at a time.
    pub(crate) fn retain_if_due(&mut self, now_unix_ms: u64) -> rusqlite::Result<()> {
        // Either way: a clock that was ahead and is right again must not stop this.
        if now_unix_ms.abs_diff(self.retained_at_unix_ms) < retention::STEP_MS {
            return Ok(());
        }
        // Noted before the attempt: one that fails is not repeated with every batch.
        self.retained_at_unix_ms = now_unix_ms;
        retention::retain(&mut self.connection, now_unix_ms)?;
        // Endpoints may have gone.
        self.names = Names::default();
        Ok(())
    }

    /// Copies committed pages into the main file and to the disk, as far as no reader is in the way: what
    /// a power failure can take is what came since.
    pub(crate) fn checkpoint(&self) -> rusqlite::Result<()> {
        self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }

    /// Marks the end of the run as wanted, so that the gap that follows is known to be no crash.
    pub(crate) fn end_run(&self) -> rusqlite::Result<()> {
        if let Some(run) = self.run {
            self.connection.execute("UPDATE runs SET clean = 1 WHERE id = ?1", [run.id])?;
        }
        self.connection.execute_batch("PRAGMA optimize")
    }
}

struct Writing<'a> {
    transaction: &'a Transaction<'a>,
    names: &'a mut Names,
}

impl Writing<'_> {
    fn counts(&mut self, counts: &[Count]) -> rusqlite::Result<()> {
        for count in counts {
            let endpoint = self.route(&count.route)?;
            self.add_calls(&Calls {
                endpoint,
                side: side_code(count.side),
                method: &count.method,
                class: count.class.min(5),
                calls: count.calls,
                duration_us: count.duration_us,
                bytes_out: count.bytes_out,
                bytes_in: count.bytes_in,
                apart: count.apart.min(count.calls),
                last_ms: count.last_at_unix_ms,
            })?;
            progress::add_calls(self.transaction, count)?;
        }
        Ok(())
    }

    /// How the calls of routes spread: over time, over kinds of clients, and over the sides.
    fn spread(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        for latency in &batch.latencies {
            let endpoint = self.route(&latency.route)?;
            latency::add(self.transaction, endpoint, side_code(latency.side), latency)?;
        }
        for apart in &batch.apart {
            let endpoint = self.route(&apart.route)?;
            progress::add_apart(self.transaction, endpoint, apart)?;
        }
        for count in &batch.callers {
            let endpoint = self.route(&count.route)?;
            callers::add(self.transaction, endpoint, count)?;
        }
        match batch.standing {
            Some(standing) => progress::note(self.transaction, batch.at_unix_ms, standing),
            None => Ok(()),
        }
    }

    fn discovered(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        for count in &batch.discovered {
            let endpoint = self.template(&count.template)?;
            self.add_calls(&Calls {
                endpoint,
                side: side_code(Some(Side::Legacy)),
                method: &count.method,
                class: count.class.min(5),
                calls: count.calls,
                duration_us: count.duration_us,
                bytes_out: 0,
                bytes_in: 0,
                apart: count.apart.min(count.calls),
                last_ms: count.last_at_unix_ms,
            })?;
        }
        Ok(())
    }

    fn operations(&mut self, counts: &[OperationCount]) -> rusqlite::Result<()> {
        for count in counts {
            let name = format!("{}#{}", count.route, count.operation);
            let endpoint = numbered(self.transaction, &mut self.names.operations, OPERATION, &name)?;
            self.add_calls(&Calls {
                endpoint,
                side: side_code(count.side),
                method: "",
                class: count.class.min(5),
                calls: count.calls,
                duration_us: count.duration_us,
                bytes_out: 0,
                bytes_in: 0,
                apart: 0,
                last_ms: count.last_at_unix_ms,
            })?;
        }
        Ok(())
    }

    fn renames(&mut self, renames: &[Rename]) -> rusqlite::Result<()> {
        for Rename { from, to } in renames {
            if from == to {
                continue;
            }
            let Some(old) = find_endpoint(self.transaction, DISCOVERED, &from.0)? else { continue };
            let new = self.template(&to.0)?;
            rename::calls(self.transaction, (old, &from.1), (new, &to.1))?;
            rename::logs(self.transaction, (old, &from.1), (new, &to.1))?;
            if rename::forget_if_empty(self.transaction, old)? {
                self.names.discovered.remove(&from.0);
                self.names.discovered_known = self.names.discovered_known.map(|known| known - 1);
            }
        }
        Ok(())
    }

    fn comparisons(&mut self, hour: i64, batch: &Batch) -> rusqlite::Result<()> {
        for count in &batch.comparisons {
            let endpoint = self.route(&count.route)?;
            self.transaction
                .prepare_cached(
                    "INSERT INTO comparisons_hourly VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET n = n + excluded.n",
                )?
                .execute(params![hour, endpoint, count.verdict, int(count.n)])?;
        }
        for delta in &batch.fields {
            let endpoint = self.route(&delta.route)?;
            journal::add_field(self.transaction, hour, endpoint, delta)?;
        }
        Ok(())
    }

    fn journal(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        let mut touched = Vec::new();
        for sample in &batch.samples {
            let endpoint = self.route(&sample.route)?;
            journal::add_sample(self.transaction, endpoint, sample)?;
            if !touched.contains(&endpoint) {
                touched.push(endpoint);
            }
        }
        for endpoint in touched {
            journal::drop_old_samples(self.transaction, endpoint)?;
        }
        for event in &batch.events {
            journal::add_event(self.transaction, event)?;
        }
        Ok(())
    }

    fn route(&mut self, name: &str) -> rusqlite::Result<i64> {
        numbered(self.transaction, &mut self.names.routes, ROUTE, name)
    }

    fn template(&mut self, name: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.names.discovered.get(name) {
            return Ok(*id);
        }
        if let Some(id) = find_endpoint(self.transaction, DISCOVERED, name)? {
            self.names.discovered.insert(name.to_owned(), id);
            return Ok(id);
        }
        let known: i64 = match self.names.discovered_known {
            Some(known) => known,
            None => self
                .transaction
                .prepare_cached("SELECT count(*) FROM endpoints WHERE kind = ?1")?
                .query_row([DISCOVERED], |row| row.get(0))?,
        };
        self.names.discovered_known = Some(known);
        if known >= DISCOVERED_MAX && name != MORE {
            return self.template(MORE);
        }
        let id = add_endpoint(self.transaction, DISCOVERED, name)?;
        self.names.discovered_known = Some(known + 1);
        self.names.discovered.insert(name.to_owned(), id);
        Ok(id)
    }

    fn add_calls(&self, calls: &Calls<'_>) -> rusqlite::Result<()> {
        for (sql, time) in ADD_CALLS.iter().zip(spans::times(calls.last_ms)) {
            self.transaction.prepare_cached(sql)?.execute(params![
                time,
                calls.endpoint,
                calls.side,
                calls.method,
                calls.class,
                int(calls.calls),
                int(calls.duration_us),
                int(calls.bytes_out),
                int(calls.bytes_in),
                int(calls.apart),
            ])?;
        }
        // When all of them were apart, the last regular call is an older one.
        let regular_ms = if calls.calls > calls.apart { calls.last_ms } else { 0 };
        self.transaction
            .prepare_cached(
                "INSERT INTO calls_total (endpoint, side, method, class, calls, duration_us, bytes_out, first_ms,
                     last_ms, bytes_in, apart, regular_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11)
                 ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
                     duration_us = duration_us + excluded.duration_us,
                     bytes_out = bytes_out + excluded.bytes_out,
                     bytes_in = bytes_in + excluded.bytes_in, apart = apart + excluded.apart,
                     regular_ms = max(regular_ms, excluded.regular_ms),
                     first_ms = min(first_ms, excluded.first_ms),
                     last_ms = max(last_ms, excluded.last_ms)",
            )?
            .execute(params![
                calls.endpoint,
                calls.side,
                calls.method,
                calls.class,
                int(calls.calls),
                int(calls.duration_us),
                int(calls.bytes_out),
                int(calls.last_ms),
                int(calls.bytes_in),
                int(calls.apart),
                int(regular_ms),
            ])?;
        Ok(())
    }
}

static ADD_CALLS: LazyLock<[String; 3]> = LazyLock::new(|| {
    spans::forms("calls", |table| {
        format!(
            "INSERT INTO {table} VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,
                 duration_us = duration_us + excluded.duration_us,
                 bytes_out = bytes_out + excluded.bytes_out,
                 bytes_in = bytes_in + excluded.bytes_in, apart = apart + excluded.apart"
        )
    })
});

/// The number of an endpoint, new if need be.
fn numbered(
    connection: &Connection,
    known: &mut HashMap<String, i64>,
    kind: i64,
    name: &str,
) -> rusqlite::Result<i64> {
    if let Some(id) = known.get(name) {
        return Ok(*id);
    }
    let id = match find_endpoint(connection, kind, name)? {
        Some(id) => id,
        None => add_endpoint(connection, kind, name)?,
    };
    known.insert(name.to_owned(), id);
    Ok(id)
}

struct Calls<'a> {
    endpoint: i64,
    side: i64,
    method: &'a str,
    class: u8,
    calls: u64,
    duration_us: u64,
    bytes_out: u64,
    bytes_in: u64,
    apart: u64,
    last_ms: u64,
}

/// Extends the current run to the end of the batch, or begins one where counting began again.
fn observe(transaction: &Transaction<'_>, run: Option<Run>, batch: &Batch) -> rusqlite::Result<Run> {
    let (since, until) = (int(batch.since_unix_ms), int(batch.at_unix_ms));
    match run {
        Some(run) if since <= run.seen_ms.saturating_add(CONTIGUOUS_MS) => {
            let seen_ms = run.seen_ms.max(until);
            transaction
                .prepare_cached("UPDATE runs SET seen_ms = ?2 WHERE id = ?1")?
                .execute([run.id, seen_ms])?;
            Ok(Run { seen_ms, ..run })
        }
        _ => {
            transaction
                .prepare_cached("INSERT INTO runs (started_ms, seen_ms, clean) VALUES (?1, ?2, 0)")?
                .execute([since, until])?;
            Ok(Run { id: transaction.last_insert_rowid(), seen_ms: until })
        }
    }
}

pub(crate) fn find_endpoint(connection: &Connection, kind: i64, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM endpoints WHERE kind = ?1 AND name = ?2")?
        .query_row(params![kind, name], |row| row.get(0))
        .optional()
}

pub(crate) fn add_endpoint(connection: &Connection, kind: i64, name: &str) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("INSERT INTO endpoints (kind, name) VALUES (?1, ?2)")?
        .execute(params![kind, name])?;
    Ok(connection.last_insert_rowid())
}

pub(crate) fn mark(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT value FROM marks WHERE name = ?1")?.query_row([name], |row| row.get(0))
}

pub(crate) fn set_mark(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE marks SET value = ?2 WHERE name = ?1")?
        .execute(params![name, value])
        .map(drop)
}

fn side_code(side: Option<Side>) -> i64 {
    match side {
        None => 0,
        Some(Side::Legacy) => 1,
        Some(Side::Function) => 2,
    }
}

/// SQLite's integers are signed; no real count comes near the limit.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_given_again_under_its_number_is_applied_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("starve.db")).unwrap();
        let mut batch = Batch::new(0, 1_000);
        batch.counts = vec![Count {
            route: "r".into(),
            side: None,
            method: "GET".into(),
            class: 2,
            calls: 7,
            duration_us: 1,
            bytes_out: 1,
            bytes_in: 1,
            apart: 0,
            last_at_unix_ms: 1_000,
        }];
        for number in [1, 1, 2, 1, 2] {
            store.apply(number, &batch).unwrap();
        }
        let calls: i64 =
            store.connection.query_row("SELECT calls FROM calls_total", [], |row| row.get(0)).unwrap();
        assert_eq!(calls, 14);
    }
}
