//! The binary `starve`: commands, exit codes; no logic of its own.
//!
//! Exit codes: 0 ok, 1 failed, 64 usage, 78 configuration (as in BSD's sysexits).

mod arguments;
mod callers;
mod check;
mod client;
mod completions;
mod diff;
mod diffs;
mod discovered;
mod explain;
mod flip;
mod import;
mod kill_switch;
mod output;
mod report;
mod run;
mod suggest;

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::{Arguments, Command};
use crate::output::{USAGE, print};

/// A call makes a few dozen short-lived allocations, many of them larger than the system's allocator has a quick
/// way for (docs/adr/0008-allocator.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let outcome = match arguments.command {
        Command::Run(run) => run::run(&arguments.global, &run),
        Command::Check(check) => check::run(&arguments.global, &check),
        Command::Explain(explain) => explain::run(&arguments.global, &explain),
        Command::Flip(flip) => flip::run(&arguments.global, &flip),
        Command::KillSwitch(switch) => kill_switch::run(&arguments.global, &switch),
        Command::Report(report) => report::run(&arguments.global, &report),
        Command::Import(import) => import::run(&arguments.global, &import),
        Command::Callers(callers) => callers::run(&arguments.global, &callers),
        Command::Diff(diff) => diff::run(&arguments.global, &diff),
        Command::Diffs(diffs) => diffs::run(&arguments.global, &diffs),
        Command::Discovered(discovered) => discovered::run(&arguments.global, &discovered),
        Command::Schema => print(starve_config::SCHEMA),
        Command::Completions(completions) => completions::run(&completions),
        Command::Suggest(suggest) => suggest::run(&arguments.global, &suggest),
        Command::Launch(launch) => return starve_functions::process::launch(launch.command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit(),
    }
}

/// `--help` and `--version` come here as well, and are no errors.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed output is no reason for another exit code.
    let _printed = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}
