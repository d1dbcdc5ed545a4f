//! Looks at the bytes of HTTP/1 requests as they come and stops what two parsers could read in two ways.
//!
//! The HTTP library repairs some ambiguous heads in silence: it drops a `Content-Length` beside a
//! `Transfer-Encoding`, and takes a bare line feed for a line's end. A proxy in front of another parser must
//! refuse them (RFC 9112 §2.2, §6.1, §11.2). The offending line's end is replaced by a NUL, which the library
//! refuses in any head, and everything behind it by line feeds, so that the head has an end and nothing else on
//! this connection is read as a request: the client gets a 400, in its place among pipelined answers.
//!
//! Invariant: whatever this lets through is framed in exactly one way, and it sees the same requests however
//! the bytes are cut into reads.

use memchr::memchr;

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A line feed without a carriage return, or the other way round.
    LineEnd,
    /// `Content-Length` and `Transfer-Encoding`, several of one of them, or one that says something else than
    /// a plain number or `chunked`.
    Framing,
    /// A fragment in the request target, which is the client's own business (RFC 9110 §7.1); the library would
    /// cut it off in silence.
    Target,
}

/// Enough of a line to know a framing field and its whole value; a longer one is at fault.
const KEPT_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Guard {
    state: State,
    /// The start of a line whose end has not come yet.
    kept: Vec<u8>,
    /// Bytes of that line so far.
    line_length: usize,
    last_was_cr: bool,
    /// A `#` in a request line of which only the start is kept.
    fragment: bool,
    framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    RequestLine,
    Fields,
    Body {
        rest: u64,
    },
    ChunkSize,
    ChunkData {
        rest: u64,
    },
    Trailers,
    /// Another protocol, or a chunk that the library refuses.
    Off,
    Refused,
}

#[derive(Clone, Copy, Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
}

impl Guard {
    pub(crate) fn new() -> Self {
        Self {
            state: State::RequestLine,
            kept: Vec::new(),
            line_length: 0,
            last_was_cr: false,
            fragment: false,
            framing: Framing::default(),
        }
    }

    /// Looks at the next bytes; on a fault one of them is changed so that the head is refused.
    pub(crate) fn inspect(&mut self, data: &mut [u8]) -> Option<Fault> {
        let mut at = 0;
        while at < data.len() {
            match self.state {
                State::Off => return None,
                State::Refused => {
                    data[at..].fill(b'\n');
                    return None;
                }
                State::Body { rest } => at += self.skip(rest, data.len() - at, |rest| State::Body { rest }),
                State::ChunkData { rest } => {
                    at += self.skip(rest, data.len() - at, |rest| State::ChunkData { rest });
                }
                State::RequestLine | State::Fields | State::ChunkSize | State::Trailers => {
                    let Some(length) = memchr(b'\n', &data[at..]) else {
                        self.keep(&data[at..]);
                        return None;
                    };
                    let end = at + length;
                    if let Err(fault) = self.line(&data[at..end]) {
                        data[end] = 0;
                        data[end + 1..].fill(b'\n');
                        self.state = State::Refused;
                        return Some(fault);
                    }
                    at = end + 1;
                }
            }
        }
        None
    }

    fn skip(&mut self, rest: u64, there: usize, still: fn(u64) -> State) -> usize {
        let there = there as u64;
        if rest > there {
            self.state = still(rest - there);
            return usize::try_from(there).unwrap_or(usize::MAX);
        }
        self.state = match self.state {
            State::ChunkData { .. } => State::ChunkSize,
            _ => State::RequestLine,
        };
        usize::try_from(rest).unwrap_or(usize::MAX)
    }

