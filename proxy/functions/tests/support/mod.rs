//! What the tests of the process host share: a plain connector, a way to wait for a state.

#![allow(dead_code, clippy::unwrap_used, reason = "for tests, each of which uses a part of it")]

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use starve_functions::{Connect, FunctionSnapshot, ProcessHost, ProcessOptions};
use starve_http::{Error, ErrorKind, Request, Response, ResponseFuture, Target};
use tokio::net::TcpStream;

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Options for a script of the fixtures; nothing in them waits long.
pub(crate) fn python(script: &str) -> ProcessOptions {
    let mut options = ProcessOptions::new(script, "python3");
    options.arguments = vec!["-u".to_owned(), script.to_owned()];
    options.working_dir = fixtures();
    options.start_timeout = Duration::from_secs(60);
    options
}

/// A connection for every call, as simple as it gets.
pub(crate) fn connect() -> Connect {
    Arc::new(|address| Arc::new(Direct(address)))
}

#[derive(Debug)]
struct Direct(SocketAddr);

impl Target for Direct {
    fn call(&self, request: Request) -> ResponseFuture {
        let address = self.0;
        Box::pin(async move {
            let stream = match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(error) => {
                    return Err(Error::new(ErrorKind::Connect, "connect")
                        .with_source(error)
                        .with_unsent(request));
                }
            };
            let broken = |error| Error::new(ErrorKind::Incomplete, "call").with_source(error);
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
            tokio::spawn(connection);
            Ok(sender.send_request(request).await.map_err(broken)?.map(starve_http::Body::wrap))
        })
    }
}

pub(crate) fn get(path: &str) -> Request {
    http::Request::get(path).body(starve_http::Body::empty()).unwrap()
}

pub(crate) async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

pub(crate) async fn body_of(host: &ProcessHost, path: &str) -> String {
    text(host.call(get(path)).await.unwrap()).await
}

/// Waits until `state` holds, and fails with what was seen last after a minute.
pub(crate) async fn until<T: std::fmt::Debug, F: Future<Output = T>>(
    mut look: impl FnMut() -> F,
    holds: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let seen = look().await;
        if holds(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "not in time; last seen: {seen:?}");
        // A yield between two looks, long enough to leave the processor to those who are waited for.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) async fn until_stats(
    stats: &starve_functions::FunctionStats,
    holds: impl Fn(&FunctionSnapshot) -> bool,
) -> FunctionSnapshot {
    until(|| async { stats.snapshot() }, holds).await
}

/// Whether a process runs; one that has ended and waits to be collected does not.
pub(crate) fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}
