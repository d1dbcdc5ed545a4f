//! One JSON object a line, read without building it: only fields that have a meaning are looked at.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use memchr::{memchr, memchr2};
use rustc_hash::FxHasher;

use super::lines::{Read, any_time};
use super::time::Clock;
use super::{Record, number, request_line, seconds};

/// Objects inside objects that are looked into; those below are passed over.
const DEPTH_MAX: usize = 4;
/// Objects and arrays inside one another that are passed over.
const NESTING_MAX: usize = 128;
const NAME_BYTES_MAX: usize = 128;

/// What a field of a line tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Time,
    /// The whole request line.
    Request,
    Method,
    Path,
    Status,
    Bytes,
    Host,
    Agent,
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// How the fields are called. Inside objects, names are joined by dots: `request.uri`.
#[derive(Clone, Debug)]
pub struct Fields {
    names: HashMap<Vec<u8>, Field, BuildHasherDefault<FxHasher>>,
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
    }
}

impl Eq for Fields {}

/// What nginx configurations, Caddy, Traefik, Envoy, HAProxy, cloud load balancers and loggers of frameworks call them.
const KNOWN: [(Field, &[&str]); 12] = [
    (
        Field::Time,
        &[
            "time",
            "time_local",
            "time_iso8601",
            "timestamp",
            "@timestamp",
            "ts",
            "msec",
            "StartUTC",
            "start_time",
            "date",
            "datetime",
            "requestTime",
            "request_timestamp",
        ],
    ),
    (Field::Request, &["request", "request_line", "http_request"]),
    (
        Field::Method,
        &[
            "method",
            "request_method",
            "RequestMethod",
            "http_method",
            "httpMethod",
            "verb",
            "request.method",
            "http.method",
            "http.request.method",
            "httpRequest.requestMethod",
            "req.method",
        ],
    ),
    (
        Field::Path,
        &[
            "path",
            "request_uri",
            "uri",
            "url",
            "RequestPath",
            "request_path",
            "resourcePath",
            "request.uri",
            "request.path",
            "request.url",
            "http.path",
            "http.url",
            "http.target",
            "url.path",
            "url.original",
            "httpRequest.requestUrl",
            "req.url",
        ],
    ),
    (
        Field::Status,
        &[
            "status",
            "status_code",
            "statusCode",
            "DownstreamStatus",
            "response_code",
            "http_status",
            "code",
            "response.status",
            "response.status_code",
            "http.status_code",
            "http.response.status_code",
            "httpRequest.status",
            "res.statusCode",
        ],
    ),
    (
        Field::Bytes,
        &[
            "body_bytes_sent",
            "bytes_sent",
            "size",
            "DownstreamContentSize",
            "bytes",
            "response_size",
            "responseLength",
        ],
    ),
    (
        Field::Host,
        &[
            "host",
            "http_host",
            "server_name",
            "vhost",
            "RequestHost",
            "authority",
            "request.host",
            "domainName",
        ],
    ),
    (
        Field::Agent,
        &[
            "http_user_agent",
            "user_agent",
            "userAgent",
            "agent",
            "ua",
            "request_User-Agent",
            "user_agent.original",
            "http.useragent",
            "httpRequest.userAgent",
            "req.headers.user-agent",
        ],
    ),
    (Field::Seconds, &["request_time", "duration", "latency", "reqtime", "response_time"]),
    (Field::Millis, &["duration_ms", "responseTime", "response_time_ms", "elapsed_ms", "latency_ms", "took"]),
    (Field::Micros, &["duration_us", "reqtime_microsec"]),
    (Field::Nanos, &["Duration", "duration_ns"]),
];

impl Default for Fields {
    fn default() -> Self {
        let names = KNOWN
            .iter()
            .flat_map(|(field, names)| names.iter().map(|name| (name.as_bytes().to_vec(), *field)));
        Self { names: names.collect() }
    }
}

