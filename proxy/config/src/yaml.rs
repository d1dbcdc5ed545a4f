//! YAML text to a tree of positioned nodes. The one module that sees the YAML library.
//!
//! It never follows an alias without paying for it: the nodes and bytes that aliases repeat are counted
//! against a budget, so that a small file cannot become a large tree. Scalars stay the text they are;
//! what type a text must have is decided by who reads it, so `no` is a word and not a truth value.
//! A text enters at [`parse`].

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde_yaml::granit_parser::{self as parser, ErrorKind, Event, Parser, ScalarStyle, StructureStyle};

use crate::diagnostics::{Diagnostic, PROBLEMS_MAX, quote};
use crate::document::{Document, Span};

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// A scalar with its quotes; a collection from its first to its last byte, as far as known.
    pub(crate) span: Span,
    pub(crate) kind: Kind,
    /// Collections below, itself included.
    depth: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Mapping),
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: Arc<str>,
    pub(crate) style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Block,
}

#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) entries: Vec<Entry>,
    /// Written in braces.
    pub(crate) flow: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<str>,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Node {
    /// Nothing is written, or `null`.
    pub(crate) fn is_null(&self) -> bool {
        match &self.kind {
            Kind::Scalar(scalar) => {
                scalar.style == Style::Plain && matches!(&*scalar.text, "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    pub(crate) fn mapping(&self) -> Option<&Mapping> {
        match &self.kind {
            Kind::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The place of some bytes of a scalar's text: exact where the file says it letter by letter, else
    /// the whole scalar.
    pub(crate) fn span_within(&self, document: &Document, bytes: Range<usize>) -> Span {
        let Kind::Scalar(scalar) = &self.kind else { return self.span };
        let source = document.slice(self.span);
        let opening = usize::from(scalar.style != Style::Plain);
        let verbatim = source.get(opening..source.len().saturating_sub(opening)) == Some(&*scalar.text);
        if !verbatim || scalar.text.get(bytes.clone()).is_none() {
            return self.span;
        }
        let start = self.span.start + opening;
        Span::new(start + bytes.start, start + bytes.end)
    }
}

impl Mapping {
    /// The value of a key; the first one where the key stands twice.
    pub(crate) fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.key == key)
    }
}

/// The tree of a document and what is wrong with it without making it unreadable (duplicate keys, tags).
/// `None` for a document without any content.
pub(crate) fn parse(document: &Document) -> Result<(Option<Node>, Vec<Diagnostic>), Box<Diagnostic>> {
    let mut builder = Builder::new();
    for step in Parser::new_from_str_with_options(document.text(), options()) {
        let (event, span) = step.map_err(|error| syntax_error(document, &error))?;
        let span = span.byte_range().map_or_else(Span::default, |range| Span::new(range.start, range.end));
        builder.take(event, span)?;
    }
    Ok((builder.root, builder.problems))
}

fn options() -> parser::Options {
    let mut options = parser::options! {
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
        disallow_directives: true,
    };
    options.set_emit_comments(false);
    options
}

/// Collections inside one another; routes.yaml needs six.
const DEPTH_MAX: usize = 32;
/// Nodes of one document, those that aliases repeat included; a file of the largest size has fewer.
const NODES_MAX: usize = 1_000_000;
/// Bytes of text that aliases may repeat.
const REPEATED_BYTES_MAX: usize = 256 * 1024;

/// A collection whose end has not come yet.
struct Open {
    node: Node,
    anchor: usize,
    /// A mapping's key that waits for its value.
    key: Option<(Arc<str>, Span)>,
    /// The keys of a mapping so far; searching its entries would be quadratic.
    keys: HashMap<Arc<str>, Span>,
}

struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    repeated_bytes: usize,
    problems: Vec<Diagnostic>,
}

impl Builder {
    fn new() -> Self {
        Self {
            root: None,
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            repeated_bytes: 0,
            problems: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Diagnostic>> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                let second = Diagnostic::error(span, "a second YAML document begins here");
                return Err(Box::new(second.expected("one document")));
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let text = if span.start == span.end { "" } else { &*text };
                let scalar = Scalar { text: text.into(), style: style_of(style) };
                self.close(Node { span, kind: Kind::Scalar(scalar), depth: 0 }, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.start(Kind::Sequence(Vec::new()), anchor, span);
            }
            Event::MappingStart(style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let flow = style == StructureStyle::Flow;
                self.start(Kind::Mapping(Mapping { entries: Vec::new(), flow }), anchor, span);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { mut node, anchor, .. }) = self.open.pop() {
                    node.span =
                        Span::new(node.span.start, last_byte(&node).max(span.end.min(span.start + 1)));
                    self.close(node, anchor)?;
                }
            }
            Event::Alias(anchor) => self.repeat(anchor, span)?,
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, kind: Kind, anchor: usize, span: Span) {
        self.open.push(Open { node: Node { span, kind, depth: 1 }, anchor, key: None, keys: HashMap::new() });
    }

    /// A node is complete: it becomes a key, a value, an item or the root.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Box<Diagnostic>> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = format!("the file holds more than {NODES_MAX} values");
            return Err(Box::new(Diagnostic::error(node.span, message)));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.node.depth = parent.node.depth.max(node.depth + 1);
        match &mut parent.node.kind {
            Kind::Sequence(items) => items.push(node),
            Kind::Mapping(mapping) => match parent.key.take() {
                None => parent.key = Some(key_of(&node)?),
                Some((key, key_span)) => {
                    let first = *parent.keys.entry(Arc::clone(&key)).or_insert(key_span);
                    if first != key_span && self.problems.len() < PROBLEMS_MAX {
                        self.problems.push(
                            Diagnostic::error(key_span, format!("the key {} is there twice", quote(&key)))
                                .related(first, "the first one")
                                .expected("each key once"),
                        );
                    }
                    mapping.entries.push(Entry { key, key_span, value: node });
                }
            },
            Kind::Scalar(_) => {}
        }
        Ok(())
    }

    fn repeat(&mut self, anchor: usize, span: Span) -> Result<(), Box<Diagnostic>> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Box::new(Diagnostic::error(span, "the alias stands inside the value it repeats")));
        };
        let (nodes, bytes) = size(node);
        self.nodes += nodes;
        self.repeated_bytes += bytes;
        if self.nodes > NODES_MAX
            || self.repeated_bytes > REPEATED_BYTES_MAX
            || self.open.len() + node.depth > DEPTH_MAX
        {
            let problem = Diagnostic::error(span, "the aliases repeat too much");
            return Err(Box::new(problem.expected("few and small repetitions: write the values out")));
        }
        let node = node.clone();
        self.close(node, 0)
    }

    fn refuse_tag(&mut self, tagged: bool, span: Span) {
        if tagged && self.problems.len() < PROBLEMS_MAX {
            self.problems.push(
                Diagnostic::error(span, "YAML tags have no meaning here").expected("the value without `!…`"),
            );
        }
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    }
}

