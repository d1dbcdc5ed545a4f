//! Connections to servers: pools, balancing, time limits, retry.
//!
//! A request enters at [`Upstream`]'s [`Target::call`](starve_http::Target::call). Invariants: a request
//! that may have reached a server is sent again only if its method is idempotent and it has no body; a
//! connection goes back into the pool only after a complete exchange; each worker thread has a pool of
//! its own, so that no exchange crosses threads.

mod connect;
mod pool;
mod send;
mod tls;
mod upstream;

pub use upstream::{Upstream, UpstreamSnapshot};
