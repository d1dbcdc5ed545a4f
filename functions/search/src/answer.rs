//! Requests to answers, with the manners of the shop: its headers, its errors, its HEAD and OPTIONS.

use std::time::Instant;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, CACHE_CONTROL, CONTENT_LENGTH,
    CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use crate::catalogue::{Catalogue, Item};
use crate::query::{Query, path};

const PATH: &str = "/api/search";
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
const ANYBODY: HeaderValue = HeaderValue::from_static("*");
const X_SHOP_VERSION: HeaderName = HeaderName::from_static("x-shop-version");

pub(crate) fn answer<B>(catalogue: &Catalogue, request: &Request<B>) -> Response<Full<Bytes>> {
    if path(request.uri().path()) != PATH {
        return refusal(StatusCode::NOT_FOUND, "not found");
    }
    let mut response = match *request.method() {
        Method::GET | Method::HEAD => {
            let query = Query::new(request.uri().query().unwrap_or_default());
            search(catalogue, &query).unwrap_or_else(|message| refusal(StatusCode::BAD_REQUEST, message))
        }
        Method::OPTIONS => options(request),
        _ => {
            let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
            response.headers_mut().insert(ALLOW, METHODS);
            response
        }
    };
    if request.method() == Method::HEAD {
        *response.body_mut() = Full::default();
    }
    response
}

/// In the order in which the shop writes them.
#[derive(Serialize)]
struct Found<'a> {
    query: &'a str,
    page: i64,
    per_page: i64,
    total: usize,
    items: Vec<Item<'a>>,
    took_ms: f64,
}

fn search(catalogue: &Catalogue, query: &Query) -> Result<Response<Full<Bytes>>, &'static str> {
    let since = Instant::now();
    let page = query.integer("page", 1).filter(|page| *page >= 1).ok_or("bad page")?;
    let per_page = query.integer("per_page", 20).filter(|n| (1..=100).contains(n)).ok_or("bad per_page")?;
    let words = query.text("q");
    let found = catalogue.search(&words);
    let before = usize::try_from((page - 1) * per_page).unwrap_or(usize::MAX);
    let at_most = usize::try_from(per_page).unwrap_or(usize::MAX);
    let total = found.len();
    let items = found.into_iter().skip(before).take(at_most).collect();
    let took_ms = (since.elapsed().as_secs_f64() * 1e5).round() / 100.0;
    Ok(json(StatusCode::OK, &Found { query: &words, page, per_page, total, items, took_ms }))
}

fn refusal(status: StatusCode, message: &'static str) -> Response<Full<Bytes>> {
    #[derive(Serialize)]
    struct Refusal {
        error: &'static str,
    }
    json(status, &Refusal { error: message })
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    // Structs of texts and finite numbers always have a JSON form.
    let body = serde_json::to_vec(value).unwrap_or_default();
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANYBODY);
    headers.insert(X_SHOP_VERSION, HeaderValue::from_static("4.7.2"));
    headers.insert(CONTENT_LENGTH, length);
    response
}

fn options<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ALLOW, METHODS);
    if request.headers().get(ORIGIN).is_some_and(|origin| !origin.is_empty()) {
        let asked = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS).cloned();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANYBODY);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HeaderValue::from_static("")));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}
