//! Opening the file for writing: created if need be, refused if it is not ours, brought up to date.
//!
//! Invariant: a file that is refused is left as it was, byte for byte.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{LedgerError, schema};

/// How long one attempt waits for another connection's lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Files up to this size are checked whole when they are opened; it takes well under a second.
const CHECKED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The connection, and which file it is, whatever its path: device and inode.
pub(crate) fn open(path: &Path) -> Result<(Connection, (u64, u64)), LedgerError> {
    let inode = create(path)
        .and_then(|file| file.metadata())
        .map(|metadata| (metadata.dev(), metadata.ino()))
        .map_err(|source| LedgerError::Unwritable { path: path.to_owned(), source })?;
    let mut connection = connect(path).map_err(|source| classify(path, source))?;
    prepare(&mut connection, path)?;
    Ok((connection, inode))
}

/// A further connection to a ledger that is up to date, in the process that may have it open already. The file is opened
/// by SQLite alone: when a process closes any handle of a file, it loses all its locks on it (POSIX), and the next program
/// that looks into the ledger would take it for one that nobody uses.
pub(crate) fn beside(path: &Path) -> Result<Connection, LedgerError> {
    let classified = |source| classify(path, source);
    if !path.exists() {
        return Err(LedgerError::Missing { path: path.to_owned() });
    }
    let connection = connect(path).map_err(classified)?;
    match schema::state(&connection).map_err(classified)? {
        schema::State::Ours { version } if version == schema::VERSION => {}
        schema::State::Ours { version: found } if found < schema::VERSION => {
            return Err(LedgerError::Older { path: path.to_owned(), found, known: schema::VERSION });
        }
        schema::State::Ours { version: found } => {
            return Err(LedgerError::Newer { path: path.to_owned(), found, known: schema::VERSION });
        }
        schema::State::Empty | schema::State::Foreign => {
            return Err(LedgerError::Foreign { path: path.to_owned() });
        }
    }
    set_modes(&connection).map_err(classified)?;
    Ok(connection)
}

/// Creates the file if need be. Not in a process that has the file open: see [`beside`]. Readable for the group, not for all: samples come from real traffic.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o640).open(path)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Refuses what is not ours before the first byte is changed, then brings the file up to date.
fn prepare(connection: &mut Connection, path: &Path) -> Result<(), LedgerError> {
    let classified = |source| classify(path, source);
    let from = match schema::state(connection).map_err(classified)? {
        schema::State::Foreign => return Err(LedgerError::Foreign { path: path.to_owned() }),
        schema::State::Ours { version: found } if found > schema::VERSION => {
            return Err(LedgerError::Newer { path: path.to_owned(), found, known: schema::VERSION });
        }
        schema::State::Ours { version } => version,
        schema::State::Empty => 0,
    };
    check(connection, path)?;
    set_modes(connection).map_err(classified)?;
    schema::migrate(connection, from).map_err(classified)
}

fn check(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    if std::fs::metadata(path).map_or(0, |metadata| metadata.len()) > CHECKED_BYTES_MAX {
        return Ok(());
    }
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|source| classify(path, source))?;
    match verdict.as_str() {
        "ok" => Ok(()),
        detail => Err(LedgerError::Damaged { path: path.to_owned(), detail: detail.replace('\n', " ") }),
    }
}

/// WAL: readers never wait for the writer nor it for them. With `synchronous = NORMAL` a commit outlives the
/// process whatever ends it; only a power failure can take the last ones (at most those since the last
/// checkpoint), and it leaves the file consistent.
fn set_modes(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216;")?;
    connection.set_prepared_statement_cache_capacity(64);
    // Otherwise a statement with a range is planned anew whenever the range's numbers are others.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

pub(crate) fn classify(path: &Path, source: rusqlite::Error) -> LedgerError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => LedgerError::Foreign { path },
        Some(ErrorCode::DatabaseCorrupt) => LedgerError::Damaged { path, detail: source.to_string() },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            LedgerError::Unwritable { path, source: io::Error::other(source) }
        }
        _ => LedgerError::Open { path, source },
    }
}
