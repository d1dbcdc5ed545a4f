//! The handle of the running proxy, and the thread behind it.
//!
//! Invariant: whoever records only moves a batch into a short queue under a lock that is never held across
//! input or output. Everything slow happens on the thread, which never ends before it is told to.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::batch::Batch;
use crate::error::{CloseError, LedgerError, chain};
use crate::lock::WriterLock;
use crate::store::Store;

/// Batches that may wait for the thread; at one a second, longer than one attempt takes.
const QUEUE_MAX: usize = 16;
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_CLOSING: Duration = Duration::from_millis(100);
/// How often a ledger that another process still has is looked at.
const RETRY_LOCK_AFTER: Duration = Duration::from_millis(100);
/// How often committed pages are forced to the disk.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);

/// The one writer of a ledger file.
///
/// Dropping it without [`Ledger::close`] lets the thread write what it has and end on its own.
#[derive(Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
    path: PathBuf,
}

/// How the ledger fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Health {
    /// Why nothing can be written at the moment; counts wait in memory.
    pub degraded: Option<String>,
    pub last_commit_unix_ms: Option<u64>,
    /// Batches that were taken and are not yet in the file.
    pub pending: u64,
}

impl Ledger {
    /// Opens or creates the ledger, brings it up to date and starts its thread.
    ///
    /// # Errors
    /// The folder cannot be written, another proxy has the file, or the file is damaged, of a newer version or
    /// not a ledger at all.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let path = canonical(path);
        let lock = WriterLock::take(&path)?;
        let store = Store::open(&path)?;
        let mut writer = Writer::new(path);
        writer.hold(lock, store);
        writer.start()
    }

    /// As [`Ledger::open`], for a process that replaces another one: counts wait in memory until that one has let
    /// go of the file. Only then can anything be wrong with it, which [`Ledger::health`] tells.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn open_when_free(path: &Path) -> Result<Self, LedgerError> {
        Writer::new(canonical(path)).start()
    }

    /// The file, with links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a batch to be written; never waits.
    ///
    /// # Errors
    /// Too much is waiting, or the ledger is closed: the batch comes back. The caller keeps it and
    /// [merges](Batch::merge) the next one into it, so that nothing is lost.
    #[expect(clippy::result_large_err, reason = "giving the batch back is the point")]
    pub fn record(&self, batch: Batch) -> Result<(), Batch> {
        let mut state = self.shared.lock();
        if state.closing || state.queue.len() >= QUEUE_MAX {
            return Err(batch);
        }
        state.queue.push_back(batch);
        state.taken += 1;
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    pub fn health(&self) -> Health {
        let state = self.shared.lock();
        Health {
            degraded: state.degraded.clone(),
            last_commit_unix_ms: state.last_commit_unix_ms,
            pending: state.taken - state.written,
        }
    }

    /// Waits until everything recorded so far is committed. Blocks: not for a thread that serves calls.
    ///
    /// # Errors
    /// The deadline passed first. Writing goes on.
    pub fn flush(&self, deadline: Duration) -> Result<(), CloseError> {
        let state = self.shared.lock();
        let target = state.taken;
        self.shared.wait_for(state, deadline, |state| state.written >= target).map(drop)
    }

    /// Commits everything, marks the run as ended and gives the file free. Blocks. Batches recorded after this
    /// come back.
    ///
    /// # Errors
    /// The deadline passed first; what is not written by then is given up.
    pub fn close(&self, deadline: Duration) -> Result<(), CloseError> {
        let mut state = self.shared.lock();
        state.closing = true;
        self.shared.changed.notify_all();
        let waited = self.shared.wait_for(state, deadline, |state| state.finished);
        if waited.is_err() {
            self.shared.lock().abandoned = true;
            self.shared.changed.notify_all();
        }
        waited.and_then(|state| match state.taken - state.written {
            0 => Ok(()),
            _ => Err(state.close_error(Duration::ZERO)),
        })
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
    }
}

/// Links and `..` resolved as far as the file or its folder exists, so that two names of a file share a lock.
pub(crate) fn canonical(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Batch>,
    /// Batches taken and batches written since the start.
    taken: u64,
    written: u64,
    degraded: Option<String>,
    last_commit_unix_ms: Option<u64>,
    closing: bool,
    abandoned: bool,
    finished: bool,
}

