//! The head of a request, from a client's bytes (RFC 9112 §3, §5, §6). What could be read in two ways is refused.

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, TRANSFER_ENCODING};
use http::{Method, Request, Uri, Version, request};
use memchr::memchr;
use starve_http::present::{self, Present};

use crate::decode::Decoder;
use crate::scan::{self, EndScan, FieldFault, Lines};

/// Why a head is refused; each is counted and answered for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFault {
    /// Neither a request line nor a field: 400.
    Malformed,
    /// A line feed without its carriage return: 400.
    LineEnd,
    /// `Content-Length` or `Transfer-Encoding` that could be read in two ways: 400.
    Framing,
    /// A target that is none, or with a fragment, which is the client's own business (RFC 9110 §7.1): 400.
    Target,
    /// Longer than the limit, with no end of the request line in sight: 414.
    TargetTooLong,
    /// More bytes or fields than the limit: 431.
    TooLarge,
    /// A major version that is not 1: 505.
    Version,
}

/// A request's head with what the connection has to know of it.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) parts: request::Parts,
    pub(crate) decoder: Decoder,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    pub(crate) wants_upgrade: bool,
}

/// Takes one head from the front of `data`, when it is there as a whole.
pub(crate) fn take(
    data: &mut BytesMut,
    scan: &mut EndScan,
    bytes_max: usize,
) -> Result<Option<RequestHead>, RequestFault> {
    // "SHOULD ignore at least one empty line (CRLF) received prior to the request-line" (RFC 9112 §2.2).
    while data.starts_with(b"\r\n") {
        data.advance(2);
        scan.reset();
    }
    let end = match scan.find(data, Lines::Strict).map_err(|_| RequestFault::LineEnd)? {
        Some(end) if end <= bytes_max => end,
        None if data.len() <= bytes_max => return Ok(None),
        _ if memchr(b'\n', &data[..data.len().min(bytes_max)]).is_none() => {
            return Err(RequestFault::TargetTooLong);
        }
        _ => return Err(RequestFault::TooLarge),
    };
    scan.reset();
    let head = if end == data.len() { std::mem::take(data) } else { data.split_to(end) };
    parse(&head.freeze()).map(Some)
}

fn parse(head: &Bytes) -> Result<RequestHead, RequestFault> {
    let (line, fields_at) = scan::line(head, 0).ok_or(RequestFault::Malformed)?;
    let (method, uri, version) = request_line(head, line)?;
    let fields = scan::fields(head, fields_at, Lines::Strict).map_err(|fault| match fault {
        FieldFault::Malformed => RequestFault::Malformed,
        FieldFault::TooMany => RequestFault::TooLarge,
    })?;
    let present = Present::of(&fields);
    let has_framing = present.has(present::CONTENT_LENGTH | present::TRANSFER_ENCODING);
    let decoder = if has_framing { framing(&fields, version)? } else { Decoder::empty() };
    let is_11 = version == Version::HTTP_11;
    let keep_alive = keeps_alive(&fields, present, version);
    let expects_continue = is_11
        && present.has(present::EXPECT)
        && fields.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let wants_upgrade = is_11 && present.has(present::UPGRADE);
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = method;
    parts.uri = uri;
    parts.version = version;
    parts.headers = fields;
    Ok(RequestHead { parts, decoder, keep_alive, expects_continue, wants_upgrade })
}

/// `method SP target SP version`, with exactly these two spaces.
fn request_line(head: &Bytes, line: &[u8]) -> Result<(Method, Uri, Version), RequestFault> {
    let method_end = memchr(b' ', line).ok_or(RequestFault::Malformed)?;
    let rest = &line[method_end + 1..];
    let target_end = method_end + 1 + memchr(b' ', rest).ok_or(RequestFault::Malformed)?;
    let version = match &line[target_end + 1..] {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        [b'H', b'T', b'T', b'P', b'/', b'0' | b'2'..=b'9', b'.', b'0'..=b'9'] => {
            return Err(RequestFault::Version);
        }
        _ => return Err(RequestFault::Malformed),
    };
    let method = Method::from_bytes(&line[..method_end]).map_err(|_| RequestFault::Malformed)?;
    let target = head.slice(method_end + 1..target_end);
    // The parser of targets would cut a fragment off in silence.
    if memchr(b'#', &target).is_some() {
        return Err(RequestFault::Target);
    }
    let uri = Uri::from_maybe_shared(target).map_err(|_| RequestFault::Target)?;
    Ok((method, uri, version))
}

/// How long the body is (RFC 9112 §6.3). Both fields, several of one of them, or anything but a plain number
/// or `chunked` is refused (§6.1, §11.2).
fn framing(fields: &HeaderMap, version: Version) -> Result<Decoder, RequestFault> {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(Decoder::empty()),
        (Some(length), None) if lengths.next().is_none() => {
            number(length.as_bytes()).map(Decoder::length).ok_or(RequestFault::Framing)
        }
        (None, Some(coding)) if codings.next().is_none() => {
            let is_chunked = coding.as_bytes().eq_ignore_ascii_case(b"chunked");
            // HTTP/1.0 knows no chunks: "treat the message as if the framing is faulty" (§6.1).
            if is_chunked && version == Version::HTTP_11 {
                Ok(Decoder::chunked())
            } else {
                Err(RequestFault::Framing)
            }
        }
        _ => Err(RequestFault::Framing),
    }
}

