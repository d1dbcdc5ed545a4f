//! `proxies.json` of Azure Functions Proxies: `proxies.*.matchCondition.{route,methods}`.

use serde_json::{Map, Value};

use super::collector::{Collector, Place};
use super::path::{Path, Piece, without_optional};
use super::{Format, Unreadable, document};

/// One proxy of the file.
#[derive(Debug)]
pub(super) struct Proxy<'a> {
    pub(super) name: &'a str,
    pub(super) line: usize,
    pub(super) definition: &'a Map<String, Value>,
    pub(super) route: &'a str,
    /// Empty for all.
    pub(super) methods: Vec<&'a str>,
    pub(super) disabled: bool,
}

pub(super) fn read(text: &str, collector: &mut Collector) -> Result<(), Unreadable> {
    let root = document::json(Format::Azure, text)?;
    for proxy in proxies(text, &root)? {
        match proxy {
            Err((name, message)) => {
                collector.note(Place { line: line_of(text, name), text: name }, message, true)
            }
            Ok(proxy) if proxy.disabled => {
                let place = Place { line: proxy.line, text: proxy.name };
                collector.note(place, "is disabled: it answers 404", true);
            }
            Ok(proxy) => {
                let place = Place { line: proxy.line, text: proxy.route };
                for path in paths(proxy.route) {
                    collector.add(place, &proxy.methods, None, &[path]);
                }
            }
        }
    }
    Ok(())
}

type Found<'a> = Result<Proxy<'a>, (&'a str, &'static str)>;

pub(super) fn proxies<'a>(text: &str, root: &'a Value) -> Result<Vec<Found<'a>>, Unreadable> {
    let Some(proxies) = root.get("proxies").and_then(Value::as_object) else {
        return Err(Format::Azure.unreadable(0, "there is no `proxies` object in it"));
    };
    Ok(proxies.iter().map(|(name, definition)| proxy(text, name, definition)).collect())
}

fn proxy<'a>(text: &str, name: &'a str, definition: &'a Value) -> Found<'a> {
    let Some(definition) = definition.as_object() else { return Err((name, "is no object")) };
    let condition = definition.get("matchCondition").and_then(Value::as_object);
    let Some(route) = condition.and_then(|condition| condition.get("route")).and_then(Value::as_str) else {
        return Err((name, "has no `matchCondition.route`"));
    };
    let methods = condition.and_then(|condition| condition.get("methods")).and_then(Value::as_array);
    let methods = methods.into_iter().flatten().filter_map(Value::as_str).collect();
    let disabled = definition.get("disabled").and_then(Value::as_bool).unwrap_or(false);
    Ok(Proxy { name, line: line_of(text, name), definition, route, methods, disabled })
}

fn line_of(text: &str, name: &str) -> usize {
    document::line_of(text, &format!("\"{name}\""))
}

/// `{name}`, `{name:constraint}`, `{name?}`, a last `{*rest}`.
pub(super) fn paths(route: &str) -> Vec<Path> {
    let route = if route.starts_with('/') { route.to_owned() } else { format!("/{route}") };
    without_optional(&route).iter().map(|route| Path::split(route, segment)).collect()
}

fn segment(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((inner, tail)) = after.split_once('}') else { break };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(parameter(inner));
        rest = tail;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    pieces
}

fn parameter(inner: &str) -> Piece {
    use starve_routing::ParameterType;
    if let Some(name) = inner.strip_prefix('*') {
        return Piece::Rest(name.trim_start_matches('*').to_owned());
    }
    let (name, constraint) = inner.split_once(':').unwrap_or((inner, ""));
    let kind = match constraint {
        "int" | "long" => Some(ParameterType::Int),
        "guid" => Some(ParameterType::Uuid),
        _ => None,
    };
    Piece::Value { name: name.to_owned(), kind }
}
