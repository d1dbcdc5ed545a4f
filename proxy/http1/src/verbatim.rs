//! The head of an answer that is passed on as it is: checked and copied in one pass, without a map of its fields.
//!
//! Only what is plain is taken here. Anything that needs a second look is left to the full parser of
//! [`response`](crate::response), which alone decides what an answer means and what is refused.

use std::ops::Range;

use bytes::{Buf as _, BytesMut};
use http::{Method, Response, StatusCode, Version};
use memchr::memchr;
use starve_http::Verbatim;

use crate::decode::Decoder;
use crate::request::number;
use crate::response::{HEAD_BYTES_MAX, ResponseHead, status_line};
use crate::scan::FIELDS_MAX;

/// Takes one head from the front of `data`, if it is a plain one and there as a whole.
pub(crate) fn take(data: &mut BytesMut, method: &Method) -> Option<ResponseHead> {
    let (head, end) = parse(&data[..data.len().min(HEAD_BYTES_MAX)], method)?;
    data.advance(end);
    Some(head)
}

/// A head and its length.
fn parse(data: &[u8], method: &Method) -> Option<(ResponseHead, usize)> {
    let line = line(data, 0)?;
    let (version, status, reason) = status_line(&data[line.clone()]).ok()?;
    let is_usual = reason.is_empty() || status.canonical_reason().is_some_and(|it| it.as_bytes() == reason);
    if !is_plain(status, method) || !is_usual {
        return None;
    }
    let fields = Fields::read(data, line.end + 2)?;
    let decoder = match (fields.length, fields.is_chunked) {
        (Some(length), false) => Decoder::length(length),
        (None, true) => Decoder::chunked(),
        _ => return None,
    };
    let keep_alive = !fields.closes && (version == Version::HTTP_11 || fields.keeps);
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.version = version;
    parts.extensions.insert(Verbatim { lines: fields.lines, has_date: fields.has_date });
    Some((ResponseHead { parts, decoder, keep_alive }, fields.end))
}

/// Final, with content to come, and not of a kind whose fields are looked at on the way.
fn is_plain(status: StatusCode, method: &Method) -> bool {
    *method != Method::HEAD
        && !status.is_informational()
        && status != StatusCode::NO_CONTENT
        && !status.is_redirection()
}

/// No control characters (RFC 9110 §5.5), eight bytes at a time; the tab, which may be there, is rare enough for the
/// full parser. The arithmetic is that of Anderson's "Bit Twiddling Hacks", "Determine if a word has a byte less than n".
fn is_text(value: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let (words, rest) = value.as_chunks::<8>();
    let bad = words.iter().fold(0, |bad, word| {
        let word = u64::from_ne_bytes(*word);
        let delete = word ^ (ONES * 0x7f);
        let below_blank = word.wrapping_sub(ONES * 0x20) & !word;
        bad | below_blank | (delete.wrapping_sub(ONES) & !delete)
    });
    bad & HIGH == 0 && rest.iter().all(|byte| *byte >= b' ' && *byte != 0x7f)
}

/// Where the line that begins there stands, without its end, which must be a whole one.
fn line(head: &[u8], from: usize) -> Option<Range<usize>> {
    let end = from + memchr(b'\n', head.get(from..)?)?;
    let end = end.checked_sub(1).filter(|end| *end >= from && head[*end] == b'\r')?;
    Some(from..end)
}

/// For the fields of most answers. What is read with them may be a lot of content.
const ROOM_MAX: usize = 512;

#[derive(Default)]
struct Fields {
    lines: Vec<u8>,
    has_date: bool,
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    keeps: bool,
    /// Where the content begins.
    end: usize,
}

impl Fields {
    /// The lines from `at` to the empty one. `None` where any needs a closer look.
    fn read(head: &[u8], mut at: usize) -> Option<Self> {
        let room = (head.len() - at).min(ROOM_MAX);
        let mut fields = Self { lines: Vec::with_capacity(room), ..Self::default() };
        // What goes on from there is copied when something in between does not.
        let mut from = at;
        for _ in 0..=FIELDS_MAX {
            let line = line(head, at)?;
            let next = line.end + 2;
            if line.is_empty() {
                fields.lines.extend_from_slice(&head[from..at]);
                fields.end = next;
                return Some(fields);
            }
            if !fields.goes_on(&head[line])? {
                fields.lines.extend_from_slice(&head[from..at]);
                from = next;
            }
            at = next;
        }
        None
    }

