use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use starve_discovery::Template;
use starve_routing::Methods;

use crate::arguments::{Format, Global, Report, ReportFormat, Suggest};
use crate::output::{Failure, print, print_json};
use crate::report;

/// What is needed of a report.
#[derive(Deserialize)]
struct Found {
    discovered: Vec<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    method: String,
    template: String,
    calls: u64,
}

/// One entry: the methods of a path together.
#[derive(Serialize)]
struct Entry {
    #[serde(rename = "match")]
    pattern: String,
    calls: u64,
}

pub(crate) fn run(global: &Global, suggest: &Suggest) -> Result<(), Failure> {
    let report = Report { since: suggest.since, format: ReportFormat::Json, dead: false };
    let found: Found = serde_json::from_str(&report::fetch(global, &report)?).map_err(Failure::new)?;
    let mut entries = entries(&found.discovered);
    entries.retain(|entry| entry.calls >= suggest.calls);
    match suggest.format {
        Format::Json => print_json(&entries),
        Format::Text => print(&text(&entries)),
    }
}

fn entries(endpoints: &[Endpoint]) -> Vec<Entry> {
    let mut paths: BTreeMap<String, (Vec<String>, u64)> = BTreeMap::new();
    for endpoint in endpoints {
        // What is counted together, such as calls that showed no endpoint, has no path and so no pattern.
        let template = Template::stored(&endpoint.method, &endpoint.template);
        let Some(pattern) = template.suggested_pattern() else { continue };
        let (methods, calls) = paths.entry(pattern.path_template().to_owned()).or_default();
        *calls += endpoint.calls;
        match pattern.methods() {
            Methods::Any => methods.push("*".to_owned()),
            Methods::These(these) => methods.extend(these.iter().map(ToString::to_string)),
        }
    }
    let entry = |(path, (mut methods, calls)): (String, (Vec<String>, u64))| {
        methods.sort_unstable();
        let methods =
            if methods.iter().any(|method| method == "*") { "*".to_owned() } else { methods.join(",") };
        Entry { pattern: format!("{methods} {path}"), calls }
    };
    let mut entries: Vec<_> = paths.into_iter().map(entry).collect();
    entries.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| a.pattern.cmp(&b.pattern)));
    entries
}

fn text(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "Nothing was discovered: every call had a route.\n".to_owned();
    }
    let mut text = "# Endpoints without a route of their own, most called first.\nroutes:\n".to_owned();
    let width = entries.iter().map(|entry| entry.pattern.len()).max().unwrap_or(0) + 2;
    for Entry { pattern, calls } in entries {
        // A star would begin an alias in YAML.
        let pattern = if pattern.starts_with('*') { format!("\"{pattern}\"") } else { pattern.clone() };
        // A String takes all that is written to it.
        let _written = writeln!(text, "  - match: {pattern:width$}  # {calls} calls");
    }
    text
}
