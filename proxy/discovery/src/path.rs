//! A path, step by step.

use crate::kind::Kind;
use crate::trie::DEPTH_MAX;

/// Endings that tell two answers of one resource apart.
const EXTENSIONS: [&str; 4] = [".json", ".xml", ".csv", ".pdf"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// A segment as it came, without its ending.
    Word(&'a str),
    /// What belongs to the segment in front: `.json`, `:cancel`.
    Ending(&'a str),
    /// A placeholder of a template: its kind, `None` for words.
    Value(Option<Kind>),
    /// All that lies deeper.
    Rest,
}

/// The steps of a path, or of a template's text.
#[derive(Clone)]
pub(crate) struct Steps<'a> {
    rest: Option<&'a str>,
    ending: Option<&'a str>,
    depth: usize,
    template: bool,
}

impl<'a> Steps<'a> {
    pub(crate) fn of_path(path: &'a str) -> Self {
        let rest = Some(path.strip_prefix('/').unwrap_or(path));
        Self { rest, ending: None, depth: 0, template: false }
    }

    pub(crate) fn of_template(path: &'a str) -> Self {
        Self { template: true, ..Self::of_path(path) }
    }
}

impl<'a> Iterator for Steps<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        if let Some(ending) = self.ending.take() {
            return Some(Step::Ending(ending));
        }
        let rest = self.rest.take()?;
        if self.depth == DEPTH_MAX {
            return Some(Step::Rest);
        }
        self.depth += 1;
        let (segment, tail) = match rest.split_once('/') {
            Some((segment, tail)) => (segment, Some(tail)),
            None => (rest, None),
        };
        self.rest = tail;
        if self.template
            && let Some((name, ending)) = segment.strip_prefix('{').and_then(|inner| inner.split_once('}'))
        {
            self.ending = Some(ending).filter(|ending| !ending.is_empty());
            if name == "rest" {
                self.rest = None;
                return Some(Step::Rest);
            }
            return Some(Step::Value(Kind::named(name)));
        }
        let (stem, ending) = if tail.is_none() { split_ending(segment) } else { (segment, "") };
        self.ending = Some(ending).filter(|ending| !ending.is_empty());
        Some(Step::Word(stem))
    }
}

/// `7.json` is `7` and `.json`; `7:cancel` is `7` and `:cancel`.
pub(crate) fn split_ending(segment: &str) -> (&str, &str) {
    let extension = EXTENSIONS.iter().find_map(|extension| segment.strip_suffix(extension));
    let stem = extension.or_else(|| {
        let (stem, verb) = segment.rsplit_once(':')?;
        let is_verb = verb.len() > 2 && verb.bytes().all(|byte| byte.is_ascii_alphabetic());
        (is_verb && !stem.contains(':')).then_some(stem)
    });
    match stem {
        Some(stem) if !stem.is_empty() => segment.split_at(stem.len()),
        _ => (segment, ""),
    }
}
