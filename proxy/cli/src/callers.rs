use starve_admin::Callers as Found;
use starve_admin::report::Options;
use starve_config::LedgerPlan;
use starve_engine::{ConfigFile, route_infos};
use starve_ledger::Reader;

use crate::arguments::{Callers, Global, ReportFormat};
use crate::client::{Admin, ClientError};
use crate::output::{Failure, chain, now_unix_ms, print};

/// From the running proxy; from the files where none runs.
pub(crate) fn run(global: &Global, callers: &Callers) -> Result<(), Failure> {
    let since = humantime::format_duration(callers.since).to_string().replace(' ', "");
    let format = callers.format.word();
    let path = format!(
        "/api/callers?since={since}&format={format}&limit={}&route={}",
        callers.limit,
        starve_admin::encoded(&callers.route)
    );
    match Admin::of(global)?.get(&path) {
        Ok(answer) => print(&answer.ok()?),
        Err(ClientError::NotRunning { .. }) if global.admin.is_none() => from_files(global, callers),
        Err(error) => Err(error.into()),
    }
}

fn from_files(global: &Global, callers: &Callers) -> Result<(), Failure> {
    let read = ConfigFile::new(&global.config).read()?;
    let infos = route_infos(&read.plan);
    let known = infos.iter().find(|route| route.id == callers.route || route.match_text == callers.route);
    // Without a name there, it may still be a route of before, or what no route matched.
    let id = known.map_or(callers.route.as_str(), |route| route.id.as_str());
    let LedgerPlan::Sqlite(path) = &read.plan.ledger;
    let reader = Reader::open(path).map_err(|error| Failure::new(chain(&error)))?;
    let since = Options::last(callers.since, now_unix_ms()).since_unix_ms;
    let found = Found::read(&reader, id, since, callers.limit.into());
    let found = found.map_err(|error| Failure::new(chain(&error)))?;
    print(&match callers.format {
        ReportFormat::Table => found.table(),
        ReportFormat::Json => found.json() + "\n",
        ReportFormat::Csv => found.csv(),
        ReportFormat::Markdown => found.markdown(),
    })
}
