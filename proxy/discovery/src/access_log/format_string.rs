//! nginx's `log_format` and Apache's `LogFormat`, compiled once into what is looked for in each line.

use memchr::memmem;

use super::lines::{Read, any_time, finished};
use super::time::Clock;
use super::{Record, number, request_line, seconds};

/// Why a format string cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Time,
    Request,
    Method,
    Target,
    Status,
    Bytes,
    Seconds,
    Micros,
    Millis,
    Host,
    Agent,
    Other,
}

/// Literal text and fields by turns; a field ends where the literal text behind it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatString {
    front: Vec<u8>,
    /// A field and the text behind it; the last text may be empty.
    fields: Vec<(Field, Vec<u8>)>,
}

impl FormatString {
    /// # Errors
    /// No variable, two of them without text between them, or none for the time, the path or the status.
    pub(super) fn parse(text: &str) -> Result<Self, FormatError> {
        let (mut front, mut fields) = (Vec::new(), Vec::<(Field, Vec<u8>)>::new());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let field = if c == '$' {
                nginx(rest)
            } else if c == '%' {
                apache(rest)
            } else {
                None
            };
            match field {
                Some((field, length)) => {
                    if fields.last().is_some_and(|(_, behind)| behind.is_empty()) {
                        let at = text.len() - rest.len();
                        let message =
                            format!("no text between two variables at byte {at} of the format string");
                        return Err(FormatError(message));
                    }
                    fields.push((field, Vec::new()));
                    rest = &rest[length..];
                }
                None => {
                    // Apache's configuration escapes the quotes.
                    let (literal, length) = match rest.as_bytes() {
                        [b'\\', b'"', ..] => ("\"", 2),
                        [b'\\', b't', ..] => ("\t", 2),
                        [b'%', b'%', ..] => ("%", 2),
                        _ => (&rest[..c.len_utf8()], c.len_utf8()),
                    };
                    let text = fields.last_mut().map_or(&mut front, |(_, behind)| behind);
                    text.extend_from_slice(literal.as_bytes());
                    rest = &rest[length..];
                }
            }
        }
        let has = |wanted: &[Field]| fields.iter().any(|(field, _)| wanted.contains(field));
        for (wanted, name) in [
            (&[Field::Time][..], "the time (`$time_local`, `%t`)"),
            (&[Field::Request, Field::Target][..], "the path (`$request`, `$request_uri`, `%r`, `%U`)"),
            (&[Field::Status][..], "the status (`$status`, `%>s`)"),
        ] {
            if !has(wanted) {
                let names = super::Format::NAMES.join(", ");
                let message = format!(
                    "`{text}` is no format: a format string needs {name}; formats with a name are auto, {names}"
                );
                return Err(FormatError(message));
            }
        }
        Ok(Self { front, fields })
    }

    pub(super) fn line<'a>(&self, line: &'a [u8], clock: &mut Clock) -> Read<'a> {
        let mut rest =
            line.strip_prefix(self.front.as_slice()).ok_or("it does not begin as the format does")?;
        let mut record = Record::default();
        let (mut at, mut code) = (None, None);
        let last = self.fields.len() - 1;
        for (place, (field, behind)) in self.fields.iter().enumerate() {
            let end = match behind.as_slice() {
                b"" => rest.len(),
                behind if place == last && rest.ends_with(behind) => rest.len() - behind.len(),
                behind => memmem::find(rest, behind).ok_or("it does not have the form of the format")?,
            };
            let value = &rest[..end];
            match field {
                Field::Time => at = any_time(value, clock),
                Field::Request => (record.method, record.target) = request_line(value),
                Field::Method => record.method = value,
                Field::Target => record.target = value,
                Field::Status => code = Some(value),
                Field::Bytes => record.bytes_out = number(value),
                Field::Seconds => record.duration_us = seconds(value),
                Field::Millis => record.duration_us = number(value).saturating_mul(1_000),
                Field::Micros => record.duration_us = number(value),
                Field::Host => record.host = Some(value),
                Field::Agent => record.agent = Some(value),
                Field::Other => {}
            }
            rest = &rest[end + behind.len()..];
        }
        finished(record, at, code)
    }
}

/// A variable of nginx and its length.
fn nginx(text: &str) -> Option<(Field, usize)> {
    let name = text.strip_prefix('$')?;
    let (name, around) = match name.strip_prefix('{') {
        Some(braced) => (braced.split_once('}')?.0, 3),
        None => {
            let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
            (&name[..end], 1)
        }
    };
    let field = match name {
        "" => return None,
        "time_local" | "time_iso8601" | "msec" => Field::Time,
        "request" => Field::Request,
        "request_method" => Field::Method,
        "request_uri" | "uri" => Field::Target,
        "status" => Field::Status,
        "body_bytes_sent" | "bytes_sent" => Field::Bytes,
        "request_time" => Field::Seconds,
        "host" | "http_host" | "server_name" => Field::Host,
        "http_user_agent" => Field::Agent,
        _ => Field::Other,
    };
    Some((field, name.len() + around))
}

/// A directive of Apache and its length: `%>s`, `%{Referer}i`, `%{ms}T`.
fn apache(text: &str) -> Option<(Field, usize)> {
    let inner = text.strip_prefix('%')?;
    let front = inner.len()
        - inner
            .trim_start_matches(['<', '>', '!', ',', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
            .len();
    let inner = &inner[front..];
    let (argument, tail) = match inner.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => ("", inner),
    };
    let argument_length = inner.len() - tail.len();
    let letter = tail.chars().next().filter(char::is_ascii_alphabetic)?;
    let field = match (letter, argument) {
        ('t', _) => Field::Time,
        ('r', _) => Field::Request,
        ('m', _) => Field::Method,
        ('U', _) => Field::Target,
        ('s', _) => Field::Status,
        ('b' | 'B' | 'O', _) => Field::Bytes,
        ('D', _) | ('T', "us") => Field::Micros,
        ('T', "ms") => Field::Millis,
        ('T', _) => Field::Seconds,
        ('v' | 'V', _) => Field::Host,
        ('i', name) if name.eq_ignore_ascii_case("host") => Field::Host,
        ('i', name) if name.eq_ignore_ascii_case("user-agent") => Field::Agent,
        _ => Field::Other,
    };
    Some((field, 1 + front + argument_length + 1))
}
