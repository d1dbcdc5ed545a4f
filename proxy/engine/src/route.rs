//! A route as it lives: what answers it, who counts it, and how each call is decided.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use http::header::{CONTENT_TYPE, COOKIE, HOST, HeaderValue, SET_COOKIE, UPGRADE};
use http::{Method, Version};
use http_body::Body as _;
use starve_config::{OperationsPlan, RoutePlan};
use starve_discovery::operations::Protocol;
use starve_http::{
    Body, BoxFuture, ClientConnection, Error, ErrorKind, Observed, Request, Response, ResponseFuture, Target,
    duplicate,
};
use starve_listener::Peer;
use starve_migration::{Bucket, Decision, Salt, Side, StickyKey, cookie, is_read};
use starve_shadow::{Copying, DropReason, RouteShadow};
use starve_telemetry::RouteStats;

use crate::exchange::Exchange;
use crate::operations::Operations;
use crate::own::Own;
use crate::shared::Shared;

/// The cookie that keeps a user on one side where the application gives nothing to go by.
const OWN_COOKIE: &str = "starve_user";

/// Built once per generation; a call only reads it.
#[derive(Debug)]
pub(crate) struct Route {
    /// `None` is everything that no route matched.
    pub(crate) plan: Option<Arc<RoutePlan>>,
    pub(crate) legacy: Arc<dyn Target>,
    pub(crate) function: Option<Arc<dyn Target>>,
    pub(crate) salt: Salt,
    pub(crate) kept: Arc<Kept>,
    pub(crate) shadow: Arc<RouteShadow>,
    /// What the route says for itself.
    pub(crate) own: Option<Box<Own>>,
    /// The method that the sides get, where the route changes it.
    pub(crate) method: Option<Method>,
    /// Whether writes go on when their clients leave.
    pub(crate) finish_writes: bool,
    /// Whether servers are told where the client's connection comes from.
    pub(crate) tells_client: bool,
}

/// An answer on its way.
pub(crate) enum Answering {
    /// The route's own.
    Own(Response),
    /// The side's; most calls need nothing around it.
    Plain(ResponseFuture),
    /// With a copy or a fallback; says who answered in the end.
    Careful(BoxFuture<(Result<Response, Error>, Side)>),
}

/// What of a route outlives its generations: it is found again by the route's id.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) id: String,
    /// Its place in the registry: a name that can be copied.
    pub(crate) number: u32,
    pub(crate) stats: Arc<RouteStats>,
    pub(crate) operations: Arc<Operations>,
    /// The kill switch: everything to the monolith, whatever the stage.
    pub(crate) killed: AtomicBool,
    /// Calls turned away in brownouts.
    pub(crate) brownouts: AtomicU64,
}

impl Route {
    pub(crate) fn id(&self) -> &str {
        &self.kept.id
    }

    pub(crate) fn stats(&self) -> &Arc<RouteStats> {
        &self.kept.stats
    }

    /// How the operations of its calls are told apart.
    pub(crate) fn operations(&self) -> Option<Protocol> {
        self.plan.as_ref()?.operations.map(|operations| match operations {
            OperationsPlan::GraphQl => Protocol::GraphQl,
            OperationsPlan::JsonRpc => Protocol::JsonRpc,
        })
    }

    pub(crate) fn is_discovered(&self) -> bool {
        self.plan.is_none()
    }

