//! The table of what was discovered.

use std::time::Duration;

use starve_routing::Pattern;

use crate::evidence::Evidence;
use crate::guarded::{Candidates, Guarded};
use crate::path::Steps;
use crate::tally::{LeafId, Leaves, Place, Tally};
use crate::template::{method_name, method_number, told, write_template};
use crate::top::{Top, TopEntry};
use crate::trie::{NodeId, Trie};
use crate::{Template, is_login};

/// One call that no configured route matched.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub method: &'a str,
    /// Normalised, without query.
    pub path: &'a str,
    /// Of the answer; 0 when there was none.
    pub status: u16,
    /// Of the answer, when it has one.
    pub location: Option<&'a str>,
    pub now_unix_s: u64,
    pub duration: Duration,
    /// A health check, bot or scanner made it, as far as its user agent says so.
    pub apart: bool,
}

/// Where a call is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKey {
    /// An endpoint that has shown that it exists.
    Template(Template),
    /// Nothing showed that there is an endpoint: 404, 405, failures, `HEAD` and `OPTIONS` of unknown paths.
    Unmatched,
    /// Refused on a path that is not known to exist; `None` for those that are not told apart.
    Guarded(Option<Template>),
    /// Endpoints for which the table had no place left.
    Other,
}

/// How many calls were observed, by what they showed at that moment. Unlike the rows these only grow: what turns out
/// later to be an endpoint stays where it was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    pub endpoint: u64,
    pub guarded: u64,
    pub unmatched: u64,
    /// Of endpoints for which there was no place.
    pub more: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: RowKey,
    pub tally: Tally,
}

/// What happened to a row since the changes were drained last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: RowKey,
    /// Rows under which parts of it were given away before: what stands there belongs to `key` now.
    pub was: Vec<RowKey>,
    /// To be added; the times are the row's.
    pub added: Tally,
}

/// Counts every call in exactly one row, and learns from the answers which endpoints exist and which parts of
/// their paths are values. `docs/discovery.md` tells the rules.
///
/// An endpoint has shown that it exists when it was answered with 2xx, or 3xx that does not lead to a login. From
/// then on all its calls are counted there, whatever the answer. Refusals (400, 401, 403, 409, 422, 429) of unknown
/// paths may come from a firewall and are counted as [`RowKey::Guarded`]; a path that collects five of them, and at
/// most a fifth as many answers that say that nothing is there, is listed by [`Discovered::guarded`]. When its
/// endpoint shows up later, they are counted there. The rest is [`RowKey::Unmatched`], with a list of the most
/// frequent.
///
/// Bounds: [`NODES_MAX`](crate::NODES_MAX) nodes, [`CANDIDATES_MAX`](crate::CANDIDATES_MAX) candidates,
/// [`TOP_MAX`](crate::TOP_MAX) frequent misses, 16 segments, words of 128 bytes.
#[derive(Clone, Debug)]
pub struct Discovered {
    pub(crate) trie: Trie,
    pub(crate) leaves: Leaves,
    candidates: Candidates,
    unmatched: Top,
    observed: Observed,
    /// The template being looked up: kept, so that it costs no allocation.
    text: String,
    calls_settled: u64,
    calls: u64,
}

const UNMATCHED: LeafId = 0;
const GUARDED: LeafId = 1;
pub(crate) const OTHER: LeafId = 2;

impl Default for Discovered {
    fn default() -> Self {
        Self::new()
    }
}

impl Discovered {
    pub fn new() -> Self {
        let mut leaves = Leaves::default();
        for key in [RowKey::Unmatched, RowKey::Guarded(None), RowKey::Other] {
            leaves.new_leaf(Place::Fixed(key));
        }
        Self {
            trie: Trie::default(),
            leaves,
            candidates: Candidates::default(),
            unmatched: Top::default(),
            observed: Observed::default(),
            text: String::new(),
            calls_settled: 0,
            calls: 0,
        }
    }

