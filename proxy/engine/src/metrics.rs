//! What `/metrics` shows: every metric of the catalogue, from the counts as they are now.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use starve_functions::{InstanceState, Outcome};
use starve_migration::{Side, Stage};
use starve_routing::Methods;
use starve_shadow::{DropReason, SentResult};
use starve_telemetry::{Cell, Code, Exposition, Method, catalogue};

use crate::generation::Generation;
use crate::proxy::Proxy;
use crate::recorder::{side_label, unix_ms};
use crate::registry::DISCOVERED;
use crate::route::Route;

/// Endpoints of inventories that have series of their own; docs/limits.md.
const LISTED_SERIES_MAX: usize = 2_048;

pub(crate) fn exposition(proxy: &Proxy) -> String {
    let mut out = Exposition::default();
    let generation = proxy.shared.live.load_full();
    routes(proxy, &generation, &mut out);
    shadows(proxy, &mut out);
    functions(proxy, &mut out);
    upstreams(&generation, &mut out);
    process(proxy, &generation, &mut out);
    out.encode()
}

fn routes(proxy: &Proxy, generation: &Generation, out: &mut Exposition) {
    for route in live_routes(generation) {
        let stats = route.stats();
        let snapshot = stats.snapshot();
        let id = route.id();
        let counted = |side, method, code| {
            let cell = Cell { side, method, code };
            snapshot.cells.iter().find(|(known, _)| *known == cell).map_or(0, |(_, totals)| totals.calls)
        };
        // A route that nobody has called is a visible zero for each side that could answer.
        let mut cells = zero_cells(route);
        cells.extend(snapshot.cells.iter().map(|(cell, _)| *cell));
        cells.sort_unstable();
        cells.dedup();
        for Cell { side, method, code } in cells {
            let labels = [id, side_label(side), method.as_str(), code.as_str()];
            out.add(&catalogue::REQUESTS, &labels, counted(side, method, code));
        }
        for side in sides(route) {
            let seen = snapshot.side(Some(side));
            out.add_histogram(&catalogue::REQUEST_DURATION, &[id, side.as_str()], &seen.duration);
            out.add_histogram(&catalogue::TIME_TO_FIRST_BYTE, &[id, side.as_str()], &seen.first_byte);
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium are exact")]
            let last_call = seen.last_call_ms as f64 / 1_000.0;
            out.add_float(&catalogue::ROUTE_LAST_CALL, &[id, side.as_str()], last_call);
        }
        for ((operation, side, code), sum) in route.kept.operations.sums() {
            let labels = [id, &operation, side_label(side), code.as_str()];
            out.add(&catalogue::OPERATION_REQUESTS, &labels, sum.calls);
        }
        if let Some(plan) = &route.plan {
            for stage in Stage::ALL {
                let is_in = u64::from(plan.policy.stage == stage);
                out.add(&catalogue::ROUTE_STAGE, &[id, stage.as_str()], is_in);
            }
            if plan.sunset.as_ref().is_some_and(|sunset| !sunset.brownouts.is_empty()) {
                out.add(&catalogue::BROWNOUT_ANSWERS, &[id], route.kept.brownouts.load(Relaxed));
            }
        }
    }
    listed(proxy, generation, out);
    let told = proxy.told();
    out.add_float(&catalogue::LEGACY_CALL_RATIO, &[], told.legacy_call_ratio);
    out.add(&catalogue::DEAD_ROUTES, &[], told.dead_routes);
    discovered(proxy, out);
}

/// A series each for the first endpoints, whether they were called or not, and one for all others together.
fn listed(proxy: &Proxy, generation: &Generation, out: &mut Exposition) {
    let listed = proxy.shared.listed.load_full();
    let configured: std::collections::HashSet<&str> = live_routes(generation).map(Route::id).collect();
    let mut more: BTreeMap<Cell, u64> = BTreeMap::new();
    // After a reload an endpoint may have got a route before this table knows of it.
    let endpoints = listed.endpoints().filter(|(_, kept)| !configured.contains(kept.id.as_str()));
    for (place, (pattern, kept)) in endpoints.enumerate() {
        let calls: BTreeMap<Cell, u64> = match kept.stats.recorded() {
            0 => BTreeMap::new(),
            _ => kept.stats.snapshot().cells.iter().map(|(cell, totals)| (*cell, totals.calls)).collect(),
        };
        if place >= LISTED_SERIES_MAX {
            calls.iter().for_each(|(cell, calls)| *more.entry(*cell).or_default() += calls);
            continue;
        }
        let mut cells: BTreeMap<Cell, u64> = methods(pattern.methods())
            .into_iter()
            .map(|method| (Cell { side: Some(Side::Legacy), method, code: Code::Success }, 0))
            .collect();
        cells.extend(calls);
        add_requests(out, &kept.id, &cells);
    }
    add_requests(out, starve_ledger::MORE, &more);
    out.add(&catalogue::INVENTORY_ROUTES, &[], listed.len() as u64);
}

