//! `starve import`: inventories and access logs into the ledger, whether a proxy runs or not.

mod arguments;
mod files;
mod inventory;
mod logs;
mod parse;
mod progress;
mod show;
mod summary;

use std::path::PathBuf;

use starve_config::LedgerPlan;
use starve_discovery::inventory::Format;
use starve_engine::ConfigFile;
use starve_ledger::{Importer, LedgerError};

pub(crate) use arguments::Import;
use arguments::Kind;

use crate::arguments::Global;
use crate::output::{Failure, chain};

pub(crate) fn run(global: &Global, import: &Import) -> Result<(), Failure> {
    match &import.kind {
        Kind::Openapi(listing) => inventory::run(global, Format::OpenApi, listing),
        Kind::Rails(listing) => inventory::run(global, Format::Rails, listing),
        Kind::Spring(listing) => inventory::run(global, Format::Spring, listing),
        Kind::Django(listing) => inventory::run(global, Format::Django, listing),
        Kind::Flask(listing) => inventory::run(global, Format::Flask, listing),
        Kind::Laravel(listing) => inventory::run(global, Format::Laravel, listing),
        Kind::Azure(azure) if azure.to_routes => inventory::to_routes(&azure.listing),
        Kind::Azure(azure) => inventory::run(global, Format::Azure, &azure.listing),
        Kind::Routes(listing) => inventory::run(global, Format::Routes, listing),
        Kind::AccessLog(log) => logs::run(global, log),
        Kind::List(list) => show::list(global, list.format),
        Kind::Forget(forget) => show::forget(global, &forget.source),
    }
}

/// Where the ledger is, as the configuration says.
fn ledger_path(global: &Global) -> Result<PathBuf, Failure> {
    let read = ConfigFile::new(&global.config).read()?;
    let LedgerPlan::Sqlite(path) = &read.plan.ledger;
    Ok(path.clone())
}

fn importer(global: &Global) -> Result<Importer, Failure> {
    Importer::open(&ledger_path(global)?).map_err(|error| failed(&error))
}

fn failed(error: &LedgerError) -> Failure {
    Failure::new(chain(error))
}
