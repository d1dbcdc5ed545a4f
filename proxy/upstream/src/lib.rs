//! Connections to servers: pools, balancing, health, limits, retry.
//!
//! A request enters at [`Upstream`]'s [`Target::call`](starve_http::Target::call). Invariants: a request
//! that may have reached a server is sent again only if its method is idempotent and its body can be repeated,
//! or if the server says that it has not looked at it; a connection goes back into the pool only after a
//! complete exchange; each worker thread has a pool of its own, so that no exchange crosses threads; at least
//! half of the servers stay in use whatever their calls come to, and all are tried when none is good.

mod balance;
mod budget;
mod conditions;
mod connect;
mod dial;
mod health;
mod http2;
mod limits;
mod pool;
mod proxy_header;
mod replay;
mod send;
mod server;
mod tls;
mod upstream;

pub use tls::TlsFileError;
pub use upstream::{ServerSnapshot, Upstream, UpstreamSnapshot};
