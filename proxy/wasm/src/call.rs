//! One call, on two sides: the caller waits for the head, the guest runs in a task on the guests' runtime.
//!
//! Two channels lead from the guest to the caller: the head, sent by the guest when it answers, and the end, sent
//! when the guest is through, before its store goes. So whoever finds the first one closed, or the body at an end,
//! finds the reason in the second.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{EXPECT, HOST};
use http_body_util::BodyExt as _;
use http_body_util::combinators::MapErr;
use starve_http::hygiene::strip_hop_by_hop;
use starve_http::{Body, BodyError, Error, ErrorKind, Request, Response};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::body::{GuestBody, GuestTask};
use crate::function::Function;
use crate::guest::{self, Guest, OverTime};

/// What the guest set as its answer.
type Answer = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

/// How the guest ended.
pub(crate) type End = Result<(), Error>;

pub(crate) async fn answer(function: Arc<Function>, request: Request) -> Result<Response, Error> {
    let deadline = Instant::now() + function.timeout;
    let is_head = request.method() == http::Method::HEAD;
    let (head_sender, head) = oneshot::channel();
    let (end_sender, mut end) = oneshot::channel();
    let run = run(Arc::clone(&function), request, deadline, head_sender, end_sender);
    let task = GuestTask::new(function.host.runtime().spawn(run.in_current_span()));
    let head = async {
        match head.await {
            Ok(answer) => checked(&function, answer),
            // The guest will not answer any more; it may still take its time to end.
            Err(_) => Err(without_answer(&function, (&mut end).await)),
        }
    };
    let response = timeout_at(deadline, head).await.unwrap_or_else(|_| Err(over_time(&function)))?;
    let promised = if is_head { Some(0) } else { content_length(response.headers()) };
    let name = Arc::clone(&function.name);
    Ok(response.map(|body| Body::wrap(GuestBody::new(name, body, promised, end, task))))
}

fn content_length(headers: &http::HeaderMap) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The guest's task. The end is told before the store goes, for with the store closes what the guest left open.
async fn run(
    function: Arc<Function>,
    request: Request,
    deadline: Instant,
    head: oneshot::Sender<Answer>,
    end: oneshot::Sender<End>,
) {
    let mut store = guest::store(&function, deadline);
    // Declared after the store, so that it goes before it even when this task is given up half-way.
    let end = end;
    let ended = timeout_at(deadline, handle(&function, &mut store, request, head)).await;
    let ended = ended.unwrap_or_else(|_| Err(over_time(&function)));
    if let Err(Err(error)) = end.send(ended) {
        tracing::warn!(
            function = &*function.name,
            error = error.chain(),
            "a function failed after its answer"
        );
    }
}

async fn handle(
    function: &Function,
    store: &mut Store<Guest>,
    request: Request,
    head: oneshot::Sender<Answer>,
) -> End {
    let proxy = match function.pre.instantiate_async(&mut *store).await {
        Ok(proxy) => proxy,
        Err(error) => return Err(not_started(function, error).with_unsent(request)),
    };
    let mut http = store.data_mut().http();
    let scheme = scheme(&request);
    let call = http
        .new_incoming_request(scheme, acceptable(request))
        .and_then(|request| Ok((request, http.new_response_outparam(head)?)));
    let handled = match call {
        Ok((request, out)) => proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out).await,
        Err(error) => Err(error),
    };
    handled.map_err(|error| broken_off(function, store, error))
}

fn scheme(request: &Request) -> Scheme {
    let forwarded = request.headers().get("x-forwarded-proto");
    if forwarded.is_some_and(|scheme| scheme == "https") { Scheme::Https } else { Scheme::Http }
}

type Incoming = http::Request<MapErr<Body, fn(BodyError) -> wasmtime_wasi_http::Error>>;

/// HTTP/1.0 knows requests without a host, the guest's interface does not.
fn acceptable(mut request: Request) -> Incoming {
    if request.uri().authority().is_none() && !request.headers().contains_key(HOST) {
        request.headers_mut().insert(HOST, HeaderValue::from_static(""));
    }
    // The body is there for the asking; a guest cannot say more about it.
    request.headers_mut().remove(EXPECT);
    request.map(|body| body.map_err(cut_off as fn(_) -> _))
}

fn cut_off(error: BodyError) -> wasmtime_wasi_http::Error {
    tracing::debug!(error, "the request's body broke off on its way to a function");
    wasmtime_wasi_http::Error::ConnectionTerminated
}

fn checked(function: &Function, answer: Answer) -> Result<http::Response<HyperOutgoingBody>, Error> {
    let failed =
        |what: &str| Error::new(ErrorKind::FunctionFailed, format!("function {} {what}", function.name));
    let mut response = answer.map_err(|code| failed("answered with an error").with_source(code))?;
    // A final answer only: an informational one has no body, and nothing would follow it.
    if response.status().is_informational() {
        return Err(failed("answered with an informational status"));
    }
    strip_hop_by_hop(response.headers_mut());
    Ok(response)
}

fn without_answer(function: &Function, ended: Result<End, oneshot::error::RecvError>) -> Error {
    match ended {
        Ok(Err(error)) => error,
        Ok(Ok(())) | Err(_) => Error::new(
            ErrorKind::FunctionFailed,
            format!("function {} ended without an answer", function.name),
        ),
    }
}

fn over_time(function: &Function) -> Error {
    let context = format!("function {} ran over its {:?}", function.name, function.timeout);
    Error::new(ErrorKind::FunctionTimeout, context)
}

fn not_started(function: &Function, error: wasmtime::Error) -> Error {
    if error.is::<PoolConcurrencyLimitError>() {
        return full(function, error);
    }
    if error.is::<OverTime>() {
        return over_time(function);
    }
    Error::new(ErrorKind::FunctionStart, format!("start function {}", function.name)).with_source(error)
}

fn broken_off(function: &Function, store: &Store<Guest>, error: wasmtime::Error) -> Error {
    if error.is::<OverTime>() {
        return over_time(function);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return full(function, error);
    }
    tracing::debug!(function = &*function.name, ?error, "a function broke off");
    let context = if store.data().limits.memory_refused() {
        format!(
            "function {} broke off, having asked for more than {} bytes of memory",
            function.name, function.memory_bytes
        )
    } else {
        format!("function {} broke off", function.name)
    };
    // The cause alone: what stands around it is a list of code addresses.
    Error::new(ErrorKind::FunctionFailed, context).with_source(error.root_cause().to_string())
}

fn full(function: &Function, error: wasmtime::Error) -> Error {
    Error::new(ErrorKind::Overloaded, format!("no instance left for function {}", function.name))
        .with_source(error)
}
