//! Calls of one route by operation, where one path serves many (GraphQL, JSON-RPC).
//!
//! The name is read from the body as it passes by. Invariant: a call is neither delayed nor changed by it, a worker
//! takes no lock but its own, and a route has at most [`NAMES_MAX`] operations of its own and the words of
//! [`starve_discovery::operations`], whatever clients send.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossbeam_utils::CachePadded;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method};
use http_body::Body as _;
use starve_config::Plan;
use starve_discovery::operations::{ANONYMOUS, OTHER, Peek, Protocol, UNREADABLE};
use starve_http::{Body, End, Observed, Observer, Request};
use starve_ledger::Reader;
use starve_migration::Side;
use starve_telemetry::Code;

use crate::recorder::unix_ms;
use crate::registry::Registry;

/// Operations of a route that are told apart; docs/limits.md.
pub(crate) const NAMES_MAX: usize = 100;

/// The counts of a route, which outlive its generations.
#[derive(Debug)]
pub(crate) struct Operations {
    /// Those with a name of their own.
    names: RwLock<HashSet<Box<str>>>,
    workers: Box<[CachePadded<Mutex<Counts>>]>,
}

type Counts = HashMap<Box<str>, HashMap<(Option<Side>, Code), Sum>>;

/// What ended alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) calls: u64,
    pub(crate) duration_us: u64,
    pub(crate) last_unix_ms: u64,
}

/// Operation, answering side, status class.
pub(crate) type Key = (Box<str>, Option<Side>, Code);

impl Operations {
    pub(crate) fn new(workers: usize) -> Self {
        let workers = (0..workers).map(|_| CachePadded::default()).collect();
        Self { names: RwLock::default(), workers }
    }

    /// Takes over the names of earlier runs, so that the bound holds over restarts.
    pub(crate) fn remember<'a>(&self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            self.is_told_apart(name, Code::Success);
        }
    }

    pub(crate) fn count(
        &self,
        worker: usize,
        names: Vec<Cow<'static, str>>,
        (side, code): (Option<Side>, Code),
        duration: Duration,
    ) {
        let (now, duration_us) =
            (unix_ms(SystemTime::now()), u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        let mut counts = self.workers[worker].lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            let sums = match counts.get_mut(&*name) {
                Some(sums) => sums,
                None => {
                    let name = if self.is_told_apart(&name, code) { &*name } else { OTHER };
                    counts.entry(name.into()).or_default()
                }
            };
            let sum = sums.entry((side, code)).or_default();
            sum.calls += 1;
            sum.duration_us = sum.duration_us.saturating_add(duration_us);
            sum.last_unix_ms = sum.last_unix_ms.max(now);
        }
    }

    /// All sums of all workers; they only grow.
    pub(crate) fn sums(&self) -> BTreeMap<Key, Sum> {
        let mut all: BTreeMap<Key, Sum> = BTreeMap::new();
        for worker in &self.workers {
            let counts = worker.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, sums) in &*counts {
                for ((side, code), sum) in sums {
                    let total = all.entry((name.clone(), *side, *code)).or_default();
                    total.calls += sum.calls;
                    total.duration_us = total.duration_us.saturating_add(sum.duration_us);
                    total.last_unix_ms = total.last_unix_ms.max(sum.last_unix_ms);
                }
            }
        }
        all
    }

    /// A name that was refused takes no place: whoever may not call could fill all of them.
    fn is_told_apart(&self, name: &str, code: Code) -> bool {
        if [ANONYMOUS, UNREADABLE, OTHER].contains(&name) {
            return true;
        }
        if self.names.read().unwrap_or_else(PoisonError::into_inner).contains(name) {
            return true;
        }
        if matches!(code, Code::None | Code::ClientError) {
            return false;
        }
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.contains(name) || names.len() < NAMES_MAX && names.insert(name.into())
    }
}

