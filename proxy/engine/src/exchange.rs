//! One client's request and answer, from the first look at its head to the last byte of its answer.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::{Method, response};
use starve_http::{End, Observer, Request};
use starve_listener::InFlight;
use starve_migration::Side;
use starve_telemetry::Call;

use crate::admission::Place;
use crate::observations::Observation;
use crate::route::Route;
use crate::shared::Shared;

/// Lives until the answer's body has ended, however it ends, and is counted then, exactly once.
#[derive(Debug)]
pub(crate) struct Exchange {
    call: Option<Call>,
    side: Option<Side>,
    unmatched: Option<Box<Unmatched>>,
    cookie: Option<HeaderValue>,
    held: Option<Held>,
}

/// What a request occupies until its answer has ended.
#[derive(Debug)]
pub(crate) struct Held {
    in_flight: InFlight,
    _place: Option<Place>,
}

/// What discovery wants to know of a call that no route matched.
#[derive(Debug)]
struct Unmatched {
    shared: Arc<Shared>,
    worker: usize,
    method: Method,
    path: String,
    status: u16,
    location: Option<String>,
}

impl Exchange {
    pub(crate) fn begin(
        route: &Route,
        request: &Request,
        (in_flight, place): (InFlight, Place),
        shared: &Arc<Shared>,
        worker: usize,
    ) -> Self {
        let unmatched = route.is_discovered().then(|| {
            Box::new(Unmatched {
                shared: shared.clone(),
                worker,
                method: request.method().clone(),
                path: request.uri().path().to_owned(),
                status: 0,
                location: None,
            })
        });
        let call = Some(route.stats().begin(request.method().as_str()));
        Self {
            call,
            side: None,
            unmatched,
            cookie: None,
            held: Some(Held { in_flight, _place: Some(place) }),
        }
    }

    /// A request that got no route.
    pub(crate) fn refused(in_flight: InFlight) -> Self {
        Self {
            call: None,
            side: None,
            unmatched: None,
            cookie: None,
            held: Some(Held { in_flight, _place: None }),
        }
    }

    pub(crate) fn answered_by(&mut self, side: Side) {
        self.side = Some(side);
        if let Some(call) = &mut self.call {
            call.answered_by(Some(side));
        }
    }

    pub(crate) fn side(&self) -> Option<Side> {
        self.side
    }

    /// A cookie for the client, beside those of the answer.
    pub(crate) fn give_cookie(&mut self, cookie: HeaderValue) {
        self.cookie = Some(cookie);
    }

    pub(crate) fn take_cookie(&mut self) -> Option<HeaderValue> {
        self.cookie.take()
    }

    /// The answer switches protocols; what the request occupies goes over to the tunnel.
    pub(crate) fn leave_http(&mut self) -> Option<Held> {
        let held = self.held.take()?;
        held.in_flight.leaves_http();
        Some(held)
    }

    pub(crate) fn head(&mut self, head: &response::Parts) {
        if let Some(call) = &mut self.call {
            call.head(head.status.as_u16());
        }
        if let Some(unmatched) = &mut self.unmatched {
            unmatched.status = head.status.as_u16();
            let location = head.headers.get(LOCATION).filter(|_| head.status.is_redirection());
            unmatched.location = location.and_then(|location| location.to_str().ok()).map(str::to_owned);
        }
    }
}

impl Observer for Exchange {
    fn data(&mut self, data: &Bytes) {
        if let Some(call) = &mut self.call {
            call.body_bytes(data.len());
        }
    }

    fn end(&mut self, end: End) {
        let Some(call) = self.call.take() else { return };
        if let Some(unmatched) = self.unmatched.take() {
            let Unmatched { shared, worker, method, path, status, location } = *unmatched;
            let duration = call.elapsed();
            let observation = Observation { method, path, status, location, duration };
            shared.observations.push(worker, observation);
        }
        // A client that leaves half-way was answered all the same; a side that breaks off has not answered.
        call.finish(end != End::Failed);
    }
}

impl Drop for Exchange {
    /// The client left before there was an answer.
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}
