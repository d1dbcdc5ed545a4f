//! Log lines: fields, not sentences with values; one line per failed request. To standard error, as text
//! or JSON. What reaches a log has been redacted before: no header values, no bodies, no query strings.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Starts logging for the whole process. `RUST_LOG` overrides the level of `info`. A second call changes
/// nothing.
pub fn start(format: Format) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colour = std::io::stderr().is_terminal();
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    // Fails only where a subscriber is there already, as in a test: its lines are then the right ones.
    let _started = match format {
        Format::Text => lines.try_init(),
        Format::Json => lines.json().try_init(),
    };
}
