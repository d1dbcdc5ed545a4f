//! HTTP/1.1 on the wire (RFC 9112): heads, framing, a connection to a client and one to a server.
//!
//! A client's connection enters at [`serve`], a request to a server at [`exchange`]. Invariants: what could be
//! read in two ways is refused, never guessed; a message that breaks off never looks complete at the other
//! end; nothing is buffered that can be handed on; an idle connection holds no buffer.
//!
//! Why the project has its own: docs/adr/0007-own-http1.md.

mod client;
mod date;
mod decode;
mod encode;
pub mod interim;
mod io;
mod request;
mod response;
mod scan;
mod server;
mod timer;
mod upgrade;
mod verbatim;

pub use client::{Connection, Failed, Fields, Home, Waits, exchange};
pub use date::date;
pub use decode::BodyFault;
pub use io::{Duplex, poll_read_some};
pub use request::RequestFault;
pub use response::ResponseFault;
pub use server::{Answer, Draining, Ended, Limits, Pace, TooSlow, serve};
pub use timer::LazyTimer;
pub use upgrade::{OnUpgrade, Rewound, UpgradeSlot};
