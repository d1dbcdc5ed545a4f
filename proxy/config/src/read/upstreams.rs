//! The reading of `legacy:` and `upstreams:`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::diagnostics::{Diagnostic, quote};
use crate::document::Span;
use crate::keys;
use crate::plan::LEGACY;
use crate::reader::{Fields, Reader, head_span};
use crate::spec::{At, Given};
use crate::upstream::{
    Affinity, Balance, EjectionPlan, HealthPlan, HostPolicy, Protocol, ProxyProtocol, RetryPlan,
    ServerLimits, ServerPlan, UpstreamPlan, UpstreamTimeouts, UpstreamTlsPlan,
};
use crate::url;
use crate::values::{self, Parsed, Wrong};
use crate::yaml::{Kind, Node};

pub(super) fn legacy(reader: &mut Reader<'_>, fields: &Fields<'_>, base: &Path) -> Given<UpstreamPlan> {
    match fields.find(LEGACY) {
        Some(node) if !node.is_null() => upstream(reader, LEGACY, node, base),
        _ => {
            let message = "the file does not say where the monolith is";
            reader.missing(fields, LEGACY, message, "http://HOST:PORT");
            Given::Broken
        }
    }
}

pub(super) fn all(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    base: &Path,
) -> Vec<(At<String>, Given<UpstreamPlan>)> {
    let name = |text: &str| match text {
        LEGACY => {
            Err(Wrong::new("`legacy` is the default upstream", "`legacy:` at the top, or another name"))
        }
        _ => values::name(text),
    };
    reader.named(fields, "upstreams", name, |reader, name, node| upstream(reader, name, node, base))
}

/// An upstream as a mapping, or as the address of its only server.
fn upstream(reader: &mut Reader<'_>, name: &str, node: &Node, base: &Path) -> Given<UpstreamPlan> {
    if let Kind::Scalar(_) = node.kind {
        return match reader.scalar(node, name, |text| server(text, base)).into_option() {
            Some(At { value, span }) => Given::Is(At { value: UpstreamPlan::new(name, vec![value]), span }),
            None => Given::Broken,
        };
    }
    let Some(fields) = reader.fields(node, &keys::UPSTREAM) else { return Given::Broken };
    let mut plan = UpstreamPlan::new(name, Vec::new());
    plan.balance = balancing(reader, &fields);
    plan.host = reader.field(&fields, "host", host_policy).or(HostPolicy::Preserve);
    plan.timeouts = timeouts(reader, &fields, plan.timeouts);
    plan.health = health(reader, &fields);
    plan.ejection = ejection(reader, &fields);
    plan.retry = retry(reader, &fields);
    plan.limits = limits(reader, &fields);
    plan.tls = tls(reader, &fields, base);
    plan.protocol = reader.field(&fields, "protocol", protocol).or_default();
    plan.proxy_protocol =
        reader.field(&fields, "proxy-protocol", proxy_protocol).into_option().map(|at| at.value);
    plan.servers = servers(reader, &fields, base);
    if plan.servers.is_empty() {
        return Given::Broken;
    }
    check_meaning(reader, &fields, &plan);
    Given::Is(At { value: plan, span: head_span(node) })
}

/// Settings that would be ignored, or that exclude each other.
fn check_meaning(reader: &mut Reader<'_>, fields: &Fields<'_>, plan: &UpstreamPlan) {
    let has_tls = plan.servers.iter().any(|server| matches!(server, ServerPlan::Https { .. }));
    let has_h2c = plan.servers.iter().any(|server| matches!(server, ServerPlan::H2c { .. }));
    for key in ["tls", "protocol"] {
        if let Some(span) = fields.key_span(key).filter(|_| !has_tls) {
            let problem =
                Diagnostic::error(span, format!("`{key}` has no meaning without a server over TLS"));
            let expected = "a server as `https://HOST`";
            let or = if key == "protocol" { ", or `h2c://HOST` for HTTP/2 without TLS" } else { "" };
            reader.report(problem.expected(format!("{expected}{or}")));
        }
    }
    if let Some(span) =
        fields.key_span("proxy-protocol").filter(|_| has_h2c || plan.protocol != Protocol::Http1)
    {
        let message = "`proxy-protocol` gives each call a connection of its own, which HTTP/2 is not for";
        reader.report(Diagnostic::error(span, message).expected("HTTP/1.1 servers"));
    }
}

fn servers(reader: &mut Reader<'_>, fields: &Fields<'_>, base: &Path) -> Vec<ServerPlan> {
    let Some(node) = fields.find("servers") else {
        reader.missing(fields, "servers", "an upstream has no `servers`", "[http://HOST:PORT]");
        return Vec::new();
    };
    let before = reader.count();
    let mut read: Vec<(ServerPlan, Span)> = Vec::new();
    reader.list(node, "servers", |reader, item| {
        let At { value, span } = reader.scalar(item, "servers", |text| server(text, base)).into_option()?;
        match read.iter().find(|(other, _)| *other == value) {
            Some((_, first)) => {
                reader.report(
                    Diagnostic::error(span, "the server is there twice").related(*first, "the first one"),
                );
            }
            None => read.push((value, span)),
        }
        Some(())
    });
    if read.is_empty() && reader.count() == before {
        reader.report(Diagnostic::error(node.span, "`servers` is empty").expected("`[http://HOST:PORT]`"));
    }
    read.into_iter().map(|(server, _)| server).collect()
}

