//! Clients and servers that others wrote, as programs beside the proxy.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::command::{self, Done};

/// A program, run to its end.
#[track_caller]
pub fn program(name: &str, arguments: &[impl AsRef<OsStr>]) -> Done {
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null());
    command::run(command)
}

/// A script of the fixtures, run to its end; it finds the Python packages of the tests.
#[track_caller]
pub fn script(name: &str, arguments: &[&str]) -> Done {
    let mut command = python(name, arguments);
    command.stdin(Stdio::null());
    command::run(command)
}

fn python(name: &str, arguments: &[&str]) -> Command {
    let packages = packages();
    assert!(
        packages.is_dir(),
        "{} is not there: `cargo xtask test` installs what the tests need",
        packages.display()
    );
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).args(arguments);
    command.env("PYTHONPATH", packages).env("PYTHONDONTWRITEBYTECODE", "1").env("GRPC_VERBOSITY", "NONE");
    command
}

/// Where `cargo xtask test` puts Python packages: beside what cargo builds.
fn packages() -> PathBuf {
    let binary = command::binary();
    let target = binary.parent().and_then(Path::parent).expect("it stands two folders below");
    target.join("python")
}

/// A script of the fixtures that serves: it says its port in its first line. Ends with its value, by SIGKILL to its
/// own process id.
#[derive(Debug)]
pub struct Service {
    child: Child,
    port: u16,
}

impl Service {
    #[track_caller]
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        let mut child = python(name, arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("{name} says `{line}`, not its port"));
        Self { child, port }
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _ended = self.child.wait();
    }
}
