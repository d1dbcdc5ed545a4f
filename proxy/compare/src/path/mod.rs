//! A place in a JSON document: `$.a.b`, `$..updated_at`, `$.items[*].id`.
//!
//! Invariant: what [`Display`](fmt::Display) writes, the parser reads back as the same path; so a path copied
//! out of a report is a rule that works.

mod matcher;
mod parser;

use std::fmt;

pub(crate) use matcher::{Matcher, Segment, name_is_data, write_segment};
pub use parser::FieldPathError;

/// A place, or a family of places, in a JSON document.
///
/// | written | selects |
/// |---|---|
/// | `$` | the document |
/// | `.name`, `['name']` | the member of that name |
/// | `{*}` | every member of an object |
/// | `[*]` | every element of an array |
/// | `[0]` | one element |
/// | `.*` | every member or element |
/// | `..name`, `..[*]`, … | the same, at any depth below |
///
/// The syntax is that of RFC 9535 as far as it goes, with `{*}` added, and `[*]` for arrays alone. At most
/// [`FIELD_PATH_STEPS`](crate::limits::FIELD_PATH_STEPS) steps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath {
    steps: Box<[Step]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Step {
    /// Written with `..`: any number of levels may lie between.
    anywhere: bool,
    selector: Selector,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Selector {
    Name(Box<str>),
    AnyMember,
    Index(usize),
    AnyElement,
    Any,
}

impl FieldPath {
    /// Whether this is `$`, the whole document.
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for Step { anywhere, selector } in &self.steps {
            // One of the two dots of a plain name is the name's own.
            match (selector, anywhere) {
                (Selector::Name(name), true) if is_plain(name) => write!(f, "..{name}")?,
                (Selector::Any, true) => f.write_str("..*")?,
                (_, true) => write!(f, "..{selector}")?,
                (_, false) => write!(f, "{selector}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write_name(f, name),
            Self::AnyMember => f.write_str("{*}"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::AnyElement => f.write_str("[*]"),
            Self::Any => f.write_str(".*"),
        }
    }
}

fn write_name(out: &mut impl fmt::Write, name: &str) -> fmt::Result {
    if is_plain(name) {
        return write!(out, ".{name}");
    }
    out.write_str("['")?;
    for c in name.chars() {
        match c {
            '\'' | '\\' => write!(out, "\\{c}")?,
            // Control characters are below 0xA0, so four digits hold them.
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_str("']")
}

/// Whether a name can stand after a dot.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_plain_character)
}

fn is_plain_character(c: char) -> bool {
    !(c.is_whitespace()
        || c.is_control()
        || matches!(c, '.' | '[' | ']' | '{' | '}' | '*' | '\'' | '"' | '\\'))
}
