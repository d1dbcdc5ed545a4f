//! What a route says for itself: `respond`, and the fields and brownouts of `sunset`.
//!
//! A route without either does not have it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use starve_config::{RespondPlan, RoutePlan};
use starve_http::{Body, Error, ErrorKind, Request, Response};
use starve_routing::Context;

use crate::exchange::Exchange;
use crate::recorder::unix_ms;
use crate::rewrite::{fields, text_body};
use crate::route::{Kept, View};

#[derive(Debug)]
pub(crate) struct Own {
    plan: Arc<RoutePlan>,
    /// `Deprecation`, `Sunset`, `Link`: the same on every answer.
    sunset: Vec<(HeaderName, HeaderValue)>,
}

impl Own {
    pub(crate) fn of(plan: &Arc<RoutePlan>) -> Option<Box<Self>> {
        if plan.respond.is_none() && plan.sunset.is_none() {
            return None;
        }
        let field = |(name, value): (&'static str, String)| {
            Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
        };
        let sunset = plan.sunset.iter().flat_map(|sunset| sunset.fields()).filter_map(field).collect();
        Some(Box::new(Self { plan: plan.clone(), sunset }))
    }

    /// The route's own answer; `None` leaves the call to a side.
    pub(crate) fn answer(
        &self,
        request: &Request,
        exchange: &mut Exchange,
        kept: &Kept,
    ) -> Option<Result<Response, Error>> {
        for (name, value) in &self.sunset {
            exchange.give_field(name.clone(), value.clone());
        }
        if self.is_brownout(kept) {
            kept.brownouts.fetch_add(1, Relaxed);
            return Some(Err(Error::new(ErrorKind::Brownout, "a brownout of the route")));
        }
        self.plan.respond.as_ref().map(|respond| Ok(self.respond(respond, request)))
    }

    /// The kill switch ends a brownout: whoever pulls it wants the endpoint to work.
    fn is_brownout(&self, kept: &Kept) -> bool {
        let Some(sunset) = self.plan.sunset.as_ref().filter(|sunset| !sunset.brownouts.is_empty()) else {
            return false;
        };
        let now = i64::try_from(unix_ms(SystemTime::now()) / 1_000).unwrap_or(i64::MAX);
        sunset.brownout(now).is_some() && !kept.killed.load(Relaxed)
    }

    fn respond(&self, respond: &RespondPlan, request: &Request) -> Response {
        let view = View::of(request);
        let context = Context { request: &view, pattern: &self.plan.pattern, response: None };
        let body = respond.body.as_ref().map(|plan| text_body(plan, context));
        let mut response = Response::new(body.unwrap_or_else(Body::empty));
        *response.status_mut() = StatusCode::from_u16(respond.status).unwrap_or_default();
        let headers = response.headers_mut();
        if let Some(plan) = &respond.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(plan.content_type));
        }
        for (name, value) in fields(&respond.headers, context) {
            headers.insert(name, value);
        }
        response
    }
}
