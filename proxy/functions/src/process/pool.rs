//! The instances of one function: which one takes a call, when another is started, when one is stopped.
//!
//! All decisions are made under one short lock, never across an await. Invariant: at most one start is under
//! way, and every process belongs to exactly one task, which outlives nothing it has told the pool about.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use starve_http::{Error, ErrorKind};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::instance::StartError;
use super::lease::{Instance, Lease, Order};
use super::life::{Announcement, Birth, TaskMark};
use super::{Connect, ProcessOptions};
use crate::stats::FunctionStats;

/// The shortest idle time that is watched for.
const SHORTEST_IDLE: Duration = Duration::from_millis(10);
/// What a caller is told to wait while the function is being shut down or its start has just failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Pool {
    pub(super) options: ProcessOptions,
    pub(super) connect: Connect,
    pub(super) runtime: Handle,
    pub(super) stats: Arc<FunctionStats>,
    state: Mutex<State>,
    /// Turns true once; ends starts and waits.
    closing: watch::Sender<bool>,
    /// Tasks that own a process or are about to.
    pub(super) tasks: watch::Sender<usize>,
}

#[derive(Default)]
pub(super) struct State {
    /// In the order in which they became ready, so that under little load the newest become idle.
    pub(super) ready: Vec<Arc<Instance>>,
    pub(super) start: Option<Start>,
    pub(super) backoff: Backoff,
    /// Of the artefact; an instance of an earlier one is replaced as soon as a later one stands.
    generation: u64,
    next_id: u64,
    /// A start that waits out the back-off on nobody's behalf but `min`'s.
    top_up_waits: bool,
    pub(super) closed: bool,
}

impl State {
    /// Whether the instance was still there.
    pub(super) fn take_out(&mut self, instance: &Instance) -> bool {
        let before = self.ready.len();
        self.ready.retain(|other| !std::ptr::eq(&**other, instance));
        self.ready.len() < before
    }
}

/// A start under way. All who need it wait for the same one.
#[derive(Clone)]
pub(super) struct Start {
    outcome: watch::Receiver<StartOutcome>,
}

/// `None` until it is known.
pub(super) type StartOutcome = Option<Result<(), Arc<StartError>>>;

impl Start {
    /// Whether its task went away without a word, as a panic does.
    fn is_lost(&self) -> bool {
        self.outcome.has_changed().is_err()
    }

    async fn outcome(mut self) -> Result<(), Arc<StartError>> {
        match self.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            // The task went away without a word: its runtime is being shut down.
            Err(_) => Err(Arc::new(StartError::Closing)),
        }
    }
}

/// What the callers see.
impl Pool {
    pub(super) fn new(
        mut options: ProcessOptions,
        connect: Connect,
        runtime: Handle,
        stats: Arc<FunctionStats>,
    ) -> Arc<Self> {
        options.max = options.max.max(options.min).max(1);
        options.idle = options.idle.max(SHORTEST_IDLE);
        let (closing, tasks) = (watch::Sender::new(false), watch::Sender::new(0));
        let pool =
            Arc::new(Self { options, connect, runtime, stats, state: Mutex::default(), closing, tasks });
        pool.top_up(&mut pool.lock());
        pool
    }

    pub(super) fn name(&self) -> &str {
        &self.options.name
    }

    /// The least busy instance, or the one whose start is waited for here.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, Error> {
        loop {
            let start = match self.choose()? {
                Choice::Ready(lease) => return Ok(lease),
                Choice::Wait(start) => start,
            };
            start.outcome().await.map_err(|error| self.not_started(error))?;
        }
    }

    /// The instance did not accept a connection: nobody is to be sent there any more.
    pub(super) fn refused(&self, lease: &Lease) {
        if self.lock().take_out(lease.instance()) {
            lease.instance().order(Order::Stop);
        }
    }

    pub(super) async fn replace(self: &Arc<Self>) -> Result<(), Error> {
        let generation = {
            let mut state = self.lock();
            state.generation += 1;
            // What failed was the artefact before.
            state.backoff = Backoff::default();
            state.generation
        };
        while let Some(start) = self.replacement(generation)? {
            start.outcome().await.map_err(|error| self.not_started(error))?;
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.closing.send_replace(true);
        for instance in state.ready.drain(..) {
            instance.order(Order::Drain);
        }
    }

    pub(super) async fn shutdown(&self) {
        self.close();
        // The sender lives in `self`, so waiting cannot fail.
        let mut tasks = self.tasks.subscribe();
        let _none_left = tasks.wait_for(|tasks| *tasks == 0).await;
    }
}

enum Choice {
    Ready(Lease),
    Wait(Start),
}

