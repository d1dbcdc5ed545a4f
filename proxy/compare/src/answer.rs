//! An answer as the comparison sees it, and the capture that keeps one while it streams by.
//!
//! Invariant: a capture never holds more than its limit, whatever passes.

use std::fmt;
use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The request that both sides answered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    /// As sent: `GET`.
    pub method: &'a str,
    /// The path of the request, against which a relative `Location` is resolved.
    pub path: &'a str,
    /// Names that mean this service: the client's host, legacy's servers, the function's own. A `Location` on
    /// any of them leads to the same place. `host` or `host:port`, any case.
    pub own_hosts: &'a [&'a str],
}

/// What one side answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// In the order received; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Body,
}

/// A body, or what is left of it when it was longer than the capture's limit.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// The first bytes, at most the capture's limit.
    pub bytes: Vec<u8>,
    /// Whether `bytes` is all of it.
    pub complete: bool,
    /// Bytes that streamed by.
    pub length: u64,
    /// Hash of all bytes that streamed by, the same in every process. Not a secret-keeping hash.
    pub hash: u64,
}

/// Keeps the start, the length and the hash of a body that streams by.
///
/// Nothing is allocated before the first byte, and at most `limit` bytes ever are.
#[derive(Clone, Debug)]
pub struct Capture {
    kept: Vec<u8>,
    limit: usize,
    length: u64,
    hasher: SipHasher13,
}

impl Capture {
    /// `limit`: bytes to keep.
    pub fn new(limit: usize) -> Self {
        Self { kept: Vec::new(), limit, length: 0, hasher: SipHasher13::new() }
    }

    pub fn push(&mut self, chunk: &[u8]) {
        self.hasher.write(chunk);
        self.length += chunk.len() as u64;
        let room = self.limit - self.kept.len();
        let taken = &chunk[..chunk.len().min(room)];
        if self.kept.capacity() - self.kept.len() < taken.len() {
            let grown = (self.kept.capacity() * 2).max(self.kept.len() + taken.len()).min(self.limit);
            self.kept.reserve_exact(grown - self.kept.len());
        }
        self.kept.extend_from_slice(taken);
    }

    /// Bytes that streamed by so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn finish(self) -> Body {
        Body {
            complete: self.kept.len() as u64 == self.length,
            bytes: self.kept,
            length: self.length,
            hash: self.hasher.finish(),
        }
    }
}

impl Answer {
    /// The values of a header, `name` in lower case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// The first value of a header, `name` in lower case.
    pub fn value<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// Whether the server says that it failed.
    pub(crate) fn failed(&self) -> bool {
        self.status >= 500
    }
}

impl Body {
    /// A whole body that is already in memory.
    pub fn of(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let mut hasher = SipHasher13::new();
        hasher.write(&bytes);
        Self { complete: true, length: bytes.len() as u64, hash: hasher.finish(), bytes }
    }

    /// Whether the same bytes streamed by, kept or not.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.length == other.length && self.hash == other.hash
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

/// Says how much there is, not what: an answer may end up in a log by accident.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("kept", &self.bytes.len())
            .field("complete", &self.complete)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_capture_keeps_no_more_than_its_limit_and_counts_the_rest() {
        let mut capture = Capture::new(4);
        capture.push(b"abc");
        capture.push(b"defgh");
        assert_eq!(capture.length(), 8);
        let body = capture.finish();
        assert_eq!(body.bytes, b"abcd");
        assert_eq!(body.length, 8);
        assert!(!body.complete);
        assert!(body.bytes.capacity() <= 4);
        assert!(body.is_same_as(&Body::of("abcdefgh")));
        assert!(!body.is_same_as(&Body::of("abcdefgi")));
    }

    #[test]
    fn a_body_of_exactly_the_limit_is_complete() {
        let mut capture = Capture::new(3);
        capture.push(b"abc");
        capture.push(b"");
        assert!(capture.finish().complete);
    }

    #[test]
    fn debug_output_holds_nothing_of_the_body() {
        assert!(!format!("{:?}", Body::of("hunter2")).contains("hunter2"));
    }

    proptest! {
        #[test]
        fn the_chunks_do_not_matter(bytes in any::<Vec<u8>>(), cut in 1_usize..40, limit in 0_usize..100) {
            let mut capture = Capture::new(limit);
            bytes.chunks(cut).for_each(|chunk| capture.push(chunk));
            let body = capture.finish();
            prop_assert!(body.is_same_as(&Body::of(bytes.clone())));
            prop_assert_eq!(&body.bytes, &bytes[..bytes.len().min(limit)]);
            prop_assert_eq!(body.complete, bytes.len() <= limit);
        }
    }
}