    /// Takes over what was known before, for example from the ledger after a restart: its numbers are not
    /// drained again. What the rules join now is reported as a change without calls.
    pub fn restore(&mut self, row: &Row) {
        let name = row_name(&row.key);
        self.calls += row.tally.total();
        let leaf = match &row.key {
            RowKey::Unmatched => UNMATCHED,
            RowKey::Guarded(None) => GUARDED,
            RowKey::Other => OTHER,
            RowKey::Guarded(Some(template)) => {
                let refusals = row.tally.total();
                self.candidates.leaf(template.text(), refusals, &mut self.leaves, GUARDED).unwrap_or(GUARDED)
            }
            RowKey::Template(template) => {
                if self.trie.has_room(&mut self.leaves, OTHER) {
                    let method = method_number(template.method());
                    let node = self.trie.add(Steps::of_template(template.path()), method, &mut self.leaves);
                    self.trie.leaf_at(node, method, &mut self.leaves)
                } else {
                    OTHER
                }
            }
        };
        self.leaves.restore(leaf, &row.tally, &name);
    }

    /// What a person says are endpoints: a parameter of the pattern takes every value at its place for one endpoint,
    /// a literal word is never taken for a value. The order of the patterns means nothing. Replaces what was told
    /// before; what was joined stays joined, and what the ledger knows is restored after this.
    pub fn tell(&mut self, patterns: &[Pattern]) {
        self.trie.nothing_told();
        let mut all: Vec<_> = patterns.iter().map(told).collect();
        // Words that stay are known before the values beside them are joined.
        all.sort();
        for steps in all {
            self.trie.told(steps, &mut self.leaves);
        }
    }

    /// Counts one call.
    pub fn observe(&mut self, call: &Call<'_>) {
        let one = Tally::one(call.status, call.now_unix_s, call.duration, call.apart);
        let method = method_number(call.method);
        self.calls += 1;
        let login = call.location.is_some_and(is_login);
        let evidence = Evidence::of(call.method, call.status, login);
        let found = self.trie.find(call.path);
        if let Some(found) = &found
            && let Some(leaf) = self.trie.node(found.node).leaf(method)
            && !(found.new_form && evidence == Evidence::Exists)
        {
            self.observed.endpoint += 1;
            return self.leaves.count(leaf, &one);
        }
        match evidence {
            Evidence::Exists => {
                let leaf = self.learn(call.path, method);
                self.leaves.count(leaf, &one);
            }
            Evidence::Nothing
                if found.as_ref().is_some_and(|found| self.goes_along(call.method, found.node)) =>
            {
                // Once there is an endpoint, these are calls of it like others.
                let leaf = self.learn(call.path, method);
                self.leaves.count(leaf, &one);
            }
            Evidence::Refused => {
                write_template(&mut self.text, call.method, call.path);
                self.observed.guarded += 1;
                self.candidates.refused(&self.text, &one, &mut self.leaves, GUARDED);
            }
            Evidence::Nothing => {
                write_template(&mut self.text, call.method, call.path);
                self.candidates.missed(&self.text);
                self.unmatched.count(&self.text);
                self.observed.unmatched += 1;
                self.leaves.count(UNMATCHED, &one);
            }
        }
    }

