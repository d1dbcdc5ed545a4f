use std::ffi::OsString;
use std::path::Path;

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

/// This program again, as the parent that a function's process must not outlive. The link stays right when
/// the file on disk has been replaced by a newer version.
fn launcher() -> Vec<OsString> {
    let running = Path::new("/proc/self/exe");
    let program = if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() };
    program.map_or_else(|_| Vec::new(), |program| vec![program.into(), "launch-function".into(), "--".into()])
}
