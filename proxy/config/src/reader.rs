//! The reader: from nodes to typed values, collecting what is wrong instead of stopping at it.
//!
//! It reports each mistake once, where it is; what depends on a broken value is told so by [`Given::Broken`].

use std::collections::HashMap;

use crate::diagnostics::{Diagnostic, PROBLEMS_MAX, nearest, quote};
use crate::document::{Document, Span};
use crate::keys::Shape;
use crate::not_yet;
use crate::spec::{At, Given};
use crate::values::Parsed;
use crate::yaml::{Kind, Mapping, Node};

pub(crate) struct Reader<'d> {
    document: &'d Document,
    problems: Vec<Diagnostic>,
}

/// The entries of a mapping whose keys are known.
pub(crate) struct Fields<'n> {
    mapping: Option<&'n Mapping>,
    /// Where something that is missing would have to be added.
    pub(crate) span: Span,
    /// Keys that are probably meant by others that are spelt wrong: these are not missing as well.
    misspelt: Vec<String>,
}

impl<'n> Fields<'n> {
    /// The value of a key, unless it is absent.
    pub(crate) fn find(&self, key: &str) -> Option<&'n Node> {
        self.mapping?.find(key).map(|entry| &entry.value)
    }

    fn is_misspelt(&self, key: &str) -> bool {
        self.misspelt.iter().any(|meant| meant == key)
    }

    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.mapping?.find(key).map(|entry| entry.key_span)
    }
}

impl<'d> Reader<'d> {
    pub(crate) fn new(document: &'d Document, problems: Vec<Diagnostic>) -> Self {
        Self { document, problems }
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        if !self.is_full() {
            self.problems.push(diagnostic);
        }
    }

    pub(crate) fn into_problems(self) -> Vec<Diagnostic> {
        self.problems
    }

    /// How many problems there are so far.
    pub(crate) fn count(&self) -> usize {
        self.problems.len()
    }

