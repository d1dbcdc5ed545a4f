use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use starve_compare::{Rules, Verdict};
use starve_migration::Side;

/// Why a copy was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DropReason {
    /// As many copies wait as `limits.shadow-queue` allows.
    QueueFull,
    /// As many copies of this route are under way as one route may have.
    RouteBusy,
    /// The function has no place for a copy beside its calls.
    FunctionBusy,
    /// The memory for captured bodies is used up.
    Memory,
    /// The request's body is larger than `limits.shadow-body-bytes`.
    BodyTooLarge,
    /// The request's body or the answer's was not read to its end: the client left, or broke off, or the
    /// side answered early.
    Incomplete,
    /// The side that answers had no answer to compare with.
    NoAnswer,
    /// The answer is an endless stream or a switched protocol.
    NotComparable,
}

impl DropReason {
    pub const ALL: [Self; 8] = [
        Self::QueueFull,
        Self::RouteBusy,
        Self::FunctionBusy,
        Self::Memory,
        Self::BodyTooLarge,
        Self::Incomplete,
        Self::NoAnswer,
        Self::NotComparable,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::RouteBusy => "route_busy",
            Self::FunctionBusy => "function_busy",
            Self::Memory => "memory",
            Self::BodyTooLarge => "body_too_large",
            Self::Incomplete => "incomplete",
            Self::NoAnswer => "no_answer",
            Self::NotComparable => "not_comparable",
        }
    }
}

/// What became of a copy that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SentResult {
    Answered,
    Failed,
    TimedOut,
}

impl SentResult {
    pub const ALL: [Self; 3] = [Self::Answered, Self::Failed, Self::TimedOut];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// One route's copies: its rules of comparison, and its counts since the process started.
#[derive(Debug)]
pub struct RouteShadow {
    pub route: String,
    pub(crate) rules: Rules,
    counts: Arc<Counts>,
}

/// Shared by all that a route's rules ever were, so that a copy under way when they change is counted.
#[derive(Debug)]
struct Counts {
    under_way: AtomicUsize,
    sent: [[AtomicU64; SentResult::ALL.len()]; Side::ALL.len()],
    dropped: [AtomicU64; DropReason::ALL.len()],
    verdicts: Vec<AtomicU64>,
}

impl RouteShadow {
    pub fn new(route: String, rules: Rules) -> Self {
        let counts = Counts {
            under_way: AtomicUsize::new(0),
            sent: Default::default(),
            dropped: Default::default(),
            verdicts: Verdict::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        };
        Self { route, rules, counts: Arc::new(counts) }
    }

    /// The same route under other rules: its counts go on.
    #[must_use]
    pub fn with_rules(&self, rules: Rules) -> Self {
        Self { route: self.route.clone(), rules, counts: self.counts.clone() }
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn under_way(&self) -> &AtomicUsize {
        &self.counts.under_way
    }

    pub fn drop_for(&self, reason: DropReason) {
        self.counts.dropped[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn sent_to(&self, side: Side, result: SentResult) {
        self.counts.sent[side as usize][result as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn judged(&self, verdict: Verdict) {
        if let Some(at) = Verdict::ALL.iter().position(|known| *known == verdict) {
            self.counts.verdicts[at].fetch_add(1, Relaxed);
        }
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.counts.dropped[reason as usize].load(Relaxed)
    }

    pub fn sent(&self, side: Side, result: SentResult) -> u64 {
        self.counts.sent[side as usize][result as usize].load(Relaxed)
    }

    pub fn verdicts(&self) -> impl Iterator<Item = (Verdict, u64)> {
        Verdict::ALL.iter().copied().zip(self.counts.verdicts.iter().map(|count| count.load(Relaxed)))
    }
}
