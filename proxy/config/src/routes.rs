//! Routes: their names, their stages' needs, their ids, and those that stand in one another's way.

use std::collections::HashMap;
use std::sync::Arc;

use starve_compare::Rules;
use starve_migration::{Percent, Policy, Stage, is_read};
use starve_routing::{ConflictKind, Entry, Methods, Pattern, Predicates, RouteTable, ValueMatch};

use crate::diagnostics::{Diagnostic, quote};
use crate::document::{Document, Span};
use crate::plan::{LEGACY, RoutePlan};
use crate::reader::Reader;
use crate::resolve::Names;
use crate::spec::{Given, RouteSpec, Spec};

/// Functions and upstreams that nobody defines.
pub(crate) fn check_names(reader: &mut Reader<'_>, routes: &[RouteSpec], names: &Names) {
    for route in routes {
        if let Some(at) = route.function.at().filter(|at| !names.functions.contains(&at.value)) {
            let problem = Diagnostic::error(at.span, format!("there is no function {}", quote(&at.value)));
            let known = names.functions.iter().map(String::as_str);
            reader.report(expect_name(problem, &at.value, known, "functions"));
        }
        if let Some(at) = route.upstream.at().filter(|at| !names.upstreams.contains(&at.value)) {
            let problem = Diagnostic::error(at.span, format!("there is no upstream {}", quote(&at.value)));
            let known = names.upstreams.iter().map(String::as_str);
            reader.report(expect_name(problem, &at.value, known, "upstreams"));
        }
    }
}

fn expect_name<'a>(
    problem: Diagnostic,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    key: &str,
) -> Diagnostic {
    let list: Vec<&str> = known.clone().take(10).collect();
    let expected = match list.len() {
        0 => format!("a name that stands under `{key}:`, where none is yet"),
        _ => format!("a name that stands under `{key}:`, such as {}", list.join(", ")),
    };
    problem.suggest_nearest(name, known).expected(expected)
}

/// What a route's stage needs and the route does not say.
pub(crate) fn check_stages(reader: &mut Reader<'_>, routes: &[RouteSpec]) {
    for route in routes {
        let Some(stage) = route.stage.at() else { continue };
        if stage.value.needs_function() && route.function.is_absent() && route.files.is_absent() {
            let message = format!("stage `{}` needs a function, and the route names none", stage.value);
            reader
                .report(Diagnostic::error(stage.span, message).expected("`function: NAME`, or stage legacy"));
        }
        if stage.value == Stage::Canary && route.canary.percent.is_absent() {
            let problem = Diagnostic::error(stage.span, "stage `canary` needs the share of users it is for");
            reader.report(problem.expected("`canary: { percent: … }` beside it"));
        }
    }
}

/// A warning for a route that copies calls but whose methods are never copied.
pub(crate) fn copies_nothing(route: &RouteSpec) -> Option<Diagnostic> {
    let stage = route.stage.at().filter(|stage| stage.value == Stage::Shadow)?;
    let Methods::These(methods) = route.pattern.value()?.methods() else { return None };
    let only_writes = !methods.iter().any(|method| is_read(method));
    (only_writes && !route.copy_writes).then(|| {
        let message =
            format!("stage `shadow` copies nothing here: {} may change something", methods.join(", "));
        Diagnostic::warning(stage.span, message)
            .expected("`shadow: { writes: true }` if the function may do it a second time")
    })
}

/// The plans of all routes, with ids that are different from one another.
pub(crate) fn plans(reader: &mut Reader<'_>, document: &Document, spec: &Spec) -> Vec<Arc<RoutePlan>> {
    let whole: Vec<(&RouteSpec, &Pattern)> =
        spec.routes.iter().filter_map(|route| Some((route, route.pattern.value()?))).collect();
    report_conflicts(reader, &whole);
    report_equal_names(reader, &whole);
    let mut uses: HashMap<String, usize> = HashMap::new();
    for (_, pattern) in whole.iter().filter(|(route, _)| route.name.is_absent()) {
        *uses.entry(pattern.to_string()).or_default() += 1;
    }
    whole
        .into_iter()
        .map(|(route, pattern)| {
            let text = pattern.to_string();
            let shared = uses.get(&text).is_some_and(|uses| *uses > 1);
            let id = match route.name.value() {
                Some(name) => name.clone(),
                None if shared && route.when != Predicates::default() => {
                    format!("{text} when {}", in_words(&route.when))
                }
                None => text,
            };
            Arc::new(plan(route, pattern, id, document, spec))
        })
        .collect()
}