impl Fields {
    /// What can be told, as it is typed.
    pub const NAMES: [(&'static str, Field); 12] = [
        ("time", Field::Time),
        ("request", Field::Request),
        ("method", Field::Method),
        ("path", Field::Path),
        ("status", Field::Status),
        ("bytes", Field::Bytes),
        ("host", Field::Host),
        ("agent", Field::Agent),
        ("seconds", Field::Seconds),
        ("milliseconds", Field::Millis),
        ("microseconds", Field::Micros),
        ("nanoseconds", Field::Nanos),
    ];

    /// Takes one field from this name alone.
    pub fn set(&mut self, field: Field, name: &str) {
        let is_duration =
            |field: Field| matches!(field, Field::Seconds | Field::Millis | Field::Micros | Field::Nanos);
        self.names.retain(|_, known| *known != field && !(is_duration(*known) && is_duration(field)));
        self.names.insert(name.as_bytes().to_vec(), field);
    }
}

/// Holds a path that had escapes in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch(Vec<u8>);

pub(super) fn line<'a>(
    line: &'a [u8],
    fields: &Fields,
    clock: &mut Clock,
    scratch: &'a mut Scratch,
) -> Read<'a> {
    let mut scanner = Scanner { text: line, at: 0 };
    scanner.skip_space();
    if scanner.next() != Some(b'{') {
        return Err("it is no JSON object");
    }
    let mut found = Found::default();
    let mut name = Name::default();
    object(&mut scanner, fields, clock, &mut name, 0, &mut found).ok_or("it is no whole JSON object")?;
    let at_unix_ms =
        found.at.ok_or("there is no time that can be read; --field time=NAME says where it is")?;
    let code = found.status.ok_or("there is no status; --field status=NAME says where it is")?;
    let status = super::status(code).ok_or("the status is no number of three digits")?;
    let (method, target) = match (found.path, found.request) {
        (Some(path), request) => {
            (found.method.or(request.map(|request| request_line(request).0)).unwrap_or(b"GET"), path)
        }
        (None, Some(request)) => request_line(request),
        (None, None) => return Err("there is no path; --field path=NAME says where it is"),
    };
    let path_end = memchr(b'?', target).unwrap_or(target.len());
    let target = match memchr(b'\\', &target[..path_end]) {
        None => &target[..path_end],
        Some(_) => unescaped(&target[..path_end], &mut scratch.0),
    };
    let (duration_us, bytes_out) = (found.duration_us, found.bytes);
    Ok(Some(Record {
        at_unix_ms,
        method,
        target,
        host: found.host,
        status,
        duration_us,
        bytes_out,
        agent: found.agent,
        is_decoded: false,
    }))
}

#[derive(Default)]
struct Found<'a> {
    at: Option<u64>,
    request: Option<&'a [u8]>,
    method: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    status: Option<&'a [u8]>,
    host: Option<&'a [u8]>,
    agent: Option<&'a [u8]>,
    bytes: u64,
    duration_us: u64,
}

impl<'a> Found<'a> {
    fn take(&mut self, field: Field, value: &'a [u8], clock: &mut Clock) {
        match field {
            Field::Time => self.at = self.at.or_else(|| any_time(value, clock)),
            Field::Request => self.request = self.request.or(Some(value)),
            Field::Method => self.method = self.method.or(Some(value)),
            Field::Path => self.path = self.path.or(Some(value)),
            Field::Status => self.status = self.status.or(Some(value)),
            Field::Host => self.host = self.host.or(Some(value)),
            Field::Agent => self.agent = self.agent.or(Some(value)),
            Field::Bytes => self.bytes = number(value),
            Field::Seconds => self.duration_us = seconds(value),
            Field::Millis => self.duration_us = seconds(value) / 1_000,
            Field::Micros => self.duration_us = number(value),
            Field::Nanos => self.duration_us = number(value) / 1_000,
        }
    }
}

/// The names of the objects around and of the field, joined by dots.
struct Name {
    text: [u8; NAME_BYTES_MAX],
    length: usize,
}

impl Default for Name {
    fn default() -> Self {
        Self { text: [0; NAME_BYTES_MAX], length: 0 }
    }
}

