//! Arrays, aligned in linear time.
//!
//! Equal ends are set aside. What is left is aligned by an id where the elements have one, else taken for a
//! multiset, else compared index by index. Never by a longest common subsequence, which is quadratic.

use super::Value;
use super::hash::hash_scalar;
use super::walk::{Walk, Walked};
use crate::difference::Kind;
use crate::path::Segment;

/// Names under which elements carry what tells them apart, the surest first.
const ID_KEYS: [&[u8]; 11] =
    [b"id", b"_id", b"uuid", b"guid", b"key", b"code", b"slug", b"sku", b"number", b"name", b"href"];

/// What is left of an array when its equal ends are set aside.
#[derive(Clone, Copy)]
struct Middle<'v> {
    elements: &'v [Value<'v>],
    /// The index of the first.
    from: usize,
}

impl<'v> Walk<'_, 'v> {
    pub(super) fn arrays(&mut self, legacy: &'v [Value<'v>], function: &'v [Value<'v>]) -> Walked {
        let unordered = self.unordered.hits();
        if self.probing && !unordered {
            return self.by_index(
                Middle { elements: legacy, from: 0 },
                function,
                [legacy.len(), function.len()],
            );
        }
        let sizes = [legacy.len(), function.len()];
        let head = self.equal_head(legacy, function)?;
        let tail = self.equal_tail(&legacy[head..], &function[head..], head)?;
        let left = Middle { elements: &legacy[head..legacy.len() - tail], from: head };
        let function = &function[head..function.len() - tail];
        match (left.elements, function) {
            ([], []) => return Ok(()),
            ([], _) | (_, []) | ([_], [_]) => return self.by_index(left, function, sizes),
            _ => {}
        }
        match self.alignment(left, function)? {
            Some(alignment) => self.by_alignment(left, function, &alignment, sizes, unordered),
            None => self.as_multiset(left, function, sizes, unordered),
        }
    }

    fn equal_head(&mut self, legacy: &'v [Value<'v>], function: &'v [Value<'v>]) -> Walked<usize> {
        for (index, (legacy, function)) in legacy.iter().zip(function).enumerate() {
            if !self.are_equal(Segment::Element(index), legacy, function)? {
                return Ok(index);
            }
        }
        Ok(legacy.len().min(function.len()))
    }

    fn equal_tail(
        &mut self,
        legacy: &'v [Value<'v>],
        function: &'v [Value<'v>],
        from: usize,
    ) -> Walked<usize> {
        for (count, (one, other)) in legacy.iter().rev().zip(function.iter().rev()).enumerate() {
            let index = from + legacy.len() - 1 - count;
            if !self.are_equal(Segment::Element(index), one, other)? {
                return Ok(count);
            }
        }
        Ok(legacy.len().min(function.len()))
    }

    /// `sizes`: of the whole arrays, for the report.
    fn by_index(&mut self, legacy: Middle<'v>, function: &'v [Value<'v>], sizes: [usize; 2]) -> Walked {
        if legacy.elements.len() != function.len() {
            self.report_arrays(Kind::Size, sizes)?;
        }
        for (n, (one, other)) in legacy.elements.iter().zip(function).enumerate() {
            self.inside(Segment::Element(legacy.from + n), |walk| walk.pair(one, other))?;
        }
        Ok(())
    }

    /// For each element of legacy the index of its counterpart, by the first key that tells elements apart on
    /// both sides and is shared by at least half of the smaller one. Ids made anew for every answer are not.
    fn alignment(
        &mut self,
        legacy: Middle<'v>,
        function: &'v [Value<'v>],
    ) -> Walked<Option<Vec<Option<usize>>>> {
        for key in ID_KEYS {
            self.spend(1)?;
            if self.is_ignored(key, legacy.from) {
                continue;
            }
            let (Some(of_legacy), Some(of_function)) = (ids(legacy.elements, key), ids(function, key)) else {
                continue;
            };
            self.spend((of_legacy.len() + of_function.len()) as u32)?;
            let mut counterparts = vec![None; of_legacy.len()];
            let mut matched = 0;
            for (id, index) in &of_legacy {
                if let Ok(found) = of_function.binary_search_by_key(id, |(id, _)| *id) {
                    counterparts[*index] = Some(of_function[found].1);
                    matched += 1;
                }
            }
            if matched * 2 >= of_legacy.len().min(of_function.len()) {
                return Ok(Some(counterparts));
            }
        }
        Ok(None)
    }

    fn is_ignored(&mut self, key: &[u8], index: usize) -> bool {
        self.ignored.enter(&Segment::Element(index));
        self.ignored.enter(&Segment::Member { key, map: false });
        let ignored = self.ignored.hits();
        self.ignored.leave();
        self.ignored.leave();
        ignored
    }

    fn by_alignment(
        &mut self,
        legacy: Middle<'v>,
        function: &'v [Value<'v>],
        counterparts: &[Option<usize>],
        sizes: [usize; 2],
        unordered: bool,
    ) -> Walked {
        if !unordered && !counterparts.iter().flatten().is_sorted() {
            self.report_arrays(Kind::Order, sizes)?;
        }
        let mut extra = vec![true; function.len()];
        for (n, (element, counterpart)) in legacy.elements.iter().zip(counterparts).enumerate() {
            self.inside(Segment::Element(legacy.from + n), |walk| match counterpart {
                Some(index) => {
                    extra[*index] = false;
                    walk.pair(element, &function[*index])
                }
                None => walk.one_sided(Kind::Missing, element),
            })?;
        }
        for (index, element) in function.iter().enumerate().filter(|(index, _)| extra[*index]) {
            let segment = Segment::Element(legacy.from + index);
            self.inside(segment, |walk| walk.one_sided(Kind::Extra, element))?;
        }
        Ok(())
    }

    fn as_multiset(
        &mut self,
        legacy: Middle<'v>,
        function: &'v [Value<'v>],
        sizes: [usize; 2],
        unordered: bool,
    ) -> Walked {
        let of_legacy = self.hashes(legacy.elements, legacy.from)?;
        let of_function = self.hashes(function, legacy.from)?;
        let (mut missing, mut extra) = unmatched(&of_legacy, &of_function);
        if missing.is_empty() && extra.is_empty() {
            return if unordered { Ok(()) } else { self.report_arrays(Kind::Order, sizes) };
        }
        if !unordered {
            return self.by_index(legacy, function, sizes);
        }
        missing.sort_unstable();
        extra.sort_unstable();
        if missing.len() != extra.len() {
            self.report_arrays(Kind::Size, sizes)?;
        }
        for (one, other) in missing.into_iter().zip(extra) {
            let segment = Segment::Element(legacy.from + one);
            self.inside(segment, |walk| walk.pair(&legacy.elements[one], &function[other]))?;
        }
        Ok(())
    }

    fn hashes(&mut self, elements: &'v [Value<'v>], from: usize) -> Walked<Vec<(u64, usize)>> {
        let mut hashes = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let hash = self.inside(Segment::Element(from + index), |walk| walk.hash(element))?;
            hashes.push((hash, index));
        }
        hashes.sort_unstable();
        Ok(hashes)
    }
}

