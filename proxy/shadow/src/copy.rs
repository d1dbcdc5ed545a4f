//! A copy in the making: what streams by is kept, within limits, until both bodies have ended.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use starve_compare::{Answer, Capture};
use starve_http::{End, Observer, Target};
use starve_migration::Side;

use crate::queue::{Job, Shadow};
use crate::stats::{DropReason, RouteShadow};

/// Memory for captured bodies, all copies together.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) used: AtomicUsize,
    pub(crate) max: usize,
}

/// A share of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, bytes: 0 }
    }

    fn grow(&mut self, bytes: usize) -> bool {
        if self.budget.used.fetch_add(bytes, Relaxed) + bytes > self.budget.max {
            self.budget.used.fetch_sub(bytes, Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

/// What is known of a request's head before it goes to the side that answers.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
}

/// A copy in the making. It is sent when the request and the answer have both ended whole; when either
/// does not, or when it is dropped, it comes to nothing and is counted.
#[derive(Debug, Clone)]
pub struct Copying(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    shadow: Shadow,
    route: Arc<RouteShadow>,
    side: Side,
    target: Arc<dyn Target>,
    head: Option<Head>,
    request: Option<Vec<Bytes>>,
    answer: Option<Answer>,
    held: Option<Held>,
    settled: bool,
}

impl Copying {
    pub(crate) fn new(
        shadow: Shadow,
        route: Arc<RouteShadow>,
        side: Side,
        target: Arc<dyn Target>,
        head: Head,
        held: Held,
    ) -> Self {
        Self(Arc::new(Mutex::new(State {
            shadow,
            route,
            side,
            target,
            head: Some(head),
            request: None,
            answer: None,
            held: Some(held),
            settled: false,
        })))
    }

    /// Watches the request's body. `body_max`: the largest body that is copied.
    pub fn request_recorder(&self, body_max: usize) -> RequestRecorder {
        RequestRecorder { copying: self.clone(), pieces: Vec::new(), room: body_max, ended: false }
    }

    /// The request has no body.
    pub fn request_without_body(&self) {
        self.settle(|state| state.request = Some(Vec::new()));
    }

    /// Watches the answer's body. `body_max`: how much of it is kept for the comparison.
    pub fn response_recorder(&self, status: u16, headers: &HeaderMap, body_max: usize) -> ResponseRecorder {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
        let answer = Answer { status, headers, body: starve_compare::Body::default() };
        ResponseRecorder {
            copying: self.clone(),
            answer: Some(answer),
            capture: Some(Capture::new(body_max)),
        }
    }

    /// Gives the copy up.
    pub fn give_up(&self, reason: DropReason) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).give_up(reason);
    }

    /// Notes one of the two halves and sends the copy when both are there.
    fn settle(&self, note: impl FnOnce(&mut State)) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut state);
        if state.settled || state.request.is_none() || state.answer.is_none() {
            return;
        }
        let State { head, request, answer, held, .. } = &mut *state;
        let (Some(head), Some(body), Some(answer), Some(held)) =
            (head.take(), request.take(), answer.take(), held.take())
        else {
            return;
        };
        state.settled = true;
        let job = Job {
            route: state.route.clone(),
            side: state.side,
            target: state.target.clone(),
            head,
            body,
            answer,
            _held: held,
        };
        state.shadow.push(job);
    }

    fn hold(&self, bytes: usize) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.held.as_mut().is_some_and(|held| held.grow(bytes))
    }
}

impl State {
    fn give_up(&mut self, reason: DropReason) {
        if !std::mem::replace(&mut self.settled, true) {
            self.route.drop_for(reason);
            self.route.under_way().fetch_sub(1, Relaxed);
            self.held = None;
            self.request = None;
        }
    }
}

impl Drop for State {
    /// The exchange ended without an answer to compare with: most often the client left.
    fn drop(&mut self) {
        self.give_up(DropReason::Incomplete);
    }
}

/// Keeps a request's body as it streams by. The pieces are shared with the exchange, not copied.
#[derive(Debug)]
pub struct RequestRecorder {
    copying: Copying,
    pieces: Vec<Bytes>,
    room: usize,
    ended: bool,
}

impl Observer for RequestRecorder {
    fn data(&mut self, data: &Bytes) {
        if self.ended {
            return;
        }
        let reason = if data.len() > self.room {
            DropReason::BodyTooLarge
        } else if !self.copying.hold(data.len()) {
            DropReason::Memory
        } else {
            self.room -= data.len();
            self.pieces.push(data.clone());
            return;
        };
        self.ended = true;
        self.pieces = Vec::new();
        self.copying.give_up(reason);
    }

    fn end(&mut self, end: End) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        match end {
            End::Complete => {
                let pieces = std::mem::take(&mut self.pieces);
                self.copying.settle(|state| state.request = Some(pieces));
            }
            // Also where the side answered without reading the body to its end: half a body is no copy.
            End::Failed | End::Dropped => self.copying.give_up(DropReason::Incomplete),
        }
    }
}

/// Keeps the start of an answer's body as it streams by, and the length and hash of all of it.
#[derive(Debug)]
pub struct ResponseRecorder {
    copying: Copying,
    answer: Option<Answer>,
    capture: Option<Capture>,
}

impl Observer for ResponseRecorder {
    fn data(&mut self, data: &Bytes) {
        let Some(capture) = &mut self.capture else { return };
        if self.copying.hold(data.len()) {
            capture.push(data);
        } else {
            self.capture = None;
            self.copying.give_up(DropReason::Memory);
        }
    }

    fn end(&mut self, end: End) {
        match (end, self.answer.take(), self.capture.take()) {
            (End::Complete, Some(mut answer), Some(capture)) => {
                answer.body = capture.finish();
                self.copying.settle(|state| state.answer = Some(answer));
            }
            (End::Failed, ..) => self.copying.give_up(DropReason::NoAnswer),
            (End::Dropped, ..) => self.copying.give_up(DropReason::Incomplete),
            _ => {}
        }
    }
}
