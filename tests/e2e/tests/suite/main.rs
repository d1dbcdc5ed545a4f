//! What the design promises, asked of the real binary over sockets: one module for each subject.
//!
//! One binary, so that it links once; nextest runs each test as a process of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is the test's")]

mod aborts;
mod callers;
mod client_certificates;
mod commands;
mod components;
mod connections;
mod counting;
mod degraded;
mod discovered;
mod editors;
mod ending;
mod exactly;
mod flips;
mod floods;
mod functions;
mod handover;
mod hostile_names;
mod imports;
mod matrix;
mod operations;
mod proxying;
mod real_clients;
mod reload;
mod rewriting;
mod service_manager;
mod shadow;
mod soak;
mod stages;
mod upstreams;
