//! The reading of `rewrite`, `request`, `response`, `respond` and `files` of a route.

use std::path::Path;

use starve_routing::{Pattern, Place, Rewrite, Scope, Segment, Template, TemplateError};

use super::routes::inner;
use crate::changes::{BodyPlan, Changes, FilesPlan, RequestChanges, RespondPlan, ResponseChanges};
use crate::diagnostics::{Diagnostic, nearest, quote};
use crate::keys;
use crate::reader::{Fields, Reader};
use crate::spec::Given;
use crate::values::{self, Parsed, Wrong};
use crate::yaml::{Kind, Node, Scalar, Style};

pub(super) fn changes(reader: &mut Reader<'_>, fields: &Fields<'_>, pattern: Option<&Pattern>) -> Changes {
    let (rewrite_legacy, rewrite_function) = rewrites(reader, fields, pattern);
    Changes {
        rewrite_legacy,
        rewrite_function,
        request: request(reader, fields, Scope { pattern, response: false }),
        response: response(reader, fields, Scope { pattern, response: true }),
    }
}

/// One target for both sides, or one for each.
fn rewrites(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    pattern: Option<&Pattern>,
) -> (Option<Rewrite>, Option<Rewrite>) {
    let Some(node) = fields.find("rewrite") else { return (None, None) };
    let target = |text: &str| Rewrite::parse(text, pattern).map_err(wrong);
    if let Kind::Scalar(_) = node.kind {
        let both = reader.scalar(node, "rewrite", target).into_option().map(|at| at.value);
        return (both.clone(), both);
    }
    let Some(sides) = reader.fields(node, &keys::REWRITE) else { return (None, None) };
    let mut one = |key| reader.field(&sides, key, target).into_option().map(|at| at.value);
    (one("legacy"), one("function"))
}

fn request(reader: &mut Reader<'_>, fields: &Fields<'_>, scope: Scope<'_>) -> RequestChanges {
    let Some(fields) = inner(reader, fields, "request", &keys::REQUEST) else {
        return RequestChanges::default();
    };
    let (set, remove) = field_changes(reader, &fields, request_field, scope);
    let (query_set, query_remove) = match inner(reader, &fields, "query", &keys::QUERY) {
        Some(query) => (
            query_values(pairs(reader, &query, "set", parameter_name, scope)),
            reader.field_list(&query, "remove", parameter_name),
        ),
        None => (Vec::new(), Vec::new()),
    };
    let method = reader.field(&fields, "method", method).into_option().map(|at| at.value);
    RequestChanges { method, set, remove, query_set, query_remove }
}

fn response(reader: &mut Reader<'_>, fields: &Fields<'_>, scope: Scope<'_>) -> ResponseChanges {
    let Some(fields) = inner(reader, fields, "response", &keys::RESPONSE) else {
        return ResponseChanges::default();
    };
    let (set, remove) = field_changes(reader, &fields, response_field, scope);
    let status = reader.field(&fields, "status", status).into_option().map(|at| at.value);
    let body = fields.find("body").and_then(|node| body(reader, node, scope, &set));
    reject_body(reader, &fields, status, body.is_some());
    ResponseChanges { status, set, remove, body }
}

pub(super) fn respond(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    pattern: Option<&Pattern>,
) -> Option<RespondPlan> {
    let fields = inner(reader, fields, "respond", &keys::RESPOND)?;
    let scope = Scope { pattern, response: false };
    let headers = pairs(reader, &fields, "headers", response_field, scope);
    let status = reader.field(&fields, "status", status).or(200);
    let body = fields.find("body").and_then(|node| body(reader, node, scope, &headers));
    reject_body(reader, &fields, Some(status), body.is_some());
    Some(RespondPlan { status, headers, body })
}

