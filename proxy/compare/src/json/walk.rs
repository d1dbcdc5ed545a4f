//! Two documents walked together.
//!
//! Invariant: every visit to a value is paid from the budget, so the walk ends; and a place that a rule ignores
//! is never looked into.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::ptr;

use siphasher::sip::SipHasher13;

use super::{Member, Value, number};
use crate::difference::{Findings, Kind, Note};
use crate::limits::{JSON_VISITS, MAP_MEMBERS};
use crate::path::{Matcher, Segment, write_segment};
use crate::rules::Rules;
use crate::shown::{Shown, is_sensitive};
use crate::time::Moment;
use crate::verdict::{Layer, Verdict};

pub(crate) fn compare<'v>(
    legacy: &'v Value<'v>,
    function: &'v Value<'v>,
    rules: &Rules,
    findings: &mut Findings,
) -> Result<(), Verdict> {
    let mut walk = Walk {
        ignored: Matcher::new(&rules.ignore),
        unordered: Matcher::new(&rules.unordered),
        trail: Vec::new(),
        findings,
        visits_left: JSON_VISITS,
        probing: false,
        known_to_differ: HashSet::default(),
        path: String::new(),
    };
    match walk.pair(legacy, function) {
        Err(Stop::Budget) => Err(Verdict::Budget),
        // Only a probe stops at a difference.
        Ok(()) | Err(Stop::Differs) => Ok(()),
    }
}

pub(super) struct Walk<'w, 'v> {
    pub(super) ignored: Matcher<'w>,
    pub(super) unordered: Matcher<'w>,
    trail: Vec<Segment<'v>>,
    findings: &'w mut Findings,
    visits_left: u32,
    /// Only whether something differs is asked; the first difference ends it and nothing is reported.
    pub(super) probing: bool,
    /// Arrays and objects that a probe found to differ. Without it a difference far down would be searched for
    /// anew from every level above it.
    known_to_differ: HashSet<Pair<'v>, BuildHasherDefault<SipHasher13>>,
    /// Kept between reports, so that a thousand of them need one allocation.
    path: String,
}

/// Two values by identity.
type Pair<'v> = (*const Value<'v>, *const Value<'v>);

/// Why a walk ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Budget,
    Differs,
}

pub(super) type Walked<T = ()> = Result<T, Stop>;

