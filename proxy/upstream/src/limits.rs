//! The places of a server: how many requests and connections it is given at once, and who waits for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use starve_config::ServerLimits;
use starve_http::{Error, ErrorKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Held by a request for as long as it is under way; nothing where there is no limit.
pub(crate) type Place = Option<Arc<OwnedSemaphorePermit>>;

/// The places of one server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    requests: Option<Arc<Semaphore>>,
    connections: Option<Arc<Semaphore>>,
}

/// The queue of an upstream for the places of its servers.
#[derive(Debug)]
pub(crate) struct Queue {
    limits: ServerLimits,
    waiting: AtomicUsize,
    pub(crate) hits: Hits,
}

/// How often each limit was reached.
#[derive(Debug, Default)]
pub(crate) struct Hits {
    pub(crate) in_flight: AtomicU64,
    pub(crate) queue: AtomicU64,
    pub(crate) wait: AtomicU64,
    pub(crate) retry_budget: AtomicU64,
}

impl Places {
    pub(crate) fn new(limits: &ServerLimits) -> Self {
        let places = |limit: Option<usize>| {
            limit.map(|limit| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))))
        };
        Self { requests: places(limits.in_flight), connections: places(limits.connections) }
    }

    /// Whether a request would find a place at once.
    pub(crate) fn has_room(&self) -> bool {
        self.requests.as_ref().is_none_or(|places| places.available_permits() > 0)
    }

    /// The connections that may still be opened, where they are limited.
    pub(crate) fn connections(&self) -> Option<&Arc<Semaphore>> {
        self.connections.as_ref()
    }
}

impl Queue {
    pub(crate) fn new(limits: ServerLimits) -> Self {
        Self { limits, waiting: AtomicUsize::new(0), hits: Hits::default() }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// A place at the server, after a wait in the queue if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`]: the queue is full, or the wait took too long.
    pub(crate) async fn enter(&self, places: &Places, authority: &str) -> Result<Place, Error> {
        let Some(requests) = &places.requests else { return Ok(None) };
        if let Ok(place) = requests.clone().try_acquire_owned() {
            return Ok(Some(Arc::new(place)));
        }
        Box::pin(self.wait(requests.clone(), authority)).await.map(|place| Some(Arc::new(place)))
    }

    async fn wait(&self, requests: Arc<Semaphore>, authority: &str) -> Result<OwnedSemaphorePermit, Error> {
        self.hits.in_flight.fetch_add(1, Relaxed);
        let Some(_waiting) = Waiting::enter(&self.waiting, self.limits.queue) else {
            self.hits.queue.fetch_add(1, Relaxed);
            return Err(overloaded(format!("the queue for {authority} is full")));
        };
        match tokio::time::timeout(self.limits.wait, requests.acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            // Nobody closes the semaphore.
            Ok(Err(_)) | Err(_) => {
                self.hits.wait.fetch_add(1, Relaxed);
                Err(overloaded(format!("no place at {authority} in {:?}", self.limits.wait)))
            }
        }
    }
}

fn overloaded(context: String) -> Error {
    Error::new(ErrorKind::Overloaded, context).with_retry_after(Duration::from_secs(1))
}

/// One that waits, counted until it does no longer.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let one_more = |waiting: usize| (waiting < max).then_some(waiting + 1);
        waiting.fetch_update(Relaxed, Relaxed, one_more).ok().map(|_| Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(in_flight: usize, queue: usize) -> ServerLimits {
        ServerLimits { in_flight: Some(in_flight), queue, ..ServerLimits::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn one_too_many_waits_and_one_more_is_refused() {
        let limits = limits(1, 1);
        let (queue, places) = (Queue::new(limits), Places::new(&limits));
        let first = queue.enter(&places, "a").await.unwrap();
        assert!(!places.has_room());
        let (second, third) = tokio::join!(queue.enter(&places, "a"), async {
            let third = queue.enter(&places, "a").await;
            assert_eq!(queue.waiting(), 1);
            drop(first);
            third
        });
        assert!(second.unwrap().is_some());
        assert_eq!(third.unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!((queue.waiting(), queue.hits.queue.load(Relaxed)), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_and_who_gives_up_leaves_the_queue() {
        let limits = limits(1, 10);
        let (queue, places) = (Queue::new(limits), Places::new(&limits));
        let _first = queue.enter(&places, "a").await.unwrap();
        assert!(queue.enter(&places, "a").await.is_err());
        let given_up = tokio::time::timeout(Duration::from_millis(1), queue.enter(&places, "a")).await;
        assert!(given_up.is_err());
        assert_eq!(queue.waiting(), 0);
    }

    #[tokio::test]
    async fn without_a_limit_there_is_no_place_to_take() {
        let limits = ServerLimits::default();
        let place = Queue::new(limits).enter(&Places::new(&limits), "a").await.unwrap();
        assert!(place.is_none());
    }
}
