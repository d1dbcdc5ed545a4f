//! How commands print and fail.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use starve_engine::{ConfigError, StartError};

/// A command that failed: what to print on standard error, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

const FAILED: u8 = 1;
/// The words of a command are wrong.
pub(crate) const USAGE: u8 = 64;
const CONFIG: u8 = 78;

impl Failure {
    /// One line, without a full stop.
    pub(crate) fn new(text: impl std::fmt::Display) -> Self {
        Self { text: format!("error: {text}\n"), code: FAILED }
    }

    /// The words of the command are wrong.
    pub(crate) fn usage(text: impl std::fmt::Display) -> Self {
        Self { code: USAGE, ..Self::new(text) }
    }

    /// The same with another line.
    pub(crate) fn with(mut self, line: &str) -> Self {
        self.text = format!("{}\n{line}\n", self.text.trim_end());
        self
    }

    pub(crate) fn config(error: &ConfigError) -> Self {
        Self { text: error.text(is_colour(&io::stderr())), code: CONFIG }
    }

    /// The configuration is wrong, and it was already said how.
    pub(crate) fn config_told() -> Self {
        Self { text: String::new(), code: CONFIG }
    }

    pub(crate) fn exit(self) -> ExitCode {
        // Nobody is left to be told when this fails.
        let _written = io::stderr().write_all(self.text.as_bytes());
        ExitCode::from(self.code)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match &error {
            StartError::Config(config) => Self::config(config),
            _ => Self::new(chain(&error)),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::config(&error)
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // A transparent error is its own cause.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// Prints a text; a reader that has gone away (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(error)),
        _ => Ok(()),
    }
}

pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::new)?;
    print(&(text + "\n"))
}

/// Colours on a terminal, unless the user does not want them (no-color.org).
pub(crate) fn is_colour(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The terminal's width; 100 where there is none.
pub(crate) fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    match columns {
        Some(columns) => columns,
        None if io::stdout().is_terminal() => terminal().unwrap_or(100),
        None => 100,
    }
}

pub(crate) fn now_unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
