//! A deadline that moves with every message and costs next to nothing to move.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep};

/// The timer below is set again only when it goes off too early, or must go off earlier than it is set.
#[derive(Debug)]
pub struct LazyTimer {
    deadline: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl LazyTimer {
    pub fn new(deadline: Instant) -> Self {
        Self { deadline, sleep: None }
    }

    pub fn set(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Ready when the deadline has passed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= deadline || Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
