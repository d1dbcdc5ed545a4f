//! OpenAPI 3.x and Swagger 2 (spec.openapis.org): `paths`, below the path of `servers` or `basePath`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::collector::{Collector, Place};
use super::path::{Path, Piece};
use super::{Format, Unreadable, document};

/// The fixed fields of a path item that are operations; all else is parameters, descriptions and extensions.
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];
/// `$ref`s that lead to `$ref`s.
const REFERENCES_MAX: usize = 16;

pub(super) fn read(text: &str, collector: &mut Collector) -> Result<(), Unreadable> {
    let root = document::json_or_yaml(Format::OpenApi, text)?;
    let unreadable = |message: &str| Format::OpenApi.unreadable(0, message);
    let Some(root_map) = root.as_object() else { return Err(unreadable("the document is no object")) };
    let is_swagger = root_map.contains_key("swagger");
    if !is_swagger && !root_map.contains_key("openapi") {
        return Err(unreadable("the document has neither `openapi:` nor `swagger:` at its top"));
    }
    let paths = match root_map.get("paths") {
        Some(Value::Object(paths)) => paths,
        Some(_) => return Err(unreadable("`paths` is no object")),
        None => return Err(unreadable("the document has no `paths`")),
    };
    let lines = lines_of_keys(text);
    let reader = Reader { root: &root, text, prefix: own_prefix(collector, root_map, is_swagger) };
    for (path, item) in paths {
        let line = lines.get(path.as_str()).copied().unwrap_or(0);
        if path.starts_with("x-") {
            continue;
        }
        reader.path_item(Place { line, text: path }, path, item, collector);
    }
    Ok(())
}

struct Reader<'a> {
    root: &'a Value,
    text: &'a str,
    /// In front of all paths whose item has no `servers` of its own.
    prefix: String,
}

impl Reader<'_> {
    fn path_item(&self, place: Place<'_>, path: &str, item: &Value, collector: &mut Collector) {
        if !path.starts_with('/') {
            return collector.note(place, "does not begin with a slash", true);
        }
        let item = match self.resolve(item) {
            Ok(item) => item,
            Err(Broken { reference, message }) => {
                let line = document::line_of(self.text, &reference);
                let text = format!("{path} → $ref {reference}");
                return collector.note(Place { line, text: &text }, message, true);
            }
        };
        // Only where the user gave no prefix do the document's own servers count.
        let own = collector.prefix().is_none().then(|| server_path(item)).flatten();
        for method in METHODS {
            let Some(operation) = item.get(method) else { continue };
            if !operation.is_object() {
                let text = format!("{path} → {method}");
                collector.note(Place { text: &text, ..place }, "is no operation but something else", true);
                continue;
            }
            let of_operation =
                collector.prefix().is_none().then(|| operation.as_object().and_then(server_path));
            let prefix =
                of_operation.flatten().or_else(|| own.clone()).unwrap_or_else(|| self.prefix.clone());
            let whole = format!("{prefix}{path}");
            collector.add(place, &[method], None, &[Path::split(&whole, braces)]);
        }
    }

    /// Follows `$ref`s within the document.
    fn resolve<'a>(&'a self, item: &'a Value) -> Result<&'a Map<String, Value>, Broken> {
        let mut item = item;
        for _ in 0..REFERENCES_MAX {
            let Some(map) = item.as_object() else {
                return Err(Broken {
                    reference: String::new(),
                    message: "is no path item but something else",
                });
            };
            let Some(reference) = map.get("$ref").and_then(Value::as_str) else { return Ok(map) };
            let broken = |message| Broken { reference: reference.to_owned(), message };
            let Some(pointer) = reference.strip_prefix('#') else {
                return Err(broken("leads to another file; bundle the description into one file first"));
            };
            item = self
                .root
                .pointer(&percent_decoded(pointer))
                .ok_or_else(|| broken("leads to nothing in this document"))?;
        }
        Err(Broken { reference: String::new(), message: "refers to itself" })
    }
}

struct Broken {
    reference: String,
    message: &'static str,
}

fn own_prefix(collector: &mut Collector, root: &Map<String, Value>, is_swagger: bool) -> String {
    if collector.prefix().is_some() {
        return String::new();
    }
    if is_swagger {
        let base = root.get("basePath").and_then(Value::as_str).unwrap_or("");
        return base.trim_end_matches('/').to_owned();
    }
    let prefix = server_path(root).unwrap_or_default();
    let others = root.get("servers").and_then(Value::as_array).into_iter().flatten().skip(1);
    let differs = others.filter_map(path_of_server).find(|path| *path != prefix);
    if let Some(other) = differs {
        let message =
            format!("the first of them is taken (`{prefix}`), not `{other}`; --prefix says otherwise");
        collector.note(Place { line: 0, text: "servers" }, message, false);
    }
    prefix
}

/// The path of the first server of a document, path item or operation.
fn server_path(holder: &Map<String, Value>) -> Option<String> {
    path_of_server(holder.get("servers")?.as_array()?.first()?)
}

fn path_of_server(server: &Value) -> Option<String> {
    let mut url = server.get("url")?.as_str()?.to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
        if let Some(default) = variable.get("default").and_then(Value::as_str) {
            url = url.replace(&format!("{{{name}}}"), default);
        }
    }
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => url.as_str(),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    // A relative address is relative to where the document lies, which nobody knows here.
    Some(if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

/// `{name}` anywhere in a segment.
pub(super) fn braces(segment: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else { break };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::value(name));
        rest = tail;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    pieces
}

/// A reference is an address: `%7B` stands for a brace in it (RFC 6901 section 6).
fn percent_decoded(pointer: &str) -> String {
    let mut bytes = Vec::with_capacity(pointer.len());
    let mut rest = pointer.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Lines that begin with a key that is a path.
fn lines_of_keys(text: &str) -> HashMap<&str, usize> {
    let mut lines = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        let key = match line.chars().next() {
            Some(quote @ ('"' | '\'')) => line[1..].split(quote).next(),
            Some('/') => line
                .find(": ")
                .or_else(|| line.trim_end().strip_suffix(':').map(str::len))
                .map(|at| &line[..at]),
            _ => None,
        };
        if let Some(key) = key.filter(|key| key.starts_with('/')) {
            lines.entry(key).or_insert(index + 1);
        }
    }
    lines
}
