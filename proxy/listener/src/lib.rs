//! Accept loops, PROXY headers, TLS, the watch over idle and slow connections, drain.
//!
//! A connection enters at [`accept`], one loop per worker and listener, and comes to HTTP through `opening`.
//! Invariants: an accept loop never ends or spins on an error; no client can hold up another (the handshake is part
//! of the connection's own task); every connection task ends when the drain's deadline has passed.

mod accept;
mod activity;
mod addresses;
mod bind;
mod calm;
mod certificate;
mod connection;
mod drain;
mod extended;
mod frames;
mod handshakes;
mod http2;
mod identity;
mod opening;
mod proxy_protocol;
mod received;
mod stream;
mod tls;
mod watch;

pub use accept::{Counters, Endpoint, Settings, accept};
pub use activity::InFlight;
pub use addresses::Addresses;
pub use bind::{BindError, bind};
pub use certificate::TlsError;
pub use connection::{Handler, Peer};
pub use drain::{Drain, DrainSwitch};
pub use handshakes::Handshakes;
pub use http2::Http2Settings;
pub use identity::ClientCertificate;
pub use opening::{Refusals, TrustedSources};
pub use proxy_protocol::{HEADER_BYTES_MAX, ProxyHeader, ProxyHeaderFault, parse_proxy_header};
pub use starve_http1::{Answer, Limits as Http1Limits};
pub use tls::{Prepared, Tls};
