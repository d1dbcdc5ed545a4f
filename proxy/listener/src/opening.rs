//! What comes before HTTP on a connection: the PROXY header, the address's place, the TLS handshake.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::accept::{Endpoint, Settings};
use crate::addresses::AddressPlace;
use crate::connection::{Handler, Peer, serve};
use crate::drain::Drain;
use crate::identity::Identified;
use crate::proxy_protocol::parse_proxy_header;

/// Connections that were closed before they said anything of their own.
#[derive(Debug, Default)]
pub struct Refusals {
    /// No PROXY header where one is required, or none that is understood.
    pub bad_proxy_header: AtomicU64,
    /// A PROXY header is required, and who connects may not speak for others.
    pub untrusted_proxy: AtomicU64,
    /// The address has as many connections as it may.
    pub per_address: AtomicU64,
}

/// Says whose word on where a connection comes from is believed; asked anew for each connection.
#[derive(Clone)]
pub struct TrustedSources(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl TrustedSources {
    pub fn new(trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(trusted))
    }

    fn contains(&self, address: SocketAddr) -> bool {
        (self.0)(address.ip().to_canonical())
    }
}

impl fmt::Debug for TrustedSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustedSources")
    }
}

/// Brings an accepted connection to HTTP, and serves it to its end.
pub(crate) async fn open<H: Handler>(
    mut stream: TcpStream,
    address: SocketAddr,
    endpoint: Endpoint,
    handler: H,
    settings: Arc<Settings>,
    drain: Drain,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let address = if endpoint.proxy_protocol {
        match Box::pin(client(&mut stream, address, &settings)).await {
            Some(client) => client,
            None => return,
        }
    } else {
        address
    };
    let Ok(_place) = enter(address, &settings) else {
        settings.counters.refusals.per_address.fetch_add(1, Relaxed);
        return;
    };
    let peer = Peer { address, tls: endpoint.tls.is_some() };
    match endpoint.tls {
        None => serve(stream, peer, handler, settings, drain).await,
        Some(tls) => {
            // Boxed, as every connection would carry its room to the end.
            let shaking = settings.handshakes.shake(&tls, endpoint.certificate_field.as_ref(), stream);
            if let Some((stream, certificate)) = Box::pin(shaking).await {
                serve(stream, peer, Identified { handler, certificate }, settings, drain).await;
            }
        }
    }
}

/// The address that the PROXY header tells; `None` when the connection is to be closed.
async fn client(stream: &mut TcpStream, address: SocketAddr, settings: &Settings) -> Option<SocketAddr> {
    let refusals = &settings.counters.refusals;
    if !settings.trusted.contains(address) {
        refusals.untrusted_proxy.fetch_add(1, Relaxed);
        tracing::debug!(client = %address.ip(), "closed: not one of the trusted proxies");
        return None;
    }
    match tokio::time::timeout(settings.http1.head_timeout, read_header(stream)).await {
        Ok(Ok(client)) => Some(client.unwrap_or(address)),
        Ok(Err(error)) => {
            refusals.bad_proxy_header.fetch_add(1, Relaxed);
            tracing::debug!(client = %address.ip(), %error, "closed: no PROXY header");
            None
        }
        Err(_elapsed) => {
            settings.counters.slow_heads.fetch_add(1, Relaxed);
            None
        }
    }
}

/// Takes the header from the stream and not one byte more.
async fn read_header(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut window = vec![0; 512];
    let mut read = Vec::new();
    loop {
        let there = stream.peek(&mut window).await?;
        if there == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = read.len();
        read.extend_from_slice(&window[..there]);
        let header = parse_proxy_header(&read).map_err(io::Error::other)?;
        // All that was looked at belongs to a header that has not ended.
        let own = header.map_or(there, |header| header.length.saturating_sub(before));
        stream.read_exact(&mut window[..own.min(there)]).await?;
        if let Some(header) = header {
            return Ok(header.client);
        }
    }
}

/// Trusted proxies bring the connections of many clients: they are not counted.
fn enter(address: SocketAddr, settings: &Settings) -> Result<Option<AddressPlace>, Full> {
    match &settings.addresses {
        Some(addresses) if !settings.trusted.contains(address) => {
            addresses.enter(address.ip()).map(Some).ok_or(Full)
        }
        _ => Ok(None),
    }
}

struct Full;
