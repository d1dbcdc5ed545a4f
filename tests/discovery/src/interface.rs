//! An interface description, as far as traffic can be made up after it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// One endpoint: a method and a path with parameters.
pub(crate) struct Endpoint {
    pub(crate) method: String,
    pub(crate) segments: Vec<Segment>,
}

pub(crate) enum Segment {
    Word(String),
    /// A parameter with the literal text around it.
    Value {
        before: String,
        parameter: Parameter,
        after: String,
    },
}

#[derive(Clone, Default)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// The segment in front of it.
    pub(crate) of: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) choices: Vec<String>,
    pub(crate) example: Option<String>,
    /// What the description says of it, in small letters.
    pub(crate) text: String,
}

impl Endpoint {
    /// The path with `{}` for every value; endings that tell answers apart stay.
    pub(crate) fn shape(&self) -> String {
        let segments = self.segments.iter().map(|segment| match segment {
            Segment::Word(word) => format!("/{word}"),
            Segment::Value { before, after, .. } => {
                let ending = if before.is_empty() { ending(after) } else { "" };
                format!("/{{}}{ending}")
            }
        });
        format!("{} {}", self.method, segments.collect::<String>())
    }
}

/// What is left of the text behind a parameter in the shape of a path.
pub(crate) fn ending(after: &str) -> &str {
    let known = [".json", ".xml", ".csv", ".pdf"].contains(&after);
    let verb =
        after.strip_prefix(':').is_some_and(|verb| verb.bytes().all(|byte| byte.is_ascii_alphabetic()));
    if known || verb { after } else { "" }
}

/// OpenAPI 2 or 3, as JSON.
pub(crate) fn read(text: &str) -> Result<Vec<Endpoint>> {
    let document: Value = serde_json::from_str(text).context("no JSON")?;
    let Some(paths) = document["paths"].as_object() else { bail!("no `paths`: is it an OpenAPI document?") };
    let base = base(&document);
    let mut endpoints = Vec::new();
    for (path, item) in paths {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        for method in METHODS {
            let operation = &item[method];
            if operation.is_null() && !(item["$ref"].is_string() && method == "get") {
                continue;
            }
            let parameters = parameters(&document, &[&item["parameters"], &operation["parameters"]]);
            let segments = segments(&format!("{base}{path}"), &parameters);
            endpoints.push(Endpoint { method: method.to_uppercase(), segments });
        }
    }
    Ok(endpoints)
}

/// The path in front of all paths.
fn base(document: &Value) -> String {
    let base = match document["basePath"].as_str() {
        Some(base) => base,
        None => {
            let url = document["servers"][0]["url"].as_str().unwrap_or_default();
            let path = url.split_once("://").map_or(url, |(_, rest)| rest);
            path.find('/').map_or("", |at| &path[at..])
        }
    };
    if base.contains('{') { String::new() } else { base.trim_end_matches('/').to_owned() }
}

fn parameters(document: &Value, lists: &[&Value]) -> BTreeMap<String, Parameter> {
    let mut found = BTreeMap::new();
    for one in lists.iter().filter_map(|list| list.as_array()).flatten() {
        let one = resolve(document, one);
        if one["in"] != "path" {
            continue;
        }
        let schema = if one["schema"].is_object() { resolve(document, &one["schema"]) } else { one };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let plain = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let choices = schema["enum"].as_array().into_iter().flatten().filter_map(plain).collect();
        let parameter = Parameter {
            name: text(&one["name"]),
            of: String::new(),
            kind: text(&schema["type"]),
            format: text(&schema["format"]),
            choices,
            example: plain(&one["example"]).or_else(|| plain(&schema["example"])),
            text: text(&one["description"]).to_lowercase(),
        };
        found.insert(parameter.name.clone(), parameter);
    }
    found
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn segments(path: &str, parameters: &BTreeMap<String, Parameter>) -> Vec<Segment> {
    let mut of = String::new();
    let segment = |text: &str| {
        let Some((before, rest)) = text.split_once('{') else {
            of = text.to_owned();
            let path = format!("/{text}");
            let word = starve_routing::normalise_path(&path).map_or(text.into(), |path| path[1..].to_owned());
            return Segment::Word(word);
        };
        let (name, after) = rest.split_once('}').unwrap_or((rest, ""));
        let parameter = parameters.get(name).cloned().unwrap_or_default();
        let parameter = Parameter { name: name.to_owned(), of: of.clone(), ..parameter };
        Segment::Value { before: before.to_owned(), parameter, after: after.to_owned() }
    };
    path.trim_start_matches('/').split('/').map(segment).collect()
}
