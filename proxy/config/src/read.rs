//! The reading of a tree into a [`Spec`]: the settings of the file as a whole.

mod functions;
mod limits;
mod listeners;
mod rewrite;
mod routes;
mod sunset;
mod upstreams;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::diagnostics::quote;
use crate::keys;
use crate::plan::{CallerId, CallersPlan, Secret};
use crate::reader::{Fields, Reader};
use crate::spec::{AdminSpec, Given, Spec};
use crate::values::{self, Parsed, Wrong};
use crate::yaml::{Kind, Node};

/// Reads the whole tree. What could not be read has been reported and is absent or a default.
pub(crate) fn spec(reader: &mut Reader<'_>, root: &Node, base: &Path) -> Option<Spec> {
    let fields = reader.fields(root, &keys::FILE)?;
    reader.field(&fields, "version", version);
    let (compare, shadow_percent) = routes::defaults(reader, &fields);
    Some(Spec {
        listen: listeners::all(reader, &fields, base),
        workers: reader.field(&fields, "workers", values::workers).or(None),
        limits: limits::all(reader, &fields),
        trusted_proxies: reader.field_list(&fields, "trusted-proxies", values::network),
        admin: admin(reader, &fields),
        ledger: base.join(ledger(reader, &fields)),
        callers: callers(reader, &fields),
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

/// `callers: off`, or what names a client.
fn callers(reader: &mut Reader<'_>, fields: &Fields<'_>) -> CallersPlan {
    let Some(node) = fields.find("callers") else { return CallersPlan::default() };
    if let Kind::Scalar(_) = node.kind {
        let off = reader.scalar(node, "callers", |text| values::one_of(text, "a setting", &[("off", false)]));
        return CallersPlan { on: off.or(true), id: None };
    }
    let Some(fields) = reader.fields(node, &keys::CALLERS) else { return CallersPlan::default() };
    let id = reader.field(&fields, "id", caller_id).into_option().map(|at| at.value);
    CallersPlan { on: true, id }
}

fn caller_id(text: &str) -> Parsed<CallerId> {
    match text.split_once(':') {
        Some(("header", name)) => values::header_name(name).map(CallerId::Header),
        Some(("jwt", claim)) if !claim.is_empty() => Ok(CallerId::Jwt(claim.to_owned())),
        _ => {
            let message = format!("{} does not say what names a client", quote(text));
            Err(Wrong::new(message, "header:NAME or jwt:CLAIM"))
        }
    }
}
