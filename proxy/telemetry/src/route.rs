use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use starve_callers::Kind;
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

/// One worker's counts of one route. What a route never does costs a pointer: most are answered by one side,
/// with one method, and a table of all combinations for each of 100,000 routes and worker would be gigabytes.
/// Aligned so that no two workers write to one cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    sides: [OnceLock<Box<SideShard>>; ANSWERERS.len()],
    /// All calls, written last: as long as it stays, nothing else has changed.
    recorded: AtomicU64,
}

#[derive(Debug, Default)]
struct SideShard {
    methods: [OnceLock<Box<[CellShard; Code::ALL.len()]>>; Method::ALL.len()],
    duration: Histogram,
    first_byte: Histogram,
    last_call_ms: AtomicU64,
    apart: [AtomicU64; Kind::APART.len()],
}

#[derive(Debug, Default)]
struct CellShard {
    calls: AtomicU64,
    duration_us: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    apart: AtomicU64,
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
            bytes_out: 0,
            bytes_in: 0,
            kind: Kind::Regular,
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
                if let Some(counted) = shard.sides[index].get() {
                    counted.add_to(side, &mut snapshot);
                }
            }
        }
        snapshot
    }
}

impl SideShard {
    fn add_to(&self, side: Option<Side>, snapshot: &mut RouteSnapshot) {
        for method in Method::ALL {
            let Some(codes) = self.methods[method as usize].get() else { continue };
            for (code, counted) in Code::ALL.into_iter().zip(&**codes) {
                let totals = counted.totals();
                if totals.calls > 0 {
                    snapshot.add(Cell { side, method, code }, totals);
                }
            }
        }
        let to = &mut snapshot.sides[answerer(side)];
        self.duration.add_to(&mut to.duration);
        self.first_byte.add_to(&mut to.first_byte);
        to.last_call_ms = to.last_call_ms.max(self.last_call_ms.load(Relaxed));
        for (to, from) in to.apart.iter_mut().zip(&self.apart) {
            *to += from.load(Relaxed);
        }
    }
}

impl CellShard {
    fn totals(&self) -> Totals {
        Totals {
            calls: self.calls.load(Relaxed),
            duration_us: self.duration_us.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            apart: self.apart.load(Relaxed),
        }
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
    pub bytes_out: u64,
    /// Body bytes of requests; as declared where a length was.
    pub bytes_in: u64,
    /// Those of `calls` that health checks, bots and scanners made.
    pub apart: u64,
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
    /// Calls by kinds of clients that do not show that somebody needs the route, in the order of
    /// [`Kind::APART`].
    pub apart: [u64; Kind::APART.len()],
}

impl RouteSnapshot {
    fn add(&mut self, cell: Cell, more: Totals) {
        match self.cells.iter_mut().find(|(known, _)| *known == cell) {
            Some((_, total)) => {
                total.calls += more.calls;
                total.duration_us += more.duration_us;
                total.bytes_out += more.bytes_out;
                total.bytes_in += more.bytes_in;
                total.apart += more.apart;
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
    bytes_out: u64,
    bytes_in: u64,
    kind: Kind,
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
        self.bytes_out += bytes as u64;
    }

    /// Bytes of the request's body.
    pub fn request_bytes(&mut self, bytes: u64) {
        self.bytes_in += bytes;
    }

    /// What kind of client calls.
    pub fn made_by(&mut self, kind: Kind) {
        self.kind = kind;
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
        let side = shard.sides[answerer(self.side)].get_or_init(Box::default);
        let cell = &side.methods[self.method as usize].get_or_init(Box::default)[self.code as usize];
        let duration = self.started.elapsed();
        cell.calls.fetch_add(1, Relaxed);
        cell.duration_us.fetch_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX), Relaxed);
        cell.bytes_out.fetch_add(self.bytes_out, Relaxed);
        if self.bytes_in > 0 {
            cell.bytes_in.fetch_add(self.bytes_in, Relaxed);
        }
        if let Some(kind) = self.kind.apart() {
            cell.apart.fetch_add(1, Relaxed);
            side.apart[kind].fetch_add(1, Relaxed);
        }
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
    fn bytes_and_kinds_of_clients_are_counted_beside() {
        let stats = Arc::new(RouteStats::new(1));
        for kind in [Kind::Regular, Kind::Bot, Kind::HealthCheck, Kind::Bot] {
            let mut call = stats.begin("PUT");
            call.made_by(kind);
            call.request_bytes(100);
            call.head(200);
            call.body_bytes(7);
            call.finish(true);
        }
        let snapshot = stats.snapshot();
        let (_, totals) = snapshot.cells[0];
        assert_eq!((totals.calls, totals.apart, totals.bytes_in, totals.bytes_out), (4, 3, 400, 28));
        assert_eq!(snapshot.side(None).apart, [1, 2, 0]);
    }

    #[test]
    fn a_route_that_one_side_answers_costs_little() {
        let one = size_of::<Shard>() + size_of::<SideShard>() + size_of::<[CellShard; Code::ALL.len()]>();
        assert!(one <= 1_280, "{one} bytes for each worker that was asked");
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
