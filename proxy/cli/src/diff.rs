use starve_config::{Document, load};
use starve_engine::{ConfigError, ConfigFile};

use crate::arguments::{Diff, Format, Global};
use crate::output::{Failure, print, print_json};

pub(crate) fn run(global: &Global, diff: &Diff) -> Result<(), Failure> {
    let file = ConfigFile::new(&global.config);
    let now = file.read()?;
    let name = diff.file.display().to_string();
    let document = Document::new(name.clone(), ConfigFile::new(&diff.file).text()?);
    // It is going to stand in the other one's place, so its files are looked for from there.
    let next = load(&document, &file.base()).map_err(|diagnostics| {
        Failure::config(&ConfigError::Invalid { path: name, count: diagnostics.len(), diagnostics })
    })?;
    let changes = starve_config::diff(&now.plan, &next.plan);
    match diff.format {
        Format::Json => print_json(&changes),
        Format::Text if changes.is_empty() => print("nothing would change\n"),
        Format::Text => print(&changes.to_string()),
    }
}
