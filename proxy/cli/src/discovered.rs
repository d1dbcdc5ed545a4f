use std::fmt::Write as _;
use std::path::PathBuf;

use starve_admin::{TellAction, TellAnswer, TellRequest};
use starve_config::LedgerPlan;
use starve_engine::{ConfigFile, findings_in, tell_in};

use crate::arguments::{Discovered, Format, Global, ReportFormat, Tell, TellPath};
use crate::client::{Admin, ClientError};
use crate::output::{Failure, print, print_json};

/// From the running proxy; from the ledger where none runs.
pub(crate) fn run(global: &Global, discovered: &Discovered) -> Result<(), Failure> {
    match &discovered.tell {
        None => list(global, discovered),
        Some(Tell::Merge(path)) => tell(global, TellAction::Merge, path),
        Some(Tell::Split(path)) => tell(global, TellAction::Split, path),
        Some(Tell::Forget(path)) => tell(global, TellAction::Forget, path),
    }
}

fn list(global: &Global, discovered: &Discovered) -> Result<(), Failure> {
    let format = discovered.format.word();
    let path = format!("/api/discovered?format={format}&review={}", discovered.review);
    match Admin::of(global)?.get(&path) {
        Ok(answer) => return print(&answer.ok()?),
        Err(ClientError::NotRunning { .. }) if global.admin.is_none() => {}
        Err(error) => return Err(error.into()),
    }
    let found = findings_in(&ledger(global)?).map_err(Failure::new)?;
    let found = if discovered.review { found.to_review() } else { found };
    print(&match discovered.format {
        ReportFormat::Table => found.table(),
        ReportFormat::Json => found.json() + "\n",
        ReportFormat::Csv => found.csv(),
        ReportFormat::Markdown => found.markdown(),
    })
}

fn tell(global: &Global, action: TellAction, path: &TellPath) -> Result<(), Failure> {
    let request = TellRequest { action, path: path.path.clone(), dry_run: path.dry_run };
    let answer: TellAnswer = match Admin::of(global)?.post("/api/discovered", &request) {
        Ok(answer) => serde_json::from_str(&answer.ok()?).map_err(Failure::new)?,
        Err(ClientError::NotRunning { .. }) if global.admin.is_none() => {
            tell_in(&ledger(global)?, &request).map_err(Failure::new)?
        }
        Err(error) => return Err(error.into()),
    };
    match path.format {
        Format::Json => print_json(&answer),
        Format::Text => print(&text(&answer)),
    }
}

fn ledger(global: &Global) -> Result<PathBuf, Failure> {
    let LedgerPlan::Sqlite(path) = ConfigFile::new(&global.config).read()?.plan.ledger.clone();
    Ok(path)
}

fn text(answer: &TellAnswer) -> String {
    let path = &answer.path;
    let mut text = match (answer.action, answer.dry_run) {
        (_, true) => "Nothing is changed (--dry-run).\n".to_owned(),
        (TellAction::Merge, _) => format!("{path} is one endpoint.\n"),
        (TellAction::Split, _) => {
            format!(
                "{path} is counted by itself from now on; its calls so far stay where they were counted.\n"
            )
        }
        (TellAction::Forget, _) => {
            format!("Nothing is said of {path} any more; what was added up stays so.\n")
        }
    };
    for name in &answer.joined {
        // A String takes all that is written to it.
        let _written = writeln!(text, "  {name}");
    }
    if !answer.joined.is_empty() {
        let verb = if answer.dry_run { "would become" } else { "became" };
        let _written = writeln!(text, "{verb} {}", answer.into.join(", "));
    }
    text
}
