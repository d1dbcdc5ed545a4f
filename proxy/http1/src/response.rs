//! The head of an answer, from a server's bytes (RFC 9112 §4, §5, §6).
//!
//! More is forgiven here than in a request: an old application must go on working, and no other parser reads
//! these bytes again. What it says about its length is taken as strictly.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Response, StatusCode, Version, response};
use hyper::ext::ReasonPhrase;
use starve_http::present::{self, Present};

use crate::client::Fields;
use crate::decode::Decoder;
use crate::request::{keeps_alive, number};
use crate::scan::{self, EndScan, Lines};
use crate::verbatim;

/// Why an answer cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseFault {
    #[error("no status line of HTTP/1.x")]
    StatusLine,
    #[error("a malformed field")]
    Field,
    #[error("a head larger than {HEAD_BYTES_MAX} bytes")]
    TooLarge,
    #[error("a length that can be read in two ways")]
    Framing,
    #[error("interim answers without end")]
    TooManyInterim,
}

/// Largest head of an answer.
pub(crate) const HEAD_BYTES_MAX: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) parts: response::Parts,
    pub(crate) decoder: Decoder,
    pub(crate) keep_alive: bool,
}

/// Takes one head from the front of `data`, when it is there as a whole, with its fields in the form that is wanted.
pub(crate) fn take(
    data: &mut BytesMut,
    scan: &mut EndScan,
    method: &Method,
    form: Fields,
) -> Result<Option<ResponseHead>, ResponseFault> {
    if !b"HTTP/1.".starts_with(&data[..data.len().min(7)]) {
        return Err(ResponseFault::StatusLine);
    }
    // Most heads come in one piece; one that does not is not looked at again from its beginning.
    if form == Fields::Verbatim
        && scan.is_fresh()
        && let Some(head) = verbatim::take(data, method)
    {
        return Ok(Some(head));
    }
    let end = match scan.find(data, Lines::Lenient).map_err(|_| ResponseFault::Field)? {
        Some(end) if end <= HEAD_BYTES_MAX => end,
        None if data.len() <= HEAD_BYTES_MAX => return Ok(None),
        _ => return Err(ResponseFault::TooLarge),
    };
    scan.reset();
    // A copy of its own: the buffer stays free for the body, and the head does not keep it alive.
    let head = Bytes::copy_from_slice(&data[..end]);
    bytes::Buf::advance(data, end);
    parse(&head, method).map(Some)
}

fn parse(head: &Bytes, method: &Method) -> Result<ResponseHead, ResponseFault> {
    let (line, fields_at) = scan::line(head, 0).ok_or(ResponseFault::StatusLine)?;
    let (version, status, reason) = status_line(line)?;
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.headers = scan::fields(head, fields_at, Lines::Lenient).map_err(|_| ResponseFault::Field)?;
    parts.status = status;
    parts.version = version;
    if !reason.is_empty()
        && status.canonical_reason().is_none_or(|usual| usual.as_bytes() != reason)
        && let Ok(reason) = ReasonPhrase::try_from(reason)
    {
        parts.extensions.insert(reason);
    }
    let present = Present::of(&parts.headers);
    let keep_alive = keeps_alive(&parts.headers, present, version);
    let (decoder, is_doubtful) = framing(&mut parts.headers, present, status, method)?;
    let ends_with_connection = decoder == Decoder::until_close();
    Ok(ResponseHead { parts, decoder, keep_alive: keep_alive && !is_doubtful && !ends_with_connection })
}

/// `version SP status [SP reason]`; the second space is missing from some.
pub(crate) fn status_line(line: &[u8]) -> Result<(Version, StatusCode, &[u8]), ResponseFault> {
    let version = match line.get(..9) {
        Some(b"HTTP/1.1 ") => Version::HTTP_11,
        Some(b"HTTP/1.0 ") => Version::HTTP_10,
        _ => return Err(ResponseFault::StatusLine),
    };
    let (code, rest) = line[9..].split_at_checked(3).ok_or(ResponseFault::StatusLine)?;
    let status = StatusCode::from_bytes(code).map_err(|_| ResponseFault::StatusLine)?;
    match rest {
        [] => Ok((version, status, rest)),
        [b' ', reason @ ..] => Ok((version, status, reason)),
        _ => Err(ResponseFault::StatusLine),
    }
}

