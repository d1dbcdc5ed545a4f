//! A `Document`: the text of a configuration file, with its name and the positions of its bytes.
//!
//! It never interprets the text, and reads no file: the caller hands the text in.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Bytes of a document's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: usize,
    /// The first byte after it.
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end: end.max(start) }
    }

    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A place in a text as people count it: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// The text of a configuration file and the name it is shown with. Cheap to clone.
#[derive(Clone)]
pub struct Document {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    text: String,
    /// Where each line begins; the first is 0.
    line_starts: Vec<usize>,
    /// What excerpts must not show.
    secrets: OnceLock<Vec<Span>>,
}

impl Document {
    /// `name` is what diagnostics show, usually the path as the user wrote it.
    pub fn new(name: impl Into<String>, text: String) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        let secrets = OnceLock::new();
        Self { inner: Arc::new(Inner { name: name.into(), text, line_starts, secrets }) }
    }

    pub fn name(&self) -> &str {
        &self.inner.name
    }

    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// The text of a span; empty where the span is not one of this document.
    pub fn slice(&self, span: Span) -> &str {
        self.text().get(span.range()).unwrap_or_default()
    }

    /// Line and column of a byte; the end of the text for a byte behind it.
    pub fn position(&self, byte: usize) -> Position {
        let byte = self.floor(byte);
        let line = self.inner.line_starts.partition_point(|start| *start <= byte);
        let start = self.inner.line_starts[line - 1];
        let before = &self.text()[start..byte];
        Position { line, column: before.trim_start_matches(BYTE_ORDER_MARK).chars().count() + 1 }
    }

    /// The bytes of the line around a byte, without its break.
    pub(crate) fn line_of(&self, byte: usize) -> Range<usize> {
        let line = self.position(byte).line;
        let start = self.inner.line_starts[line - 1];
        let end = self.inner.line_starts.get(line).map_or(self.text().len(), |next| next - 1);
        // A byte order mark would shift the caret below the first line.
        let mark =
            if self.text()[start..end].starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        start + mark..end
    }

    /// Keeps these bytes out of every excerpt of this document and its clones. The first call counts: what is
    /// secret in a text does not change.
    pub(crate) fn hide(&self, secrets: Vec<Span>) {
        self.inner.secrets.get_or_init(|| secrets);
    }

    /// A part of the text to show: secrets are replaced by as many stars as they have bytes, so that the
    /// places of all else stay.
    pub(crate) fn excerpt(&self, bytes: Range<usize>) -> Cow<'_, str> {
        let mut excerpt = Cow::Borrowed(&self.text()[bytes.clone()]);
        for secret in self.inner.secrets.get().into_iter().flatten() {
            let (start, end) = (secret.start.max(bytes.start), secret.end.min(bytes.end));
            if start < end {
                excerpt
                    .to_mut()
                    .replace_range(start - bytes.start..end - bytes.start, &"*".repeat(end - start));
            }
        }
        excerpt
    }

    /// The last character boundary at or before a byte.
    pub(crate) fn floor(&self, byte: usize) -> usize {
        self.text().floor_char_boundary(byte)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may hold the admin token.
        f.debug_struct("Document").field("name", &self.name()).field("bytes", &self.text().len()).finish()
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_from_one_and_in_characters() {
        let document = Document::new("routes.yaml", "a: b\r\nüx: y\n".to_owned());
        let at = |byte| {
            let Position { line, column } = document.position(byte);
            (line, column)
        };
        assert_eq!((at(0), at(3), at(6)), ((1, 1), (1, 4), (2, 1)));
        assert_eq!(at(8), (2, 2), "behind the two bytes of ü");
        assert_eq!(at(7), (2, 1), "a byte inside ü counts as ü");
        assert_eq!(at(1_000), (3, 1));
    }

    #[test]
    fn a_byte_order_mark_takes_no_column() {
        let document = Document::new("routes.yaml", "\u{feff}a: b".to_owned());
        assert_eq!(document.position(3), Position { line: 1, column: 1 });
        assert_eq!(document.position(6), Position { line: 1, column: 4 });
    }
}
