//! Durable counts, verdicts, samples and the journal, in SQLite: what the proxy knows after a restart.
//!
//! The running proxy is the one writer of what it counts: about twice a second it hands a [`Batch`] of what happened since the
//! last one to [`Ledger::record`], where everything enters. Readers ([`Reader`]) open the same file on their
//! own, whether the proxy runs or not.
//!
//! What is imported (inventories, access logs) is written by an [`Importer`] beside it.
//!
//! What this crate must never do: make a caller of [`Ledger::record`] wait for a disk or a lock, apply a
//! batch twice or half, or lose what it has taken while the process lives.
//!
//! The file, its guarantees and its retention are described in `docs/ledger.md`.

mod batch;
mod callers;
mod error;
mod import;
mod imported;
mod journal;
mod key;
mod latency;
mod lock;
mod open;
mod progress;
mod reader;
mod rename;
mod retention;
mod rows;
mod schema;
mod spans;
mod store;
mod told;
mod writer;

pub use batch::{
    ApartCount, Batch, Caller, CallerCount, CallerKind, ComparisonCount, Count, DiscoveredCount, Event,
    EventKind, FieldDelta, LatencyCount, MORE, OperationCount, Rename, Sample, Standing,
};
pub use error::{CloseError, LedgerError};
pub use import::{
    ImportedEndpoint, ImportedInventory, Importer, KnownFile, LogCount, LogEndpoint, LogFile, LogSource,
    MethodName, Replaced,
};
pub use imported::{ImportedLog, InventorySource, ListedEndpoint};
pub use key::caller_key;
pub use reader::Reader;
pub use retention::{DAILY_KEPT_DAYS, HOURLY_KEPT_DAYS, SAMPLES_KEPT_PER_ROUTE};
pub use rows::{
    Apart, CallerRow, Comparisons, Coverage, Discovered, FieldDifferences, Gap, HourlyCalls, KindCallers,
    Latencies, LoggedEvent, LoggedSample, Operation, ProgressDay, RouteTotals,
};
pub use told::remember_told;
pub use writer::{Health, Ledger};
