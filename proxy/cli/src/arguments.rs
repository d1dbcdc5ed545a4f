//! What can be typed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use starve_migration::{Percent, Stage};

/// A reverse proxy for switching off a monolith, one endpoint at a time.
///
/// It stands in front of the old application, sends each endpoint to it or to a new function, compares the
/// two on real traffic, and counts every call.
#[derive(Debug, Parser)]
#[command(
    name = "starve",
    version,
    max_term_width = 100,
    after_help = "The smallest routes.yaml is one line:  legacy: http://127.0.0.1:3000\n\
                  Exit codes: 0 ok, 1 failed, 64 usage, 78 configuration."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The configuration file.
    #[arg(
        short,
        long,
        global = true,
        env = "STARVE_CONFIG",
        default_value = "routes.yaml",
        value_name = "FILE"
    )]
    pub(crate) config: PathBuf,
    /// The admin address of a running proxy; by default the one in the configuration file.
    #[arg(long, global = true, env = "STARVE_ADMIN", value_name = "HOST:PORT")]
    pub(crate) admin: Option<String>,
    /// The token of the admin address, where it needs one.
    #[arg(long, global = true, env = "STARVE_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) admin_token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy until SIGTERM or Ctrl-C; SIGHUP reloads the configuration.
    Run(Run),
    /// Check the configuration and say everything that is wrong with it.
    Check(Check),
    /// Say what another file in the configuration's place would change.
    Diff(Diff),
    /// Say which route a request takes, and why the others lose.
    Explain(Explain),
    /// Change the stage of a route: edits one word in the configuration file.
    Flip(Flip),
    /// Send one route, or all, to the monolith at once, without touching the file.
    KillSwitch(KillSwitch),
    /// Show how far the migration is: dead routes, mismatches, what to do next.
    Report(Report),
    /// Read the monolith's route list, interface description or access logs.
    Import(crate::import::Import),
    /// Show who calls a route: clients, user agents, referers, networks.
    Callers(Callers),
    /// Show where the answers of the two sides differ, with samples.
    Diffs(Diffs),
    /// List what was discovered in traffic and how sure that is; say what belongs together.
    Discovered(Discovered),
    /// Print entries for routes.yaml for the endpoints that were discovered in traffic.
    Suggest(Suggest),
    /// Print the JSON Schema of routes.yaml, for editors that complete and check while you type.
    Schema,
    /// Print the completions of a shell.
    Completions(Completions),
    /// Starts a function's process so that it ends with the proxy.
    #[command(hide = true, name = "launch-function")]
    Launch(Launch),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// How log lines on standard error look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: starve diff next.yaml --config /etc/starve/routes.yaml")]
pub(crate) struct Diff {
    /// The file that is to take the configuration's place.
    #[arg(value_name = "NEXT")]
    pub(crate) file: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: starve explain GET '/products/7?full=1' -H 'accept: application/json'")]
pub(crate) struct Explain {
    /// The request's method, as GET.
    pub(crate) method: String,
    /// A path with its query, or a whole address.
    pub(crate) url: String,
    /// A request header; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "Stages: legacy, shadow, canary, live, done, retired.\n\
                        Example: starve flip 'GET /products/{id:int}' canary --percent 5")]
pub(crate) struct Flip {
    /// The route's name, or its `match` text.
    pub(crate) route: String,
    #[arg(value_parser = stages())]
    pub(crate) stage: Stage,
    /// The share of calls (shadow) or users (canary).
    #[arg(long)]
    pub(crate) percent: Option<Percent>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// One of the stages, which shells complete and messages list.
fn stages() -> impl TypedValueParser<Value = Stage> {
    PossibleValuesParser::new(Stage::ALL.map(Stage::as_str)).try_map(|text| text.parse::<Stage>())
}

#[derive(Debug, Args)]
#[command(after_help = "Example: starve completions bash > /usr/share/bash-completion/completions/starve")]
pub(crate) struct Completions {
    pub(crate) shell: Shell,
}

/// Shells whose completions can be printed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

#[derive(Debug, Args)]
pub(crate) struct KillSwitch {
    #[arg(value_enum)]
    pub(crate) state: OnOff,
    /// Only this route; all where none is named.
    pub(crate) route: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOff {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Table,
    Json,
    Csv,
    Markdown,
}

impl ReportFormat {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Markdown => "markdown",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The window that is looked at, as 30d, 12h, 90s.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "35d")]
    pub(crate) since: Duration,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
    /// Only the dead routes, the longest silent first.
    #[arg(long)]
    pub(crate) dead: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Client ids are told apart when routes.yaml says what names them:\n  \
                        callers: { id: header:X-Client-Id }\n\
                        `discovered` is the name of all that no route matches.")]
pub(crate) struct Callers {
    /// The route's name, or its `match` text.
    pub(crate) route: String,
    /// The window that is looked at, as 30d, 12h; callers are kept for 36 days.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "35d")]
    pub(crate) since: Duration,
    /// Callers of each kind.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) limit: u8,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Diffs {
    /// Only this route, by its name or `match` text; all where none is named.
    pub(crate) route: Option<String>,
    /// Samples per call of this command.
    #[arg(long, default_value_t = 10)]
    pub(crate) limit: usize,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
                  starve discovered --review\n  \
                  starve discovered merge '/teams/{name}'     all teams are one endpoint\n  \
                  starve discovered split /teams/search       but this one is an endpoint of its own\n  \
                  starve discovered forget '/teams/{name}'"
)]
pub(crate) struct Discovered {
    #[command(subcommand)]
    pub(crate) tell: Option<Tell>,
    /// Only endpoints of which it is not certain that they are one, to be merged or split.
    #[arg(long)]
    pub(crate) review: bool,
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tell {
    /// Count the endpoints that this path takes as one, with all their calls so far. Not to be undone for calls that
    /// were added up.
    Merge(TellPath),
    /// Count this path by itself from now on, where its words were taken for values.
    Split(TellPath),
    /// Take back what was said of this path; what was added up stays so.
    Forget(TellPath),
}

#[derive(Debug, Args)]
pub(crate) struct TellPath {
    /// As in `match:`, without method and host: /teams/{name}.
    pub(crate) path: String,
    /// Only say what would become what.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Suggest {
    /// The window that is looked at, as 30d, 12h, 90s.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "35d")]
    pub(crate) since: Duration,
    /// Endpoints with fewer calls are left out.
    #[arg(long, default_value_t = 1)]
    pub(crate) calls: u64,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Launch {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as NAME: VALUE")?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Arguments::command().debug_assert();
    }
}