    fn keep(&mut self, part: &[u8]) {
        let room = KEPT_MAX.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&part[..part.len().min(room)]);
        self.line_length += part.len();
        self.last_was_cr = part.last() == Some(&b'\r');
        self.fragment |= self.state == State::RequestLine && memchr(b'#', part).is_some();
    }

    /// A whole line, without its line feed; its start may have come before.
    fn line(&mut self, part: &[u8]) -> Result<(), Fault> {
        if self.line_length == 0 {
            return self.judge(part, part.len());
        }
        if !part.is_empty() {
            self.keep(part);
        }
        let (kept, length) = (std::mem::take(&mut self.kept), std::mem::take(&mut self.line_length));
        if length > kept.len() && !self.last_was_cr {
            return Err(Fault::LineEnd);
        }
        let judged = self.judge(&kept, length);
        self.kept = kept;
        self.kept.clear();
        judged
    }

    /// `line` is all of it, or its first bytes where it is longer than what is kept.
    fn judge(&mut self, line: &[u8], length: usize) -> Result<(), Fault> {
        let is_whole = line.len() == length;
        let line = match (line.strip_suffix(b"\r"), is_whole) {
            (Some(line), true) => line,
            (None, true) => return Err(Fault::LineEnd),
            (_, false) => line,
        };
        if memchr(b'\r', line).is_some() {
            return Err(Fault::LineEnd);
        }
        match self.state {
            State::RequestLine => return self.request_line(line),
            State::Fields if line.is_empty() => self.head_ended(),
            State::Fields => return self.field(line, is_whole),
            State::ChunkSize => self.chunk_size(line),
            State::Trailers if line.is_empty() => self.state = State::RequestLine,
            State::Trailers | State::Body { .. } | State::ChunkData { .. } | State::Off | State::Refused => {}
        }
        Ok(())
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        if std::mem::take(&mut self.fragment) || memchr(b'#', line).is_some() {
            return Err(Fault::Target);
        }
        self.framing = Framing::default();
        self.state = match line {
            // The preface of HTTP/2 (RFC 9113 §3.4).
            b"PRI * HTTP/2.0" => State::Off,
            // Empty lines before a request are to be ignored (RFC 9112 §2.2).
            b"" => State::RequestLine,
            _ => State::Fields,
        };
        Ok(())
    }

    fn head_ended(&mut self) {
        self.state = match self.framing {
            Framing { chunked: true, .. } => State::ChunkSize,
            Framing { length: Some(rest @ 1..), .. } => State::Body { rest },
            Framing { .. } => State::RequestLine,
        };
    }

    fn field(&mut self, line: &[u8], is_whole: bool) -> Result<(), Fault> {
        if let Some(value) = value_of(line, b"content-length") {
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            if !is_whole || !digits || length.is_none() || self.is_framed() {
                return Err(Fault::Framing);
            }
            self.framing.length = length;
        } else if let Some(value) = value_of(line, b"transfer-encoding") {
            if !is_whole || !value.eq_ignore_ascii_case(b"chunked") || self.is_framed() {
                return Err(Fault::Framing);
            }
            self.framing.chunked = true;
        }
        Ok(())
    }

    fn is_framed(&self) -> bool {
        self.framing.chunked || self.framing.length.is_some()
    }

    /// The library refuses what is no chunk; from there on nothing is looked at.
    fn chunk_size(&mut self, line: &[u8]) {
        let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
        let size =
            std::str::from_utf8(&line[..digits]).ok().and_then(|digits| u64::from_str_radix(digits, 16).ok());
        self.state = match size {
            Some(0) => State::Trailers,
            // The line end behind the data.
            Some(size) if size < u64::MAX - 2 => State::ChunkData { rest: size + 2 },
            _ => State::Off,
        };
    }
}

