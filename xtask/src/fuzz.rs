//! The fuzz targets, for a while each, with the compiler that is there.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::progress::run as run_shown;
use crate::root;
use crate::test::cargo;

/// Coverage instrumentation of a stable compiler; the crates forbid unsafe code, so no sanitizer is missed.
const FLAGS: &str = "--cfg fuzzing -Cdebug-assertions -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// `[TARGET] [--seconds N]`
pub(crate) fn command(words: &[&str]) -> Result<()> {
    match words {
        [] => run(None, 60),
        ["--seconds", seconds] => run(None, seconds.parse()?),
        [target] => run(Some(target), 60),
        [target, "--seconds", seconds] => run(Some(target), seconds.parse()?),
        _ => bail!("usage: cargo xtask fuzz [TARGET] [--seconds 60]"),
    }
}

/// Runs every target, or the one that is named; `seconds` is shared out among them.
pub(crate) fn run(only: Option<&str>, seconds: u64) -> Result<()> {
    let targets: Vec<String> =
        targets()?.into_iter().filter(|name| only.is_none_or(|only| only == name)).collect();
    if targets.is_empty() {
        bail!("no such target; there are: {}", self::targets()?.join(", "));
    }
    let host = host()?;
    run_shown("build the fuzz targets", build(&host).args(["build", "--release", "--bins"]))?;
    let each = (seconds / targets.len() as u64).max(1);
    for target in &targets {
        let program = root().join("tests/fuzz/target").join(&host).join("release").join(target);
        let mut fuzzer = Command::new(program);
        let corpus = root().join("tests/fuzz/corpus").join(target);
        std::fs::create_dir_all(&corpus)?;
        fuzzer.arg(corpus).arg(format!("-max_total_time={each}")).args([
            "-verbosity=0",
            "-max_len=4096",
            "-timeout=10",
        ]);
        fuzzer.arg(format!("-artifact_prefix={}/", root().join("tests/fuzz/artifacts").display()));
        std::fs::create_dir_all(root().join("tests/fuzz/artifacts"))?;
        run_shown(&format!("fuzz {target} for {each} s"), &mut fuzzer)?;
    }
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let folder = root().join("tests/fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

fn build(host: &str) -> Command {
    let mut command = cargo();
    // Without the flags for build scripts and macros, which run on this machine as they are.
    command.current_dir(root().join("tests/fuzz")).env("RUSTFLAGS", FLAGS);
    command.env("CARGO_BUILD_TARGET", host);
    command
}

fn host() -> Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("rustc")?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}
