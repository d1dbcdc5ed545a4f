//! `starve completions`: what a shell needs to complete commands, options and stages.

use clap::{Command, CommandFactory as _};
use clap_complete::{Generator, generate, shells};

use crate::arguments::{Arguments, Completions, Shell};
use crate::output::{Failure, print};

pub(crate) fn run(completions: &Completions) -> Result<(), Failure> {
    print(&match completions.shell {
        Shell::Bash => script(shells::Bash),
        Shell::Zsh => script(shells::Zsh),
        Shell::Fish => script(shells::Fish),
        Shell::Powershell => script(shells::PowerShell),
    })
}

fn script(shell: impl Generator) -> String {
    let mut bytes = Vec::new();
    generate(shell, &mut typed(), "starve", &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What people type: without the commands that the program uses to call itself.
fn typed() -> Command {
    let all = Arguments::command();
    let shown = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    Command::new("starve").args(all.get_arguments().cloned()).subcommands(shown)
}
