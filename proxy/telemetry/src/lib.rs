//! The catalogue of metrics, statistics per route, and logs.
//!
//! Counting on the hot path takes no lock, no look-up and no allocation: a route's [`RouteStats`] is
//! resolved when its generation is built, and each worker thread writes to a shard of its own.
//! Invariant: label values come from finite sets only, never from the text of a request.

pub mod catalogue;
mod exposition;
mod histogram;
pub mod log;
mod route;
mod shard;

pub use exposition::Exposition;
pub use histogram::{Histogram, HistogramSnapshot};
pub use route::{Call, Cell, Code, Method, RouteSnapshot, RouteStats, SideSnapshot, Totals};
pub use shard::{enter_worker, worker_index};
