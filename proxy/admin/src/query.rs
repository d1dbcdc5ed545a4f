//! The query part of a request target, and text put into one.

use std::time::Duration;

use http::Uri;

/// The longest window that a report can have: as long as anything is kept.
const SINCE_MAX: Duration = Duration::from_secs(starve_ledger::DAILY_KEPT_DAYS * 86_400);

/// The parameters of a request, decoded (`application/x-www-form-urlencoded`, WHATWG URL §5.1).
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decoded(name), decoded(value))
                })
                .collect(),
        )
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A whole number between 1 and `max`.
    pub(crate) fn limit(&self, name: &str, default: usize, max: usize) -> Result<usize, String> {
        match self.value(name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(number) if (1..=max).contains(&number) => Ok(number),
                _ => Err(format!("`{name}={text}` is not a whole number between 1 and {max}")),
            },
        }
    }

    /// A length of time such as `30d`, `12h` or `90s`.
    pub(crate) fn window(&self, name: &str, default: Duration) -> Result<Duration, String> {
        match self.value(name) {
            None => Ok(default),
            Some(text) => match humantime::parse_duration(text) {
                Ok(window) if !window.is_zero() => Ok(window.min(SINCE_MAX)),
                _ => Err(format!("`{name}={text}` is not a length of time such as 30d, 12h or 90s")),
            },
        }
    }
}

/// Everything but letters, digits and `-._~` as `%XX` (RFC 3986 §2.1).
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'+', _) => (b' ', after),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, after),
                _ => (first, &rest[1..]),
            },
            _ => (first, after),
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::of(&"/x?route=GET+%2Fa%2F%7Bid%7D&empty=&bad=%zz%4".parse().unwrap());
        assert_eq!(query.value("route"), Some("GET /a/{id}"));
        assert_eq!(query.value("empty"), None);
        assert_eq!(query.value("bad"), Some("%zz%4"));
        assert_eq!(encoded("GET /a/{id}"), "GET%20%2Fa%2F%7Bid%7D");
    }

    #[test]
    fn numbers_and_windows_are_held_to_their_limits() {
        let query = Query::of(&"/x?limit=0&since=30d&until=soon".parse().unwrap());
        assert!(query.limit("limit", 50, 500).is_err());
        assert_eq!(query.limit("other", 50, 500), Ok(50));
        assert_eq!(query.window("since", Duration::ZERO), Ok(Duration::from_secs(30 * 86_400)));
        assert!(query.window("until", Duration::ZERO).unwrap_err().contains("30d"));
    }
}
