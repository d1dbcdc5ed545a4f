//! From the [`Spec`] to the [`Plan`]: names are looked up, defaults filled in, and what contradicts itself
//! is reported.
//!
//! It gives a plan even where the spec has errors, so that all of them are found in one go; the caller
//! throws such a plan away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crate::diagnostics::{Diagnostic, quote};
use crate::document::{Document, Span};
use crate::plan::{
    ADMIN_DEFAULT, AdminPlan, FunctionHost, FunctionPlan, LEGACY, LISTEN_DEFAULT, LedgerPlan, ListenerPlan,
    Plan,
};
use crate::reader::Reader;
use crate::routes;
use crate::spec::{AdminSpec, At, FunctionSpec, Given, HostSpec, Spec};
use crate::upstream::UpstreamPlan;

/// The plan, and what is probably not meant.
pub(crate) fn plan(
    reader: &mut Reader<'_>,
    document: &Document,
    spec: Spec,
    base: &Path,
) -> (Plan, Vec<Diagnostic>) {
    let names = Names {
        functions: spec.functions.iter().map(|(name, _)| name.value.clone()).collect(),
        upstreams: spec
            .upstreams
            .iter()
            .map(|(name, _)| name.value.clone())
            .chain([LEGACY.to_owned()])
            .collect(),
    };
    let mut warnings = Vec::new();
    routes::check_names(reader, &spec.routes, &names);
    routes::check_stages(reader, &spec.routes);
    somebody_may_connect(reader, &spec);
    unused(&spec, &mut warnings);
    warnings.extend(spec.routes.iter().filter_map(routes::copies_nothing));
    let routes = routes::plans(reader, document, &spec);
    let plan = Plan {
        admin: admin(reader, spec.admin, &spec.listen),
        listeners: listeners(reader, spec.listen),
        workers: spec.workers,
        limits: spec.limits,
        trusted_proxies: spec.trusted_proxies,
        ledger: LedgerPlan::Sqlite(spec.ledger),
        callers: spec.callers,
        upstreams: upstreams(spec.legacy, spec.upstreams),
        functions: functions(spec.functions, base),
        routes,
    };
    (plan, warnings)
}

/// The names that the file defines, well or badly.
pub(crate) struct Names {
    pub(crate) functions: BTreeSet<String>,
    pub(crate) upstreams: BTreeSet<String>,
}

fn listeners(reader: &mut Reader<'_>, listen: Vec<At<ListenerPlan>>) -> Vec<ListenerPlan> {
    let mut seen: HashMap<SocketAddr, Span> = HashMap::new();
    for At { value, span } in &listen {
        // Port 0 is a different port each time.
        if value.address.port() == 0 {
            continue;
        }
        match seen.get(&value.address) {
            Some(first) => reader.report(
                Diagnostic::error(*span, format!("the address {} is there twice", value.address))
                    .related(*first, "the first one"),
            ),
            None => drop(seen.insert(value.address, *span)),
        }
    }
    if listen.is_empty() {
        return vec![ListenerPlan { address: LISTEN_DEFAULT, tls: None, proxy_protocol: false }];
    }
    listen.into_iter().map(|at| at.value).collect()
}

/// A PROXY header is taken from trusted proxies alone, and a listener that requires one serves nobody else.
fn somebody_may_connect(reader: &mut Reader<'_>, spec: &Spec) {
    if !spec.trusted_proxies.is_empty() {
        return;
    }
    for At { value, span } in spec.listen.iter().filter(|listener| listener.value.proxy_protocol) {
        let message =
            format!("{} takes connections from trusted proxies only, and there are none", value.address);
        let problem = Diagnostic::error(*span, message);
        reader.report(problem.expected("`trusted-proxies: [ADDRESS, …]`, or no `proxy-protocol`"));
    }
}