/// The hash of each element's id and its index, sorted; nothing unless every element has one of its own.
fn ids(elements: &[Value<'_>], key: &[u8]) -> Option<Vec<(u64, usize)>> {
    let id = |element: &Value<'_>| match element {
        Value::Object(members) => match &members.iter().find(|member| &*member.key == key)?.value {
            id @ (Value::Text(_) | Value::Number(_)) => Some(hash_scalar(id)),
            _ => None,
        },
        _ => None,
    };
    let ids = elements.iter().enumerate().map(|(index, element)| Some((id(element)?, index)));
    let mut ids = ids.collect::<Option<Vec<_>>>()?;
    ids.sort_unstable();
    ids.is_sorted_by(|one, other| one.0 < other.0).then_some(ids)
}

/// What each of two sorted lists has and the other has not.
fn unmatched(legacy: &[(u64, usize)], function: &[(u64, usize)]) -> (Vec<usize>, Vec<usize>) {
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    let (mut legacy, mut function) = (legacy.iter().peekable(), function.iter().peekable());
    loop {
        match (legacy.peek(), function.peek()) {
            (Some(one), Some(other)) if one.0 == other.0 => _ = (legacy.next(), function.next()),
            (Some(one), Some(other)) if one.0 < other.0 => {
                missing.extend(legacy.next().map(|(_, index)| *index))
            }
            (_, Some(_)) => extra.extend(function.next().map(|(_, index)| *index)),
            (Some(_), None) => missing.extend(legacy.next().map(|(_, index)| *index)),
            (None, None) => return (missing, extra),
        }
    }
}
