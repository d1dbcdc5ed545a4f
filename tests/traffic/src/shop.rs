//! The demo shop as a child process, for tests: started on a free port, ended when dropped.

use std::{
    io::{self, BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;

use crate::options::Target;

/// A running shop with a database of its own.
#[derive(Debug)]
pub struct Shop {
    process: Child,
    target: Target,
}

/// Why the shop did not start.
#[derive(Debug, Error)]
pub enum ShopError {
    #[error("could not start python3 for {path}")]
    Start { path: PathBuf, source: io::Error },
    #[error("the shop said {said:?} instead of where it listens")]
    NoAddress { said: String },
}

impl Shop {
    /// Start the shop of this source tree on a free loopback port and wait until it listens.
    pub fn start() -> Result<Self, ShopError> {
        let path = Self::program();
        let spawned = Command::new("python3")
            .arg(&path)
            .args(["--port", "0"])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = spawned.map_err(|source| ShopError::Start { path, source })?;
        let mut said = String::new();
        if let Some(stdout) = process.stdout.take() {
            // A shop that dies says nothing, which is an error below; so is anything unreadable.
            let _ = BufReader::new(stdout).read_line(&mut said);
        }
        let address = said.trim_end().strip_prefix("listening on ");
        match address.and_then(|address| format!("http://{address}").parse().ok()) {
            Some(target) => Ok(Self { process, target }),
            None => {
                let _ = process.kill();
                let _ = process.wait();
                Err(ShopError::NoAddress { said })
            }
        }
    }

    /// Where it listens.
    pub fn target(&self) -> &Target {
        &self.target
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// `shop.py` in this source tree.
    pub fn program() -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../legacy-monolith/shop.py"))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Asked, not killed, so that it removes its temporary folder.
        let asked = kill_process(Pid::from_child(&self.process), Signal::TERM);
        if asked.is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}
