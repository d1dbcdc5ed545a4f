//! What an answer must be, and the check: status, headers, cookies, and a body that is whole and fits the question.

use std::io::Read;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use crate::connection::RawAnswer;

/// The expectation of one call; `Default` is 200 and nothing more.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Body,
    pub(crate) location: Option<String>,
    /// Headers that must be there and not be empty.
    pub(crate) headers: Vec<&'static str>,
    pub(crate) cookies: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Anything,
    Empty,
    /// A whole page that contains the text.
    Page(String),
    /// A JSON object with these values at these pointers (RFC 6901).
    Json(Vec<(&'static str, Value)>),
    /// A JSON object with a text or a number at this pointer.
    JsonWith(&'static str),
    Text(&'static str),
    Bytes(usize),
    /// So many lines.
    Lines(usize),
    /// So many whole server-sent events.
    Events(usize),
}

impl Default for Expected {
    fn default() -> Self {
        let (headers, cookies) = (Vec::new(), Vec::new());
        Self { status: 200, content_type: None, body: Body::Anything, location: None, headers, cookies }
    }
}

/// An answer that was as expected, decoded.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why an answer counts as failed: a reason from a small set, and the particulars.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) detail: String,
}

impl Failure {
    pub(crate) fn new(reason: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason: reason.into(), detail: detail.into() }
    }
}

impl Expected {
    /// Hold the answer to a call with this method, sent to `authority`, against what was expected.
    pub(crate) fn check(
        &self,
        method: &Method,
        answer: RawAnswer,
        authority: &str,
    ) -> Result<Answer, Failure> {
        if answer.status.as_u16() != self.status {
            let reason = format!("status {} instead of {}", answer.status.as_u16(), self.status);
            return Err(Failure::new(reason, start_of(&answer.body)));
        }
        let header = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
        check_length(method, answer.status, header("content-length"), answer.body.len())?;
        self.check_headers(&answer.headers, authority)?;
        let body = decoded(answer.body, header("content-encoding"))?;
        if method == Method::HEAD {
            Body::Empty.check(&body)?;
        } else {
            self.body.check(&body)?;
        }
        Ok(Answer { headers: answer.headers, body })
    }

    fn check_headers(&self, headers: &HeaderMap, authority: &str) -> Result<(), Failure> {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(wanted) = self.content_type
            && header("content-type") != Some(wanted)
        {
            let detail = format!("{:?} instead of {wanted:?}", header("content-type"));
            return Err(Failure::new("wrong content type", detail));
        }
        if let Some(path) = &self.location {
            let wanted = format!("http://{authority}{path}");
            if !header("location").is_some_and(|location| location.starts_with(&wanted)) {
                let detail = format!("{:?} instead of {wanted:?}", header("location"));
                return Err(Failure::new("wrong location", detail));
            }
        }
        if let Some(missing) = self.headers.iter().find(|&&name| header(name).unwrap_or_default().is_empty())
        {
            return Err(Failure::new("missing header", *missing));
        }
        let set: Vec<&str> =
            headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok()).collect();
        let is_set = |name: &str| {
            set.iter().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')))
        };
        match self.cookies.iter().find(|name| !is_set(name)) {
            Some(missing) => Err(Failure::new("missing cookie", format!("{missing}: {set:?}"))),
            None => Ok(()),
        }
    }
}

impl Body {
    fn check(&self, body: &Bytes) -> Result<(), Failure> {
        let text = || String::from_utf8_lossy(body);
        let good = match self {
            Self::Anything => true,
            Self::Empty => body.is_empty(),
            Self::Page(part) => {
                if !body.ends_with(b"</html>\n") {
                    return Err(Failure::new("page without an end", end_of(body)));
                }
                text().contains(part.as_str())
            }
            Self::Json(values) => return check_json(values, body),
            Self::JsonWith(pointer) => {
                let value: Option<Value> = serde_json::from_slice(body).ok();
                value.is_some_and(|value| {
                    matches!(value.pointer(pointer), Some(Value::String(_) | Value::Number(_)))
                })
            }
            Self::Bytes(count) => body.len() == *count,
            Self::Text(part) => text().contains(part),
            Self::Lines(count) => body.ends_with(b"\n") && text().lines().count() == *count,
            Self::Events(count) => body.ends_with(b"\n\n") && text().matches("\ndata: ").count() == *count,
        };
        if good { Ok(()) } else { Err(Failure::new("wrong body", format!("{self:?}: {}", start_of(body)))) }
    }
}

