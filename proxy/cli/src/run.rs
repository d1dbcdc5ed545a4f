use std::ffi::OsString;

use starve_engine::{ConfigFile, Options};
use starve_telemetry::log;

use crate::arguments::{Global, LogFormat, Run};
use crate::output::Failure;

pub(crate) fn run(global: &Global, run: &Run) -> Result<(), Failure> {
    log::start(match run.log {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    });
    let options = Options { file: ConfigFile::new(&global.config), launcher: launcher() };
    starve_engine::run(options, &mut std::io::stdout())?;
    Ok(())
}

/// This program again, as the parent that a function's process must not outlive.
fn launcher() -> Vec<OsString> {
    match std::env::current_exe() {
        Ok(program) => vec![program.into(), "launch-function".into(), "--".into()],
        Err(_) => Vec::new(),
    }
}
