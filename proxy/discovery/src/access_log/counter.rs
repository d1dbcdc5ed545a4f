//! Adds calls up by endpoint, method, status class and hour.
//!
//! Invariant: every call is in exactly one cell, and there are at most [`CELLS_MAX`] cells and [`TEMPLATES_MAX`]
//! templates, whatever the log holds.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use rustc_hash::FxHasher;
use starve_routing::RouteTable;

use super::Record;
use super::agents::Agents;
use super::remembered::{Asked, At, Looks, Remembered};
use super::target::{Target, asked, spelled};
use crate::inventory::Inventory;
use crate::kind::Kind;
use crate::template::write_template;

/// Calls of paths that showed no endpoint.
pub const UNMATCHED: &str = "(unmatched)";
/// Templates held for one file; calls of further ones are counted together.
const TEMPLATES_MAX: usize = 16_384;
/// Beyond these, calls of templates are counted together.
const CELLS_MAX: usize = 2_000_000;
const HOUR_MS: u64 = 3_600_000;

type Map<K, V> = HashMap<K, V, BuildHasherDefault<FxHasher>>;

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "_OTHER"];

/// What is known before a log is read.
#[derive(Debug)]
pub struct Targets {
    /// The values are places in `names`.
    configured: RouteTable<usize>,
    names: Vec<String>,
    listed: Inventory,
    looks: Looks,
    /// Some route asks what is in the query.
    asks_query: bool,
}

impl Targets {
    /// `names`: the ids of the configured routes, in the order of the table's values.
    pub fn new(configured: RouteTable<usize>, names: Vec<String>, listed: Inventory) -> Self {
        let routes = configured.entries();
        let looks = Looks::of(routes.iter().map(|entry| &entry.pattern).chain(listed.patterns()));
        let asks_query = routes.iter().any(|entry| !entry.when.query.is_empty());
        Self { configured, names, listed, looks, asks_query }
    }
}

/// What calls were of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// A configured route's id, or the pattern of an endpoint in an inventory.
    Known(String),
    /// A template that was learnt: its path.
    Template(String),
    Unmatched,
    /// Templates for which there was no place.
    More,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellKey {
    /// Its place in [`Counter::endpoints`].
    pub endpoint: usize,
    pub method: &'static str,
    /// 1 to 5, or 0 for no answer.
    pub class: u8,
    /// Since 1970.
    pub hour: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub calls: u64,
    pub duration_us: u64,
    pub bytes_out: u64,
    /// Those of the calls that health checks, bots and scanners made.
    pub apart: u64,
    pub first_unix_ms: u64,
    pub last_unix_ms: u64,
    /// The last call that was none of `apart`; 0 when there was none.
    pub last_regular_unix_ms: u64,
}

/// One thread's sums.
#[derive(Debug)]
pub struct Counter<'a> {
    targets: &'a Targets,
    cells: Vec<(u64, Cell)>,
    /// Where the cell of a key is.
    places: Map<u64, u32>,
    templates: Map<Box<str>, usize>,
    learnt: Vec<Learnt>,
    agents: Agents,
    remembered: Remembered<Known>,
    template: String,
    path: String,
}

/// What is known of a template.
#[derive(Debug)]
struct Learnt {
    /// An answer showed that there is such an endpoint.
    exists: bool,
    only: Option<Only>,
}

/// The path of all calls of a template so far, where they had but one: as it was sent, and as it is spelled.
#[derive(Clone, Debug)]
struct Only {
    sent: Box<[u8]>,
    path: Box<str>,
}

impl Learnt {
    fn came_as(&mut self, sent: &[u8]) {
        if self.only.as_ref().is_some_and(|only| *only.sent != *sent) {
            self.only = None;
        }
    }
}

/// What a path is of, whatever the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// A configured route, an endpoint of an inventory, or nothing that a proxy would pass on.
    Endpoint(usize),
    /// By its place among the templates.
    Template(usize),
    /// A template for which there is no place; there will be none later.
    NoPlace,
}

/// What is remembered of a call.
#[derive(Clone, Copy, Debug)]
struct Known {
    of: Of,
    method: u8,
    /// Since 1970; of `cells`.
    hour: u64,
    /// By status class.
    cells: [u32; 6],
}

/// No cell has this place.
const NO_CELL: u32 = u32::MAX;

impl Default for Known {
    fn default() -> Self {
        Self::new(Of::NoPlace, 0)
    }
}

impl Known {
    fn new(of: Of, method: u8) -> Self {
        Self { of, method, hour: 0, cells: [NO_CELL; 6] }
    }
}

impl<'a> Counter<'a> {
    pub fn new(targets: &'a Targets) -> Self {
        Self {
            targets,
            cells: Vec::new(),
            places: Map::default(),
            templates: Map::default(),
            learnt: Vec::new(),
            agents: Agents::default(),
            remembered: Remembered::new(),
            template: String::new(),
            path: String::new(),
        }
    }

    pub fn count(&mut self, record: &Record<'_>) {
        let target = Target::of(record);
        match self.remember(record, &target) {
            Some(at) => self.count_known(at, record, &target),
            None => self.count_new(record, &target),
        }
    }

