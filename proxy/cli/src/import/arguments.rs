//! What can be imported, as it is typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::arguments::Format;

#[derive(Debug, Args)]
#[command(
    long_about = "Read what the monolith says of itself into the ledger.\n\n\
        An inventory (a route list or an interface description) makes each of its endpoints a row of the report, \
        called or not, and a series in /metrics. It replaces what was imported under its name before.\n\n\
        A running proxy notices within a second; none has to run.",
    after_help = "Examples:\n  \
        bin/rails routes | starve import rails -\n  \
        starve import openapi openapi.yaml\n  \
        curl -s localhost:8080/actuator/mappings | starve import spring - --source orders-service"
)]
pub(crate) struct Import {
    #[command(subcommand)]
    pub(super) kind: Kind,
}

#[derive(Debug, Subcommand)]
pub(super) enum Kind {
    /// An OpenAPI 3.x or Swagger 2 document, YAML or JSON.
    ///
    /// Paths lie below the path of the first of `servers`, or `basePath`; --prefix says otherwise.
    Openapi(Listing),
    /// The output of `bin/rails routes`, with or without --expanded.
    Rails(Listing),
    /// The answer of Spring Boot's `GET /actuator/mappings`.
    Spring(Listing),
    /// The output of `manage.py show_urls` (django-extensions), any of its formats.
    Django(Listing),
    /// The output of `flask routes`.
    Flask(Listing),
    /// The output of `php artisan route:list --json`.
    Laravel(Listing),
    /// A proxies.json of Azure Functions Proxies.
    Azure(Azure),
    /// Lines of `METHOD /path`; `#` begins a comment.
    Routes(Listing),
    /// Access logs of servers and load balancers: the calls before anybody counted them.
    AccessLog(AccessLog),
    /// Show what was imported.
    List(List),
    /// Forget an inventory; what was counted stays.
    Forget(Forget),
}

#[derive(Debug, Args)]
pub(super) struct Listing {
    /// The file; `-` reads standard input.
    pub(super) file: PathBuf,
    /// The inventory's name: what was imported under it before is replaced. By default the format's name.
    #[arg(long, value_name = "NAME", value_parser = source)]
    pub(super) source: Option<String>,
    /// Put in front of every path, as /shop; where the application is mounted below a path.
    #[arg(long, value_name = "PATH", value_parser = prefix)]
    pub(super) prefix: Option<String>,
    /// Only show what would be imported.
    #[arg(long)]
    pub(super) dry_run: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Azure {
    #[command(flatten)]
    pub(super) listing: Listing,
    /// Print the proxies as entries for routes.yaml instead of importing them.
    #[arg(long)]
    pub(super) to_routes: bool,
}

#[derive(Debug, Args)]
#[command(
    long_about = "Add the calls of access logs to the ledger.\n\n\
        Plain or gzip, one file or many. Each file is taken whole or not at all, and no line twice: a file that was \
        imported before, under whatever name, adds nothing, and one that has grown adds what is new. Lines of the time \
        in which a proxy counted into this ledger are left out. Lines that cannot be read are counted and the first \
        few are shown.",
    after_help = "Examples:\n  \
        starve import access-log /var/log/nginx/access.log*\n  \
        starve import access-log --source cdn E2EXAMPLE.*.gz\n  \
        starve import access-log --field path=http.target --field time=t app.json\n  \
        starve import access-log --format '$remote_addr [$time_local] \"$request\" $status $request_time' a.log"
)]
pub(super) struct AccessLog {
    /// The files; a `*` in the last part of a name is understood.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// auto, combined, common, json, ltsv, alb, iis, cloudfront, or the format string of nginx (`log_format`) or Apache
    /// (`LogFormat`).
    #[arg(long = "format", default_value = "auto", value_name = "FORMAT")]
    pub(super) log_format: String,
    /// Whose log it is. Files of one source add up; sources that may tell of the same calls (a CDN and what is behind
    /// it) need names of their own and are never added. By default access-log, alb, cloudfront or iis, by the format.
    #[arg(long, value_name = "NAME", value_parser = source)]
    pub(super) source: Option<String>,
    /// Leave out what is older, as 400d, 12h.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(super) since: Option<std::time::Duration>,
    /// The name of a field in JSON, as path=request.uri; for time, request, method, path, status, bytes, host, seconds,
    /// milliseconds, microseconds, nanoseconds. May be given several times.
    #[arg(long = "field", value_name = "WHAT=NAME")]
    pub(super) fields: Vec<String>,
    /// No progress.
    #[arg(long)]
    pub(super) quiet: bool,
    /// How the outcome is printed.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) output: Format,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Forget {
    /// The inventory's name, as `starve import list` shows it.
    pub(super) source: String,
}

pub(super) fn source(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_alphanumeric() || "-_./ ".contains(c);
    if text.trim().is_empty() || text.len() > 64 || !text.chars().all(plain) {
        return Err("letters, digits and - _ . / only, at most 64 of them".to_owned());
    }
    Ok(text.trim().to_owned())
}

fn prefix(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    if !text.is_empty() && !text.starts_with('/') {
        return Err(format!("write it as /{text}"));
    }
    Ok(text.to_owned())
}
