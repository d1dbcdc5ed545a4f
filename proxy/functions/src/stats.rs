//! The counts of one function. They only count: nothing decides by them, and reading never blocks a call.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use starve_http::ErrorKind;
use starve_telemetry::{Histogram, HistogramSnapshot};

/// How an invocation ended; each one is counted as exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An answer below 500, whole to its last byte.
    Ok,
    /// An answer of 500 and above.
    Error,
    /// No answer, or one that broke off: crash, trap, no start.
    Failed,
    /// No answer's head in time.
    Timeout,
    /// Refused, since too many calls were waiting already.
    Overloaded,
    /// The caller went away first.
    Cancelled,
}

impl Outcome {
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::Error, Self::Failed, Self::Timeout, Self::Overloaded, Self::Cancelled];

    /// The value of the metric label `result`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::Cancelled => "cancelled",
        }
    }

    pub(crate) fn of_error(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Overloaded => Self::Overloaded,
            ErrorKind::FunctionTimeout | ErrorKind::ResponseTimeout => Self::Timeout,
            kind if kind.is_clients_fault() => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstanceState {
    Starting,
    Ready,
    /// Takes no new calls; finishes what it has, or is being ended.
    Stopping,
}

impl InstanceState {
    pub const ALL: [Self; 3] = [Self::Starting, Self::Ready, Self::Stopping];

    /// The value of the metric label `state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
        }
    }
}

/// The live counts of one function; they outlive its hosts, so that a reload resets nothing.
#[derive(Debug, Default)]
pub struct FunctionStats {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    duration: Histogram,
    in_flight: AtomicUsize,
    waiting: AtomicUsize,
    cold_starts: AtomicU64,
    failed_starts: AtomicU64,
    crashes: AtomicU64,
    log_lines_dropped: AtomicU64,
    instances: [AtomicUsize; InstanceState::ALL.len()],
    /// What each call is given; 0 where that is not limited, and measured instead.
    memory_bytes: AtomicU64,
    /// Memory by time, in MiB × µs.
    memory_time: AtomicU64,
    /// The process groups of its instances.
    groups: Mutex<BTreeSet<i32>>,
}

/// The counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FunctionSnapshot {
    outcomes: [u64; Outcome::ALL.len()],
    instances: [usize; InstanceState::ALL.len()],
    /// From getting a place to the end of the answer's body, of all calls that got a place.
    pub duration: HistogramSnapshot,
    /// Calls that hold a place.
    pub in_flight: usize,
    /// Calls that wait for a place.
    pub waiting: usize,
    /// Instances started because a call waited for one.
    pub cold_starts: u64,
    /// Starts that led to no instance.
    pub failed_starts: u64,
    /// Instances that ended unasked.
    pub crashes: u64,
    /// Lines of output that were not logged, since there were too many.
    pub log_lines_dropped: u64,
    /// Memory by time, in MiB × µs.
    memory_time: u64,
}

impl FunctionSnapshot {
    /// Memory by time as clouds bill it, a gigabyte having 2^30 bytes: of a component what each call is given, for as
    /// long as it takes; of a process what its processes occupy, for as long as they live.
    #[expect(clippy::cast_precision_loss, reason = "exact to 2^53")]
    pub fn gigabyte_seconds(&self) -> f64 {
        self.memory_time as f64 / 1_024.0 / 1e6
    }

    pub fn invocations(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    pub fn instances(&self, state: InstanceState) -> usize {
        self.instances[state as usize]
    }
}

impl FunctionStats {
    pub fn snapshot(&self) -> FunctionSnapshot {
        let mut duration = HistogramSnapshot::default();
        self.duration.add_to(&mut duration);
        FunctionSnapshot {
            outcomes: std::array::from_fn(|index| self.outcomes[index].load(Relaxed)),
            instances: std::array::from_fn(|index| self.instances[index].load(Relaxed)),
            duration,
            in_flight: self.in_flight.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            cold_starts: self.cold_starts.load(Relaxed),
            failed_starts: self.failed_starts.load(Relaxed),
            crashes: self.crashes.load(Relaxed),
            log_lines_dropped: self.log_lines_dropped.load(Relaxed),
            memory_time: self.memory_time.load(Relaxed),
        }
    }

