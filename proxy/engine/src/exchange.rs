//! One client's request and answer, from the first look at its head to the last byte of its answer.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue, LOCATION};
use http::{Method, response};
use http_body::Body as _;
use starve_http::{Body, End, Observed, Observer, Request};
use starve_listener::InFlight;
use starve_migration::Side;
use starve_telemetry::{Call, Code, RouteStats};

use crate::admission::Place;
use crate::callers;
use crate::observations::Observation;
use crate::operations::Seeking;
use crate::route::Route;
use crate::shared::Shared;

/// Lives until the answer's body has ended, however it ends, and is counted then, exactly once.
#[derive(Debug)]
pub(crate) struct Exchange {
    call: Option<Call>,
    side: Option<Side>,
    unmatched: Option<Box<Unmatched>>,
    fields: Vec<(HeaderName, HeaderValue)>,
    /// What came of a request's body whose length was not declared.
    received: Option<Arc<AtomicU64>>,
    held: Option<Held>,
    /// Of a route that counts its operations.
    seeking: Option<Box<Seeking>>,
    code: Code,
}

/// What a request occupies until its answer has ended.
#[derive(Debug)]
pub(crate) struct Held {
    _in_flight: InFlight,
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
    apart: bool,
}

impl Exchange {
    /// `listed`: the counts of the endpoint in an inventory, where no route matches.
    pub(crate) fn begin(
        route: &Route,
        listed: Option<Arc<RouteStats>>,
        request: &Request,
        (in_flight, place): (InFlight, Place),
        shared: &Arc<Shared>,
        worker: usize,
        client: IpAddr,
    ) -> Self {
        let held = Held { _in_flight: in_flight, _place: Some(place) };
        if cfg!(feature = "without-counting") {
            return Self::uncounted(held);
        }
        let family = callers::family(request.headers());
        let unmatched = (route.is_discovered() && listed.is_none()).then(|| {
            Box::new(Unmatched {
                shared: shared.clone(),
                worker,
                method: request.method().clone(),
                path: request.uri().path().to_owned(),
                status: 0,
                location: None,
                apart: family.kind().apart().is_some(),
            })
        });
        let stats = listed.as_ref().unwrap_or_else(|| route.stats());
        let mut call = stats.begin(request.method().as_str());
        call.made_by(family.kind());
        shared.callers.note(worker, route.kept.number, request.headers(), family, client);
        Self {
            call: Some(call),
            side: None,
            unmatched,
            fields: Vec::new(),
            received: None,
            held: Some(held),
            seeking: None,
            code: Code::None,
        }
    }

    /// A request that got no route.
    pub(crate) fn refused(in_flight: InFlight) -> Self {
        Self::uncounted(Held { _in_flight: in_flight, _place: None })
    }

    fn uncounted(held: Held) -> Self {
        Self {
            call: None,
            side: None,
            unmatched: None,
            fields: Vec::new(),
            received: None,
            held: Some(held),
            seeking: None,
            code: Code::None,
        }
    }

    /// Finds out which operation the call is for, where the route counts them.
    pub(crate) fn seek_operation(&mut self, route: &Route, worker: usize, request: &mut Request) {
        if let Some(protocol) = route.operations() {
            let seeking = Seeking::begin(protocol, &route.kept.operations, worker, request);
            self.seeking = seeking.map(Box::new);
        }
    }

    /// Counts the request's body: by its declared length, else as it comes.
    pub(crate) fn count_upload(&mut self, request: &mut Request) {
        let body = request.body_mut();
        let Some(call) = self.call.as_mut().filter(|_| !body.is_end_stream()) else { return };
        if let Some(length) = body.size_hint().exact() {
            return call.request_bytes(length);
        }
        let received = self.received.insert(Arc::default()).clone();
        *body = Body::wrap(Observed::new(std::mem::take(body), Upload(received)));
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

    /// A field for the client, beside those of the answer, whatever the answer is.
    pub(crate) fn give_field(&mut self, name: HeaderName, value: HeaderValue) {
        self.fields.push((name, value));
    }

    pub(crate) fn take_fields(&mut self) -> Vec<(HeaderName, HeaderValue)> {
        std::mem::take(&mut self.fields)
    }

    /// The answer switches protocols; what the request occupies goes over to the tunnel.
    pub(crate) fn leave_http(&mut self) -> Option<Held> {
        self.held.take()
    }

    pub(crate) fn head(&mut self, head: &response::Parts) {
        self.code = Code::of(head.status.as_u16());
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
        let Some(mut call) = self.call.take() else { return };
        if let Some(received) = &self.received {
            call.request_bytes(received.load(Relaxed));
        }
        if let Some(unmatched) = self.unmatched.take() {
            let Unmatched { shared, worker, method, path, status, location, apart } = *unmatched;
            let duration = call.elapsed();
            let observation = Observation { method, path, status, location, duration, apart };
            shared.observations.push(worker, observation);
        }
        if let Some(seeking) = self.seeking.take() {
            let code = if end == End::Failed { Code::None } else { self.code };
            seeking.end((self.side, code), call.elapsed());
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

/// Counts a request's body on its way.
struct Upload(Arc<AtomicU64>);

impl Observer for Upload {
    fn data(&mut self, data: &Bytes) {
        self.0.fetch_add(data.len() as u64, Relaxed);
    }

    fn end(&mut self, _end: End) {}
}
