//! The pages: rendered here, whole without a script; the script only fetches them again.
//!
//! Invariant: every text is escaped by the templates; nothing is inline, so that the strict policy holds.

mod overview;
mod route;
#[cfg(test)]
mod tests;

use http::StatusCode;
use http::header::{self, HeaderValue};
use http::request::Parts;
use maud::{DOCTYPE, Markup, html};

use crate::callers::Callers;
use crate::control::Status;
use crate::query::Query;
use crate::reply::{self, Reply};
use crate::report::{self, Verdict};
use crate::server::{Shared, is_read};
use crate::{api, shown};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("app.js");
const ICON: &str = include_str!("icon.svg");

/// The answer when the request is for a page.
pub(crate) async fn answer(shared: &Shared, head: &Parts) -> Option<Reply> {
    if !is_read(&head.method) {
        return None;
    }
    match head.uri.path() {
        "/" => Some(overview_page(shared, head).await),
        "/routes" => Some(route_page(shared, head).await),
        "/assets/style.css" => Some(asset("text/css; charset=utf-8", STYLE)),
        "/assets/app.js" => Some(asset("text/javascript; charset=utf-8", SCRIPT)),
        "/assets/icon.svg" => Some(asset("image/svg+xml", ICON)),
        _ => None,
    }
}

async fn overview_page(shared: &Shared, head: &Parts) -> Reply {
    let status = shared.control.status();
    // A proxy that discovers nothing has nothing to show of it.
    let found = api::findings(shared).await.ok();
    let main = match api::build_report(shared, &Query::of(&head.uri)).await {
        Ok(Ok(report)) => overview::main(&status, &report, found.as_ref()),
        Ok(Err(unread)) => html! { main { (banners(&status)) p.banner.bad { (unread.to_string()) } } },
        Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    reply::html(StatusCode::OK, document("starve", &status, &main))
}

async fn route_page(shared: &Shared, head: &Parts) -> Reply {
    let status = shared.control.status();
    let query = Query::of(&head.uri);
    let name = query.value("id").unwrap_or_default();
    let routes = shared.control.routes();
    let Some(id) = api::find(&routes, name).map(|route| route.id.clone()) else { return api::no_route(name) };
    let report = match api::build_report(shared, &query).await {
        Ok(report) => report,
        Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    let wanted = id.clone();
    let read = api::read(shared.control.ledger_path(), move |reader| {
        let since = report::Options::last(report::DEFAULT_WINDOW, api::now_unix_ms()).since_unix_ms;
        let callers = Callers::read(reader, &wanted, since, route::CALLERS_SHOWN)?;
        Ok((reader.samples(Some(&wanted), route::SAMPLES_SHOWN)?, callers))
    });
    let main = match (report, read.await) {
        (Ok(report), Ok((samples, callers))) => match report.routes.iter().find(|row| row.id == id) {
            Some(row) => route::main(&status, row, &samples, &callers, report.generated_at_unix_ms),
            None => return api::no_route(name),
        },
        (Err(unread), _) | (_, Err(unread)) => {
            html! { main { (banners(&status)) p.banner.bad { (unread.to_string()) } } }
        }
    };
    reply::html(StatusCode::OK, document(&format!("{id} – starve"), &status, &main))
}

fn asset(content_type: &'static str, text: &'static str) -> Reply {
    let mut reply = reply::text(content_type, text);
    reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    reply
}

fn document(title: &str, status: &Status, main: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/style.css";
                script src="/assets/app.js" defer {}
            }
            body {
                header {
                    a.home href="/" { "starve" }
                    span { "version " (status.version) }
                    span { "generation " (status.generation) }
                    span { (status.config_path.display().to_string()) }
                    span { "up since " (moment(status.started_at_unix_ms)) }
                }
                p #notice role="status" {}
                (main)
            }
        }
    }
    .into_string()
}

/// What must not be overlooked.
fn banners(status: &Status) -> Markup {
    let reload = status.last_reload.as_ref().filter(|reload| !reload.ok);
    let degraded = status.ledger.as_ref().and_then(|health| health.degraded.as_deref());
    html! {
        @if let Some(reload) = reload {
            section.banner.bad {
                h2 { "The last reload failed at " (moment(reload.at_unix_ms)) }
                p { "Generation " (status.generation) " goes on unchanged." }
                pre { (reload.errors) }
            }
        }
        @if let Some(why) = degraded {
            p.banner.bad { "The ledger cannot be written: " (why) ". Counts are kept in memory." }
        }
        @if status.kill_switch {
            p.banner.bad { "The kill switch is on: the monolith answers everything." }
        }
    }
}

fn moment(unix_ms: u64) -> Markup {
    html! { time datetime=(shown::rfc3339(unix_ms)) { (shown::minute(unix_ms)) } }
}

fn ago(unix_ms: Option<u64>, now_unix_ms: u64) -> Markup {
    match unix_ms {
        None => html! { span.dim { "never" } },
        Some(at) => html! {
            time datetime=(shown::rfc3339(at)) title=(shown::minute(at)) { (shown::ago(at, now_unix_ms)) }
        },
    }
}

fn badge(verdict: Verdict) -> Markup {
    html! { span class={ "badge " (verdict.as_str()) } { (verdict.as_str()) } }
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), shown::ratio)
}

fn mean(mean_ms: Option<f64>) -> String {
    mean_ms.map_or_else(|| "–".to_owned(), shown::milliseconds)
}
