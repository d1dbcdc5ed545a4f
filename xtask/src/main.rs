//! The project's own tasks, each one command: `cargo xtask demo | test | lint | bench | fuzz | tidy`.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

mod children;
mod demo;
mod discovery;
mod fuzz;
mod packages;
mod progress;
mod test;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  demo [--for 30s] [--rate 150]   build and start the old shop, the functions and the proxy, drive traffic,
                                  flip routes; ends with the report
  test                            install what the tests need, then run every test
  lint                            formatting, clippy, the edges between crates
  bench [CASE…]                   CPU per request beside nginx, HAProxy and Envoy, in one run
  bench instructions [CASE…]      instructions per request, by callgrind
  bench counting [CASE…]          instructions and CPU beside a build that does not count
  bench import                    lines of an access log a second, beside goaccess
  fuzz [TARGET] [--seconds 60]    the fuzz targets, for a while altogether
  discovery-score [FILE…]         precision and recall of discovered endpoints on GitHub's interface and OpenAPI FILEs
  tidy                            the edges between crates and other rules of the repository alone
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["demo", options @ ..] => demo::run(options),
        ["test"] => test::run(),
        ["lint"] => test::lint(),
        ["tidy"] => tidy::run(),
        ["fuzz", words @ ..] => fuzz::command(words),
        ["discovery-score", files @ ..] => discovery::score(files),
        ["bench", options @ ..] => test::bench(options),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(64);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace.
fn root() -> PathBuf {
    // This crate stands one below it.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo puts what it builds in the development profile.
fn target_dir() -> PathBuf {
    // This program stands in it.
    let here = std::env::current_exe().ok();
    let folder = here.as_deref().and_then(Path::parent).map(Path::to_owned);
    folder.unwrap_or_else(|| root().join("target").join("debug"))
}
