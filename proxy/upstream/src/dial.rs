//! From a server's address to a connection that can be spoken on: name look-up, TCP or a unix socket, the
//! PROXY header, TLS; all within the time limit for connecting.
//!
//! Names are looked up anew for each connection, so that a changed address is followed without a restart,
//! and all addresses of a name are used.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::ServerName;
use starve_config::{ProxyProtocol, ServerPlan};
use starve_http::{ClientConnection, Error, ErrorKind};
use starve_http1::Duplex;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::{ClientTls, Offer};

/// After this long without an answer the next address is tried as well (RFC 8305 §5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Opens connections to one server.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) server: ServerPlan,
    pub(crate) authority: Arc<str>,
    pub(crate) tls: Option<Arc<ClientTls>>,
    pub(crate) proxy_protocol: Option<ProxyProtocol>,
    pub(crate) time_max: Duration,
}

impl Dialer {
    /// A connection to the server; `client` is on whose behalf, for servers that want to be told.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] or [`ErrorKind::ConnectTimeout`].
    pub(crate) async fn dial(&self, offer: Offer, client: Option<ClientConnection>) -> Result<Stream, Error> {
        match tokio::time::timeout(self.time_max, self.open(offer, client)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.failed(ErrorKind::Connect).with_source(error)),
            Err(_elapsed) => Err(self.failed(ErrorKind::ConnectTimeout)),
        }
    }

    /// The same, for one of a limited number of connections. The place is given back when the stream is
    /// dropped.
    ///
    /// # Errors
    /// As [`Dialer::dial`], and [`ErrorKind::Overloaded`] when no place became free in time.
    pub(crate) async fn dial_within(
        &self,
        places: Arc<Semaphore>,
        offer: Offer,
        client: Option<ClientConnection>,
    ) -> Result<Stream, Error> {
        let Ok(Ok(place)) = tokio::time::timeout(self.time_max, places.acquire_owned()).await else {
            return Err(self.failed(ErrorKind::Overloaded));
        };
        let stream = self.dial(offer, client).await?;
        Ok(Stream { _place: Some(place), ..stream })
    }

    fn failed(&self, kind: ErrorKind) -> Error {
        Error::new(kind, format!("connect to {}", self.authority))
    }

    async fn open(&self, offer: Offer, client: Option<ClientConnection>) -> io::Result<Stream> {
        let mut socket = match &self.server {
            ServerPlan::Unix { path } => Socket::Unix(UnixStream::connect(path).await?),
            ServerPlan::Http { host, port }
            | ServerPlan::Https { host, port }
            | ServerPlan::H2c { host, port } => Socket::Tcp(tcp(host, *port).await?),
        };
        if let Some(version) = self.proxy_protocol {
            socket.write_all(&crate::proxy_header::proxy_header(version, client)).await?;
        }
        let transport = match (&self.server, &self.tls) {
            (ServerPlan::Https { host, .. }, Some(tls)) => {
                let name = tls.server_name().unwrap_or(host).to_owned();
                let name = ServerName::try_from(name).map_err(io::Error::other)?;
                let connector = TlsConnector::from(tls.config(offer));
                Transport::Tls(Box::new(connector.connect(name, socket).await?))
            }
            (ServerPlan::Https { .. }, None) => {
                return Err(io::Error::other("the server has no TLS settings"));
            }
            _ => Transport::Plain(socket),
        };
        Ok(Stream { transport, _place: None })
    }
}

/// A connection that stands.
#[derive(Debug)]
pub(crate) struct Stream {
    transport: Transport,
    _place: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Whether the server chose HTTP/2 in the TLS handshake (RFC 7301).
    pub(crate) fn chose_http2(&self) -> bool {
        match &self.transport {
            Transport::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
            Transport::Plain(_) => false,
        }
    }
}

impl Duplex for Stream {}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = match host.parse::<IpAddr>() {
        Ok(address) => TcpStream::connect((address, port)).await?,
        Err(_) => race(in_turn(lookup_host((host, port)).await?.collect())).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The addresses in the order in which they are tried: the two families alternating, beginning with the one
/// that the system prefers (RFC 8305 §4); within a family any order, so that all of a name's servers are
/// used.
fn in_turn(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let begins_with_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    fastrand::shuffle(&mut addresses);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == begins_with_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut all = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return all;
        }
        all.extend(pair.into_iter().flatten());
    }
}

/// The first connection that stands. The next address is tried when one fails, or does not answer for a
/// moment; the slower one stays in the race.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    if let [only] = addresses[..] {
        return TcpStream::connect(only).await;
    }
    let mut waiting = addresses.into_iter();
    // Ends with this future: the losers are dropped.
    let mut attempts = JoinSet::new();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        match waiting.next() {
            Some(address) => drop(attempts.spawn(TcpStream::connect(address))),
            None if attempts.is_empty() => return Err(failed),
            None => {}
        }
        tokio::select! {
            Some(ended) = attempts.join_next() => match ended.unwrap_or_else(|panic| Err(panic.into())) {
                Ok(stream) => return Ok(stream),
                Err(error) => failed = error,
            },
            () = tokio::time::sleep(ATTEMPT_DELAY), if waiting.len() > 0 => {}
        }
    }
}

macro_rules! either {
    ($self:expr, $kind:ident { $($variant:ident),* }, $stream:ident => $call:expr) => {
        match $self { $($kind::$variant($stream) => $call),* }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.get_mut(), Self { Tcp, Unix }, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), Self { Tcp, Unix }, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self.get_mut(), Self { Tcp, Unix }, stream => Pin::new(stream).poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), Self { Tcp, Unix }, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), Self { Tcp, Unix }, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(&mut self.get_mut().transport, Transport { Plain, Tls }, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(&mut self.get_mut().transport, Transport { Plain, Tls }, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(&mut self.get_mut().transport, Transport { Plain, Tls }, stream => {
            Pin::new(stream).poll_write_vectored(cx, pieces)
        })
    }

    fn is_write_vectored(&self) -> bool {
        // One buffer makes one TLS record.
        matches!(self.transport, Transport::Plain(_))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.get_mut().transport, Transport { Plain, Tls }, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.get_mut().transport, Transport { Plain, Tls }, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    async fn nobody_listens() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
    }

    #[test]
    fn families_alternate_and_begin_with_the_preferred_one() {
        let all = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"]);
        for _ in 0..20 {
            let order = in_turn(all.clone());
            let families: Vec<_> = order.iter().map(SocketAddr::is_ipv6).collect();
            assert_eq!(families, [true, false, true, false, true]);
            let mut sorted = order;
            sorted.sort();
            let mut expected = all.clone();
            expected.sort();
            assert_eq!(sorted, expected);
        }
        assert!(in_turn(Vec::new()).is_empty());
    }

    #[tokio::test]
    async fn an_address_that_refuses_gives_way_to_the_next_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let began = std::time::Instant::now();
        let stream = race(vec![nobody_listens().await, nobody_listens().await, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(began.elapsed() < ATTEMPT_DELAY, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn an_address_that_is_silent_does_not_hold_up_the_next() {
        // A queue for one connection, which is full: further ones get no answer at all.
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.listen(0).unwrap();
        let silent = socket.local_addr().unwrap().as_socket().unwrap();
        let _fills_the_queue = TcpStream::connect(silent).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let stream = race(vec![silent, silent, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
    }

    #[tokio::test]
    async fn when_all_fail_the_last_error_is_told() {
        let error = race(vec![nobody_listens().await, nobody_listens().await]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(race(Vec::new()).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
