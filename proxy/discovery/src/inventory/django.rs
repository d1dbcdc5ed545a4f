//! `manage.py show_urls` of django-extensions: dense (tabs), aligned, table, verbose, json and pretty-json. It prints
//! no methods.
//!
//! Paths come as `path()` has them (`<int:pk>`), as simplified regular expressions (`<pk>`), or, of older versions and
//! unusual expressions, as the expression itself.

use serde_json::Value;
use starve_routing::ParameterType;

use super::collector::{Collector, Place};
use super::path::{Path, Piece, kind_of_expression};
use super::{Format, Unreadable, document, flask};

pub(super) fn read(text: &str, collector: &mut Collector) -> Result<(), Unreadable> {
    if text.trim_start().starts_with('[') {
        let root = document::json(Format::Django, text)?;
        for row in root.as_array().into_iter().flatten() {
            if let Some(url) = row.get("url").and_then(Value::as_str) {
                let line = document::line_of(text, &format!("\"{url}\""));
                add(Place { line, text: url }, collector);
            }
        }
        return Ok(());
    }
    for (index, line) in text.lines().enumerate() {
        // Further lines of the verbose form are indented, heads and lines of dashes are no paths.
        if line.starts_with([' ', '\t']) {
            continue;
        }
        let line = without_colours(line);
        let url = line.split('\t').next().unwrap_or_default();
        let url = url.split(" | ").next().unwrap_or_default();
        let url = url.split("  ").next().unwrap_or_default().trim_end();
        if url.starts_with(['/', '^']) {
            add(Place { line: index + 1, text: url }, collector);
        } else if !is_head(url) {
            collector.note(Place { line: index + 1, text: url }, "is no path", true);
        }
    }
    Ok(())
}

fn is_head(text: &str) -> bool {
    let text = text.trim();
    text.is_empty() || text.eq_ignore_ascii_case("url") || text.chars().all(|c| "-+| ".contains(c))
}

fn add(place: Place<'_>, collector: &mut Collector) {
    let is_expression = place.text.contains(['\\', '(', '^', '$', '[', '+', '?']);
    let urls = if is_expression { simplified(place.text) } else { Some(vec![place.text.to_owned()]) };
    let Some(urls) = urls else {
        return collector.note(place, "is a regular expression that no pattern stands for", true);
    };
    let paths = urls.iter().map(|url| {
        let url = if url.starts_with('/') { url.clone() } else { format!("/{url}") };
        Path::split(&flask::guarded(&url), segment)
    });
    collector.add(place, &["ANY"], None, &paths.collect::<Vec<_>>());
}

fn segment(text: &str) -> Vec<Piece> {
    // `slug`, `str` and converters of one's own take what a pattern has no type for.
    flask::segment(text)
}

/// A regular expression as `<int:name>` text, for what is usual in a path: anchors, groups, classes with a
/// quantifier, escaped characters, an optional last slash. Several texts where a part is optional.
fn simplified(expression: &str) -> Option<Vec<String>> {
    let mut texts = vec![String::new()];
    let mut rest = expression;
    let mut unnamed = 0;
    while let Some(c) = rest.chars().next() {
        let (atom, length) = match c {
            '^' | '$' => (String::new(), 1),
            '<' => {
                let close = rest.find('>')?;
                (rest[..=close].to_owned(), close + 1)
            }
            '\\' => match rest[1..].chars().next()? {
                'Z' | 'A' | 'b' => (String::new(), 2),
                'd' | 'w' | 'S' => value(None, &rest[..2], &mut unnamed),
                escaped => (escaped.to_string(), 1 + escaped.len_utf8()),
            },
            '.' => value(None, ".", &mut unnamed),
            '[' => {
                let close = 2 + rest.get(2..)?.find(']')?;
                value(None, &rest[..=close], &mut unnamed)
            }
            '(' => {
                let close = closing(rest)?;
                let inner = &rest[1..close];
                if let Some(optional) = inner.strip_prefix("?:") {
                    let inner = simplified(optional)?;
                    let [inner] = inner.as_slice() else { return None };
                    (inner.clone(), close + 1)
                } else {
                    let named = inner.strip_prefix("?P<").and_then(|inner| inner.split_once('>'));
                    let (name, inner) = named.map_or((None, inner), |(name, inner)| (Some(name), inner));
                    let (text, _) = value(name, inner, &mut unnamed);
                    (text, close + 1)
                }
            }
            '|' | ')' | ']' | '*' | '+' | '?' => return None,
            _ => (c.to_string(), c.len_utf8()),
        };
        rest = &rest[length..];
        let quantifier = quantifier(rest);
        rest = &rest[quantifier.len()..];
        let is_literal = atom.chars().count() == 1;
        match quantifier {
            "" => texts.iter_mut().for_each(|text| text.push_str(&atom)),
            "?" => {
                let with: Vec<_> = texts.iter().map(|text| format!("{text}{atom}")).collect();
                texts.extend(with);
            }
            _ if is_literal => return None,
            // What repeats is a value already; `.*` takes slashes.
            _ if c == '.' => {
                unnamed += 1;
                texts.iter_mut().for_each(|text| text.push_str(&format!("<path:var{unnamed}>")));
            }
            _ => texts.iter_mut().for_each(|text| text.push_str(&atom)),
        }
        if texts.len() > 8 {
            return None;
        }
    }
    Some(texts)
}

/// A value as `path()` would declare it, and how much of the expression it was.
fn value(name: Option<&str>, expression: &str, unnamed: &mut usize) -> (String, usize) {
    let name = name.map_or_else(
        || {
            *unnamed += 1;
            format!("var{unnamed}")
        },
        str::to_owned,
    );
    let converter = match (expression, kind_of_expression(expression)) {
        (".*" | ".+", _) => "path:",
        (_, Some(ParameterType::Int)) => "int:",
        _ => "",
    };
    (format!("<{converter}{name}>"), expression.len())
}

fn quantifier(rest: &str) -> &str {
    let end = match rest.as_bytes().first() {
        Some(b'?' | b'*' | b'+') => 1,
        Some(b'{') => rest.find('}').map_or(0, |close| close + 1),
        _ => 0,
    };
    &rest[..end]
}

fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The command colours its output unless it is told not to.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, tail)| tail);
    }
    plain.push_str(rest);
    plain
}
