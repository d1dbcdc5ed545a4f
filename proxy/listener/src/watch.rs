//! The watch over an HTTP/2 connection: idle for too long, or a client that is no longer there. One timer for both,
//! which moves only when it goes off.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use h2::{Ping, PingPong};
use tokio::time::{Sleep, sleep_until};

use crate::activity::Activity;

/// What there is to object to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// No request for longer than the idle time.
    Idle,
    /// It does not answer when it is asked whether it is there.
    Gone,
}

pub(crate) struct Watch {
    activity: Arc<Activity>,
    /// Without a request.
    idle: Duration,
    /// Silence after which the client is asked whether it is there.
    ask_after: Duration,
    answer_within: Duration,
    ping: Option<PingPong>,
    asked: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl Watch {
    pub(crate) fn new(
        activity: Arc<Activity>,
        idle: Duration,
        (ask_after, answer_within): (Duration, Duration),
        ping: Option<PingPong>,
    ) -> Self {
        let sleep = Box::pin(sleep_until((Instant::now() + idle.min(ask_after)).into()));
        Self { activity, idle, ask_after, answer_within, ping, asked: None, sleep }
    }

    /// Ready when there is something to object to.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Objection> {
        if let (Some(_), Some(ping)) = (self.asked, &mut self.ping)
            && ping.poll_pong(cx).is_ready()
        {
            self.asked = None;
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let now = Instant::now();
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
            self.sleep.as_mut().reset(idle.min(alive).into());
        }
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