fn discovered(proxy: &Proxy, out: &mut Exposition) {
    let discovered = proxy.discovered.lock().unwrap_or_else(PoisonError::into_inner);
    let (observed, templates) = (discovered.observed(), discovered.templates() as u64);
    let (evicted, turned_away) = (discovered.evicted(), discovered.turned_away());
    drop(discovered);
    for (result, calls) in [
        ("endpoint", observed.endpoint),
        ("guarded", observed.guarded),
        ("unmatched", observed.unmatched),
        ("more", observed.more),
    ] {
        out.add(&catalogue::DISCOVERED_REQUESTS, &[result], calls);
    }
    out.add(&catalogue::DISCOVERED_ROUTES, &[], templates);
    out.add(&catalogue::LIMIT_HITS, &["discovered-endpoints"], evicted + observed.more);
    out.add(&catalogue::LIMIT_HITS, &["discovered-guarded"], turned_away);
    out.add(&catalogue::LIMIT_HITS, &["discovered-waiting"], proxy.shared.observations.unseen_in_all());
}

fn add_requests(out: &mut Exposition, route: &str, cells: &BTreeMap<Cell, u64>) {
    for (Cell { side, method, code }, calls) in cells {
        let labels = [route, side_label(*side), method.as_str(), code.as_str()];
        out.add(&catalogue::REQUESTS, &labels, *calls);
    }
}

fn methods(methods: &Methods) -> Vec<Method> {
    match methods {
        Methods::These(methods) => methods.iter().map(|method| Method::of(method)).collect(),
        Methods::Any => vec![Method::Get],
    }
}

fn live_routes(generation: &Generation) -> impl Iterator<Item = &Route> {
    let routes = generation.table.entries().iter().map(|entry| &*entry.value);
    routes.chain(std::iter::once(&*generation.discovered))
}

fn sides(route: &Route) -> Vec<Side> {
    match &route.plan {
        Some(plan) if plan.respond.is_some() => Vec::new(),
        _ if route.function.is_some() => Side::ALL.to_vec(),
        _ => vec![Side::Legacy],
    }
}

fn zero_cells(route: &Route) -> Vec<Cell> {
    let methods = match route.plan.as_ref().map(|plan| plan.pattern.methods()) {
        Some(Methods::These(methods)) => methods.iter().map(|method| Method::of(method)).collect(),
        _ => vec![Method::Get],
    };
    let mut sides: Vec<Option<Side>> = sides(route).into_iter().map(Some).collect();
    if sides.is_empty() {
        sides.push(None);
    }
    let cells = sides.into_iter().flat_map(|side| {
        methods.iter().map(move |method| Cell { side, method: *method, code: Code::Success })
    });
    cells.collect()
}

fn shadows(proxy: &Proxy, out: &mut Exposition) {
    let shadows: Vec<_> = proxy.registry.tables().shadows.values().cloned().collect();
    for shadow in shadows.iter().filter(|shadow| shadow.route != DISCOVERED) {
        let route = shadow.route.as_str();
        for side in Side::ALL {
            for result in SentResult::ALL {
                let labels = [route, side.as_str(), result.as_str()];
                out.add(&catalogue::SHADOW_REQUESTS, &labels, shadow.sent(side, result));
            }
        }
        for reason in DropReason::ALL {
            out.add(&catalogue::SHADOW_DROPPED, &[route, reason.as_str()], shadow.dropped(reason));
        }
        for (verdict, count) in shadow.verdicts() {
            out.add(&catalogue::COMPARISONS, &[route, verdict.as_str()], count);
        }
    }
}

fn functions(proxy: &Proxy, out: &mut Exposition) {
    let functions = proxy.registry.tables().functions.clone();
    for (name, stats) in &functions {
        let snapshot = stats.snapshot();
        for outcome in Outcome::ALL {
            let labels = [name.as_str(), outcome.as_str()];
            out.add(&catalogue::FUNCTION_INVOCATIONS, &labels, snapshot.invocations(outcome));
        }
        for state in InstanceState::ALL {
            let labels = [name.as_str(), state.as_str()];
            out.add(&catalogue::FUNCTION_INSTANCES, &labels, snapshot.instances(state) as u64);
        }
        out.add_histogram(&catalogue::FUNCTION_DURATION, &[name.as_str()], &snapshot.duration);
        out.add(&catalogue::FUNCTION_COLD_STARTS, &[name.as_str()], snapshot.cold_starts);
        let spent = snapshot.gigabyte_seconds();
        out.add_float(&catalogue::FUNCTION_GIGABYTE_SECONDS, &[name.as_str()], spent);
    }
}

