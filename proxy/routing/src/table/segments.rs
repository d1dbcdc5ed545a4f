//! A request's path, cut at its slashes once.

use std::cell::Cell;

use crate::{ParameterType, SEGMENTS_MAX};

/// The segments of a path; those behind the first [`SEGMENTS_MAX`] are one, since no pattern reaches further.
pub(super) struct Segments<'p> {
    path: &'p str,
    /// Where each segment begins; the one after the last is where the path ends, and a slash further.
    starts: [u32; SEGMENTS_MAX + 2],
    count: usize,
    /// The types each segment has, asked once however often the search comes back to it.
    types: [Cell<Types>; SEGMENTS_MAX + 1],
}

/// One bit for each type.
#[derive(Clone, Copy)]
struct Types {
    asked: u8,
    held: u8,
}

impl<'p> Segments<'p> {
    /// `None` for what is no path.
    pub(super) fn of(path: &'p str) -> Option<Self> {
        let end = u32::try_from(path.len().checked_add(1)?).ok()?;
        path.starts_with('/').then_some(())?;
        let mut starts = [0; SEGMENTS_MAX + 2];
        let mut count = 0;
        for (at, byte) in (1..end).zip(path.bytes()) {
            if byte == b'/' && count <= SEGMENTS_MAX {
                starts[count] = at;
                count += 1;
            }
        }
        starts[count] = end;
        Some(Self {
            path,
            starts,
            count,
            types: [const { Cell::new(Types { asked: 0, held: 0 }) }; SEGMENTS_MAX + 1],
        })
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn text(&self, index: usize) -> &'p str {
        &self.path[self.starts[index] as usize..self.starts[index + 1] as usize - 1]
    }

    pub(super) fn is(&self, index: usize, kind: ParameterType) -> bool {
        let cell = &self.types[index];
        let (bit, mut types) = (1 << kind as u8, cell.get());
        if types.asked & bit == 0 {
            types.asked |= bit;
            types.held |= if kind.accepts(self.text(index)) { bit } else { 0 };
            cell.set(types);
        }
        types.held & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str) -> Vec<&str> {
        let segments = Segments::of(path).unwrap();
        (0..segments.count()).map(|index| segments.text(index)).collect()
    }

    #[test]
    fn empty_segments_count() {
        assert_eq!(texts("/"), [""]);
        assert_eq!(texts("/a/b"), ["a", "b"]);
        assert_eq!(texts("//a/"), ["", "a", ""]);
        assert!(Segments::of("a").is_none());
        assert!(Segments::of("").is_none());
    }

    #[test]
    fn what_lies_deeper_than_any_pattern_is_one_segment() {
        let path = "/a".repeat(100);
        let texts = texts(&path);
        assert_eq!(texts.len(), SEGMENTS_MAX + 1);
        assert_eq!(texts[SEGMENTS_MAX - 1], "a");
        assert_eq!(texts[SEGMENTS_MAX], format!("a{}", "/a".repeat(35)));
    }

    #[test]
    fn types_are_remembered() {
        let segments = Segments::of("/42/x_").unwrap();
        for _ in 0..2 {
            assert!(segments.is(0, ParameterType::Int));
            assert!(!segments.is(0, ParameterType::Uuid));
            assert!(!segments.is(1, ParameterType::Slug));
        }
    }
}