impl Name {
    /// Adds a name; `None` where it is longer than any that is looked for.
    fn push(&mut self, name: &[u8]) -> Option<usize> {
        let (before, dot) = (self.length, usize::from(self.length > 0));
        let end = before + dot + name.len();
        if dot == 1 {
            *self.text.get_mut(before)? = b'.';
        }
        self.text.get_mut(before + dot..end)?.copy_from_slice(name);
        self.length = end;
        Some(before)
    }
}

/// Reads the fields of an object whose brace was read.
fn object<'a>(
    scanner: &mut Scanner<'a>,
    fields: &Fields,
    clock: &mut Clock,
    name: &mut Name,
    depth: usize,
    found: &mut Found<'a>,
) -> Option<()> {
    scanner.skip_space();
    if scanner.peek()? == b'}' {
        scanner.at += 1;
        return Some(());
    }
    loop {
        scanner.skip_space();
        if scanner.next()? != b'"' {
            return None;
        }
        let key = scanner.string()?;
        scanner.skip_space();
        if scanner.next()? != b':' {
            return None;
        }
        scanner.skip_space();
        match (name.push(key), scanner.peek()?) {
            (Some(before), b'{') if depth < DEPTH_MAX => {
                scanner.at += 1;
                object(scanner, fields, clock, name, depth + 1, found)?;
                name.length = before;
            }
            (before, _) => {
                let value = scanner.value()?;
                let field = before.and_then(|_| fields.names.get(&name.text[..name.length]));
                if let (Some(field), Some(value)) = (field, value) {
                    found.take(*field, value, clock);
                }
                name.length = before.unwrap_or(name.length);
            }
        }
        scanner.skip_space();
        match scanner.next()? {
            b',' => {}
            b'}' => return Some(()),
            _ => return None,
        }
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// What stands in quotes, whose first one was read; escapes stay.
    fn string(&mut self) -> Option<&'a [u8]> {
        let from = self.at;
        loop {
            self.at += memchr2(b'"', b'\\', self.text.get(self.at..)?)?;
            if self.text[self.at] == b'"' {
                self.at += 1;
                return Some(&self.text[from..self.at - 1]);
            }
            self.at += 2;
        }
    }

    /// A scalar's text; nothing for `null`, objects and arrays, which are passed over.
    fn value(&mut self) -> Option<Option<&'a [u8]>> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                Some(Some(self.string()?))
            }
            b'{' | b'[' => {
                self.skip_nested()?;
                Some(None)
            }
            _ => {
                let rest = &self.text[self.at..];
                let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t'))?;
                self.at += end;
                Some(Some(&rest[..end]).filter(|text| *text != b"null"))
            }
        }
    }

    fn skip_nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'"' => drop(self.string()?),
                _ => {}
            }
            match depth {
                0 => return Some(()),
                1..=NESTING_MAX => {}
                _ => return None,
            }
        }
    }
}

/// The text without JSON's escapes; what is no ASCII is percent-escaped, as in a path.
fn unescaped<'a>(text: &[u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    scratch.clear();
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match (byte, tail.first()) {
            (b'\\', Some(b'u')) => {
                let digits = tail.get(1..5).and_then(|digits| std::str::from_utf8(digits).ok());
                let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
                match code.and_then(char::from_u32) {
                    Some(c) if c.is_ascii() => scratch.push(c as u8),
                    Some(c) => {
                        let mut bytes = [0; 4];
                        for byte in c.encode_utf8(&mut bytes).bytes() {
                            scratch.extend_from_slice(format!("%{byte:02X}").as_bytes());
                        }
                    }
                    // Half of a pair, or no digits: the path is refused later on.
                    None => scratch.push(b'\\'),
                }
                rest = tail.get(5..).unwrap_or_default();
            }
            (b'\\', Some(escaped)) => {
                scratch.push(*escaped);
                rest = &tail[1..];
            }
            _ => scratch.push(*byte),
        }
    }
    scratch
}
