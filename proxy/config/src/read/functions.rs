//! The reading of `functions:`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::diagnostics::{Diagnostic, quote};
use crate::keys;
use crate::plan::ScalePlan;
use crate::reader::{Fields, Reader};
use crate::spec::{At, FunctionSpec, Given, HostSpec};
use crate::upstream::ServerPlan;
use crate::url::{self, Url};
use crate::values::{self, Parsed, Wrong};
use crate::yaml::{Kind, Node};

pub(super) fn all(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    base: &Path,
) -> Vec<(At<String>, Given<FunctionSpec>)> {
    reader.named(fields, "functions", values::name, |reader, _, node| function(reader, node, base))
}

fn function(reader: &mut Reader<'_>, node: &Node, base: &Path) -> Given<FunctionSpec> {
    let Some(fields) = reader.fields(node, &keys::FUNCTION) else { return Given::Broken };
    let timeout = reader.field(&fields, "timeout", values::duration).or(Duration::from_secs(30));
    let concurrency = reader.field(&fields, "concurrency", values::count).or(100);
    let queue = reader.field(&fields, "queue", values::count_or_zero).or(100);
    let Some(host) = host(reader, node, &fields, base) else { return Given::Broken };
    let value = FunctionSpec { host, timeout, concurrency, queue };
    Given::Is(At { value, span: fields.span })
}

/// The one host of a function; `None` after a report.
fn host(reader: &mut Reader<'_>, node: &Node, fields: &Fields<'_>, base: &Path) -> Option<HostSpec> {
    let written: Vec<&str> = keys::HOSTS.into_iter().filter(|host| fields.find(host).is_some()).collect();
    let host = match written.as_slice() {
        [host] => *host,
        [] => {
            no_host(reader, node, fields);
            return None;
        }
        [first, second, ..] => {
            let message =
                format!("a function runs in one place, and this one has both `{first}` and `{second}`");
            let mut problem = Diagnostic::error(fields.key_span(second).unwrap_or(fields.span), message);
            if let Some(span) = fields.key_span(first) {
                problem = problem.related(span, "the first one");
            }
            reader.report(problem.expected("exactly one of wasm, process, http"));
            return None;
        }
    };
    refuse_keys_of_other_hosts(reader, fields, host);
    match host {
        "wasm" => wasm(reader, fields, base),
        "process" => process(reader, fields, base),
        _ => reader
            .field(fields, "http", |text| target(text, base))
            .into_option()
            .map(|at| HostSpec::Http(at.value)),
    }
}

/// Says nothing where a host of a later version is written: that has its own message.
fn no_host(reader: &mut Reader<'_>, node: &Node, fields: &Fields<'_>) {
    let later = |key: &str| crate::not_yet::is_key(keys::FUNCTION.what, key);
    if node.mapping().is_some_and(|mapping| mapping.entries.iter().any(|entry| later(&entry.key))) {
        return;
    }
    let problem = Diagnostic::error(fields.span, "the function does not say what runs");
    reader.report(problem.expected("exactly one of `wasm: FILE`, `process: [PROGRAM, …]`, `http: URL`"));
}

fn refuse_keys_of_other_hosts(reader: &mut Reader<'_>, fields: &Fields<'_>, host: &str) {
    for (key, owner) in keys::OF_ONE_HOST {
        if let Some(span) = fields.key_span(key).filter(|_| owner != host) {
            let problem =
                Diagnostic::error(span, format!("`{key}` has no meaning for a function with `{host}`"));
            reader.report(problem.expected(format!("`{key}` only beside `{owner}`")));
        }
    }
}

fn wasm(reader: &mut Reader<'_>, fields: &Fields<'_>, base: &Path) -> Option<HostSpec> {
    let file = reader.field(fields, "wasm", values::file);
    let memory_bytes = reader.field(fields, "memory", memory).or(64 << 20);
    let outbound = reader.field_list(fields, "outbound", destination);
    Some(HostSpec::Wasm { file: base.join(file.into_option()?.value), memory_bytes, outbound })
}

