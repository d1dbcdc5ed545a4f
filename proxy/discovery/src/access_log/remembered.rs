//! What calls were found to be of, by method, host and path: asked before a path is taken apart.
//!
//! Most lines of a log are like a line before them. A key has one byte in place of a segment that is a number or a
//! UUID, since nothing tells two of them apart but a pattern that spells one out ([`Looks::values`]).
//!
//! Invariant: two calls with the same key are of the same endpoint. At most [`SLOTS`] keys of [`KEY_BYTES_MAX`] bytes.

use std::hash::{BuildHasher as _, BuildHasherDefault};

use rustc_hash::FxHasher;
use starve_routing::{ParameterType, Pattern, Segment};

/// Calls with longer keys are not remembered.
const KEY_BYTES_MAX: usize = BYTES - 1;
const BYTES: usize = 256;
/// A power of two.
const SLOTS: usize = 16_384;
/// Stand for a number and for a UUID. A path that holds them as they are is not remembered.
const NUMBER: u8 = 1;
const UUID: u8 = 2;
/// Longer numbers are not all of one kind.
const DIGITS_MAX: usize = 18;
const UUID_BYTES: usize = 36;

/// What of a call decides of what endpoint it is, beside its method and path.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looks {
    /// Some pattern names a host.
    pub(super) host: bool,
    /// Some pattern spells out a number or a UUID.
    pub(super) values: bool,
}

impl Looks {
    pub(super) fn of<'p>(patterns: impl IntoIterator<Item = &'p Pattern>) -> Self {
        let mut looks = Self::default();
        for pattern in patterns {
            looks.host |= pattern.host().is_some();
            looks.values |= pattern.segments().iter().any(spells_out_a_value);
        }
        looks
    }
}

fn spells_out_a_value(segment: &Segment) -> bool {
    let part_of_a_value = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    match segment {
        Segment::Literal(text) => value(text.as_bytes()).is_some(),
        Segment::Parameter(parameter) => {
            let mut around = parameter.prefix.bytes().chain(parameter.suffix.bytes()).peekable();
            around.peek().is_some() && around.all(part_of_a_value)
        }
        Segment::Rest { .. } => false,
    }
}

/// What stands for a segment that is one of many alike.
fn value(segment: &[u8]) -> Option<u8> {
    match segment.len() {
        1..=DIGITS_MAX if segment.iter().all(u8::is_ascii_digit) => Some(NUMBER),
        // Capitals would tell two of them apart: slugs have none.
        UUID_BYTES if !segment.iter().any(u8::is_ascii_uppercase) => {
            let text = std::str::from_utf8(segment).ok()?;
            ParameterType::Uuid.accepts(text).then_some(UUID)
        }
        _ => None,
    }
}

#[derive(Debug)]
pub(super) struct Remembered<T> {
    slots: Vec<Slot<T>>,
    key: Key,
}

#[derive(Clone, Debug)]
struct Slot<T> {
    key: Vec<u8>,
    value: T,
}

/// A call as far as it decides of what endpoint it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a [u8],
    pub(super) host: Option<&'a [u8]>,
    /// As sent, without query.
    pub(super) path: &'a [u8],
    pub(super) is_decoded: bool,
}

/// Where a call is, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(usize);

impl<T: Copy + Default> Remembered<T> {
    pub(super) fn new() -> Self {
        // Tables cost what is used of them: a short log fills a few slots.
        Self { slots: Vec::new(), key: Key { bytes: [0; BYTES], length: 0 } }
    }

    /// The place of a call, and whether it is remembered; `None` where it cannot be. The place holds until the next
    /// call of this function.
    pub(super) fn find(&mut self, asked: &Asked<'_>, looks: Looks) -> Option<(At, bool)> {
        if !self.key.write(asked, looks) {
            return None;
        }
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, Slot { key: Vec::new(), value: T::default() });
        }
        let key = self.key.bytes();
        let hash = BuildHasherDefault::<FxHasher>::default().hash_one(key);
        let at = usize::try_from(hash).unwrap_or(0) & (SLOTS - 1);
        if self.slots[at].key == key {
            return Some((At(at), true));
        }
        if self.slots[at ^ 1].key == key {
            return Some((At(at ^ 1), true));
        }
        // Of the two that may have this place, the one that stood in it waits in the other.
        self.slots.swap(at, at ^ 1);
        Some((At(at), false))
    }

    /// Remembers the call that was asked for last.
    pub(super) fn put(&mut self, at: At, value: T) {
        let slot = &mut self.slots[at.0];
        slot.key.clear();
        slot.key.extend_from_slice(self.key.bytes());
        slot.value = value;
    }

    pub(super) fn value_mut(&mut self, at: At) -> &mut T {
        &mut self.slots[at.0].value
    }
}

#[derive(Debug)]
struct Key {
    bytes: [u8; BYTES],
    length: usize,
}

#[derive(Clone, Copy)]
enum Sort {
    /// Numbers and UUIDs hold nothing else.
    OfValue,
    Other,
    Slash,
    /// [`NUMBER`] or [`UUID`].
    Mark,
}

