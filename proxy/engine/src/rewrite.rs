//! A side as a route that changes messages sees it: calls are changed on their way to it, answers on their
//! way back.
//!
//! It stands around the side itself, so that copies are changed as calls are, and a route that changes nothing
//! does not have it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HOST, HeaderName,
    HeaderValue, LAST_MODIFIED,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode, Uri, response};
use starve_config::{BodyPlan, RequestChanges, ResponseChanges, RoutePlan, field_place};
use starve_http::{Body, Error, ErrorKind, Request, Response, ResponseFuture, Target};
use starve_migration::Side;
use starve_routing::{Context, Place, Template};

use crate::public::Public;
use crate::route::View;

#[derive(Debug)]
pub(crate) struct Rewritten(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    inner: Arc<dyn Target>,
    plan: Arc<RoutePlan>,
    side: Side,
    method: Option<Method>,
    /// Hosts under which the side knows itself, where it does not get the client's.
    own_hosts: Vec<String>,
}

/// The request as the client sent it, as far as it will be asked for.
struct Original {
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    headers: Option<HeaderMap>,
}

impl Rewritten {
    /// The side itself where the route changes nothing on the way to it.
    pub(crate) fn around(
        inner: Arc<dyn Target>,
        plan: &Arc<RoutePlan>,
        side: Side,
        own_hosts: Vec<String>,
    ) -> Arc<dyn Target> {
        if plan.changes.is_empty(side) && own_hosts.is_empty() {
            return inner;
        }
        let method = method(plan);
        Arc::new(Self(Arc::new(Rules { inner, plan: plan.clone(), side, method, own_hosts })))
    }
}

/// The method that sides are called with, where it is not the client's.
pub(crate) fn method(plan: &RoutePlan) -> Option<Method> {
    let method = plan.changes.request.method.as_ref()?;
    Method::from_bytes(method.as_bytes()).ok()
}

impl Target for Rewritten {
    fn call(&self, mut request: Request) -> ResponseFuture {
        let rules = self.0.clone();
        Box::pin(async move {
            let original = rules.original(&request);
            rules.change_request(&mut request)?;
            match rules.inner.call(request).await {
                Ok(response) => Ok(rules.change_response(response, &original)),
                // What was never sent may go to the other side, which has rules of its own.
                Err(mut error) => Err(match error.take_unsent() {
                    Some(unsent) => error.with_unsent(original.restore(unsent)),
                    None => error,
                }),
            }
        })
    }
}

impl Rules {
    fn original(&self, request: &Request) -> Original {
        let keep = self.plan.fallback || self.plan.changes.response.needs_request();
        Original {
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: request.headers().get(HOST).cloned(),
            headers: keep.then(|| request.headers().clone()),
        }
    }

    fn change_request(&self, request: &mut Request) -> Result<(), Error> {
        let changes = &self.plan.changes.request;
        let view = View::of(request);
        let context = Context { request: &view, pattern: &self.plan.pattern, response: None };
        let target = self.target(context)?;
        let fields = fields(&changes.set, context);
        if let Some(target) = target {
            *request.uri_mut() = target;
        }
        if let Some(method) = &self.method {
            *request.method_mut() = method.clone();
        }
        apply(request.headers_mut(), &changes.remove, fields);
        Ok(())
    }

    /// The target that the side gets, if it is not the client's.
    fn target(&self, context: Context<'_>) -> Result<Option<Uri>, Error> {
        let changes = &self.plan.changes;
        let refused = |text: String| Error::new(ErrorKind::BadRequest, text);
        let mut target = match changes.rewrite(self.side) {
            Some(rewrite) => {
                Some(rewrite.target(context).map_err(|error| refused(format!("rewritten target: {error}")))?)
            }
            None => None,
        };
        if !changes.request.query_set.is_empty() || !changes.request.query_remove.is_empty() {
            let whole = target.take().unwrap_or_else(|| match context.request.query() {
                Some(query) => format!("{}?{query}", context.request.path()),
                None => context.request.path().to_owned(),
            });
            target = Some(with_query(&whole, &changes.request, context));
        }
        let uri = |target: String| PathAndQuery::try_from(target).map(Uri::from);
        target.map(uri).transpose().map_err(|error| refused(format!("rewritten target: {error}")))
    }

