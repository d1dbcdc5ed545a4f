//! Heads and content on their way out (RFC 9112 §3 to §7).

use bytes::{BufMut as _, Bytes};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HeaderMap, HeaderValue, TE};
use http::{HeaderName, Method, Request, StatusCode, Version, response};
use http_body::SizeHint;
use hyper::ext::ReasonPhrase;
use starve_http::Verbatim;
use starve_http::stream::may_trail;

use crate::date;
use crate::request::number;

/// How the content of a message that is being sent is framed, and what of it is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoder {
    /// There is none, whatever the body says: HEAD, 1xx, 204, 304.
    Nothing,
    Length(u64),
    Chunked,
    UntilClose,
}

/// The content does not have the length that its head said. The connection must not look as if it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content has another length than its head says")]
pub(crate) struct WrongLength;

impl Encoder {
    /// What goes before a piece of content of this length and what behind it.
    pub(crate) fn frame(
        &mut self,
        length: usize,
        before: &mut Vec<u8>,
    ) -> Result<&'static [u8], WrongLength> {
        match self {
            Self::Nothing => Err(WrongLength),
            Self::Length(rest) => {
                *rest = rest.checked_sub(length as u64).ok_or(WrongLength)?;
                Ok(b"")
            }
            Self::UntilClose => Ok(b""),
            Self::Chunked => {
                hexadecimal(length, before);
                before.extend_from_slice(b"\r\n");
                Ok(b"\r\n")
            }
        }
    }

    /// The end of the content.
    pub(crate) fn end(self, trailers: Option<&HeaderMap>, out: &mut Vec<u8>) -> Result<(), WrongLength> {
        match self {
            Self::Nothing | Self::Length(0) | Self::UntilClose => Ok(()),
            Self::Length(_) => Err(WrongLength),
            Self::Chunked => {
                out.extend_from_slice(b"0\r\n");
                if let Some(trailers) = trailers {
                    trailers
                        .iter()
                        .filter(|(name, _)| may_trail(name))
                        .for_each(|(name, value)| field(out, name, value));
                }
                out.extend_from_slice(b"\r\n");
                Ok(())
            }
        }
    }

    /// Whether the last byte has gone out, without a body being asked for its end.
    pub(crate) fn is_complete(self) -> bool {
        matches!(self, Self::Nothing | Self::Length(0))
    }
}

/// Writes an answer's head; what becomes of the connection is said where it is not understood.
pub(crate) fn response(
    head: &response::Parts,
    body: &SizeHint,
    to: Asked,
    keep_alive: bool,
    out: &mut Vec<u8>,
) -> Encoder {
    let encoder = framing_of_response(head, body, to);
    let keep_alive = keep_alive && encoder != Encoder::UntilClose;
    // "A server MUST NOT send" a length with these (RFC 9110 §8.6).
    let takes_no_length = head.status.is_informational() || head.status == StatusCode::NO_CONTENT;
    status_line(head, out);
    for (name, value) in &head.headers {
        let is_ours = *name == CONTENT_LENGTH && (takes_no_length || encoder == Encoder::Chunked);
        if !is_ours && (name != CONNECTION || head.status == StatusCode::SWITCHING_PROTOCOLS) {
            field(out, name, value);
        }
    }
    match encoder {
        Encoder::Length(length) if !head.headers.contains_key(CONTENT_LENGTH) => length_field(length, out),
        Encoder::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        _ => {}
    }
    let verbatim = head.extensions.get::<Verbatim>();
    if let Some(verbatim) = verbatim {
        out.extend_from_slice(&verbatim.lines);
    }
    let has_date = verbatim.is_some_and(|verbatim| verbatim.has_date) || head.headers.contains_key(DATE);
    if !has_date {
        // A recipient with a clock appends what an answer lacks (RFC 9110 §6.6.1).
        date::field(out);
    }
    match (keep_alive, to.version) {
        _ if head.status == StatusCode::SWITCHING_PROTOCOLS => {}
        (false, _) => out.extend_from_slice(b"connection: close\r\n"),
        (true, Version::HTTP_10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (true, _) => {}
    }
    out.extend_from_slice(b"\r\n");
    encoder
}

/// What of the request decides how its answer is framed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) version: Version,
    pub(crate) is_head: bool,
}

fn framing_of_response(head: &response::Parts, body: &SizeHint, to: Asked) -> Encoder {
    let status = head.status;
    if to.is_head
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return Encoder::Nothing;
    }
    match (length_of(&head.headers), body.exact(), to.version) {
        (Some(length), _, _) | (None, Some(length), _) => Encoder::Length(length),
        (None, None, Version::HTTP_10) => Encoder::UntilClose,
        (None, None, _) => Encoder::Chunked,
    }
}

fn length_of(fields: &HeaderMap) -> Option<u64> {
    fields.get(CONTENT_LENGTH).and_then(|value| number(value.as_bytes()))
}

/// Writes an interim answer (1xx other than 101), which has neither content nor a say over the connection.
pub(crate) fn interim(head: &response::Parts, out: &mut Vec<u8>) {
    status_line(head, out);
    let fields = head.headers.iter();
    fields.filter(|(name, _)| may_trail(name)).for_each(|(name, value)| field(out, name, value));
    out.extend_from_slice(b"\r\n");
}