static SORTS: [Sort; 256] = {
    let mut sorts = [Sort::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        sorts[byte] = match byte as u8 {
            b'0'..=b'9' | b'a'..=b'f' | b'-' => Sort::OfValue,
            b'/' => Sort::Slash,
            NUMBER | UUID => Sort::Mark,
            _ => Sort::Other,
        };
        byte += 1;
    }
    sorts
};

impl Key {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn write(&mut self, asked: &Asked<'_>, looks: Looks) -> bool {
        let host = asked.host.filter(|_| looks.host);
        let front = 3 + asked.method.len() + host.map_or(0, <[u8]>::len);
        if front + asked.path.len() + 1 > KEY_BYTES_MAX {
            return false;
        }
        self.length = 0;
        self.push(u8::from(asked.is_decoded) << 1 | u8::from(host.is_some()));
        // With their lengths, so that no part can be taken for another.
        for part in [asked.method, host.unwrap_or_default()] {
            self.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            self.bytes[self.length..self.length + part.len()].copy_from_slice(part);
            self.length += part.len();
        }
        self.write_path(asked.path, looks.values)
    }

    fn write_path(&mut self, path: &[u8], with_values: bool) -> bool {
        let (mut at, mut from, mut may_be_value) = (self.length, self.length, false);
        for byte in path {
            match SORTS[usize::from(*byte)] {
                Sort::OfValue => {}
                Sort::Other => may_be_value = false,
                Sort::Slash => {
                    at = self.close(from, at, may_be_value);
                    (from, may_be_value) = (at + 1, !with_values);
                }
                Sort::Mark => return false,
            }
            // The length was looked at before; this one costs nothing.
            self.bytes[at % BYTES] = *byte;
            at += 1;
        }
        self.length = self.close(from, at, may_be_value);
        true
    }

    /// Puts one byte in place of a segment that is a value; the new end.
    fn close(&mut self, from: usize, at: usize, may_be_value: bool) -> usize {
        match if may_be_value { value(&self.bytes[from..at]) } else { None } {
            Some(value) => {
                self.bytes[from] = value;
                from + 1
            }
            None => at,
        }
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str) -> Asked<'_> {
        Asked { method: b"GET", host: None, path: path.as_bytes(), is_decoded: false }
    }

    fn is_same(one: &str, other: &str, looks: Looks) -> bool {
        let mut remembered = Remembered::<u8>::new();
        let (at, known) = remembered.find(&asked(one), looks).unwrap();
        assert!(!known);
        remembered.put(at, 7);
        matches!(remembered.find(&asked(other), looks), Some((_, true)))
    }

    #[test]
    fn numbers_and_uuids_are_alike_and_nothing_else_is() {
        let looks = Looks::default();
        for (one, other) in [
            ("/a/7/b", "/a/4711/b"),
            ("/7", "/8"),
            ("/a/0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff", "/a/ffffffff-1d2c-4b6a-9f00-aabbccddeeff"),
        ] {
            assert!(is_same(one, other, looks), "{one} {other}");
            assert!(!is_same(one, other, Looks { values: true, ..looks }), "{one} {other}");
        }
        for (one, other) in [
            ("/a/7", "/a/7/"),
            ("/a/7", "/a/ab"),
            ("/a/7", "/a/1234567890123456789"),
            ("/a/7", "/b/7"),
            ("/a/7.json", "/a/8.json"),
            ("/a/7", "/a/0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff"),
            ("/a/0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff", "/a/0B5af3e2-1d2c-4b6a-9f00-aabbccddeeff"),
            ("7/a", "8/a"),
        ] {
            assert!(!is_same(one, other, looks), "{one} {other}");
        }
    }

    #[test]
    fn what_could_be_taken_for_something_else_is_not_remembered() {
        let mut remembered = Remembered::<u8>::new();
        for path in ["/a/\u{1}".to_owned(), "/\u{2}".to_owned(), format!("/{}", "x".repeat(300))] {
            assert_eq!(remembered.find(&asked(&path), Looks::default()), None);
        }
    }

    #[test]
    fn patterns_that_spell_values_out_are_found() {
        for (pattern, host, values) in [
            ("GET /a/{id}/{x}.json", false, false),
            ("GET /v{n:int}/a", false, false),
            ("GET /a/404", false, true),
            ("GET //shop.example/a/{id}", true, false),
            ("GET /a/0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff", false, true),
            ("GET /a/4{rest}", false, true),
        ] {
            let looks = Looks::of([&pattern.parse().unwrap()]);
            assert_eq!((looks.host, looks.values), (host, values), "{pattern}");
        }
    }

    #[test]
    fn two_calls_that_share_a_place_are_both_remembered() {
        let mut remembered = Remembered::<usize>::new();
        let paths: Vec<String> = (0..200_000).map(|n| format!("/word{n}")).collect();
        for (n, path) in paths.iter().enumerate() {
            let (at, known) = remembered.find(&asked(path), Looks::default()).unwrap();
            assert!(!known, "{path}");
            remembered.put(at, n);
            let (again, known) = remembered.find(&asked(path), Looks::default()).unwrap();
            assert!(known && *remembered.value_mut(again) == n);
        }
        assert_eq!(remembered.slots.len(), SLOTS);
        let kept = paths
            .iter()
            .rev()
            .take(1_000)
            .filter(|path| matches!(remembered.find(&asked(path), Looks::default()), Some((_, true))));
        assert!(kept.count() > 900);
    }
}
