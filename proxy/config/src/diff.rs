//! What changes from one plan to another: for `starve diff`, the log line of a reload, and the question
//! whether a restart is needed.
//!
//! It compares what plans say, never where their text stands.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use starve_compare::{FieldPath, Rules};
use starve_migration::Stage;

use crate::changes::Changes;
use crate::plan::{LimitsPlan, Plan, RoutePlan};
use crate::routes::in_words;

/// The difference of two plans. Routes are known by their ids, in the order of their files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlanDiff {
    pub routes: NameDiff,
    /// What changed in each of `routes.changed`.
    pub changes: Vec<RouteChange>,
    /// The stages that routes leave and enter, for routes in both plans.
    pub stages: Vec<StageChange>,
    pub functions: NameDiff,
    pub upstreams: NameDiff,
    /// Keys under `limits` that changed.
    pub limits: Vec<&'static str>,
    /// Settings that changed and take effect only after a restart.
    pub restart: Vec<&'static str>,
}

/// Which names came, went, changed and stayed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NameDiff {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
    pub unchanged: Vec<String>,
}

/// A route that says something else than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteChange {
    pub route: String,
    pub settings: Vec<SettingChange>,
}

/// One setting, in the words of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingChange {
    pub key: &'static str,
    pub from: String,
    pub to: String,
}

/// A flip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageChange {
    pub route: String,
    #[serde(serialize_with = "as_word")]
    pub from: Stage,
    #[serde(serialize_with = "as_word")]
    pub to: Stage,
}

/// What a reload from `old` to `new` would change.
pub fn diff(old: &Plan, new: &Plan) -> PlanDiff {
    let by_id = |plan: &Plan| -> HashMap<String, Arc<RoutePlan>> {
        plan.routes.iter().map(|route| (route.id.clone(), Arc::clone(route))).collect()
    };
    let before = by_id(old);
    let both: Vec<(&RoutePlan, &RoutePlan)> =
        new.routes.iter().filter_map(|route| Some((&**before.get(&route.id)?, &**route))).collect();
    let changes: Vec<RouteChange> = both
        .iter()
        .map(|(from, to)| RouteChange { route: to.id.clone(), settings: settings(from, to) })
        .filter(|change| !change.settings.is_empty())
        .collect();
    let stages = both
        .iter()
        .filter(|(from, to)| from.policy.stage != to.policy.stage)
        .map(|(from, to)| StageChange { route: to.id.clone(), from: from.policy.stage, to: to.policy.stage })
        .collect();
    PlanDiff {
        routes: route_names(old, new, &before),
        changes,
        stages,
        functions: names(&old.functions, &new.functions),
        upstreams: names(&old.upstreams, &new.upstreams),
        limits: limits(&old.limits, &new.limits),
        restart: restart(old, new),
    }
}

impl PlanDiff {
    /// Whether both plans say the same.
    pub fn is_empty(&self) -> bool {
        [&self.routes, &self.functions, &self.upstreams].iter().all(|names| names.is_empty())
            && self.limits.is_empty()
            && self.restart.is_empty()
    }
}

impl NameDiff {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    fn lines(&self, what: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sign, names) in [('-', &self.removed), ('+', &self.added), ('~', &self.changed)] {
            for name in names {
                writeln!(f, "{sign} {what} {name}")?;
            }
        }
        Ok(())
    }
}

/// One line for each change; nothing for equal plans.
impl fmt::Display for PlanDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let came_and_went = NameDiff { changed: Vec::new(), ..self.routes.clone() };
        came_and_went.lines("route", f)?;
        for RouteChange { route, settings } in &self.changes {
            for SettingChange { key, from, to } in settings {
                writeln!(f, "~ route {route}: {key} {from} -> {to}")?;
            }
        }
        self.functions.lines("function", f)?;
        self.upstreams.lines("upstream", f)?;
        for key in &self.limits {
            writeln!(f, "~ limits: {key}")?;
        }
        for key in &self.restart {
            writeln!(f, "! {key}: takes effect after a restart")?;
        }
        Ok(())
    }
}

