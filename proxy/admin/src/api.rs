//! The API: what the pages and the command line use, and anybody with curl. Described in `docs/admin.md`.

use std::path::PathBuf;
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use starve_callers::TOP_MAX;
use starve_ledger::{LedgerError, Reader};

use crate::callers::{self, Callers};
use crate::control::{ControlError, FlipRequest, KillSwitch, RouteInfo};
use crate::diffs::Diffs;
use crate::discovered::{Findings, TellRequest};
use crate::query::Query;
use crate::reply::{self, Reply};
use crate::report::{self, Report, TableStyle};
use crate::server::{Shared, is_read};

const DIFFS_DEFAULT: usize = 50;
const EVENTS_DEFAULT: usize = 100;
const ROWS_MAX: usize = 1_000;
const TABLE_WIDTH_DEFAULT: usize = 100;

pub(crate) async fn answer(shared: &Shared, head: &Parts, body: Bytes) -> Reply {
    let reads = is_read(&head.method);
    match (head.uri.path(), reads, &head.method) {
        ("/metrics", true, _) => {
            reply::text("text/plain; version=0.0.4; charset=utf-8", shared.control.metrics())
        }
        ("/api/status", true, _) => reply::json(StatusCode::OK, &shared.control.status()),
        ("/api/routes", true, _) => reply::json(StatusCode::OK, &shared.control.routes()),
        ("/api/report", true, _) => report(shared, head).await,
        ("/api/diffs", true, _) => diffs(shared, head).await,
        ("/api/callers", true, _) => callers(shared, head).await,
        ("/api/discovered", true, _) => discovered(shared, head).await,
        ("/api/discovered", _, &Method::POST) => tell(shared, &body).await,
        ("/api/events", true, _) => events(shared, head).await,
        ("/api/reload", _, &Method::POST) => reload(shared).await,
        ("/api/flip", _, &Method::POST) => flip(shared, &body).await,
        ("/api/kill-switch", _, &Method::POST) => kill_switch(shared, &body).await,
        (path, ..) => no_such(path),
    }
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    #[error("no ledger is kept: `ledger:` in routes.yaml switches it on")]
    NoLedger,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("reading the ledger broke off")]
    BrokenOff,
}

/// Opens the ledger and reads from it, on a thread that may wait.
pub(crate) async fn read<T: Send + 'static>(
    ledger: Option<PathBuf>,
    read: impl FnOnce(&Reader) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, Unread> {
    let path = ledger.ok_or(Unread::NoLedger)?;
    let task = tokio::task::spawn_blocking(move || Ok(read(&Reader::open(&path)?)?));
    task.await.unwrap_or(Err(Unread::BrokenOff))
}

/// The report over a window that ends now.
pub(crate) async fn build_report(shared: &Shared, query: &Query) -> Result<Result<Report, Unread>, String> {
    let window = query.window("since", report::DEFAULT_WINDOW)?;
    let mut options = report::Options::last(window, now_unix_ms());
    let status = shared.control.status();
    options.last_reload = status.last_reload;
    options.degraded = status.ledger.and_then(|health| health.degraded);
    let routes = shared.control.routes();
    Ok(read(shared.control.ledger_path(), move |reader| report::build(&routes, Some(reader), &options)).await)
}

pub(crate) fn now_unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The route that is meant: by id, or by its match text.
pub(crate) fn find<'a>(routes: &'a [RouteInfo], name: &str) -> Option<&'a RouteInfo> {
    routes
        .iter()
        .find(|route| route.id == name)
        .or_else(|| routes.iter().find(|route| route.match_text == name))
}