    /// All rows: those that are always there, then the endpoints and what is only refused, in no order.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.leaves.all().map(|(_, leaf)| Row { key: self.key(&leaf.place), tally: leaf.total })
    }

    /// How many endpoints have a row.
    pub fn templates(&self) -> usize {
        self.leaves.all().filter(|(_, leaf)| matches!(leaf.place, Place::Node(..))).count()
    }

    /// How many nodes the tree of paths has.
    pub fn nodes(&self) -> usize {
        self.trie.len()
    }

    /// How many endpoints lost their row for want of places.
    pub fn evicted(&self) -> u64 {
        self.trie.evicted
    }

    /// How many calls were observed, by what they showed.
    pub fn observed(&self) -> Observed {
        self.observed
    }

    /// How often a path that is only refused found no place to be watched.
    pub fn turned_away(&self) -> u64 {
        self.candidates.turned_away_in_all()
    }

    /// Paths that are refused so regularly that there must be something, the most frequent first.
    pub fn guarded(&self) -> Vec<Guarded> {
        self.candidates.guarded()
    }

    /// How many paths are watched for being guarded.
    pub fn candidates(&self) -> usize {
        self.candidates.len()
    }

    /// The most frequent templates of [`RowKey::Unmatched`], the most frequent first.
    pub fn top_unmatched(&self) -> Vec<TopEntry> {
        self.unmatched.entries()
    }

    /// Judges again what was learnt, and counts earlier refusals on the endpoints that have shown up since. Costs a
    /// walk through the tree when there is something new; call it about once a second.
    pub fn settle(&mut self) {
        self.trie.allow_sweep();
        // What follows a word is weighed by calls: judged again when there are an eighth more of them.
        if !self.trie.changed && self.calls <= self.calls_settled + self.calls_settled / 8 {
            return;
        }
        self.calls_settled = self.calls;
        self.trie.judge(&mut self.leaves);
        self.trie.settle_names(&mut self.leaves);
        let trie = &self.trie;
        let leaf = |text: &str| {
            let (method, path) = text.split_once(' ')?;
            trie.node(trie.find_template(path)?).leaf(method_number(method))
        };
        self.candidates.settle(&mut self.leaves, leaf);
        self.unmatched.retain(|text| leaf(text).is_none());
    }

    /// What was added and what was joined since the last time, row by row; settles first. Whoever takes it must keep
    /// it until it is written: it is not given twice.
    pub fn drain_changes(&mut self) -> Vec<Change> {
        self.settle();
        let trie = &self.trie;
        let drained = self.leaves.drain(|place| row_name(&key(trie, place)));
        let change = |drained: crate::tally::Drained| Change {
            key: self.key(&self.leaves.get(drained.leaf).place),
            was: drained.names.iter().map(|name| row_key(name)).collect(),
            added: drained.added,
        };
        drained.into_iter().map(change).collect()
    }

    fn goes_along(&self, method: &str, node: NodeId) -> bool {
        is_side_method(method)
            && self.trie.node(node).leaves.iter().any(|(own, _)| !is_side_method(method_name(*own)))
    }

    fn learn(&mut self, path: &str, method: u8) -> LeafId {
        if !self.trie.has_room(&mut self.leaves, OTHER) {
            self.observed.more += 1;
            return OTHER;
        }
        self.observed.endpoint += 1;
        let node = self.trie.add(Steps::of_path(path), method, &mut self.leaves);
        self.trie.leaf_at(node, method, &mut self.leaves)
    }

    pub(crate) fn key(&self, place: &Place) -> RowKey {
        key(&self.trie, place)
    }
}

fn key(trie: &Trie, place: &Place) -> RowKey {
    match place {
        Place::Fixed(key) => key.clone(),
        Place::Node(node, method) => {
            RowKey::Template(Template::stored(method_name(*method), &trie.render(*node)))
        }
        Place::Candidate(text) => RowKey::Guarded(Some(Template::from_text(text))),
        Place::Free => RowKey::Other,
    }
}

const UNMATCHED_NAME: &str = "(unmatched)";
const GUARDED_NAME: &str = "(guarded)";
const OTHER_NAME: &str = "(other)";

/// The row as a text, for as long as it is known under it.
pub(crate) fn row_name(key: &RowKey) -> String {
    match key {
        RowKey::Template(template) => template.text().to_owned(),
        RowKey::Unmatched => UNMATCHED_NAME.to_owned(),
        RowKey::Guarded(None) => GUARDED_NAME.to_owned(),
        RowKey::Guarded(Some(template)) => format!("{GUARDED_NAME}{}", template.text()),
        RowKey::Other => OTHER_NAME.to_owned(),
    }
}

pub(crate) fn row_key(name: &str) -> RowKey {
    match name.strip_prefix(GUARDED_NAME) {
        Some("") => RowKey::Guarded(None),
        Some(text) => RowKey::Guarded(Some(Template::from_text(text))),
        None if name == UNMATCHED_NAME => RowKey::Unmatched,
        None if name == OTHER_NAME => RowKey::Other,
        None => RowKey::Template(Template::from_text(name)),
    }
}

/// `HEAD` and `OPTIONS` come along with other methods and show nothing by themselves.
fn is_side_method(method: &str) -> bool {
    matches!(method, "HEAD" | "OPTIONS")
}
