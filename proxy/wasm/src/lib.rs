//! The WASM host: `wasi:http` components, a fresh instance per call.
//!
//! A component enters at [`Host::load`], which compiles it once; a request enters at the
//! [`Target`](starve_http::Target) of the [`WasmFunction`] that comes out. Every call has a store, an instance
//! and limits of its own, and nothing of it is left afterwards. A guest never runs on the caller's thread, is
//! never given a file, a socket or a variable, and reaches only the servers that its configuration names.

mod body;
mod cache;
mod call;
mod component;
mod error;
mod function;
mod guest;
mod host;
mod limits;
mod logs;
mod outbound;

pub use body::BrokenOff;
pub use error::WasmError;
pub use function::{FunctionSettings, WasmFunction};
pub use host::{Host, Settings, default_cache_dir};
