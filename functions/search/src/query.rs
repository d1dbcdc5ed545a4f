//! Request targets, decoded the way the shop decodes them.

/// The parameters of a query; the first value of a repeated one counts.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new(encoded: &str) -> Self {
        let pairs = encoded.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        });
        Self(decoded.collect())
    }

    /// Without white space at its ends; empty when absent.
    pub(crate) fn text(&self, name: &str) -> String {
        self.first(name).trim_matches(is_space).to_owned()
    }

    /// `default` when absent or empty, `None` when it is no integer.
    pub(crate) fn integer(&self, name: &str, default: i64) -> Option<i64> {
        match self.first(name) {
            "" => Some(default),
            text => integer(text),
        }
    }

    fn first(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

pub(crate) fn path(encoded: &str) -> String {
    decode(encoded)
}

/// White space as the shop understands it: Unicode's, and the four separators of ASCII.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// An optional minus and one to nine digits.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_right = (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_right { text.parse().ok() } else { None }
}

/// `%xx` to bytes, the bytes to UTF-8; what is neither stays or is replaced.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        match escaped(rest) {
            Some(value) => {
                bytes.push(value);
                rest = &rest[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = *text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? * 16 + digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_plus_are_decoded_and_broken_ones_stay() {
        for (encoded, decoded) in [
            ("a+b%20c", "a b c"),
            ("caf%C3%A9", "café"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%2B%26", "+&"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(Query::new(&format!("q={encoded}")).text("q"), decoded);
        }
    }

    #[test]
    fn the_first_value_counts_even_if_it_is_empty() {
        let query = Query::new("q=&q=tea&page");
        assert_eq!(query.text("q"), "");
        assert_eq!(query.integer("page", 7), Some(7));
    }

    #[test]
    fn integers_are_plain_digits() {
        for (text, value) in
            [("12", Some(12)), ("-3", Some(-3)), ("007", Some(7)), ("123456789", Some(123_456_789))]
        {
            assert_eq!(integer(text), value, "{text}");
        }
        for text in ["+1", "1.0", "1 ", "-", "0x1", "1234567890", "१"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
