//! How specific a route is, as one value that can be compared: smaller is more specific.

use std::cmp::Reverse;

use crate::{Entry, HostPattern, Methods, ParameterType, Segment};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HostRank {
    Exact,
    Wildcard(Reverse<usize>),
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SegmentRank {
    Literal,
    /// Bytes of literal text, bytes of it in front, type.
    Affixed(Reverse<usize>, Reverse<usize>, TypeRank),
    Bare(TypeRank),
    Rest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TypeRank {
    Typed(ParameterType),
    Plain,
}

/// Routes that do not take the method come last among their equals.
pub(super) fn specificity<T>(index: usize, entry: &Entry<T>, method: &str) -> impl Ord + use<T> {
    let host = match entry.pattern.host() {
        Some(HostPattern::Exact(_)) => HostRank::Exact,
        Some(HostPattern::Wildcard(suffix)) => HostRank::Wildcard(Reverse(suffix.len())),
        None => HostRank::None,
    };
    let segments: Vec<_> = entry.pattern.segments().iter().map(segment_rank).collect();
    let method = method_rank(entry.pattern.methods(), method).unwrap_or(u8::MAX);
    (host, segments, method, Reverse(entry.when.headers.len()), Reverse(entry.when.query.len()), index)
}

/// Listed, `HEAD` by way of `GET`, any; `None` when the method is not taken.
pub(super) fn method_rank(methods: &Methods, method: &str) -> Option<u8> {
    match methods {
        Methods::These(_) if methods.lists(method) => Some(0),
        Methods::These(_) if method == "HEAD" && methods.lists("GET") => Some(1),
        Methods::These(_) => None,
        Methods::Any => Some(2),
    }
}

fn segment_rank(segment: &Segment) -> SegmentRank {
    match segment {
        Segment::Literal(_) => SegmentRank::Literal,
        Segment::Rest { .. } => SegmentRank::Rest,
        Segment::Parameter(parameter) => {
            let kind = parameter.kind.map_or(TypeRank::Plain, TypeRank::Typed);
            match (parameter.prefix.len(), parameter.suffix.len()) {
                (0, 0) => SegmentRank::Bare(kind),
                (front, back) => SegmentRank::Affixed(Reverse(front + back), Reverse(front), kind),
            }
        }
    }
}
