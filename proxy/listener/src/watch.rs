//! The watch over an HTTP/2 connection: idle for too long, a client that is no longer there, a head that does not come.
//! One timer for all, which moves only when it goes off, or for a head.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use h2::{Ping, PingPong};
use tokio::time::{Sleep, sleep_until};

use crate::Http1Limits;
use crate::activity::Activity;

/// What there is to object to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// No request for longer than the idle time.
    Idle,
    /// It does not answer when it is asked whether it is there.
    Gone,
    /// A request's head does not come in time.
    SlowHead,
}

pub(crate) struct Watch {
    activity: Arc<Activity>,
    /// Without a request.
    idle: Duration,
    /// Silence after which the client is asked whether it is there.
    ask_after: Duration,
    answer_within: Duration,
    /// How long a head may take.
    heads: Http1Limits,
    ping: Option<PingPong>,
    asked: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl Watch {
    pub(crate) fn new(
        activity: Arc<Activity>,
        idle: Duration,
        (ask_after, answer_within): (Duration, Duration),
        heads: Http1Limits,
        ping: Option<PingPong>,
    ) -> Self {
        let sleep = Box::pin(sleep_until((Instant::now() + idle.min(ask_after)).into()));
        Self { activity, idle, ask_after, answer_within, heads, ping, asked: None, sleep }
    }

    /// Ready when there is something to object to.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Objection> {
        if let (Some(_), Some(ping)) = (self.asked, &mut self.ping)
            && ping.poll_pong(cx).is_ready()
        {
            self.asked = None;
        }
        if let Some(deadline) = self.head_deadline()
            && deadline < self.sleep.deadline()
        {
            self.sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let now = Instant::now();
            let head = self.head_deadline();
            if head.is_some_and(|head| head <= now.into()) {
                return Poll::Ready(Objection::SlowHead);
            }
            let idle = self.activity.idle_since().unwrap_or(now) + self.idle;
            if idle <= now {
                return Poll::Ready(Objection::Idle);
            }
            let alive = match self.asked {
                Some(asked) => asked + self.answer_within,
                None => self.activity.silent_since() + self.ask_after,
            };
            let alive = match (alive <= now, self.asked) {
                (false, _) => alive,
                (true, Some(_)) => return Poll::Ready(Objection::Gone),
                (true, None) => self.ask(cx, now),
            };
            let next = tokio::time::Instant::from(idle.min(alive));
            self.sleep.as_mut().reset(head.map_or(next, |head| head.min(next)));
        }
    }

    /// Until when the head that has begun must be whole.
    fn head_deadline(&self) -> Option<tokio::time::Instant> {
        let (since, bytes) = self.activity.head()?;
        Some(self.heads.head_deadline(since.into(), bytes))
    }

    /// Asks the client whether it is there; until when it has to say so.
    fn ask(&mut self, cx: &mut Context<'_>, now: Instant) -> Instant {
        let Some(ping) = &mut self.ping else { return now + self.ask_after };
        if ping.send_ping(Ping::opaque()).is_ok() {
            self.asked = Some(now);
            // Leaves word to be woken by the answer.
            let _pending = ping.poll_pong(cx);
        }
        now + self.answer_within
    }
}
