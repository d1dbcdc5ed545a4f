//! The actuator's `/mappings` of Spring Boot 2 and later: `contexts.*.mappings.dispatcherServlets` (servlet) and
//! `dispatcherHandlers` (reactive).

use serde_json::Value;

use super::collector::{Collector, Place};
use super::path::{Path, Piece, kind_of_expression};
use super::{Format, Unreadable, document};

pub(super) fn read(text: &str, collector: &mut Collector) -> Result<(), Unreadable> {
    let root = document::json(Format::Spring, text)?;
    let Some(contexts) = root.get("contexts").and_then(Value::as_object) else {
        return Err(Format::Spring.unreadable(0, "there is no `contexts` object in it"));
    };
    for context in contexts.values() {
        let Some(mappings) = context.get("mappings").and_then(Value::as_object) else { continue };
        for kind in ["dispatcherServlets", "dispatcherHandlers"] {
            let dispatchers = mappings.get(kind).and_then(Value::as_object).into_iter().flatten();
            for row in dispatchers.filter_map(|(_, rows)| rows.as_array()).flatten() {
                read_row(text, row, collector);
            }
        }
    }
    Ok(())
}

fn read_row(text: &str, row: &Value, collector: &mut Collector) {
    let string = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default();
    let (handler, predicate) = (string("handler"), string("predicate"));
    let class = row.pointer("/details/handlerMethod/className").and_then(Value::as_str).unwrap_or_default();
    if is_own(handler, class) {
        return collector.own_row();
    }
    let conditions = row.pointer("/details/requestMappingConditions");
    let list = |key: &str| -> Vec<&str> {
        let list = conditions.and_then(|conditions| conditions.get(key)).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let (methods, patterns) = match list("patterns") {
        patterns if !patterns.is_empty() => (list("methods"), patterns),
        _ => from_predicate(predicate),
    };
    let shown = if predicate.is_empty() { handler } else { predicate };
    if patterns.is_empty() {
        let place = Place { line: document::line_of(text, shown), text: shown };
        return collector.note(place, "names no path", true);
    }
    for pattern in patterns {
        let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("/{pattern}") };
        let place = Place { line: document::line_of(text, &pattern), text: &pattern };
        collector.add(place, &methods, None, &[Path::split(&guarded(&pattern), segment)]);
    }
}

/// Rows of the actuator and the page for errors, which no client asks for.
fn is_own(handler: &str, class: &str) -> bool {
    let own = |text: &str| {
        text.starts_with("org.springframework.boot.") || text.contains(" org.springframework.boot.")
    };
    handler.starts_with("Actuator ") || own(handler) || own(class)
}

/// What a predicate says where there are no details: `{GET [/a || /b], produces [..]}`, `{[/a],methods=[GET]}`,
/// `(GET && /a)`, `/webjars/**`.
fn from_predicate(predicate: &str) -> (Vec<&str>, Vec<&str>) {
    const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
    let mut methods = Vec::new();
    let mut paths = Vec::new();
    // Braces around the whole, not those of a parameter.
    let inner = predicate.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(predicate);
    let inner = inner.split(", produces ").next().unwrap_or_default();
    let inner = inner.split(", consumes ").next().unwrap_or_default();
    // Expressions of parameters may hold what separates words outside of them.
    let mut depth = 0_usize;
    let separates = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && (c.is_whitespace() || "[](),=".contains(c))
    };
    for word in inner.split(separates) {
        if METHODS.contains(&word) {
            methods.push(word);
        } else if word.starts_with('/') {
            paths.push(word);
        }
    }
    (methods, paths)
}

/// A slash inside a parameter's expression is no end of a segment.
fn guarded(pattern: &str) -> String {
    let mut depth = 0_usize;
    let guard = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == '/' && depth > 0 { '\u{1}' } else { c }
    };
    pattern.chars().map(guard).collect()
}

/// `{name}`, `{name:expression}`, `{*rest}`, `*`, `**`, `?`.
fn segment(text: &str) -> Vec<Piece> {
    if text == "**" {
        return vec![Piece::Rest("rest".to_owned())];
    }
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (piece, length) = match c {
            '{' => match closing(rest) {
                Some(close) => (Some(parameter(&rest[1..close])), close + 1),
                None => (None, 1),
            },
            '*' | '?' => (Some(Piece::value("any")), rest.len() - rest.trim_start_matches(['*', '?']).len()),
            _ => (None, c.len_utf8()),
        };
        match piece {
            Some(piece) => {
                if !literal.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut literal)));
                }
                pieces.push(piece);
            }
            None => literal.push(c),
        }
        rest = &rest[length..];
    }
    if !literal.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(literal));
    }
    pieces
}

fn parameter(inner: &str) -> Piece {
    if let Some(name) = inner.strip_prefix('*') {
        return Piece::Rest(name.to_owned());
    }
    match inner.split_once(':') {
        None => Piece::value(inner),
        // `.+` and `.*` take slashes only where the path was matched as a whole, as the older matcher does.
        Some((name, ".+" | ".*")) => Piece::Rest(name.to_owned()),
        Some((name, expression)) => {
            Piece::Value { name: name.to_owned(), kind: kind_of_expression(expression) }
        }
    }
}

/// The brace that closes the first one; expressions have braces of their own.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}
