//! Copies of requests: sampling, the bounded queue, sending, feeding the comparison.
//!
//! A copy begins at [`Shadow::begin`] while the client's own request is on its way, grows as the two
//! bodies stream by, and is sent by a background task when the client has its whole answer. Invariants:
//! nothing here is ever awaited by the client's exchange; only a request whose body arrived whole is
//! copied; what a copy is answered goes to the comparison and nowhere else.

mod copy;
mod queue;
mod stats;

pub use copy::{Copying, RequestRecorder, ResponseRecorder};
pub use queue::{Finished, Limits, Shadow, Sink};
pub use stats::{DropReason, RouteShadow, SentResult};
