use std::io;

use starve_admin::report::{Options, TableStyle, build};
use starve_config::LedgerPlan;
use starve_engine::{ConfigFile, route_infos};
use starve_ledger::Reader;

use crate::arguments::{Global, Report, ReportFormat};
use crate::client::{Admin, ClientError};
use crate::output::{Failure, is_colour, now_unix_ms, print, width};

pub(crate) fn run(global: &Global, report: &Report) -> Result<(), Failure> {
    print(&fetch(global, report)?)
}

/// From the running proxy; from the files where none runs.
pub(crate) fn fetch(global: &Global, report: &Report) -> Result<String, Failure> {
    let colour = is_colour(&io::stdout());
    let format = report.format.word();
    let since = humantime::format_duration(report.since).to_string().replace(' ', "");
    let path = format!(
        "/api/report?since={since}&format={format}&width={}&colour={colour}&dead={}",
        width(),
        report.dead
    );
    match Admin::of(global)?.get(&path) {
        Ok(answer) => answer.ok(),
        Err(ClientError::NotRunning { .. }) if global.admin.is_none() => from_files(global, report, colour),
        Err(error) => Err(error.into()),
    }
}

fn from_files(global: &Global, report: &Report, colour: bool) -> Result<String, Failure> {
    let read = ConfigFile::new(&global.config).read()?;
    let LedgerPlan::Sqlite(path) = &read.plan.ledger;
    let reader = Reader::open(path).map_err(|error| Failure::new(crate::output::chain(&error)))?;
    let options = Options::last(report.since, now_unix_ms());
    let built = build(&route_infos(&read.plan), Some(&reader), &options);
    let built = built.map_err(|error| Failure::new(crate::output::chain(&error)))?;
    let style = TableStyle { width: width(), colour };
    Ok(match (report.format, report.dead) {
        (ReportFormat::Table, false) => built.table(style),
        (ReportFormat::Table, true) => built.dead_table(style),
        (ReportFormat::Json, false) => built.json() + "\n",
        (ReportFormat::Json, true) => built.dead_json() + "\n",
        (ReportFormat::Csv, false) => built.csv(),
        (ReportFormat::Csv, true) => built.dead_csv(),
        (ReportFormat::Markdown, false) => built.markdown(),
        (ReportFormat::Markdown, true) => built.dead_markdown(),
    })
}
