//! Paths that miss a pattern by one slip.

use std::fmt;

use crate::{ParameterType, Pattern, Segment};

/// By what a path misses a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NearMiss {
    /// The path ends with a slash that the pattern does not have.
    ExtraSlash,
    /// The pattern ends with a slash that the path does not have.
    MissingSlash,
    /// Only letter case differs.
    Case,
    /// The path has `//` where the pattern has `/`.
    DoubleSlash,
    /// One value is not of the parameter's type; all else matches.
    Type { name: String, expected: ParameterType, value: String },
}

impl NearMiss {
    /// `None` for a path that matches, and for one that misses by more.
    pub(super) fn of(pattern: &Pattern, path: &str) -> Option<Self> {
        if pattern.matches_path(path) {
            return None;
        }
        let without = path.strip_suffix('/').filter(|path| !path.is_empty());
        if without.is_some_and(|path| pattern.matches_path(path)) {
            return Some(Self::ExtraSlash);
        }
        if pattern.matches_path(&format!("{path}/")) {
            return Some(Self::MissingSlash);
        }
        if path.contains("//") && pattern.matches_path(&single_slashes(path)) {
            return Some(Self::DoubleSlash);
        }
        let slips = slips(pattern, path)?;
        match slips.as_slice() {
            [Slip::Type(near)] => Some(near.clone()),
            slips if slips.iter().all(|slip| matches!(slip, Slip::Case)) => Some(Self::Case),
            _ => None,
        }
    }
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExtraSlash => f.write_str("the path ends with a slash, the pattern does not"),
            Self::MissingSlash => f.write_str("the pattern ends with a slash, the path does not"),
            Self::Case => f.write_str("the path differs in letter case"),
            Self::DoubleSlash => f.write_str("the path has a double slash"),
            Self::Type { name, expected, value } => write!(f, "`{value}` is no {expected} for {{{name}}}"),
        }
    }
}

enum Slip {
    Case,
    Type(NearMiss),
}

/// What is wrong with each segment that does not match; `None` if it is more than a slip.
fn slips(pattern: &Pattern, path: &str) -> Option<Vec<Slip>> {
    let texts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let segments = pattern.segments();
    let enough = match segments.last() {
        Some(Segment::Rest { .. }) => texts.len() >= segments.len(),
        _ => texts.len() == segments.len(),
    };
    enough.then_some(())?;
    segments.iter().zip(texts).filter_map(|(segment, text)| slip(segment, text)).collect()
}

/// `None` for a segment that matches, `Some(None)` for one that is all wrong.
fn slip(segment: &Segment, text: &str) -> Option<Option<Slip>> {
    match segment {
        Segment::Rest { .. } => None,
        Segment::Literal(literal) if literal == text => None,
        Segment::Literal(literal) => Some(literal.eq_ignore_ascii_case(text).then_some(Slip::Case)),
        Segment::Parameter(parameter) if parameter.value(text).is_some() => None,
        Segment::Parameter(parameter) => {
            let untyped = crate::Parameter { kind: None, ..parameter.clone() };
            let (value, expected) = (untyped.value(text), parameter.kind);
            Some(value.zip(expected).map(|(value, expected)| {
                let name = parameter.name.clone();
                Slip::Type(NearMiss::Type { name, expected, value: value.to_owned() })
            }))
        }
    }
}

fn single_slashes(path: &str) -> String {
    let mut single = String::with_capacity(path.len());
    for character in path.chars() {
        if !(character == '/' && single.ends_with('/')) {
            single.push(character);
        }
    }
    single
}
