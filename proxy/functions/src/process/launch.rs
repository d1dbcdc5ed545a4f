//! The launcher: what runs between the proxy and a function's program, for a moment, in the new process.
//!
//! The kernel can be asked to end a process with its parent, but only by that process itself. So the proxy
//! starts its own binary, which asks for it and then becomes the program. It must do nothing else: whatever
//! it opened or changed the function would inherit.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// What a shell says of a program that is not there.
const NOT_FOUND: u8 = 127;

/// Becomes the program that `arguments` name: the proxy's process id, then the program, then its arguments.
/// For the hidden command of the proxy's own binary that [`launcher`](super::ProcessOptions::launcher) names;
/// the host adds these arguments. On success it does not return.
///
/// The process ends by SIGKILL when the thread that started it does (`PR_SET_PDEATHSIG`, Linux only), so that
/// a proxy that is killed leaves nothing behind. What the program itself started is not covered.
pub fn launch(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Err(problem) = become_program(arguments.into_iter());
    // The proxy reads this and logs it under the function's name. If it is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "{problem}");
    ExitCode::from(NOT_FOUND)
}

fn become_program(mut arguments: impl Iterator<Item = OsString>) -> Result<std::convert::Infallible, String> {
    let parent = arguments.next().and_then(|text| text.to_str()?.parse::<i32>().ok());
    let (Some(parent), Some(program)) = (parent, arguments.next()) else {
        return Err("this command is for the proxy itself: it wants PARENT PROGRAM [ARGUMENT]...".to_owned());
    };
    die_with(parent).map_err(|error| format!("cannot tie the process to the proxy: {error}"))?;
    let error = Command::new(&program).args(arguments).exec();
    Err(format!("cannot run {}: {error}", program.display()))
}

#[cfg(target_os = "linux")]
fn die_with(parent: i32) -> io::Result<()> {
    use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::KILL))?;
    // If the proxy ended before the line above, no signal will come any more.
    match getppid().map(Pid::as_raw_pid) {
        Some(now) if now == parent => Ok(()),
        _ => Err(io::Error::other("it has ended already")),
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_: i32) -> io::Result<()> {
    Ok(())
}
