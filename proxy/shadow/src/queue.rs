//! The bounded queue of copies and the tasks that send them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{EXPECT, HOST, HeaderValue};
use http::{HeaderMap, Method, Uri};
use http_body_util::BodyExt as _;
use starve_compare::{Answer, Call, Capture, Comparison, HashKey, Tolerated, Verdict, compare};
use starve_http::{Body, Copied, Error, ErrorKind, Request, Response, Target, hygiene};
use starve_migration::Side;
use tokio::sync::{Semaphore, mpsc};

use crate::copy::{Budget, Copying, Head, Held};
use crate::stats::{DropReason, RouteShadow, SentResult};

/// Copies being sent at once.
const SENDING_MAX: usize = 512;
/// Copies of one route that wait or are being sent: fewer than can be sent at once, so that one slow function
/// leaves room for the others.
const ROUTE_MAX: usize = 128;

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Copies that wait to be sent, all routes together.
    pub queue: usize,
    /// Largest request body that is copied, and how much of an answer is kept, per copy.
    pub body_bytes: usize,
    /// Memory for captured bodies, all copies together.
    pub memory_bytes: usize,
    /// Longest time for sending a copy and reading its answer.
    pub time: Duration,
}

/// What a copy came to.
#[derive(Debug)]
pub struct Finished {
    pub route: Arc<RouteShadow>,
    pub method: Method,
    /// The path alone: a query may hold personal data.
    pub path: String,
    /// The side that got the copy.
    pub side: Side,
    pub comparison: Comparison,
    pub took: Duration,
}

/// Takes what copies came to. Called on a background thread; must not block.
pub trait Sink: Send + Sync {
    fn finished(&self, finished: Finished);
}

/// The way for copies. Cheap to share.
#[derive(Clone)]
pub struct Shadow(Arc<Inner>);

struct Inner {
    queue: mpsc::Sender<Job>,
    budget: Arc<Budget>,
    limits: Limits,
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shadow").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

/// A copy that is ready to be sent.
pub(crate) struct Job {
    pub(crate) route: Arc<RouteShadow>,
    pub(crate) side: Side,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) head: Head,
    pub(crate) body: Vec<Bytes>,
    pub(crate) answer: Answer,
    pub(crate) _held: Held,
}

impl Shadow {
    /// Starts the sending of copies on `runtime`; it ends when the last clone is dropped. `key` keeps the
    /// values behind the hashes in differences secret.
    pub fn start(
        limits: Limits,
        key: HashKey,
        sink: Arc<dyn Sink>,
        runtime: &tokio::runtime::Handle,
    ) -> Self {
        let (queue, jobs) = mpsc::channel(limits.queue.max(1));
        runtime.spawn(send_all(jobs, limits, key, sink));
        let budget = Arc::new(Budget { used: AtomicUsize::new(0), max: limits.memory_bytes });
        Self(Arc::new(Inner { queue, budget, limits }))
    }

    /// Begins a copy of a request that is about to go to the other side, or counts why there is none.
    pub fn begin<B>(
        &self,
        route: &Arc<RouteShadow>,
        side: Side,
        target: &Arc<dyn Target>,
        request: &http::Request<B>,
    ) -> Option<Copying> {
        if self.0.queue.capacity() == 0 {
            route.drop_for(DropReason::QueueFull);
            return None;
        }
        if route.under_way().fetch_add(1, Relaxed) >= ROUTE_MAX {
            route.under_way().fetch_sub(1, Relaxed);
            route.drop_for(DropReason::RouteBusy);
            return None;
        }
        let head = Head {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        };
        let held = Held::new(self.0.budget.clone());
        Some(Copying::new(self.clone(), route.clone(), side, target.clone(), head, held))
    }

    pub fn body_bytes_max(&self) -> usize {
        self.0.limits.body_bytes
    }

    /// Copies that wait to be sent.
    pub fn waiting(&self) -> usize {
        self.0.queue.max_capacity() - self.0.queue.capacity()
    }

    pub(crate) fn push(&self, job: Job) {
        if let Err(mpsc::error::TrySendError::Full(job) | mpsc::error::TrySendError::Closed(job)) =
            self.0.queue.try_send(job)
        {
            job.route.drop_for(DropReason::QueueFull);
            job.route.under_way().fetch_sub(1, Relaxed);
        }
    }
}