/// A socket's path is relative to the file's folder, like every other path.
fn server(text: &str, base: &Path) -> Parsed<ServerPlan> {
    Ok(match url::server(text)? {
        ServerPlan::Unix { path } => ServerPlan::Unix { path: base.join(path) },
        other => other,
    })
}

fn timeouts(reader: &mut Reader<'_>, fields: &Fields<'_>, defaults: UpstreamTimeouts) -> UpstreamTimeouts {
    let Some(fields) = below(reader, fields, "timeout", &keys::TIMEOUT) else { return defaults };
    let mut timeout = |key, default: Duration| reader.field(&fields, key, values::duration).or(default);
    UpstreamTimeouts {
        connect: timeout("connect", defaults.connect),
        first_byte: timeout("first-byte", defaults.first_byte),
        idle: timeout("idle", defaults.idle),
    }
}

fn below<'n>(
    reader: &mut Reader<'_>,
    fields: &Fields<'n>,
    key: &str,
    shape: &keys::Shape,
) -> Option<Fields<'n>> {
    reader.fields(fields.find(key)?, shape)
}

fn balancing(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Balance {
    let balance = reader.field(fields, "balance", balance);
    let affinity = reader.field(fields, "sticky", affinity);
    let is_sticky = matches!(balance.value(), Some(Balance::Sticky(_)));
    if let Some(span) = fields.key_span("sticky").filter(|_| !is_sticky && !matches!(balance, Given::Broken))
    {
        let problem = Diagnostic::error(span, "`sticky` has no meaning with this way to balance");
        reader.report(problem.expected("`balance: sticky` beside it"));
    }
    match balance.or_default() {
        Balance::Sticky(_) => Balance::Sticky(affinity.or_default()),
        other => other,
    }
}

fn balance(text: &str) -> Parsed<Balance> {
    let words = [("round-robin", 0), ("least-requests", 1), ("sticky", 2)];
    Ok(match values::one_of(text, "a way to balance", &words)? {
        0 => Balance::RoundRobin,
        1 => Balance::LeastRequests,
        _ => Balance::Sticky(Affinity::default()),
    })
}

fn affinity(text: &str) -> Parsed<Affinity> {
    use starve_migration::StickyKey;
    match text.parse() {
        _ if text == "address" => Ok(Affinity::Address),
        Ok(StickyKey::Cookie(name)) => Ok(Affinity::Cookie(name)),
        Ok(StickyKey::Header(name)) => Ok(Affinity::Header(name)),
        Ok(StickyKey::Own) | Err(_) => Err(Wrong::new(
            format!("{} does not tell users apart", quote(text)),
            "address, cookie:NAME or header:NAME",
        )),
    }
}

/// The path alone, or a mapping.
fn health(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<HealthPlan> {
    let node = fields.find("health")?;
    if let Kind::Scalar(_) = node.kind {
        return reader.scalar(node, "health", health_path).into_option().map(|at| HealthPlan::new(at.value));
    }
    let fields = reader.fields(node, &keys::HEALTH)?;
    let path = reader.required(&fields, "path", "`health`", "/up", health_path);
    let defaults = HealthPlan::new(path.or_default());
    let plan = HealthPlan {
        host: reader.field(&fields, "host", health_host).into_option().map(|at| at.value),
        interval: reader.field(&fields, "interval", values::duration).or(defaults.interval),
        timeout: reader.field(&fields, "timeout", values::duration).or(defaults.timeout),
        healthy: reader.field(&fields, "healthy", number).or(defaults.healthy),
        unhealthy: reader.field(&fields, "unhealthy", number).or(defaults.unhealthy),
        path: defaults.path,
    };
    Some(plan)
}

/// A path with an optional query, as it stands in a request line.
fn health_path(text: &str) -> Parsed<String> {
    let visible = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if text.starts_with('/') && text.bytes().all(visible) {
        return Ok(text.to_owned());
    }
    let suggestion = (!text.starts_with('/') && !text.contains(':')).then(|| format!("/{text}"));
    Err(Wrong { suggestion, ..Wrong::new(format!("{} is not a path", quote(text)), "a path such as /up") })
}

fn health_host(text: &str) -> Parsed<String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    match url::host(host) {
        Some(_) if port.is_none_or(|port| port.parse::<u16>().is_ok()) => Ok(text.to_owned()),
        _ => Err(Wrong::new(format!("{} is no host", quote(text)), "HOST or HOST:PORT")),
    }
}

/// A count that is small by nature.
fn number(text: &str) -> Parsed<u32> {
    let wrong = || Wrong::new(format!("{} is out of range", quote(text)), "a whole number from 1 to 1000");
    u32::try_from(values::count(text)?).ok().filter(|number| *number <= 1_000).ok_or_else(wrong)
}

/// `eject: off`, or a mapping.
fn ejection(reader: &mut Reader<'_>, fields: &Fields<'_>) -> EjectionPlan {
    let defaults = EjectionPlan::default();
    let Some(node) = fields.find("eject") else { return defaults };
    if let Kind::Scalar(_) = node.kind {
        let off = reader.scalar(node, "eject", |text| values::one_of(text, "a rule", &[("off", ())]));
        return if off.value().is_some() { EjectionPlan { failures: None, ..defaults } } else { defaults };
    }
    let Some(fields) = reader.fields(node, &keys::EJECT) else { return defaults };
    let failures = reader.field(&fields, "failures", number).into_option().map(|at| at.value);
    let time = reader.field(&fields, "time", values::duration);
    let longest = reader.field(&fields, "max", values::duration);
    if let (Some(time), Some(longest)) = (time.at(), longest.at())
        && time.value > longest.value
    {
        let problem = Diagnostic::error(time.span, "`time` is longer than `max`");
        reader.report(problem.related(longest.span, "the longest").expected("`time` at most `max`"));
    }
    let time = time.or(defaults.time);
    EjectionPlan {
        failures: failures.or(defaults.failures),
        time,
        time_max: longest.or(defaults.time_max.max(time)),
    }
}

fn retry(reader: &mut Reader<'_>, fields: &Fields<'_>) -> RetryPlan {
    let defaults = RetryPlan::default();
    let Some(fields) = below(reader, fields, "retry", &keys::RETRY) else { return defaults };
    RetryPlan {
        budget: reader.field(&fields, "budget", budget).or(defaults.budget),
        per_second: reader.field(&fields, "per-second", per_second).or(defaults.per_second),
    }
}

fn budget(text: &str) -> Parsed<u32> {
    let wrong = || Wrong::new(format!("{} is no share", quote(text)), "a whole number of percent, 0 to 100");
    text.parse().ok().filter(|percent| *percent <= 100).ok_or_else(wrong)
}

fn per_second(text: &str) -> Parsed<u32> {
    let wrong = || Wrong::new(format!("{} is out of range", quote(text)), "a whole number up to 10000");
    u32::try_from(values::count_or_zero(text)?).ok().filter(|number| *number <= 10_000).ok_or_else(wrong)
}

fn limits(reader: &mut Reader<'_>, fields: &Fields<'_>) -> ServerLimits {
    let defaults = ServerLimits::default();
    let Some(fields) = below(reader, fields, "limits", &keys::SERVER_LIMITS) else { return defaults };
    ServerLimits {
        connections: reader.field(&fields, "connections", count_or_none).or_default(),
        in_flight: reader.field(&fields, "in-flight", count_or_none).or_default(),
        queue: reader.field(&fields, "queue", values::count_or_zero).or(defaults.queue),
        wait: reader.field(&fields, "wait", values::duration).or(defaults.wait),
    }
}

fn count_or_none(text: &str) -> Parsed<Option<usize>> {
    if text == "none" {
        return Ok(None);
    }
    values::count(text)
        .map(Some)
        .map_err(|wrong| Wrong { expected: format!("{}, or none", wrong.expected), ..wrong })
}

fn tls(reader: &mut Reader<'_>, fields: &Fields<'_>, base: &Path) -> UpstreamTlsPlan {
    let Some(fields) = below(reader, fields, "tls", &keys::UPSTREAM_TLS) else {
        return UpstreamTlsPlan::default();
    };
    let mut file = |key| reader.field(&fields, key, values::file);
    let (ca, certificate, key) = (file("ca"), file("certificate"), file("key"));
    for (here, there, missing) in [(&certificate, &key, "key"), (&key, &certificate, "certificate")] {
        if let Some(at) = here.at().filter(|_| there.is_absent()) {
            let problem = Diagnostic::error(at.span, "a client certificate is a certificate and its key");
            reader.report(problem.expected(format!("`{missing}: FILE` beside it")));
        }
    }
    let joined = |given: Given<PathBuf>| given.into_option().map(|at| base.join(at.value));
    UpstreamTlsPlan {
        ca: joined(ca),
        client: joined(certificate).zip(joined(key)),
        server_name: reader.field(&fields, "server-name", server_name).into_option().map(|at| at.value),
    }
}

fn server_name(text: &str) -> Parsed<String> {
    url::host(text)
        .ok_or_else(|| Wrong::new(format!("{} is no host", quote(text)), "a name such as shop.example"))
}

fn protocol(text: &str) -> Parsed<Protocol> {
    let words = [("http1", Protocol::Http1), ("http2", Protocol::Http2), ("auto", Protocol::Auto)];
    values::one_of(text, "a protocol", &words)
}

fn proxy_protocol(text: &str) -> Parsed<ProxyProtocol> {
    let words = [("v1", ProxyProtocol::V1), ("v2", ProxyProtocol::V2)];
    values::one_of(text, "a version of the PROXY protocol", &words)
}

fn host_policy(text: &str) -> Parsed<HostPolicy> {
    let target =
        values::one_of(text, "a rule for the Host header", &[("preserve", false), ("target", true)])?;
    Ok(if target { HostPolicy::Target } else { HostPolicy::Preserve })
}