/// Digits only; no sign, no list, nothing beyond 64 bits.
pub(crate) fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Whether the connection outlives the exchange (RFC 9112 §9.3).
pub(crate) fn keeps_alive(fields: &HeaderMap, present: Present, version: Version) -> bool {
    if !present.has(present::CONNECTION) {
        return version == Version::HTTP_11;
    }
    let mut options = Options { close: false, keep_alive: false };
    for value in fields.get_all(CONNECTION) {
        options.read(value.as_bytes());
    }
    !options.close && (version == Version::HTTP_11 || options.keep_alive)
}

struct Options {
    close: bool,
    keep_alive: bool,
}

impl Options {
    fn read(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(text: &[u8]) -> Result<Option<RequestHead>, RequestFault> {
        take(&mut BytesMut::from(text), &mut EndScan::default(), 1_024)
    }

    #[track_caller]
    fn taken(text: &str) -> RequestHead {
        take_all(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_head_is_taken_and_what_follows_stays() {
        let mut data = BytesMut::from("\r\nPOST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET");
        let head = take(&mut data, &mut EndScan::default(), 1_024).unwrap().unwrap();
        assert_eq!((head.parts.method, head.parts.uri.path()), (Method::POST, "/a"));
        assert_eq!(head.decoder, Decoder::length(3));
        assert_eq!(&data[..], b"abcGET");
    }

    #[test]
    fn the_end_of_the_connection_follows_version_and_options() {
        for (fields, version, expected) in [
            ("", "1.1", true),
            ("", "1.0", false),
            ("Connection: close\r\n", "1.1", false),
            ("Connection: x, Close\r\n", "1.1", false),
            ("Connection: Keep-Alive\r\n", "1.0", true),
            ("Connection: keep-alive\r\nConnection: close\r\n", "1.0", false),
        ] {
            let head = taken(&format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n"));
            assert_eq!(head.keep_alive, expected, "{fields} in {version}");
        }
    }

    #[test]
    fn ambiguous_heads_are_refused_by_their_reason() {
        for (line, fields, fault) in [
            ("GET /a#b HTTP/1.1", "", RequestFault::Target),
            ("GET a HTTP/1.1", "Content-Length: 1\r\nContent-Length: 1\r\n", RequestFault::Framing),
            ("GET /a HTTP/2.0", "", RequestFault::Version),
            ("GET /a HTTP/1.9", "", RequestFault::Malformed),
            ("GET /a", "", RequestFault::Malformed),
            ("GET  /a HTTP/1.1", "", RequestFault::Malformed),
            ("GET /a b HTTP/1.1", "", RequestFault::Malformed),
            ("G\u{e4}T /a HTTP/1.1", "", RequestFault::Malformed),
            ("GET /a HTTP/1.1", "Host : a\r\n", RequestFault::Malformed),
            ("GET /a HTTP/1.1", "X: a\rb\r\n", RequestFault::Malformed),
            ("GET /a HTTP/1.1", "X: a\0b\r\n", RequestFault::Malformed),
            ("GET /a HTTP/1.1", "X: a\nY: b\r\n", RequestFault::LineEnd),
            ("GET /a HTTP/1.1", "Transfer-Encoding: gzip, chunked\r\n", RequestFault::Framing),
            ("GET /a HTTP/1.0", "Transfer-Encoding: chunked\r\n", RequestFault::Framing),
            ("GET /a HTTP/1.1", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", RequestFault::Framing),
            ("GET /a HTTP/1.1", "Content-Length: 18446744073709551616\r\n", RequestFault::Framing),
            ("GET /a HTTP/1.1", "Content-Length: +1\r\n", RequestFault::Framing),
            ("GET /a HTTP/1.1", "Content-Length:\r\n", RequestFault::Framing),
        ] {
            let text = format!("{line}\r\n{fields}\r\n");
            assert_eq!(take_all(text.as_bytes()).err(), Some(fault), "{text}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused_as_what_it_is() {
        let long = "x".repeat(2_000);
        assert_eq!(take_all(format!("GET /{long}").as_bytes()).err(), Some(RequestFault::TargetTooLong));
        let text = format!("GET / HTTP/1.1\r\nx: {long}");
        assert_eq!(take_all(text.as_bytes()).err(), Some(RequestFault::TooLarge));
        assert!(take_all(b"GET /").unwrap().is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes: Vec<u8>, cut in 0..64_usize) {
            let mut data = BytesMut::new();
            let mut scan = EndScan::default();
            for piece in bytes.chunks(cut.max(1)) {
                data.extend_from_slice(piece);
                if take(&mut data, &mut scan, 1_024).is_err() {
                    break;
                }
            }
        }
    }
}
