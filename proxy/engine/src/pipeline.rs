//! The way of a request, in one place.
//!
//! hygiene → admit → route → begin counting → decide by stage → copy for the shadow → the side that
//! answers → rescue. Nothing on this way waits for anything but the client and the side that answers it.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Method, Uri, request};
use http_body::Body as _;
use starve_config::Plan;
use starve_http::{Body, Error, ErrorKind, Observed, Request, Response, hygiene, rescue};
use starve_listener::{Answer, ClientCertificate, Handler, InFlight, Peer};
use starve_routing::normalise_path;
use starve_telemetry::RouteStats;

use crate::callers;
use crate::exchange::Exchange;
use crate::generation::Generation;
use crate::refusal::Refusal;
use crate::route::{Answering, Route, View};
use crate::shared::Shared;
use crate::tunnel::{self, Switch};

/// The body that a client gets: watched, so that the call is counted when it ends.
pub(crate) type ClientBody = Observed<Exchange>;

/// Answers the requests of one worker.
#[derive(Clone, Debug)]
pub(crate) struct Pipeline {
    shared: Arc<Shared>,
    worker: usize,
}

impl Pipeline {
    pub(crate) fn new(shared: Arc<Shared>, worker: usize) -> Self {
        Self { shared, worker }
    }

    /// This worker's requests whose answers have not ended.
    pub(crate) fn in_flight(&self) -> usize {
        self.shared.admission.in_flight_of(self.worker)
    }
}

impl Handler for Pipeline {
    type Body = ClientBody;

    fn handle(&self, request: Request, peer: Peer, in_flight: InFlight) -> Answer<ClientBody> {
        match begin(&self.shared, self.worker, request, peer, in_flight) {
            Ok(begun) => Box::pin(begun.finish()),
            Err((refusal, in_flight)) => Box::pin(ready(Ok(refuse(&self.shared, &refusal, in_flight)))),
        }
    }
}

/// A call that has its route and is being answered.
struct Begun {
    shared: Arc<Shared>,
    route: Arc<Route>,
    exchange: Exchange,
    switch: Option<Switch>,
    answering: Result<Answering, Error>,
}

/// All that a call needs before anything is waited for. The live generation is held no longer than this.
fn begin(
    shared: &Arc<Shared>,
    worker: usize,
    request: Request,
    peer: Peer,
    in_flight: InFlight,
) -> Result<Begun, (Refusal, InFlight)> {
    let generation = shared.live.load();
    let (mut head, mut body) = request.into_parts();
    let switch = match clean(shared, &generation.plan, (&mut head, &mut body), peer) {
        Ok(switch) => switch,
        Err(refusal) => return Err((refusal, in_flight)),
    };
    let mut request = Request::from_parts(head, body);
    let Some(place) = shared.admission.enter(worker) else {
        return Err((Refusal::overloaded(), in_flight));
    };
    let (route, listed) = find(shared, &generation, &request);
    let client = callers::client(request.headers(), peer.address.ip(), &generation.plan.trusted_proxies);
    let occupied = (in_flight, place);
    let mut exchange = Exchange::begin(&route, listed, &request, occupied, shared, worker, client);
    exchange.count_upload(&mut request);
    exchange.seek_operation(&route, worker, &mut request);
    let answering = route.answer(shared, request, &mut exchange, peer);
    Ok(Begun { shared: shared.clone(), route, exchange, switch, answering })
}

impl Begun {
    /// Waits for the side that answers, and for nothing else.
    async fn finish(mut self) -> Result<http::Response<ClientBody>, Infallible> {
        let answered = match self.answering {
            Ok(Answering::Own(response)) => Ok(response),
            Ok(Answering::Plain(answer)) => answer.await,
            Ok(Answering::Careful(answer)) => {
                let (answer, by) = answer.await;
                self.exchange.answered_by(by);
                answer
            }
            Err(error) => Err(error),
        };
        let Self { shared, route, exchange, switch, .. } = self;
        Ok(match answered.and_then(|response| tunnel::split(response, switch)) {
            Ok((response, None)) => deliver(response, exchange),
            Ok((response, Some(tunnel))) => tunnel.open(deliver(response, exchange)),
            Err(error) => {
                log(&route, &exchange, &error);
                if error.kind() == ErrorKind::BodyTooLarge {
                    shared.refusals.count(&Refusal::new("body_too_large", ErrorKind::BodyTooLarge));
                }
                deliver(rescue(&error), exchange)
            }
        })
    }
}

