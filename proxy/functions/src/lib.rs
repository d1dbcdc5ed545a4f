//! What every function stands behind, and the host for functions that are processes.
//!
//! A function is a [`starve_http::Target`], whatever runs it. A call enters at the [`Gate`], which keeps the
//! function's limits and counts every call once; behind it stands the host: a WASM component, a remote
//! service, or a [`ProcessHost`].
//!
//! Invariant: a function that crashes, hangs, leaks or never starts costs its own callers an error and
//! nobody else anything. Nothing here waits without a limit, and no process outlives its host.

mod gate;
pub mod process;
mod stats;

pub use gate::Gate;
pub use process::{Connect, ProcessHost, ProcessOptions};
pub use stats::{FunctionSnapshot, FunctionStats, InstanceMark, InstanceState, Outcome};
