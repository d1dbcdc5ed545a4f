//! The values of a match. They are cut out of the path when asked for, so a match itself stores nothing.

use std::fmt;

use super::{Pattern, Segment};

/// Names and values of a pattern's parameters in one path. Values are slices of the path: no allocation.
#[derive(Clone, Copy)]
pub struct Params<'a> {
    pattern: &'a Pattern,
    path: &'a str,
}

impl<'a> Params<'a> {
    pub(super) fn new(pattern: &'a Pattern, path: &'a str) -> Self {
        Self { pattern, path }
    }

    /// The value of one parameter; `None` when the pattern has none of this name.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.iter().find_map(|(own, value)| (own == name).then_some(value))
    }

    /// Name and value, from left to right.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = Some(self.path.strip_prefix('/').unwrap_or(self.path));
        self.pattern.segments().iter().filter_map(move |segment| {
            let left = rest.unwrap_or_default();
            let (text, tail) = match left.split_once('/') {
                Some((text, tail)) => (text, Some(tail)),
                None => (left, None),
            };
            rest = tail;
            match segment {
                Segment::Literal(_) => None,
                Segment::Parameter(parameter) => {
                    Some((parameter.name.as_str(), parameter.value(text).unwrap_or_default()))
                }
                Segment::Rest { name } => Some((name.as_str(), left)),
            }
        })
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