/// Refuses what is ambiguous, brings the rest into one shape, and prepares its head for the way on. A request
/// to switch protocols comes with the client's end of the tunnel that may follow.
fn clean(
    shared: &Shared,
    plan: &Plan,
    (head, body): (&mut request::Parts, &mut Body),
    peer: Peer,
) -> Result<Option<Switch>, Refusal> {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > shared.limits.uri_bytes {
        return Err(Refusal::new("uri_too_long", ErrorKind::TargetTooLong));
    }
    hygiene::check_request(head).map_err(Refusal::of)?;
    settle_target(head)?;
    limit(body, shared.limits.body_bytes)?;
    let version = head.version;
    let client = peer.address.ip().to_canonical();
    let trusted = plan.trusts(client);
    let origin = hygiene::Origin { client, tls: peer.tls, trusted };
    let switch = Switch::asked_for(head)?;
    hygiene::prepare_request(&mut head.headers, version, origin);
    tell_certificate(shared, head, trusted);
    if let Some(switch) = &switch {
        hygiene::set_upgrade(&mut head.headers, switch.protocol.clone());
    }
    Ok(switch)
}

/// A verified certificate of the client goes on in the field of its listener; what else that field holds is kept only
/// from a trusted proxy, which may have seen the certificate itself.
fn tell_certificate(shared: &Shared, head: &mut request::Parts, trusted: bool) {
    for name in shared.certificate_fields.iter().filter(|_| !trusted) {
        hygiene::remove_spellings(&mut head.headers, name);
    }
    if shared.certificate_fields.is_empty() {
        return;
    }
    if let Some(certificate) = head.extensions.remove::<Arc<ClientCertificate>>() {
        head.headers.insert(certificate.name.clone(), certificate.value.clone());
    }
}

/// One spelling of the path decides what is matched, counted and forwarded.
fn settle_target(head: &mut request::Parts) -> Result<(), Refusal> {
    if head.uri.path() == "*" && head.method == Method::OPTIONS {
        return Ok(());
    }
    let path = normalise_path(head.uri.path()).map_err(|error| Refusal::path(&error))?;
    let is_origin_form = head.uri.authority().is_none();
    if is_origin_form && matches!(path, std::borrow::Cow::Borrowed(_)) {
        return Ok(());
    }
    let target = match head.uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path.as_ref()),
    };
    let target = target.map_err(|_| Refusal::new("bad_path", ErrorKind::BadRequest))?;
    head.uri = Uri::from(target);
    Ok(())
}

fn limit(body: &mut Body, max: Option<u64>) -> Result<(), Refusal> {
    let Some(max) = max else { return Ok(()) };
    match body.size_hint().exact() {
        Some(length) if length > max => Err(Refusal::new("body_too_large", ErrorKind::BodyTooLarge)),
        Some(_) => Ok(()),
        None => {
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            *body = Body::wrap(http_body_util::Limited::new(std::mem::take(body), max));
            Ok(())
        }
    }
}

/// The route of a request, and where none matches who counts it, if an inventory lists it.
fn find(
    shared: &Shared,
    generation: &Generation,
    request: &Request,
) -> (Arc<Route>, Option<Arc<RouteStats>>) {
    let view = View::of(request);
    match generation.table.find(&view) {
        Some(found) => (found.value.clone(), None),
        None => (generation.discovered.clone(), shared.listed.load().stats(&view)),
    }
}

fn log(route: &Route, exchange: &Exchange, error: &Error) {
    let side = exchange.side().map_or("none", starve_migration::Side::as_str);
    let (route, kind) = (route.id(), error.kind().as_str());
    match error.kind() {
        ErrorKind::Gone => {}
        kind if kind.is_clients_fault() => {
            tracing::debug!(route, side, kind = kind.as_str(), error = error.chain(), "call refused");
        }
        _ => tracing::warn!(route, side, kind, error = error.chain(), "call failed"),
    }
}

/// A refusal has no route: it is counted by its reason, and its call as nobody's.
fn refuse(shared: &Shared, refusal: &Refusal, in_flight: InFlight) -> http::Response<ClientBody> {
    shared.refusals.count(refusal);
    let response = rescue(&refusal.error());
    deliver(response, Exchange::refused(in_flight))
}

fn deliver(response: Response, mut exchange: Exchange) -> http::Response<ClientBody> {
    let (mut head, body) = response.into_parts();
    hygiene::prepare_response(&mut head);
    for (name, value) in exchange.take_fields() {
        head.headers.append(name, value);
    }
    exchange.head(&head);
    http::Response::from_parts(head, Observed::new(body, exchange))
}
