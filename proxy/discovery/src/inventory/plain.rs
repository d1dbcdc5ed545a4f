//! `METHOD /path`, one a line; `#` begins a comment. A line without a method takes any.
//!
//! Paths are spelled as in routes.yaml; the spellings of other routers (`:id`, `<int:id>`, `*`, `{rest...}`) are
//! understood as well.

use starve_routing::Pattern;

use super::collector::{Collector, Place};
use super::path::{Path, Piece};
use super::{Unreadable, flask, openapi, rails};

pub(super) fn read(text: &str, collector: &mut Collector) -> Result<(), Unreadable> {
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let end = line.find(" #").or_else(|| line.find("\t#")).unwrap_or(line.len());
        let line_text = line[..end].trim_end();
        if line_text.is_empty() || line_text.starts_with('#') {
            continue;
        }
        read_line(Place { line: index + 1, text: line_text }, collector);
    }
    Ok(())
}

fn read_line(place: Place<'_>, collector: &mut Collector) {
    let mut words = place.text.split_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    let (methods, target) = match second {
        _ if is_target(first) => ("*", first),
        Some(target) if is_target(target) => (first, target),
        _ => return collector.note(place, "is not `METHOD /path`", true),
    };
    let (host, path) = split_host(target);
    let methods: Vec<&str> = methods.split([',', '|']).collect();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    // `:id` and `*path` could be literal text as well, and are not meant so.
    let is_foreign = path.split('/').any(|segment| segment.starts_with([':', '*']));
    let own = if is_foreign { None } else { format!("GET {path}").parse::<Pattern>().ok() };
    let spelled = own.map_or_else(|| Path::split(path, any_segment), |pattern| own_path(&pattern));
    collector.add(place, &methods, host, &[spelled]);
}

fn is_target(word: &str) -> bool {
    word.starts_with('/') || word.starts_with("http://") || word.starts_with("https://")
}

fn split_host(target: &str) -> (Option<&str>, &str) {
    let rest = ["http://", "https://", "//"].iter().find_map(|start| target.strip_prefix(start));
    match rest.map(|rest| rest.split_at(rest.find('/').unwrap_or(rest.len()))) {
        None => (None, target),
        Some((host, "")) => (Some(host), "/"),
        Some((host, path)) => (Some(host), path),
    }
}

/// A path in the spelling of routes.yaml, types and all.
fn own_path(pattern: &Pattern) -> Path {
    use starve_routing::Segment;
    let segments = pattern.segments().iter().map(|segment| match segment {
        Segment::Literal(text) => vec![Piece::Text(text.clone())],
        Segment::Rest { name } => vec![Piece::Rest(name.clone())],
        Segment::Parameter(parameter) => {
            let value = Piece::Value { name: parameter.name.clone(), kind: parameter.kind };
            let around =
                [Piece::Text(parameter.prefix.clone()), value, Piece::Text(parameter.suffix.clone())];
            around.into_iter().filter(|piece| *piece != Piece::Text(String::new())).collect()
        }
    });
    Path::new(segments.collect())
}

fn any_segment(text: &str) -> Vec<Piece> {
    match text {
        "*" => return vec![Piece::value("any")],
        "**" => return vec![Piece::Rest("rest".to_owned())],
        _ => {}
    }
    let braced = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}'));
    if let Some(inner) = braced.filter(|inner| !inner.contains(['{', '}'])) {
        if let Some(name) = inner.strip_suffix("...").or_else(|| inner.strip_prefix('*')) {
            return vec![Piece::Rest(name.trim_start_matches('*').to_owned())];
        }
        return vec![Piece::value(inner.split(':').next().unwrap_or(inner).trim_end_matches('?'))];
    }
    if text.contains('<') {
        return flask::segment(text);
    }
    if text.contains([':', '*']) {
        return rails::segment(text);
    }
    openapi::braces(text)
}
