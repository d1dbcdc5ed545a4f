//! The edit of a flip: one word of the file changes, every other byte stays.
//!
//! It never writes a text that says anything else than the old one with that flip: the result is loaded and
//! compared before it is returned. A text enters at [`flip`].

use std::path::Path;
use std::sync::Arc;

use starve_migration::{Percent, Stage};

use crate::diagnostics::{Diagnostics, nearest};
use crate::document::{Document, Span};
use crate::load::{Loaded, load};
use crate::plan::{Plan, RoutePlan};
use crate::yaml::{self, Entry, Kind, Mapping, Node, Style};

/// Why a flip was not written.
#[derive(Debug, thiserror::Error)]
pub enum FlipError {
    /// The text as it is has errors; they come first.
    #[error("the file has errors")]
    Invalid(#[source] Diagnostics),
    /// No route has this id, name or `match` text.
    #[error("there is no route `{route}`{}", .nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    UnknownRoute { route: String, nearest: Option<String> },
    /// Several routes share this `match` text; their ids tell them apart.
    #[error("`{route}` is more than one route: {}", .ids.join("; "))]
    Ambiguous { route: String, ids: Vec<String> },
    #[error("stage `{0}` needs a function, and the route names none")]
    FunctionMissing(Stage),
    #[error("stage `canary` needs a percentage")]
    PercentMissing,
    #[error("stage `{0}` has no percentage: only shadow and canary have one")]
    PercentWithoutMeaning(Stage),
    /// The route is written in a way (an alias, for one) that a change of a word cannot flip alone.
    #[error("the route is written in a way that cannot be edited in place; change its stage by hand")]
    NotInPlace,
}

/// Changes the stage of one route, and for `shadow` and `canary` its percentage if one is given.
///
/// The route is named by its id, its name or its `match` text. Comments, order, blank lines, quotes, line ends
/// and all other bytes stay. Keys that are not there yet are added in the style of the entry.
///
/// # Errors
/// If the text has errors, the route is not known, the stage lacks something, or the edit would change
/// anything else. The file should be left alone then.
pub fn flip(text: &str, route: &str, stage: Stage, percent: Option<Percent>) -> Result<String, FlipError> {
    let loaded = loaded(text)?;
    let index = find(&loaded.plan, route)?;
    let wanted = wanted(&loaded.plan.routes[index], stage, percent)?;
    let share = ["routes", &index.to_string(), "canary", "percent"];
    if stage == Stage::Canary && percent.is_none() && !loaded.positions.is_written(&share) {
        return Err(FlipError::PercentMissing);
    }
    let mut edited = set_stage(text, index, stage).ok_or(FlipError::NotInPlace)?;
    if let Some(percent) = percent {
        let key = if stage == Stage::Canary { "canary" } else { "shadow" };
        edited = set_percent(&edited, index, key, percent).ok_or(FlipError::NotInPlace)?;
    }
    match load(&Document::new("", edited.clone()), Path::new("")) {
        Ok(new) if is_flipped(&loaded.plan, &new.plan, index, &wanted) => Ok(edited),
        _ => Err(FlipError::NotInPlace),
    }
}

fn loaded(text: &str) -> Result<Loaded, FlipError> {
    load(&Document::new("routes.yaml", text.to_owned()), Path::new("")).map_err(FlipError::Invalid)
}

fn find(plan: &Plan, route: &str) -> Result<usize, FlipError> {
    if let Some(index) = plan.routes.iter().position(|plan| plan.id == route) {
        return Ok(index);
    }
    // Somebody who types a pattern need not know its canonical form.
    let pattern = route.parse().ok();
    let same = |plan: &&Arc<RoutePlan>| Some(&plan.pattern) == pattern.as_ref();
    let ids: Vec<String> = plan.routes.iter().filter(same).map(|plan| plan.id.clone()).collect();
    match ids.as_slice() {
        [id] => plan.routes.iter().position(|plan| plan.id == *id).ok_or(FlipError::NotInPlace),
        [] => {
            let nearest = nearest(route, plan.routes.iter().map(|plan| plan.id.as_str())).map(str::to_owned);
            Err(FlipError::UnknownRoute { route: route.to_owned(), nearest })
        }
        _ => Err(FlipError::Ambiguous { route: route.to_owned(), ids }),
    }
}

/// The route as it shall be.
fn wanted(route: &RoutePlan, stage: Stage, percent: Option<Percent>) -> Result<RoutePlan, FlipError> {
    if stage.needs_function() && route.function.is_none() {
        return Err(FlipError::FunctionMissing(stage));
    }
    let mut wanted = route.clone();
    wanted.policy.stage = stage;
    match (stage, percent) {
        (_, None) => {}
        (Stage::Canary, Some(percent)) => wanted.policy.canary = percent,
        (Stage::Shadow, Some(percent)) => wanted.policy.shadow = percent,
        _ => return Err(FlipError::PercentWithoutMeaning(stage)),
    }
    Ok(wanted)
}

fn is_flipped(old: &Plan, new: &Plan, index: usize, wanted: &RoutePlan) -> bool {
    let mut expected = old.clone();
    expected.routes[index] = Arc::new(wanted.clone());
    // Added lines move the routes below, which is no change.
    for (expected, new) in expected.routes.iter_mut().zip(&new.routes) {
        Arc::make_mut(expected).line = new.line;
    }
    expected == *new
}

fn set_stage(text: &str, route: usize, stage: Stage) -> Option<String> {
    let document = Document::new("", text.to_owned());
    let root = yaml::parse(&document).ok()?.0?;
    let entry = route_mapping(&root, route)?;
    match entry.find("stage") {
        Some(found) => replace_scalar(text, &found.value, stage.as_str()),
        None => {
            let after = entry.find("function").or_else(|| entry.find("match"))?;
            insert_after(text, entry, after, "stage", Added::Word(stage.as_str()))
        }
    }
}

/// Sets `percent` below `key` (`shadow` or `canary`) of a route.
fn set_percent(text: &str, route: usize, key: &str, percent: Percent) -> Option<String> {
    let document = Document::new("", text.to_owned());
    let root = yaml::parse(&document).ok()?.0?;
    let entry = route_mapping(&root, route)?;
    let percent = percent.to_string();
    let Some(found) = entry.find(key) else {
        return insert_after(text, entry, entry.find("stage")?, key, Added::Percent(&percent));
    };
    if found.value.is_null() {
        let at = if found.value.span.start == found.value.span.end {
            // Nothing is written: the place behind the key's colon.
            let colon = found.key_span.end + text.get(found.key_span.end..)?.find(':')? + 1;
            return Some(spliced(text, Span::new(colon, colon), &format!(" {{ percent: {percent} }}")));
        } else {
            found.value.span
        };
        return Some(spliced(text, at, &format!("{{ percent: {percent} }}")));
    }
    let mapping = found.value.mapping()?;
    match (mapping.find("percent"), mapping.entries.first()) {
        (Some(found), _) => replace_scalar(text, &found.value, &percent),
        (None, None) => Some(spliced(text, found.value.span, &format!("{{ percent: {percent} }}"))),
        (None, Some(first)) => {
            let at = Span::new(first.key_span.start, first.key_span.start);
            let quote = quote_of(text, first.key_span);
            let pair = format!("{quote}percent{quote}: {percent}");
            let gap = if mapping.flow { ", ".to_owned() } else { line_break(text, at.start)? };
            Some(spliced(text, at, &format!("{pair}{gap}")))
        }
    }
}

fn route_mapping(root: &Node, index: usize) -> Option<&Mapping> {
    match &root.mapping()?.find("routes")?.value.kind {
        Kind::Sequence(items) => items.get(index)?.mapping(),
        _ => None,
    }
}

/// Replaces a scalar's text and keeps its quotes.
fn replace_scalar(text: &str, node: &Node, word: &str) -> Option<String> {
    let Kind::Scalar(scalar) = &node.kind else { return None };
    let inside = match scalar.style {
        Style::Plain => node.span,
        Style::SingleQuoted | Style::DoubleQuoted => Span::new(node.span.start + 1, node.span.end - 1),
        Style::Block => return None,
    };
    (inside.start < inside.end).then(|| spliced(text, inside, word))
}

/// A key's new value.
#[derive(Clone, Copy)]
enum Added<'a> {
    Word(&'a str),
    /// `{ percent: … }`
    Percent(&'a str),
}

/// Adds a pair behind an entry: on a line of its own in a block, behind a comma in braces.
fn insert_after(text: &str, mapping: &Mapping, after: &Entry, key: &str, added: Added<'_>) -> Option<String> {
    let end = after.value.span.end;
    let quote = if mapping.flow { quote_of(text, after.key_span) } else { "" };
    let pair = match added {
        Added::Word(word) => format!("{quote}{key}{quote}: {quote}{word}{quote}"),
        Added::Percent(percent) => format!("{quote}{key}{quote}: {{ {quote}percent{quote}: {percent} }}"),
    };
    if mapping.flow {
        return Some(spliced(text, Span::new(end, end), &format!(", {pair}")));
    }
    let first = mapping.entries.first()?.key_span.start;
    // Behind the comment that may follow the value, before the line's break.
    let line = text.get(end..)?;
    let rest = line.find('\n').map_or(line, |at| &line[..at]);
    let at = end + rest.strip_suffix('\r').unwrap_or(rest).len();
    Some(spliced(text, Span::new(at, at), &format!("{}{pair}", line_break(text, first)?)))
}

/// A line break in the text's style, and the indentation of a key that begins at `key`.
fn line_break(text: &str, key: usize) -> Option<String> {
    let before = text.get(..key)?;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(line_start..)?.trim_start_matches('\u{feff}').chars().count();
    // Where the text has no break behind this place, one before it says which kind is used.
    let after = text.get(key..)?.find('\n').map(|at| key + at).or_else(|| text.rfind('\n'));
    let ending = match after {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    };
    Some(format!("{ending}{}", " ".repeat(column)))
}

/// The quote that keys have here, if any.
fn quote_of(text: &str, key: Span) -> &'static str {
    match text.as_bytes().get(key.start) {
        Some(b'"') => "\"",
        Some(b'\'') => "'",
        _ => "",
    }
}

fn spliced(text: &str, span: Span, with: &str) -> String {
    let mut edited = text.to_owned();
    edited.replace_range(span.range(), with);
    edited
}
