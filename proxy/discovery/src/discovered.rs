//! The table of what was discovered.

use std::collections::HashMap;
use std::time::Duration;

use crate::evidence::Evidence;
use crate::guarded::{Candidates, Guarded};
use crate::template::write_template;
use crate::top::{Top, TopEntry};
use crate::{Template, is_login};

/// How many templates have a row of their own; the calls of further ones are counted in [`RowKey::Other`].
pub const TEMPLATES_MAX: usize = 2_048;

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
}

/// What a row counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub calls: u64,
    /// Calls with a 5xx answer or none.
    pub errors: u64,
    pub first_seen_unix_s: u64,
    pub last_seen_unix_s: u64,
    pub duration_total: Duration,
}

/// Where a call is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RowKey {
    /// An endpoint that has shown that it exists.
    Template(Template),
    /// Nothing showed that there is an endpoint: 404, 405, failures, `HEAD` and `OPTIONS` of unknown paths.
    Unmatched,
    /// Refused on a path that is not known to exist.
    Guarded,
    /// Endpoints for which the table had no place left.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: RowKey,
    pub tally: Tally,
}

/// What was added to a row since the changes were drained last. `first_seen_unix_s` is the row's; the rest is to
/// be added, or replaces (`last_seen_unix_s`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub key: RowKey,
    pub added: Tally,
}

/// Counts every call in exactly one row, and learns from the answers which endpoints exist.
///
/// A template gets a row when an answer shows that it exists: 2xx, and 3xx that does not lead to a login. From then
/// on all its calls are counted there, whatever the answer. Refusals (400, 401, 403, 409, 422, 429) of unknown
/// paths may come from a firewall and are counted as [`RowKey::Guarded`]; a path that collects five of them, and at
/// most a fifth as many answers that say that nothing is there, is listed by [`Discovered::guarded`]. The rest is
/// [`RowKey::Unmatched`], with a list of the most frequent.
///
/// At most [`TEMPLATES_MAX`] templates, [`CANDIDATES_MAX`](crate::CANDIDATES_MAX) candidates and
/// [`TOP_MAX`](crate::TOP_MAX) frequent misses are held, each of at most about 2 KiB.
#[derive(Clone, Debug)]
pub struct Discovered {
    places: HashMap<Box<str>, usize>,
    /// The three rows that are always there, then the templates.
    rows: Vec<Slot>,
    changed: Vec<usize>,
    candidates: Candidates,
    unmatched: Top,
    /// The template being looked up: kept, so that a known one costs no allocation.
    text: String,
}

#[derive(Clone, Debug)]
struct Slot {
    key: RowKey,
    total: Tally,
    drained: Tally,
}

const UNMATCHED: usize = 0;
const GUARDED: usize = 1;
const OTHER: usize = 2;

impl Default for Discovered {
    fn default() -> Self {
        Self::new()
    }
}

impl Discovered {
    pub fn new() -> Self {
        let rows = [RowKey::Unmatched, RowKey::Guarded, RowKey::Other].map(Slot::new).into();
        Self {
            places: HashMap::new(),
            rows,
            changed: Vec::new(),
            candidates: Candidates::default(),
            unmatched: Top::default(),
            text: String::new(),
        }
    }

    /// Takes over what was known before, for example from the ledger after a restart: its numbers are not
    /// drained again. A template beyond the bound is added to [`RowKey::Other`].
    pub fn restore(&mut self, row: Row) {
        let place = match row.key {
            RowKey::Unmatched => UNMATCHED,
            RowKey::Guarded => GUARDED,
            RowKey::Other => OTHER,
            RowKey::Template(template) => self.learn(template.text()),
        };
        let slot = &mut self.rows[place];
        slot.total.add(&row.tally);
        slot.drained.add(&row.tally);
    }