/// Runs until every [`Shadow`] is gone. Each copy is a task of its own, so that a slow one holds up none.
async fn send_all(mut jobs: mpsc::Receiver<Job>, limits: Limits, key: HashKey, sink: Arc<dyn Sink>) {
    let places = Arc::new(Semaphore::new(SENDING_MAX));
    while let Some(job) = jobs.recv().await {
        // The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let sink = sink.clone();
        tokio::spawn(async move {
            let finished = send(job, limits, key).await;
            finished.route.under_way().fetch_sub(1, Relaxed);
            sink.finished(finished);
            drop(place);
        });
    }
}

async fn send(job: Job, limits: Limits, key: HashKey) -> Finished {
    let Job { route, side, target, head, body, answer, _held } = job;
    let Head { method, uri, mut headers } = head;
    let started = Instant::now();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    // The whole body is there; nobody waits for a word to send it.
    headers.remove(EXPECT);
    headers.insert(hygiene::SHADOW_MARK, HeaderValue::from_static("1"));
    let request = request(method.clone(), uri.clone(), headers, body);
    let outcome = tokio::time::timeout(limits.time, exchange(&*target, request, limits.body_bytes)).await;
    let took = started.elapsed();
    let (result, comparison) = match outcome {
        Ok(Ok(copy_answer)) => {
            let host = host.as_deref();
            let call = Call { method: method.as_str(), path: uri.path(), own_hosts: host.as_slice() };
            let (legacy, function) = match side {
                Side::Function => (&answer, &copy_answer),
                Side::Legacy => (&copy_answer, &answer),
            };
            (Some(SentResult::Answered), compare(&call, legacy, function, &route.rules, key))
        }
        Ok(Err(error)) if error.kind() == ErrorKind::Overloaded => (None, without_answer(Verdict::Shed)),
        Ok(Err(error)) => failed(side, &error),
        Err(_elapsed) => (Some(SentResult::TimedOut), without_answer(timed_out(side))),
    };
    match result {
        Some(result) => route.sent_to(side, result),
        None => route.drop_for(DropReason::FunctionBusy),
    }
    route.judged(comparison.verdict);
    Finished { route, method, path: uri.path().to_owned(), side, comparison, took }
}

fn request(method: Method, uri: Uri, headers: HeaderMap, body: Vec<Bytes>) -> Request {
    let body: Bytes = match body.as_slice() {
        [] => Bytes::new(),
        [one] => one.clone(),
        many => many.concat().into(),
    };
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request.extensions_mut().insert(Copied);
    request
}

async fn exchange(target: &dyn Target, request: Request, body_max: usize) -> Result<Answer, Error> {
    let (head, mut body) = Response::into_parts(target.call(request).await?);
    let mut capture = Capture::new(body_max);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::new(ErrorKind::Incomplete, "the copy's answer broke off").with_source(error)
        })?;
        if let Some(data) = frame.data_ref() {
            capture.push(data);
        }
    }
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    Ok(Answer { status: head.status.as_u16(), headers, body: capture.finish() })
}

fn failed(side: Side, error: &Error) -> (Option<SentResult>, Comparison) {
    let timeout = matches!(
        error.kind(),
        ErrorKind::FunctionTimeout | ErrorKind::ResponseTimeout | ErrorKind::ConnectTimeout
    );
    if timeout {
        return (Some(SentResult::TimedOut), without_answer(timed_out(side)));
    }
    let verdict = match side {
        Side::Function => Verdict::FunctionError,
        Side::Legacy => Verdict::LegacyError,
    };
    (Some(SentResult::Failed), without_answer(verdict))
}

fn timed_out(side: Side) -> Verdict {
    match side {
        Side::Function => Verdict::FunctionTimeout,
        Side::Legacy => Verdict::LegacyTimeout,
    }
}

/// A copy that was not answered has nothing to compare.
fn without_answer(verdict: Verdict) -> Comparison {
    Comparison { verdict, differences: Vec::new(), unlisted: 0, tolerated: Tolerated::default() }
}
