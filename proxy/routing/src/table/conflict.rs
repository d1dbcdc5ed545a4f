//! Routes that cannot stand together.
//!
//! Only routes of the same host and path shape can be in each other's way for good. Were a route always beaten
//! by one of another shape, that one would have to take every path of the first and be more specific at the
//! place where they differ; but of two different segments the more specific one never takes all that the other
//! takes (a literal takes one text, a type never all that a later type takes, literal text around a parameter
//! narrows it). So each leaf of the trie is looked at by itself, and nothing is reported that could be reached.

use std::collections::HashMap;
use std::fmt;

use super::Entry;
use super::trie::Leaf;
use crate::{Predicates, ValueMatch};

/// Two entries that cannot stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The entry that stays: its place among the entries.
    pub first: usize,
    /// The entry to change or remove.
    pub second: usize,
    pub kind: ConflictKind,
    /// The methods both take; empty for any.
    pub methods: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    /// Same host, path shape and predicates, and a method in common: nothing but their order tells them apart.
    Duplicate,
    /// Whatever `second` takes is taken before by `first`, or by it and others like it.
    Unreachable,
}

impl fmt::Display for ConflictKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Duplicate => "the two routes are equal",
            Self::Unreachable => "the route is never reached",
        })
    }
}

/// Adds the conflicts among the routes of one leaf.
pub(super) fn collect<T>(entries: &[Entry<T>], leaf: &Leaf, conflicts: &mut Vec<Conflict>) {
    if leaf.listed().len() + leaf.any().len() < 2 {
        return;
    }
    let mut equals = Equals::default();
    let mut covers = Covers::default();
    for &route in leaf.listed().iter().chain(leaf.any()) {
        let claims = claims(&entries[route]);
        let duplicates = equals.add(route, &claims, entries);
        let unreachable = covers.add(route, &claims, entries);
        conflicts.extend(if duplicates.is_empty() { unreachable.into_iter().collect() } else { duplicates });
    }
}

/// A method a route lists, `None` for any. Listed and any never compete: what a list does not name is left.
type Claim = Option<String>;

fn claims<T>(entry: &Entry<T>) -> Vec<Claim> {
    match entry.pattern.methods() {
        crate::Methods::Any => vec![None],
        crate::Methods::These(methods) => methods.iter().cloned().map(Some).collect(),
    }
}

/// Routes by method and predicates.
#[derive(Default)]
struct Equals {
    seen: HashMap<(Claim, Predicates), usize>,
}

impl Equals {
    fn add<T>(&mut self, route: usize, claims: &[Claim], entries: &[Entry<T>]) -> Vec<Conflict> {
        let when = in_order(&entries[route].when);
        let mut found: Vec<Conflict> = Vec::new();
        for claim in claims {
            let before = *self.seen.entry((claim.clone(), when.clone())).or_insert(route);
            if before == route {
                continue;
            }
            let (first, second) = (before.min(route), before.max(route));
            match found.iter_mut().find(|conflict| (conflict.first, conflict.second) == (first, second)) {
                Some(conflict) => conflict.methods.extend(claim.clone()),
                None => found.push(Conflict {
                    first,
                    second,
                    kind: ConflictKind::Duplicate,
                    methods: claim.iter().cloned().collect(),
                }),
            }
        }
        found
    }
}

/// Routes that could take all of another one's requests, by method and by the names their predicates ask for. A
/// route is only ever beaten by one with as many predicates, and takes no more than it if each of its predicates
/// implies one of the other's: so the names are the same, and somewhere `*` stands for a value.
#[derive(Default)]
struct Covers {
    loose: HashMap<(Claim, Vec<String>, Vec<String>), Vec<usize>>,
}

impl Covers {
    /// `route` comes after all that were added before and that it has to be compared with.
    fn add<T>(&mut self, route: usize, claims: &[Claim], entries: &[Entry<T>]) -> Option<Conflict> {
        let when = &entries[route].when;
        let (headers, query) = (names(&when.headers), names(&when.query));
        let mut by = None;
        let mut covered = true;
        for claim in claims {
            let loose = self.loose.entry((claim.clone(), headers.clone(), query.clone())).or_default();
            let cover = loose.iter().copied().find(|other| implies(when, &entries[*other].when));
            covered &= cover.is_some();
            by = by.or(cover);
            if when.headers.iter().chain(&when.query).any(|(_, value)| *value == ValueMatch::Any) {
                loose.push(route);
            }
        }
        let methods = claims.iter().flatten().cloned().collect();
        by.filter(|_| covered).map(|first| Conflict {
            first,
            second: route,
            kind: ConflictKind::Unreachable,
            methods,
        })
    }
}

/// The same predicates in one order, so that the order they are written in makes no difference.
fn in_order(when: &Predicates) -> Predicates {
    let sorted = |predicates: &[(String, ValueMatch)]| {
        let mut predicates = predicates.to_vec();
        predicates.sort_by(|one, other| key(one).cmp(&key(other)));
        predicates
    };
    Predicates { headers: sorted(&when.headers), query: sorted(&when.query) }
}

fn key((name, value): &(String, ValueMatch)) -> (&str, Option<&str>) {
    match value {
        ValueMatch::Any => (name, None),
        ValueMatch::Exact(text) => (name, Some(text)),
    }
}

fn names(predicates: &[(String, ValueMatch)]) -> Vec<String> {
    let mut names: Vec<_> = predicates.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    names
}

/// Whether every request that one set of predicates lets through passes the other as well.
fn implies(strict: &Predicates, loose: &Predicates) -> bool {
    let all = |strict: &[(String, ValueMatch)], loose: &[(String, ValueMatch)]| {
        loose.iter().all(|(name, value)| {
            strict.iter().any(|(own, given)| own == name && (*value == ValueMatch::Any || given == value))
        })
    };
    all(&strict.headers, &loose.headers) && all(&strict.query, &loose.query)
}
