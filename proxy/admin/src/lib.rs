//! The admin address: API, pages, `/metrics`; and the report that they and the command line share.
//!
//! A request enters at [`serve`]. What the running proxy can tell and do stands behind [`Control`]; what was
//! counted is read from the ledger's file.
//!
//! What this crate must never do: change the proxy by anything but [`Control`], write to the ledger, or do for
//! another web page what only the operator may ask for (see [`server`]).

mod access;
mod api;
mod callers;
pub mod control;
mod diffs;
mod discovered;
mod pages;
mod query;
mod reply;
pub mod report;
pub mod server;
mod shown;

pub use callers::Callers;
pub use control::{
    Control, ControlError, FlipRequest, Flipped, KillSwitch, LastReload, ReloadError, Reloaded, RouteInfo,
    Status,
};
pub use diffs::{Diffs, Sample};
pub use discovered::{
    Findings, FoundEndpoint, FoundValue, GuardedPath, Sure, TOLD_MAX, TellAction, TellAnswer, TellRequest,
    UnmatchedCalls, UnmatchedPath, told,
};
pub use query::encoded;
pub use report::Report;
pub use server::{ServeError, Settings, serve};