    /// Finds of what a call is, or remembers that from a call before it.
    fn remember(&mut self, record: &Record<'_>, target: &Target<'_>) -> Option<At> {
        if self.targets.asks_query && target.query.is_some() {
            return None;
        }
        let asked = Asked {
            method: record.method,
            host: target.host,
            path: target.path,
            is_decoded: record.is_decoded,
        };
        let (at, is_known) = self.remembered.find(&asked, self.targets.looks)?;
        if !is_known {
            let known = Known::new(self.of(record, target), method_number(record.method));
            self.remembered.put(at, known);
        }
        Some(at)
    }

    fn count_known(&mut self, at: At, record: &Record<'_>, target: &Target<'_>) {
        let Known { of, method, hour, cells } = *self.remembered.value_mut(at);
        let (class, now) = (class_of(record.status), record.at_unix_ms / HOUR_MS);
        let endpoint = self.endpoint(of, record, target);
        let place = match cells[class] {
            place if place != NO_CELL && hour == now => place,
            _ => {
                let place = self.cell(key(endpoint, method, class, now));
                // Without a place of its own, what the answer is decides where a call is counted.
                if of != Of::NoPlace {
                    let known = self.remembered.value_mut(at);
                    if known.hour != now {
                        *known = Known { hour: now, ..Known::new(of, method) };
                    }
                    known.cells[class] = place;
                }
                place
            }
        };
        self.add(place, record);
    }

    fn count_new(&mut self, record: &Record<'_>, target: &Target<'_>) {
        let of = self.of(record, target);
        let endpoint = self.endpoint(of, record, target);
        let (class, hour) = (class_of(record.status), record.at_unix_ms / HOUR_MS);
        let place = self.cell(key(endpoint, method_number(record.method), class, hour));
        self.add(place, record);
    }

    fn add(&mut self, place: u32, record: &Record<'_>) {
        let is_apart = self.agents.is_apart(record.agent);
        let (_, cell) = &mut self.cells[place as usize];
        cell.calls += 1;
        if is_apart {
            cell.apart += 1;
        } else {
            cell.last_regular_unix_ms = cell.last_regular_unix_ms.max(record.at_unix_ms);
        }
        cell.duration_us = cell.duration_us.saturating_add(record.duration_us);
        cell.bytes_out = cell.bytes_out.saturating_add(record.bytes_out);
        cell.first_unix_ms = cell.first_unix_ms.min(record.at_unix_ms);
        cell.last_unix_ms = cell.last_unix_ms.max(record.at_unix_ms);
    }

    /// Where the cell of a key is; it is new and empty if there was none.
    fn cell(&mut self, key: u64) -> u32 {
        *self.places.entry(key).or_insert_with(|| {
            self.cells.push((key, Cell { first_unix_ms: u64::MAX, ..NOTHING }));
            // There are far fewer: a file has so many hours, and there are so many endpoints.
            u32::try_from(self.cells.len() - 1).unwrap_or(NO_CELL)
        })
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: Self) {
        let mut places = vec![self.more(); other.learnt.len()];
        for (text, place) in &other.templates {
            let learnt = &other.learnt[*place];
            if let Some(own) = self.place(text, learnt.only.as_ref()) {
                places[*place] = self.first_template() + own;
                self.learnt[own].exists |= learnt.exists;
                match &learnt.only {
                    Some(only) => self.learnt[own].came_as(&only.sent),
                    None => self.learnt[own].only = None,
                }
            }
        }
        let first = self.first_template();
        for (key, cell) in other.cells {
            let endpoint = endpoint_of(key);
            let endpoint = endpoint.checked_sub(first).map_or(endpoint, |place| places[place]);
            let place = self.cell((key & 0xFFFF_FFFF) | ((endpoint as u64) << 32));
            let (_, sum) = &mut self.cells[place as usize];
            sum.add(&cell);
        }
    }