fn check_json(values: &[(&'static str, Value)], body: &Bytes) -> Result<(), Failure> {
    let found: Value = serde_json::from_slice(body)
        .map_err(|error| Failure::new("body is no JSON", format!("{error}: {}", end_of(body))))?;
    for (pointer, wanted) in values {
        let value = found.pointer(pointer);
        if value != Some(wanted) {
            let detail = format!("{pointer} is {value:?} instead of {wanted}: {}", start_of(body));
            return Err(Failure::new("wrong value in the JSON", detail));
        }
    }
    Ok(())
}

fn check_length(
    method: &Method,
    status: StatusCode,
    declared: Option<&str>,
    received: usize,
) -> Result<(), Failure> {
    let Some(declared) = declared else { return Ok(()) };
    let bodiless = method == Method::HEAD || matches!(status.as_u16(), 204 | 304);
    if bodiless || declared.parse() == Ok(received) {
        Ok(())
    } else {
        Err(Failure::new("truncated body", format!("{received} of {declared} bytes")))
    }
}

fn decoded(body: Bytes, encoding: Option<&str>) -> Result<Bytes, Failure> {
    match encoding {
        // A HEAD answer names the coding but has nothing to decode.
        None => Ok(body),
        Some(_) if body.is_empty() => Ok(body),
        Some("gzip") => {
            let mut plain = Vec::new();
            GzDecoder::new(&body[..])
                .read_to_end(&mut plain)
                .map_err(|error| Failure::new("broken gzip", error.to_string()))?;
            Ok(plain.into())
        }
        Some(other) => Err(Failure::new("unwanted content coding", other)),
    }
}

fn start_of(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned()
}

fn end_of(body: &[u8]) -> String {
    format!("… {}", String::from_utf8_lossy(&body[body.len().saturating_sub(100)..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::call::Call;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> RawAnswer {
        let pairs = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let status = StatusCode::from_u16(status).unwrap();
        RawAnswer { status, headers: pairs.collect(), body: body.to_vec().into(), head_ms: 1.0 }
    }

    fn reason(call: Call, answer: RawAnswer) -> String {
        call.expected
            .check(&call.method, answer, "shop:80")
            .map_or_else(|failure| failure.reason, |_| "good".to_owned())
    }

    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

    #[test]
    fn an_answer_to_another_question_is_a_failure() {
        let call = || Call::new("GET /api/products/{id}", "/api/products/3").json([("/id", json!(3))]);
        assert_eq!(reason(call(), answer(200, &[JSON], br#"{"id":3}"#)), "good");
        assert_eq!(reason(call(), answer(200, &[JSON], br#"{"id":4}"#)), "wrong value in the JSON");
        assert_eq!(reason(call(), answer(200, &[JSON], br#"{"id":3"#)), "body is no JSON");
        assert_eq!(reason(call(), answer(502, &[JSON], br#"{"id":3}"#)), "status 502 instead of 200");
        assert_eq!(reason(call(), answer(200, &[], br#"{"id":3}"#)), "wrong content type");
    }

    #[test]
    fn a_body_shorter_than_declared_is_a_failure_but_not_for_head() {
        let length = ("content-length", "9");
        assert_eq!(reason(Call::new("GET /up", "/up"), answer(200, &[length], b"ok")), "truncated body");
        assert_eq!(reason(Call::new("HEAD /up", "/up"), answer(200, &[length], b"")), "good");
    }

    #[test]
    fn a_location_must_be_absolute_and_on_the_target() {
        let call = || Call::new("POST /cart/add", "/cart/add").redirect("/cart");
        assert_eq!(reason(call(), answer(302, &[("location", "http://shop:80/cart")], b"")), "good");
        assert_eq!(reason(call(), answer(302, &[("location", "http://other/cart")], b"")), "wrong location");
        assert_eq!(reason(call(), answer(302, &[], b"")), "wrong location");
    }

    #[test]
    fn a_cookie_or_header_lost_on_the_way_is_a_failure() {
        let call =
            || Call::new("POST /login", "/login").sets_cookies(&["session", "lang"]).has_header("etag");
        let (session, lang, tag) =
            (("set-cookie", "session=1"), ("set-cookie", "lang=en; Path=/"), ("etag", "x"));
        assert_eq!(reason(call(), answer(200, &[session, lang, tag], b"")), "good");
        assert_eq!(reason(call(), answer(200, &[session, tag], b"")), "missing cookie");
        assert_eq!(reason(call(), answer(200, &[session, lang], b"")), "missing header");
    }

    #[test]
    fn a_page_cut_off_is_a_failure() {
        let html = ("content-type", "text/html; charset=utf-8");
        let call = || Call::new("GET /", "/").page("Welcome");
        assert_eq!(reason(call(), answer(200, &[html], b"Welcome</html>\n")), "good");
        assert_eq!(reason(call(), answer(200, &[html], b"Welcome</ht")), "page without an end");
    }
}