    /// Begins to answer one call by the route's stage. Nothing here waits; what is returned does.
    ///
    /// # Errors
    /// There is no answer of either side: the route is retired, or has no function.
    pub(crate) fn answer(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        mut request: Request,
        exchange: &mut Exchange,
        peer: Peer,
    ) -> Result<Answering, Error> {
        if self.tells_client {
            request.extensions_mut().insert(ClientConnection::from(peer.address));
        }
        if let Some(own) = &self.own
            && let Some(answer) = own.answer(&request, exchange, &self.kept)
        {
            return answer.map(Answering::Own);
        }
        let (by, copy_to) = match self.decide(&request, exchange, peer) {
            Decision::Gone => return Err(Error::new(ErrorKind::Gone, "the route is retired")),
            Decision::Answer { by, copy_to } => (by, copy_to),
        };
        exchange.answered_by(by);
        // A request to switch protocols has no answer to compare.
        let copy_to = copy_to.filter(|_| !request.headers().contains_key(UPGRADE));
        let copying = match copy_to {
            Some(side) => shared.shadow.begin(&self.shadow, side, self.target(side)?, &request),
            None => None,
        };
        if copying.is_none() && !self.may_fall_back(by) {
            return self.pass_on(shared, by, request).map(Answering::Plain);
        }
        let (route, shared) = (self.clone(), shared.clone());
        Ok(Answering::Careful(Box::pin(async move {
            let mut answered_by = by;
            let answer = match copying {
                Some(copying) => route.ask_and_copy(&shared, &mut answered_by, request, &copying).await,
                None => route.ask(&shared, &mut answered_by, request).await,
            };
            (answer, answered_by)
        })))
    }

    async fn ask_and_copy(
        &self,
        shared: &Shared,
        by: &mut Side,
        request: Request,
        copying: &Copying,
    ) -> Result<Response, Error> {
        let (asked, body_max) = (*by, shared.shadow.body_bytes_max());
        let request = watch_request(request, copying, body_max);
        match self.ask(shared, by, request).await {
            // After a fallback the answer is that of the side that should have got the copy.
            Ok(response) if *by == asked => Ok(watch_response(response, copying, body_max)),
            outcome => {
                copying.give_up(DropReason::NoAnswer);
                outcome
            }
        }
    }

    fn decide(&self, request: &Request, exchange: &mut Exchange, peer: Peer) -> Decision {
        let Some(plan) = &self.plan else { return Decision::Answer { by: Side::Legacy, copy_to: None } };
        let policy = &plan.policy;
        if self.kept.killed.load(Relaxed) && policy.stage.needs_function() {
            return Decision::Answer { by: Side::Legacy, copy_to: None };
        }
        policy.decide(
            self.method_of(request),
            || self.bucket(plan, request, exchange, peer),
            fastrand::u16(..10_000),
        )
    }

    /// The method that decides what may be done to a call: the one that sides get.
    fn method_of<'a>(&'a self, request: &'a Request) -> &'a str {
        self.method.as_ref().unwrap_or_else(|| request.method()).as_str()
    }

    /// The user's place in the split: by the route's key, else by the proxy's own cookie, else by a new one.
    fn bucket(&self, plan: &RoutePlan, request: &Request, exchange: &mut Exchange, peer: Peer) -> Bucket {
        if let Some(user) = user(&plan.sticky, request) {
            return Bucket::of(self.salt, user);
        }
        if let Some(user) = own_cookie(request) {
            return Bucket::of(self.salt, user);
        }
        let user = format!("{:016x}", fastrand::u64(..));
        let secure = if peer.tls { "; Secure" } else { "" };
        let text = format!("{OWN_COOKIE}={user}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax{secure}");
        if let Ok(value) = HeaderValue::try_from(text) {
            exchange.give_field(SET_COOKIE, value);
        }
        Bucket::of(self.salt, user.as_bytes())
    }

    fn may_fall_back(&self, by: Side) -> bool {
        by == Side::Function && self.plan.as_ref().is_some_and(|plan| plan.fallback)
    }

    /// Asks the side that is to answer, and legacy in its place where the route allows it and it can do
    /// no harm: nothing was sent, or the request only reads. `by` says who it was in the end.
    async fn ask(&self, shared: &Shared, by: &mut Side, request: Request) -> Result<Response, Error> {
        if !self.may_fall_back(*by) {
            return self.call(shared, *by, request)?.await;
        }
        let spare = is_read(self.method_of(&request)).then(|| duplicate(&request)).flatten();
        let mut error = match self.call(shared, *by, request)?.await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let Some(request) = error.take_unsent().or(spare) else { return Err(error) };
        tracing::warn!(
            route = self.id(),
            kind = error.kind().as_str(),
            error = error.chain(),
            "fell back to legacy"
        );
        *by = Side::Legacy;
        self.call(shared, Side::Legacy, request)?.await
    }