fn plan(route: &RouteSpec, pattern: &Pattern, id: String, document: &Document, spec: &Spec) -> RoutePlan {
    let value = |given: &Given<Percent>| given.value().copied();
    let shadow =
        value(&route.shadow_percent).or_else(|| value(&spec.shadow_percent)).unwrap_or(Percent::HUNDRED);
    let files = route.files.value().cloned();
    // Nothing has to be tried out before a folder or an answer of the proxy's own takes the place of the monolith.
    let itself = files.is_some() || route.respond.is_some();
    let policy = Policy {
        stage: route.stage.value().copied().unwrap_or(if itself { Stage::Done } else { Stage::Legacy }),
        shadow,
        canary: value(&route.canary.percent).unwrap_or(Percent::ZERO),
        mirror: route.mirror,
        copy_writes: route.copy_writes,
    };
    RoutePlan {
        pattern: pattern.clone(),
        when: route.when.clone(),
        upstream: route.upstream.value().cloned().unwrap_or_else(|| LEGACY.to_owned()),
        function: route.function.value().cloned(),
        policy,
        sticky: route.canary.sticky.clone(),
        group: route.canary.group.clone().unwrap_or_else(|| id.clone()),
        compare: merged(&spec.compare, &route.compare),
        fallback: route.fallback,
        files,
        timeout: route.timeout,
        finish_writes: route.finish_writes,
        changes: route.changes.clone(),
        respond: route.respond.clone(),
        sunset: route.sunset.clone(),
        operations: route.operations,
        line: document.position(route.span.start).line,
        id,
    }
}

/// The defaults' rules and the route's own.
fn merged(defaults: &Rules, own: &Rules) -> Rules {
    fn both<T: Clone + PartialEq>(first: &[T], second: &[T]) -> Vec<T> {
        let mut all = first.to_vec();
        all.extend(second.iter().filter(|rule| !first.contains(rule)).cloned());
        all
    }
    Rules {
        ignore: both(&defaults.ignore, &own.ignore),
        unordered: both(&defaults.unordered, &own.unordered),
        ignore_headers: both(&defaults.ignore_headers, &own.ignore_headers),
    }
}

fn report_conflicts(reader: &mut Reader<'_>, routes: &[(&RouteSpec, &Pattern)]) {
    let entry = |(route, pattern): &(&RouteSpec, &Pattern)| Entry {
        pattern: (*pattern).clone(),
        when: route.when.clone(),
        value: (),
    };
    let Err(conflicts) = RouteTable::build(routes.iter().map(entry).collect()) else { return };
    for conflict in conflicts {
        let (first, second) = (routes[conflict.first].0, routes[conflict.second].0);
        let methods = match conflict.methods.as_slice() {
            [] => "any method".to_owned(),
            methods => methods.join(", "),
        };
        let (message, label) = match conflict.kind {
            ConflictKind::Duplicate => (format!("two routes are equal for {methods}"), "the first one"),
            ConflictKind::Unreachable => {
                (format!("the route is never reached for {methods}"), "taken by this one")
            }
        };
        let problem = Diagnostic::error(match_span(second), message).related(match_span(first), label);
        reader.report(problem.expected("routes that differ in method, host, path or `when`"));
    }
}

/// A name stands for one route, and may not be another route's `match` text either: both are what a flip,
/// a metric or a report calls the route.
fn report_equal_names(reader: &mut Reader<'_>, routes: &[(&RouteSpec, &Pattern)]) {
    let mut seen: HashMap<String, Span> = HashMap::new();
    for (route, pattern) in routes.iter().filter(|(route, _)| route.name.is_absent()) {
        seen.entry(pattern.to_string()).or_insert_with(|| match_span(route));
    }
    for name in routes.iter().filter_map(|(route, _)| route.name.at()) {
        if let Some(first) = seen.get(&name.value) {
            let message = format!("another route is called {} already", quote(&name.value));
            let problem = Diagnostic::error(name.span, message);
            reader.report(problem.related(*first, "the other route").expected("a name of its own"));
        } else {
            seen.insert(name.value.clone(), name.span);
        }
    }
}

fn match_span(route: &RouteSpec) -> Span {
    route.pattern.at().map_or(route.span, |at| at.span)
}

/// Predicates in words: what tells apart the ids of routes with the same `match`.
pub(crate) fn in_words(when: &Predicates) -> String {
    let headers = when.headers.iter().map(|pair| ("header", pair));
    let query = when.query.iter().map(|pair| ("query", pair));
    let words = headers.chain(query).map(|(kind, (name, value))| match value {
        ValueMatch::Any => format!("{kind} {name}"),
        ValueMatch::Exact(value) => format!("{kind} {name}={value}"),
    });
    words.collect::<Vec<_>>().join(", ")
}
