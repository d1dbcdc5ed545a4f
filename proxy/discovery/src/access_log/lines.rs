//! Formats whose fields stand in a fixed order, and LTSV.

use memchr::{memchr, memchr2};

use super::time::{self, Clock};
use super::{Record, number, request_line, seconds, status};

pub(super) type Read<'a> = Result<Option<Record<'a>>, &'static str>;

/// `host ident user [time] "request" status bytes …`, of nginx and Apache; what stands in front of the time and behind
/// the bytes is not looked at.
pub(super) fn combined<'a>(line: &'a [u8], clock: &mut Clock) -> Read<'a> {
    let mut from = 0;
    let (at, rest) = loop {
        let Some(open) = memchr(b'[', &line[from..]) else { return Err("there is no [time]") };
        from += open + 1;
        let text = &line[from..];
        if let Some(at) = clock.common(text) {
            let close = match text.get(time::COMMON_BYTES) {
                Some(b']') => time::COMMON_BYTES,
                _ => memchr(b']', text).ok_or("the time is not closed")?,
            };
            break (at, &text[close + 1..]);
        }
        if from > 256 {
            return Err("there is no [time]");
        }
    };
    let Some(rest) = rest.strip_prefix(b" \"") else { return Err("there is no \"request\" behind the time") };
    let (request, rest) = quoted(rest).ok_or("the \"request\" is not closed")?;
    let (method, target) = request_line(request);
    let rest = rest.strip_prefix(b" ").ok_or("there is no status behind the request")?;
    let (code, rest) = word(rest);
    let status = status(code).ok_or("the status is no number of three digits")?;
    let (bytes, rest) = word(rest);
    let (bytes_out, agent) = (number(bytes), agent(rest));
    Ok(Some(Record { at_unix_ms: at, method, target, status, bytes_out, agent, ..Record::default() }))
}

/// What stands behind the bytes: `"referer" "agent"`.
fn agent(rest: &[u8]) -> Option<&[u8]> {
    let (_, rest) = quoted(rest.strip_prefix(b"\"")?)?;
    quoted(rest.strip_prefix(b" \"")?).map(|(agent, _)| agent)
}

/// `label:value`, separated by tabs (ltsv.org).
pub(super) fn ltsv<'a>(line: &'a [u8], clock: &mut Clock) -> Read<'a> {
    let mut record = Record::default();
    let (mut at, mut code) = (None, None);
    for field in line.split(|byte| *byte == b'\t') {
        let Some(colon) = memchr(b':', field) else { continue };
        let value = &field[colon + 1..];
        match &field[..colon] {
            b"time" | b"time_local" | b"time_iso8601" | b"timestamp" | b"msec" => {
                at = at.or(any_time(value, clock))
            }
            b"req" | b"request" => (record.method, record.target) = request_line(value),
            b"method" | b"request_method" => record.method = value,
            b"uri" | b"path" | b"request_uri" => record.target = value,
            b"status" => code = Some(value),
            b"size" | b"body_bytes_sent" | b"bytes_sent" => record.bytes_out = number(value),
            b"reqtime" | b"request_time" => record.duration_us = seconds(value),
            b"reqtime_microsec" => record.duration_us = number(value),
            b"ua" | b"user_agent" | b"http_user_agent" => record.agent = Some(value),
            b"vhost" | b"http_host" | b"server_name" => record.host = Some(value),
            _ => {}
        }
    }
    finished(record, at, code)
}

/// A record whose parts were found one by one.
pub(super) fn finished<'a>(record: Record<'a>, at: Option<u64>, code: Option<&[u8]>) -> Read<'a> {
    let at_unix_ms = at.ok_or("there is no time that can be read")?;
    if record.target.is_empty() {
        return Err("there is no path");
    }
    let status =
        status(code.ok_or("there is no status")?).ok_or("the status is no number of three digits")?;
    // A log without methods says nothing of them; most calls are GET.
    let method = if record.method.is_empty() { b"GET" } else { record.method };
    Ok(Some(Record { at_unix_ms, status, method, ..record }))
}

/// A time in any of the forms that are known.
pub(super) fn any_time(text: &[u8], clock: &mut Clock) -> Option<u64> {
    let text = text.strip_prefix(b"[").unwrap_or(text);
    match text.first()? {
        b'0'..=b'9' if text.get(2) == Some(&b'/') => clock.common(text),
        b'0'..=b'9' if text.get(4) == Some(&b'-') => time::rfc3339(text),
        _ => time::epoch(text),
    }
}

/// `type time elb client target 3 times elb_status target_status received sent "request" …`; classic load balancers
/// leave the type out. Fields are added at the end from time to time.
pub(super) fn load_balancer<'a>(line: &'a [u8], clock: &mut Clock) -> Read<'a> {
    let quote = memchr(b'"', line).ok_or("there is no \"request\"")?;
    let mut fields = line[..quote].split(|byte| *byte == b' ');
    let mut next = || {
        fields.next().filter(|field| !field.is_empty()).ok_or("fields are missing in front of the request")
    };
    let mut first = next()?;
    if matches!(first, b"http" | b"https" | b"h2" | b"grpcs" | b"ws" | b"wss") {
        first = next()?;
    }
    let at = any_time(first, clock).ok_or("there is no time that can be read")?;
    for _ in 0..3 {
        next()?;
    }
    // -1 where that step was never reached.
    let duration_us = seconds(next()?) + seconds(next()?) + seconds(next()?);
    let status = status(next()?).ok_or("the status is no number of three digits")?;
    for _ in 0..2 {
        next()?;
    }
    let bytes_out = number(next()?);
    let (request, rest) = quoted(&line[quote + 1..]).ok_or("the \"request\" is not closed")?;
    let agent = rest.strip_prefix(b" \"").and_then(quoted).map(|(agent, _)| agent);
    let (method, target) = request_line(request);
    // `- http://host:80- ` where no request could be read.
    let target = if method == b"-" { b"-" } else { target };
    Ok(Some(Record {
        at_unix_ms: at,
        method,
        target,
        status,
        duration_us,
        bytes_out,
        agent,
        ..Record::default()
    }))
}

/// The text up to the closing quote, and what follows it; quotes inside are escaped.
pub(super) fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let at = from + memchr2(b'"', b'\\', text.get(from..)?)?;
        if text[at] == b'"' {
            return Some((&text[..at], &text[at + 1..]));
        }
        from = at + 2;
    }
}

/// The text up to a space, and what follows it. For short words: a search for one byte costs more than they do.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == b' ') {
        Some(space) => (&text[..space], &text[space + 1..]),
        None => (text, b""),
    }
}