    fn call(&self, shared: &Shared, side: Side, request: Request) -> Result<ResponseFuture, Error> {
        let target = self.target(side)?;
        Ok(if self.outlives(&request) { shared.detached.call(target, request) } else { target.call(request) })
    }

    /// Calls a side whose answer goes on as it is. Over HTTP/2 fields are sent one by one.
    fn pass_on(&self, shared: &Shared, side: Side, request: Request) -> Result<ResponseFuture, Error> {
        if request.version() == Version::HTTP_2 || self.outlives(&request) {
            return self.call(shared, side, request);
        }
        Ok(self.target(side)?.call_verbatim(request))
    }

    /// Whether a call goes on when its client leaves.
    fn outlives(&self, request: &Request) -> bool {
        self.finish_writes && !is_read(self.method_of(request))
    }

    fn target(&self, side: Side) -> Result<&Arc<dyn Target>, Error> {
        match (side, &self.function) {
            (Side::Legacy, _) => Ok(&self.legacy),
            (Side::Function, Some(function)) => Ok(function),
            // A plan whose stage needs a function has one; this says so should it ever not.
            (Side::Function, None) => Err(Error::new(ErrorKind::FunctionStart, "the route has no function")),
        }
    }
}

fn user<'a>(key: &StickyKey, request: &'a Request) -> Option<&'a [u8]> {
    let headers = request.headers();
    match key {
        StickyKey::Cookie(name) => {
            headers.get_all(COOKIE).iter().find_map(|field| cookie(field.as_bytes(), name))
        }
        StickyKey::Header(name) => {
            headers.get(name.as_str()).map(HeaderValue::as_bytes).filter(|value| !value.is_empty())
        }
        StickyKey::Own => None,
    }
}

fn own_cookie(request: &Request) -> Option<&[u8]> {
    request.headers().get_all(COOKIE).iter().find_map(|field| cookie(field.as_bytes(), OWN_COOKIE))
}

fn watch_request(request: Request, copying: &Copying, body_max: usize) -> Request {
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        copying.request_without_body();
        return Request::from_parts(head, body);
    }
    Request::from_parts(head, Body::wrap(Observed::new(body, copying.request_recorder(body_max))))
}

fn watch_response(response: Response, copying: &Copying, body_max: usize) -> Response {
    if !is_comparable(&response) {
        copying.give_up(DropReason::NotComparable);
        return response;
    }
    let (head, body) = response.into_parts();
    let recorder = copying.response_recorder(head.status.as_u16(), &head.headers, body_max);
    Response::from_parts(head, Body::wrap(Observed::new(body, recorder)))
}

/// A stream of events has no end to compare, and a switched protocol no body.
fn is_comparable(response: &Response) -> bool {
    let is_stream = |value: &HeaderValue| value.as_bytes().starts_with(b"text/event-stream");
    !response.status().is_informational() && !response.headers().get(CONTENT_TYPE).is_some_and(is_stream)
}

/// A request as the route table sees it.
pub(crate) struct View<'a>(&'a Request);

impl<'a> View<'a> {
    pub(crate) fn of(request: &'a Request) -> Self {
        Self(request)
    }
}

impl starve_routing::Request for View<'_> {
    fn method(&self) -> &str {
        self.0.method().as_str()
    }

    fn host(&self) -> Option<&str> {
        self.0.headers().get(HOST).and_then(|host| host.to_str().ok())
    }

    fn path(&self) -> &str {
        self.0.uri().path()
    }

    fn query(&self) -> Option<&str> {
        self.0.uri().query()
    }

    fn header_values(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.headers().get_all(name).iter().any(|value| visit(value.as_bytes()))
    }
}
