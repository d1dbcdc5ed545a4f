//! From a template to its text: each value is spelled for the place it goes to.

use super::{Context, Part, Place, Variable};
use crate::path::{is_unreserved, unescape};

/// A value as it is at hand.
enum Value<'a> {
    /// Percent-escaped, out of a path.
    OfPath(&'a str),
    /// Percent-escaped, `+` for a space, out of a query.
    OfQuery(&'a str),
    Plain(&'a [u8]),
}

pub(super) fn render(parts: &[Part], place: Place, context: Context<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    let is_url = place == Place::Url;
    let mut place = if is_url { Place::Path } else { place };
    for part in parts {
        match part {
            Part::Text(literal) => {
                if is_url && literal.contains('?') {
                    place = Place::Query;
                }
                text.extend_from_slice(literal.as_bytes());
            }
            Part::Variable(variable) => push_variable(&mut text, variable, place, is_url, context),
        }
    }
    text
}

fn push_variable(text: &mut Vec<u8>, variable: &Variable, place: Place, is_url: bool, context: Context<'_>) {
    let request = context.request;
    match variable {
        Variable::Parameter(name) => {
            let value = context.pattern.params(request.path()).value(name).unwrap_or_default();
            push(text, place, &Value::OfPath(value));
        }
        Variable::Method => push(text, place, &Value::Plain(request.method().as_bytes())),
        Variable::Host => push(text, place, &Value::Plain(request.host().unwrap_or_default().as_bytes())),
        Variable::Path => push(text, place, &Value::OfPath(request.path())),
        Variable::RequestQuery(name) => {
            if let Some(value) = query_value(request.query().unwrap_or_default(), name) {
                push(text, place, &Value::OfQuery(value));
            }
        }
        Variable::RequestHeader(name) => {
            let mut first = true;
            request.header_values(name, &mut |value| {
                push_next(text, place, value, &mut first);
                false
            });
        }
        Variable::Status => {
            if let Some(response) = context.response {
                push(text, place, &Value::Plain(response.status().to_string().as_bytes()));
            }
        }
        Variable::ResponseHeader(name) => {
            let Some(response) = context.response else { return };
            // An address out of the answer is one already.
            let place = if is_url { Place::Field } else { place };
            let mut first = true;
            response.header_values(name, &mut |value| push_next(text, place, value, &mut first));
        }
    }
}

/// One of several values of a field (RFC 9110 §5.3).
fn push_next(text: &mut Vec<u8>, place: Place, value: &[u8], first: &mut bool) {
    if !std::mem::take(first) {
        push(text, place, &Value::Plain(b", "));
    }
    push(text, place, &Value::Plain(value));
}

fn push(text: &mut Vec<u8>, place: Place, value: &Value<'_>) {
    match (place, value) {
        (Place::Path, Value::OfPath(escaped)) | (Place::Query, Value::OfQuery(escaped)) => {
            text.extend_from_slice(escaped.as_bytes());
        }
        (Place::Path | Place::Query | Place::Url, value) => {
            for byte in value.bytes() {
                if is_unreserved(byte) { text.push(byte) } else { push_escape(text, byte) }
            }
        }
        (Place::Field, value) => {
            for byte in value.bytes() {
                if byte < b' ' && byte != b'\t' || byte == 0x7f {
                    push_escape(text, byte)
                } else {
                    text.push(byte)
                }
            }
        }
        (Place::Text, value) => text.extend(value.bytes()),
        (Place::Markup, value) => {
            for byte in value.bytes() {
                match byte {
                    b'&' => text.extend_from_slice(b"&amp;"),
                    b'<' => text.extend_from_slice(b"&lt;"),
                    b'>' => text.extend_from_slice(b"&gt;"),
                    b'"' => text.extend_from_slice(b"&quot;"),
                    b'\'' => text.extend_from_slice(b"&#39;"),
                    byte => text.push(byte),
                }
            }
        }
        (Place::Json, value) => {
            let bytes: Vec<u8> = value.bytes().collect();
            push_json(text, &String::from_utf8_lossy(&bytes));
        }
    }
}

/// The inside of a JSON string (RFC 8259 §7).
pub(super) fn push_json(text: &mut Vec<u8>, value: &str) {
    for character in value.chars() {
        match character {
            '"' => text.extend_from_slice(b"\\\""),
            '\\' => text.extend_from_slice(b"\\\\"),
            '\n' => text.extend_from_slice(b"\\n"),
            // `<` could end a script element that a page puts the document into.
            character if character < ' ' || character == '<' => {
                text.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            character => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

impl Value<'_> {
    /// Decoded.
    fn bytes(&self) -> Decoded<'_> {
        match self {
            Self::OfPath(text) => Decoded { left: text.as_bytes(), escapes: true, plus: false },
            Self::OfQuery(text) => Decoded { left: text.as_bytes(), escapes: true, plus: true },
            Self::Plain(bytes) => Decoded { left: bytes, escapes: false, plus: false },
        }
    }
}

struct Decoded<'a> {
    left: &'a [u8],
    escapes: bool,
    plus: bool,
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.left.split_first()?;
        self.left = rest;
        if self.escapes
            && byte == b'%'
            && let [high, low, rest @ ..] = rest
            && let Some(decoded) = unescape(*high, *low)
        {
            self.left = rest;
            return Some(decoded);
        }
        Some(if self.plus && byte == b'+' { b' ' } else { byte })
    }
}

/// The first value of a query parameter, as sent; empty where it has no `=`.
fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (own, value) = pair.split_once('=').unwrap_or((pair, ""));
        Value::OfQuery(own).bytes().eq(name.bytes()).then_some(value)
    })
}

/// Whether a query parameter's name, as sent, is this one.
pub fn is_query_name(sent: &str, name: &str) -> bool {
    Value::OfQuery(sent).bytes().eq(name.bytes())
}

/// Text as a path: slashes stay, all else that is not unreserved is percent-escaped.
pub fn escape_path(text: &str) -> String {
    text.split('/').map(escape_query).collect::<Vec<_>>().join("/")
}

/// Text as a part of a query: percent-escaped.
pub fn escape_query(text: &str) -> String {
    let mut escaped = Vec::new();
    push(&mut escaped, Place::Query, &Value::Plain(text.as_bytes()));
    String::from_utf8(escaped).unwrap_or_default()
}

fn push_escape(text: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}
