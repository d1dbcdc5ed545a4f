use serde::Serialize;
use starve_engine::ConfigFile;

use crate::arguments::{Flip, Format, Global};
use crate::client::{Admin, ClientError};
use crate::output::{Failure, print, print_json};

#[derive(Serialize)]
struct Outcome<'a> {
    route: &'a str,
    stage: &'static str,
    file: String,
    /// What the running proxy said: `in force`, or why not.
    proxy: String,
}

/// Edits the file, then asks a running proxy to take it at once instead of when it notices.
pub(crate) fn run(global: &Global, flip: &Flip) -> Result<(), Failure> {
    let file = ConfigFile::new(&global.config);
    let before = file.text()?;
    let edited = starve_config::flip(&before, &flip.route, flip.stage, flip.percent);
    let edited = edited.map_err(|error| match error {
        starve_config::FlipError::Invalid(diagnostics) => Failure::new(diagnostics.to_string().trim_end()),
        other => Failure::new(other),
    })?;
    let path = file.path().display().to_string();
    file.replace(&edited).map_err(|error| Failure::new(format!("cannot write {path}: {error}")))?;
    let proxy = match tell(global) {
        Ok(proxy) => proxy,
        Err(refused) => {
            let restored = file.replace(&before);
            return Err(match restored {
                Ok(()) => refused.with(&format!("{path} has its old text back")),
                Err(error) => refused.with(&format!("and {path} could not be put back: {error}")),
            });
        }
    };
    match flip.format {
        Format::Json => {
            print_json(&Outcome { route: &flip.route, stage: flip.stage.as_str(), file: path, proxy })
        }
        Format::Text => {
            let share = flip.percent.map(|percent| format!(" at {percent} %")).unwrap_or_default();
            print(&format!("{}: {}{share} in {path}; {proxy}\n", flip.route, flip.stage))
        }
    }
}

fn tell(global: &Global) -> Result<String, Failure> {
    let Ok(admin) = Admin::of(global) else { return Ok("no running proxy was told".to_owned()) };
    match admin.post("/api/reload", &serde_json::json!({})) {
        Ok(answer) => {
            let status: serde_json::Value = serde_json::from_str(&answer.ok()?).unwrap_or_default();
            Ok(format!("in force as generation {}", status["generation"]))
        }
        Err(ClientError::NotRunning { .. }) => Ok("no proxy is running".to_owned()),
        Err(error) => Err(error.into()),
    }
}