    /// Counts one call.
    pub fn observe(&mut self, call: &Call<'_>) {
        let mut text = std::mem::take(&mut self.text);
        write_template(&mut text, call.method, call.path);
        let place = match self.places.get(text.as_str()) {
            Some(place) => *place,
            None => self.place_of_unknown(&text, call),
        };
        self.text = text;
        self.count(place, call);
    }

    /// All rows: `Unmatched`, `Guarded`, `Other`, then the templates in the order in which they were learnt.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        self.rows.iter().map(|slot| Row { key: slot.key.clone(), tally: slot.total })
    }

    /// How many templates have a row.
    pub fn templates(&self) -> usize {
        self.places.len()
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

    /// What was added since the last time, row by row. Whoever takes it must keep it until it is written: it is
    /// not given twice.
    pub fn drain_changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        let change = |place: usize| {
            let slot = &mut self.rows[place];
            let added = slot.total.since(&slot.drained);
            slot.drained = slot.total;
            Change { key: slot.key.clone(), added }
        };
        changed.into_iter().map(change).collect()
    }

    fn place_of_unknown(&mut self, text: &str, call: &Call<'_>) -> usize {
        let login = call.location.is_some_and(is_login);
        match Evidence::of(call.method, call.status, login) {
            Evidence::Exists => self.learn(text),
            Evidence::Refused => {
                self.candidates.refused(text);
                GUARDED
            }
            // Once there is an endpoint, these are calls of it like others.
            Evidence::Nothing if is_side_method(call.method) && self.knows_path(text) => self.learn(text),
            Evidence::Nothing => {
                self.candidates.missed(text);
                self.unmatched.count(text);
                UNMATCHED
            }
        }
    }

    fn knows_path(&self, text: &str) -> bool {
        let path = text.split_once(' ').map_or(text, |(_, path)| path);
        ["GET", "POST", "PUT", "PATCH", "DELETE"]
            .iter()
            .any(|method| self.places.contains_key(format!("{method} {path}").as_str()))
    }

    /// The row of a template, new if there is a place left.
    fn learn(&mut self, text: &str) -> usize {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        if self.places.len() == TEMPLATES_MAX {
            return OTHER;
        }
        // It is known now; what was counted before stays in the rows where it was counted.
        self.candidates.remove(text);
        self.unmatched.remove(text);
        let place = self.rows.len();
        self.rows.push(Slot::new(RowKey::Template(Template::from_text(text))));
        self.places.insert(text.into(), place);
        place
    }

    fn count(&mut self, place: usize, call: &Call<'_>) {
        let slot = &mut self.rows[place];
        if slot.total.calls == slot.drained.calls {
            self.changed.push(place);
        }
        slot.total.add(&Tally {
            calls: 1,
            errors: u64::from(call.status == 0 || call.status >= 500),
            first_seen_unix_s: call.now_unix_s,
            last_seen_unix_s: call.now_unix_s,
            duration_total: call.duration,
        });
    }
}

impl Slot {
    fn new(key: RowKey) -> Self {
        Self { key, total: Tally::default(), drained: Tally::default() }
    }
}

impl Tally {
    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        if other.calls == 0 {
            return;
        }
        // Clocks may be set back: the times are the outermost seen, not those of the first and last call.
        self.first_seen_unix_s = match self.calls {
            0 => other.first_seen_unix_s,
            _ => self.first_seen_unix_s.min(other.first_seen_unix_s),
        };
        self.last_seen_unix_s = self.last_seen_unix_s.max(other.last_seen_unix_s);
        self.calls += other.calls;
        self.errors += other.errors;
        self.duration_total = self.duration_total.saturating_add(other.duration_total);
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            errors: self.errors - before.errors,
            duration_total: self.duration_total.saturating_sub(before.duration_total),
            ..*self
        }
    }
}

/// `HEAD` and `OPTIONS` come along with other methods and show nothing by themselves.
fn is_side_method(method: &str) -> bool {
    matches!(method, "HEAD" | "OPTIONS")
}
