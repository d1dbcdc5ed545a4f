use std::fmt::Write as _;

use serde::Serialize;
use starve_ledger::{ImportedLog, InventorySource, LedgerError, Reader};

use super::{failed, importer, ledger_path};
use crate::arguments::{Format, Global};
use crate::output::{Failure, print, print_json};

#[derive(Serialize)]
struct Imported {
    inventories: Vec<InventorySource>,
    access_logs: Vec<ImportedLog>,
}

pub(super) fn list(global: &Global, format: Format) -> Result<(), Failure> {
    let path = ledger_path(global)?;
    let read = || -> Result<Imported, LedgerError> {
        let reader = Reader::open(&path)?;
        Ok(Imported { inventories: reader.inventory_sources()?, access_logs: reader.imported_logs()? })
    };
    let imported = read().map_err(|error| failed(&error))?;
    match format {
        Format::Json => print_json(&imported),
        Format::Text => print(&text(&imported)),
    }
}

pub(super) fn forget(global: &Global, source: &str) -> Result<(), Failure> {
    match importer(global)?.remove_inventory(source).map_err(|error| failed(&error))? {
        Some(endpoints) => print(&format!("`{source}` is forgotten, {endpoints} endpoints\n")),
        None => {
            Err(Failure::new(format!("there is no inventory `{source}`; `starve import list` shows them")))
        }
    }
}

fn text(imported: &Imported) -> String {
    if imported.inventories.is_empty() && imported.access_logs.is_empty() {
        return "Nothing was imported yet.\n".to_owned();
    }
    let mut text = String::new();
    // A String takes all that is written to it.
    for InventorySource { name, format, file, endpoints, .. } in &imported.inventories {
        let _written = writeln!(text, "inventory   {name}: {endpoints} endpoints ({format}, {file})");
    }
    for ImportedLog { name, files, calls, bad_lines, weak, .. } in &imported.access_logs {
        let weak = if *weak { ", may lack lines" } else { "" };
        let _written =
            writeln!(text, "access log  {name}: {calls} calls of {files} files, {bad_lines} bad lines{weak}");
    }
    text
}