impl<'v> Walk<'_, 'v> {
    pub(super) fn pair(&mut self, legacy: &'v Value<'v>, function: &'v Value<'v>) -> Walked {
        self.spend(1)?;
        if self.ignored.hits() {
            return Ok(());
        }
        match (legacy, function) {
            (Value::Null, Value::Null) => Ok(()),
            (Value::Bool(one), Value::Bool(other)) if one == other => Ok(()),
            (Value::Number(one), Value::Number(other)) if one == other => Ok(()),
            (Value::Number(one), Value::Number(other)) if number::are_equal(one, other) => {
                self.findings.tolerated.number_notations += 1;
                Ok(())
            }
            (Value::Text(one), Value::Text(other)) if one == other => Ok(()),
            (Value::Text(one), Value::Text(other)) => self.texts(one, other),
            (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) if self.probing => {
                self.probe(legacy, function)
            }
            (Value::Array(one), Value::Array(other)) => self.arrays(one, other),
            (Value::Object(one), Value::Object(other)) => self.objects(one, other),
            _ => {
                let kind = if legacy.type_name() == function.type_name() { Kind::Value } else { Kind::Type };
                self.report(kind, Some(legacy), Some(function), type_note(legacy, function))
            }
        }
    }

    fn probe(&mut self, legacy: &'v Value<'v>, function: &'v Value<'v>) -> Walked {
        let pair = (ptr::from_ref(legacy), ptr::from_ref(function));
        if self.known_to_differ.contains(&pair) {
            return Err(Stop::Differs);
        }
        let outcome = match (legacy, function) {
            (Value::Array(one), Value::Array(other)) => self.arrays(one, other),
            (Value::Object(one), Value::Object(other)) => self.objects(one, other),
            _ => Err(Stop::Differs),
        };
        if outcome == Err(Stop::Differs) {
            self.known_to_differ.insert(pair);
        }
        outcome
    }

    fn texts(&mut self, legacy: &'v [u8], function: &'v [u8]) -> Walked {
        let moments = Moment::parse(legacy).zip(Moment::parse(function));
        if moments.is_some_and(|(legacy, function)| legacy.is_close_to(function)) {
            self.findings.tolerated.times += 1;
            return Ok(());
        }
        let note = match moments {
            Some((legacy, function)) if legacy.is_same_instant(function) => Some(Note::SameInstant),
            _ => text_note(legacy, function),
        };
        self.report_shown(Kind::Value, note, |walk| {
            [legacy, function].map(|text| Shown::text(text, walk.findings.key))
        })
    }

    fn objects(&mut self, legacy: &'v [Member<'v>], function: &'v [Member<'v>]) -> Walked {
        let map = legacy.len().max(function.len()) > MAP_MEMBERS;
        let same_keys = legacy.len() == function.len()
            && legacy.iter().zip(function).all(|(legacy, function)| legacy.key == function.key);
        if !same_keys {
            return self.merge(&sorted(legacy), &sorted(function), map);
        }
        for (legacy, function) in legacy.iter().zip(function) {
            let segment = Segment::Member { key: &legacy.key, map };
            self.inside(segment, |walk| walk.pair(&legacy.value, &function.value))?;
        }
        Ok(())
    }

    /// Members in the order of their keys, both sides.
    fn merge(&mut self, mut legacy: &[&'v Member<'v>], mut function: &[&'v Member<'v>], map: bool) -> Walked {
        loop {
            let first = |members: &[&'v Member<'v>]| members.first().map(|member| &*member.key);
            let key = match (first(legacy), first(function)) {
                (Some(legacy), Some(function)) => legacy.min(function),
                (Some(key), None) | (None, Some(key)) => key,
                (None, None) => return Ok(()),
            };
            let (of_legacy, of_function) = (take(&mut legacy, key), take(&mut function, key));
            self.inside(Segment::Member { key, map }, |walk| walk.members(of_legacy, of_function))?;
        }
    }

    /// All members of one key: one on each side, unless it is missing or stands there twice.
    fn members(&mut self, legacy: &[&'v Member<'v>], function: &[&'v Member<'v>]) -> Walked {
        match (legacy, function) {
            ([legacy, ..], []) => self.one_sided(Kind::Missing, &legacy.value),
            ([], [function, ..]) => self.one_sided(Kind::Extra, &function.value),
            _ => {
                for (legacy, function) in legacy.iter().zip(function) {
                    self.pair(&legacy.value, &function.value)?;
                }
                if legacy.len() == function.len() || self.ignored.hits() {
                    return Ok(());
                }
                let shown = [legacy.len(), function.len()].map(|times| Shown::word(format!("{times} times")));
                self.report_shown(Kind::DuplicateKey, None, |_| shown)
            }
        }
    }

    /// A value that only one side has.
    pub(super) fn one_sided(&mut self, kind: Kind, value: &'v Value<'v>) -> Walked {
        self.spend(1)?;
        if self.ignored.hits() {
            return Ok(());
        }
        let note = match value {
            Value::Null => Some(Note::NullOrMissing),
            Value::Text(text) if text.is_empty() => Some(Note::EmptyOrMissing),
            _ => None,
        };
        let (legacy, function) =
            if kind == Kind::Missing { (Some(value), None) } else { (None, Some(value)) };
        self.report(kind, legacy, function, note)
    }

    /// Whether two values at the same place are equal under the rules; reports nothing.
    pub(super) fn are_equal(
        &mut self,
        segment: Segment<'v>,
        legacy: &'v Value<'v>,
        function: &'v Value<'v>,
    ) -> Walked<bool> {
        let tolerated = self.findings.tolerated;
        let was_probing = std::mem::replace(&mut self.probing, true);
        let outcome = self.inside(segment, |walk| walk.pair(legacy, function));
        self.probing = was_probing;
        match outcome {
            Ok(()) => Ok(true),
            Err(Stop::Differs) => {
                self.findings.tolerated = tolerated;
                Ok(false)
            }
            Err(Stop::Budget) => Err(Stop::Budget),
        }
    }

    pub(super) fn inside<T>(
        &mut self,
        segment: Segment<'v>,
        act: impl FnOnce(&mut Self) -> Walked<T>,
    ) -> Walked<T> {
        self.ignored.enter(&segment);
        self.unordered.enter(&segment);
        self.trail.push(segment);
        let outcome = act(self);
        self.trail.pop();
        self.unordered.leave();
        self.ignored.leave();
        outcome
    }

    pub(super) fn spend(&mut self, visits: u32) -> Walked {
        self.visits_left = self.visits_left.checked_sub(visits).ok_or(Stop::Budget)?;
        Ok(())
    }

    fn report(
        &mut self,
        kind: Kind,
        legacy: Option<&Value<'_>>,
        function: Option<&Value<'_>>,
        note: Option<Note>,
    ) -> Walked {
        self.report_shown(kind, note, |walk| {
            [legacy, function].map(|value| value.map_or(Shown::ABSENT, |value| walk.shown(value)))
        })
    }

    /// About two arrays as wholes.
    pub(super) fn report_arrays(&mut self, kind: Kind, sizes: [usize; 2]) -> Walked {
        self.report_shown(kind, None, |_| sizes.map(Shown::array))
    }

    fn report_shown(
        &mut self,
        kind: Kind,
        note: Option<Note>,
        shown: impl FnOnce(&Self) -> [Shown; 2],
    ) -> Walked {
        if self.probing {
            return Err(Stop::Differs);
        }
        let path = self.written_path();
        if !self.findings.count(Layer::Body, &path, kind) {
            let shown = shown(self);
            self.findings.keep(&path, kind, shown, note);
        }
        self.path = path;
        Ok(())
    }

    fn written_path(&mut self) -> String {
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        path.push_str("body:$");
        for segment in &self.trail {
            // Writing to a String does not fail.
            let _ = write_segment(&mut path, segment);
        }
        path
    }

    fn shown(&self, value: &Value<'_>) -> Shown {
        match value {
            Value::Null => Shown::NULL,
            Value::Bool(value) => Shown::boolean(*value, self.is_sensitive()),
            Value::Number(literal) => Shown::number(literal, self.is_sensitive(), self.findings.key),
            Value::Text(text) => Shown::text(text, self.findings.key),
            Value::Array(elements) => Shown::array(elements.len()),
            Value::Object(members) => Shown::object(members.len()),
        }
    }

    /// Whether a name on the way here tells of a secret.
    fn is_sensitive(&self) -> bool {
        self.trail.iter().any(|segment| matches!(segment, Segment::Member { key, .. } if is_sensitive(key)))
    }
}

