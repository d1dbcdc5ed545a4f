//! The reading of a tree into a [`Spec`]: the settings of the file as a whole.

mod functions;
mod rewrite;
mod routes;
mod sunset;
mod upstreams;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::diagnostics::{Diagnostic, quote};
use crate::keys;
use crate::plan::{CertificatePlan, LimitsPlan, ListenerPlan, Secret, TlsPlan};
use crate::reader::{Fields, Reader};
use crate::spec::{AdminSpec, At, Given, Spec};
use crate::values::{self, Parsed, Wrong};
use crate::yaml::{Kind, Node};

/// Reads the whole tree. What could not be read has been reported and is absent or a default.
pub(crate) fn spec(reader: &mut Reader<'_>, root: &Node, base: &Path) -> Option<Spec> {
    let fields = reader.fields(root, &keys::FILE)?;
    reader.field(&fields, "version", version);
    let (compare, shadow_percent) = routes::defaults(reader, &fields);
    Some(Spec {
        listen: listeners(reader, &fields, base),
        workers: reader.field(&fields, "workers", values::workers).or(None),
        limits: limits(reader, &fields),
        trusted_proxies: reader.field_list(&fields, "trusted-proxies", values::network),
        admin: admin(reader, &fields),
        ledger: base.join(ledger(reader, &fields)),
        legacy: upstreams::legacy(reader, &fields, base),
        upstreams: upstreams::all(reader, &fields, base),
        functions: functions::all(reader, &fields, base),
        compare,
        shadow_percent,
        routes: routes::all(reader, &fields, base),
    })
}

fn version(text: &str) -> Parsed<()> {
    match text {
        "1" => Ok(()),
        _ => Err(Wrong::new(format!("version {} of the format is not known", quote(text)), "`version: 1`")),
    }
}

fn listeners(reader: &mut Reader<'_>, fields: &Fields<'_>, base: &Path) -> Vec<At<ListenerPlan>> {
    let Some(node) = fields.find("listen") else { return Vec::new() };
    if matches!(node.kind, Kind::Scalar(_)) && !node.is_null() {
        return listener(reader, node, base).into_iter().collect();
    }
    let before = reader.count();
    let listeners = reader.list(node, "listen", |reader, item| listener(reader, item, base));
    if listeners.is_empty() && reader.count() == before {
        let nobody = Diagnostic::error(node.span, "`listen` holds no address, so nobody could call");
        reader.report(nobody.expected("`- address: 0.0.0.0:8080`, or no `listen` for 127.0.0.1:8080"));
    }
    listeners
}

/// A listener as a mapping, or as its address alone.
fn listener(reader: &mut Reader<'_>, node: &Node, base: &Path) -> Option<At<ListenerPlan>> {
    if let Kind::Scalar(_) = node.kind {
        let address = reader.scalar(node, "address", values::address).into_option()?;
        return Some(At { value: ListenerPlan { address: address.value, tls: None }, span: address.span });
    }
    let fields = reader.fields(node, &keys::LISTENER)?;
    let tls = fields.find("tls").and_then(|node| tls(reader, node, base));
    let address =
        reader.required(&fields, "address", "a listener", "0.0.0.0:8080", values::address).into_option()?;
    Some(At { value: ListenerPlan { address: address.value, tls }, span: address.span })
}

fn tls(reader: &mut Reader<'_>, node: &Node, base: &Path) -> Option<TlsPlan> {
    let fields = reader.fields(node, &keys::TLS)?;
    let Some(list) = fields.find("certificates") else {
        reader.missing(&fields, "certificates", "`tls` has no `certificates`", CERTIFICATE_EXAMPLE);
        return None;
    };
    let before = reader.count();
    let certificates = reader.list(list, "certificates", |reader, item| certificate(reader, item, base));
    if certificates.is_empty() && reader.count() == before {
        let none = Diagnostic::error(list.span, "`certificates` is empty");
        reader.report(none.expected(format!("`{CERTIFICATE_EXAMPLE}`")));
    }
    Some(TlsPlan { certificates })
}

const CERTIFICATE_EXAMPLE: &str = "[{ certificate: FILE, key: FILE }]";

fn certificate(reader: &mut Reader<'_>, node: &Node, base: &Path) -> Option<CertificatePlan> {
    let fields = reader.fields(node, &keys::CERTIFICATE)?;
    let certificate = reader.required(&fields, "certificate", "a certificate", "FILE", values::file);
    let key = reader.required(&fields, "key", "a certificate", "FILE", values::file);
    let joined = |file: At<PathBuf>| base.join(file.value);
    Some(CertificatePlan { certificate: joined(certificate.into_option()?), key: joined(key.into_option()?) })
}

