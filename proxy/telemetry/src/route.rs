use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use starve_migration::Side;

use crate::{Histogram, HistogramSnapshot, worker_index};

/// A request's method as a label: the registered ones, and one for all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Trace,
    Other,
}

impl Method {
    pub const ALL: [Self; 9] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Patch,
        Self::Delete,
        Self::Options,
        Self::Trace,
        Self::Other,
    ];

    pub fn of(method: &str) -> Self {
        Self::ALL.into_iter().find(|known| known.as_str() == method).unwrap_or(Self::Other)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Other => "_OTHER",
        }
    }
}

/// The class of a call's status; `None` where no complete answer was sent: the client left before the
/// head, or the side broke off its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Code {
    None,
    Informational,
    Success,
    Redirect,
    ClientError,
    ServerError,
}

impl Code {
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Informational,
        Self::Success,
        Self::Redirect,
        Self::ClientError,
        Self::ServerError,
    ];

    pub fn of(status: u16) -> Self {
        match status {
            100..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirect,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirect => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

/// Who answered, as an index: nobody (refused, retired), legacy, function.
const ANSWERERS: [Option<Side>; 3] = [None, Some(Side::Legacy), Some(Side::Function)];

fn answerer(side: Option<Side>) -> usize {
    match side {
        None => 0,
        Some(Side::Legacy) => 1,
        Some(Side::Function) => 2,
    }
}

/// One worker's counts of one route. Aligned so that no two workers write to one cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    cells: [[[CellShard; Code::ALL.len()]; Method::ALL.len()]; ANSWERERS.len()],
    sides: [SideShard; ANSWERERS.len()],
    /// All calls, written last: as long as it stays, nothing else has changed.
    recorded: AtomicU64,
}

#[derive(Debug, Default)]
struct CellShard {
    calls: AtomicU64,
    duration_us: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct SideShard {
    duration: Histogram,
    first_byte: Histogram,
    last_call_ms: AtomicU64,
}

/// The counts of one route since the process started. Kept across generations: a route that is the same
/// by its id goes on counting where it was.
#[derive(Debug)]
pub struct RouteStats {
    shards: Box<[OnceLock<Box<Shard>>]>,
}

impl RouteStats {
    /// `workers`: how many threads call [`enter_worker`](crate::enter_worker), numbered from 0.
    pub fn new(workers: usize) -> Self {
        Self { shards: (0..=workers).map(|_| OnceLock::new()).collect() }
    }

    /// Begins a call; what it returns is recorded exactly once.
    pub fn begin(self: &Arc<Self>, method: &str) -> Call {
        Call {
            stats: self.clone(),
            started: Instant::now(),
            method: Method::of(method),
            side: None,
            code: Code::None,
            first_byte: None,
            bytes: 0,
            recorded: false,
        }
    }

    fn shard(&self) -> &Shard {
        // An index beyond the workers can only come from a thread that was never numbered for this table.
        let index = worker_index().min(self.shards.len() - 1);
        self.shards[index].get_or_init(Box::default)
    }

    /// Calls recorded so far. While it stays the same a new snapshot would tell nothing new.
    pub fn recorded(&self) -> u64 {
        self.shards.iter().filter_map(OnceLock::get).map(|shard| shard.recorded.load(Acquire)).sum()
    }

    /// Adds up all shards. Counts of calls that are just being recorded may be missing; the next
    /// snapshot has them.
    pub fn snapshot(&self) -> RouteSnapshot {
        let mut snapshot = RouteSnapshot::default();
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            for (index, side) in ANSWERERS.into_iter().enumerate() {
                for method in Method::ALL {
                    for code in Code::ALL {
                        let counted = &shard.cells[index][method as usize][code as usize];
                        let calls = counted.calls.load(Relaxed);
                        if calls > 0 {
                            let duration_us = counted.duration_us.load(Relaxed);
                            let bytes = counted.bytes.load(Relaxed);
                            snapshot.add(Cell { side, method, code }, Totals { calls, duration_us, bytes });
                        }
                    }
                }
                let (from, to) = (&shard.sides[index], &mut snapshot.sides[index]);
                from.duration.add_to(&mut to.duration);
                from.first_byte.add_to(&mut to.first_byte);
                to.last_call_ms = to.last_call_ms.max(from.last_call_ms.load(Relaxed));
            }
        }
        snapshot
    }
}

/// What one count is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    pub side: Option<Side>,
    pub method: Method,
    pub code: Code,
}

/// Sums since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Totals {
    pub calls: u64,
    pub duration_us: u64,
    /// Body bytes sent to clients.
    pub bytes: u64,
}

