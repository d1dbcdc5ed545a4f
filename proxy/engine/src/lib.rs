//! Plan → Generation, the request's way, reload, drain: the only crate that knows all parts at once.
//!
//! A request enters at `pipeline`, the program at [`run`], a changed configuration at `proxy`. Invariants:
//! a request is answered by one generation from its beginning to its end; a configuration is in force as a
//! whole or not at all; nothing beside a request's own side and client can delay it.

mod abort;
mod admission;
mod callers;
mod certificates;
mod configuration;
mod exchange;
mod files;
mod findings;
mod functions;
mod generation;
mod handover;
mod inherit;
mod inventory;
mod metrics;
mod observations;
mod operations;
mod own;
mod pipeline;
mod proxy;
mod public;
mod recorder;
mod refusal;
mod registry;
mod rewrite;
mod route;
mod server;
mod service_manager;
mod shared;
mod signals;
mod sockets;
mod tell;
mod timed;
mod told;
mod tunnel;
mod watch;
mod workers;

pub use configuration::{ConfigError, ConfigFile, Read};
pub use findings::joined_in;
pub use proxy::route_infos;
pub use server::{Options, StartError, run};
pub use tell::{findings_in, tell_in};