fn upstreams(generation: &Generation, out: &mut Exposition) {
    for (name, upstream) in &generation.upstreams {
        let snapshot = upstream.snapshot();
        let name = name.as_str();
        out.add(&catalogue::UPSTREAM_CONNECTIONS, &[name, "idle"], snapshot.idle as u64);
        out.add(&catalogue::UPSTREAM_CONNECTIONS, &[name, "in_use"], snapshot.in_use as u64);
        out.add(&catalogue::UPSTREAM_WAITING, &[name], snapshot.waiting as u64);
        for (reason, count) in snapshot.retries {
            out.add(&catalogue::RETRIES, &[name, reason], count);
        }
        for (limit, count) in snapshot.limit_hits {
            out.add(&catalogue::UPSTREAM_LIMIT_HITS, &[name, limit], count);
        }
        for server in &snapshot.servers {
            let labels = [name, server.name.as_str()];
            out.add(&catalogue::UPSTREAM_HEALTHY, &labels, u64::from(server.is_healthy));
            out.add(&catalogue::UPSTREAM_EJECTIONS, &labels, server.ejections);
        }
    }
}

fn process(proxy: &Proxy, generation: &Generation, out: &mut Exposition) {
    let counters = &proxy.counters;
    out.add(&catalogue::CONNECTIONS, &[], counters.open.load(Relaxed) as u64);
    out.add(&catalogue::IN_FLIGHT, &[], proxy.shared.admission.in_flight() as u64);
    let (refusals, handshakes) = (&counters.refusals, &proxy.handshakes);
    for (limit, hits) in [
        ("connections", &counters.full),
        ("connections-per-address", &refusals.per_address),
        ("handshakes", &handshakes.waited),
        ("handshake-timeout", &handshakes.timed_out),
        ("head-timeout", &counters.slow_heads),
        ("head-bytes", &counters.large_heads),
        ("body-timeout", &counters.slow_bodies),
        ("send-timeout", &counters.slow_readers),
        ("http2-resets", &counters.http2_resets),
        ("http2-control-frames", &counters.http2_control_frames),
        ("http2-flood", &counters.http2_floods),
        ("file-descriptors", &counters.pauses),
    ] {
        out.add(&catalogue::LIMIT_HITS, &[limit], hits.load(Relaxed));
    }
    out.add(&catalogue::LIMIT_HITS, &["callers"], proxy.shared.callers.dropped());
    for (reason, count) in [
        ("per_address", &refusals.per_address),
        ("bad_proxy_header", &refusals.bad_proxy_header),
        ("untrusted_proxy", &refusals.untrusted_proxy),
    ] {
        out.add(&catalogue::REFUSED_CONNECTIONS, &[reason], count.load(Relaxed));
    }
    for (result, count) in [
        ("completed", &handshakes.completed),
        ("failed", &handshakes.failed),
        ("timed_out", &handshakes.timed_out),
        ("shed", &handshakes.shed),
    ] {
        out.add(&catalogue::TLS_HANDSHAKES, &[result], count.load(Relaxed));
    }
    for (reason, count) in [
        ("bad_line_end", &counters.bad_line_ends),
        ("bad_framing", &counters.bad_framing),
        ("bad_target", &counters.bad_targets),
        ("bad_version", &counters.bad_versions),
        ("bad_head", &counters.bad_heads),
    ] {
        out.add(&catalogue::REFUSED, &[reason], count.load(Relaxed));
    }
    for (reason, count) in proxy.shared.refusals.counts() {
        out.add(&catalogue::REFUSED, &[reason], count);
        let limit = match reason {
            "uri_too_long" => "uri-bytes",
            "body_too_large" => "body-bytes",
            "overloaded" => "in-flight",
            _ => continue,
        };
        out.add(&catalogue::LIMIT_HITS, &[limit], count);
    }
    for (result, count) in proxy.shared.detached.counts() {
        out.add(&catalogue::DETACHED_WRITES, &[result], count);
        if result == "over_limit" {
            out.add(&catalogue::LIMIT_HITS, &["detached-writes"], count);
        }
    }
    let reload = proxy.last_reload();
    out.add(&catalogue::CONFIG_GENERATION, &[], generation.number);
    out.add(&catalogue::CONFIG_RELOAD_OK, &[], u64::from(reload.is_none_or(|reload| reload.ok)));
    out.add(&catalogue::CONFIG_RELOAD_TIME, &[], unix_ms(generation.loaded_at) / 1_000);
    let ledger_ok = proxy.ledger.health().degraded.is_none();
    out.add(&catalogue::LEDGER_OK, &[], u64::from(ledger_ok));
}
