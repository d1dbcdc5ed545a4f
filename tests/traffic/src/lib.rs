//! Realistic traffic for the demo shop (`legacy-monolith`), sent to the shop or to a proxy in front of it.
//!
//! Simulated users of many kinds visit the shop, and **every answer is checked**: its status, its content type,
//! that its body is complete and belongs to the question. What is sent is decided by the seed; only the timing is
//! not, and the addresses of newly registered customers, which carry the time so that a run can be repeated.
//! It never calls the endpoints of [`NEVER_CALLED`]: they are the dead routes of the demo.
//!
//! Calls enter the world in [`sessions`], pass through `Visitor::call`, and end in [`Progress`].

mod call;
mod catalogue;
mod connection;
mod endpoints;
mod expected;
mod options;
mod pace;
mod payload;
mod progress;
mod random;
mod run;
mod sessions;
mod shop;
mod summary;
mod visitor;

pub use endpoints::{CALLED, NEVER_CALLED};
pub use options::{Options, Target, TargetError};
pub use progress::{Progress, Second};
pub use run::{Running, Stopper, run, start};
pub use shop::{Shop, ShopError};
pub use summary::{Example, KindSummary, Summary};
