//! Adds calls up by endpoint, method, status class and hour.
//!
//! Invariant: every call is in exactly one cell, and there are at most [`CELLS_MAX`] cells and [`TEMPLATES_MAX`]
//! templates, whatever the log holds.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use memchr::{memchr, memchr2};
use rustc_hash::FxHasher;
use starve_routing::{Request, RouteTable, normalise_path};

use super::Record;
use crate::inventory::Inventory;
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
}

impl Targets {
    /// `names`: the ids of the configured routes, in the order of the table's values.
    pub fn new(configured: RouteTable<usize>, names: Vec<String>, listed: Inventory) -> Self {
        Self { configured, names, listed }
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
    pub first_unix_ms: u64,
    pub last_unix_ms: u64,
}

/// One thread's sums.
#[derive(Debug)]
pub struct Counter<'a> {
    targets: &'a Targets,
    cells: Map<u64, Cell>,
    templates: Map<Box<str>, usize>,
    /// Whether an answer showed that there is such an endpoint.
    exists: Vec<bool>,
    template: String,
    path: String,
}

impl<'a> Counter<'a> {
    pub fn new(targets: &'a Targets) -> Self {
        Self {
            targets,
            cells: Map::default(),
            templates: Map::default(),
            exists: Vec::new(),
            template: String::new(),
            path: String::new(),
        }
    }

    pub fn count(&mut self, record: &Record<'_>) {
        let endpoint = self.endpoint(record);
        let key = key(endpoint, record);
        let cell = self.cells.entry(key).or_insert(Cell {
            calls: 0,
            duration_us: 0,
            bytes_out: 0,
            first_unix_ms: u64::MAX,
            last_unix_ms: 0,
        });
        cell.calls += 1;
        cell.duration_us = cell.duration_us.saturating_add(record.duration_us);
        cell.bytes_out = cell.bytes_out.saturating_add(record.bytes_out);
        cell.first_unix_ms = cell.first_unix_ms.min(record.at_unix_ms);
        cell.last_unix_ms = cell.last_unix_ms.max(record.at_unix_ms);
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: Self) {
        let mut places = vec![self.more(); other.exists.len()];
        for (text, place) in &other.templates {
            places[*place] = self.place(text).unwrap_or(self.more());
            if let Some(own) = places[*place].checked_sub(self.first_template()) {
                self.exists[own] |= other.exists[*place];
            }
        }
        let first = self.first_template();
        for (key, cell) in other.cells {
            let endpoint = endpoint_of(key);
            let endpoint = endpoint.checked_sub(first).map_or(endpoint, |place| places[place]);
            let key = (key & 0xFFFF_FFFF) | ((endpoint as u64) << 32);
            add(self.cells.entry(key).or_insert(Cell { first_unix_ms: u64::MAX, ..NOTHING }), &cell);
        }
    }