fn as_word<S: serde::Serializer>(stage: &Stage, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(stage.as_str())
}

fn route_names(old: &Plan, new: &Plan, before: &HashMap<String, Arc<RoutePlan>>) -> NameDiff {
    let mut names = NameDiff::default();
    for route in &new.routes {
        let list = match before.get(&route.id) {
            None => &mut names.added,
            Some(old) if old.says_the_same(route) => &mut names.unchanged,
            Some(_) => &mut names.changed,
        };
        list.push(route.id.clone());
    }
    let removed = old.routes.iter().filter(|route| new.route(&route.id).is_none());
    names.removed = removed.map(|route| route.id.clone()).collect();
    names
}

fn names<T: PartialEq>(old: &BTreeMap<String, T>, new: &BTreeMap<String, T>) -> NameDiff {
    let mut names = NameDiff::default();
    for (name, plan) in new {
        let list = match old.get(name) {
            None => &mut names.added,
            Some(old) if old == plan => &mut names.unchanged,
            Some(_) => &mut names.changed,
        };
        list.push(name.clone());
    }
    names.removed = old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
    names
}

/// The settings of a route that differ. Taken apart without `..`, so that a new one cannot be forgotten.
fn settings(old: &RoutePlan, new: &RoutePlan) -> Vec<SettingChange> {
    let RoutePlan {
        id: _,
        line: _,
        pattern,
        when,
        upstream,
        function,
        policy,
        sticky,
        group,
        compare,
        fallback,
        files,
        timeout,
        finish_writes,
        changes: Changes { rewrite_legacy, rewrite_function, request, response },
        respond,
        sunset,
        operations,
    } = old;
    let name = |function: &Option<String>| or_none(function.clone().unwrap_or_default());
    let answer = |fallback: bool| if fallback { "legacy" } else { "none" };
    let mut changes = Vec::new();
    let mut add = |key, from: String, to: String| {
        if from != to {
            changes.push(SettingChange { key, from, to });
        }
    };
    add("stage", policy.stage.to_string(), new.policy.stage.to_string());
    add("shadow.percent", policy.shadow.to_string(), new.policy.shadow.to_string());
    add("shadow.writes", policy.copy_writes.to_string(), new.policy.copy_writes.to_string());
    add("canary.percent", policy.canary.to_string(), new.policy.canary.to_string());
    add("canary.sticky", sticky.to_string(), new.sticky.to_string());
    add("canary.group", group.clone(), new.group.clone());
    add("live.mirror", policy.mirror.to_string(), new.policy.mirror.to_string());
    add("function", name(function), name(&new.function));
    add("legacy", upstream.clone(), new.upstream.clone());
    add("match", pattern.to_string(), new.pattern.to_string());
    add("fallback", answer(*fallback).to_owned(), answer(new.fallback).to_owned());
    add("files", words(files.as_ref()), words(new.files.as_ref()));
    let wait = |timeout: Option<Duration>| timeout.map_or("none".to_owned(), |wait| format!("{wait:?}"));
    add("timeout", wait(*timeout), wait(new.timeout));
    let abort = |finish: bool| if finish { "finish" } else { "cancel" }.to_owned();
    add("on-client-abort", abort(*finish_writes), abort(new.finish_writes));
    add("rewrite.legacy", words(rewrite_legacy.as_ref()), words(new.changes.rewrite_legacy.as_ref()));
    add("rewrite.function", words(rewrite_function.as_ref()), words(new.changes.rewrite_function.as_ref()));
    add("request", or_none(request.to_string()), named(request, &new.changes.request));
    add("response", or_none(response.to_string()), named(response, &new.changes.response));
    add(
        "respond",
        words(respond.as_ref()),
        match (respond, &new.respond) {
            (Some(old), Some(new)) => named(old, new),
            (_, new) => words(new.as_ref()),
        },
    );
    add("sunset", words(sunset.as_ref()), words(new.sunset.as_ref()));
    add("operations", words(operations.as_ref()), words(new.operations.as_ref()));
    add("when", or_none(in_words(when)), or_none(in_words(&new.when)));
    let (before, now) = (rules(compare), rules(&new.compare));
    for ((key, from), (_, to)) in before.into_iter().zip(now) {
        add(key, or_none(from), or_none(to));
    }
    changes
}

