use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use starve_discovery::Template;
use starve_discovery::inventory::sample_path;
use starve_engine::ConfigFile;
use starve_routing::{self as routing, Methods, Pattern, PlainRequest, Predicates, RouteTable};

use crate::arguments::{Format, Global, Report, ReportFormat, Suggest};
use crate::output::{Failure, print, print_json};
use crate::report;

/// What is needed of a report.
#[derive(Deserialize)]
struct Found {
    discovered: Vec<Endpoint>,
    routes: Vec<Configured>,
}

#[derive(Deserialize)]
struct Endpoint {
    method: String,
    template: String,
    calls: u64,
}

#[derive(Deserialize)]
struct Configured {
    #[serde(rename = "match")]
    pattern: String,
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
    let configured = configured(global, &found.routes);
    let mut entries = entries(&found.discovered, configured);
    entries.retain(|entry| entry.calls >= suggest.calls);
    match suggest.format {
        Format::Json => print_json(&entries),
        Format::Text => print(&text(&entries)),
    }
}

/// The routes that there are: from the file, since a report does not tell their predicates; from the report where the
/// proxy is another machine's.
fn configured(global: &Global, told: &[Configured]) -> Vec<routing::Entry<()>> {
    let entry = |pattern: Pattern, when: Predicates| routing::Entry { pattern, when, value: () };
    match ConfigFile::new(&global.config).read() {
        Ok(read) => {
            read.plan.routes.iter().map(|route| entry(route.pattern.clone(), route.when.clone())).collect()
        }
        Err(_) => {
            let patterns = told.iter().filter_map(|route| route.pattern.parse().ok());
            patterns.map(|pattern| entry(pattern, Predicates::default())).collect()
        }
    }
}

/// Entries that can stand beside the routes that there are. What a route takes by now is suggested no more.
fn entries(endpoints: &[Endpoint], beside: Vec<routing::Entry<()>>) -> Vec<Entry> {
    let table = RouteTable::build(beside.clone()).ok();
    let is_taken = |endpoint: &Endpoint| {
        let call = PlainRequest::new(&endpoint.method, &sample_path(&endpoint.template));
        table.as_ref().is_some_and(|table| table.find(&call).is_some())
    };
    let mut paths: BTreeMap<String, (Vec<String>, u64)> = BTreeMap::new();
    for endpoint in endpoints.iter().filter(|endpoint| !is_taken(endpoint)) {
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
    drop_conflicts(&mut entries, beside);
    entries
}

/// Leaves out what cannot stand beside the routes or, called less often, beside another entry: what is equal but for the
/// names of its parameters.
fn drop_conflicts(entries: &mut Vec<Entry>, mut all: Vec<routing::Entry<()>>) {
    let routes = all.len();
    entries.retain(|entry| match entry.pattern.parse() {
        Ok(pattern) => {
            all.push(routing::Entry { pattern, when: Predicates::default(), value: () });
            true
        }
        Err(_) => false,
    });
    let Err(conflicts) = RouteTable::build(all) else { return };
    // The later of the two, which is one of ours where the other is a route.
    let going: HashSet<usize> = conflicts
        .iter()
        .filter_map(|conflict| conflict.first.max(conflict.second).checked_sub(routes))
        .collect();
    let mut place = 0..;
    entries.retain(|_| place.next().is_some_and(|place| !going.contains(&place)));
}

fn text(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "Nothing was discovered that has no route.\n".to_owned();
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