/// How long the body is (RFC 9112 §6.3), and whether the connection is better not used again.
fn framing(
    fields: &mut HeaderMap,
    present: Present,
    status: StatusCode,
    method: &Method,
) -> Result<(Decoder, bool), ResponseFault> {
    let has_none = *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if present.has(present::TRANSFER_ENCODING) {
        let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
        let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
        if !codings.next().is_some_and(is_chunked) || codings.next().is_some() {
            return Err(ResponseFault::Framing);
        }
        // "the Transfer-Encoding overrides the Content-Length"; such a message is suspicious.
        let both = fields.remove(CONTENT_LENGTH).is_some();
        return Ok((if has_none { Decoder::empty() } else { Decoder::chunked() }, both));
    }
    let length = if present.has(present::CONTENT_LENGTH) { length(fields)? } else { None };
    Ok(match length {
        _ if has_none => (Decoder::empty(), false),
        Some(length) => (Decoder::length(length), false),
        None => (Decoder::until_close(), false),
    })
}

/// Several lengths that agree are taken as one (RFC 9110 §8.6).
fn length(fields: &mut HeaderMap) -> Result<Option<u64>, ResponseFault> {
    let mut found = None;
    let mut count = 0;
    for value in fields.get_all(CONTENT_LENGTH) {
        for one in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let one = number(one).ok_or(ResponseFault::Framing)?;
            if found.is_some_and(|found| found != one) {
                return Err(ResponseFault::Framing);
            }
            found = Some(one);
            count += 1;
        }
    }
    if let Some(length) = found.filter(|_| count > 1) {
        fields.insert(CONTENT_LENGTH, length.into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(text: &str, method: &Method) -> Result<Option<ResponseHead>, ResponseFault> {
        take(&mut BytesMut::from(text), &mut EndScan::default(), method, Fields::Parsed)
    }

    #[test]
    fn the_length_follows_status_method_and_fields() {
        for (status, method, fields, expected) in [
            ("200 OK", Method::GET, "Content-Length: 3\r\n", Decoder::length(3)),
            ("200 OK", Method::GET, "Content-Length: 3, 3\r\nContent-Length: 3\r\n", Decoder::length(3)),
            ("200 OK", Method::HEAD, "Content-Length: 3\r\n", Decoder::empty()),
            ("204 No Content", Method::GET, "Content-Length: 3\r\n", Decoder::empty()),
            ("304 Not Modified", Method::GET, "Transfer-Encoding: chunked\r\n", Decoder::empty()),
            ("200", Method::GET, "Transfer-Encoding: Chunked\r\n", Decoder::chunked()),
            ("200 OK", Method::GET, "", Decoder::until_close()),
        ] {
            let text = format!("HTTP/1.1 {status}\r\n{fields}\r\n");
            assert_eq!(take_all(&text, &method).unwrap().unwrap().decoder, expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_a_fault() {
        for (text, fault) in [
            ("SSH-2.0-x\r\n", ResponseFault::StatusLine),
            ("HTTP/2.0 200 OK\r\n\r\n", ResponseFault::StatusLine),
            ("HTTP/1.1 2000 OK\r\n\r\n", ResponseFault::StatusLine),
            ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", ResponseFault::Field),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", ResponseFault::Framing),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ResponseFault::Framing),
        ] {
            assert_eq!(take_all(text, &Method::GET).err(), Some(fault), "{text}");
        }
    }

    #[test]
    fn a_chunked_answer_with_a_length_loses_it_and_its_connection() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        let head = take_all(text, &Method::GET).unwrap().unwrap();
        assert!(!head.keep_alive && !head.parts.headers.contains_key(CONTENT_LENGTH));
    }

    #[test]
    fn an_unusual_reason_is_kept() {
        let head = take_all("HTTP/1.1 200 Fine\r\n\r\n", &Method::GET).unwrap().unwrap();
        assert_eq!(head.parts.extensions.get::<ReasonPhrase>().unwrap().as_bytes(), b"Fine");
    }
}