async fn report(shared: &Shared, head: &Parts) -> Reply {
    let query = Query::of(&head.uri);
    let report = match build_report(shared, &query).await {
        Ok(Ok(report)) => report,
        Ok(Err(unread)) => return unavailable(&unread),
        Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    let dead = query.value("dead") == Some("true");
    match query.value("format") {
        None | Some("json") if dead => reply::json(StatusCode::OK, &report.dead_value()),
        None | Some("json") => reply::json(StatusCode::OK, &report),
        Some("csv") => {
            let csv = if dead { report.dead_csv() } else { report.csv() };
            reply::text("text/csv; charset=utf-8; header=present", csv)
        }
        Some("markdown") => {
            let markdown = if dead { report.dead_markdown() } else { report.markdown() };
            reply::text("text/markdown; charset=utf-8", markdown)
        }
        Some("table") => match query.limit("width", TABLE_WIDTH_DEFAULT, 1_000) {
            Ok(width) => {
                let style = TableStyle { width, colour: query.value("colour") == Some("true") };
                let table = if dead { report.dead_table(style) } else { report.table(style) };
                reply::text("text/plain; charset=utf-8", table)
            }
            Err(detail) => reply::problem(StatusCode::BAD_REQUEST, &detail),
        },
        Some(format) => reply::problem(
            StatusCode::BAD_REQUEST,
            &format!("`format={format}` is none of json, csv, markdown, table"),
        ),
    }
}

async fn diffs(shared: &Shared, head: &Parts) -> Reply {
    let query = Query::of(&head.uri);
    let (limit, window) = match (
        query.limit("limit", DIFFS_DEFAULT, ROWS_MAX),
        query.window("since", report::DEFAULT_WINDOW),
    ) {
        (Ok(limit), Ok(window)) => (limit, window),
        (Err(detail), _) | (_, Err(detail)) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    let route = match query.value("route") {
        None => None,
        Some(name) => match find(&shared.control.routes(), name) {
            Some(route) => Some(route.id.clone()),
            None => return no_route(name),
        },
    };
    let since = report::Options::last(window, now_unix_ms()).since_unix_ms;
    let rows =
        read(shared.control.ledger_path(), move |reader| Diffs::read(reader, route.as_deref(), since, limit));
    match rows.await {
        Ok(diffs) => reply::json(StatusCode::OK, &diffs),
        Err(unread) => unavailable(&unread),
    }
}

async fn callers(shared: &Shared, head: &Parts) -> Reply {
    let query = Query::of(&head.uri);
    let (limit, window) = match (
        query.limit("limit", callers::SHOWN_DEFAULT, TOP_MAX),
        query.window("since", report::DEFAULT_WINDOW),
    ) {
        (Ok(limit), Ok(window)) => (limit, window),
        (Err(detail), _) | (_, Err(detail)) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    let name = query.value("route").unwrap_or_default();
    let id = match find(&shared.control.routes(), name) {
        Some(route) => route.id.clone(),
        // All that no route matched is counted under this name.
        None if name == "discovered" => name.to_owned(),
        None => return no_route(name),
    };
    let since = report::Options::last(window, now_unix_ms()).since_unix_ms;
    let found = read(shared.control.ledger_path(), move |reader| Callers::read(reader, &id, since, limit));
    match (found.await, query.value("format")) {
        (Err(unread), _) => unavailable(&unread),
        (Ok(callers), None | Some("json")) => reply::json(StatusCode::OK, &callers),
        (Ok(callers), Some("csv")) => reply::text("text/csv; charset=utf-8; header=present", callers.csv()),
        (Ok(callers), Some("markdown")) => reply::text("text/markdown; charset=utf-8", callers.markdown()),
        (Ok(callers), Some("table")) => reply::text("text/plain; charset=utf-8", callers.table()),
        (Ok(_), Some(format)) => reply::problem(
            StatusCode::BAD_REQUEST,
            &format!("`format={format}` is none of json, csv, markdown, table"),
        ),
    }
}

async fn discovered(shared: &Shared, head: &Parts) -> Reply {
    let query = Query::of(&head.uri);
    let found = match findings(shared).await {
        Ok(found) => found,
        Err(error) => return failed(&error),
    };
    let found = if query.value("review") == Some("true") { found.to_review() } else { found };
    match query.value("format") {
        None | Some("json") => reply::json(StatusCode::OK, &found),
        Some("csv") => reply::text("text/csv; charset=utf-8; header=present", found.csv()),
        Some("markdown") => reply::text("text/markdown; charset=utf-8", found.markdown()),
        Some("table") => reply::text("text/plain; charset=utf-8", found.table()),
        Some(format) => reply::problem(
            StatusCode::BAD_REQUEST,
            &format!("`format={format}` is none of json, csv, markdown, table"),
        ),
    }
}

/// What was discovered, looked up on a thread that may wait.
pub(crate) async fn findings(shared: &Shared) -> Result<Findings, ControlError> {
    let control = shared.control.clone();
    let found = tokio::task::spawn_blocking(move || control.discovered()).await;
    found.unwrap_or_else(|_| Err(ControlError::Failed("it broke off; see the log".to_owned())))
}

async fn tell(shared: &Shared, body: &[u8]) -> Reply {
    let request: TellRequest = match parse(body) {
        Ok(request) => request,
        Err(refusal) => return *refusal,
    };
    match shared.control.tell(request).await {
        Ok(answer) => reply::json(StatusCode::OK, &answer),
        Err(error) => failed(&error),
    }
}

async fn events(shared: &Shared, head: &Parts) -> Reply {
    let limit = match Query::of(&head.uri).limit("limit", EVENTS_DEFAULT, ROWS_MAX) {
        Ok(limit) => limit,
        Err(detail) => return reply::problem(StatusCode::BAD_REQUEST, &detail),
    };
    match read(shared.control.ledger_path(), move |reader| reader.events(limit)).await {
        Ok(events) => reply::json(StatusCode::OK, &events),
        Err(unread) => unavailable(&unread),
    }
}

async fn reload(shared: &Shared) -> Reply {
    match shared.control.reload().await {
        Ok(reloaded) => reply::json(StatusCode::OK, &reloaded),
        Err(error) => reply::problem_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            &format!("{error}; the one before goes on"),
            Some(&error.diagnostics),
        ),
    }
}

async fn flip(shared: &Shared, body: &[u8]) -> Reply {
    let request: FlipRequest = match parse(body) {
        Ok(request) => request,
        Err(refusal) => return *refusal,
    };
    match shared.control.flip(request).await {
        Ok(flipped) => reply::json(StatusCode::OK, &flipped),
        Err(error) => failed(&error),
    }
}

async fn kill_switch(shared: &Shared, body: &[u8]) -> Reply {
    let switch: KillSwitch = match parse(body) {
        Ok(switch) => switch,
        Err(refusal) => return *refusal,
    };
    let answer = json!({ "on": switch.on, "route": switch.route });
    match shared.control.kill_switch(switch).await {
        Ok(()) => reply::json(StatusCode::OK, &answer),
        Err(error) => failed(&error),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Box<Reply>> {
    // Parsed in two steps: a text that is no JSON is 400, JSON that does not fit is 422.
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        Box::new(reply::problem(StatusCode::BAD_REQUEST, &format!("the body is not JSON: {error}")))
    })?;
    serde_json::from_value(value)
        .map_err(|error| Box::new(reply::problem(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string())))
}

fn failed(error: &ControlError) -> Reply {
    let status = match error {
        ControlError::UnknownRoute { .. } => StatusCode::NOT_FOUND,
        ControlError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
        ControlError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        ControlError::Unsupported(_) => StatusCode::NOT_IMPLEMENTED,
    };
    reply::problem(status, &error.to_string())
}

fn unavailable(unread: &Unread) -> Reply {
    let mut detail = unread.to_string();
    let mut cause = std::error::Error::source(unread);
    while let Some(error) = cause {
        detail.push_str(&format!(": {error}"));
        cause = error.source();
    }
    reply::problem(StatusCode::SERVICE_UNAVAILABLE, &detail)
}

pub(crate) fn no_route(name: &str) -> Reply {
    reply::problem(StatusCode::NOT_FOUND, &format!("there is no route `{name}`"))
}

fn no_such(path: &str) -> Reply {
    let allow = match path {
        "/api/reload" | "/api/flip" | "/api/kill-switch" => "POST",
        "/api/discovered" => "GET, HEAD, POST",
        "/" | "/routes" | "/metrics" | "/healthz" | "/readyz" | "/api/status" | "/api/routes"
        | "/api/report" | "/api/callers" | "/api/diffs" | "/api/events" => "GET, HEAD",
        _ => {
            return reply::problem(
                StatusCode::NOT_FOUND,
                "there is nothing here: docs/admin.md lists what is",
            );
        }
    };
    let reply = reply::problem(StatusCode::METHOD_NOT_ALLOWED, &format!("only {allow}"));
    reply::with_header(reply, header::ALLOW, allow)
}
