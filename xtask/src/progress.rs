//! One line that shows what is going on, written over itself on a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

pub(crate) struct Line {
    terminal: bool,
    shown: bool,
    last: Instant,
}

/// How often a line is written where it cannot be overwritten.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

impl Line {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self {
            terminal: std::io::stdout().is_terminal(),
            shown: false,
            last: now.checked_sub(PLAIN_EVERY).unwrap_or(now),
        }
    }

    pub(crate) fn show(&mut self, text: &str) {
        if self.terminal {
            print!("\r\x1b[2K{text}");
        } else if self.last.elapsed() >= PLAIN_EVERY {
            self.last = Instant::now();
            println!("{text}");
        }
        self.shown = true;
        // Nobody reads it when this fails.
        let _written = std::io::stdout().flush();
    }

    /// A line that stays.
    pub(crate) fn say(&mut self, text: &str) {
        self.end();
        println!("{text}");
    }

    pub(crate) fn end(&mut self) {
        if self.terminal && self.shown {
            print!("\r\x1b[2K");
        }
        self.shown = false;
    }
}

/// Runs a command and shows its own progress; cargo draws a bar where there is a terminal.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    println!("· {what}");
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("{what}: cannot start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{what}: {status}");
    }
    Ok(())
}
