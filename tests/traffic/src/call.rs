//! One call: what is sent, and what is expected of the answer. A call that expects little proves little.

use http::Method;
use serde_json::Value;

use crate::{
    expected::{Body, Expected},
    payload::Payload,
};

/// A call, built by `Call::new(kind, path)` and what follows it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// `METHOD /template`: what it is counted as.
    pub(crate) kind: &'static str,
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) payload: Payload,
    pub(crate) expected: Expected,
}

impl Call {
    /// The method is the kind's first word. Expects 200 until told otherwise.
    #[expect(clippy::expect_used, reason = "kinds are literals of this crate, all of them sent by its tests")]
    pub(crate) fn new(kind: &'static str, path: impl Into<String>) -> Self {
        let (method, _) = kind.split_once(' ').expect("a kind is a method and a template");
        Self {
            kind,
            method: method.parse().expect("a kind begins with a method"),
            path: path.into(),
            headers: Vec::new(),
            payload: Payload::default(),
            expected: Expected::default(),
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.body("application/x-www-form-urlencoded", Payload::whole(pairs.join("&")))
    }

    pub(crate) fn send_json(self, value: &Value) -> Self {
        self.body("application/json", Payload::whole(value.to_string()))
    }

    pub(crate) fn body(mut self, content_type: &'static str, payload: Payload) -> Self {
        self.payload = payload;
        self.header("content-type", content_type)
    }

    pub(crate) fn multipart(mut self, payload: Payload, boundary: &str) -> Self {
        self.payload = payload;
        self.header("content-type", format!("multipart/form-data; boundary={boundary}"))
    }

    // What is expected

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.expected.status = status;
        self
    }

    /// A whole HTML page that contains `text`.
    pub(crate) fn page(mut self, text: impl Into<String>) -> Self {
        self.expected.body = Body::Page(text.into());
        self.content_type("text/html; charset=utf-8")
    }

    /// A JSON object with these values at these pointers.
    pub(crate) fn json<const N: usize>(mut self, values: [(&'static str, Value); N]) -> Self {
        self.expected.body = Body::Json(values.into());
        self.content_type("application/json; charset=utf-8")
    }

    /// A JSON object with a text or a number at this pointer, whatever it is.
    pub(crate) fn json_with(mut self, pointer: &'static str) -> Self {
        self.expected.body = Body::JsonWith(pointer);
        self.content_type("application/json; charset=utf-8")
    }

    /// The error object of the shop's API.
    pub(crate) fn error(self, status: u16, message: &str) -> Self {
        self.status(status).json([("/error", message.into())])
    }

    /// 302 to an absolute location on the target that begins with `path`.
    pub(crate) fn redirect(self, path: &str) -> Self {
        self.location(path).empty().status(302)
    }

    /// An absolute location on the target that begins with `path`.
    pub(crate) fn location(mut self, path: &str) -> Self {
        self.expected.location = Some(path.to_owned());
        self
    }

    /// A header that must be there and not be empty.
    pub(crate) fn has_header(mut self, name: &'static str) -> Self {
        self.expected.headers.push(name);
        self
    }

    /// Cookies that must be set, each by a Set-Cookie of its own.
    pub(crate) fn sets_cookies(mut self, names: &[&'static str]) -> Self {
        self.expected.cookies.extend(names);
        self
    }

    pub(crate) fn bytes(mut self, count: usize) -> Self {
        self.expected.body = Body::Bytes(count);
        self
    }

    pub(crate) fn empty(mut self) -> Self {
        self.expected.body = Body::Empty;
        self
    }

    pub(crate) fn text(mut self, content_type: &'static str, part: &'static str) -> Self {
        self.expected.body = Body::Text(part);
        self.content_type(content_type)
    }

    pub(crate) fn lines(mut self, content_type: &'static str, count: usize) -> Self {
        self.expected.body = Body::Lines(count);
        self.content_type(content_type)
    }

    pub(crate) fn events(mut self, count: usize) -> Self {
        self.expected.body = Body::Events(count);
        self.content_type("text/event-stream")
    }

    pub(crate) fn content_type(mut self, content_type: &'static str) -> Self {
        self.expected.content_type = Some(content_type);
        self
    }
}

/// A query or form value, percent-encoded.
pub(crate) fn encoded(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            b' ' => "+".to_owned(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_values_are_encoded() {
        assert_eq!(encoded("anna weber+1@example.com ü"), "anna+weber%2B1%40example.com+%C3%BC");
    }
}
