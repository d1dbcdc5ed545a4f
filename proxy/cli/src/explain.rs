use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use starve_config::{RoutePlan, utc};
use starve_engine::ConfigFile;
use starve_migration::{Side, Stage};
use starve_routing::{Context, Entry, Outcome, PlainRequest, RouteTable};

use crate::arguments::{Explain, Format, Global};
use crate::output::{Failure, print, print_json};

#[derive(Serialize)]
struct Answer {
    method: String,
    host: Option<String>,
    path: String,
    /// The winner's id; `null` goes to the default upstream and is discovered.
    route: Option<String>,
    stage: Option<&'static str>,
    upstream: String,
    function: Option<String>,
    /// The target that each side gets, where the route rewrites it.
    targets: BTreeMap<&'static str, String>,
    /// What else the route does to messages, in words.
    changes: Vec<String>,
    candidates: Vec<Candidate>,
}

#[derive(Serialize)]
struct Candidate {
    route: String,
    line: usize,
    won: bool,
    why: String,
}

pub(crate) fn run(global: &Global, explain: &Explain) -> Result<(), Failure> {
    let read = ConfigFile::new(&global.config).read()?;
    let routes = &read.plan.routes;
    let entry = |route: &std::sync::Arc<RoutePlan>| Entry {
        pattern: route.pattern.clone(),
        when: route.when.clone(),
        value: route.clone(),
    };
    let table = RouteTable::build(routes.iter().map(entry).collect())
        .map_err(|conflicts| Failure::new(format!("{conflicts:?}")))?;
    let request = request(explain)?;
    let explanation = table.explain(&request);
    let winner = explanation.winner.map(|index| &routes[index]);
    if explain.format == Format::Text {
        let more: String = winner.map(|route| lines(route, &request)).unwrap_or_default();
        return print(&format!("{explanation}\n{}\n{more}", outcome(winner.map(|route| &**route))));
    }
    let candidate = |candidate: &starve_routing::Candidate| Candidate {
        route: routes[candidate.index].id.clone(),
        line: routes[candidate.index].line,
        won: explanation.winner == Some(candidate.index),
        why: why(&candidate.outcome),
    };
    print_json(&Answer {
        method: explanation.method.clone(),
        host: explanation.host.clone(),
        path: explanation.path.clone(),
        route: winner.map(|route| route.id.clone()),
        stage: winner.map(|route| route.policy.stage.as_str()),
        upstream: winner.map_or(starve_config::LEGACY, |route| &route.upstream).to_owned(),
        function: winner.and_then(|route| route.function.clone()),
        targets: winner.map(|route| targets(route, &request)).unwrap_or_default(),
        changes: winner.map(|route| changes(route)).unwrap_or_default(),
        candidates: explanation.candidates.iter().map(candidate).collect(),
    })
}

/// The targets that the sides get, where they are not the client's.
fn targets(route: &RoutePlan, request: &PlainRequest) -> BTreeMap<&'static str, String> {
    let context = Context { request, pattern: &route.pattern, response: None };
    let sides = Side::ALL.into_iter().filter(|side| *side == Side::Legacy || is_served(route));
    sides
        .filter_map(|side| {
            let target = route.changes.rewrite(side)?.target(context);
            Some((side.as_str(), target.unwrap_or_else(|error| format!("400 Bad Request: {error}"))))
        })
        .collect()
}

fn is_served(route: &RoutePlan) -> bool {
    route.function.is_some() || route.files.is_some()
}

/// What else the route does to messages.
fn changes(route: &RoutePlan) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |what: &str, text: String| {
        if !text.is_empty() {
            words.push(format!("{what}: {text}"));
        }
    };
    add("request", route.changes.request.to_string());
    add("response", route.changes.response.to_string());
    add("operations", route.operations.map(|operations| operations.to_string()).unwrap_or_default());
    if let Some(sunset) = &route.sunset {
        add("sunset", sunset.to_string());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        add(
            "brownout",
            match sunset.next_brownout(now) {
                Some(window) if window.start <= now => format!("now, until {}", utc(window.end)),
                Some(window) => format!("next from {} to {}", utc(window.start), utc(window.end)),
                None => String::new(),
            },
        );
    }
    words
}

fn lines(route: &RoutePlan, request: &PlainRequest) -> String {
    let targets = targets(route, request);
    let targets = targets.iter().map(|(side, target)| format!("Rewritten for {side}: {target}"));
    let mut changes: Vec<String> = targets.collect();
    changes.extend(self::changes(route));
    changes.iter().map(|line| format!("{line}\n")).collect()
}

fn why(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Won { .. } => "the most specific that takes the request".to_owned(),
        Outcome::Shadowed { .. } => "takes the request as well, but is less specific".to_owned(),
        Outcome::Rejected { reasons } => {
            reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
    }
}

fn request(explain: &Explain) -> Result<PlainRequest, Failure> {
    let request = PlainRequest::parse(&explain.method, &explain.url);
    let mut request = request.map_err(|error| Failure::new(format!("{}: {error}", explain.url)))?;
    for (name, value) in &explain.headers {
        request = if name == "host" { request.with_host(value) } else { request.with_header(name, value) };
    }
    Ok(request)
}

fn outcome(winner: Option<&RoutePlan>) -> String {
    let Some(route) = winner else {
        return "No route matches: the call goes to `legacy` and is counted as discovered.".to_owned();
    };
    if let Some(respond) = &route.respond {
        return format!("The proxy answers by itself: {respond}.");
    }
    let files = route.files.as_ref().map(|files| files.folder.display().to_string());
    let function = route.function.clone().or(files).unwrap_or_else(|| "no function".to_owned());
    let who = match route.policy.stage {
        Stage::Legacy => format!("upstream `{}` answers", route.upstream),
        Stage::Shadow => format!(
            "upstream `{}` answers; {} % of the calls are copied to `{function}` and compared",
            route.upstream, route.policy.shadow
        ),
        Stage::Canary => format!(
            "`{function}` answers {} % of the users, upstream `{}` the others",
            route.policy.canary, route.upstream
        ),
        Stage::Live => {
            format!("`{function}` answers; {} % are copied back to `{}`", route.policy.mirror, route.upstream)
        }
        Stage::Done => format!("`{function}` answers"),
        Stage::Retired => "nobody answers: 410 Gone".to_owned(),
    };
    format!("Stage {}: {who}.", route.policy.stage)
}
