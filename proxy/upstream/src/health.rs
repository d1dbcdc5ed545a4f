//! Asking servers how they are: one task for each, on the control runtime, ended with its upstream.
//!
//! A check has a connection of its own, so that what it finds is what a new connection finds.

use std::sync::Arc;

use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use starve_config::{HealthPlan, ServerPlan};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::conditions::{Conditions, Thresholds};
use crate::dial::Stream;
use crate::server::Server;
use crate::tls::Offer;

type NoBody = Empty<bytes::Bytes>;

/// Watches over all servers for as long as what is returned lives.
pub(crate) fn watch(
    servers: &[Arc<Server>],
    conditions: &Arc<Conditions>,
    plan: Option<&HealthPlan>,
    runtime: &Handle,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    // A server that has no others beside it is never ejected.
    if servers.len() == 1 && plan.is_none() {
        return tasks;
    }
    for (at, server) in servers.iter().enumerate() {
        let (server, conditions, plan) = (server.clone(), conditions.clone(), plan.cloned());
        tasks.spawn_on(
            async move {
                tokio::join!(
                    check_regularly(at, &server, &conditions, plan),
                    bring_back(at, &server, &conditions)
                );
            },
            runtime,
        );
    }
    tasks
}

async fn check_regularly(at: usize, server: &Server, conditions: &Conditions, plan: Option<HealthPlan>) {
    let Some(plan) = plan else { return };
    let thresholds = Thresholds { healthy: plan.healthy, unhealthy: plan.unhealthy };
    let mut next = interval(plan.interval);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        next.tick().await;
        conditions.checked(at, check(server, &plan).await, thresholds);
    }
}

/// An ejected server gets no request before a connection to it stands.
async fn bring_back(at: usize, server: &Server, conditions: &Conditions) {
    loop {
        conditions.ejection_over(at).await;
        let stands = server.dialer.dial(Offer::Configured, None).await.is_ok();
        conditions.tried(at, stands);
    }
}

/// One question. What is wrong, in words for the log, unless the answer is 2xx or 3xx.
async fn check(server: &Server, plan: &HealthPlan) -> Result<(), String> {
    let answer = async {
        let stream = server.dialer.dial(Offer::Configured, None).await.map_err(|error| error.chain())?;
        ask(server, plan, stream).await
    };
    match tokio::time::timeout(plan.timeout, answer).await {
        Ok(Ok(status)) if status.is_success() || status.is_redirection() => Ok(()),
        Ok(Ok(status)) => Err(format!("status {}", status.as_u16())),
        Ok(Err(error)) => Err(error),
        Err(_elapsed) => Err(format!("no answer in {:?}", plan.timeout)),
    }
}

async fn ask(server: &Server, plan: &HealthPlan, stream: Stream) -> Result<StatusCode, String> {
    let is_http2 = matches!(server.dialer.server, ServerPlan::H2c { .. }) || stream.chose_http2();
    let request = question(server, plan, is_http2)?;
    let words = |error: hyper::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}").trim_end_matches(": ").to_owned()
    };
    let stream = TokioIo::new(stream);
    let answer = if is_http2 {
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) = builder.handshake::<_, NoBody>(stream).await.map_err(words)?;
        beside(connection, sender.send_request(request)).await
    } else {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, NoBody>(stream).await.map_err(words)?;
        beside(connection, sender.send_request(request)).await
    };
    answer.map(|answer| answer.status()).map_err(words)
}

fn question(server: &Server, plan: &HealthPlan, is_http2: bool) -> Result<Request<NoBody>, String> {
    let host = plan.host.as_deref().unwrap_or(&server.authority);
    let scheme = if matches!(server.dialer.server, ServerPlan::Https { .. }) { "https" } else { "http" };
    let target = if is_http2 { format!("{scheme}://{host}{}", plan.path) } else { plan.path.clone() };
    let uri = Uri::try_from(target).map_err(|error| error.to_string())?;
    let mut request = Request::new(NoBody::new());
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static("starve health check"));
    if !is_http2 {
        headers.insert(HOST, HeaderValue::try_from(host).map_err(|error| error.to_string())?);
        headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(request)
}

/// The answer, while the connection is driven beside it.
async fn beside(
    connection: impl Future<Output = hyper::Result<()>>,
    answer: impl Future<Output = hyper::Result<http::Response<Incoming>>>,
) -> hyper::Result<http::Response<Incoming>> {
    tokio::pin!(connection, answer);
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            // How it ended shows in the answer.
            _ended = &mut connection, if is_open => is_open = false,
        }
    }
}
