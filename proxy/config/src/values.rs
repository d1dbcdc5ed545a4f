//! The values that a scalar can hold: its text to a typed value, or what is wrong with which bytes of it.
//!
//! Pure functions of one text; where it stands in the file is the caller's business.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use starve_compare::{FieldPath, FieldPathError};
use starve_migration::{Percent, Stage, StickyKey};
use starve_routing::Pattern;

use crate::diagnostics::{nearest, quote};

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) message: String,
    pub(crate) expected: String,
    pub(crate) suggestion: Option<String>,
    /// The bytes that are wrong; `None` is the whole text.
    pub(crate) bytes: Option<Range<usize>>,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { message: message.into(), expected: expected.into(), suggestion: None, bytes: None }
    }

    pub(crate) fn at(self, bytes: Range<usize>) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    fn suggest(self, suggestion: Option<String>) -> Self {
        Self { suggestion, ..self }
    }
}

pub(crate) type Parsed<T> = Result<T, Wrong>;

/// `500ms`, `10s`, `2m`, `1h`, `1d`; never zero, at most 365 days.
pub(crate) fn duration(text: &str) -> Parsed<Duration> {
    const EXPECTED: &str = "a duration such as 500ms, 10s, 2m, 1h or 1d";
    let wrong = |message: &str| Wrong::new(format!("{} {message}", quote(text)), EXPECTED);
    let (number, unit) = number_and_unit(text);
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if !number.is_empty() => {
            return Err(wrong("is a number without a unit").suggest(Some(format!("{number}s"))));
        }
        _ => return Err(wrong("is not a duration")),
    };
    let number: u64 = number.parse().map_err(|_| wrong("is not a duration"))?;
    match number.checked_mul(milliseconds) {
        Some(0) => Err(wrong("would be over at once")),
        Some(total) if total <= 365 * 86_400_000 => Ok(Duration::from_millis(total)),
        _ => Err(wrong("is longer than 365 days")),
    }
}

/// `64KiB`, `1MiB`, `10MB`, or a number of bytes.
pub(crate) fn bytes(text: &str) -> Parsed<u64> {
    const EXPECTED: &str = "a size such as 16KiB, 1MiB, 10MB or a number of bytes";
    let wrong = |message: &str| Wrong::new(format!("{} {message}", quote(text)), EXPECTED);
    let (number, unit) = number_and_unit(text);
    let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let meant = UNITS.iter().map(|(name, _)| *name).find(|name| {
            name.eq_ignore_ascii_case(unit)
                || name.strip_suffix("iB").is_some_and(|k| k.eq_ignore_ascii_case(unit))
        });
        let suggestion = meant.filter(|_| !number.is_empty()).map(|unit| format!("{number}{unit}"));
        return Err(wrong("is not a size").suggest(suggestion));
    };
    let number: u64 = number.parse().map_err(|_| wrong("is not a size"))?;
    number.checked_mul(*factor).filter(|total| *total <= 1 << 50).ok_or_else(|| wrong("is too large"))
}

const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// A size that fits into memory.
pub(crate) fn memory_bytes(text: &str) -> Parsed<usize> {
    let size = bytes(text)?;
    usize::try_from(size).map_err(|_| Wrong::new(format!("{} is too large", quote(text)), "a size in memory"))
}

/// A size, or `none` for no limit.
pub(crate) fn bytes_or_none(text: &str) -> Parsed<Option<u64>> {
    if text == "none" {
        return Ok(None);
    }
    bytes(text).map(Some).map_err(|wrong| Wrong { expected: format!("{}, or none", wrong.expected), ..wrong })
}

fn number_and_unit(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(digits)
}

/// A whole number from 1 to ten million, digits with `_` between them.
pub(crate) fn count(text: &str) -> Parsed<usize> {
    match count_or_zero(text)? {
        0 => Err(Wrong::new("0 would let nothing through", "a whole number from 1 on")),
        number => Ok(number),
    }
}

pub(crate) fn count_or_zero(text: &str) -> Parsed<usize> {
    const MAX: usize = 10_000_000;
    let digits = text.replace('_', "");
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(number) if plain && number <= MAX => Ok(number),
        _ => {
            Err(Wrong::new(format!("{} is not a count", quote(text)), format!("a whole number up to {MAX}")))
        }
    }
}

