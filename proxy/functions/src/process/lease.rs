//! An instance as calls see it, and one call's use of it.
//!
//! Invariant: an instance is in use exactly as long as a [`Lease`] on it lives.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::header::HeaderValue;
use starve_http::Target;
use tokio::sync::{Notify, watch};

/// An instance that takes calls.
pub(super) struct Instance {
    id: u64,
    generation: u64,
    host: HeaderValue,
    target: Arc<dyn Target>,
    born: Instant,
    in_flight: AtomicUsize,
    /// Milliseconds after `born`.
    last_used_ms: AtomicU64,
    unused: Notify,
    order: watch::Sender<Order>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Serve,
    /// Finish the calls there are, then stop.
    Drain,
    /// It refuses connections: stop now.
    Stop,
}

impl Instance {
    pub(super) fn new(id: u64, generation: u64, address: SocketAddr, target: Arc<dyn Target>) -> Self {
        // An address and its port are always a legal value.
        let host = HeaderValue::try_from(address.to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("localhost"));
        Self {
            id,
            generation,
            host,
            target,
            born: Instant::now(),
            in_flight: AtomicUsize::new(0),
            last_used_ms: AtomicU64::new(0),
            unused: Notify::new(),
            order: watch::Sender::new(Order::Serve),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The artefact's, counted by its replacements.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn lived(&self) -> Duration {
        self.born.elapsed()
    }

    /// The value of `Host` for calls that go here.
    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }

    pub(super) fn target(&self) -> &dyn Target {
        &*self.target
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    pub(super) fn last_used(&self) -> Instant {
        self.born + Duration::from_millis(self.last_used_ms.load(Ordering::Acquire))
    }

    pub(super) fn order(&self, order: Order) {
        self.order.send_replace(order);
    }

    /// Waits for an order other than to serve.
    pub(super) async fn ordered(&self) -> Order {
        let mut orders = self.order.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        orders.wait_for(|order| *order != Order::Serve).await.map_or(Order::Stop, |order| *order)
    }

    pub(super) async fn until_unused(&self) {
        while self.in_flight() > 0 {
            self.unused.notified().await;
        }
    }
}

/// One call's use of an instance, until it is dropped.
pub(super) struct Lease(Arc<Instance>);

impl Lease {
    pub(super) fn new(instance: &Arc<Instance>) -> Self {
        instance.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(instance))
    }

    pub(super) fn instance(&self) -> &Instance {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let since_born = u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_used_ms.store(since_born, Ordering::Release);
        if self.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.unused.notify_one();
        }
    }
}
