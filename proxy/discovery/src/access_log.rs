//! Access logs of servers and load balancers: what was called before anybody counted.
//!
//! A [`Reader`] turns one line into a [`Record`] without allocating; a [`Counter`] adds records up by endpoint, method,
//! status class and hour. [`detect`] finds the format from the first lines.
//!
//! Invariant: whatever the lines hold, nothing fails and memory stays bounded; a line that cannot be read is counted as
//! bad, and an example of it is shown without what may be secret ([`redacted`]).

mod agents;
mod counter;
mod detect;
mod format_string;
mod json;
mod lines;
mod remembered;
mod target;
mod time;
mod w3c;

use std::fmt;

pub use counter::{Cell, CellKey, Counter, Endpoint, Targets, UNMATCHED};
pub use detect::detect;
pub use format_string::FormatError;
use format_string::FormatString;
pub use json::{Field, Fields};

/// Lines longer than this are bad.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// One call, as a log tells of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record<'a> {
    pub at_unix_ms: u64,
    pub method: &'a [u8],
    /// As sent: a path with query, or a whole address.
    pub target: &'a [u8],
    pub host: Option<&'a [u8]>,
    pub status: u16,
    pub duration_us: u64,
    pub bytes_out: u64,
    /// As it was written: spaces may be `+` or escaped.
    pub agent: Option<&'a [u8]>,
    /// Spaces of the path are written as `+`, and escapes are decoded.
    pub is_decoded: bool,
}

/// What a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    Call(Record<'a>),
    /// A head, a comment, an empty line.
    Nothing,
    /// The connection brought no request: a health check that only connects, a timeout.
    NoRequest,
    /// Why the line cannot be read.
    Bad(&'static str),
}

/// What logs look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// nginx and Apache, combined or with more behind it.
    Combined,
    /// The same without referer and user agent.
    Common,
    /// One object a line.
    Json(Fields),
    /// `label:value`, separated by tabs.
    Ltsv,
    /// Load balancers of AWS: application and classic.
    Alb,
    /// W3C extended, as IIS writes it.
    Iis,
    CloudFront,
    /// nginx's `log_format` or Apache's `LogFormat`.
    Custom(FormatString),
}

impl Format {
    /// The formats that have a name, in the order in which they are tried.
    pub const NAMES: [&'static str; 7] = ["combined", "common", "json", "ltsv", "alb", "iis", "cloudfront"];

    /// A format by its name, or by the format string of nginx or Apache.
    ///
    /// # Errors
    /// It is neither, or the string names no time, no path or no status.
    pub fn of(text: &str, fields: Fields) -> Result<Self, FormatError> {
        Ok(match text {
            "combined" => Self::Combined,
            "common" => Self::Common,
            "json" => Self::Json(fields),
            "ltsv" => Self::Ltsv,
            "alb" | "elb" => Self::Alb,
            "iis" | "w3c" => Self::Iis,
            "cloudfront" => Self::CloudFront,
            text => Self::Custom(FormatString::parse(text)?),
        })
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Common => "common",
            Self::Json(_) => "json",
            Self::Ltsv => "ltsv",
            Self::Alb => "alb",
            Self::Iis => "iis",
            Self::CloudFront => "cloudfront",
            Self::Custom(_) => "format string",
        }
    }

    /// Whether lines tell how those after them are to be read, so that they cannot be read apart.
    pub fn has_state(&self) -> bool {
        matches!(self, Self::Iis | Self::CloudFront)
    }