    /// What the cells are of.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let known = self.targets.names.iter().cloned();
        let listed = self.targets.listed.endpoints().iter().map(ToString::to_string);
        let mut endpoints: Vec<Endpoint> = known.chain(listed).map(Endpoint::Known).collect();
        endpoints.extend([Endpoint::Unmatched, Endpoint::More]);
        let mut templates = vec![Endpoint::Unmatched; self.exists.len()];
        for (text, place) in &self.templates {
            if self.exists[*place] {
                let path = text.split_once(' ').map_or(&**text, |(_, path)| path);
                templates[*place] = Endpoint::Template(path.to_owned());
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

    fn endpoint(&mut self, record: &Record<'_>) -> usize {
        let (host, target) = split(record.target);
        let end = memchr2(b'?', b'#', target).unwrap_or(target.len());
        let Some(path) = spelled(&target[..end], record.is_decoded, &mut self.path) else {
            return self.unmatched();
        };
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        let method = text(record.method);
        let query = target.get(end + 1..).filter(|_| target.get(end) == Some(&b'?')).map(text);
        let request = LogRequest { method, host: record.host.or(host).map(text), path: &path, query };
        if let Some(found) = self.targets.configured.find(&request) {
            return *found.value;
        }
        if let Some(place) = self.targets.listed.find(&request) {
            return self.targets.names.len() + place;
        }
        let mut template = std::mem::take(&mut self.template);
        write_template(&mut template, method, &path);
        let exists = shows_that_it_exists(record);
        let place = self.place(&template);
        self.template = template;
        match place {
            Some(endpoint) => {
                let place = endpoint - self.first_template();
                self.exists[place] |= exists;
                endpoint
            }
            None if exists => self.more(),
            None => self.unmatched(),
        }
    }

    /// The endpoint of a template, new if there is room.
    fn place(&mut self, template: &str) -> Option<usize> {
        let first = self.first_template();
        if let Some(place) = self.templates.get(template) {
            return Some(first + place);
        }
        if self.templates.len() >= TEMPLATES_MAX || self.cells.len() >= CELLS_MAX {
            return None;
        }
        let place = self.exists.len();
        self.templates.insert(template.into(), place);
        self.exists.push(false);
        Some(first + place)
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

const NOTHING: Cell = Cell { calls: 0, duration_us: 0, bytes_out: 0, first_unix_ms: 0, last_unix_ms: 0 };

fn add(cell: &mut Cell, more: &Cell) {
    cell.calls += more.calls;
    cell.duration_us = cell.duration_us.saturating_add(more.duration_us);
    cell.bytes_out = cell.bytes_out.saturating_add(more.bytes_out);
    cell.first_unix_ms = cell.first_unix_ms.min(more.first_unix_ms);
    cell.last_unix_ms = cell.last_unix_ms.max(more.last_unix_ms);
}

/// Endpoint, hour (24 bits), method and class (4 bits each) in one word.
fn key(endpoint: usize, record: &Record<'_>) -> u64 {
    let method =
        METHODS.iter().position(|known| known.as_bytes() == record.method).unwrap_or(METHODS.len() - 1);
    let class = match record.status {
        100..=599 => u64::from(record.status / 100),
        _ => 0,
    };
    let hour = (record.at_unix_ms / HOUR_MS) & 0xFF_FFFF;
    ((endpoint as u64) << 32) | (hour << 8) | ((method as u64) << 4) | class
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

/// The host, where a target is a whole address, and the rest.
fn split(target: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let rest = [&b"http://"[..], b"https://", b"ws://", b"wss://"]
        .iter()
        .find_map(|scheme| target.strip_prefix(*scheme));
    match rest {
        None => (None, target),
        Some(rest) => match memchr(b'/', rest) {
            Some(slash) => (Some(&rest[..slash]), &rest[slash..]),
            None => (Some(rest), b"/"),
        },
    }
}

/// The path in its one spelling, or none where the proxy would refuse it.
fn spelled<'p>(path: &'p [u8], is_decoded: bool, scratch: &'p mut String) -> Option<Cow<'p, str>> {
    if !is_decoded
        && let Ok(text) = std::str::from_utf8(path)
        && let Ok(normal) = normalise_path(text)
    {
        return Some(normal);
    }
    scratch.clear();
    let mut rest = path;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail) {
            // How nginx and Apache write what is no printable ASCII.
            (b'\\', [b'x', high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                scratch.extend(['%', char::from(*high), char::from(*low)]);
                rest = &tail[3..];
            }
            (b'+', _) if is_decoded => scratch.push_str("%20"),
            (b'%', _) if !is_decoded => scratch.push('%'),
            (byte, _) if byte.is_ascii_graphic() && !b"%\\#?".contains(byte) => {
                scratch.push(char::from(*byte))
            }
            (byte, _) => {
                scratch.push('%');
                for digit in [byte >> 4, byte & 15] {
                    scratch.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
        }
    }
    normalise_path(scratch).ok()
}

struct LogRequest<'a> {
    method: &'a str,
    host: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

impl Request for LogRequest<'_> {
    fn method(&self) -> &str {
        self.method
    }

    fn host(&self) -> Option<&str> {
        self.host
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        self.query
    }

    /// Logs hold no headers: a route that asks for one is not taken.
    fn header_values(&self, _name: &str, _visit: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        false
    }
}
