//! Accept loops, TLS, the watch over idle and slow connections, drain.
//!
//! A connection enters at [`accept`], one loop per worker and listener. Invariants: an accept loop never
//! ends or spins on an error; no client can hold up another (the handshake is part of the connection's own
//! task); every connection task ends when the drain's deadline has passed.

mod accept;
mod activity;
mod bind;
mod connection;
mod guard;
mod tls;

pub use accept::{Counters, Drain, Settings, accept};
pub use activity::InFlight;
pub use bind::{BindError, bind};
pub use connection::{Answer, Handler, Peer};
pub use tls::{Tls, TlsError};