fn admin(reader: &mut Reader<'_>, admin: AdminSpec, listen: &[At<ListenerPlan>]) -> Option<AdminPlan> {
    let (address, token) = match admin {
        AdminSpec::Off => return None,
        AdminSpec::Default => (Given::Absent, Given::Absent),
        AdminSpec::On { address, token } => (address, token),
    };
    if let Some(At { value, span }) = address.at().filter(|at| !at.value.ip().is_loopback())
        && token.is_absent()
    {
        let message = format!("`admin` listens on {value}, where others can reach it, without a token");
        let problem = Diagnostic::error(*span, message);
        reader.report(problem.expected("`admin: { address: …, token: … }`, or a loopback address"));
    }
    admin_address_is_its_own(reader, &address, listen);
    let token = token.into_option().map(|at| at.value);
    Some(AdminPlan { address: address.or(ADMIN_DEFAULT), token })
}

fn admin_address_is_its_own(
    reader: &mut Reader<'_>,
    address: &Given<SocketAddr>,
    listen: &[At<ListenerPlan>],
) {
    let value = match address {
        Given::Is(at) => at.value,
        Given::Absent => ADMIN_DEFAULT,
        Given::Broken => return,
    };
    let Some(listener) = listen.iter().find(|at| at.value.address == value && value.port() != 0) else {
        return;
    };
    reader.report(match address.at() {
        Some(at) => Diagnostic::error(at.span, format!("{value} is the address of a listener as well"))
            .related(listener.span, "the listener")
            .expected("an address of its own"),
        None => Diagnostic::error(listener.span, format!("{value} is where the admin pages are"))
            .expected("another address, or `admin: ADDRESS`"),
    });
}

fn upstreams(
    legacy: Given<UpstreamPlan>,
    others: Vec<(At<String>, Given<UpstreamPlan>)>,
) -> BTreeMap<String, Arc<UpstreamPlan>> {
    let named = others.into_iter().map(|(name, plan)| (name.value, plan));
    std::iter::once((LEGACY.to_owned(), legacy))
        .chain(named)
        .filter_map(|(name, plan)| Some((name, Arc::new(plan.into_option()?.value))))
        .collect()
}

fn functions(
    functions: Vec<(At<String>, Given<FunctionSpec>)>,
    base: &Path,
) -> BTreeMap<String, Arc<FunctionPlan>> {
    functions
        .into_iter()
        .filter_map(|(name, spec)| {
            let FunctionSpec { host, timeout, concurrency, queue } = spec.into_option()?.value;
            let name = name.value;
            let host = function_host(host, base);
            Some((name.clone(), Arc::new(FunctionPlan { name, host, timeout, concurrency, queue })))
        })
        .collect()
}

fn function_host(host: HostSpec, base: &Path) -> FunctionHost {
    match host {
        HostSpec::Wasm { file, memory_bytes, outbound } => {
            FunctionHost::Wasm { file, memory_bytes, outbound }
        }
        HostSpec::Process { command, directory, env, scale } => {
            let working_dir = directory.unwrap_or_else(|| base.to_owned());
            FunctionHost::Process { command, working_dir, env, scale }
        }
        HostSpec::Http(url) => FunctionHost::Http { server: url.server, path: url.path },
    }
}

fn unused(spec: &Spec, warnings: &mut Vec<Diagnostic>) {
    let functions: BTreeSet<&String> =
        spec.routes.iter().filter_map(|route| route.function.value()).collect();
    let upstreams: BTreeSet<&String> =
        spec.routes.iter().filter_map(|route| route.upstream.value()).collect();
    for (name, _) in spec.functions.iter().filter(|(name, _)| !functions.contains(&name.value)) {
        let message = format!("no route uses the function {}", quote(&name.value));
        warnings.push(Diagnostic::warning(name.span, message));
    }
    for (name, _) in spec.upstreams.iter().filter(|(name, _)| !upstreams.contains(&name.value)) {
        let message = format!("no route uses the upstream {}", quote(&name.value));
        warnings.push(Diagnostic::warning(name.span, message));
    }
}
