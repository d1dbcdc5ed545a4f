//! A successor takes over: this program's newer version, without a connection lost.
//!
//! The running process starts the program that it was started as, passes it every listening socket, and waits for
//! its word. Then it stops accepting, finishes what it has, and ends. Guarantees, in this order:
//! 1. A queue of connections is always somebody's: a socket is open in both processes before one lets go of it.
//! 2. If the successor does not come to be ready, nothing has changed, and the log says why.
//! 3. No count is lost: the ledger has one writer, and the successor counts in memory until it is free.

use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use serde::{Deserialize, Serialize};

use crate::inherit::PREDECESSOR;

/// How long a successor may take to be ready.
const READY_TIME_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long clients that are idle when the successor is ready keep their connections, so that a request that is
/// on its way then finds somebody; its answer says that the connection ends (RFC 9112 §9.6).
pub(crate) const IDLE_GRACE: Duration = Duration::from_secs(5);
const READY: &[u8] = b"ready";
/// The first descriptor that is passed (`sd_listen_fds(3)`).
const FIRST_DESCRIPTOR: i32 = 3;

/// How this process was started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    program: OsString,
    arguments: Vec<OsString>,
}

impl Program {
    /// By the path that was given and not by what it led to then: the newer version stands in the same place.
    pub(crate) fn of_this_process() -> Self {
        let mut words = std::env::args_os();
        let program = words.next().unwrap_or_default();
        let has_folder = Path::new(&program).components().count() > 1;
        let program = match std::path::absolute(&program) {
            Ok(absolute) if has_folder => absolute.into_os_string(),
            _ => program,
        };
        Self { program, arguments: words.collect() }
    }
}

/// What a successor must know that stands in no file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bequest {
    /// The kill switch of all routes, and of single ones by their ids.
    pub(crate) all_killed: bool,
    pub(crate) killed: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum HandoverError {
    #[error("the program cannot be started")]
    Start(#[source] io::Error),
    #[error("the new process ended before it was ready ({0}); what it wrote says why")]
    Ended(ExitStatus),
    #[error("the new process was not ready within {} s and was stopped", READY_TIME_MAX.as_secs())]
    Late,
}

/// Starts the successor and waits until it serves. Its process id.
///
/// # Errors
/// It does not come to serve. Nothing of it is left then.
pub(crate) async fn hand_over(
    program: &Program,
    sockets: Vec<(String, TcpListener)>,
    bequest: &Bequest,
) -> Result<u32, HandoverError> {
    let (ours, theirs) = UnixDatagram::pair().map_err(HandoverError::Start)?;
    // Waits for the successor in the socket's queue.
    let bequest = serde_json::to_vec(bequest).unwrap_or_default();
    ours.send(&bequest).map_err(HandoverError::Start)?;
    let mut child = start(program, sockets, theirs).map_err(HandoverError::Start)?;
    let ready = async {
        ours.set_nonblocking(true)?;
        let ours = tokio::net::UnixDatagram::from_std(ours)?;
        let mut word = [0; READY.len()];
        while ours.recv(&mut word).await? != READY.len() || word != READY {}
        io::Result::Ok(())
    };
    let ended = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Ok(Some(status)) = child.try_wait() {
                return status;
            }
        }
    };
    let failed = tokio::select! {
        biased;
        Ok(()) = ready => return Ok(child.id()),
        status = ended => return Err(HandoverError::Ended(status)),
        () = tokio::time::sleep(READY_TIME_MAX) => HandoverError::Late,
    };
    stop(&mut child);
    Err(failed)
}

fn start(program: &Program, sockets: Vec<(String, TcpListener)>, theirs: UnixDatagram) -> io::Result<Child> {
    let (mut names, listeners): (Vec<String>, Vec<TcpListener>) = sockets.into_iter().unzip();
    names.push(PREDECESSOR.to_owned());
    let descriptors = listeners.into_iter().map(OwnedFd::from).chain([OwnedFd::from(theirs)]);
    let mappings =
        descriptors.zip(FIRST_DESCRIPTOR..).map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
    let mut command = Command::new(&program.program);
    command
        .args(&program.arguments)
        .env("LISTEN_FDS", names.len().to_string())
        .env("LISTEN_FDNAMES", names.join(":"))
        // Both would name this process.
        .env_remove("LISTEN_PID")
        .env_remove("WATCHDOG_PID")
        .fd_mappings(mappings.collect())
        .map_err(io::Error::other)?;
    // With the command this process's copies of the descriptors go.
    command.spawn()
}

fn stop(child: &mut Child) {
    // It may have ended on its own by now.
    let _killed = child.kill();
    let _ended = child.wait();
}

/// What the process before this one has to say; without a word, nothing.
pub(crate) fn bequest_of(predecessor: &UnixDatagram) -> Bequest {
    let mut bytes = vec![0; 256 * 1024];
    let read = predecessor.set_nonblocking(true).and_then(|()| predecessor.recv(&mut bytes)).unwrap_or(0);
    serde_json::from_slice(&bytes[..read]).unwrap_or_default()
}

/// Tells the process before this one that it may stop accepting.
pub(crate) fn tell_ready(predecessor: &UnixDatagram) {
    if let Err(error) = predecessor.send(READY) {
        tracing::warn!(%error, "the process before this one has not heard that it is replaced");
    }
}