/// The folder alone, or a mapping.
pub(super) fn files(reader: &mut Reader<'_>, fields: &Fields<'_>, base: &Path) -> Given<FilesPlan> {
    let plan = |folder| FilesPlan { folder, single_page: None, dotfiles: false };
    match fields.find("files") {
        None => Given::Absent,
        Some(node) if matches!(node.kind, Kind::Scalar(_)) => {
            reader.scalar(node, "files", |text| Ok(plan(base.join(values::file(text)?))))
        }
        Some(node) => {
            let Some(inside) = reader.fields(node, &keys::FILES) else { return Given::Broken };
            let single_page = reader.field(&inside, "single-page", single_page).into_option();
            let dotfiles = reader.field(&inside, "dotfiles", values::truth).or(false);
            let folder = reader.required(&inside, "folder", "`files`", "dist/", |text| {
                Ok(FilesPlan {
                    single_page: single_page.map(|at| at.value),
                    dotfiles,
                    ..plan(base.join(values::file(text)?))
                })
            });
            match folder {
                Given::Absent => Given::Broken,
                given => given,
            }
        }
    }
}

/// What stands behind the pattern's last slash is the file's path in the folder.
pub(super) fn path_in_folder(pattern: &Pattern) -> Option<Rewrite> {
    let Some(Segment::Rest { name }) = pattern.segments().last() else { return None };
    Rewrite::parse(&format!("/{{{name}}}"), Some(pattern)).ok()
}

fn single_page(text: &str) -> Parsed<String> {
    let is_inside = !text.starts_with('/') && text.split('/').all(|name| !matches!(name, "" | "." | ".."));
    match is_inside && text.bytes().all(|byte| !byte.is_ascii_control() && byte != b'\\') {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new(format!("{} is no file inside the folder", quote(text)), "index.html")),
    }
}

/// Fields that are set and removed, none of them both.
fn field_changes(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    name: fn(&str) -> Parsed<String>,
    scope: Scope<'_>,
) -> (Vec<(String, Template)>, Vec<String>) {
    let set = pairs(reader, fields, "set", name, scope);
    let remove = reader.field_list(fields, "remove", |text| {
        let name = name(text)?;
        match set.iter().any(|(set, _)| *set == name) {
            true => Err(Wrong::new(format!("{} is set as well", quote(&name)), "`set` alone: it replaces")),
            false => Ok(name),
        }
    });
    (set, remove)
}

fn pairs(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &str,
    name: fn(&str) -> Parsed<String>,
    scope: Scope<'_>,
) -> Vec<(String, Template)> {
    let read = reader.named(fields, key, name, |reader, name, node| {
        let value = |text: &str| template(&values::text(text)?, scope);
        reader.scalar(node, name, value).into_option().map(|at| at.value)
    });
    read.into_iter().filter_map(|(name, value)| Some((name.value, value?))).collect()
}

fn query_values(set: Vec<(String, Template)>) -> Vec<(String, Template)> {
    set.into_iter().map(|(name, value)| (name, value.into_query_value())).collect()
}

/// Text, or JSON written as YAML.
fn body(
    reader: &mut Reader<'_>,
    node: &Node,
    scope: Scope<'_>,
    fields: &[(String, Template)],
) -> Option<BodyPlan> {
    let named = fields.iter().find(|(name, _)| name == "content-type");
    let named = named.and_then(|(_, value)| value.as_literal()).unwrap_or_default().to_ascii_lowercase();
    if let Kind::Scalar(_) = node.kind {
        let place = match &*named {
            kind if kind.contains("json") => Place::Json,
            kind if kind.contains("html") || kind.contains("xml") => Place::Markup,
            _ => Place::Text,
        };
        let template = reader.scalar(node, "body", |text| template(text, scope)).into_option()?.value;
        return Some(BodyPlan { template, place, content_type: "text/plain; charset=utf-8" });
    }
    let mut json = Template::default();
    push_json(reader, node, scope, &mut json)?;
    Some(BodyPlan { template: json, place: Place::Json, content_type: "application/json" })
}

