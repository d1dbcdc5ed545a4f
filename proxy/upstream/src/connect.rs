use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use starve_config::{ServerPlan, UpstreamTimeouts};
use starve_http::{Error, ErrorKind};
use starve_http1::{Connection, Duplex};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::client_config;

/// A connection to a server, of whatever kind.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// Opens a connection to a server within the connect time limit (name look-up, TCP, TLS together). Names
/// are looked up anew for each connection, so a changed address is followed without a restart.
pub(crate) async fn connect(
    server: &ServerPlan,
    timeouts: UpstreamTimeouts,
) -> Result<Connection<Stream>, Error> {
    match tokio::time::timeout(timeouts.connect, open(server)).await {
        Ok(Ok(stream)) => Ok(Connection::new(stream)),
        Ok(Err(error)) => {
            Err(Error::new(ErrorKind::Connect, format!("connect to {}", authority(server)))
                .with_source(error))
        }
        Err(_elapsed) => {
            Err(Error::new(ErrorKind::ConnectTimeout, format!("connect to {}", authority(server))))
        }
    }
}

async fn open(server: &ServerPlan) -> io::Result<Stream> {
    Ok(match server {
        ServerPlan::Http { host, port } => Stream::Tcp(tcp(host, *port).await?),
        ServerPlan::Https { host, port } => {
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let stream = tcp(host, *port).await?;
            Stream::Tls(Box::new(TlsConnector::from(client_config()).connect(name, stream).await?))
        }
        ServerPlan::Unix { path } => Stream::Unix(UnixStream::connect(path).await?),
    })
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Duplex for Stream {}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, data),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, data),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, data),
        }
    }

    fn is_write_vectored(&self) -> bool {
        !matches!(self, Self::Tls(_))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The server as a request's `Host` and a log line name it.
pub(crate) fn authority(server: &ServerPlan) -> Arc<str> {
    match server {
        ServerPlan::Http { host, port: 80 } | ServerPlan::Https { host, port: 443 } => host.as_str().into(),
        ServerPlan::Http { host, port } | ServerPlan::Https { host, port } => format!("{host}:{port}").into(),
        ServerPlan::Unix { .. } => "localhost".into(),
    }
}