    /// Whether such logs may lack lines: CloudFront delivers its own on a best-effort basis.
    pub fn is_weak(&self) -> bool {
        matches!(self, Self::CloudFront)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads lines of one format, one after the other.
#[derive(Clone, Debug)]
pub struct Reader {
    format: Format,
    clock: time::Clock,
    columns: w3c::Columns,
    text: json::Scratch,
}

impl Reader {
    pub fn new(format: Format) -> Self {
        Self {
            format,
            clock: time::Clock::default(),
            columns: w3c::Columns::default(),
            text: json::Scratch::default(),
        }
    }

    /// Reads one line, with or without its end.
    pub fn read<'a>(&'a mut self, line: &'a [u8]) -> Line<'a> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Line::Nothing;
        }
        if line.len() > LINE_BYTES_MAX {
            return Line::Bad("longer than 64 KiB");
        }
        let read = match &self.format {
            Format::Combined | Format::Common => lines::combined(line, &mut self.clock),
            Format::Json(fields) => json::line(line, fields, &mut self.clock, &mut self.text),
            Format::Ltsv => lines::ltsv(line, &mut self.clock),
            Format::Alb => lines::load_balancer(line, &mut self.clock),
            Format::Iis => self.columns.line(line, w3c::IIS, &mut self.clock),
            Format::CloudFront => self.columns.line(line, w3c::CLOUD_FRONT, &mut self.clock),
            Format::Custom(format) => format.line(line, &mut self.clock),
        };
        match read {
            Ok(Some(record)) if is_no_request(record.target) => Line::NoRequest,
            Ok(Some(record)) => Line::Call(record),
            Ok(None) => Line::Nothing,
            Err(why) => Line::Bad(why),
        }
    }
}

/// What servers write where no request line came.
fn is_no_request(target: &[u8]) -> bool {
    matches!(target, b"" | b"-")
}

/// A line as it may be shown: without query strings and whatever else looks like a secret, and not long.
pub fn redacted(line: &[u8]) -> String {
    const SHOWN: usize = 100;
    const TOKEN: usize = 20;
    let text = String::from_utf8_lossy(&line[..line.len().min(1_024)]);
    let mut shown = String::new();
    let mut rest = text.trim_end();
    while let Some(c) = rest.chars().next() {
        if shown.chars().count() >= SHOWN {
            shown.push('…');
            break;
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || "+/=_-.".contains(c);
        let length = match c {
            // To the end of the query, or of the line.
            '?' => rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len()),
            c if is_word(c) && c != '/' => rest.find(|c: char| !is_word(c) || c == '/').unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        match c {
            '?' => shown.push_str("?…"),
            _ if length >= TOKEN => shown.push('…'),
            c if c.is_control() || c == char::REPLACEMENT_CHARACTER => shown.push('·'),
            _ => shown.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    shown
}

/// `METHOD target HTTP/1.1`.
fn request_line(request: &[u8]) -> (&[u8], &[u8]) {
    // Methods are short: a search for one byte costs more than looking at each.
    let Some(space) = request.iter().position(|byte| *byte == b' ') else { return (request, b"-") };
    let (method, rest) = (&request[..space], &request[space + 1..]);
    if let Some((target, [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor])) = rest.split_last_chunk()
        && *major != b' '
        && *minor != b' '
    {
        return (method, target);
    }
    // Requests with spaces in their target were answered with an error; the version is what comes last.
    let target = match memchr::memrchr(b' ', rest) {
        Some(last) if rest[last + 1..].starts_with(b"HTTP/") => &rest[..last],
        _ => rest,
    };
    (method, target)
}

fn status(text: &[u8]) -> Option<u16> {
    match text {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        // The client left, or there was nobody to answer.
        b"-" | b"0" | b"000" => Some(0),
        _ => None,
    }
}

/// Decimal digits; anything else is 0, since sizes and durations are not what a line is read for.
fn number(text: &[u8]) -> u64 {
    let mut sum: u64 = 0;
    for byte in text {
        if !byte.is_ascii_digit() {
            return 0;
        }
        sum = sum.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
    }
    sum
}

/// Seconds with a fraction, as microseconds; anything else is 0.
fn seconds(text: &[u8]) -> u64 {
    let (whole, fraction) = match memchr::memchr(b'.', text) {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    let mut micros = 0;
    for place in 0..6 {
        let digit = fraction.get(place).copied().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return 0;
        }
        micros = micros * 10 + u64::from(digit - b'0');
    }
    number(whole).saturating_mul(1_000_000).saturating_add(micros)
}