    /// A mapping with known keys; nothing at all is an empty one. Unknown keys are reported.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, shape: &Shape) -> Option<Fields<'n>> {
        let mapping = match &node.kind {
            Kind::Mapping(mapping) => mapping,
            _ if node.is_null() => {
                return Some(Fields { mapping: None, span: node.span, misspelt: Vec::new() });
            }
            _ => {
                let expected = format!("a mapping with the keys {}", shape.keys.join(", "));
                let message = format!("{} is written as {}", shape.what, kind_name(node));
                self.report(Diagnostic::error(node.span, message).expected(expected));
                return None;
            }
        };
        let mut misspelt = Vec::new();
        for entry in &mapping.entries {
            if !shape.keys.contains(&&*entry.key) && !self.is_full() {
                let problem = unknown_key(&entry.key, entry.key_span, shape);
                misspelt.extend(problem.suggestion.clone());
                self.report(problem);
            }
        }
        Some(Fields { mapping: Some(mapping), span: head_span(node), misspelt })
    }

    /// The value of a key, parsed.
    pub(crate) fn field<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Given<T> {
        match fields.find(key) {
            None if fields.is_misspelt(key) => Given::Broken,
            None => Given::Absent,
            Some(node) => self.scalar(node, key, parse),
        }
    }

    /// The value of a key that must be there.
    pub(crate) fn required<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        what: &str,
        example: &str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Given<T> {
        let given = self.field(fields, key, parse);
        if given.is_absent() {
            self.missing(fields, key, &format!("{what} has no `{key}`"), example);
            return Given::Broken;
        }
        given
    }

    /// Reports that a key is not there, unless it is there and spelt wrong. `example` is a value it could have.
    pub(crate) fn missing(&mut self, fields: &Fields<'_>, key: &str, message: &str, example: &str) {
        if !fields.is_misspelt(key) {
            self.report(Diagnostic::error(fields.span, message).expected(format!("`{key}: {example}`")));
        }
    }

    /// One value, parsed; `key` is what it is the value of.
    pub(crate) fn scalar<T>(
        &mut self,
        node: &Node,
        key: &str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Given<T> {
        let Kind::Scalar(scalar) = &node.kind else {
            let message = format!("`{key}` is {}", kind_name(node));
            self.report(Diagnostic::error(head_span(node), message).expected("a single value"));
            return Given::Broken;
        };
        if node.is_null() {
            self.report(Diagnostic::error(node.span, format!("`{key}` has no value")).expected("a value"));
            return Given::Broken;
        }
        if let Some(beginning) = not_yet::value(key, &scalar.text) {
            self.report(Diagnostic::error(node.span, not_yet::message(beginning)));
            return Given::Broken;
        }
        match parse(&scalar.text) {
            Ok(value) => Given::Is(At { value, span: node.span }),
            Err(wrong) => {
                let span = wrong.bytes.map_or(node.span, |bytes| node.span_within(self.document, bytes));
                let mut problem = Diagnostic::error(span, wrong.message).expected(wrong.expected);
                problem.suggestion = wrong.suggestion;
                self.report(problem);
                Given::Broken
            }
        }
    }

    /// A list, each item read; nothing at all is an empty one. Items that cannot be read are left out.
    pub(crate) fn list<T>(
        &mut self,
        node: &Node,
        key: &str,
        mut item: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        match &node.kind {
            Kind::Sequence(items) => items.iter().filter_map(|node| item(self, node)).collect(),
            _ if node.is_null() => Vec::new(),
            _ => {
                let message = format!("`{key}` is {}", kind_name(node));
                self.report(
                    Diagnostic::error(head_span(node), message)
                        .expected("a list: `[…, …]` or lines with `- `"),
                );
                Vec::new()
            }
        }
    }

    /// A list of single values under a key.
    pub(crate) fn field_list<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Vec<T> {
        let Some(node) = fields.find(key) else { return Vec::new() };
        self.list(node, key, |reader, item| reader.scalar(item, key, &parse).into_option().map(|at| at.value))
    }

    /// A mapping whose keys are names that the user chooses.
    pub(crate) fn named<T>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        name: impl Fn(&str) -> Parsed<String>,
        mut value: impl FnMut(&mut Self, &str, &Node) -> T,
    ) -> Vec<(At<String>, T)> {
        let Some(node) = fields.find(key).filter(|node| !node.is_null()) else { return Vec::new() };
        let Some(mapping) = node.mapping() else {
            let message = format!("`{key}` is {}", kind_name(node));
            self.report(Diagnostic::error(head_span(node), message).expected("a mapping: `NAME: …`"));
            return Vec::new();
        };
        let mut read = Vec::new();
        // What stands twice was reported when the text was parsed; here it counts once. Names that become
        // equal only by `name` (header fields) have not been.
        let mut seen: HashMap<String, Span> = HashMap::new();
        for entry in &mapping.entries {
            let name = match name(&entry.key) {
                Ok(name) => name,
                Err(wrong) => {
                    self.report(Diagnostic::error(entry.key_span, wrong.message).expected(wrong.expected));
                    continue;
                }
            };
            if let Some(first) = seen.get(&name) {
                if mapping.find(&entry.key).is_some_and(|same| same.key_span == entry.key_span) {
                    let message = format!("{} is there twice", quote(&name));
                    self.report(Diagnostic::error(entry.key_span, message).related(*first, "the first one"));
                }
                continue;
            }
            seen.insert(name.clone(), entry.key_span);
            let value = value(self, &name, &entry.value);
            read.push((At { value: name, span: entry.key_span }, value));
        }
        read
    }

    fn is_full(&self) -> bool {
        self.problems.len() >= PROBLEMS_MAX
    }
}

fn unknown_key(key: &str, span: Span, shape: &Shape) -> Diagnostic {
    if not_yet::is_key(shape.what, key) {
        return Diagnostic::error(span, not_yet::message(key));
    }
    let mut problem = Diagnostic::error(span, format!("{} has no key {}", shape.what, quote(key)));
    problem.suggestion = nearest(key, shape.keys.iter().copied()).map(str::to_owned);
    problem.expected(match (key, shape.keys) {
        ("<<", _) => "the keys written out: merge keys are not read".to_owned(),
        (_, [only]) => format!("`{only}`"),
        (_, keys) => format!("one of {}", keys.join(", ")),
    })
}

/// The part of a node to point at when the whole is meant: a block's first key, else its first line.
pub(crate) fn head_span(node: &Node) -> Span {
    match &node.kind {
        Kind::Mapping(Mapping { entries, flow: false }) => {
            entries.first().map_or(node.span, |first| first.key_span)
        }
        _ => node.span,
    }
}

fn kind_name(node: &Node) -> &'static str {
    match &node.kind {
        Kind::Scalar(_) if node.is_null() => "empty",
        Kind::Scalar(_) => "a single value",
        Kind::Sequence(_) => "a list",
        Kind::Mapping(_) => "a mapping",
    }
}
