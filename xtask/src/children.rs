//! Processes that a task starts, and ends by their own ids.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A process that ends when this is dropped.
pub(crate) struct Running {
    name: &'static str,
    child: Child,
}

impl Running {
    /// Starts a program; its standard error goes to a log file, its standard output to the caller.
    pub(crate) fn start(
        name: &'static str,
        program: impl AsRef<OsStr>,
        arguments: &[&OsStr],
        folder: &Path,
        log: &Path,
    ) -> Result<(Self, BufReader<ChildStdout>)> {
        let log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = Command::new(program.as_ref())
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name} ({})", program.as_ref().display()))?;
        let Some(output) = child.stdout.take() else { bail!("{name} has no output") };
        Ok((Self { name, child }, BufReader::new(output)))
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks the process to end and waits for it; after the deadline it is killed.
    pub(crate) fn stop(&mut self, deadline: Duration) -> Result<()> {
        if self.has_ended() {
            return Ok(());
        }
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let id = id.with_context(|| format!("{} has no id", self.name))?;
        kill_process(id, Signal::TERM).with_context(|| format!("cannot end {}", self.name))?;
        let until = Instant::now() + deadline;
        while Instant::now() < until {
            if self.has_ended() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill()?;
        self.child.wait()?;
        bail!("{} did not end in {deadline:?} and was killed", self.name)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.stop(Duration::from_secs(5)) {
            eprintln!("warning: {error:#}");
        }
    }
}

/// Reads lines until one begins so, and gives its rest.
pub(crate) fn wait_for_line(output: &mut BufReader<ChildStdout>, beginning: &str) -> Result<String> {
    let mut line = String::new();
    loop {
        line.clear();
        if output.read_line(&mut line)? == 0 {
            bail!("it ended without saying `{beginning}…`");
        }
        if let Some(rest) = line.trim_end().strip_prefix(beginning) {
            return Ok(rest.to_owned());
        }
    }
}
