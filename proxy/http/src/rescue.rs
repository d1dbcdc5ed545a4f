//! The one place where an error becomes an answer.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};

use crate::{Body, Error, ErrorKind, Response};

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// Turns an error into an answer: the status of its kind, `Proxy-Status` (RFC 9209), a problem document
/// (RFC 9457), `Retry-After` where waiting helps. Tells the client nothing of the inside.
pub fn rescue(error: &Error) -> Response {
    let mut response = problem(error.kind());
    let wait = match error.kind() {
        ErrorKind::Overloaded | ErrorKind::FunctionStart => {
            error.retry_after().map_or(1, |wait| wait.as_secs().max(1))
        }
        _ => return response,
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait));
    response
}

/// The answer of a kind of error.
pub fn problem(kind: ErrorKind) -> Response {
    let status = kind.status();
    // Titles are fixed ASCII texts without quotes.
    let document = format!(
        "{{\"type\":\"about:blank\",\"title\":\"{}\",\"status\":{}}}\n",
        kind.title(),
        status.as_u16()
    );
    let mut response = Response::new(Body::from(document));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(format!("starve; error={}", kind.proxy_status())) {
        headers.insert(PROXY_STATUS, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_error_becomes_a_problem_document_that_hides_its_cause() {
        let error = Error::new(ErrorKind::Connect, "connect to 10.0.0.7:3000").with_source("refused by peer");
        let response = rescue(&error);
        assert_eq!(response.status(), 502);
        assert_eq!(response.headers()["proxy-status"], "starve; error=connection_refused");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert!(!format!("{response:?}").contains("10.0.0.7"));
        assert_eq!(error.chain(), "connect to 10.0.0.7:3000: refused by peer");
    }

    #[test]
    fn overload_says_when_to_come_back() {
        let error = Error::new(ErrorKind::Overloaded, "queue full").with_retry_after(Duration::from_secs(3));
        assert_eq!(rescue(&error).headers()[RETRY_AFTER], "3");
        assert!(!rescue(&Error::new(ErrorKind::Connect, "x")).headers().contains_key(RETRY_AFTER));
    }
}