/// `auto` (one per core) or a number of threads.
pub(crate) fn workers(text: &str) -> Parsed<Option<NonZeroUsize>> {
    if text == "auto" {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number| (1..=1024).contains(number)).and_then(NonZeroUsize::new);
    let wrong = || Wrong::new(format!("{} is not a number of workers", quote(text)), "auto, or 1 to 1024");
    number.map(Some).ok_or_else(wrong)
}

/// An address, or a network as `10.0.0.0/8`.
pub(crate) fn network(text: &str) -> Parsed<IpNet> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| {
        Wrong::new(format!("{} is no address and no network", quote(text)), "as 10.0.0.7 or 10.0.0.0/8")
    })
}

pub(crate) fn truth(text: &str) -> Parsed<bool> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => {
            let meant = match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "true" => Some("true"),
                "no" | "off" | "false" => Some("false"),
                _ => None,
            };
            let wrong = Wrong::new(format!("{} is neither true nor false", quote(text)), "true or false");
            Err(wrong.suggest(meant.map(str::to_owned)))
        }
    }
}

pub(crate) fn percent(text: &str) -> Parsed<Percent> {
    text.parse().map_err(|_| {
        Wrong::new(
            format!("{} is not a percentage", quote(text)),
            "a number from 0 to 100 with at most two decimals",
        )
    })
}

pub(crate) fn stage(text: &str) -> Parsed<Stage> {
    one_of(text, "a stage", &Stage::ALL.map(|stage| (stage.as_str(), stage)))
}

/// One of a few words.
pub(crate) fn one_of<T: Copy>(text: &str, what: &str, words: &[(&str, T)]) -> Parsed<T> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let names = || words.iter().map(|(word, _)| *word);
    let expected = match words {
        [(only, _)] => (*only).to_owned(),
        _ => format!("one of {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(Wrong::new(format!("{} is not {what}", quote(text)), expected)
        .suggest(nearest(text, names()).map(str::to_owned)))
}

pub(crate) fn sticky(text: &str) -> Parsed<StickyKey> {
    text.parse()
        .map_err(|_| Wrong::new(format!("{} is not a sticky key", quote(text)), "cookie:NAME or header:NAME"))
}

pub(crate) fn pattern(text: &str) -> Parsed<Pattern> {
    text.parse::<Pattern>().map_err(|error| Wrong::new(error.message, error.expected).at(error.span))
}

pub(crate) fn field_path(text: &str) -> Parsed<FieldPath> {
    text.parse().map_err(|error: FieldPathError| {
        let start = text.char_indices().nth(error.column() - 1).map_or(text.len(), |(at, _)| at);
        Wrong::new(format!("{} is not a field path", quote(text)), error.expected().trim_end_matches(','))
            .at(start..text.len())
    })
}

/// The name of a header field, in lower case (RFC 9110 §5.1: a token, in any case).
pub(crate) fn header_name(text: &str) -> Parsed<String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match text.bytes().position(|byte| !token(byte)) {
        None if !text.is_empty() => Ok(text.to_ascii_lowercase()),
        at => Err(Wrong::new(format!("{} is not a header name", quote(text)), "letters, digits and `-`")
            .at(at.map_or(0..text.len(), |at| at..text.len()))),
    }
}

/// A name of the configuration's own: of a function or an upstream.
pub(crate) fn name(text: &str) -> Parsed<String> {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let well_begun = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if well_begun && text.len() <= 64 && text.bytes().all(part) {
        return Ok(text.to_owned());
    }
    let expected = "letters, digits, `-`, `_` and `.`, a letter or digit first, at most 64";
    Err(Wrong::new(format!("{} cannot be a name", quote(text)), expected))
}

/// The name of a route, which is a label in metrics and reports.
pub(crate) fn route_name(text: &str) -> Parsed<String> {
    if text == RESERVED_ROUTE {
        let message = format!("{} is the name of all that no route matches", quote(text));
        return Err(Wrong::new(message, "another name"));
    }
    if text.trim() != text || text.is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
        return Err(Wrong::new(
            format!("{} cannot be the name of a route", quote(text)),
            "a text of at most 200 bytes on one line",
        ));
    }
    Ok(text.to_owned())
}

