//! A diagnostic as text with the excerpt it is about.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Element, Level, Origin, Renderer, Snippet};

use crate::diagnostics::{Diagnostic, Severity};
use crate::document::{Document, Position, Span};

pub(crate) fn diagnostic(document: &Document, diagnostic: &Diagnostic, colour: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let excerpts = excerpts(document, diagnostic);
    let mut group = level.primary_title(diagnostic.message.as_str()).elements(excerpts);
    if let Some(expected) = &diagnostic.expected {
        group = group.element(Level::HELP.message(format!("expected {expected}")));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    renderer.decor_style(DecorStyle::Ascii).term_width(WIDTH).render(&[group])
}

/// Columns of the excerpt; a longer line is cut around its caret.
const WIDTH: usize = 140;

/// The lines the diagnostic is about, and only those: the renderer reads all it is given, and there may be a
/// hundred diagnostics.
fn excerpts<'a>(document: &'a Document, diagnostic: &'a Diagnostic) -> Vec<Element<'a>> {
    let label = diagnostic.suggestion.as_ref().map(|suggestion| format!("did you mean `{suggestion}`?"));
    let primary = Excerpt::of(document, diagnostic.span);
    let mut marks = vec![AnnotationKind::Primary.span(primary.within(diagnostic.span)).label(label)];
    let mut related = Vec::new();
    if let Some((span, label)) = &diagnostic.related {
        let other = Excerpt::of(document, *span);
        let mark = AnnotationKind::Context.span(other.within(*span)).label(label.as_str());
        if other.bytes == primary.bytes {
            marks.push(mark);
        } else {
            related = other.elements(document, vec![mark]);
        }
    }
    let mut elements = primary.elements(document, marks);
    elements.extend(related);
    elements
}

/// What is shown of one line.
struct Excerpt {
    bytes: Range<usize>,
    position: Position,
    /// Not the whole line, so that the renderer cannot count its columns.
    cut: bool,
}

impl Excerpt {
    fn of(document: &Document, span: Span) -> Self {
        let line = document.line_of(span.start);
        let position = document.position(span.start);
        if line.len() <= LINE_BYTES_MAX {
            return Self { bytes: line, position, cut: false };
        }
        let start = document.floor(span.start.saturating_sub(LINE_BYTES_MAX / 2)).max(line.start);
        let end = document.floor(start + LINE_BYTES_MAX).min(line.end);
        Self { bytes: start..end, position, cut: true }
    }

    fn elements<'a>(&self, document: &'a Document, marks: Vec<Annotation<'a>>) -> Vec<Element<'a>> {
        let excerpt = document.excerpt(self.bytes.clone());
        let snippet = Snippet::source(excerpt).line_start(self.position.line).annotations(marks);
        if self.cut {
            let Position { line, column } = self.position;
            return vec![Origin::path(document.name()).line(line).char_column(column).into(), snippet.into()];
        }
        vec![snippet.path(document.name()).into()]
    }

    /// A span's bytes counted from the beginning of the excerpt, cut to what is shown.
    fn within(&self, span: Span) -> Range<usize> {
        let offset = |byte: usize| byte.clamp(self.bytes.start, self.bytes.end) - self.bytes.start;
        offset(span.start)..offset(span.end)
    }
}

/// Longer lines are machine-made, and shown only around the mistake.
const LINE_BYTES_MAX: usize = 1_024;
