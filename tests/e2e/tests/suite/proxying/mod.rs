//! What a proxy must do with every message, whatever the stage.

mod ambiguous;
mod bodies;
mod clients;
mod extended;
mod failures;
mod heads;
mod http2;
mod paths;
mod switches;
mod wire;

use e2e::{Origin, Proxy};

/// A proxy in front of one origin, with one route of it counted by name.
fn before(origin: &Origin) -> Proxy {
    Proxy::start(&format!("legacy: {}\nroutes: [ {{ match: '* /a' }} ]\n", origin.url()))
}

/// As [`before`], with more settings.
fn before_with(origin: &Origin, settings: &str) -> Proxy {
    Proxy::start(&format!("legacy: {}\nroutes: [ {{ match: '* /a' }} ]\n{settings}", origin.url()))
}