impl Value<'_> {
    fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::Text(_) => "text",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }
}

fn sorted<'v>(members: &'v [Member<'v>]) -> Vec<&'v Member<'v>> {
    let mut sorted: Vec<_> = members.iter().collect();
    // Stable: of two members of one key the first stays first.
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    sorted
}

/// Takes the members of this key from the front.
fn take<'m, 'v>(members: &mut &'m [&'v Member<'v>], key: &[u8]) -> &'m [&'v Member<'v>] {
    let count = members.iter().take_while(|member| &*member.key == key).count();
    let (taken, rest) = members.split_at(count);
    *members = rest;
    taken
}

fn type_note(legacy: &Value<'_>, function: &Value<'_>) -> Option<Note> {
    match (legacy, function) {
        (Value::Text(text), Value::Number(literal)) | (Value::Number(literal), Value::Text(text)) => {
            let is_number = matches!(super::parse(text, false), Ok(Value::Number(_)));
            (is_number && number::are_equal(text.trim_ascii(), literal)).then_some(Note::NumberAsText)
        }
        (Value::Text(text), Value::Null) | (Value::Null, Value::Text(text)) if text.is_empty() => {
            Some(Note::EmptyOrMissing)
        }
        _ => None,
    }
}

fn text_note(legacy: &[u8], function: &[u8]) -> Option<Note> {
    fn visible(text: &[u8]) -> impl Iterator<Item = &u8> {
        text.iter().filter(|byte| !byte.is_ascii_whitespace())
    }
    if visible(legacy).eq(visible(function)) {
        return Some(Note::WhiteSpaceOnly);
    }
    let lower = |text| String::from_utf8_lossy(text).to_lowercase();
    (legacy.eq_ignore_ascii_case(function) || lower(legacy) == lower(function)).then_some(Note::CaseOnly)
}
