//! The route table: every route of a generation, asked once per request.
//!
//! A request enters at [`RouteTable::find`]. The table must give the same answer as asking every route in the
//! order of precedence would, and must stay as fast with many routes as with few.

mod conflict;
mod hash;
mod segments;
mod trie;

use std::ops::ControlFlow;

pub use conflict::{Conflict, ConflictKind};
use segments::Segments;
use trie::{Leaf, Trie};

use crate::{Methods, Params, Pattern, Predicates, Request};

/// One route: what it answers to, and whatever stands behind it.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    pub pattern: Pattern,
    pub when: Predicates,
    pub value: T,
}

/// Finds the most specific route that takes a request.
///
/// **Precedence.** The most specific route wins, wherever it stands in the file. Compared in turn:
///
/// 1. host: exact, then the longest wildcard, then none;
/// 2. the path, segment by segment from the left: literal, parameter with literal text around it (the more text,
///    the earlier; then the longer text in front), typed parameter (in the order of
///    [`ParameterType`](crate::ParameterType)), plain parameter, rest;
/// 3. method: listed, then any. A `HEAD` request is also taken by a route that lists `GET`, after the routes that
///    list `HEAD` and before those for any method, since RFC 9110 section 9.3.2 defines it by `GET`;
/// 4. the number of header predicates, then of query predicates: more first;
/// 5. the order of the entries.
///
/// A route whose method or predicates reject the request falls through to the next one, also to one of another
/// path: beside `GET /a/b` and `* /a/{x}` a `POST /a/b` goes to the second.
///
/// **Cost.** One hash look-up per segment of the path, whatever the number of routes. A request never costs more
/// than one visit of each node of the table; to come near that, a table must offer a literal and a parameter at
/// every place. Routes that differ in predicates alone are tried one by one. `find` allocates nothing.
#[derive(Clone, Debug)]
pub struct RouteTable<T> {
    entries: Vec<Entry<T>>,
    trie: Trie,
}

/// The route that takes a request.
#[derive(Debug)]
pub struct Match<'a, T> {
    pub value: &'a T,
    /// The place of the route among the entries.
    pub index: usize,
    pub pattern: &'a Pattern,
    pub params: Params<'a>,
}

impl<T> Clone for Match<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Match<'_, T> {}

impl<T> RouteTable<T> {
    /// Builds the table, or says which entries cannot stand together: all of them at once.
    pub fn build(entries: Vec<Entry<T>>) -> Result<Self, Vec<Conflict>> {
        let mut trie = Trie::default();
        for (index, entry) in entries.iter().enumerate() {
            trie.insert(index, &entry.pattern);
        }
        trie.sort(|index| rank(&entries[index]));
        let mut conflicts = Vec::new();
        trie.leaves(&mut |leaf| conflict::collect(&entries, leaf, &mut conflicts));
        conflicts.sort_by_key(|conflict: &Conflict| (conflict.second, conflict.first));
        if conflicts.is_empty() { Ok(Self { entries, trie }) } else { Err(conflicts) }
    }

    /// The most specific route that takes this request.
    pub fn find<'a>(&'a self, request: &'a (impl Request + ?Sized)) -> Option<Match<'a, T>> {
        if self.entries.is_empty() {
            return None;
        }
        let segments = Segments::of(request.path())?;
        let mut found = None;
        let _ = self.trie.visit(request.host(), &segments, &mut |leaf| {
            found = self.choose(leaf, request);
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let index = found?;
        let entry = &self.entries[index];
        let params = entry.pattern.params(request.path());
        Some(Match { value: &entry.value, index, pattern: &entry.pattern, params })
    }

    /// In the order given to [`RouteTable::build`].
    pub fn entries(&self) -> &[Entry<T>] {
        &self.entries
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The first of the routes of one host and path that takes the request's method and what it holds.
    fn choose(&self, leaf: &Leaf, request: &(impl Request + ?Sized)) -> Option<usize> {
        let listing = |method: &str| {
            leaf.listed().iter().copied().find(|index| {
                let entry = &self.entries[*index];
                entry.pattern.methods().lists(method) && entry.when.hold(request)
            })
        };
        let head = || if request.method() == "HEAD" { listing("GET") } else { None };
        let any = || leaf.any().iter().copied().find(|index| self.entries[*index].when.hold(request));
        listing(request.method()).or_else(head).or_else(any)
    }
}

/// What decides among routes of the same host, path and method: smaller first. The index comes last by itself.
fn rank<T>(entry: &Entry<T>) -> (bool, std::cmp::Reverse<usize>, std::cmp::Reverse<usize>) {
    (
        *entry.pattern.methods() == Methods::Any,
        std::cmp::Reverse(entry.when.headers.len()),
        std::cmp::Reverse(entry.when.query.len()),
    )
}

#[cfg(test)]
mod tests;
