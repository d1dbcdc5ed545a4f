//! The lock that makes the proxy the only writer of its ledger.
//!
//! Invariant: the kernel holds it, in the name of the open file. It ends with the process, however that ends.
//! It is taken on `FILE.lock`, never on the ledger itself: closing a second handle of the ledger would drop
//! SQLite's own locks on it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::LedgerError;

#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    pub(crate) fn take(ledger: &Path) -> Result<Self, LedgerError> {
        Self::take_at(ledger, ".lock", |path, holder| LedgerError::InUse { path, holder })
    }

    /// Imports go on beside the proxy, but not beside one another.
    pub(crate) fn take_for_import(ledger: &Path) -> Result<Self, LedgerError> {
        Self::take_at(ledger, ".import.lock", |path, holder| LedgerError::Importing { path, holder })
    }

    fn take_at(
        ledger: &Path,
        suffix: &str,
        in_use: impl FnOnce(PathBuf, Option<u32>) -> LedgerError,
    ) -> Result<Self, LedgerError> {
        let path = lock_path(ledger, suffix);
        let unwritable = |source| LedgerError::Unwritable { path: ledger.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(in_use(ledger.to_owned(), holder(&mut file)));
            }
            Err(TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        // The number is for the error message of the next one only, so failing to write it is no failure.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

fn lock_path(ledger: &Path, suffix: &str) -> PathBuf {
    let mut name = ledger.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
