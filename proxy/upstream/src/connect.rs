use std::io;
use std::sync::Arc;

use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use starve_config::{ServerPlan, UpstreamTimeouts};
use starve_http::{Body, Error, ErrorKind};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::tls::client_config;

pub(crate) type Sender = http1::SendRequest<Body>;

/// Opens a connection to a server within the connect time limit (name look-up, TCP, TLS together). Names
/// are looked up anew for each connection, so a changed address is followed without a restart.
pub(crate) async fn connect(server: &ServerPlan, timeouts: UpstreamTimeouts) -> Result<Sender, Error> {
    match tokio::time::timeout(timeouts.connect, open(server)).await {
        Ok(Ok(sender)) => Ok(sender),
        Ok(Err(error)) => {
            Err(Error::new(ErrorKind::Connect, format!("connect to {}", authority(server)))
                .with_source(error))
        }
        Err(_elapsed) => {
            Err(Error::new(ErrorKind::ConnectTimeout, format!("connect to {}", authority(server))))
        }
    }
}

async fn open(server: &ServerPlan) -> io::Result<Sender> {
    match server {
        ServerPlan::Http { host, port } => start(tcp(host, *port).await?).await,
        ServerPlan::Https { host, port } => {
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            let stream = tcp(host, *port).await?;
            start(TlsConnector::from(client_config()).connect(name, stream).await?).await
        }
        ServerPlan::Unix { path } => start(UnixStream::connect(path).await?).await,
    }
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn start<S>(stream: S) -> io::Result<Sender>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    TokioIo<S>: Read + Write,
{
    // Small messages in one buffer cost less than a vectored write of three pieces.
    let (sender, connection) = http1::Builder::new()
        .writev(false)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    // Ends with the connection: when the server closes it, or when the sender is dropped. What goes wrong
    // on it surfaces at the request in flight.
    tokio::spawn(async move {
        let _outcome = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// The server as a request's `Host` and a log line name it.
pub(crate) fn authority(server: &ServerPlan) -> Arc<str> {
    match server {
        ServerPlan::Http { host, port: 80 } | ServerPlan::Https { host, port: 443 } => host.as_str().into(),
        ServerPlan::Http { host, port } | ServerPlan::Https { host, port } => format!("{host}:{port}").into(),
        ServerPlan::Unix { .. } => "localhost".into(),
    }
}