const RESERVED_ROUTE: &str = "discovered";

/// An environment variable; `PORT` is set by the host.
pub(crate) fn variable(text: &str) -> Parsed<String> {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let well_begun = text.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    if text == "PORT" {
        return Err(Wrong::new("`PORT` is set by the proxy for each instance", "another variable"));
    }
    if well_begun && text.bytes().all(part) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(
        format!("{} cannot be the name of an environment variable", quote(text)),
        "letters, digits and `_`",
    ))
}

/// Any text that a program, a file name or a header can hold.
pub(crate) fn text(text: &str) -> Parsed<String> {
    match text.find(|c: char| c == '\0' || (c.is_control() && c != '\t')) {
        None => Ok(text.to_owned()),
        Some(_) => Err(Wrong::new("the text holds a line break or another control character", "one line")),
    }
}

pub(crate) fn file(value: &str) -> Parsed<PathBuf> {
    match value {
        "" => Err(Wrong::new("the file has no name", "a path")),
        _ => text(value).map(PathBuf::from),
    }
}

pub(crate) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| {
        let port = |text: &str| text.parse::<u16>().is_ok();
        let meant = match text.rsplit_once(':') {
            Some(("", number)) if port(number) => Some(format!("0.0.0.0:{number}")),
            Some(("*", number)) if port(number) => Some(format!("0.0.0.0:{number}")),
            Some(("localhost", number)) if port(number) => Some(format!("127.0.0.1:{number}")),
            None if port(text) => Some(format!("127.0.0.1:{text}")),
            _ => None,
        };
        let expected = "an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080";
        Wrong::new(format!("{} is not an address to listen on", quote(text)), expected).suggest(meant)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_a_number_and_a_unit() {
        for (text, milliseconds) in
            [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000), ("1d", 86_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)));
        }
        for text in ["", "s", "10 s", "-1s", "1.5s", "1S", "0s", "366d", "99999999999999999999d", "1m30s"] {
            assert!(duration(text).is_err(), "{text} was taken");
        }
        assert_eq!(duration("30").unwrap_err().suggestion.as_deref(), Some("30s"));
    }

    #[test]
    fn sizes_are_binary_or_decimal_as_written() {
        for (text, size) in [("64KiB", 65_536), ("64KB", 64_000), ("1MiB", 1 << 20), ("12", 12), ("0", 0)] {
            assert_eq!(bytes(text), Ok(size));
        }
        assert_eq!(bytes("64kb").unwrap_err().suggestion.as_deref(), Some("64KB"));
        assert_eq!(bytes("64k").unwrap_err().suggestion.as_deref(), Some("64KiB"));
        assert!(bytes("9999999GiB").is_err());
        assert_eq!(bytes_or_none("none"), Ok(None));
    }

    #[test]
    fn an_address_that_other_programs_take_is_translated() {
        for (text, meant) in
            [(":8080", "0.0.0.0:8080"), ("localhost:9900", "127.0.0.1:9900"), ("8080", "127.0.0.1:8080")]
        {
            assert_eq!(address(text).unwrap_err().suggestion.as_deref(), Some(meant));
        }
        assert!(address("[::1]:80").is_ok());
        assert_eq!(address("example.org:80").unwrap_err().suggestion, None);
    }

    #[test]
    fn the_reserved_name_of_all_that_is_discovered_cannot_be_taken() {
        assert!(route_name("discovered").is_err());
        assert!(route_name("checkout: place an order").is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_value_panic(text in "\\PC{0,12}|[0-9]{0,25}[a-zA-Z]{0,3}") {
            let _ = (duration(&text), bytes(&text), count(&text), address(&text), workers(&text));
            let _ = (name(&text), route_name(&text), header_name(&text), variable(&text), truth(&text));
        }

        #[test]
        fn what_is_wrong_lies_inside_the_text(text in "\\PC{0,12}") {
            if let Err(Wrong { bytes: Some(bytes), .. }) = header_name(&text) {
                prop_assert!(bytes.end <= text.len());
            }
        }
    }
}
