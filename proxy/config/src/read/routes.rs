//! The reading of `defaults:` and `routes:`.

use std::path::Path;
use std::time::Duration;

use starve_compare::Rules;
use starve_migration::{Percent, StickyKey};
use starve_routing::{Predicates, ValueMatch};

use crate::diagnostics::Diagnostic;
use crate::keys::{self, Shape};
use crate::plan::OperationsPlan;
use crate::read::{rewrite, sunset};
use crate::reader::{Fields, Reader};
use crate::spec::{CanarySpec, Given, RouteSpec};
use crate::values;
use crate::yaml::Node;

/// What holds for each route that does not say otherwise.
pub(super) fn defaults(reader: &mut Reader<'_>, fields: &Fields<'_>) -> (Rules, Given<Percent>) {
    let Some(fields) = inner(reader, fields, "defaults", &keys::DEFAULTS) else {
        return (Rules::default(), Given::Absent);
    };
    let percent = match inner(reader, &fields, "shadow", &keys::SHADOW_DEFAULTS) {
        Some(shadow) => reader.field(&shadow, "percent", values::percent),
        None => Given::Absent,
    };
    (compare(reader, &fields), percent)
}

pub(super) fn all(reader: &mut Reader<'_>, fields: &Fields<'_>, base: &Path) -> Vec<RouteSpec> {
    let Some(node) = fields.find("routes") else { return Vec::new() };
    reader.list(node, "routes", |reader, node| route(reader, node, base))
}

fn route(reader: &mut Reader<'_>, node: &Node, base: &Path) -> Option<RouteSpec> {
    let fields = reader.fields(node, &keys::ROUTE)?;
    let (shadow_percent, copy_writes) = shadow(reader, &fields);
    let pattern = reader.required(&fields, "match", "a route", "GET /products/{id}", values::pattern);
    let files = rewrite::files(reader, &fields, base);
    let mut changes = rewrite::changes(reader, &fields, pattern.value());
    if files.value().is_some() && changes.rewrite_function.is_none() {
        changes.rewrite_function = pattern.value().and_then(rewrite::path_in_folder);
    }
    let respond = rewrite::respond(reader, &fields, pattern.value());
    if fields.find("respond").is_some() {
        no_side(reader, &fields);
    }
    if let (Some(function), Some(files)) = (fields.key_span("function"), fields.key_span("files")) {
        let problem = Diagnostic::error(files, "a route has a function or files, not both");
        reader.report(problem.related(function, "the function").expected("one of the two"));
    }
    Some(RouteSpec {
        span: fields.span,
        pattern,
        name: reader.field(&fields, "name", values::route_name),
        when: predicates(reader, &fields),
        upstream: reader.field(&fields, "legacy", |text| Ok(text.to_owned())),
        function: reader.field(&fields, "function", |text| Ok(text.to_owned())),
        stage: reader.field(&fields, "stage", values::stage),
        shadow_percent,
        copy_writes,
        canary: canary(reader, &fields),
        mirror: mirror(reader, &fields),
        compare: compare(reader, &fields),
        fallback: fallback(reader, &fields),
        files,
        timeout: timeout(reader, &fields),
        finish_writes: on_client_abort(reader, &fields),
        changes,
        respond,
        sunset: sunset::sunset(reader, &fields),
        operations: operations(reader, &fields),
    })
}

/// A route that answers by itself asks no side.
fn no_side(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    for (key, span) in keys::OF_A_SIDE.iter().filter_map(|key| Some((key, fields.key_span(key)?))) {
        let problem = Diagnostic::error(span, format!("`respond` asks no side, so `{key}` has no meaning"));
        reader.report(problem.expected(format!("`respond` or `{key}`")));
    }
}

fn timeout(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Duration> {
    reader.field(fields, "timeout", values::duration).into_option().map(|at| at.value)
}

fn on_client_abort(reader: &mut Reader<'_>, fields: &Fields<'_>) -> bool {
    let words = [("finish", true), ("cancel", false)];
    reader
        .field(fields, "on-client-abort", |text| values::one_of(text, "what becomes of a write", &words))
        .or(true)
}

fn operations(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<OperationsPlan> {
    let words = [("graphql", OperationsPlan::GraphQl), ("json-rpc", OperationsPlan::JsonRpc)];
    let read =
        reader.field(fields, "operations", |text| values::one_of(text, "a kind of operations", &words));
    read.into_option().map(|at| at.value)
}

fn predicates(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Predicates {
    let Some(when) = inner(reader, fields, "when", &keys::WHEN) else { return Predicates::default() };
    let mut matches = |key, name: fn(&str) -> values::Parsed<String>| {
        let read = reader.named(&when, key, name, |reader, name, node| {
            let value = |text: &str| match text {
                "*" => Ok(ValueMatch::Any),
                _ => values::text(text).map(ValueMatch::Exact),
            };
            reader.scalar(node, name, value).into_option().map(|at| at.value)
        });
        let mut pairs: Vec<(String, ValueMatch)> =
            read.into_iter().filter_map(|(name, value)| Some((name.value, value?))).collect();
        // The order in the file means nothing, and equal predicates have to be equal.
        pairs.sort_by(|(a, _), (b, _)| a.cmp(b));
        pairs
    };
    Predicates { headers: matches("header", values::header_name), query: matches("query", values::text) }
}

fn shadow(reader: &mut Reader<'_>, fields: &Fields<'_>) -> (Given<Percent>, bool) {
    match inner(reader, fields, "shadow", &keys::SHADOW) {
        None => (Given::Absent, false),
        Some(shadow) => (
            reader.field(&shadow, "percent", values::percent),
            reader.field(&shadow, "writes", values::truth).or(false),
        ),
    }
}

fn canary(reader: &mut Reader<'_>, fields: &Fields<'_>) -> CanarySpec {
    // A mapping that could not be read may have held a percentage.
    let absent = if fields.find("canary").is_some() { Given::Broken } else { Given::Absent };
    match inner(reader, fields, "canary", &keys::CANARY) {
        None => CanarySpec { percent: absent, sticky: StickyKey::Own, group: None },
        Some(canary) => CanarySpec {
            percent: reader.field(&canary, "percent", values::percent),
            sticky: reader.field(&canary, "sticky", values::sticky).or(StickyKey::Own),
            group: reader.field(&canary, "group", values::route_name).into_option().map(|at| at.value),
        },
    }
}

fn mirror(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Percent {
    match inner(reader, fields, "live", &keys::LIVE) {
        None => Percent::ZERO,
        Some(live) => reader.field(&live, "mirror", values::percent).or(Percent::ZERO),
    }
}

fn compare(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Rules {
    match inner(reader, fields, "compare", &keys::COMPARE) {
        None => Rules::default(),
        Some(rules) => Rules {
            ignore: reader.field_list(&rules, "ignore", values::field_path),
            unordered: reader.field_list(&rules, "unordered", values::field_path),
            ignore_headers: reader.field_list(&rules, "ignore-headers", values::header_name),
        },
    }
}

fn fallback(reader: &mut Reader<'_>, fields: &Fields<'_>) -> bool {
    let word = |text: &str| values::one_of(text, "a side to fall back to", &[("legacy", true)]);
    reader.field(fields, "fallback", word).or(false)
}

pub(super) fn inner<'n>(
    reader: &mut Reader<'_>,
    fields: &Fields<'n>,
    key: &str,
    shape: &Shape,
) -> Option<Fields<'n>> {
    fields.find(key).and_then(|node| reader.fields(node, shape))
}