    /// Whether a field is one for the client. The form must be the usual one, with one blank behind the colon.
    fn goes_on(&mut self, line: &[u8]) -> Option<bool> {
        let colon = line.iter().position(|byte| !TOKEN[usize::from(*byte)])?;
        let (name, value) = (&line[..colon], line[colon..].strip_prefix(b": ")?);
        let is_trimmed = |end: Option<&u8>| end.is_some_and(|byte| *byte != b' ');
        if name.is_empty() || !is_trimmed(value.first()) || !is_trimmed(value.last()) || !is_text(value) {
            return None;
        }
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            10 if is(b"connection") => self.connection(value)?,
            10 if is(b"keep-alive") => {}
            14 if is(b"content-length") => {
                if self.length.replace(number(value)?).is_some() {
                    return None;
                }
            }
            17 if is(b"transfer-encoding") => {
                let is_known = value.eq_ignore_ascii_case(b"chunked");
                if !is_known || std::mem::replace(&mut self.is_chunked, true) {
                    return None;
                }
            }
            2 if is(b"te") => return None,
            7 if is(b"upgrade") => return None,
            16 if is(b"proxy-connection") => return None,
            length => {
                self.has_date |= length == 4 && is(b"date");
                return Some(true);
            }
        }
        Some(false)
    }

    /// Options that name other fields are for the full parser.
    fn connection(&mut self, value: &[u8]) -> Option<()> {
        if value.eq_ignore_ascii_case(b"keep-alive") {
            self.keeps = true;
        } else if value.eq_ignore_ascii_case(b"close") {
            self.closes = true;
        } else {
            return None;
        }
        Some(())
    }
}

/// The characters of a field's name (RFC 9110 §5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let others = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < 256 {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use http::header::{CONNECTION, HeaderMap};
    use proptest::prelude::*;

    use super::*;
    use crate::client::Fields as Form;
    use crate::response;
    use crate::scan::EndScan;

    fn taken(text: &str) -> Option<(String, ResponseHead)> {
        let mut data = BytesMut::from(text);
        let head = take(&mut data, &Method::GET)?;
        assert!(data.is_empty());
        let lines = head.parts.extensions.get::<Verbatim>().unwrap().lines.clone();
        Some((String::from_utf8(lines).unwrap(), head))
    }

    #[test]
    fn fields_go_on_as_they_came_without_those_of_the_connection() {
        let text = "HTTP/1.1 200 OK\r\nServer: x\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\
                    DATE: now\r\nX-A: b\r\nContent-Length: 3\r\nLast: c\r\n\r\n";
        let (lines, head) = taken(text).unwrap();
        assert_eq!(lines, "Server: x\r\nDATE: now\r\nX-A: b\r\nLast: c\r\n");
        assert_eq!((head.decoder, head.keep_alive), (Decoder::length(3), true));
        assert!(head.parts.extensions.get::<Verbatim>().unwrap().has_date);
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_full_parser() {
        for text in [
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 Fine\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x-secret\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\r\n folded\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA:b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\rc\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\nC: d\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b \r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nUpgrade: h2c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nno colon\r\n\r\n",
        ] {
            assert!(taken(text).is_none(), "{text}");
        }
    }

    #[test]
    fn content_stays_and_half_a_head_is_not_taken() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        let mut data = BytesMut::from(&format!("{text}abc")[..]);
        assert!(take(&mut data, &Method::GET).is_some());
        assert_eq!(&data[..], b"abc");
        for cut in 0..text.len() {
            let mut data = BytesMut::from(&text[..cut]);
            assert!(take(&mut data, &Method::GET).is_none());
            assert_eq!(data.len(), cut);
        }
    }

    #[test]
    fn control_characters_are_found_wherever_they_stand() {
        for length in 1..40 {
            for at in 0..length {
                for byte in 0..=255 {
                    let mut text = vec![b'\xe4'; length];
                    text[at] = byte;
                    assert_eq!(is_text(&text), !byte.is_ascii_control(), "{byte:#x} at {at} of {length}");
                }
            }
        }
    }

    fn lines_of(fields: &HeaderMap) -> Vec<(String, Vec<u8>)> {
        let mut lines: Vec<_> =
            fields.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
        lines.sort();
        lines
    }

    proptest! {
        /// What is taken here means the same to the full parser, after its hygiene.
        #[test]
        fn both_parsers_agree(
            status in prop_oneof!["200 OK", "201", "404 Not Found", "500 Oh"],
            fields in prop::collection::vec(
                (prop_oneof!["[A-Za-z-]{1,12}", Just("Connection".to_owned()), Just("Transfer-Encoding".to_owned()), Just("Date".to_owned())],
                 prop_oneof!["[ -~\t]{0,12}", Just("close".to_owned()), Just("keep-alive".to_owned()), Just("chunked".to_owned())]),
                0..6,
            ),
            length in prop::option::of(0..9_u64),
        ) {
            let mut text = format!("HTTP/1.1 {status}\r\n");
            for (name, value) in &fields {
                text += &format!("{name}: {value}\r\n");
            }
            if let Some(length) = length {
                text += &format!("Content-Length: {length}\r\n");
            }
            text += "\r\n";
            if let Some((lines, head)) = taken(&text) {
                let mut data = BytesMut::from(&text[..]);
                let full = response::take(&mut data, &mut EndScan::default(), &Method::GET, Form::Parsed).unwrap().unwrap();
                prop_assert_eq!((head.decoder, head.keep_alive), (full.decoder, full.keep_alive));
                let mut parts = full.parts;
                starve_http::hygiene::prepare_response(&mut parts);
                parts.headers.remove(http::header::CONTENT_LENGTH);
                let mut again = BytesMut::from(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")[..]);
                let again = response::take(&mut again, &mut EndScan::default(), &Method::GET, Form::Parsed).unwrap().unwrap();
                prop_assert!(!again.parts.headers.contains_key(CONNECTION));
                prop_assert_eq!(lines_of(&again.parts.headers), lines_of(&parts.headers));
            }
        }
    }
}
