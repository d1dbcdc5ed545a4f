use std::sync::Arc;

use starve_config::ServerPlan;
use starve_http::{ClientConnection, Error};
use starve_http1::Connection;

use crate::dial::Stream;
use crate::server::Server;
use crate::tls::Offer;

/// Opens a connection to a server within the connect time limit (name look-up, TCP, TLS together).
pub(crate) async fn connect(
    server: &Server,
    client: Option<ClientConnection>,
) -> Result<Connection<Stream>, Error> {
    server.dial(Offer::Http1, client).await.map(Connection::new)
}

/// The server as a request's `Host` and a log line name it.
pub(crate) fn authority(server: &ServerPlan) -> Arc<str> {
    let (host, port, usual) = match server {
        ServerPlan::Http { host, port } | ServerPlan::H2c { host, port } => (host, *port, 80),
        ServerPlan::Https { host, port } => (host, *port, 443),
        ServerPlan::Unix { .. } => return "localhost".into(),
    };
    // An IPv6 address stands in brackets wherever a port may follow (RFC 3986 §3.2.2).
    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    if port == usual { host.into() } else { format!("{host}:{port}").into() }
}
