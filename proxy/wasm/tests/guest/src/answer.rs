//! Small words for answering.

use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam, Scheme,
};
use wasip2::io::streams::OutputStream;

/// An answer's body on its way.
pub struct Body {
    body: OutgoingBody,
    stream: OutputStream,
}

impl Body {
    pub fn begin(out: ResponseOutparam, head: OutgoingResponse) -> Self {
        let body = head.body().unwrap();
        ResponseOutparam::set(out, Ok(head));
        let stream = body.write().unwrap();
        Self { body, stream }
    }

    pub fn write(&self, bytes: &[u8]) {
        for chunk in bytes.chunks(4096) {
            self.stream.blocking_write_and_flush(chunk).unwrap();
        }
    }

    pub fn finish(self, trailers: Option<Fields>) {
        drop(self.stream);
        let _ = OutgoingBody::finish(self.body, trailers);
    }
}

pub fn head(status: u16, fields: &[(&str, &str)]) -> OutgoingResponse {
    let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let response = OutgoingResponse::new(Fields::from_list(&fields).unwrap());
    response.set_status_code(status).unwrap();
    response
}

pub fn answer(out: ResponseOutparam, status: u16, text: &str) {
    let body = Body::begin(out, head(status, &[("content-type", "text/plain")]));
    body.write(text.as_bytes());
    body.finish(None);
}

/// What the guest sees of a request, a line each.
pub fn about(request: &IncomingRequest) -> String {
    let scheme = match request.scheme() {
        Some(Scheme::Http) => "http",
        Some(Scheme::Https) => "https",
        _ => "other",
    };
    let authority = request.authority().unwrap_or_default();
    let target = request.path_with_query().unwrap_or_default();
    let mut text = format!("{:?} {scheme} {authority} {target}\n", request.method());
    for (name, value) in request.headers().entries() {
        text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    text
}

pub fn print(stream: &OutputStream, text: &str) {
    for chunk in text.as_bytes().chunks(4096) {
        stream.blocking_write_and_flush(chunk).unwrap();
    }
}
