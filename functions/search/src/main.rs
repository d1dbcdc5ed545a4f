//! The shop's product search as a function: `GET /api/search?q=&page=&per_page=`, HTTP on `$PORT`.
//!
//! The catalogue is part of the program and read once. A call enters at [`answer::answer`]; this file only
//! keeps connections, and ends on SIGTERM after the calls that are being answered.

mod answer;
mod catalogue;
mod query;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use catalogue::Catalogue;

/// How long calls that are being answered may take after SIGTERM.
const DRAIN: Duration = Duration::from_secs(3);
/// A pause when there are no descriptors left, until others are closed.
const PAUSE: Duration = Duration::from_millis(50);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let catalogue = Arc::new(Catalogue::read()?);
    let listener = TcpListener::bind(address()?).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => converse(stream, &catalogue, &graceful),
                Err(_) => sleep(PAUSE).await,
            },
            _ = terminate.recv() => break,
        }
    }
    drop(listener);
    // What is not answered by then is cut off.
    let _in_time = timeout(DRAIN, graceful.shutdown()).await;
    Ok(())
}

fn address() -> Result<SocketAddr, Box<dyn Error>> {
    let loopback = std::env::var("HOST").is_ok_and(|host| host == "127.0.0.1");
    let host = if loopback { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
    let port = match std::env::var("PORT") {
        Ok(text) => text.parse().map_err(|error| io::Error::other(format!("PORT {text:?}: {error}")))?,
        Err(_) => 8080,
    };
    Ok(SocketAddr::from((host, port)))
}

fn converse(stream: TcpStream, catalogue: &Arc<Catalogue>, graceful: &GracefulShutdown) {
    // Without it an answer in two pieces waits for the other side's delayed acknowledgement. If it cannot be
    // set the connection is slow, not wrong.
    let _set = stream.set_nodelay(true);
    let catalogue = Arc::clone(catalogue);
    let service = service_fn(move |request| {
        let response = answer::answer(&catalogue, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // A connection that fails has lost its client: there is nobody to tell.
    tokio::spawn(graceful.watch(connection));
}