fn limits(reader: &mut Reader<'_>, fields: &Fields<'_>) -> LimitsPlan {
    let defaults = LimitsPlan::default();
    let Some(node) = fields.find("limits") else { return defaults };
    let Some(fields) = reader.fields(node, &keys::LIMITS) else { return defaults };
    let fields = &fields;
    LimitsPlan {
        head_timeout: reader.field(fields, "head-timeout", values::duration).or(defaults.head_timeout),
        head_bytes: reader.field(fields, "head-bytes", head_bytes).or(defaults.head_bytes),
        uri_bytes: reader.field(fields, "uri-bytes", uri_bytes).or(defaults.uri_bytes),
        body_bytes: reader.field(fields, "body-bytes", values::bytes_or_none).or(defaults.body_bytes),
        connections: reader.field(fields, "connections", values::count).or(defaults.connections),
        in_flight: reader.field(fields, "in-flight", values::count).or(defaults.in_flight),
        idle_timeout: reader.field(fields, "idle-timeout", values::duration).or(defaults.idle_timeout),
        drain_timeout: reader.field(fields, "drain-timeout", values::duration).or(defaults.drain_timeout),
        shadow_queue: reader.field(fields, "shadow-queue", values::count).or(defaults.shadow_queue),
        shadow_body_bytes: reader
            .field(fields, "shadow-body-bytes", values::memory_bytes)
            .or(defaults.shadow_body_bytes),
        detached_writes: reader.field(fields, "detached-writes", values::count).or(defaults.detached_writes),
    }
}

/// The HTTP/1 reader needs at least 8 KiB to work in.
fn head_bytes(text: &str) -> Parsed<usize> {
    between(text, 8 * 1024, 1024 * 1024, "a size from 8KiB to 1MiB")
}

/// The type of request targets ends just below 64 KiB.
fn uri_bytes(text: &str) -> Parsed<usize> {
    between(text, 64, 63 * 1024, "a size from 64 bytes to 63KiB")
}

fn between(text: &str, min: usize, max: usize, expected: &str) -> Parsed<usize> {
    match values::memory_bytes(text)? {
        size if (min..=max).contains(&size) => Ok(size),
        _ => Err(Wrong::new(format!("{} is out of range", quote(text)), expected)),
    }
}

/// `admin: off`, an address alone, or a mapping.
fn admin(reader: &mut Reader<'_>, fields: &Fields<'_>) -> AdminSpec {
    let Some(node) = fields.find("admin") else { return AdminSpec::Default };
    if let Kind::Scalar(scalar) = &node.kind {
        if &*scalar.text == "off" {
            return AdminSpec::Off;
        }
        let address = reader.scalar(node, "admin", admin_address);
        return AdminSpec::On { address, token: Given::Absent };
    }
    let Some(fields) = reader.fields(node, &keys::ADMIN) else { return AdminSpec::Off };
    let address = reader.field(&fields, "address", values::address);
    AdminSpec::On { address, token: reader.field(&fields, "token", token) }
}

fn admin_address(text: &str) -> Parsed<SocketAddr> {
    values::address(text).map_err(|wrong| Wrong {
        message: format!("{} is neither an address nor `off`", quote(text)),
        expected: "an address such as 127.0.0.1:9900, a mapping with `address` and `token`, or off"
            .to_owned(),
        ..wrong
    })
}

/// The message must not repeat the token.
fn token(text: &str) -> Parsed<Secret> {
    if text.len() >= TOKEN_BYTES_MIN && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Secret(text.to_owned()));
    }
    Err(Wrong::new(
        "the token is too short, or cannot stand in a header",
        "16 or more visible ASCII characters",
    ))
}

const TOKEN_BYTES_MIN: usize = 16;

/// The ledger's file: an address alone, or a mapping.
fn ledger(reader: &mut Reader<'_>, fields: &Fields<'_>) -> PathBuf {
    let default = PathBuf::from("starve.db");
    let Some(node) = fields.find("ledger") else { return default };
    if let Kind::Scalar(_) = node.kind {
        return reader.scalar(node, "ledger", ledger_url).or(default);
    }
    let Some(fields) = reader.fields(node, &keys::LEDGER) else { return default };
    let Some(url) = fields.find("url") else {
        reader.missing(&fields, "url", "`ledger` has no `url`", "sqlite:FILE");
        return default;
    };
    reader.scalar(url, "ledger", ledger_url).or(default)
}

fn ledger_url(text: &str) -> Parsed<PathBuf> {
    const EXPECTED: &str = "sqlite:FILE";
    // `sqlite://` with two or three slashes is what other programs write.
    let file = text.strip_prefix("sqlite:").map(|file| file.strip_prefix("//").unwrap_or(file));
    match file {
        Some(file) if !file.is_empty() && !file.starts_with(':') => values::file(file),
        Some(_) => Err(Wrong::new("the ledger needs a file: counts must outlive the process", EXPECTED)),
        None => Err(Wrong::new("the ledger's address has no known scheme", EXPECTED)),
    }
}