impl State {
    fn close_error(&self, waited: Duration) -> CloseError {
        CloseError { pending: self.taken - self.written, waited, cause: self.degraded.clone() }
    }
}

impl Shared {
    /// The state is whole between any two statements that change it, so a poisoned lock tells nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        deadline: Duration,
        done: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'a, State>, CloseError> {
        let (state, timeout) = self
            .changed
            .wait_timeout_while(state, deadline, |state| !done(state) && !state.finished)
            .unwrap_or_else(PoisonError::into_inner);
        match timeout.timed_out() || !done(&state) {
            true => Err(state.close_error(deadline)),
            false => Ok(state),
        }
    }

    /// Waits for something to do: batches, a retry that is due, or the end.
    fn next(&self, retry_at: Option<Instant>) -> Work {
        let mut state = self.lock();
        loop {
            let wait = retry_at.map(|at| at.saturating_duration_since(Instant::now()));
            let due = wait == Some(Duration::ZERO);
            let ending = state.abandoned || (state.closing && retry_at.is_none());
            if !state.queue.is_empty() || due || ending {
                return Work {
                    batches: state.queue.drain(..).collect(),
                    closing: state.closing,
                    abandoned: state.abandoned,
                };
            }
            state = match wait {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn note_written(&self, batches: u64) {
        let mut state = self.lock();
        state.written += batches;
        state.last_commit_unix_ms = now_unix_ms();
        let recovered = state.degraded.take().is_some();
        drop(state);
        self.changed.notify_all();
        if recovered {
            tracing::info!("the ledger can be written again; nothing was lost");
        }
    }

    fn note_failed(&self, why: String) {
        let mut state = self.lock();
        let known = state.degraded.as_ref() == Some(&why);
        state.degraded = Some(why.clone());
        drop(state);
        if !known {
            tracing::warn!(
                cause = why,
                "the ledger cannot be written; counts are kept in memory and tried again"
            );
        }
    }

    fn note_finished(&self) {
        let mut state = self.lock();
        state.finished = true;
        state.closing = true;
        if state.taken > state.written && state.degraded.is_none() {
            state.degraded = Some("the ledger's thread has ended".to_owned());
        }
        drop(state);
        self.changed.notify_all();
    }
}

struct Work {
    batches: Vec<Batch>,
    closing: bool,
    abandoned: bool,
}

struct Writer {
    shared: Arc<Shared>,
    path: PathBuf,
    /// `None` only while another process has the file, or while it has gone and could not be opened again.
    store: Option<Store>,
    inode: (u64, u64),
    next_number: i64,
    /// Given to the store under a number, and not known to be in the file. Never changed: had its commit come
    /// through, what was merged into it later would be lost.
    current: Option<Numbered>,
    waiting: Option<Waiting>,
    retry_at: Option<Instant>,
    checkpointed_at: Instant,
    /// `None` only while another process has the file.
    lock: Option<WriterLock>,
}

struct Waiting {
    /// How many recorded batches were merged into this one.
    batches: u64,
    batch: Batch,
}

struct Numbered {
    number: i64,
    waiting: Waiting,
}

impl Writer {
    fn new(path: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared::default()),
            path,
            store: None,
            inode: (0, 0),
            next_number: 0,
            current: None,
            waiting: None,
            retry_at: None,
            checkpointed_at: Instant::now(),
            lock: None,
        }
    }

    fn start(self) -> Result<Ledger, LedgerError> {
        let ledger = Ledger { shared: Arc::clone(&self.shared), path: self.path.clone() };
        std::thread::Builder::new()
            .name("starve-ledger".to_owned())
            .spawn(move || self.run())
            .map_err(LedgerError::Thread)?;
        Ok(ledger)
    }

    fn hold(&mut self, lock: WriterLock, store: Store) {
        self.next_number = store.applied() + 1;
        self.inode = store.inode();
        self.store = Some(store);
        self.lock = Some(lock);
    }

    /// The file, as soon as the process before this one has let go of it.
    fn take_over(&mut self) -> Result<(), LedgerError> {
        let lock = WriterLock::take(&self.path)?;
        let store = Store::open(&self.path)?;
        self.hold(lock, store);
        Ok(())
    }

    fn run(mut self) {
        loop {
            let work = self.shared.next(self.retry_at);
            work.batches.into_iter().for_each(|batch| self.take(batch));
            if work.abandoned {
                break;
            }
            if self.retry_at.is_none_or(|at| at <= Instant::now()) {
                self.write(work.closing);
            }
            if work.closing && self.current.is_none() && self.waiting.is_none() {
                self.end_run();
                break;
            }
        }
    }

    fn take(&mut self, batch: Batch) {
        match &mut self.waiting {
            Some(waiting) => {
                waiting.batches += 1;
                waiting.batch.merge(batch);
            }
            None => self.waiting = Some(Waiting { batches: 1, batch }),
        }
    }

    /// Writes what there is, or notes why not and when to try again.
    fn write(&mut self, closing: bool) {
        self.retry_at = None;
        // Nothing has a number before the last one in the file is known.
        let has_work = self.current.is_some() || self.waiting.is_some();
        if self.lock.is_none()
            && has_work
            && let Err(error) = self.take_over()
        {
            self.shared.note_failed(chain(&error));
            self.retry_at = Some(Instant::now() + RETRY_LOCK_AFTER);
            return;
        }
        while let Some(numbered) = self.current.take().or_else(|| self.number_waiting()) {
            match self.apply(&numbered) {
                Ok(()) => {
                    self.next_number = numbered.number + 1;
                    self.shared.note_written(numbered.waiting.batches);
                    self.keep_house(numbered.waiting.batch.at_unix_ms);
                }
                Err(why) => {
                    self.current = Some(numbered);
                    self.shared.note_failed(why);
                    let wait = if closing { RETRY_AFTER_CLOSING } else { RETRY_AFTER };
                    self.retry_at = Some(Instant::now() + wait);
                    return;
                }
            }
        }
    }

    fn number_waiting(&mut self) -> Option<Numbered> {
        self.waiting.take().map(|waiting| Numbered { number: self.next_number, waiting })
    }

    fn apply(&mut self, numbered: &Numbered) -> Result<(), String> {
        if self.store.as_ref().is_none_or(|store| !store.is_in_place()) {
            self.reopen().map_err(|error| chain(&error))?;
        }
        let Some(store) = &mut self.store else { return Err("the ledger is not open".to_owned()) };
        store.apply(numbered.number, &numbered.waiting.batch).map_err(|error| chain(&error))
    }

    /// The file was deleted or replaced under us. The old handle goes first: closing it removes the files beside
    /// the path, which must not be those of the new one.
    fn reopen(&mut self) -> Result<(), LedgerError> {
        self.store = None;
        tracing::warn!(path = %self.path.display(), "the ledger's file has gone; a new one is begun");
        let mut store = Store::open(&self.path)?;
        if store.inode() != self.inode {
            store
                .renumber(self.next_number - 1)
                .map_err(|source| LedgerError::Open { path: self.path.clone(), source })?;
            self.inode = store.inode();
        }
        self.store = Some(store);
        Ok(())
    }

    fn keep_house(&mut self, now_unix_ms: u64) {
        let Some(store) = &mut self.store else { return };
        let mut result = store.retain_if_due(now_unix_ms);
        if self.checkpointed_at.elapsed() >= CHECKPOINT_EVERY {
            self.checkpointed_at = Instant::now();
            result = result.and(store.checkpoint());
        }
        if let Err(error) = result {
            tracing::warn!(error = chain(&error), "the ledger could not be tidied; tried again later");
        }
    }

    fn end_run(&mut self) {
        if let Some(Err(error)) = self.store.as_ref().map(Store::end_run) {
            tracing::warn!(error = chain(&error), "the end of the run could not be noted in the ledger");
        }
    }
}

impl Drop for Writer {
    /// Also when the thread panics: nobody may wait for it for ever.
    fn drop(&mut self) {
        self.store = None;
        self.lock = None;
        self.shared.note_finished();
    }
}

fn now_unix_ms() -> Option<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}
