//! Notices that the configuration or a function's file has changed.
//!
//! Events of the file system are hints only: editors rename, ConfigMaps swap links, network file systems
//! say nothing. What decides is the hash of the text, looked at after every hint and every two seconds.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, watch};

use crate::proxy::Proxy;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A change is looked at when the file system has been quiet for this long, so that a text is not read
/// while it is being written.
const QUIET: Duration = Duration::from_millis(40);

/// Runs until told to stop.
pub(crate) async fn run(proxy: Arc<Proxy>, mut stop: watch::Receiver<bool>) {
    let (hint, mut hints) = mpsc::channel(1);
    let _watcher = watcher(proxy.file.path(), hint);
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            Some(()) = hints.recv() => quiet(&mut hints).await,
            _ = look.tick() => {}
        }
        look_at_config(&proxy).await;
        look_at_processes(&proxy).await;
    }
}

/// Waits until the folder is quiet, but not for ever: a log beside the file may grow at every call.
async fn quiet(hints: &mut mpsc::Receiver<()>) {
    let quiet =
        async { while tokio::time::timeout(QUIET, hints.recv()).await.is_ok_and(|hint| hint.is_some()) {} };
    let _looked_at_anyway = tokio::time::timeout(LOOK_EVERY, quiet).await;
}

/// Hints from the folder of the file and, where the file is a link, from the folder it leads to. Without
/// them changes are still seen, two seconds later at the most.
fn watcher(file: &Path, hint: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let tell = move |event: notify::Result<notify::Event>| {
        // Reading the file is an event as well on some systems, and would never end.
        let is_change = event.is_ok_and(|event| !event.kind.is_access());
        if is_change {
            // A hint that waits already is as good as two.
            let _waiting = hint.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(tell)
        .inspect_err(|error| tracing::warn!(%error, "no file events; changes are seen by polling"))
        .ok()?;
    let file = std::path::absolute(file).ok()?;
    let mut folders = vec![file.parent()?.to_owned()];
    folders.extend(std::fs::canonicalize(&file).ok().and_then(|real| real.parent().map(Path::to_owned)));
    folders.dedup();
    for folder in folders {
        if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
            tracing::warn!(folder = %folder.display(), %error, "no file events; changes are seen by polling");
        }
    }
    Some(watcher)
}

async fn look_at_config(proxy: &Arc<Proxy>) {
    let looking = proxy.clone();
    let news = tokio::task::spawn_blocking(move || news(&looking)).await.ok().flatten();
    if let Some(why) = news {
        // The outcome is in the log, the metrics and the API; the next look goes on from it.
        let _told = proxy.reload(why).await;
    }
}

fn news(proxy: &Proxy) -> Option<&'static str> {
    // A file that is away for the moment of a rename is no news, and one that stays away changes nothing.
    let hash: [u8; 32] = proxy.file.text().ok().map(|text| Sha256::digest(text.as_bytes()).into())?;
    let mut seen = proxy.seen.lock().unwrap_or_else(PoisonError::into_inner);
    if std::mem::replace(&mut *seen, hash) != hash {
        return Some("file changed");
    }
    drop(seen);
    let generation = proxy.shared.live.load_full();
    // All of them are looked at, so that one news is told once.
    let news = generation.functions.values().filter(|function| function.has_news()).count();
    if news > 0 {
        return Some("function changed");
    }
    proxy.certificates.have_news(&generation.plan).then_some("certificate changed")
}

async fn look_at_processes(proxy: &Proxy) {
    let generation = proxy.shared.live.load_full();
    for (name, function) in &generation.functions {
        let Some(process) = function.process() else { continue };
        match process.restart_if_changed().await {
            Ok(true) => tracing::info!(function = name, "program replaced"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(
                    function = name,
                    error = error.chain(),
                    "the new program does not start, the old one goes on"
                );
            }
        }
    }
}

/// Until the sender says so, or is gone. The value itself is let go at once: it holds a lock.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stop| *stop).await.map(drop);
}
