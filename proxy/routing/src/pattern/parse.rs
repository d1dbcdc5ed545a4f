//! The pattern language's parser. Text enters through [`pattern`]; every complaint names the bytes it is
//! about and what to write instead. Nothing is repaired silently but letter case of hosts and the spelling of
//! percent-escapes.

mod host;
mod method;
mod segment;

use std::ops::Range;

use super::{HostPattern, Methods, PatternError, SEGMENTS_MAX, Segment};

pub(super) struct Parts {
    pub(super) methods: Methods,
    pub(super) host: Option<HostPattern>,
    pub(super) segments: Vec<Segment>,
}

pub(super) fn pattern(text: &str) -> Result<Parts, PatternError> {
    let whole = Piece { text, start: 0 }.trim();
    if whole.text.is_empty() {
        return Err(whole.error("the pattern is empty", "METHOD /path, for example `GET /products/{id:int}`"));
    }
    let (methods, target) = split_target(whole)?;
    let methods = method::methods(methods)?;
    let (host, path) = split_host(target)?;
    let host = host.map(host::host).transpose()?;
    Ok(Parts { methods, host, segments: segments(path)? })
}

/// A part of the pattern's text that knows where it stands.
#[derive(Clone, Copy)]
struct Piece<'a> {
    text: &'a str,
    start: usize,
}

impl<'a> Piece<'a> {
    fn span(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    fn slice(self, range: Range<usize>) -> Self {
        Self { start: self.start + range.start, text: &self.text[range] }
    }

    fn from(self, at: usize) -> Self {
        self.slice(at..self.text.len())
    }

    fn to(self, at: usize) -> Self {
        self.slice(0..at)
    }

    /// The one character at this place.
    fn character(self, at: usize) -> Self {
        let length = self.text[at..].chars().next().map_or(0, char::len_utf8);
        self.slice(at..at + length)
    }

    fn trim(self) -> Self {
        let front = self.text.len() - self.text.trim_start().len();
        Self { text: self.text.trim(), start: self.start + front }
    }

    fn split(self, separator: char) -> impl Iterator<Item = Self> {
        let mut start = self.start;
        self.text.split(separator).map(move |text| {
            let piece = Self { text, start };
            start += text.len() + separator.len_utf8();
            piece
        })
    }

    /// As it is shown in a message: what cannot be seen is escaped.
    fn shown(self) -> String {
        let shown = |c: char| {
            if c.is_control() || c.is_whitespace() { c.escape_default().to_string() } else { c.to_string() }
        };
        self.text.chars().map(shown).collect()
    }

    fn error(self, message: impl Into<String>, expected: impl Into<String>) -> PatternError {
        PatternError { span: self.span(), message: message.into(), expected: expected.into() }
    }
}

/// Methods on the left, `//host/path` or `/path` on the right.
fn split_target(whole: Piece<'_>) -> Result<(Piece<'_>, Piece<'_>), PatternError> {
    let Some(end) = whole.text.find(char::is_whitespace) else {
        return Err(match whole.text.starts_with('/') {
            true => whole.error(
                "the method is missing",
                format!("`GET {path}`, or `* {path}` for any method", path = whole.text),
            ),
            false => whole.error("the path is missing", format!("`{} /path`", whole.text)),
        });
    };
    let (methods, target) = (whole.to(end), whole.from(end).trim());
    if methods.text.ends_with(',') || target.text.starts_with(',') {
        return Err(whole.error("a space inside the list of methods", "`GET,HEAD /path`"));
    }
    if let Some(rest) = target.text.strip_prefix("http://").or_else(|| target.text.strip_prefix("https://")) {
        return Err(target.error("a pattern takes no scheme", format!("`//{rest}`, or the path alone")));
    }
    if !target.text.starts_with('/') {
        return Err(target.error("the path does not begin with a slash", format!("`/{}`", target.text)));
    }
    if let Some(at) = target.text.find(char::is_whitespace) {
        return Err(target.character(at).error("a space in the path", "`%20` where a space is meant"));
    }
    Ok((methods, target))
}

fn split_host(target: Piece<'_>) -> Result<(Option<Piece<'_>>, Piece<'_>), PatternError> {
    if !target.text.starts_with("//") {
        return Ok((None, target));
    }
    let authority = target.from(2);
    let Some(end) = authority.text.find('/') else {
        return Err(target.error("the path after the host is missing", format!("`{}/`", target.text)));
    };
    Ok((Some(authority.to(end)), authority.from(end)))
}

fn segments(path: Piece<'_>) -> Result<Vec<Segment>, PatternError> {
    refuse_query_and_fragment(path)?;
    let pieces: Vec<_> = path.from(1).split('/').collect();
    if let Some(extra) = pieces.get(SEGMENTS_MAX) {
        let beyond = path.from(extra.start - path.start);
        return Err(beyond.error(
            format!("the path has {} segments", pieces.len()),
            format!("at most {SEGMENTS_MAX}; a last `{{rest*}}` takes all that follows"),
        ));
    }
    let mut segments = Vec::with_capacity(pieces.len());
    for (index, piece) in pieces.iter().enumerate() {
        let (segment, name) = segment::segment(*piece)?;
        if let (Segment::Rest { name }, true) = (&segment, index + 1 < pieces.len()) {
            return Err(piece.error(
                format!("`{{{name}*}}` is not the last segment"),
                format!("`{{{name}}}` for one segment, or nothing after it"),
            ));
        }
        if let Some(name) = name {
            refuse_second(&segments, name)?;
        }
        segments.push(segment);
    }
    Ok(segments)
}

/// Braces may hold both characters: what is wrong there is said by the parameter's own errors.
fn refuse_query_and_fragment(path: Piece<'_>) -> Result<(), PatternError> {
    let mut open = false;
    for (at, character) in path.text.char_indices() {
        match character {
            '{' => open = true,
            '}' | '/' => open = false,
            '?' if !open => {
                return Err(path.from(at).error(
                    "a pattern takes no query string",
                    "`when: { query: { NAME: VALUE } }` beside the pattern, `\"*\"` for any value",
                ));
            }
            '#' if !open => {
                return Err(path
                    .from(at)
                    .error("a pattern takes no fragment", "nothing here: clients do not send fragments"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn refuse_second(before: &[Segment], name: Piece<'_>) -> Result<(), PatternError> {
    if before.iter().any(|segment| segment.name() == Some(name.text)) {
        return Err(name.error(
            format!("two parameters are called `{}`", name.text),
            "a name of its own for each parameter",
        ));
    }
    Ok(())
}
