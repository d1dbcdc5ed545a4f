//! The gate: the limits on a function's calls, whatever its host.
//!
//! Every call enters here. Invariant: at most `concurrency` calls are with the host and at most `queue` wait,
//! a place is given back the moment its call ends, however it ends, and each call is counted once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use starve_http::{
    Body, Copied, End, Error, ErrorKind, Observed, Observer, Request, Response, ResponseFuture, Target,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::stats::{FunctionStats, Gauge, Outcome};

/// What a refused caller is told to wait. A queue that is full now has usually moved on by then.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Stands for no limit where a timeout is too large to add to a clock.
const FAR_FUTURE: Duration = Duration::from_secs(86_400 * 365);

/// A function behind its limits.
///
/// A place is held from before the host is called to the end of the answer's body, so that a slow reader
/// counts as a call in flight. Calls without a place wait in order of arrival.
///
/// # Errors
/// [`ErrorKind::Overloaded`] at once when the queue is full; [`ErrorKind::FunctionTimeout`] when there is
/// no answer's head within the timeout, waiting included; the host's own errors as they are. A request that
/// never left the queue stands in [`Error::take_unsent`].
#[derive(Debug)]
pub struct Gate {
    entrance: Arc<Entrance>,
    timeout: Duration,
}

impl Gate {
    /// `timeout` runs from the call to the answer's head. A `concurrency` of 0 is taken as 1; a `queue` of 0
    /// lets nobody wait.
    pub fn new(
        target: Arc<dyn Target>,
        name: impl Into<Arc<str>>,
        concurrency: usize,
        queue: usize,
        timeout: Duration,
        stats: Arc<FunctionStats>,
    ) -> Self {
        let concurrency = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        let entrance = Entrance {
            target,
            name: name.into(),
            places: Arc::new(Semaphore::new(concurrency)),
            concurrency,
            waiting: AtomicUsize::new(0),
            queue,
            stats,
        };
        Self { entrance: Arc::new(entrance), timeout }
    }
}

impl Target for Gate {
    fn call(&self, request: Request) -> ResponseFuture {
        let now = Instant::now();
        let deadline = now.checked_add(self.timeout).unwrap_or(now + FAR_FUTURE);
        let entrance = Arc::clone(&self.entrance);
        Box::pin(async move { entrance.pass(request, deadline).await })
    }
}

#[derive(Debug)]
struct Entrance {
    target: Arc<dyn Target>,
    name: Arc<str>,
    /// Fair: freed places go to those who wait, in their order.
    places: Arc<Semaphore>,
    concurrency: usize,
    waiting: AtomicUsize,
    queue: usize,
    stats: Arc<FunctionStats>,
}

impl Entrance {
    async fn pass(&self, request: Request, deadline: Instant) -> Result<Response, Error> {
        let mut invocation = Invocation::new(Arc::clone(&self.stats));
        let place = match request.extensions().get::<Copied>() {
            Some(Copied) => self.place_for_copy(),
            None => self.place(deadline).await,
        };
        let answer = match place {
            Ok(place) => {
                invocation.enter(place);
                let call = timeout_at(deadline, self.target.call(request));
                call.await.unwrap_or_else(|_| Err(self.timed_out("answer")))
            }
            Err(refusal) => Err(refusal.with_unsent(request)),
        };
        match answer {
            Ok(response) => Ok(invocation.watch(response)),
            Err(error) => {
                invocation.outcome = Outcome::of_error(error.kind());
                Err(error)
            }
        }
    }

    async fn place(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let _counted = self.join_queue()?;
        let _shown = self.stats.waiting();
        match timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            // Nobody closes the semaphore; if somebody did, refusing is what a closed gate does.
            Ok(Err(_)) => Err(self.overloaded()),
            Err(_) => Err(self.timed_out("free place")),
        }
    }

    /// A copy never waits, and leaves half of the places to calls that somebody waits for.
    fn place_for_copy(&self) -> Result<OwnedSemaphorePermit, Error> {
        let is_quiet =
            self.waiting.load(Relaxed) == 0 && self.places.available_permits() > self.concurrency / 2;
        let place = is_quiet.then(|| Arc::clone(&self.places).try_acquire_owned().ok()).flatten();
        place.ok_or_else(|| {
            let context = format!("function {}: no place for a copy beside its calls", self.name);
            Error::new(ErrorKind::Overloaded, context)
        })
    }

    fn join_queue(&self) -> Result<Gauge<'_>, Error> {
        let joined = self
            .waiting
            .fetch_update(Relaxed, Relaxed, |waiting| (waiting < self.queue).then_some(waiting + 1));
        joined.map(|_| Gauge::raised(&self.waiting)).map_err(|_| self.overloaded())
    }

    fn overloaded(&self) -> Error {
        Error::new(
            ErrorKind::Overloaded,
            format!("function {}: {} calls wait already", self.name, self.queue),
        )
        .with_retry_after(RETRY_AFTER)
    }

    fn timed_out(&self, missing: &str) -> Error {
        Error::new(ErrorKind::FunctionTimeout, format!("function {}: no {missing} in time", self.name))
    }
}

/// One call, counted when it is dropped. Whoever drops it early has cancelled it.
#[derive(Debug)]
struct Invocation {
    stats: Arc<FunctionStats>,
    outcome: Outcome,
    entered: Option<(Instant, OwnedSemaphorePermit)>,
}

impl Invocation {
    fn new(stats: Arc<FunctionStats>) -> Self {
        Self { stats, outcome: Outcome::Cancelled, entered: None }
    }

    fn enter(&mut self, place: OwnedSemaphorePermit) {
        self.stats.enter();
        self.entered = Some((Instant::now(), place));
    }

    fn watch(mut self, response: Response) -> Response {
        self.outcome = if response.status().is_server_error() { Outcome::Error } else { Outcome::Ok };
        response.map(|body| Body::wrap(Observed::new(body, self)))
    }
}

impl Observer for Invocation {
    fn end(&mut self, end: End) {
        match end {
            End::Complete => {}
            End::Failed => self.outcome = Outcome::Failed,
            End::Dropped => self.outcome = Outcome::Cancelled,
        }
    }
}

impl Drop for Invocation {
    fn drop(&mut self) {
        self.stats.count(self.outcome);
        if let Some((since, _place)) = self.entered.take() {
            self.stats.took(since.elapsed());
            self.stats.leave();
        }
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
