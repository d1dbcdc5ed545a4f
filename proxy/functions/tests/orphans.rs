//! A proxy that is killed with SIGKILL leaves no function behind.
//!
//! This test is three programs: the test, the proxy that it kills (`host`), and the launcher (`launch`).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test with a harness of its own")]

mod support;

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use starve_functions::{FunctionStats, ProcessHost};

const NAME: &str = "a_proxy_that_is_killed_leaves_no_function_behind";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next().as_deref().and_then(|first| first.to_str()) {
        Some("launch") => starve_functions::process::launch(arguments),
        Some("host") => host(),
        Some("--list") => list(arguments),
        _ => test(),
    }
}

/// The part of the test harness's interface that test runners ask for.
fn list(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    if !arguments.into_iter().any(|argument| argument == "--ignored") {
        println!("{NAME}: test");
    }
    ExitCode::SUCCESS
}

fn test() -> ExitCode {
    let mut proxy =
        Command::new(std::env::current_exe().unwrap()).arg("host").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(proxy.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let function: u32 = line.trim().parse().unwrap();
    assert!(support::is_running(function));

    proxy.kill().unwrap();
    proxy.wait().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(support::until(|| async { support::is_running(function) }, |running| !running));
    println!("test {NAME} ... ok");
    ExitCode::SUCCESS
}

/// Starts a function, says its process id, and waits to be killed.
fn host() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut options = support::python("server.py");
        options.launcher = vec![std::env::current_exe().unwrap().into(), "launch".into()];
        let handle = tokio::runtime::Handle::current();
        let host = ProcessHost::new(options, support::connect(), handle, Arc::new(FunctionStats::default()));
        let pid = support::body_of(&host, "/pid").await;
        println!("{pid}");
        std::io::stdout().flush().unwrap();
        std::future::pending::<()>().await;
    });
    ExitCode::FAILURE
}
