//! Finding the end of a head, and its fields.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

/// Fields of one head or one trailer section. More is an attack or a mistake (431).
pub(crate) const FIELDS_MAX: usize = 256;

/// How lines may end (RFC 9112 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// CR LF only: another parser behind this one may read a bare line feed differently.
    Strict,
    /// A bare line feed as well, as old servers write it. Nobody parses an answer twice on its way here.
    Lenient,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BareLineFeed;

/// Looks for the empty line that ends a head; remembers how far it has looked.
#[derive(Debug, Default)]
pub(crate) struct EndScan {
    looked: usize,
}

impl EndScan {
    /// The length of the head with its empty line, when it is there as a whole.
    pub(crate) fn find(&mut self, data: &[u8], lines: Lines) -> Result<Option<usize>, BareLineFeed> {
        while let Some(step) = memchr(b'\n', data.get(self.looked..).unwrap_or_default()) {
            let at = self.looked + step;
            if lines == Lines::Strict && (at == 0 || data[at - 1] != b'\r') {
                return Err(BareLineFeed);
            }
            match &data[at + 1..] {
                [b'\r', b'\n', ..] => return Ok(Some(at + 3)),
                [b'\n', ..] if lines == Lines::Lenient => return Ok(Some(at + 2)),
                // What follows decides, and it has not come yet.
                [] | [b'\r'] => {
                    self.looked = at;
                    return Ok(None);
                }
                _ => self.looked = at + 1,
            }
        }
        self.looked = data.len();
        Ok(None)
    }

    /// Whether it has not looked at anything of this head yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.looked == 0
    }

    pub(crate) fn reset(&mut self) {
        self.looked = 0;
    }
}

/// A line without its end, and where the next one begins.
pub(crate) fn line(data: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let end = from + memchr(b'\n', data.get(from..)?)?;
    let line = &data[from..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldFault {
    Malformed,
    TooMany,
}

/// The fields of a head from `at` to the empty line. Values share the head's memory.
///
/// A name must be a token with the colon right behind it, and a value free of control characters (RFC 9112
/// §5.1, RFC 9110 §5.5); a line that continues the one before is refused (§5.2), or with [`Lines::Lenient`]
/// joined to it, as a gateway may do with an answer.
pub(crate) fn fields(head: &Bytes, mut at: usize, lines: Lines) -> Result<HeaderMap, FieldFault> {
    let count = memchr::memchr_iter(b'\n', &head[at..]).count();
    if count > FIELDS_MAX + 1 {
        return Err(FieldFault::TooMany);
    }
    // To a request the proxy is going to add some; the map should not be built twice.
    let added = if lines == Lines::Strict { 4 } else { 0 };
    // The last line is the empty one.
    let mut fields = HeaderMap::with_capacity(count.saturating_sub(1) + added);
    let mut last = None;
    while let Some((line, next)) = line(head, at) {
        if line.is_empty() {
            break;
        }
        if matches!(line[0], b' ' | b'\t') {
            let name: &[u8] = last.filter(|_| lines == Lines::Lenient).ok_or(FieldFault::Malformed)?;
            unfold(&mut fields, name, line)?;
            at = next;
            continue;
        }
        // Names are short: looking at each byte takes less than setting up a faster search.
        let colon = line.iter().position(|byte| *byte == b':').ok_or(FieldFault::Malformed)?;
        let name = match lines {
            Lines::Strict => &line[..colon],
            // "A proxy MUST remove any such whitespace from a response message" (RFC 9112 §5.1).
            Lines::Lenient => line[..colon].trim_ascii_end(),
        };
        last = Some(name);
        let name = HeaderName::from_bytes(name).map_err(|_| FieldFault::Malformed)?;
        let (from, to) = trimmed(line, colon + 1);
        let value = head.slice(at + from..at + to);
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| FieldFault::Malformed)?;
        fields.append(name, value);
        at = next;
    }
    Ok(fields)
}

/// Optional white space around a value is no part of it (RFC 9110 §5.6.3).
fn trimmed(line: &[u8], mut from: usize) -> (usize, usize) {
    let is_blank = |byte: u8| byte == b' ' || byte == b'\t';
    let mut to = line.len();
    while from < to && is_blank(line[from]) {
        from += 1;
    }
    while to > from && is_blank(line[to - 1]) {
        to -= 1;
    }
    (from, to)
}

fn unfold(fields: &mut HeaderMap, name: &[u8], line: &[u8]) -> Result<(), FieldFault> {
    let name = &HeaderName::from_bytes(name).map_err(|_| FieldFault::Malformed)?;
    let last = fields.get_all(name).iter().next_back().ok_or(FieldFault::Malformed)?;
    let joined = [last.as_bytes(), line.trim_ascii()].join(&b' ');
    let joined = HeaderValue::from_bytes(&joined).map_err(|_| FieldFault::Malformed)?;
    let mut all: Vec<HeaderValue> = fields.get_all(name).iter().cloned().collect();
    if let Some(last) = all.last_mut() {
        *last = joined;
    }
    fields.remove(name);
    for value in all {
        fields.append(name.clone(), value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_the_bytes_come() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        for cut in 0..head.len() {
            let mut scan = EndScan::default();
            let first = scan.find(&head[..cut], Lines::Strict).unwrap();
            let end = first.or_else(|| scan.find(head, Lines::Strict).unwrap());
            assert_eq!(end, Some(head.len() - 4), "cut at {cut}");
        }
    }

    #[test]
    fn a_bare_line_feed_is_seen_before_the_head_has_ended() {
        let mut scan = EndScan::default();
        assert_eq!(scan.find(b"GET / HTTP/1.1\nHost: a", Lines::Strict), Err(BareLineFeed));
        let mut scan = EndScan::default();
        assert_eq!(scan.find(b"HTTP/1.1 200 OK\na: b\n\nx", Lines::Lenient), Ok(Some(22)));
        assert_eq!(EndScan::default().find(b"\n", Lines::Strict), Err(BareLineFeed));
    }

    #[test]
    fn values_are_trimmed_and_kept_apart() {
        let head = Bytes::from_static(b"a:  b\t\r\nA:c\r\nempty:\r\n\r\n");
        let fields = fields(&head, 0, Lines::Strict).unwrap();
        assert_eq!(fields.get_all("a").iter().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(fields["empty"], "");
    }

    #[test]
    fn an_answer_s_folded_line_becomes_one_value_and_a_request_s_is_refused() {
        let head = Bytes::from_static(b"a: b\r\n c\r\nd : e\r\n\r\n");
        let lenient = fields(&head, 0, Lines::Lenient).unwrap();
        assert_eq!((lenient["a"].as_bytes(), lenient["d"].as_bytes()), (&b"b c"[..], &b"e"[..]));
        assert_eq!(fields(&head, 0, Lines::Strict), Err(FieldFault::Malformed));
    }

    #[test]
    fn too_many_fields_are_refused() {
        let head = "a: b\r\n".repeat(FIELDS_MAX + 1) + "\r\n";
        assert_eq!(fields(&Bytes::from(head), 0, Lines::Strict), Err(FieldFault::TooMany));
    }
}