    /// Counts an instance that a call had to wait for.
    pub fn cold_start(&self) {
        self.cold_starts.fetch_add(1, Relaxed);
    }

    /// Counts a start that led to no instance.
    pub fn failed_start(&self) {
        self.failed_starts.fetch_add(1, Relaxed);
    }

    /// Counts an instance that ended unasked.
    pub fn crash(&self) {
        self.crashes.fetch_add(1, Relaxed);
    }

    pub(crate) fn log_line_dropped(&self) {
        self.log_lines_dropped.fetch_add(1, Relaxed);
    }

    /// Counts one instance in a state for as long as the mark lives.
    pub fn instance(self: &Arc<Self>, state: InstanceState) -> InstanceMark {
        self.instances[state as usize].fetch_add(1, Relaxed);
        InstanceMark { stats: Arc::clone(self), state }
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn took(&self, duration: Duration) {
        self.duration.record(duration);
        self.occupied(self.memory_bytes.load(Relaxed), duration);
    }

    /// What each call is given from now on.
    pub fn set_memory(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Relaxed);
    }

    /// Adds what the function's processes occupy now, for the time since the last look. `memory`: bytes by process
    /// group, see [`crate::process::memory_by_group`].
    pub fn look(&self, memory: &HashMap<i32, u64>, since_last: Duration) {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = groups.iter().filter_map(|group| memory.get(group)).sum();
        self.occupied(bytes, since_last);
    }

    /// The process groups of its instances.
    pub fn groups(&self) -> BTreeSet<i32> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn group_began(&self, group: i32) {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).insert(group);
    }

    pub(crate) fn group_ended(&self, group: i32) {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).remove(&group);
    }

    fn occupied(&self, bytes: u64, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.memory_time.fetch_add((bytes >> 20).saturating_mul(micros), Relaxed);
    }

    pub(crate) fn waiting(&self) -> Gauge<'_> {
        self.waiting.fetch_add(1, Relaxed);
        Gauge::raised(&self.waiting)
    }

    pub(crate) fn enter(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }
}

/// One in a gauge that was raised already; takes it back when dropped.
#[derive(Debug)]
pub(crate) struct Gauge<'a>(&'a AtomicUsize);

impl<'a> Gauge<'a> {
    pub(crate) fn raised(gauge: &'a AtomicUsize) -> Self {
        Self(gauge)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// One instance in the count of its state.
#[derive(Debug)]
pub struct InstanceMark {
    stats: Arc<FunctionStats>,
    state: InstanceState,
}

impl InstanceMark {
    pub fn set(&mut self, state: InstanceState) {
        self.stats.instances[state as usize].fetch_add(1, Relaxed);
        self.stats.instances[self.state as usize].fetch_sub(1, Relaxed);
        self.state = state;
    }
}

impl Drop for InstanceMark {
    fn drop(&mut self) {
        self.stats.instances[self.state as usize].fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_counted_in_one_state_at_a_time() {
        let stats = Arc::new(FunctionStats::default());
        let mut mark = stats.instance(InstanceState::Starting);
        let other = stats.instance(InstanceState::Starting);
        mark.set(InstanceState::Ready);
        let seen = stats.snapshot();
        assert_eq!(seen.instances(InstanceState::Starting), 1);
        assert_eq!(seen.instances(InstanceState::Ready), 1);
        drop((mark, other));
        assert_eq!(stats.snapshot(), FunctionSnapshot::default());
    }

    #[test]
    fn memory_by_time_is_what_is_given_or_what_is_occupied() {
        let stats = FunctionStats::default();
        stats.set_memory(512 << 20);
        stats.took(Duration::from_secs(3));
        assert_eq!(stats.snapshot().gigabyte_seconds(), 1.5);
        stats.group_began(7);
        stats.group_began(8);
        let memory = HashMap::from([(7, 1 << 30), (8, 256 << 20), (9, 5 << 30)]);
        stats.look(&memory, Duration::from_secs(2));
        assert_eq!(stats.snapshot().gigabyte_seconds(), 4.0);
        stats.group_ended(7);
        stats.look(&memory, Duration::from_secs(2));
        assert_eq!(stats.snapshot().gigabyte_seconds(), 4.5);
    }

    #[test]
    fn lists_stand_in_the_order_of_their_numbers() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
        for (index, state) in InstanceState::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, index);
        }
    }
}
