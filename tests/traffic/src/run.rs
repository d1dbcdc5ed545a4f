//! A run: so many users at a time, each visit followed by another, until the time is over or somebody stops it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::{task::JoinSet, time::timeout};

use crate::{
    connection::Connection,
    options::Options,
    pace::Pace,
    progress::Progress,
    random::Random,
    sessions,
    summary::Summary,
    visitor::{Context, Visitor},
};

/// A run under way. Dropping it ends the run at once; `finish` ends it well.
#[derive(Debug)]
pub struct Running {
    context: Arc<Context>,
    users: JoinSet<()>,
    options: Options,
}

/// Ends a run before its time.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<Context>);

impl Stopper {
    /// No new calls from now on; `Running::finish` still awaits those under way.
    pub fn stop(&self) {
        self.0.pace.stop();
    }
}

/// Run to the end of the options' duration.
pub async fn run(options: Options) -> Summary {
    start(options).finish().await
}

/// Begin a run; must be called within a tokio runtime.
pub fn start(options: Options) -> Running {
    let context = Arc::new(Context {
        pace: Pace::new(options.rate),
        progress: Progress::new(),
        authority: options.target.authority().to_owned(),
        timeout: options.timeout,
        began_unix_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis()),
    });
    let next_visit = Arc::new(AtomicU64::new(0));
    let mut users = JoinSet::new();
    for _ in 0..options.users.max(1) {
        users.spawn(visits(Arc::clone(&context), Arc::clone(&next_visit), options.clone()));
    }
    Running { context, users, options }
}

impl Running {
    /// A handle on the counts, usable after the run's end too.
    pub fn progress(&self) -> Progress {
        self.context.progress.clone()
    }

    /// A handle that ends the run early.
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.context))
    }

    /// Wait for the end of the duration (or for a [`Stopper`]), then for the calls under way.
    pub async fn finish(mut self) -> Summary {
        let _ = timeout(self.options.duration, self.context.pace.until_stopped()).await;
        self.context.pace.stop();
        while self.users.join_next().await.is_some() {}
        self.context.progress.summary()
    }
}

/// One place at the counter: visit after visit, each by a new user.
async fn visits(context: Arc<Context>, next_visit: Arc<AtomicU64>, options: Options) {
    while !context.pace.is_stopped() {
        let number = next_visit.fetch_add(1, Ordering::Relaxed);
        let mut random = Random::of_stream(options.seed, number);
        let http2 = random.percent(u64::from(options.http2_percent));
        let connection = Connection::new(options.target.clone(), http2);
        let mut visitor = Visitor::new(Arc::clone(&context), connection, number, random);
        context.progress.session_began();
        sessions::visit(&mut visitor, options.seed).await;
        // A target that refuses connections at once must not make this loop spin.
        tokio::task::yield_now().await;
    }
}
