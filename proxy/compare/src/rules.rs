//! What a comparison leaves out.

use crate::path::FieldPath;

/// What a route's owner knows to differ without meaning anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// `compare.ignore`: values at these places, and all below them, are not compared. `$` is the whole body,
    /// JSON or not.
    pub ignore: Vec<FieldPath>,
    /// `compare.unordered`: arrays at these places are compared as multisets.
    pub unordered: Vec<FieldPath>,
    /// `compare.ignore-headers`, lower case, beside those that are never compared.
    pub ignore_headers: Vec<String>,
}

impl Rules {
    pub(crate) fn ignores_header(&self, name: &str) -> bool {
        self.ignore_headers.iter().any(|ignored| ignored == name)
    }

    pub(crate) fn ignores_body(&self) -> bool {
        self.ignore.iter().any(FieldPath::is_root)
    }
}