    fn change_response(&self, response: Response, original: &Original) -> Response {
        let (mut head, mut body) = response.into_parts();
        let rewrite = self.plan.changes.rewrite(self.side);
        let host = original.host.as_ref().and_then(|host| host.to_str().ok());
        Public { rewrite, pattern: &self.plan.pattern, host, own_hosts: &self.own_hosts }
            .turn_back(&mut head);
        let changes = &self.plan.changes.response;
        if *changes != ResponseChanges::default() {
            let answer = Answer { status: head.status, headers: &head.headers };
            let context = Context { request: original, pattern: &self.plan.pattern, response: Some(&answer) };
            let set = fields(&changes.set, context);
            let text = changes.body.as_ref().filter(|_| may_have_body(head.status));
            let text = text.map(|plan| (plan, plan.template.render(plan.place, context)));
            if let Some((plan, text)) = text {
                body = replace_body(&mut head, plan, text);
            }
            apply(&mut head.headers, &changes.remove, set);
            if let Some(status) = changes.status.and_then(|status| StatusCode::from_u16(status).ok()) {
                change_status(&mut head, &mut body, status);
            }
        }
        Response::from_parts(head, body)
    }
}

fn may_have_body(status: StatusCode) -> bool {
    !status.is_informational() && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Fields that say something of the bytes that are gone.
fn replace_body(head: &mut response::Parts, plan: &BodyPlan, text: Vec<u8>) -> Body {
    const OF_THE_OLD: [HeaderName; 6] =
        [ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED];
    for name in OF_THE_OLD {
        head.headers.remove(name);
    }
    for name in ["content-digest", "repr-digest", "digest", "content-md5"] {
        head.headers.remove(name);
    }
    if head.status == StatusCode::PARTIAL_CONTENT {
        head.status = StatusCode::OK;
    }
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(plan.content_type));
    Body::from(text)
}

/// 1xx, 206 and 304 answer something that the client asked for in its head; another status would lie about
/// the body (RFC 9110 §15.3.7, §15.4.5).
fn change_status(head: &mut response::Parts, body: &mut Body, status: StatusCode) {
    let is_bound = head.status.is_informational()
        || matches!(head.status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
    if is_bound {
        return;
    }
    head.status = status;
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) {
        *body = Body::empty();
        head.headers.remove(CONTENT_LENGTH);
    }
}

/// The fields to set. Control characters are escaped by the template, so that each is a valid value.
pub(crate) fn fields(set: &[(String, Template)], context: Context<'_>) -> Vec<(HeaderName, HeaderValue)> {
    set.iter()
        .filter_map(|(name, template)| {
            let value = template.render(field_place(name), context);
            let value = HeaderValue::from_bytes(value.trim_ascii()).ok()?;
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        })
        .collect()
}

fn apply(headers: &mut HeaderMap, remove: &[String], set: Vec<(HeaderName, HeaderValue)>) {
    for name in remove {
        headers.remove(name.as_str());
    }
    for (name, value) in set {
        headers.insert(name, value);
    }
}

/// The target without the parameters that are set or removed, and with those that are set at its end.
fn with_query(target: &str, changes: &RequestChanges, context: Context<'_>) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let gone = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        let is = |known: &String| starve_routing::is_query_name(name, known);
        changes.query_remove.iter().chain(changes.query_set.iter().map(|(name, _)| name)).any(is)
    };
    let mut pairs: Vec<String> =
        query.split('&').filter(|pair| !pair.is_empty() && !gone(pair)).map(str::to_owned).collect();
    for (name, template) in &changes.query_set {
        let name = starve_routing::escape_query(name);
        let value = String::from_utf8(template.render(Place::Query, context)).unwrap_or_default();
        pairs.push(format!("{name}={value}"));
    }
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

impl Original {
    fn restore(&self, mut request: Request) -> Request {
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        if let Some(headers) = &self.headers {
            *request.headers_mut() = headers.clone();
        }
        request
    }
}

impl starve_routing::Request for Original {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn host(&self) -> Option<&str> {
        self.host.as_ref().and_then(|host| host.to_str().ok())
    }

    fn path(&self) -> &str {
        self.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    fn header_values(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let Some(headers) = &self.headers else { return false };
        headers.get_all(name).iter().any(|value| visit(value.as_bytes()))
    }
}

struct Answer<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
}

impl starve_routing::Response for Answer<'_> {
    fn status(&self) -> u16 {
        self.status.as_u16()
    }

    fn header_values(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        for value in self.headers.get_all(name) {
            visit(value.as_bytes());
        }
    }
}

/// A body of text that is known whole.
pub(crate) fn text_body(plan: &BodyPlan, context: Context<'_>) -> Body {
    Body::from(Bytes::from(plan.template.render(plan.place, context)))
}
