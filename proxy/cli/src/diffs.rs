use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;
use starve_admin::report::{DEFAULT_WINDOW, Options};
use starve_config::{LedgerPlan, RoutePlan};
use starve_engine::ConfigFile;
use starve_ledger::{LedgerError, Reader};

use crate::arguments::{Diffs, Format, Global};
use crate::client::{Admin, ClientError};
use crate::output::{Failure, print};

/// What the admin address answers.
#[derive(Deserialize)]
struct Found {
    comparisons: Vec<Comparisons>,
    fields: Vec<Field>,
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Comparisons {
    route: String,
    verdict: String,
    n: u64,
}

#[derive(Deserialize)]
struct Field {
    route: String,
    path: String,
    kind: String,
    n: u64,
}

#[derive(Deserialize)]
struct Sample {
    route: String,
    method: String,
    target: String,
    verdict: String,
    differences: Vec<Value>,
}

/// From the running proxy; from the files where none runs.
pub(crate) fn run(global: &Global, diffs: &Diffs) -> Result<(), Failure> {
    let mut path = format!("/api/diffs?limit={}", diffs.limit);
    if let Some(route) = &diffs.route {
        let _written = write!(path, "&route={}", encoded(route));
    }
    let body = match Admin::of(global)?.get(&path) {
        Ok(answer) => answer.ok()?,
        Err(ClientError::NotRunning { .. }) if global.admin.is_none() => from_files(global, diffs)?,
        Err(error) => return Err(error.into()),
    };
    if diffs.format == Format::Json {
        return print(&(body + "\n"));
    }
    let found: Found = serde_json::from_str(&body).map_err(Failure::new)?;
    print(&text(&found))
}

fn from_files(global: &Global, diffs: &Diffs) -> Result<String, Failure> {
    let read = ConfigFile::new(&global.config).read()?;
    let is_meant = |name: &str, route: &RoutePlan| route.id == name || route.pattern.to_string() == name;
    let route = match &diffs.route {
        None => None,
        Some(name) => match read.plan.routes.iter().find(|route| is_meant(name, route)) {
            Some(route) => Some(route.id.as_str()),
            None => return Err(Failure::new(format!("there is no route `{name}`"))),
        },
    };
    let LedgerPlan::Sqlite(path) = &read.plan.ledger;
    let failed = |error: LedgerError| Failure::new(crate::output::chain(&error));
    let reader = Reader::open(path).map_err(failed)?;
    let since = Options::last(DEFAULT_WINDOW, crate::output::now_unix_ms()).since_unix_ms;
    let found = starve_admin::Diffs::read(&reader, route, since, diffs.limit).map_err(failed)?;
    serde_json::to_string(&found).map_err(Failure::new)
}

fn text(found: &Found) -> String {
    let mut routes: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for row in &found.comparisons {
        let (compared, different) = routes.entry(&row.route).or_default();
        let is_different = row.verdict.starts_with("different");
        *compared += if is_different || row.verdict == "equal" { row.n } else { 0 };
        *different += if is_different { row.n } else { 0 };
    }
    if routes.is_empty() {
        return "Nothing has been compared yet: a route in stage shadow, canary or live is.\n".to_owned();
    }
    let mut text = String::new();
    for (route, (compared, different)) in routes {
        // A String takes all that is written to it.
        let _written = writeln!(text, "{route}\n  {different} of {compared} compared calls differ");
        for field in found.fields.iter().filter(|field| field.route == route) {
            let _written = writeln!(text, "  {:>7} × {} ({})", field.n, field.path, field.kind);
        }
        for sample in found.samples.iter().filter(|sample| sample.route == route) {
            let _written = writeln!(text, "  {} {}: {}", sample.method, sample.target, sample.verdict);
            for difference in &sample.differences {
                let _written = writeln!(text, "    {}", line(difference));
            }
        }
    }
    text
}

fn line(difference: &Value) -> String {
    let place = difference["path"].as_str().unwrap_or("?");
    let shown =
        |side: &str| difference[side].as_str().map_or_else(|| difference[side].to_string(), str::to_owned);
    format!("{place}: legacy {}, function {}", shown("legacy"), shown("function"))
}

/// Percent-encodes all but unreserved characters (RFC 3986 §2.3).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _written = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
