//! The body layer: what form the bodies have, and the comparison that suits it.

use crate::answer::{Answer, Body, Call};
use crate::decode::{Packed, decode};
use crate::difference::{Findings, Kind};
use crate::headers::MediaType;
use crate::json;
use crate::rules::Rules;
use crate::shown::{HashKey, Shown};
use crate::text;
use crate::verdict::{Layer, Verdict};

/// Adds what differs to `findings`. An error is the verdict for bodies that could not be compared to the end,
/// should nothing else differ.
pub(crate) fn compare(
    call: &Call<'_>,
    legacy: &Answer,
    function: &Answer,
    rules: &Rules,
    findings: &mut Findings,
) -> Result<(), Verdict> {
    if legacy.status == 101 || call.method == "CONNECT" {
        return Err(Verdict::NotComparable);
    }
    if has_no_body(call, legacy) || has_no_body(call, function) || rules.ignores_body() {
        return Ok(());
    }
    let same_coding = legacy.values("content-encoding").eq(function.values("content-encoding"));
    if same_coding && legacy.body.is_same_as(&function.body) {
        return Ok(());
    }
    let media_types = [legacy, function].map(MediaType::of);
    if media_types.iter().any(MediaType::is_stream) {
        return Err(Verdict::NotComparable);
    }
    if !legacy.body.complete || !function.body.complete {
        return Err(Verdict::TooLarge);
    }
    match (decode(legacy), decode(function)) {
        (Ok(legacy), Ok(function)) => compare_plain(&media_types, &legacy, &function, rules, findings),
        (Err(Packed::TooLarge), _) | (_, Err(Packed::TooLarge)) => Err(Verdict::TooLarge),
        (Err(Packed::Unknown), _) | (_, Err(Packed::Unknown)) => Err(Verdict::NotComparable),
        (Err(_), Err(_)) => {
            compare_bytes(&legacy.body.bytes, &function.body.bytes, findings);
            Ok(())
        }
        (legacy, function) => {
            let shown = [legacy.is_ok(), function.is_ok()]
                .map(|ok| Shown::word(if ok { "readable" } else { "damaged" }));
            findings.add(Layer::Body, "body", Kind::Encoding, shown, None);
            Ok(())
        }
    }
}

fn has_no_body(call: &Call<'_>, answer: &Answer) -> bool {
    call.method == "HEAD" || matches!(answer.status, 100..=199 | 204 | 205 | 304)
}

fn compare_plain(
    media_types: &[MediaType; 2],
    legacy: &[u8],
    function: &[u8],
    rules: &Rules,
    findings: &mut Findings,
) -> Result<(), Verdict> {
    if legacy == function {
        return Ok(());
    }
    let lines = media_types.iter().any(MediaType::is_json_lines);
    let declared = lines || media_types.iter().any(MediaType::is_json);
    if declared || (looks_like_json(legacy) && looks_like_json(function)) {
        match (json::parse(legacy, lines), json::parse(function, lines)) {
            (Ok(legacy), Ok(function)) => return json::compare(&legacy, &function, rules, findings),
            (Err(json::Unreadable::TooLarge), _) | (_, Err(json::Unreadable::TooLarge)) => {
                return Err(Verdict::Budget);
            }
            (Err(_), Err(_)) => {}
            (legacy_read, function_read) if declared => {
                let form = |is_json: bool, bytes| {
                    if is_json { Shown::word("json") } else { form(bytes, findings.key) }
                };
                let shown = [form(legacy_read.is_ok(), legacy), form(function_read.is_ok(), function)];
                findings.add(Layer::Body, "body", Kind::Type, shown, None);
                return Ok(());
            }
            _ => {}
        }
    }
    if is_text(legacy) && is_text(function) {
        text::compare(legacy, function, findings);
    } else {
        compare_bytes(legacy, function, findings);
    }
    Ok(())
}

/// Worth an attempt although nobody called it JSON.
fn looks_like_json(bytes: &[u8]) -> bool {
    let start = bytes.strip_prefix(json::BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii_start();
    matches!(start.first(), Some(b'{' | b'['))
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}

fn form(bytes: &[u8], key: HashKey) -> Shown {
    if is_text(bytes) { Shown::text(bytes, key) } else { bytes_shown(bytes, key) }
}

fn compare_bytes(legacy: &[u8], function: &[u8], findings: &mut Findings) {
    let kind = if legacy.len() == function.len() { Kind::Value } else { Kind::Size };
    let shown = [legacy, function].map(|bytes| bytes_shown(bytes, findings.key));
    findings.add(Layer::Body, "body:bytes", kind, shown, None);
}

fn bytes_shown(bytes: &[u8], key: HashKey) -> Shown {
    let body = Body::of(bytes);
    Shown::bytes(body.length, body.hash, key)
}
