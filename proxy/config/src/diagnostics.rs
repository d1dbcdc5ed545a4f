//! Diagnostics: everything that is wrong with a document, each with its place and the way out.
//!
//! A diagnostic never quotes more of the file than the lines it is about, and its text never carries control
//! characters from the file to a terminal.

use std::fmt;

use serde::Serialize;

use crate::document::{Document, Span};
use crate::render;

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The document gives no plan.
    Error,
    /// The plan stands, but probably is not what was meant.
    Warning,
}

/// One thing that is wrong, and where.
///
/// ```
/// use starve_config::{Diagnostic, Span};
///
/// let missing = Diagnostic::error(Span::new(40, 52), "no such file: functions/search.wasm")
///     .expected("a component built by `starve fn build`");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub span: Span,
    /// What is wrong: one lower-case sentence without a full stop.
    pub message: String,
    /// What was expected instead.
    pub expected: Option<String>,
    /// The text that was probably meant.
    pub suggestion: Option<String>,
    /// Another place that belongs to it, with what is there.
    pub related: Option<(Span, String)>,
}

impl Diagnostic {
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity: Severity::Error, span, message, expected: None, suggestion: None, related: None }
    }

    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(span, message) }
    }

    #[must_use]
    pub fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: Some(expected.into()), ..self }
    }

    #[must_use]
    pub fn suggest(self, suggestion: impl Into<String>) -> Self {
        Self { suggestion: Some(suggestion.into()), ..self }
    }

    /// Suggests the candidate that is spelt most like `text`, when one is close enough.
    #[must_use]
    pub fn suggest_nearest<'a>(self, text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        Self { suggestion: nearest(text, candidates).map(str::to_owned), ..self }
    }

    #[must_use]
    pub fn related(self, span: Span, label: impl Into<String>) -> Self {
        Self { related: Some((span, label.into())), ..self }
    }
}

/// All that was found in one document, in the order of the file.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    document: Document,
    list: Vec<Diagnostic>,
}

/// A diagnostic as plain data, for the API and for machines that read `starve check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub severity: Severity,
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub message: String,
    pub expected: Option<String>,
    pub suggestion: Option<String>,
}

impl Diagnostics {
    pub fn new(document: &Document) -> Self {
        Self { document: document.clone(), list: Vec::new() }
    }

    /// All of these, whatever their order.
    pub fn from_list(document: &Document, mut list: Vec<Diagnostic>) -> Self {
        // Stable, so that what is found first at one place stays first.
        list.sort_by_key(|diagnostic| (diagnostic.span, diagnostic.severity));
        Self { document: document.clone(), list }
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        let later =
            |other: &Diagnostic| (other.span, other.severity) <= (diagnostic.span, diagnostic.severity);
        self.list.insert(self.list.partition_point(later), diagnostic);
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    pub fn document(&self) -> &Document {
        &self.document
    }

    /// As text with excerpts; `colour` adds ANSI escapes. Prints at most [`SHOWN_MAX`], then says how many
    /// there are beyond.
    pub fn render(&self, colour: bool) -> String {
        let mut text = String::new();
        for diagnostic in self.list.iter().take(SHOWN_MAX) {
            text.push_str(&render::diagnostic(&self.document, diagnostic, colour));
            text.push_str("\n\n");
        }
        if let Some(more) = self.list.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
            text.push_str(&format!("… and {more} more\n"));
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// As plain data, all of them.
    pub fn problems(&self) -> Vec<Problem> {
        self.list.iter().map(|diagnostic| self.problem(diagnostic)).collect()
    }

    fn problem(&self, diagnostic: &Diagnostic) -> Problem {
        let position = self.document.position(diagnostic.span.start);
        Problem {
            severity: diagnostic.severity,
            file: self.document.name().to_owned(),
            line: position.line,
            column: position.column,
            message: diagnostic.message.clone(),
            expected: diagnostic.expected.clone(),
            suggestion: diagnostic.suggestion.clone(),
        }
    }
}

/// Plain, without colour; see [`Diagnostics::render`].
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// How many diagnostics are printed with their excerpts.
pub const SHOWN_MAX: usize = 100;

/// How many are collected: somebody who reads the first thousand has no use for more, and a hostile file
/// must not make us write megabytes about it.
pub(crate) const PROBLEMS_MAX: usize = 1_000;

/// A text from the file inside a message: in backticks, short, without control characters.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("`");
    for (count, c) in text.chars().enumerate() {
        if count == QUOTED_CHARACTERS_MAX {
            quoted.push('…');
            break;
        }
        if c.is_control() { quoted.extend(c.escape_default()) } else { quoted.push(c) }
    }
    quoted.push('`');
    quoted
}

const QUOTED_CHARACTERS_MAX: usize = 80;

/// The candidate that is spelt most like `text`, when a typing error explains the difference.
pub(crate) fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance takes time and memory proportional to both lengths; no name is this long.
    if text.is_empty() || text.len() > 4 * QUOTED_CHARACTERS_MAX {
        return None;
    }
    let lower = text.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (candidate.chars().count().min(text.chars().count()) / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_a_typing_error_explains() {
        let keys = ["stage", "shadow", "function", "fallback"];
        assert_eq!(nearest("functoin", keys), Some("function"));
        assert_eq!(nearest("Stage", keys), Some("stage"));
        assert_eq!(nearest("timeout", keys), None);
        assert_eq!(nearest("", keys), None);
    }

    #[test]
    fn quoted_text_is_short_and_harmless_to_a_terminal() {
        assert_eq!(quote("a\u{1b}[31mb"), "`a\\u{1b}[31mb`");
        assert_eq!(quote(&"x".repeat(500)).chars().count(), 83);
    }

    #[test]
    fn what_is_pushed_later_stands_in_the_order_of_the_file() {
        let document = Document::new("routes.yaml", "abc".to_owned());
        let mut diagnostics = Diagnostics::new(&document);
        for start in [2, 0, 1] {
            diagnostics.push(Diagnostic::error(Span::new(start, start + 1), format!("at {start}")));
        }
        let columns: Vec<usize> = diagnostics.problems().iter().map(|problem| problem.column).collect();
        assert_eq!(columns, [1, 2, 3]);
    }
}
