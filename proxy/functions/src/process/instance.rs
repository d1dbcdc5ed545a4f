//! One process: spawned, found ready, watched, stopped.
//!
//! Invariant: a [`Process`] that is dropped takes its whole process group with it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::ProcessOptions;
use super::output::Output;
use super::port::Port;
use crate::FunctionStats;

/// How often a start is tried again because somebody else took the port.
const PORT_TRIES: usize = 4;
/// Between two looks whether the child listens: short at first, since a small program needs few of them.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const SLOWEST_LOOK: Duration = Duration::from_millis(20);
/// How long to wait for the last words of a program that has ended. Its own children may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error("no free port")]
    Port(#[source] io::Error),
    #[error("cannot run {program}")]
    Spawn { program: String, source: io::Error },
    #[error("{program} ended before it listened on its port ({status}); its last line: {last_line:?}")]
    Exited { program: String, status: String, last_line: String },
    #[error("{program} does not listen on its port after {0:?}", .after)]
    TimedOut { program: String, after: Duration },
    #[error("the function is being shut down")]
    Closing,
}

#[derive(Debug)]
pub(super) struct Process {
    /// Before the child, so that it is ended while its number is certainly its own.
    group: Group,
    child: Child,
    address: SocketAddr,
    output: Arc<Output>,
    pumps: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts the program and waits until it accepts connections.
    pub(super) async fn start(
        options: &ProcessOptions,
        id: u64,
        runtime: &Handle,
        stats: &Arc<FunctionStats>,
    ) -> Result<Self, StartError> {
        let deadline = Instant::now() + options.start_timeout;
        let mut tries = 1;
        loop {
            let port = if tries == 1 { Port::reserve() } else { Port::unreserved() };
            let port = port.map_err(StartError::Port)?;
            let output = Output::new(options.name.clone(), id, Arc::clone(stats));
            let mut process = Self::spawn(options, &port, output, runtime, stats)?;
            match process.ready(deadline).await {
                Readiness::Ready => return Ok(process),
                // It may be a server that cannot share a port with its reservation.
                Readiness::Exited(_) if port.is_reserved() => tries += 1,
                Readiness::Exited(_) if tries < PORT_TRIES && port.is_taken() => tries += 1,
                Readiness::Exited(status) => return Err(process.exited(options, &status).await),
                Readiness::TimedOut => {
                    let (program, after) = (options.program.clone(), options.start_timeout);
                    return Err(StartError::TimedOut { program, after });
                }
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the process has ended; says with which status. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> String {
        describe(self.child.wait().await)
    }

    /// What the program wrote last, when it has ended: most often why.
    pub(super) async fn last_line(&mut self) -> String {
        let reading = async {
            for pump in self.pumps.drain(..) {
                let _joined = pump.await;
            }
        };
        // What came until then is what there is.
        let _in_time = timeout(LAST_WORDS, reading).await;
        self.output.last_line()
    }

    /// SIGTERM to the group, and SIGKILL to what is left of it after `grace`. Says whether it ended by itself.
    pub(super) async fn stop(mut self, grace: Duration) -> bool {
        self.group.signal(Signal::TERM);
        let in_time = timeout(grace, self.child.wait()).await.is_ok();
        self.group.signal(Signal::KILL);
        // After SIGKILL this is short; an error means that there is nothing left to wait for.
        let _ended = self.child.wait().await;
        in_time
    }

    fn spawn(
        options: &ProcessOptions,
        port: &Port,
        output: Arc<Output>,
        runtime: &Handle,
        stats: &Arc<FunctionStats>,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError::Spawn { program: options.program.clone(), source };
        let mut child = command(options)
            .map_err(failed)?
            .env("HOST", "127.0.0.1")
            .env("PORT", port.number().to_string())
            .spawn()
            .map_err(failed)?;
        let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let group = Group::began(leader, stats);
        let mut pumps = Vec::new();
        pumps.extend(child.stdout.take().map(|stream| output.follow(runtime, "stdout", stream)));
        pumps.extend(child.stderr.take().map(|stream| output.follow(runtime, "stderr", stream)));
        Ok(Self { group, child, address: port.address(), output, pumps })
    }

    async fn ready(&mut self, deadline: Instant) -> Readiness {
        let listening = until_listening(self.address);
        let ready = tokio::select! {
            biased;
            status = self.child.wait() => return Readiness::Exited(describe(status)),
            () = sleep_until(deadline) => return Readiness::TimedOut,
            () = listening => Readiness::Ready,
        };
        // A stranger may listen there while the child gives up.
        match self.child.try_wait() {
            Ok(None) => ready,
            Ok(Some(status)) => Readiness::Exited(status.to_string()),
            Err(error) => Readiness::Exited(error.to_string()),
        }
    }

    async fn exited(&mut self, options: &ProcessOptions, status: &str) -> StartError {
        let last_line = self.last_line().await;
        StartError::Exited { program: options.program.clone(), status: status.to_owned(), last_line }
    }
}

enum Readiness {
    Ready,
    Exited(String),
    TimedOut,
}

fn describe(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

fn command(options: &ProcessOptions) -> io::Result<Command> {
    // Relative to where this process stands now: the child is told where it stands before it looks.
    let folder = std::path::absolute(&options.working_dir)?;
    let program = match options.program.contains('/') {
        true => folder.join(&options.program),
        false => Path::new(&options.program).to_owned(),
    };
    let mut command = match options.launcher.split_first() {
        None => Command::new(program),
        Some((launcher, arguments)) => {
            let mut command = Command::new(launcher);
            command.args(arguments).arg(std::process::id().to_string()).arg(program);
            command
        }
    };
    command
        .args(&options.arguments)
        .current_dir(folder)
        .envs(&options.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

async fn until_listening(address: SocketAddr) {
    let mut wait = FIRST_LOOK;
    loop {
        if let Ok(stream) = TcpStream::connect(address).await
            && !is_connected_to_itself(&stream)
        {
            return;
        }
        sleep(wait).await;
        wait = (wait * 5 / 4).min(SLOWEST_LOOK);
    }
}

/// The kernel may choose the very port that is being connected to as the connection's own, and then both ends
/// are one (simultaneous open, RFC 9293 §3.5): nobody listens.
fn is_connected_to_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}

/// The process group of a child. It is ended with the child even if the child itself is gone already, so that
/// nothing that the child started stays. The number can then in theory belong to a new group, but the kernel
/// gives numbers in turn, and this happens right after the child was found to have ended.
#[derive(Debug)]
struct Group {
    leader: Option<Pid>,
    stats: Arc<FunctionStats>,
}

impl Group {
    fn began(leader: Option<Pid>, stats: &Arc<FunctionStats>) -> Self {
        if let Some(leader) = leader {
            stats.group_began(leader.as_raw_nonzero().get());
        }
        Self { leader, stats: stats.clone() }
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // The one error there is says that the group is empty, which is what is wanted.
            let _delivered = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(leader) = self.leader {
            self.stats.group_ended(leader.as_raw_nonzero().get());
        }
    }
}
