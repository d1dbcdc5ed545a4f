//! Stages, sides and the sticky split: who answers a call, who gets a copy; and how long each side took.
//!
//! Pure: the draw of chance, the clock and the request are arguments. A request enters at
//! [`Policy::decide`], which is the table of stages in `docs/stages.md` as one function.

pub mod latency;
mod percent;
mod split;
mod stage;

pub use percent::{Percent, PercentError};
pub use split::{Bucket, Salt, StickyKey, StickyKeyError, cookie};
pub use stage::{Decision, Policy, Side, Stage, StageError, is_read};
