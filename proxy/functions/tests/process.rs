//! The process host with real programs.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::BodyExt as _;
use starve_functions::{FunctionStats, InstanceState, ProcessHost, ProcessOptions};
use starve_http::{ErrorKind, Target as _};
use support::{body_of, get, is_running, python, text, until, until_stats};

struct Setup {
    host: Arc<ProcessHost>,
    stats: Arc<FunctionStats>,
}

impl Setup {
    fn new(options: ProcessOptions) -> Self {
        let stats = Arc::new(FunctionStats::default());
        let runtime = tokio::runtime::Handle::current();
        let host = ProcessHost::new(options, support::connect(), runtime, Arc::clone(&stats));
        Self { host: Arc::new(host), stats }
    }

    async fn pid(&self) -> u32 {
        body_of(&self.host, "/pid").await.parse().unwrap()
    }

    /// A call that is in flight as long as nobody reads the answer's body.
    async fn open(&self) -> starve_http::Response {
        self.host.call(get("/pid")).await.unwrap()
    }

    /// A call whose answer's body never comes.
    async fn held(&self) -> starve_http::Response {
        self.host.call(get("/hold")).await.unwrap()
    }

    fn ready(&self) -> usize {
        self.stats.snapshot().instances(InstanceState::Ready)
    }
}

async fn until_ended(pid: u32) {
    until(|| async { is_running(pid) }, |running| !running).await;
}

#[tokio::test]
async fn many_calls_at_once_start_one_process() {
    let setup = Setup::new(python("server.py"));
    assert_eq!(setup.stats.snapshot().instances(InstanceState::Ready), 0, "started without a call");
    let calls: Vec<_> = (0..50).map(|_| tokio::spawn(setup.host.call(get("/pid")))).collect();
    let mut pids = Vec::new();
    for call in calls {
        pids.push(text(call.await.unwrap().unwrap()).await);
    }
    pids.dedup();
    assert_eq!(pids.len(), 1, "{pids:?}");
    assert_eq!(setup.stats.snapshot().cold_starts, 1);
    assert_eq!(setup.ready(), 1);
}

#[tokio::test]
async fn a_slow_start_is_waited_for_and_survives_a_caller_that_leaves() {
    let mut options = python("server.py");
    options.env.insert("START_SECONDS".to_owned(), "0.5".to_owned());
    let setup = Setup::new(options);
    let call = tokio::spawn(setup.host.call(get("/pid")));
    until_stats(&setup.stats, |seen| seen.instances(InstanceState::Starting) == 1).await;
    call.abort();
    until_stats(&setup.stats, |seen| seen.instances(InstanceState::Ready) == 1).await;
    setup.pid().await;
    assert_eq!(setup.stats.snapshot().cold_starts, 1);
}

#[tokio::test]
async fn the_function_sees_its_own_host_an_invocation_id_and_its_environment() {
    let mut options = python("server.py");
    options.env.insert("COLOUR".to_owned(), "teal".to_owned());
    options.env.insert("PORT".to_owned(), "1".to_owned());
    let setup = Setup::new(options);
    assert_eq!(body_of(&setup.host, "/env/COLOUR").await, "teal");
    assert_eq!(body_of(&setup.host, "/env/HOST").await, "127.0.0.1");
    let port = body_of(&setup.host, "/env/PORT").await;
    assert_eq!(body_of(&setup.host, "/header/host").await, format!("127.0.0.1:{port}"));
    let mut forged = get("/header/x-invocation-id");
    forged.headers_mut().insert("x-invocation-id", http::HeaderValue::from_static("forged"));
    let first = text(setup.host.call(forged).await.unwrap()).await;
    let second = body_of(&setup.host, "/header/x-invocation-id").await;
    assert_eq!((first.len(), second.len()), (32, 32), "{first} {second}");
    assert_ne!(first, second);
    // What cargo tells the test is inherited.
    assert_eq!(body_of(&setup.host, "/env/CARGO_PKG_NAME").await, env!("CARGO_PKG_NAME"));
}

