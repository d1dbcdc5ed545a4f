//! `when:`: what a route asks of headers and query beside method, host and path.

use crate::Request;

/// `when:` of a route: what headers and query must hold beside method, host and path. All of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Predicates {
    /// Lower-case field names.
    pub headers: Vec<(String, ValueMatch)>,
    pub query: Vec<(String, ValueMatch)>,
}

/// What a header or a query parameter must be.
///
/// A header that comes several times, or as a comma-separated list, holds when one of the values does: RFC
/// 9110 section 5.3 makes both forms mean the same. A query parameter that comes several times holds when
/// one of its values does; names and values are compared decoded (`+` is a space). Case counts in values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueMatch {
    /// `*`: there, with whatever value.
    Any,
    Exact(String),
}

/// How a predicate fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    Missing,
    Other,
}

impl Predicates {
    /// Whether the request has all that is asked for.
    pub fn hold(&self, request: &(impl Request + ?Sized)) -> bool {
        let header = |(name, value): &(String, ValueMatch)| value.header(request, name) == Verdict::Holds;
        let query = |(name, value): &(String, ValueMatch)| value.query(request, name) == Verdict::Holds;
        self.headers.iter().all(header) && self.query.iter().all(query)
    }
}

impl ValueMatch {
    pub(crate) fn header(&self, request: &(impl Request + ?Sized), name: &str) -> Verdict {
        let mut seen = false;
        let holds = request.header_values(name, &mut |value| {
            seen = true;
            match self {
                Self::Any => true,
                Self::Exact(text) => has_member(value, text.as_bytes()),
            }
        });
        verdict(holds, seen)
    }

    pub(crate) fn query(&self, request: &(impl Request + ?Sized), name: &str) -> Verdict {
        let mut seen = false;
        let holds = query_pairs(request.query().unwrap_or_default()).any(|(key, value)| {
            let named = decodes_to(key, name);
            seen |= named;
            named
                && match self {
                    Self::Any => true,
                    Self::Exact(text) => decodes_to(value, text),
                }
        });
        verdict(holds, seen)
    }
}

/// The pairs of a query as written; a pair without `=` has an empty value.
pub(crate) fn query_pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Whether a query's text decodes to this one. An escape that is none stands for itself.
pub(crate) fn decodes_to(raw: &str, text: &str) -> bool {
    Decoded { raw: raw.as_bytes() }.eq(text.bytes())
}

fn verdict(holds: bool, seen: bool) -> Verdict {
    match (holds, seen) {
        (true, _) => Verdict::Holds,
        (false, true) => Verdict::Other,
        (false, false) => Verdict::Missing,
    }
}

/// The whole value counts as well, for values that hold commas themselves.
fn has_member(value: &[u8], text: &[u8]) -> bool {
    value.trim_ascii() == text || value.split(|byte| *byte == b',').any(|member| member.trim_ascii() == text)
}

struct Decoded<'a> {
    raw: &'a [u8],
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.raw.split_first()?;
        self.raw = rest;
        match (*first, rest) {
            (b'+', _) => Some(b' '),
            (b'%', [high, low, tail @ ..]) => {
                let Some(byte) = crate::path::unescape(*high, *low) else { return Some(b'%') };
                self.raw = tail;
                Some(byte)
            }
            (byte, _) => Some(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PlainRequest;

    fn exact(text: &str) -> ValueMatch {
        ValueMatch::Exact(text.to_owned())
    }

    #[test]
    fn a_header_holds_when_one_line_or_one_member_of_a_list_does() {
        let request = PlainRequest::new("GET", "/")
            .with_header("Accept", "text/html")
            .with_header("accept", "application/json , */*")
            .with_header("date", "Tue, 15 Nov 1994 08:12:31 GMT");
        assert_eq!(exact("application/json").header(&request, "accept"), Verdict::Holds);
        assert_eq!(exact("text/html").header(&request, "accept"), Verdict::Holds);
        assert_eq!(exact("Tue, 15 Nov 1994 08:12:31 GMT").header(&request, "date"), Verdict::Holds);
        assert_eq!(exact("application/xml").header(&request, "accept"), Verdict::Other);
        assert_eq!(ValueMatch::Any.header(&request, "accept"), Verdict::Holds);
        assert_eq!(ValueMatch::Any.header(&request, "x-test"), Verdict::Missing);
    }

    #[test]
    fn a_query_parameter_is_compared_decoded() {
        let request = PlainRequest::new("GET", "/?q=red+shirt&%71=a%26b&empty&bad=100%&a=b=c");
        assert_eq!(exact("red shirt").query(&request, "q"), Verdict::Holds);
        assert_eq!(exact("a&b").query(&request, "q"), Verdict::Holds);
        assert_eq!(exact("").query(&request, "empty"), Verdict::Holds);
        assert_eq!(exact("100%").query(&request, "bad"), Verdict::Holds);
        assert_eq!(exact("b=c").query(&request, "a"), Verdict::Holds);
        assert_eq!(exact("red").query(&request, "q"), Verdict::Other);
        assert_eq!(ValueMatch::Any.query(&request, "none"), Verdict::Missing);
    }
}
