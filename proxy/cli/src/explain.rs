use serde::Serialize;
use starve_engine::ConfigFile;
use starve_migration::Stage;
use starve_routing::{Entry, Outcome, PlainRequest, RouteTable};

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
    let entry = |route: &std::sync::Arc<starve_config::RoutePlan>| Entry {
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
        return print(&format!("{explanation}\n{}\n", outcome(winner.map(|route| &**route))));
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
        candidates: explanation.candidates.iter().map(candidate).collect(),
    })
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

fn outcome(winner: Option<&starve_config::RoutePlan>) -> String {
    let Some(route) = winner else {
        return "No route matches: the call goes to `legacy` and is counted as discovered.".to_owned();
    };
    let function = route.function.as_deref().unwrap_or("no function");
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