fn memory(text: &str) -> Parsed<u64> {
    match values::bytes(text)? {
        size if (1 << 20..=4 << 30).contains(&size) => Ok(size),
        _ => Err(Wrong::new(format!("{} is out of range", quote(text)), "a size from 1MiB to 4GiB")),
    }
}

/// `HOST` or `HOST:PORT`, in lower case.
fn destination(text: &str) -> Parsed<String> {
    let wrong = || Wrong::new(format!("{} is not a host", quote(text)), "HOST or HOST:PORT");
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let good_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number != 0));
    match url::host(host) {
        Some(_) if good_port => Ok(text.to_ascii_lowercase()),
        _ => Err(wrong()),
    }
}

fn process(reader: &mut Reader<'_>, fields: &Fields<'_>, base: &Path) -> Option<HostSpec> {
    let command = command(reader, fields, base);
    let directory = reader.field(fields, "directory", values::file).into_option();
    let scale = scale(reader, fields);
    let env: BTreeMap<String, String> = reader
        .named(fields, "env", values::variable, |reader, name, node| {
            reader.scalar(node, name, |text| Ok(text.to_owned())).or_default()
        })
        .into_iter()
        .map(|(name, value)| (name.value, value))
        .collect();
    let directory = directory.map(|at| base.join(at.value));
    Some(HostSpec::Process { command: command?, directory, env, scale })
}

/// Program and arguments. A program with a slash is a file, found from the configuration's folder; one
/// without is looked up in `PATH`. Arguments are the program's own business.
fn command(reader: &mut Reader<'_>, fields: &Fields<'_>, base: &Path) -> Option<Vec<String>> {
    let node = fields.find("process")?;
    let before = reader.count();
    let mut words = reader.field_list(fields, "process", values::text);
    if reader.count() > before {
        return None;
    }
    let Some(program) = words.first_mut().filter(|program| !program.is_empty()) else {
        let empty = matches!(&node.kind, Kind::Scalar(_)) || words.is_empty();
        let message = if empty { "`process` is empty" } else { "the program has no name" };
        reader.report(Diagnostic::error(node.span, message).expected("`[PROGRAM, ARGUMENT, …]`"));
        return None;
    };
    if program.contains('/') {
        *program = base.join(program.as_str()).to_string_lossy().into_owned();
    }
    Some(words)
}

fn scale(reader: &mut Reader<'_>, fields: &Fields<'_>) -> ScalePlan {
    let defaults = ScalePlan::default();
    let Some(node) = fields.find("scale") else { return defaults };
    let Some(fields) = reader.fields(node, &keys::SCALE) else { return defaults };
    let min = reader.field(&fields, "min", values::count_or_zero);
    let max = reader.field(&fields, "max", values::count);
    if let (Some(min), Some(max)) = (min.at(), max.at())
        && min.value > max.value
    {
        let problem =
            Diagnostic::error(min.span, format!("`min` {} is above `max` {}", min.value, max.value));
        reader.report(problem.related(max.span, "the maximum").expected("`min` at most `max`"));
    }
    // Whoever asks for three instances to be kept has not asked for more than one to be impossible.
    let max_default = min.value().copied().unwrap_or_default().max(defaults.max);
    ScalePlan {
        min: min.or(defaults.min),
        max: max.or(max_default),
        idle: reader.field(&fields, "idle", values::duration).or(defaults.idle),
        start_timeout: reader.field(&fields, "start-timeout", values::duration).or(defaults.start_timeout),
    }
}

fn target(text: &str, base: &Path) -> Parsed<Url> {
    let Url { server, path } = url::url(text)?;
    let server = match server {
        ServerPlan::Unix { path } => ServerPlan::Unix { path: base.join(path) },
        other => other,
    };
    Ok(Url { server, path })
}