/// A key is text; a list or a mapping as a key is what braces at a wrong place look like.
fn key_of(node: &Node) -> Result<(Arc<str>, Span), Box<Diagnostic>> {
    match &node.kind {
        Kind::Scalar(scalar) => Ok((Arc::clone(&scalar.text), node.span)),
        _ => {
            let problem = Diagnostic::error(node.span, "a list or a mapping stands where a key should");
            Err(Box::new(problem.expected("a word; quotes around a text with braces or brackets")))
        }
    }
}

/// The end of what a collection holds; its own end event may lie lines behind it.
fn last_byte(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar(_) => node.span.end,
        Kind::Sequence(items) => items.last().map_or(node.span.end, |item| item.span.end),
        Kind::Mapping(mapping) => {
            mapping.entries.last().map_or(node.span.end, |last| last.value.span.end.max(last.key_span.end))
        }
    }
}

/// Nodes and bytes of text in a tree, itself included.
fn size(node: &Node) -> (usize, usize) {
    let sum = |sizes: &mut dyn Iterator<Item = (usize, usize)>| {
        sizes.fold((1, 0), |(nodes, bytes), (more, text)| (nodes + more, bytes + text))
    };
    match &node.kind {
        Kind::Scalar(scalar) => (1, scalar.text.len()),
        Kind::Sequence(items) => sum(&mut items.iter().map(size)),
        Kind::Mapping(mapping) => sum(&mut mapping.entries.iter().map(|entry| {
            let (nodes, bytes) = size(&entry.value);
            (nodes, bytes + entry.key.len())
        })),
    }
}

/// The parser's error in the words of somebody who edits a file of routes.
fn syntax_error(document: &Document, error: &parser::ScanError) -> Box<Diagnostic> {
    let byte = document.floor(error.marker().byte_offset().unwrap_or_default());
    let span = Span::new(byte, byte + document.text()[byte..].chars().next().map_or(0, char::len_utf8));
    let (message, expected) = match error.kind() {
        ErrorKind::TabInBlockIndentation => ("a tab in the indentation".to_owned(), "spaces"),
        ErrorKind::MappingValueNotAllowed => (
            "a second `key: value` on one line, or a wrong indentation".to_owned(),
            "one pair a line, keys of one mapping below one another, and quotes around a text with `: ` in it",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::ExpectedBlockMappingKey => (
            "this line is neither a `key: value` pair nor a part of the value above".to_owned(),
            "`key: value`, indented like the other keys of its mapping",
        ),
        ErrorKind::ExpectedBlockSequenceEntry => (
            "this line is neither an item of the list above nor a part of its last item".to_owned(),
            "`- …` indented like the other items, or `key: value` indented like the other keys of the item",
        ),
        ErrorKind::InvalidQuotedScalarIndent | ErrorKind::UnclosedQuotedScalar => {
            ("a quoted text above does not end".to_owned(), "the closing quote")
        }
        ErrorKind::DirectiveDisallowed => ("`%` directives are not read".to_owned(), "a file without them"),
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => (
            format!("YAML syntax: {}", error.info()),
            "`,` between the values, or the closing bracket of a line above; \
             a text with `{`, `}`, `[`, `]` or `,` in it needs quotes inside brackets",
        ),
        ErrorKind::UnclosedFlowCollection { open } => {
            (format!("`{open}` is never closed"), "the closing bracket")
        }
        ErrorKind::UnexpectedCharacter { character } => (
            format!("a value cannot begin with {}", quote(&character.to_string())),
            "quotes around a text that begins with a sign",
        ),
        ErrorKind::UnknownAnchor => {
            ("the alias names no anchor above it".to_owned(), "`&name` before `*name`")
        }
        _ => (format!("YAML syntax: {}", error.info()), "valid YAML"),
    };
    Box::new(Diagnostic::error(span, message).expected(expected))
}
