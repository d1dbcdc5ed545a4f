//! Accept loops, TLS, the watch over idle and slow connections, drain.
//!
//! A connection enters at [`accept`], one loop per worker and listener. Invariants: an accept loop never
//! ends or spins on an error; no client can hold up another (the handshake is part of the connection's own
//! task); every connection task ends when the drain's deadline has passed.

mod accept;
mod activity;
mod bind;
mod connection;
mod http2;
mod tls;

pub use accept::{Counters, Drain, Settings, accept};
pub use activity::InFlight;
pub use bind::{BindError, bind};
pub use connection::{Handler, Peer};
pub use starve_http1::{Answer, Limits as Http1Limits};
pub use tls::{Tls, TlsError};
