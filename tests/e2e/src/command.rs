//! One command of the binary, run to its end.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest that any command may take.
const LONGEST: Duration = Duration::from_secs(60);

/// A command that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Done {
    /// The command, that it went well.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self
    }

    /// Its output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}{}", self.stdout, self.stderr))
    }
}

/// The binary beside this test's own.
///
/// # Panics
/// It has not been built.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).expect("tests are two folders below the target's");
    let binary = folder.join("starve");
    assert!(binary.is_file(), "{} is not there: run `cargo build -p starve` first", binary.display());
    binary
}

/// A command of the binary in a folder, with nothing of the caller's settings.
pub(crate) fn starve(folder: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    for name in ["STARVE_CONFIG", "STARVE_ADMIN", "STARVE_ADMIN_TOKEN", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1").env("COLUMNS", "100");
    command
}

/// Runs a command to its end.
///
/// # Panics
/// It takes too long; it is killed then.
#[track_caller]
pub(crate) fn run(mut command: Command) -> Done {
    let began = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let status = wait(&mut child, LONGEST);
    if status.is_none() {
        child.kill().unwrap();
    }
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let status = status.unwrap_or_else(|| panic!("{command:?} does not end: {stdout}{stderr}"));
    Done { code: status.code(), stdout, stderr, took: began.elapsed() }
}

/// Waits for the end of a child.
pub(crate) fn wait(child: &mut Child, longest: Duration) -> Option<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < longest {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

fn collect(stream: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    let mut stream = stream.expect("a pipe");
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ended = stream.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
