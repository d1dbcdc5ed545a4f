//! The life of one process: the task that starts it, watches it, and sees it to its end.
//!
//! Invariant: the pool is told of every change before anybody else can see it, and the process is gone when
//! the task ends, however it ends.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use super::instance::{Process, StartError};
use super::lease::{Instance, Order};
use super::pool::{Pool, StartOutcome};
use crate::stats::InstanceState;

/// What is decided about an instance before it starts.
pub(super) struct Birth {
    pub(super) id: u64,
    pub(super) generation: u64,
    /// A call waits for it.
    pub(super) cold: bool,
}

enum End {
    /// By itself, with this status.
    Ended(String),
    /// It lives, and accepts no connections.
    Refused,
    Idle,
    Drained,
}

impl Pool {
    pub(super) async fn live(self: Arc<Self>, birth: Birth, announcement: Announcement, _counted: TaskMark) {
        let mut mark = self.stats.instance(InstanceState::Starting);
        let began = Instant::now();
        let started = tokio::select! {
            started = Process::start(&self.options, birth.id, &self.runtime, &self.stats) => started,
            () = self.closing() => Err(StartError::Closing),
        };
        let mut process = match started {
            Ok(process) => process,
            Err(error) => return self.start_failed(announcement, error),
        };
        mark.set(InstanceState::Ready);
        tracing::info!(
            function = self.name(),
            instance = birth.id,
            address = %process.address(),
            after_ms = began.elapsed().as_millis(),
            "the function is ready"
        );
        let instance = self.welcome(&process, &birth, announcement);
        let end = self.watch(&instance, &mut process).await;
        mark.set(InstanceState::Stopping);
        self.part_with(&instance, &end);
        self.note(&instance, &end, &mut process).await;
        if !process.stop(self.options.stop_grace).await {
            tracing::warn!(
                function = self.name(),
                instance = birth.id,
                "the function ignored SIGTERM: killed"
            );
        }
    }

    fn start_failed(self: &Arc<Self>, announcement: Announcement, error: StartError) {
        if !matches!(error, StartError::Closing) {
            self.stats.failed_start();
            tracing::error!(function = self.name(), error = %chain(&error), "the function does not start");
        }
        let mut state = self.lock();
        state.backoff.start_failed(Instant::now());
        state.start = None;
        announcement.tell(Err(Arc::new(error)));
        self.top_up(&mut state);
    }

    fn welcome(
        self: &Arc<Self>,
        process: &Process,
        birth: &Birth,
        announcement: Announcement,
    ) -> Arc<Instance> {
        if birth.cold {
            self.stats.cold_start();
        }
        let target = (self.connect)(process.address());
        let instance = Arc::new(Instance::new(birth.id, birth.generation, process.address(), target));
        let mut state = self.lock();
        state.start = None;
        if state.closed {
            instance.order(Order::Drain);
        } else {
            state.ready.extract_if(.., |other| other.generation() < birth.generation).for_each(|old| {
                old.order(Order::Drain);
            });
            state.ready.push(Arc::clone(&instance));
        }
        announcement.tell(Ok(()));
        self.top_up(&mut state);
        instance
    }

    async fn watch(&self, instance: &Instance, process: &mut Process) -> End {
        let mut look = Instant::now() + self.options.idle;
        loop {
            tokio::select! {
                biased;
                status = process.ended() => return End::Ended(status),
                order = instance.ordered() => return self.obey(order, instance, process).await,
                () = sleep_until(look.into()) => match self.retire(instance) {
                    Some(next) => look = next,
                    None => return End::Idle,
                },
            }
        }
    }

    async fn obey(&self, order: Order, instance: &Instance, process: &mut Process) -> End {
        if order == Order::Stop {
            return End::Refused;
        }
        tokio::select! {
            status = process.ended() => End::Ended(status),
            _in_time = timeout(self.options.drain_timeout, instance.until_unused()) => End::Drained,
        }
    }

    /// Takes the instance out of the pool and draws the lesson from its end.
    fn part_with(self: &Arc<Self>, instance: &Instance, end: &End) {
        let mut state = self.lock();
        state.take_out(instance);
        match end {
            End::Ended(_) | End::Refused => {
                self.stats.crash();
                state.backoff.crashed(Instant::now(), instance.lived());
            }
            End::Idle | End::Drained => state.backoff.ended(instance.lived()),
        }
        self.top_up(&mut state);
    }

    async fn note(&self, instance: &Instance, end: &End, process: &mut Process) {
        let (function, instance) = (self.name(), instance.id());
        match end {
            End::Ended(status) => {
                let last_line = process.last_line().await;
                tracing::error!(function, instance, status, last_line, "the function ended unasked");
            }
            End::Refused => tracing::error!(function, instance, "the function accepts no connections"),
            End::Idle => tracing::info!(function, instance, "the function is stopped: idle"),
            End::Drained => tracing::info!(function, instance, "the function is stopped: drained"),
        }
    }
}

fn chain(error: &StartError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Tells all who wait how a start went. A task that goes away without a word, because its runtime is shut
/// down, wakes them too.
pub(super) struct Announcement(watch::Sender<StartOutcome>);

impl Announcement {
    pub(super) fn new(outcome: watch::Sender<StartOutcome>) -> Self {
        Self(outcome)
    }

    fn tell(self, outcome: Result<(), Arc<StartError>>) {
        self.0.send_replace(Some(outcome));
    }
}

/// Counts a task that owns a process.
pub(super) struct TaskMark(Arc<Pool>);

impl TaskMark {
    pub(super) fn new(pool: &Arc<Pool>) -> Self {
        pool.tasks.send_modify(|tasks| *tasks += 1);
        Self(Arc::clone(pool))
    }
}

impl Drop for TaskMark {
    fn drop(&mut self) {
        self.0.tasks.send_modify(|tasks| *tasks -= 1);
    }
}
