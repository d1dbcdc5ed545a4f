use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Watches over the silence inside a body. Its clock is set up only when the body has to be waited for, and
/// not reset at each piece of it.
#[derive(Debug)]
pub(crate) struct Silence {
    max: Duration,
    heard: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    pub(crate) fn new(max: Duration) -> Self {
        Self { max, heard: Instant::now(), alarm: None }
    }

    pub(crate) fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// Ready when it has lasted for too long.
    pub(crate) fn poll_too_long(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.max)));
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let rest = self.max.saturating_sub(self.heard.elapsed());
            if rest.is_zero() {
                return Poll::Ready(());
            }
            self.alarm = Some(Box::pin(tokio::time::sleep(rest)));
        }
    }
}
