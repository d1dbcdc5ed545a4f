//! The bounds of the data path: `docs/limits.md` says what each does.

use crate::diagnostics::quote;
use crate::keys;
use crate::plan::LimitsPlan;
use crate::reader::{Fields, Reader};
use crate::values::{self, Parsed, Wrong};

pub(crate) fn all(reader: &mut Reader<'_>, fields: &Fields<'_>) -> LimitsPlan {
    let d = LimitsPlan::default();
    let Some(node) = fields.find("limits") else { return d };
    let Some(fields) = reader.fields(node, &keys::LIMITS) else { return d };
    let mut read = Limits { reader, fields: &fields };
    LimitsPlan {
        head_timeout: read.get("head-timeout", values::duration, d.head_timeout),
        min_head_rate: read.get("min-head-rate", values::bytes_or_none, d.min_head_rate),
        head_bytes: read.get("head-bytes", head_bytes, d.head_bytes),
        uri_bytes: read.get("uri-bytes", uri_bytes, d.uri_bytes),
        body_bytes: read.get("body-bytes", values::bytes_or_none, d.body_bytes),
        body_timeout: read.get("body-timeout", values::duration, d.body_timeout),
        min_body_rate: read.get("min-body-rate", values::bytes_or_none, d.min_body_rate),
        send_timeout: read.get("send-timeout", values::duration, d.send_timeout),
        connections: read.get("connections", values::count, d.connections),
        connections_per_address: read.get(
            "connections-per-address",
            count_or_none,
            d.connections_per_address,
        ),
        handshakes: read.get("handshakes", values::count, d.handshakes),
        handshake_timeout: read.get("handshake-timeout", values::duration, d.handshake_timeout),
        http2_streams: read.get("http2-streams", streams, d.http2_streams),
        http2_resets: read.get("http2-resets", frames, d.http2_resets),
        http2_control_frames: read.get("http2-control-frames", frames, d.http2_control_frames),
        http2_ping_interval: read.get("http2-ping-interval", values::duration, d.http2_ping_interval),
        http2_ping_timeout: read.get("http2-ping-timeout", values::duration, d.http2_ping_timeout),
        in_flight: read.get("in-flight", values::count, d.in_flight),
        idle_timeout: read.get("idle-timeout", values::duration, d.idle_timeout),
        drain_timeout: read.get("drain-timeout", values::duration, d.drain_timeout),
        shadow_queue: read.get("shadow-queue", values::count, d.shadow_queue),
        shadow_body_bytes: read.get("shadow-body-bytes", values::memory_bytes, d.shadow_body_bytes),
        detached_writes: read.get("detached-writes", values::count, d.detached_writes),
    }
}

struct Limits<'r, 'd, 'n> {
    reader: &'r mut Reader<'d>,
    fields: &'r Fields<'n>,
}

impl Limits<'_, '_, '_> {
    fn get<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Parsed<T>, default: T) -> T {
        self.reader.field(self.fields, key, parse).or(default)
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

fn count_or_none(text: &str) -> Parsed<Option<usize>> {
    if text == "none" {
        return Ok(None);
    }
    values::count(text)
        .map(Some)
        .map_err(|wrong| Wrong { expected: format!("{}, or none", wrong.expected), ..wrong })
}

/// More streams than this on one connection serve nobody and cost memory.
fn streams(text: &str) -> Parsed<u32> {
    counted(text, 1_000)
}

fn frames(text: &str) -> Parsed<u32> {
    counted(text, 1_000_000)
}

fn counted(text: &str, max: u32) -> Parsed<u32> {
    match u32::try_from(values::count(text)?) {
        Ok(number) if number <= max => Ok(number),
        _ => Err(Wrong::new(
            format!("{} is out of range", quote(text)),
            format!("a whole number from 1 to {max}"),
        )),
    }
}