fn rules(rules: &Rules) -> [(&'static str, String); 3] {
    let Rules { ignore, unordered, ignore_headers } = rules;
    let list = |paths: &[FieldPath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    [
        ("compare.ignore", list(ignore)),
        ("compare.unordered", list(unordered)),
        ("compare.ignore-headers", ignore_headers.join(", ")),
    ]
}

fn words(setting: Option<&impl fmt::Display>) -> String {
    setting.map_or_else(|| "none".to_owned(), ToString::to_string)
}

/// The new words of something that shows its names alone: a change of values is said.
fn named<T: fmt::Display + PartialEq>(old: &T, new: &T) -> String {
    let text = or_none(new.to_string());
    if old != new && old.to_string() == new.to_string() { format!("{text} (other values)") } else { text }
}

fn or_none(words: String) -> String {
    if words.is_empty() { "none".to_owned() } else { words }
}

/// Taken apart without `..`, so that a new limit cannot be forgotten.
fn limits(old: &LimitsPlan, new: &LimitsPlan) -> Vec<&'static str> {
    let LimitsPlan {
        head_timeout,
        head_bytes,
        uri_bytes,
        body_bytes,
        body_timeout,
        min_body_rate,
        min_head_rate,
        send_timeout,
        connections,
        connections_per_address,
        handshakes,
        handshake_timeout,
        http2_streams,
        http2_resets,
        http2_control_frames,
        http2_ping_interval,
        http2_ping_timeout,
        in_flight,
        idle_timeout,
        drain_timeout,
        shadow_queue,
        shadow_body_bytes,
        detached_writes,
    } = old;
    let equal = [
        ("head-timeout", *head_timeout == new.head_timeout),
        ("head-bytes", *head_bytes == new.head_bytes),
        ("uri-bytes", *uri_bytes == new.uri_bytes),
        ("body-bytes", *body_bytes == new.body_bytes),
        ("body-timeout", *body_timeout == new.body_timeout),
        ("min-body-rate", *min_body_rate == new.min_body_rate),
        ("min-head-rate", *min_head_rate == new.min_head_rate),
        ("send-timeout", *send_timeout == new.send_timeout),
        ("connections", *connections == new.connections),
        ("connections-per-address", *connections_per_address == new.connections_per_address),
        ("handshakes", *handshakes == new.handshakes),
        ("handshake-timeout", *handshake_timeout == new.handshake_timeout),
        ("http2-streams", *http2_streams == new.http2_streams),
        ("http2-resets", *http2_resets == new.http2_resets),
        ("http2-control-frames", *http2_control_frames == new.http2_control_frames),
        ("http2-ping-interval", *http2_ping_interval == new.http2_ping_interval),
        ("http2-ping-timeout", *http2_ping_timeout == new.http2_ping_timeout),
        ("in-flight", *in_flight == new.in_flight),
        ("idle-timeout", *idle_timeout == new.idle_timeout),
        ("drain-timeout", *drain_timeout == new.drain_timeout),
        ("shadow-queue", *shadow_queue == new.shadow_queue),
        ("shadow-body-bytes", *shadow_body_bytes == new.shadow_body_bytes),
        ("detached-writes", *detached_writes == new.detached_writes),
    ];
    equal.into_iter().filter(|(_, equal)| !equal).map(|(key, _)| key).collect()
}

fn restart(old: &Plan, new: &Plan) -> Vec<&'static str> {
    let equal = [
        ("listen", old.listeners == new.listeners),
        ("workers", old.workers == new.workers),
        ("admin", old.admin == new.admin),
        ("callers", old.callers == new.callers),
        ("ledger", old.ledger == new.ledger),
    ];
    equal.into_iter().filter(|(_, equal)| !equal).map(|(key, _)| key).collect()
}