/// The decisions. Each takes the state it decides on, so that none is made without the lock.
impl Pool {
    fn choose(self: &Arc<Self>) -> Result<Choice, Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(self.closed());
        }
        let generation = state.generation;
        let by_load = |instance: &&Arc<Instance>| (instance.generation() != generation, instance.in_flight());
        let least = state.ready.iter().min_by_key(by_load).cloned();
        if least.as_ref().is_none_or(|instance| self.wants_another(&state, instance)) {
            self.start_if_allowed(&mut state, least.is_none());
        }
        match (least, &state.start) {
            (Some(instance), _) => Ok(Choice::Ready(Lease::new(&instance))),
            (None, Some(start)) => Ok(Choice::Wait(start.clone())),
            (None, None) => Err(self.backing_off(&state)),
        }
    }

    fn wants_another(&self, state: &State, least: &Instance) -> bool {
        let share = self.options.concurrency.div_ceil(self.options.max).max(1);
        let all_busy = least.in_flight() >= share && state.ready.len() < self.options.max;
        all_busy || least.generation() != state.generation
    }

    fn start_if_allowed(self: &Arc<Self>, state: &mut State, cold: bool) {
        let may_start = state.start.as_ref().is_none_or(Start::is_lost);
        if may_start && state.backoff.remaining(Instant::now()).is_none() {
            self.start(state, cold);
        }
    }

    fn start(self: &Arc<Self>, state: &mut State, cold: bool) -> Start {
        let (sender, outcome) = watch::channel(None);
        let start = Start { outcome };
        state.start = Some(start.clone());
        state.next_id += 1;
        let birth = Birth { id: state.next_id, generation: state.generation, cold };
        let (announcement, counted) = (Announcement::new(sender), TaskMark::new(self));
        self.runtime.spawn(Arc::clone(self).live(birth, announcement, counted));
        start
    }

    /// Keeps `min` instances: starts one if there are fewer, now or when the back-off allows.
    pub(super) fn top_up(self: &Arc<Self>, state: &mut State) {
        if state.closed || state.start.is_some() || state.ready.len() >= self.options.min {
            return;
        }
        match state.backoff.remaining(Instant::now()) {
            None => drop(self.start(state, false)),
            Some(wait) if !state.top_up_waits => {
                state.top_up_waits = true;
                let pool = Arc::clone(self);
                self.runtime.spawn(async move {
                    tokio::select! { () = sleep(wait) => {}, () = pool.closing() => {} }
                    let mut state = pool.lock();
                    state.top_up_waits = false;
                    pool.top_up(&mut state);
                });
            }
            Some(_) => {}
        }
    }

    /// The start to wait for until an instance of `generation` stands; `None` when one does or none is needed.
    fn replacement(self: &Arc<Self>, generation: u64) -> Result<Option<Start>, Error> {
        let mut state = self.lock();
        if state.closed {
            return Err(self.closed());
        }
        let stands = state.ready.iter().any(|instance| instance.generation() >= generation);
        if let Some(start) = &state.start {
            return Ok((!stands).then(|| start.clone()));
        }
        let needed = !stands && !state.ready.is_empty();
        Ok(needed.then(|| self.start(&mut state, false)))
    }

    /// Takes the instance out if it has been idle long enough; otherwise says when to look again.
    pub(super) fn retire(&self, instance: &Instance) -> Option<Instant> {
        let (mut state, now) = (self.lock(), Instant::now());
        let due = instance.last_used() + self.options.idle;
        // The oldest stay for `min`: they are the ones that little load goes to.
        let kept = state.ready.iter().take(self.options.min).any(|other| std::ptr::eq(&**other, instance));
        if kept || instance.in_flight() > 0 {
            return Some(now + self.options.idle);
        }
        if due > now {
            return Some(due);
        }
        state.take_out(instance);
        None
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn not_started(&self, cause: Arc<StartError>) -> Error {
        let wait = self.lock().backoff.remaining(Instant::now()).unwrap_or(RETRY_AFTER);
        self.start_error().with_source(cause).with_retry_after(wait)
    }

    fn backing_off(&self, state: &State) -> Error {
        let wait = state.backoff.remaining(Instant::now()).unwrap_or(RETRY_AFTER);
        let cause = format!("it ended or did not start too often; next try in {} ms", wait.as_millis());
        self.start_error().with_source(cause).with_retry_after(wait)
    }

    fn closed(&self) -> Error {
        self.start_error().with_source(StartError::Closing).with_retry_after(RETRY_AFTER)
    }

    fn start_error(&self) -> Error {
        Error::new(ErrorKind::FunctionStart, format!("start function {}", self.name()))
    }

    pub(super) async fn closing(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let mut closing = self.closing.subscribe();
        let _closing = closing.wait_for(|closing| *closing).await;
    }
}
