//! The host for functions that are programs: HTTP on `$PORT`, as Knative and Cloud Run define it.
//!
//! A call enters at [`ProcessHost`], is given an instance by the pool, and goes to that instance's address.
//! Invariant: one task owns each process from its start to its end, so that a process is never left behind,
//! and calls never wait for anything but a start that is under way.

mod backoff;
mod fingerprint;
mod instance;
mod launch;
mod lease;
mod life;
mod memory;
mod output;
mod pool;
mod port;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{HOST, HeaderName, HeaderValue};
use starve_http::{
    Body, End, Error, ErrorKind, Observed, Observer, Request, Response, ResponseFuture, Target,
};
use tokio::runtime::Handle;

use crate::FunctionStats;
pub use fingerprint::Fingerprint;
pub use launch::launch;
use lease::Lease;
pub use memory::memory_by_group;
use pool::Pool;

/// Makes the target that sends calls to one address. It should hand back a request of which no byte was
/// sent (`Error::with_unsent`): then a call that met a dying instance is given to another one.
pub type Connect = Arc<dyn Fn(SocketAddr) -> Arc<dyn Target> + Send + Sync>;

/// The id of the invocation, made by the host for every call and sent to the function.
const INVOCATION_ID: HeaderName = HeaderName::from_static("x-invocation-id");

/// What to run, and how many of it.
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// The function's name, for logs and errors.
    pub name: String,
    /// Found on `PATH`, or, with a slash in it, relative to `working_dir`.
    pub program: String,
    pub arguments: Vec<String>,
    pub working_dir: PathBuf,
    /// Added to the environment of this process, all of which is inherited. `PORT` and `HOST` are set by
    /// the host and win.
    pub env: BTreeMap<String, String>,
    /// Instances that are always there.
    pub min: usize,
    /// Instances at most; taken as 1 when it is 0, and as `min` when it is less.
    pub max: usize,
    /// An instance without calls for this long is stopped, down to `min`.
    pub idle: Duration,
    /// From spawning to the first accepted connection.
    pub start_timeout: Duration,
    /// Calls at once over all instances, as the gate has it. An instance's share is this divided by `max`;
    /// when every instance has its share, another one is started.
    pub concurrency: usize,
    /// From SIGTERM to SIGKILL.
    pub stop_grace: Duration,
    /// How long an instance that is replaced or shut down may finish the calls it has.
    pub drain_timeout: Duration,
    /// A program with arguments that ends in [`launch`]; empty starts the function directly, and then a
    /// function outlives a proxy that is killed with SIGKILL.
    pub launcher: Vec<OsString>,
}

impl ProcessOptions {
    /// Options with the defaults: no instance kept, one at most, idle after 60 s, 10 s to start, 100 calls at
    /// once, 5 s from SIGTERM to SIGKILL, 30 s to drain, the current directory, no launcher.
    pub fn new(name: impl Into<String>, program: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
            working_dir: PathBuf::from("."),
            env: BTreeMap::new(),
            min: 0,
            max: 1,
            idle: Duration::from_secs(60),
            start_timeout: Duration::from_secs(10),
            concurrency: 100,
            stop_grace: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(30),
            launcher: Vec::new(),
        }
    }
}

/// A function that is a program: started on demand, stopped when idle.
///
/// Dropping the host stops its instances as [`shutdown`](Self::shutdown) does, without waiting for it.
///
/// # Errors
/// Of a call: [`ErrorKind::FunctionStart`] when no instance came up or a crash loop is being waited out
/// (with the wait in `retry_after`, and the request in `take_unsent`); [`ErrorKind::FunctionFailed`] when the
/// instance broke off; [`ErrorKind::FunctionTimeout`] when the target's own limit was reached.
pub struct ProcessHost {
    pool: Arc<Pool>,
    ids: Arc<InvocationIds>,
    seen: Mutex<Fingerprint>,
}

impl ProcessHost {
    /// Starts the instances of `min` at once. All tasks run on `runtime`, whose time and I/O drivers must be
    /// on, and whose threads must live as long as the program: the kernel ends a launched function when the
    /// *thread* that started it ends.
    pub fn new(
        options: ProcessOptions,
        connect: Connect,
        runtime: Handle,
        stats: Arc<FunctionStats>,
    ) -> Self {
        let seen = Mutex::new(Fingerprint::of(&options));
        let pool = Pool::new(options, connect, runtime, stats);
        Self { pool, ids: Arc::new(InvocationIds::new()), seen }
    }