/// The value of a field line if it has this name. A space before the colon is the library's to refuse.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":").filter(|_| start.eq_ignore_ascii_case(name))?;
    Some(value.trim_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &[u8] = b"\r\nPOST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nline\nline\r\nGET / HTTP/1.1\r\n\
        Host: a\r\n\r\nPUT /b HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5;x=y\r\nab\ncd\r\n0\r\nT: x\r\n\r\nGET /c HTTP/1.1\r\n\r\n";

    fn fault(request: &str) -> Option<Fault> {
        Guard::new().inspect(&mut request.as_bytes().to_vec())
    }

    #[test]
    fn good_requests_pass_unchanged_whatever_their_bodies_hold() {
        let mut data = GOOD.to_vec();
        let mut guard = Guard::new();
        assert_eq!(guard.inspect(&mut data), None);
        assert_eq!(data, GOOD);
        assert_eq!(guard.state, State::RequestLine);
    }

    #[test]
    fn ambiguous_heads_are_stopped() {
        for (why, fields, expected) in [
            ("both", "Content-Length: 3\r\nTransfer-Encoding: chunked", Fault::Framing),
            ("both, the other way round", "Transfer-Encoding: chunked\r\nContent-Length: 3", Fault::Framing),
            ("two lengths", "Content-Length: 3\r\nContent-Length: 3", Fault::Framing),
            ("a list of lengths", "Content-Length: 3, 3", Fault::Framing),
            ("a signed length", "Content-Length: +3", Fault::Framing),
            ("an empty length", "Content-Length:", Fault::Framing),
            ("a length beyond all numbers", "Content-Length: 99999999999999999999", Fault::Framing),
            ("an unknown coding", "Transfer-Encoding: gzip, chunked", Fault::Framing),
            ("an obfuscated coding", "Transfer-Encoding: \x0bchunked", Fault::Framing),
            ("chunked twice", "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked", Fault::Framing),
            ("a bare line feed", "A: b\nC: d", Fault::LineEnd),
            ("a bare carriage return", "A: b\rC: d", Fault::LineEnd),
        ] {
            let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
            assert_eq!(fault(&request), Some(expected), "{why}");
        }
        assert_eq!(fault("GET / HTTP/1.1\nHost: a\n\n"), Some(Fault::LineEnd));
        assert_eq!(fault("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), Some(Fault::Target));
    }

    #[test]
    fn a_refused_head_holds_a_nul() {
        let mut data = b"GET / HTTP/1.1\r\nA: b\nHost: a\r\n\r\n".to_vec();
        Guard::new().inspect(&mut data);
        assert!(data.starts_with(b"GET / HTTP/1.1\r\nA: b\0"));
    }

    #[test]
    fn a_head_that_is_refused_by_its_last_field_still_ends() {
        let mut guard = Guard::new();
        let mut data = b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n".to_vec();
        guard.inspect(&mut data);
        assert!(data.ends_with(b"Content-Length: 1\r\0\n\n"));
        let mut later = b"GET /".to_vec();
        assert_eq!(guard.inspect(&mut later), None);
        assert_eq!(later, b"\n\n\n\n\n", "nothing behind it is a request");
    }

    #[test]
    fn another_protocol_is_left_alone() {
        let mut data = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n\n".to_vec();
        assert_eq!(Guard::new().inspect(&mut data), None);
    }

    #[test]
    fn a_long_line_is_judged_by_its_end() {
        let long = "x".repeat(1_000);
        let mut guard = Guard::new();
        assert_eq!(guard.inspect(&mut format!("GET / HTTP/1.1\r\nA: {long}").into_bytes()), None);
        assert_eq!(guard.inspect(&mut b"\r\n\r\n".to_vec()), None);
        let mut guard = Guard::new();
        assert_eq!(guard.inspect(&mut format!("GET / HTTP/1.1\r\nA: {long}").into_bytes()), None);
        assert_eq!(guard.inspect(&mut b"\n\r\n".to_vec()), Some(Fault::LineEnd));
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_changes_nothing(cuts in proptest::collection::vec(0..GOOD.len(), 0..20), flip in 0..GOOD.len(), to in any::<u8>(), change: bool) {
            let mut whole = GOOD.to_vec();
            if change {
                whole[flip] = to;
            }
            let mut at_once = whole.clone();
            let expected = Guard::new().inspect(&mut at_once);

            let mut cuts = cuts;
            cuts.sort_unstable();
            let (mut guard, mut seen, mut from) = (Guard::new(), None, 0);
            for cut in cuts.into_iter().chain([whole.len()]) {
                seen = seen.or(guard.inspect(&mut whole[from..cut]));
                from = cut;
            }
            prop_assert_eq!(seen, expected);
            prop_assert_eq!(whole, at_once);
        }
    }
}
