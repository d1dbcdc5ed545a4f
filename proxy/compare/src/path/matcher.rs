//! Field paths matched against the place where a walk through a document stands.
//!
//! Each path is a small automaton: bit `n` of its mask is set where the first `n` steps are matched. Going down
//! one level shifts the mask once, so no path is ever matched from the start, and nothing is allocated for a
//! value beyond what the deepest one needed.

use std::fmt;

use super::{FieldPath, Selector, Step, write_name};

/// One level of a concrete place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment<'a> {
    Member {
        key: &'a [u8],
        /// The object is used as a map, so its keys are data.
        map: bool,
    },
    Element(usize),
}

/// Where a walk stands, seen by a set of paths.
#[derive(Debug)]
pub(crate) struct Matcher<'r> {
    paths: &'r [FieldPath],
    /// One mask for each path and level.
    masks: Vec<u64>,
}

impl<'r> Matcher<'r> {
    /// At the root of a document.
    pub(crate) fn new(paths: &'r [FieldPath]) -> Self {
        Self { paths, masks: vec![1; paths.len()] }
    }

    pub(crate) fn enter(&mut self, segment: &Segment<'_>) {
        let above = self.masks.len() - self.paths.len();
        for (n, path) in self.paths.iter().enumerate() {
            let mask = advance(&path.steps, self.masks[above + n], segment);
            self.masks.push(mask);
        }
    }

    pub(crate) fn leave(&mut self) {
        self.masks.truncate(self.masks.len() - self.paths.len());
    }

    /// Whether one of the paths selects the place where the walk stands.
    pub(crate) fn hits(&self) -> bool {
        let here = &self.masks[self.masks.len() - self.paths.len()..];
        here.iter().zip(self.paths).any(|(mask, path)| mask >> path.steps.len() & 1 == 1)
    }
}

fn advance(steps: &[Step], mask: u64, segment: &Segment<'_>) -> u64 {
    let mut next = 0;
    let mut open = mask;
    while open != 0 {
        let n = open.trailing_zeros();
        open &= open - 1;
        let Some(step) = steps.get(n as usize) else { continue };
        if step.anywhere {
            next |= 1 << n;
        }
        if step.selector.selects(segment) {
            next |= 1 << (n + 1);
        }
    }
    next
}

impl Selector {
    fn selects(&self, segment: &Segment<'_>) -> bool {
        match (self, segment) {
            (Self::Name(name), Segment::Member { key, .. }) => name.as_bytes() == *key,
            (Self::AnyMember, Segment::Member { .. }) | (Self::AnyElement, Segment::Element(_)) => true,
            (Self::Index(wanted), Segment::Element(index)) => wanted == index,
            (Self::Any, _) => true,
            _ => false,
        }
    }
}

/// Writes a level as a field path has it, with indices and keys that are data collapsed.
pub(crate) fn write_segment(out: &mut impl fmt::Write, segment: &Segment<'_>) -> fmt::Result {
    match *segment {
        Segment::Element(_) => out.write_str("[*]"),
        Segment::Member { key, map } if map || name_is_data(key) => out.write_str("{*}"),
        Segment::Member { key, .. } => write_name(out, &String::from_utf8_lossy(key)),
    }
}

/// Whether a name was made by a program or a person rather than chosen by whoever designed the interface: a
/// number, an id, a mail address. Such names would make a new path for every call, and may be personal.
pub(crate) fn name_is_data(name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else { return true };
    let starts_as_name =
        text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$' | '@' | '-' | '#'));
    let goes_on_as_name = text
        .chars()
        .skip(1)
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '$' | '/' | ' '));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let like_an_id = digits >= 6 || (hexadecimal && digits > 0 && text.len() >= 8);
    text.len() > 64 || !starts_as_name || !goes_on_as_name || like_an_id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(key: &str) -> Segment<'_> {
        Segment::Member { key: key.as_bytes(), map: false }
    }

    fn selects(path: &str, place: &[Segment<'_>]) -> bool {
        let paths = [path.parse().unwrap()];
        let mut matcher = Matcher::new(&paths);
        for segment in place {
            matcher.enter(&member("elsewhere"));
            matcher.leave();
            matcher.enter(segment);
        }
        matcher.hits()
    }

    #[test]
    fn a_path_selects_its_place_alone() {
        let place = [member("items"), Segment::Element(3), member("price")];
        for path in
            ["$.items[*].price", "$.items[3].price", "$..price", "$..[*].price", "$.*.*.*", "$..*", "$..{*}"]
        {
            assert!(selects(path, &place), "{path}");
        }
        for path in [
            "$",
            "$.items",
            "$.items[*]",
            "$.items[2].price",
            "$.items{*}.price",
            "$.price",
            "$..items",
            "$..[*]",
        ] {
            assert!(!selects(path, &place), "{path}");
        }
        assert!(selects("$", &[]));
    }

    #[test]
    fn recursive_descent_finds_a_name_below_its_namesake() {
        let place = [member("a"), member("a"), member("b"), member("a")];
        assert!(selects("$..a..a", &place));
        assert!(selects("$..a..b.a", &place));
        assert!(selects("$.a..a", &place));
        assert!(!selects("$..b..b", &place));
    }

    #[test]
    fn one_of_several_paths_is_enough() {
        let paths = ["$.a".parse().unwrap(), "$..c".parse().unwrap()];
        let mut matcher = Matcher::new(&paths);
        matcher.enter(&member("b"));
        assert!(!matcher.hits());
        matcher.enter(&member("c"));
        assert!(matcher.hits());
        matcher.leave();
        matcher.leave();
        matcher.enter(&member("a"));
        assert!(matcher.hits());
    }

    #[test]
    fn names_that_are_data_are_told_from_names_that_were_designed() {
        for name in
            ["price", "_links", "@type", "$ref", "X-Request-Id", "line1", "sha256", "größe", "a b", "facade"]
        {
            assert!(!name_is_data(name.as_bytes()), "{name}");
        }
        for name in [
            "",
            "42",
            "a@b.example",
            "2026-01-02",
            "deadbeef01",
            "0b5f8f0e-5d2b-4c8e-9f7a-3a9f2d1c0b7e",
            "cust_8472913",
        ] {
            assert!(name_is_data(name.as_bytes()), "{name}");
        }
    }
}