    /// What the cells are of.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let known = self.targets.names.iter().cloned();
        let listed = self.targets.listed.endpoints().iter().map(ToString::to_string);
        let mut endpoints: Vec<Endpoint> = known.chain(listed).map(Endpoint::Known).collect();
        endpoints.extend([Endpoint::Unmatched, Endpoint::More]);
        let mut templates = vec![Endpoint::Unmatched; self.learnt.len()];
        for (text, place) in &self.templates {
            let Learnt { exists, only } = &self.learnt[*place];
            if *exists {
                let path = text.split_once(' ').map_or(&**text, |(_, path)| path);
                templates[*place] = Endpoint::Template(match only {
                    // Of one value alone nobody can tell whether it is one: `/errors/404`.
                    Some(only) => spelled_out(&only.path, path),
                    None => path.to_owned(),
                });
            }
        }
        endpoints.extend(templates);
        endpoints
    }

    /// All sums, in no order. Templates that nothing showed to exist are [`Endpoint::Unmatched`].
    pub fn cells(&self) -> impl Iterator<Item = (CellKey, Cell)> {
        self.cells.iter().map(|(key, cell)| {
            let method = METHODS[usize::try_from((key >> 4) & 0xF).unwrap_or(0).min(METHODS.len() - 1)];
            let class = (key & 0xF) as u8;
            (CellKey { endpoint: endpoint_of(*key), method, class, hour: (key >> 8) & 0xFF_FFFF }, *cell)
        })
    }

    /// Where a call is counted.
    fn endpoint(&mut self, of: Of, record: &Record<'_>, target: &Target<'_>) -> usize {
        match of {
            Of::Endpoint(endpoint) => endpoint,
            Of::Template(place) => {
                let learnt = &mut self.learnt[place];
                learnt.exists = learnt.exists || shows_that_it_exists(record);
                learnt.came_as(target.path);
                self.first_template() + place
            }
            Of::NoPlace if shows_that_it_exists(record) => self.more(),
            Of::NoPlace => self.unmatched(),
        }
    }

    fn of(&mut self, record: &Record<'_>, target: &Target<'_>) -> Of {
        let Some(path) = spelled(target.path, record.is_decoded, &mut self.path) else {
            return Of::Endpoint(self.unmatched());
        };
        let request = asked(record, target, &path);
        if let Some(found) = self.targets.configured.find(&request) {
            return Of::Endpoint(*found.value);
        }
        if let Some(place) = self.targets.listed.find(&request) {
            return Of::Endpoint(self.targets.names.len() + place);
        }
        let mut template = std::mem::take(&mut self.template);
        write_template(&mut template, request.method, &path);
        let only = Only { sent: target.path.into(), path: path.as_ref().into() };
        let place = self.place(&template, Some(&only));
        self.template = template;
        place.map_or(Of::NoPlace, Of::Template)
    }

    /// The place of a template, new if there is room; `only` is how it came.
    fn place(&mut self, template: &str, only: Option<&Only>) -> Option<usize> {
        if let Some(place) = self.templates.get(template) {
            return Some(*place);
        }
        if self.templates.len() >= TEMPLATES_MAX || self.cells.len() >= CELLS_MAX {
            return None;
        }
        let place = self.learnt.len();
        self.templates.insert(template.into(), place);
        // A path without values is its own template.
        let only = only.filter(|only| !template.ends_with(&*only.path)).cloned();
        self.learnt.push(Learnt { exists: false, only });
        Some(place)
    }

    fn unmatched(&self) -> usize {
        self.targets.names.len() + self.targets.listed.len()
    }

    fn more(&self) -> usize {
        self.unmatched() + 1
    }

    fn first_template(&self) -> usize {
        self.unmatched() + 2
    }
}

const NOTHING: Cell = Cell {
    calls: 0,
    duration_us: 0,
    bytes_out: 0,
    apart: 0,
    first_unix_ms: 0,
    last_unix_ms: 0,
    last_regular_unix_ms: 0,
};

impl Cell {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, more: &Self) {
        self.calls += more.calls;
        self.duration_us = self.duration_us.saturating_add(more.duration_us);
        self.bytes_out = self.bytes_out.saturating_add(more.bytes_out);
        self.apart += more.apart;
        self.first_unix_ms = self.first_unix_ms.min(more.first_unix_ms);
        self.last_unix_ms = self.last_unix_ms.max(more.last_unix_ms);
        self.last_regular_unix_ms = self.last_regular_unix_ms.max(more.last_regular_unix_ms);
    }
}

/// The path as a template, with only those values in it whose form leaves no doubt.
fn spelled_out(path: &str, template: &str) -> String {
    let mut segments = template.split('/').zip(path.split('/')).map(|(template, path)| {
        let kind = template.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(kind, _)| kind);
        match kind {
            Some(kind) if Kind::named(kind).is_none_or(Kind::at_once) => template,
            _ => path,
        }
    });
    let first = segments.next().unwrap_or_default().to_owned();
    segments.fold(first, |text, segment| text + "/" + segment)
}

/// Endpoint, hour (24 bits), method and class (4 bits each) in one word.
fn key(endpoint: usize, method: u8, class: usize, hour: u64) -> u64 {
    ((endpoint as u64) << 32) | ((hour & 0xFF_FFFF) << 8) | (u64::from(method) << 4) | class as u64
}

fn method_number(method: &[u8]) -> u8 {
    let place = METHODS.iter().position(|known| known.as_bytes() == method);
    place.unwrap_or(METHODS.len() - 1) as u8
}

fn class_of(status: u16) -> usize {
    match status {
        100..=599 => usize::from(status / 100),
        _ => 0,
    }
}

fn endpoint_of(key: u64) -> usize {
    usize::try_from(key >> 32).unwrap_or(usize::MAX)
}

/// As rule 3 of discovery, without what a log does not tell: redirects of GET may lead to a login or to https.
fn shows_that_it_exists(record: &Record<'_>) -> bool {
    match record.status {
        200..=299 | 304 => !matches!(record.method, b"HEAD" | b"OPTIONS"),
        302 | 303 | 307 => matches!(record.method, b"POST" | b"PUT" | b"PATCH" | b"DELETE"),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
