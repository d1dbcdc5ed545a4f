//! Writes that go on when their clients leave (`on-client-abort: finish`).
//!
//! A client that gives up on a write does not know whether it was done; cut off in the middle, nobody does. So a
//! write whose request was sent whole is seen through to the end of its answer, by a task of its own. Reads and
//! half-sent requests are cut. Bounded in number and time; every outcome is counted.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::UPGRADE;
use http_body::{Body as _, Frame, SizeHint};
use starve_http::{
    Body, BodyError, End, Error, Observed, Observer, Request, Response, ResponseFuture, Target,
};
use starve_telemetry::worker_index;
use tokio::runtime::Handle;

use crate::admission::Admission;

/// A write that takes longer without its client is cut off.
const LONGEST: Duration = Duration::from_secs(300);

/// What became of writes whose clients left.
#[derive(Debug)]
pub(crate) struct Detached {
    admission: Arc<Admission>,
    max: usize,
    under_way: AtomicUsize,
    counts: [AtomicU64; RESULTS.len()],
}

/// In the order of [`Detached::counts`].
const RESULTS: [&str; 4] = ["finished", "failed", "request_cut", "over_limit"];

#[derive(Clone, Copy)]
enum Outcome {
    Finished,
    /// The side failed, or ran over the longest time.
    Failed,
    /// The client left before its request was whole.
    RequestCut,
    OverLimit,
}

impl Detached {
    pub(crate) fn new(max: usize, admission: Arc<Admission>) -> Arc<Self> {
        Arc::new(Self { admission, max, under_way: AtomicUsize::new(0), counts: Default::default() })
    }

    pub(crate) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        RESULTS.into_iter().zip(self.counts.iter().map(|count| count.load(Relaxed)))
    }

    /// Calls a side so that the call outlives its client.
    pub(crate) fn call(self: &Arc<Self>, target: &Arc<dyn Target>, request: Request) -> ResponseFuture {
        // A switched protocol is nothing without its client.
        if request.headers().contains_key(UPGRADE) {
            return target.call(request);
        }
        let whole = Whole(Arc::new(AtomicBool::new(request.body().is_end_stream())));
        let request = if request.body().is_end_stream() {
            request
        } else {
            request.map(|body| Body::wrap(Observed::new(body, whole.clone())))
        };
        Box::pin(Write { call: Some(target.call(request)), whole, detached: self.clone() })
    }

    fn count(&self, outcome: Outcome) {
        self.counts[outcome as usize].fetch_add(1, Relaxed);
    }

    /// Sees the rest through. It takes a place among the requests in flight, so that a shutdown waits for it.
    fn go_on(self: &Arc<Self>, rest: impl Future<Output = bool> + Send + 'static) {
        let place = self.admission.enter(worker_index().min(self.admission.workers() - 1));
        let (Some(place), Ok(runtime)) = (place, Handle::try_current()) else {
            return self.count(Outcome::OverLimit);
        };
        if self.under_way.fetch_add(1, Relaxed) >= self.max {
            self.under_way.fetch_sub(1, Relaxed);
            return self.count(Outcome::OverLimit);
        }
        let under_way = UnderWay(self.clone());
        runtime.spawn(async move {
            let is_done = tokio::time::timeout(LONGEST, rest).await.unwrap_or(false);
            under_way.0.count(if is_done { Outcome::Finished } else { Outcome::Failed });
            drop((under_way, place));
        });
    }
}

struct UnderWay(Arc<Detached>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

/// Whether the request was read to its end, and so has left for the side.
#[derive(Clone)]
struct Whole(Arc<AtomicBool>);

impl Observer for Whole {
    fn end(&mut self, end: End) {
        if end == End::Complete {
            self.0.store(true, Relaxed);
        }
    }
}

/// A call under way; dropped before its end it goes on by itself.
struct Write {
    call: Option<ResponseFuture>,
    whole: Whole,
    detached: Arc<Detached>,
}

impl Future for Write {
    type Output = Result<Response, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(call) = self.call.as_mut() else { return Poll::Pending };
        let outcome = ready!(call.as_mut().poll(cx));
        self.call = None;
        let detached = self.detached.clone();
        let whole = self.whole.clone();
        Poll::Ready(outcome.map(|response| {
            response.map(|body| match body.is_end_stream() {
                true => body,
                false => Body::wrap(Answer { body: Some(body), whole, detached }),
            })
        }))
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        let Some(call) = self.call.take() else { return };
        if !self.whole.0.load(Relaxed) {
            return self.detached.count(Outcome::RequestCut);
        }
        self.detached.go_on(async move {
            match call.await {
                Ok(response) => drain(response.into_body()).await,
                Err(error) => {
                    tracing::warn!(error = error.chain(), "a write whose client had left failed");
                    false
                }
            }
        });
    }
}

/// The body of the answer to a write; dropped before its end it is read by itself.
struct Answer {
    body: Option<Body>,
    whole: Whole,
    detached: Arc<Detached>,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        match self.body.take().filter(|body| !body.is_end_stream()) {
            None => {}
            Some(body) if self.whole.0.load(Relaxed) => self.detached.go_on(drain(body)),
            Some(_) => self.detached.count(Outcome::RequestCut),
        }
    }
}

/// Whether the body came whole.
async fn drain(mut body: Body) -> bool {
    use http_body_util::BodyExt as _;
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return false;
        }
    }
    true
}