#[derive(Clone, Debug, Default)]
pub struct RouteSnapshot {
    /// Only what was called, without order.
    pub cells: Vec<(Cell, Totals)>,
    sides: [SideSnapshot; ANSWERERS.len()],
}

#[derive(Clone, Debug, Default)]
pub struct SideSnapshot {
    pub duration: HistogramSnapshot,
    pub first_byte: HistogramSnapshot,
    /// Unix milliseconds; 0 is never.
    pub last_call_ms: u64,
}

impl RouteSnapshot {
    fn add(&mut self, cell: Cell, more: Totals) {
        match self.cells.iter_mut().find(|(known, _)| *known == cell) {
            Some((_, total)) => {
                total.calls += more.calls;
                total.duration_us += more.duration_us;
                total.bytes += more.bytes;
            }
            None => self.cells.push((cell, more)),
        }
    }

    pub fn side(&self, side: Option<Side>) -> &SideSnapshot {
        &self.sides[answerer(side)]
    }

    pub fn calls(&self) -> u64 {
        self.cells.iter().map(|(_, totals)| totals.calls).sum()
    }
}

/// One call on its way. Recorded exactly once: by [`Call::finish`], or when it is dropped (the client
/// left before there was an answer).
#[derive(Debug)]
pub struct Call {
    stats: Arc<RouteStats>,
    started: Instant,
    method: Method,
    side: Option<Side>,
    code: Code,
    first_byte: Option<Duration>,
    bytes: u64,
    recorded: bool,
}

impl Call {
    /// Which side is answering; the last word counts.
    pub fn answered_by(&mut self, side: Option<Side>) {
        self.side = side;
    }

    /// The answer's head is there.
    pub fn head(&mut self, status: u16) {
        self.code = Code::of(status);
        self.first_byte = Some(self.started.elapsed());
    }

    pub fn body_bytes(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Records the call. `complete` is false where the side broke off its body.
    pub fn finish(mut self, complete: bool) {
        if !complete {
            self.code = Code::None;
        }
        self.record();
    }

    fn record(&mut self) {
        if std::mem::replace(&mut self.recorded, true) {
            return;
        }
        let shard = self.stats.shard();
        let index = answerer(self.side);
        let duration = self.started.elapsed();
        let cell = &shard.cells[index][self.method as usize][self.code as usize];
        cell.calls.fetch_add(1, Relaxed);
        cell.duration_us.fetch_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX), Relaxed);
        cell.bytes.fetch_add(self.bytes, Relaxed);
        let side = &shard.sides[index];
        side.duration.record(duration);
        if let Some(first_byte) = self.first_byte {
            side.first_byte.record(first_byte);
        }
        side.last_call_ms.fetch_max(unix_ms(), Relaxed);
        shard.recorded.fetch_add(1, Release);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.record();
    }
}

fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enter_worker;

    fn cell(side: Option<Side>, method: Method, code: Code) -> Cell {
        Cell { side, method, code }
    }

    #[test]
    fn every_call_is_recorded_exactly_once_however_it_ends() {
        let stats = Arc::new(RouteStats::new(1));
        let mut answered = stats.begin("GET");
        answered.answered_by(Some(Side::Legacy));
        answered.head(204);
        answered.finish(true);
        let mut cut = stats.begin("POST");
        cut.answered_by(Some(Side::Function));
        cut.head(200);
        cut.finish(false);
        drop(stats.begin("BREW"));

        let snapshot = stats.snapshot();
        let mut calls: Vec<_> = snapshot.cells.iter().map(|(cell, totals)| (*cell, totals.calls)).collect();
        calls.sort();
        assert_eq!(
            calls,
            [
                (cell(None, Method::Other, Code::None), 1),
                (cell(Some(Side::Legacy), Method::Get, Code::Success), 1),
                (cell(Some(Side::Function), Method::Post, Code::None), 1),
            ]
        );
        assert_eq!(snapshot.side(Some(Side::Legacy)).duration.count(), 1);
        assert_eq!(snapshot.side(None).first_byte.count(), 0);
        assert!(snapshot.side(Some(Side::Legacy)).last_call_ms > 0);
    }

    #[test]
    fn the_counts_of_all_workers_add_up() {
        let stats = Arc::new(RouteStats::new(4));
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let stats = &stats;
                scope.spawn(move || {
                    enter_worker(worker);
                    for _ in 0..10_000 {
                        let mut call = stats.begin("GET");
                        call.head(200);
                        call.finish(true);
                    }
                });
            }
        });
        assert_eq!(stats.snapshot().calls(), 40_000);
    }
}
