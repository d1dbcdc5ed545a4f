//! What differs, and the collector that gathers it.
//!
//! Invariant: a comparison lists at most [`DIFFERENCES_PER_COMPARISON`] differences, each (path, kind) once; the
//! rest is counted, not kept.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::DIFFERENCES_PER_COMPARISON;
use crate::shown::{HashKey, Shown};
use crate::verdict::{Layer, Verdict};

/// What came out of comparing two answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    pub verdict: Verdict,
    /// In the order found; each path and kind once.
    pub differences: Vec<Difference>,
    /// Differences found beyond those that are listed.
    pub unlisted: u32,
    pub tolerated: Tolerated,
}

/// One place at which the answers differ, however often it occurs in them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Difference {
    /// `status`, `header:location:path`, `header:set-cookie:NAME`, `body:$.items[*].price`, `body:text`. What
    /// stands behind `body:` and starts with `$` is a [`FieldPath`](crate::FieldPath).
    pub path: String,
    pub kind: Kind,
    pub legacy: Shown,
    pub function: Shown,
    /// Occurrences in this pair of answers; the values are those of the first.
    pub times: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
}

/// How the two sides differ at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The same type, another value.
    Value,
    /// Another type: a text for a number, `null` for an object.
    Type,
    /// Legacy has it, the function does not.
    Missing,
    /// The function has it, legacy does not.
    Extra,
    /// The same elements in another order.
    Order,
    /// Another number of elements or bytes.
    Size,
    /// A name stands more often in an object on one side than on the other.
    DuplicateKey,
    /// A body that is not what its content coding says.
    Encoding,
}

/// What a person would want to know at once about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// The same number, once as a number and once as a text.
    NumberAsText,
    /// `null` on one side, nothing on the other.
    NullOrMissing,
    /// An empty text on one side, `null` or nothing on the other.
    EmptyOrMissing,
    /// Upper and lower case apart, the texts are equal.
    CaseOnly,
    /// White space apart, the texts are equal.
    WhiteSpaceOnly,
    /// The same instant in another notation.
    SameInstant,
}

/// What differs and was taken for equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerated {
    /// Points in time within [`TIME_TOLERANCE_SECONDS`](crate::limits::TIME_TOLERANCE_SECONDS).
    pub times: u32,
    /// The same number written otherwise: `1` and `1.0`.
    pub number_notations: u32,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Value,
        Self::Type,
        Self::Missing,
        Self::Extra,
        Self::Order,
        Self::Size,
        Self::DuplicateKey,
        Self::Encoding,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Type => "type",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Order => "order",
            Self::Size => "size",
            Self::DuplicateKey => "duplicate_key",
            Self::Encoding => "encoding",
        }
    }
}

impl Note {
    /// As a person reads it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NumberAsText => "a number as text",
            Self::NullOrMissing => "null on one side, missing on the other",
            Self::EmptyOrMissing => "empty on one side, null or missing on the other",
            Self::CaseOnly => "only upper and lower case differ",
            Self::WhiteSpaceOnly => "only white space differs",
            Self::SameInstant => "the same instant in another notation",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kind, legacy, function, times, note } = self;
        write!(f, "{path}: {kind}: legacy {legacy}, function {function}")?;
        if *times > 1 {
            write!(f, " ({times} times)")?;
        }
        note.map_or(Ok(()), |note| write!(f, " ({note})"))
    }
}

impl Comparison {
    pub(crate) fn of(verdict: Verdict) -> Self {
        Self { verdict, differences: Vec::new(), unlisted: 0, tolerated: Tolerated::default() }
    }
}

/// Gathers differences while the layers are compared one after the other.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) key: HashKey,
    pub(crate) tolerated: Tolerated,
    first_layer: Option<Layer>,
    differences: Vec<Difference>,
    unlisted: u32,
}

impl Findings {
    pub(crate) fn new(key: HashKey) -> Self {
        Self { key, tolerated: Tolerated::default(), first_layer: None, differences: Vec::new(), unlisted: 0 }
    }

    /// `shown`: legacy's, then the function's.
    pub(crate) fn add(
        &mut self,
        layer: Layer,
        path: &str,
        kind: Kind,
        shown: [Shown; 2],
        note: Option<Note>,
    ) {
        if !self.count(layer, path, kind) {
            self.keep(path, kind, shown, note);
        }
    }

    /// Counts an occurrence. Whether that was all: a place that is listed already, or one too many to be, needs
    /// no values, which are costly to show.
    pub(crate) fn count(&mut self, layer: Layer, path: &str, kind: Kind) -> bool {
        self.first_layer.get_or_insert(layer);
        let listed = self.differences.iter_mut().rev().find(|known| known.kind == kind && known.path == path);
        if let Some(listed) = listed {
            listed.times = listed.times.saturating_add(1);
            return true;
        }
        let full = self.differences.len() == DIFFERENCES_PER_COMPARISON;
        self.unlisted = self.unlisted.saturating_add(u32::from(full));
        full
    }

    /// Lists what [`count`](Self::count) did not know yet.
    pub(crate) fn keep(
        &mut self,
        path: &str,
        kind: Kind,
        [legacy, function]: [Shown; 2],
        note: Option<Note>,
    ) {
        self.differences.push(Difference { path: path.to_owned(), kind, legacy, function, times: 1, note });
    }

    pub(crate) fn first_layer(&self) -> Option<Layer> {
        self.first_layer
    }

    pub(crate) fn into_comparison(self, unless_different: Verdict) -> Comparison {
        Comparison {
            verdict: self.first_layer.map_or(unless_different, Verdict::Different),
            differences: self.differences,
            unlisted: self.unlisted,
            tolerated: self.tolerated,
        }
    }
}
