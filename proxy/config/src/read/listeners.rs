//! Where clients call, and the TLS they speak there.

use std::path::{Path, PathBuf};

use crate::diagnostics::Diagnostic;
use crate::keys;
use crate::plan::{CertificatePlan, ClientAuthPlan, ListenerPlan, TlsPlan, TlsVersion};
use crate::reader::{Fields, Reader};
use crate::spec::At;
use crate::values::{self, Parsed};
use crate::yaml::{Kind, Node};

const CERTIFICATE_EXAMPLE: &str = "[{ certificate: FILE, key: FILE }]";

pub(crate) fn all(reader: &mut Reader<'_>, fields: &Fields<'_>, base: &Path) -> Vec<At<ListenerPlan>> {
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
    let plan = |At { value: address, span }, tls, proxy_protocol| At {
        value: ListenerPlan { address, tls, proxy_protocol },
        span,
    };
    if let Kind::Scalar(_) = node.kind {
        let address = reader.scalar(node, "address", values::address).into_option()?;
        return Some(plan(address, None, false));
    }
    let fields = reader.fields(node, &keys::LISTENER)?;
    let tls = fields.find("tls").and_then(|node| tls(reader, node, base));
    let proxy_protocol = reader.field(&fields, "proxy-protocol", proxy_protocol).or(false);
    let address =
        reader.required(&fields, "address", "a listener", "0.0.0.0:8080", values::address).into_option()?;
    Some(plan(address, tls, proxy_protocol))
}

/// There is no `optional`: whether a header comes must not be guessed from what the client sends.
fn proxy_protocol(text: &str) -> Parsed<bool> {
    values::one_of(text, "a rule for the PROXY protocol", &[("off", false), ("required", true)])
}

fn tls(reader: &mut Reader<'_>, node: &Node, base: &Path) -> Option<TlsPlan> {
    let fields = reader.fields(node, &keys::TLS)?;
    let min_version = reader.field(&fields, "min-version", version).or_default();
    let client_auth = client_auth(reader, &fields, base);
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
    Some(TlsPlan { certificates, min_version, client_auth })
}

fn version(text: &str) -> Parsed<TlsVersion> {
    values::one_of(
        text,
        "a version of TLS that is spoken",
        &[("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)],
    )
}

fn certificate(reader: &mut Reader<'_>, node: &Node, base: &Path) -> Option<CertificatePlan> {
    let fields = reader.fields(node, &keys::CERTIFICATE)?;
    let certificate = reader.required(&fields, "certificate", "a certificate", "FILE", values::file);
    let key = reader.required(&fields, "key", "a certificate", "FILE", values::file);
    let joined = |file: At<PathBuf>| base.join(file.value);
    Some(CertificatePlan { certificate: joined(certificate.into_option()?), key: joined(key.into_option()?) })
}

fn client_auth(reader: &mut Reader<'_>, fields: &Fields<'_>, base: &Path) -> Option<ClientAuthPlan> {
    let ca = reader.field(fields, "client-ca", values::file);
    let required = reader.field(fields, "client-auth", required);
    let pass_as = reader.field(fields, "client-cert-header", certificate_field);
    let without_ca = [
        ("client-auth", required.at().map(|rule| rule.span)),
        ("client-cert-header", pass_as.at().map(|name| name.span)),
    ];
    for (key, span) in without_ca {
        if let Some(span) = span.filter(|_| ca.is_absent()) {
            let text = format!("`{key}` without a `client-ca` to check against");
            reader.report(Diagnostic::error(span, text).expected("`client-ca: FILE` beside it"));
        }
    }
    let pass_as = pass_as.into_option().map(|name| name.value);
    Some(ClientAuthPlan { ca: base.join(ca.into_option()?.value), required: required.or(true), pass_as })
}

/// Fields that say something else must not be overwritten by it.
fn certificate_field(text: &str) -> Parsed<String> {
    const TAKEN: [&str; 8] = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "upgrade",
        "cookie",
        "authorization",
    ];
    let name = values::header_name(text)?;
    if TAKEN.contains(&&*name) || name.starts_with("x-forwarded-") {
        let problem = format!("`{name}` says something else");
        return Err(values::Wrong::new(problem, "Client-Cert, or a name of your own as X-Client-Cert"));
    }
    Ok(name)
}

fn required(text: &str) -> Parsed<bool> {
    values::one_of(text, "a rule for client certificates", &[("required", true), ("optional", false)])
}