fn push_json(reader: &mut Reader<'_>, node: &Node, scope: Scope<'_>, json: &mut Template) -> Option<()> {
    match &node.kind {
        _ if node.is_null() => json.push_text("null"),
        Kind::Scalar(scalar) if is_json(scalar) => json.push_text(&scalar.text),
        Kind::Scalar(_) => {
            let text = reader.scalar(node, "body", |text| template(text, scope)).into_option()?;
            json.push_json_string(&text.value);
        }
        Kind::Sequence(items) => {
            json.push_text("[");
            for (index, item) in items.iter().enumerate() {
                json.push_text(if index == 0 { "" } else { "," });
                push_json(reader, item, scope, json)?;
            }
            json.push_text("]");
        }
        Kind::Mapping(mapping) => {
            json.push_text("{");
            for (index, entry) in mapping.entries.iter().enumerate() {
                json.push_text(if index == 0 { "" } else { "," });
                json.push_json_string(&Template::literal(&*entry.key));
                json.push_text(":");
                push_json(reader, &entry.value, scope, json)?;
            }
            json.push_text("}");
        }
    }
    Some(())
}

/// Whether a scalar without quotes is a number or a truth value of JSON (RFC 8259 §3, §6).
fn is_json(scalar: &Scalar) -> bool {
    let text = &*scalar.text;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = || {
        let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let whole = whole.strip_prefix('-').unwrap_or(whole);
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        digits(whole) && (whole == "0" || !whole.starts_with('0')) && digits(fraction) && digits(exponent)
    };
    scalar.style == Style::Plain && (matches!(text, "true" | "false") || is_number())
}

fn reject_body(reader: &mut Reader<'_>, fields: &Fields<'_>, status: Option<u16>, body: bool) {
    let Some(status) = status.filter(|status| body && matches!(status, 204 | 205)) else { return };
    if let Some(span) = fields.key_span("body") {
        let problem = Diagnostic::error(span, format!("an answer with status {status} has no body"));
        reader.report(problem.expected("another status, or no `body`"));
    }
}

fn template(text: &str, scope: Scope<'_>) -> Parsed<Template> {
    Template::parse(text, scope).map_err(wrong)
}

fn wrong(error: TemplateError) -> Wrong {
    let suggestion = error
        .unknown
        .and_then(|(name, known)| nearest(&name, known.iter().map(String::as_str)).map(str::to_owned));
    Wrong { suggestion, bytes: Some(error.span), ..Wrong::new(error.message, error.expected) }
}

fn method(text: &str) -> Parsed<String> {
    const EXPECTED: &str = "a method such as GET or POST";
    match text {
        "CONNECT" | "TRACE" => Err(Wrong::new(format!("{text} cannot be asked of a side"), EXPECTED)),
        _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') => {
            Ok(text.to_owned())
        }
        _ => Err(Wrong::new(format!("{} is no method", quote(text)), EXPECTED)),
    }
}

/// What an answer's status can be replaced by. 1xx, 206 and 304 answer what the client asked for in its head.
fn status(text: &str) -> Parsed<u16> {
    let number = text.parse().ok().filter(|number| (200..600).contains(number));
    match number {
        Some(206 | 304) => Err(Wrong::new(
            format!("{text} says something about the client's own request"),
            "a status that does not, such as 200",
        )),
        Some(number) => Ok(number),
        None => Err(Wrong::new(format!("{} is no status", quote(text)), "a number from 200 to 599")),
    }
}

fn parameter_name(text: &str) -> Parsed<String> {
    match values::text(text)? {
        name if name.is_empty() => Err(Wrong::new("the query parameter has no name", "a name")),
        name => Ok(name),
    }
}

/// Fields that belong to the connection or frame the message (RFC 9110 §7.6.1, RFC 9112 §6): the proxy's own.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

fn request_field(text: &str) -> Parsed<String> {
    let name = values::header_name(text)?;
    match &*name {
        "host" => Err(Wrong::new(
            "`host` is not a field like others: it decides which site is meant",
            "`host: target` of the upstream, or another upstream",
        )),
        "expect" | "http2-settings" | "x-starve-shadow" => Err(own(&name)),
        _ => not_framing(name),
    }
}

fn response_field(text: &str) -> Parsed<String> {
    not_framing(values::header_name(text)?)
}

fn not_framing(name: String) -> Parsed<String> {
    if FRAMING.contains(&&*name) { Err(own(&name)) } else { Ok(name) }
}

fn own(name: &str) -> Wrong {
    let message =
        format!("{} is the proxy's own business: it frames messages or steers connections", quote(name));
    Wrong::new(message, "a field that says something of the content")
}
