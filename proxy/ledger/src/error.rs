//! What can go wrong with a ledger file, each said in one line with the way to mend it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(
        "there is no ledger at `{}`; it is created by the first `starve run`, or `ledger: {{ url: … }}` \
         in routes.yaml names another place", path.display()
    )]
    Missing { path: PathBuf },

    #[error(
        "ledger `{}` cannot be written; make its folder exist and be writable for the user that runs starve, \
         or name another place with `ledger: {{ url: … }}` in routes.yaml", path.display()
    )]
    Unwritable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error(
        "ledger `{}` is in use by another proxy{}; stop that one, or give this one a ledger of its own",
        path.display(), holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse { path: PathBuf, holder: Option<u32> },

    #[error(
        "`{}` is not a ledger of starve but something else, and is left untouched; \
         name another place with `ledger: {{ url: … }}` in routes.yaml", path.display()
    )]
    Foreign { path: PathBuf },

    #[error(
        "ledger `{}` is damaged ({detail}); restore a copy of it, or move it away to begin a new one \
         (`sqlite3 FILE .recover` saves what can be read)", path.display()
    )]
    Damaged { path: PathBuf, detail: String },

    #[error(
        "ledger `{}` was written by a newer starve (schema {found}, this one knows {known}); \
         run that version, or give this one a ledger of its own", path.display()
    )]
    Newer { path: PathBuf, found: u32, known: u32 },

    #[error(
        "ledger `{}` was written by an older starve (schema {found}, this one reads {known}); \
         `starve run` brings it up to date", path.display()
    )]
    Older { path: PathBuf, found: u32, known: u32 },

    #[error("ledger `{}` cannot be opened", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },

    #[error("ledger `{}` cannot be read", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },

    #[error(
        "ledger `{}` is in use by another import{}; wait until that one has ended",
        path.display(), holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Importing { path: PathBuf, holder: Option<u32> },

    #[error(
        "ledger `{}` cannot be written, and nothing of this was imported; make room on its disk or let whoever \
         holds it end, then import again", path.display()
    )]
    Import {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },

    #[error("the thread of the ledger cannot be started")]
    Thread(#[source] io::Error),
}

/// Not everything could be written before the deadline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "ledger not up to date after {} ms: {pending} batches are not written ({})",
    waited.as_millis(), cause.as_deref().unwrap_or("the disk is slow")
)]
pub struct CloseError {
    /// Batches that were taken but are not in the file.
    pub pending: u64,
    pub waited: Duration,
    /// Why the last attempt failed.
    pub cause: Option<String>,
}

/// The message with all its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