    /// The content of the program's file and of all arguments that are files. Reads them: not for a thread
    /// that answers calls.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.pool.options)
    }

    /// Replaces the instances if the [`fingerprint`](Self::fingerprint) has changed since it was last looked
    /// at; says whether it had. Files that the program reads by itself are not looked at.
    ///
    /// # Errors
    /// As [`replace`](Self::replace).
    pub async fn restart_if_changed(&self) -> Result<bool, Error> {
        let pool = Arc::clone(&self.pool);
        let reading = self.pool.runtime.spawn_blocking(move || Fingerprint::of(&pool.options));
        let Ok(now) = reading.await else { return Ok(false) };
        let before =
            std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), now.clone());
        if before == now {
            return Ok(false);
        }
        self.replace().await.map(|()| true)
    }

    /// Puts new instances in the place of those that run: a new one is started, then new calls go to it and
    /// the old ones finish what they have. Without instances there is nothing to do.
    ///
    /// # Errors
    /// [`ErrorKind::FunctionStart`] when the new one does not come up. The old ones then go on, and the new
    /// one is tried again with later calls, as the back-off allows.
    pub async fn replace(&self) -> Result<(), Error> {
        self.pool.replace().await
    }

    /// Takes no new calls, lets instances finish what they have within the drain timeout, stops them, and
    /// returns when the last process has ended.
    pub async fn shutdown(&self) {
        self.pool.shutdown().await;
    }
}

impl Drop for ProcessHost {
    fn drop(&mut self) {
        self.pool.close();
    }
}

impl fmt::Debug for ProcessHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessHost").field("options", &self.pool.options).finish_non_exhaustive()
    }
}

impl Target for ProcessHost {
    fn call(&self, mut request: Request) -> ResponseFuture {
        let pool = Arc::clone(&self.pool);
        let id = self.ids.next();
        request.headers_mut().insert(INVOCATION_ID, id.clone());
        Box::pin(async move { invoke(&pool, request, &id).await })
    }
}

async fn invoke(pool: &Arc<Pool>, mut request: Request, id: &HeaderValue) -> Result<Response, Error> {
    let mut refused_before = false;
    loop {
        let lease = match pool.lease().await {
            Ok(lease) => lease,
            Err(error) => return Err(error.with_unsent(request)),
        };
        let instance = lease.instance();
        tracing::trace!(function = pool.name(), instance = instance.id(), invocation = ?id, "invoke");
        request.headers_mut().insert(HOST, instance.host().clone());
        let mut error = match instance.target().call(request).await {
            Ok(response) => return Ok(response.map(|body| held(body, lease))),
            Err(error) => error,
        };
        let (unsent, refused) = (error.take_unsent(), error.kind() == ErrorKind::Connect);
        if refused {
            pool.refused(&lease);
        }
        let failure = as_function_error(pool.name(), id, &error);
        match unsent {
            Some(unsent) if refused && !refused_before => {
                refused_before = true;
                request = unsent;
            }
            Some(unsent) => return Err(failure.with_unsent(unsent)),
            None => return Err(failure),
        }
    }
}

/// An upstream's failure, in the words of a function's. What is the client's fault stays that.
fn as_function_error(name: &str, id: &HeaderValue, error: &Error) -> Error {
    let kind = match error.kind() {
        ErrorKind::Connect | ErrorKind::ConnectTimeout | ErrorKind::Incomplete | ErrorKind::Protocol => {
            ErrorKind::FunctionFailed
        }
        ErrorKind::ResponseTimeout => ErrorKind::FunctionTimeout,
        kind => kind,
    };
    let failure = Error::new(kind, format!("function {name}, invocation {id:?}")).with_source(error.chain());
    match error.retry_after() {
        Some(wait) => failure.with_retry_after(wait),
        None => failure,
    }
}

/// A body that keeps its instance in use until it ends.
fn held(body: Body, lease: Lease) -> Body {
    Body::wrap(Observed::new(body, Held(lease)))
}

struct Held(#[expect(dead_code, reason = "held for its drop")] Lease);

impl Observer for Held {
    fn end(&mut self, _: End) {}
}

/// Ids that differ from those of every other host and every earlier run.
struct InvocationIds {
    seed: RandomState,
    next: AtomicU64,
}

impl InvocationIds {
    fn new() -> Self {
        Self { seed: RandomState::new(), next: AtomicU64::new(0) }
    }

    fn next(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Relaxed);
        let text = format!("{:016x}{:016x}", self.seed.hash_one(number), self.seed.hash_one(!number));
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from(number))
    }
}
