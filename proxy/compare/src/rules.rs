//! What a comparison leaves out.

use std::fmt;
use std::str::FromStr;

/// What a route's owner knows to differ without meaning anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `compare.ignore`: values at these places are not compared.
    pub ignore: Vec<FieldPath>,
    /// `compare.unordered`: arrays at these places are compared as multisets.
    pub unordered: Vec<FieldPath>,
    /// `compare.ignore-headers`, lower case, beside those that are never compared.
    pub ignore_headers: Vec<String>,
}

/// A place in a JSON document: `$.a.b`, `$..updated_at`, `$.items[*].id`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a field path")]
pub struct FieldPathError(String);

impl FromStr for FieldPath {
    type Err = FieldPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
