//! The real binary, driven by real clients over sockets: what the tests stand on.
//!
//! Invariants: nothing here knows a crate of the proxy, only what a user sees (the file, the sockets, the
//! commands); nothing waits for a time, only for a state, and each wait has an end; every process is ended by
//! its own id. Where something goes wrong here the test has failed, so everything panics with a reason.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the harness of tests: a failure is the test's")]

mod client;
mod command;
mod http_client;
mod metrics;
mod origin;
mod programs;
mod proxy;
pub mod raw_http2;
mod report;
mod site;
mod wait;
mod wire;

pub use client::{Answer, Client, End};
pub use command::{Done, binary};
pub use http_client::{Feed, Http, Whole, body_of, empty, feed, get};
pub use metrics::Metrics;
pub use origin::{After, Exchange, Origin, Seen, stalled};
pub use programs::{Service, program, script};
pub use proxy::{Proxy, Stopped, Successor};
pub use report::Report;
pub use site::Site;
pub use wait::{DEADLINE, eventually, eventually_within};
pub use wire::Head;
