//! The admin listener: a request enters here, is let through or not (`access`), and is answered by the API or
//! the pages.
//!
//! Invariant: nobody can hold it up for others. Connections, heads and bodies have limits, and the ledger is read
//! on threads that serve nobody else.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::control::Control;
use crate::reply::{self, Reply};
use crate::{access, api, pages};

const CONNECTIONS_MAX: usize = 128;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 16 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: usize = 64 * 1024;
const DRAIN: Duration = Duration::from_secs(2);
/// After a failed accept (out of file handles): time for others to close some.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Needed by everything but `/healthz` and `/readyz` when it is set.
    pub token: Option<String>,
    /// Names besides the loopback's under which the address is served without a token.
    pub hosts: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "the admin address {0} can be reached from other machines and has no token; \
         set `admin: {{ token: … }}` in routes.yaml, or use a loopback address"
    )]
    TokenNeeded(SocketAddr),
    #[error("the admin token is empty")]
    TokenEmpty,
    #[error("the address of the admin listener is not known")]
    Address(#[source] std::io::Error),
}

/// Serves until `shutdown` resolves, then finishes what is being answered, for two seconds at most.
///
/// # Errors
/// At once, when the address is not loopback and there is no token.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    control: Arc<dyn Control>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    check_settings(&listener, &settings)?;
    let shared = Arc::new(Shared { settings, control });
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (closing, closed) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &slots) => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Some((stream, slot)) = accepted else { continue };
        let (shared, closed) = (Arc::clone(&shared), closed.clone());
        connections.spawn(async move {
            let _slot = slot;
            connection(stream, shared, closed).await;
        });
    }
    drop(listener);
    // The receivers are those of the connections; without any there is nobody to tell.
    let _ = closing.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("admin connections were still busy at the end and are cut off");
    }
    Ok(())
}

pub(crate) struct Shared {
    settings: Settings,
    pub(crate) control: Arc<dyn Control>,
}

fn check_settings(listener: &TcpListener, settings: &Settings) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Address)?;
    match &settings.token {
        Some(token) if token.is_empty() => Err(ServeError::TokenEmpty),
        None if !address.ip().is_loopback() => Err(ServeError::TokenNeeded(address)),
        _ => Ok(()),
    }
}

/// The next connection, once there is room for one.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            tracing::warn!(%error, "an admin connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut closed: watch::Receiver<bool>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(reply::secured(answer(&shared, request).await)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        _ = closed.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an admin connection broke off");
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    // Probes come by address and without a token, and tell nothing.
    match (head.uri.path(), is_read(&head.method)) {
        ("/healthz", true) => return reply::text("text/plain; charset=utf-8", "ok\n"),
        ("/readyz", true) => return ready(shared),
        _ => {}
    }
    if let Err(refusal) = access::check(&head, &shared.settings) {
        return *refusal;
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    if let Some(answer) = pages::answer(shared, &head).await {
        return answer;
    }
    api::answer(shared, &head, body).await
}

fn ready(shared: &Shared) -> Reply {
    match shared.control.ready() {
        true => reply::text("text/plain; charset=utf-8", "ready\n"),
        false => {
            let reply = reply::problem(StatusCode::SERVICE_UNAVAILABLE, "starting or draining");
            reply::with_header(reply, header::RETRY_AFTER, "1")
        }
    }
}

async fn read(body: Incoming) -> Result<Bytes, Box<Reply>> {
    let refused = |status, detail| Box::new(reply::problem(status, detail));
    match tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 KiB"))
        }
        Ok(Err(_)) => Err(refused(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err(refused(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    }
}

pub(crate) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}
