//! What the running program is told from outside.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::handover::{HandoverError, Program, hand_over};
use crate::proxy::Proxy;
use crate::service_manager;
use crate::sockets::Kept;

pub(crate) struct Signals {
    hangup: Signal,
    replace: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// Heard so that it ends nobody: a write beyond a limit on the size of files is an error like a full disk, and the
    /// ledger waits until there is room.
    _file_too_large: Option<Signal>,
}

/// SIGXFSZ, on Linux and macOS (but for MIPS).
const FILE_TOO_LARGE: i32 = 25;

/// Why the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Stop,
    /// The process with this id serves now.
    ReplacedBy(u32),
}

impl Signals {
    pub(crate) fn hear() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            replace: signal(SignalKind::user_defined2())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_too_large: signal(SignalKind::from_raw(FILE_TOO_LARGE)).ok(),
        })
    }

    /// SIGHUP reloads; SIGUSR2 starts a successor; SIGTERM, SIGINT and a successor that serves end the wait.
    pub(crate) async fn wait(mut self, proxy: &Arc<Proxy>, program: &Program, kept: &Kept) -> Told {
        let told = loop {
            tokio::select! {
                _ = self.hangup.recv() => {
                    service_manager::reloading();
                    // The outcome is in the log, the metrics and the API.
                    let _told = proxy.reload("SIGHUP").await;
                    service_manager::ready();
                }
                _ = self.replace.recv() => {
                    if let Some(pid) = replace(proxy, program, kept).await {
                        break Told::ReplacedBy(pid);
                    }
                }
                _ = self.terminate.recv() => break Told::Stop,
                _ = self.interrupt.recv() => break Told::Stop,
            }
        };
        tracing::info!("draining");
        told
    }
}

async fn replace(proxy: &Proxy, program: &Program, kept: &Kept) -> Option<u32> {
    tracing::info!("a new process is started to replace this one");
    let bequest = proxy.registry.bequest();
    let replaced = match kept.copies() {
        Ok(sockets) => hand_over(program, sockets, &bequest).await,
        Err(error) => Err(HandoverError::Start(error)),
    };
    replaced
        .inspect(|pid| tracing::info!(pid, "the new process serves"))
        .inspect_err(|error| {
            tracing::error!(error = chain(error), "not replaced: this process goes on as before");
        })
        .ok()
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
