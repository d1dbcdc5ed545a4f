//! What of a record's target decides of what endpoint a call is.

use std::borrow::Cow;

use memchr::{memchr, memchr2};
use starve_routing::normalise_path;

use super::Record;
use crate::asked::Asked;

/// The parts of a target, as they were sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    pub(super) fn of(record: &Record<'a>) -> Self {
        let (host, target) = split(record.target);
        let end = memchr2(b'?', b'#', target).unwrap_or(target.len());
        let query = target.get(end + 1..).filter(|_| target.get(end) == Some(&b'?'));
        Self { host: record.host.or(host), path: &target[..end], query }
    }
}

/// The host, where a target is a whole address, and the rest.
fn split(target: &[u8]) -> (Option<&[u8]>, &[u8]) {
    if target.starts_with(b"/") {
        return (None, target);
    }
    let rest = [&b"http://"[..], b"https://", b"ws://", b"wss://"]
        .iter()
        .find_map(|scheme| target.strip_prefix(*scheme));
    match rest {
        None => (None, target),
        Some(rest) => match memchr(b'/', rest) {
            Some(slash) => (Some(&rest[..slash]), &rest[slash..]),
            None => (Some(rest), b"/"),
        },
    }
}

/// The path in its one spelling, or none where the proxy would refuse it.
pub(super) fn spelled<'p>(path: &'p [u8], is_decoded: bool, scratch: &'p mut String) -> Option<Cow<'p, str>> {
    if !is_decoded
        && let Ok(text) = std::str::from_utf8(path)
        && let Ok(normal) = normalise_path(text)
    {
        return Some(normal);
    }
    scratch.clear();
    let mut rest = path;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            // How nginx and Apache write what is no printable ASCII.
            (b'\\', [b'x', high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                scratch.extend(['%', char::from(*high), char::from(*low)]);
                rest = &tail[3..];
            }
            (b'+', _) if is_decoded => scratch.push_str("%20"),
            (b'%', _) if !is_decoded => scratch.push('%'),
            (byte, _) if byte.is_ascii_graphic() && !b"%\\#?".contains(byte) => {
                scratch.push(char::from(*byte))
            }
            (byte, _) => {
                scratch.push('%');
                for digit in [byte >> 4, byte & 15] {
                    scratch.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
        }
    }
    normalise_path(scratch).ok()
}

/// As the route table is asked for it; `path` is in its one spelling.
pub(super) fn asked<'a>(record: &Record<'a>, target: &Target<'a>, path: &'a str) -> Asked<'a> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    Asked { method: text(record.method), host: target.host.map(text), path, query: target.query.map(text) }
}