/// Gives the routes of a plan the names that the ledger has of them, so that their number stays bounded over restarts
/// and over routes that come and go.
pub(crate) fn remember_operations(registry: &Registry, ledger: &Path, plan: &Plan) {
    if plan.routes.iter().all(|route| route.operations.is_none()) {
        return;
    }
    let operations = match Reader::open(ledger).and_then(|reader| reader.operations(0)) {
        Ok(operations) => operations,
        Err(error) => {
            return tracing::warn!(%error, "the operations of earlier runs could not be read");
        }
    };
    for kept in registry.tables().routes.values() {
        let own = operations.iter().filter(|row| row.route == kept.id);
        kept.operations.remember(own.map(|row| row.operation.as_str()));
    }
}

/// One call whose operation is being found out.
#[derive(Debug)]
pub(crate) struct Seeking {
    operations: Arc<Operations>,
    worker: usize,
    peek: Arc<Mutex<Option<Peek>>>,
}

impl Seeking {
    /// Watches the request's body for its operation. Calls without one, such as preflights, have none.
    pub(crate) fn begin(
        protocol: Protocol,
        operations: &Arc<Operations>,
        worker: usize,
        request: &mut Request,
    ) -> Option<Self> {
        if matches!(*request.method(), Method::OPTIONS | Method::HEAD | Method::TRACE) {
            return None;
        }
        let seeking = |peek| {
            let peek = Arc::new(Mutex::new(Some(peek)));
            Self { operations: operations.clone(), worker, peek }
        };
        if request.body().is_end_stream() {
            let peek = Peek::of_query(protocol, request.uri().query().unwrap_or_default());
            return Some(seeking(peek));
        }
        let seeking = seeking(Peek::new(protocol, media_type(request.headers())));
        let watch = Watch(seeking.peek.clone());
        let body = request.body_mut();
        *body = Body::wrap(Observed::new(std::mem::take(body), watch));
        Some(seeking)
    }

    /// The call has ended.
    pub(crate) fn end(self, ended: (Option<Side>, Code), duration: Duration) {
        let peek = self.peek.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(peek) = peek {
            self.operations.count(self.worker, peek.names(), ended, duration);
        }
    }
}

/// What is compressed cannot be read, and is of no type that is.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    if headers.contains_key(CONTENT_ENCODING) {
        return Some("");
    }
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

struct Watch(Arc<Mutex<Option<Peek>>>);

impl Observer for Watch {
    fn data(&mut self, data: &Bytes) {
        let mut peek = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peek) = peek.as_mut().filter(|peek| !peek.is_done()) {
            peek.data(data);
        }
    }

    fn end(&mut self, _end: End) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(operations: &Operations, worker: usize, name: &'static str) {
        let ended = (Some(Side::Legacy), Code::Success);
        operations.count(worker, vec![Cow::Borrowed(name)], ended, Duration::from_micros(5));
    }

    #[test]
    fn sums_of_all_workers_add_up_and_names_are_bounded() {
        let operations = Operations::new(2);
        operations.remember(["kept"].into_iter());
        for n in 0..1_000 {
            let name: &'static str = Box::leak(format!("op{n}").into_boxed_str());
            count(&operations, n % 2, name);
            count(&operations, n % 2, "kept");
            count(&operations, 0, UNREADABLE);
        }
        let sums = operations.sums();
        let names: HashSet<&str> = sums.keys().map(|(name, ..)| &**name).collect();
        assert_eq!(names.len(), NAMES_MAX + 2);
        assert_eq!(sums.values().map(|sum| sum.calls).sum::<u64>(), 3_000);
        let of = |name: &str| sums[&(name.into(), Some(Side::Legacy), Code::Success)];
        assert_eq!((of("kept").calls, of("kept").duration_us), (1_000, 5_000));
        assert_eq!(of(OTHER).calls, 1_000 - (NAMES_MAX as u64 - 1));
    }
}
