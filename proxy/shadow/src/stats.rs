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
    pub const ALL: [Self; 7] = [
        Self::QueueFull,
        Self::RouteBusy,
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

/// One route's copies: its rules of comparison and its counts since the process started.
#[derive(Debug)]
pub struct RouteShadow {
    pub route: String,
    pub(crate) rules: Rules,
    pub(crate) under_way: AtomicUsize,
    sent: [[AtomicU64; SentResult::ALL.len()]; Side::ALL.len()],
    dropped: [AtomicU64; DropReason::ALL.len()],
    verdicts: Vec<AtomicU64>,
}

impl RouteShadow {
    pub fn new(route: String, rules: Rules) -> Self {
        Self {
            route,
            rules,
            under_way: AtomicUsize::new(0),
            sent: Default::default(),
            dropped: Default::default(),
            verdicts: Verdict::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The same route under other rules: its counts go on.
    #[must_use]
    pub fn with_rules(&self, rules: Rules) -> Self {
        let copy = |count: &AtomicU64| AtomicU64::new(count.load(Relaxed));
        Self {
            route: self.route.clone(),
            rules,
            under_way: AtomicUsize::new(0),
            sent: std::array::from_fn(|side| std::array::from_fn(|result| copy(&self.sent[side][result]))),
            dropped: std::array::from_fn(|reason| copy(&self.dropped[reason])),
            verdicts: self.verdicts.iter().map(copy).collect(),
        }
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn drop_for(&self, reason: DropReason) {
        self.dropped[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn sent_to(&self, side: Side, result: SentResult) {
        self.sent[side as usize][result as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn judged(&self, verdict: Verdict) {
        if let Some(at) = Verdict::ALL.iter().position(|known| *known == verdict) {
            self.verdicts[at].fetch_add(1, Relaxed);
        }
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Relaxed)
    }

    pub fn sent(&self, side: Side, result: SentResult) -> u64 {
        self.sent[side as usize][result as usize].load(Relaxed)
    }

    pub fn verdicts(&self) -> impl Iterator<Item = (Verdict, u64)> {
        Verdict::ALL.iter().copied().zip(self.verdicts.iter().map(|count| count.load(Relaxed)))
    }
}