#[tokio::test]
async fn a_program_that_never_listens_is_given_up_and_killed() {
    let mut options = python("never_listens.py");
    options.start_timeout = Duration::from_millis(300);
    let setup = Setup::new(options);
    let mut error = setup.host.call(get("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionStart);
    assert!(error.retry_after().is_some());
    assert!(error.take_unsent().is_some());
    assert!(error.chain().contains("does not listen"), "{}", error.chain());
    until_stats(&setup.stats, |seen| seen.instances(InstanceState::Starting) == 0).await;
    assert_eq!(setup.stats.snapshot().failed_starts, 1);
}

#[tokio::test]
async fn a_program_that_exits_at_once_is_told_apart_and_not_started_for_every_call() {
    let folder = tempfile::tempdir().unwrap();
    let tries = folder.path().join("tries");
    let mut options = python("exits_at_once.py");
    options.env.insert("TRIES_FILE".to_owned(), tries.to_str().unwrap().to_owned());
    let setup = Setup::new(options);
    let error = setup.host.call(get("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionStart);
    assert!(error.chain().contains("the database is missing"), "{}", error.chain());

    // Back-off: a hundred calls, no further start, each with the rest of the wait.
    for _ in 0..100 {
        let mut error = setup.host.call(get("/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FunctionStart);
        assert!(error.retry_after().unwrap() <= Duration::from_millis(200));
        assert!(error.take_unsent().is_some());
    }
    let after_the_calls = fs::read_to_string(&tries).unwrap().len();
    assert!(after_the_calls <= 2, "{after_the_calls} starts");

    // When the wait is over the next call tries again, and then the wait has doubled.
    until(
        || async {
            let error = setup.host.call(get("/")).await.unwrap_err();
            error.retry_after().unwrap()
        },
        |wait| *wait > Duration::from_millis(200),
    )
    .await;
    assert!(fs::read_to_string(&tries).unwrap().len() >= 2);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_failed_start() {
    let setup = Setup::new(ProcessOptions::new("ghost", "./no/such/program"));
    let error = setup.host.call(get("/")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionStart);
    assert!(error.chain().contains("cannot run ./no/such/program"), "{}", error.chain());
}

#[tokio::test]
async fn a_crash_fails_the_calls_in_flight_and_the_next_call_starts_another_process() {
    let setup = Setup::new(python("server.py"));
    let first = setup.pid().await;
    let open = setup.held().await;
    let error = setup.host.call(get("/crash")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionFailed);
    assert!(open.into_body().collect().await.is_err(), "the open answer was not cut");

    // While a process ends, its port may still take a connection that nobody will answer.
    until_stats(&setup.stats, |seen| seen.crashes == 1).await;
    assert_ne!(setup.pid().await, first);
    let seen = setup.stats.snapshot();
    assert_eq!((seen.cold_starts, seen.failed_starts), (2, 0));
}

#[tokio::test]
async fn a_loop_of_crashes_is_backed_off_from_and_left_again() {
    let setup = Setup::new(python("server.py"));
    // The first crash is forgiven; the one after it is a loop.
    let wait = until(
        || async { setup.host.call(get("/crash")).await.unwrap_err() },
        |error| error.kind() == ErrorKind::FunctionStart,
    )
    .await
    .retry_after()
    .unwrap();
    assert!(wait <= Duration::from_millis(800), "{wait:?}");
    until(|| async { setup.host.call(get("/")).await.is_ok() }, |answered| *answered).await;
}

#[tokio::test]
async fn an_instance_that_refuses_connections_is_replaced_without_failing_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("deaf");
    fs::write(&marker, "").unwrap();
    let mut options = python("server.py");
    options.env.insert("DEAF_IF_FILE".to_owned(), marker.to_str().unwrap().to_owned());
    (options.min, options.max) = (1, 1);
    let setup = Setup::new(options);
    until_stats(&setup.stats, |seen| seen.instances(InstanceState::Ready) == 1).await;
    until(|| async { marker.exists() }, |hears| !hears).await;
    assert!(is_running(setup.pid().await));
    until_stats(&setup.stats, |seen| seen.crashes == 1 && seen.instances(InstanceState::Stopping) == 0).await;
}

#[tokio::test]
async fn an_idle_instance_is_stopped_and_the_next_call_starts_one() {
    let mut options = python("server.py");
    options.idle = Duration::from_millis(100);
    let setup = Setup::new(options);
    let first = setup.pid().await;
    until_ended(first).await;
    until_stats(&setup.stats, |seen| seen.instances(InstanceState::Stopping) == 0).await;
    assert_eq!(setup.ready(), 0);
    assert_ne!(setup.pid().await, first);
    assert_eq!(setup.stats.snapshot().crashes, 0);
}

#[tokio::test]
async fn an_instance_with_an_open_answer_is_not_idle() {
    let mut options = python("server.py");
    options.idle = Duration::from_millis(50);
    let setup = Setup::new(options);
    let open = setup.open().await;
    // Meanwhile another instance is stopped as idle twice over.
    let mut options = python("server.py");
    options.idle = Duration::from_millis(50);
    let other = Setup::new(options);
    for _ in 0..2 {
        until_ended(other.pid().await).await;
    }
    assert_eq!(setup.ready(), 1);
    until_ended(text(open).await.parse().unwrap()).await;
}

#[tokio::test]
async fn when_all_are_busy_another_instance_starts_up_to_the_limit_and_goes_when_idle() {
    let mut options = python("server.py");
    (options.min, options.max, options.concurrency) = (1, 2, 2);
    options.idle = Duration::from_millis(200);
    let setup = Setup::new(options);
    until_stats(&setup.stats, |seen| seen.instances(InstanceState::Ready) == 1).await;
    assert_eq!(setup.stats.snapshot().cold_starts, 0, "an instance of min is not a cold start");

    // The share of one instance is one call. The second call asks for another, and need not wait for it.
    let mut open = vec![setup.open().await, setup.open().await];
    until_stats(&setup.stats, |seen| seen.instances(InstanceState::Ready) == 2).await;
    for _ in 0..4 {
        open.push(setup.open().await);
    }
    assert_eq!(setup.ready(), 2, "more than max");

    let mut pids = Vec::new();
    for response in open {
        pids.push(text(response).await);
    }
    let older = pids[0].clone();
    let to_the_older = pids.iter().filter(|pid| **pid == older).count();
    assert_eq!(to_the_older, 3, "calls were not spread evenly: {pids:?}");
    let newer = pids.iter().find(|pid| **pid != older).unwrap();
    until_ended(newer.parse().unwrap()).await;
    assert!(is_running(older.parse().unwrap()), "min was not kept");
}

#[tokio::test]
async fn a_crashed_instance_of_min_comes_back_by_itself() {
    let mut options = python("server.py");
    (options.min, options.max) = (1, 1);
    let setup = Setup::new(options);
    for crashes in 1..=2 {
        let first = setup.pid().await;
        setup.host.call(get("/crash")).await.unwrap_err();
        until_ended(first).await;
        until_stats(&setup.stats, |seen| {
            seen.crashes == crashes && seen.instances(InstanceState::Ready) == 1
        })
        .await;
    }
    assert_eq!(setup.stats.snapshot().cold_starts, 0);
}

#[tokio::test]
async fn a_program_that_ignores_sigterm_is_killed_after_the_grace() {
    let mut options = python("server.py");
    options.env.insert("IGNORE_TERM".to_owned(), "1".to_owned());
    options.stop_grace = Duration::from_millis(200);
    let setup = Setup::new(options);
    let pid = setup.pid().await;
    let since = Instant::now();
    setup.host.shutdown().await;
    assert!(since.elapsed() >= Duration::from_millis(200), "it was given no grace");
    assert!(!is_running(pid));
}

#[tokio::test]
async fn what_a_function_started_ends_with_it() {
    let setup = Setup::new(python("server.py"));
    let grandchild: u32 = body_of(&setup.host, "/grandchild").await.parse().unwrap();
    assert!(is_running(grandchild));
    setup.host.call(get("/crash")).await.unwrap_err();
    until_ended(grandchild).await;
}

#[tokio::test]
async fn a_shutdown_lets_open_answers_finish_and_takes_no_new_calls() {
    let setup = Setup::new(python("server.py"));
    let open = setup.open().await;
    let host = Arc::clone(&setup.host);
    let shutdown = tokio::spawn(async move { host.shutdown().await });
    until(|| async { setup.host.call(get("/")).await.is_err() }, |refused| *refused).await;
    let refusal = setup.host.call(get("/")).await.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::FunctionStart);
    assert!(!shutdown.is_finished(), "did not wait for the open answers");
    let pid: u32 = text(open).await.parse().unwrap();
    shutdown.await.unwrap();
    assert!(!is_running(pid));
    for state in InstanceState::ALL {
        assert_eq!(setup.stats.snapshot().instances(state), 0);
    }
}

#[tokio::test]
async fn a_host_that_is_dropped_leaves_no_process() {
    let setup = Setup::new(python("server.py"));
    let pid = setup.pid().await;
    drop(setup.host);
    until_ended(pid).await;

    let mut options = python("server.py");
    options.env.insert("START_SECONDS".to_owned(), "1000".to_owned());
    let setup = Setup::new(options);
    let call = tokio::spawn(setup.host.call(get("/")));
    until_stats(&setup.stats, |seen| seen.instances(InstanceState::Starting) == 1).await;
    drop(setup.host);
    assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::FunctionStart);
}

#[test]
fn a_runtime_that_ends_takes_its_processes_along() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (setup, pid) = runtime.block_on(async {
        let setup = Setup::new(python("server.py"));
        let pid = setup.pid().await;
        (setup, pid)
    });
    drop(runtime);
    let later = tokio::runtime::Runtime::new().unwrap();
    later.block_on(until_ended(pid));
    drop(setup);
}

#[tokio::test]
async fn callers_on_short_runtimes_share_the_process_of_a_longer_one() {
    let setup = Setup::new(python("server.py"));
    let mut pids = Vec::new();
    for _ in 0..2 {
        let host = Arc::clone(&setup.host);
        let caller = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(body_of(&host, "/pid"))
        };
        pids.push(tokio::task::spawn_blocking(caller).await.unwrap());
    }
    assert_eq!(pids[0], pids[1]);
}

#[tokio::test]
async fn a_changed_program_takes_the_new_calls_while_the_old_one_finishes_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("main.py");
    fs::copy(support::fixtures().join("server.py"), &script).unwrap();
    let mut options = python("main.py");
    options.working_dir = folder.path().to_owned();
    let setup = Setup::new(options);
    assert!(!setup.host.restart_if_changed().await.unwrap());
    let old = setup.pid().await;
    let open = setup.open().await;

    let changed = fs::read_to_string(&script).unwrap().replace("str(os.getpid())", "str(-os.getpid())");
    fs::write(&script, changed).unwrap();
    assert!(setup.host.restart_if_changed().await.unwrap());
    assert!(body_of(&setup.host, "/pid").await.starts_with('-'));
    assert!(is_running(old), "the old one was stopped with a call in flight");
    assert_eq!(text(open).await, old.to_string());
    until_ended(old).await;
    assert!(!setup.host.restart_if_changed().await.unwrap());
    assert_eq!(setup.stats.snapshot().crashes, 0);
}

#[tokio::test]
async fn a_changed_program_that_does_not_start_leaves_the_old_one_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("main.py");
    fs::copy(support::fixtures().join("server.py"), &script).unwrap();
    let mut options = python("main.py");
    options.working_dir = folder.path().to_owned();
    let setup = Setup::new(options);
    let old = setup.pid().await;
    let sound = fs::read_to_string(&script).unwrap();
    fs::write(&script, "this is no Python").unwrap();
    let error = setup.host.restart_if_changed().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionStart);
    assert_eq!(setup.pid().await, old);

    // It is tried again with later calls, as far as the back-off allows.
    fs::write(&script, sound).unwrap();
    until(|| setup.pid(), |pid| *pid != old).await;
}

#[tokio::test]
async fn a_function_that_floods_its_output_is_not_blocked_by_it() {
    let setup = Setup::new(python("server.py"));
    body_of(&setup.host, "/flood").await;
    until_stats(&setup.stats, |seen| seen.log_lines_dropped > 10_000).await;
    setup.pid().await;
}