/// Writes a request's head in origin form (RFC 9112 §3.2.1).
pub(crate) fn request<B>(head: &Request<B>, body: &SizeHint, is_empty: bool, out: &mut Vec<u8>) -> Encoder {
    out.extend_from_slice(head.method().as_str().as_bytes());
    out.put_u8(b' ');
    let target = head.uri().path_and_query().map_or("/", |target| target.as_str());
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in head.headers() {
        field(out, name, value);
    }
    if head.headers().contains_key(TE) && !head.headers().contains_key(CONNECTION) {
        // Otherwise a gateway in between would pass it on (RFC 9110 §10.1.4).
        out.extend_from_slice(b"connection: te\r\n");
    }
    let encoder = match (length_of(head.headers()), is_empty, body.exact()) {
        (Some(length), _, _) => Encoder::Length(length),
        (None, true, _) => {
            if matches!(*head.method(), Method::POST | Method::PUT | Method::PATCH) {
                length_field(0, out);
            }
            Encoder::Length(0)
        }
        (None, false, Some(length)) => {
            length_field(length, out);
            Encoder::Length(length)
        }
        (None, false, None) => {
            out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            Encoder::Chunked
        }
    };
    out.extend_from_slice(b"\r\n");
    encoder
}

fn status_line(head: &response::Parts, out: &mut Vec<u8>) {
    let reason = head.extensions.get::<ReasonPhrase>();
    if head.status == StatusCode::OK && reason.is_none() {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.put_u8(b' ');
    match reason {
        Some(reason) => out.extend_from_slice(reason.as_bytes()),
        None => out.extend_from_slice(head.status.canonical_reason().unwrap_or_default().as_bytes()),
    }
    out.extend_from_slice(b"\r\n");
}

fn field(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn length_field(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(length.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn hexadecimal(length: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(length >> (digit * 4)) & 15]);
    }
}

/// A piece of content, framed as one run of bytes. For pieces that are small enough to be copied.
pub(crate) fn copied(encoder: &mut Encoder, piece: &Bytes, out: &mut Vec<u8>) -> Result<(), WrongLength> {
    let behind = encoder.frame(piece.len(), out)?;
    out.extend_from_slice(piece);
    out.extend_from_slice(behind);
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn answered(response: Response<()>, body: SizeHint, to: Asked, keep_alive: bool) -> (String, Encoder) {
        let (head, ()) = response.into_parts();
        let mut out = Vec::new();
        let encoder = super::response(&head, &body, to, keep_alive, &mut out);
        (String::from_utf8(out).unwrap(), encoder)
    }

    const GET_11: Asked = Asked { version: Version::HTTP_11, is_head: false };
    const GET_10: Asked = Asked { version: Version::HTTP_10, is_head: false };

    #[test]
    fn content_of_unknown_length_is_chunked_or_ends_with_the_connection() {
        let response = || Response::builder().header("date", "x").body(()).unwrap();
        let (text, encoder) = answered(response(), SizeHint::default(), GET_11, true);
        assert_eq!(text, "HTTP/1.1 200 OK\r\ndate: x\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(encoder, Encoder::Chunked);
        let (text, encoder) = answered(response(), SizeHint::default(), GET_10, true);
        assert_eq!(text, "HTTP/1.1 200 OK\r\ndate: x\r\nconnection: close\r\n\r\n");
        assert_eq!(encoder, Encoder::UntilClose);
    }

    #[test]
    fn a_known_length_is_said_once() {
        let response =
            Response::builder().header("date", "x").header("content-length", "3").body(()).unwrap();
        let (text, encoder) = answered(response, SizeHint::default(), GET_10, true);
        assert_eq!(text, "HTTP/1.1 200 OK\r\ndate: x\r\ncontent-length: 3\r\nconnection: keep-alive\r\n\r\n");
        assert_eq!(encoder, Encoder::Length(3));
        let response = Response::builder().status(204).header("date", "x").header("content-length", "0");
        let (text, encoder) = answered(response.body(()).unwrap(), SizeHint::with_exact(0), GET_11, false);
        assert_eq!(text, "HTTP/1.1 204 No Content\r\ndate: x\r\nconnection: close\r\n\r\n");
        assert_eq!(encoder, Encoder::Nothing);
    }

    #[test]
    fn chunks_are_framed_and_content_of_a_wrong_length_is_noticed() {
        let mut out = Vec::new();
        let mut encoder = Encoder::Chunked;
        for length in [1_usize, 15, 16, 255, 4_096] {
            out.clear();
            copied(&mut encoder, &Bytes::from(vec![b'x'; length]), &mut out).unwrap();
            assert!(out.starts_with(format!("{length:x}\r\nx").as_bytes()));
            assert!(out.ends_with(b"x\r\n"));
        }
        out.clear();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        trailers.insert(CONTENT_LENGTH, HeaderValue::from_static("1"));
        encoder.end(Some(&trailers), &mut out).unwrap();
        assert_eq!(out, b"0\r\nx-sum: 1\r\n\r\n");

        let mut encoder = Encoder::Length(3);
        assert_eq!(copied(&mut encoder, &Bytes::from_static(b"four"), &mut out), Err(WrongLength));
        assert_eq!(Encoder::Length(1).end(None, &mut out), Err(WrongLength));
    }

    #[test]
    fn a_request_s_head_says_its_length_where_the_method_expects_one() {
        let text = |request: http::request::Builder, body: SizeHint, is_empty| {
            let mut out = Vec::new();
            super::request(&request.body(()).unwrap(), &body, is_empty, &mut out);
            String::from_utf8(out).unwrap()
        };
        let none = SizeHint::with_exact(0);
        assert_eq!(text(Request::get("http://a/x?y"), none, true), "GET /x?y HTTP/1.1\r\n\r\n");
        assert_eq!(text(Request::post("/x"), none, true), "POST /x HTTP/1.1\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(
            text(Request::put("/x").header("te", "trailers"), SizeHint::default(), false),
            "PUT /x HTTP/1.1\r\nte: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        assert_eq!(text(Request::options("*"), SizeHint::with_exact(0), true), "OPTIONS * HTTP/1.1\r\n\r\n");
    }
}
