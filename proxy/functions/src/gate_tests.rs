use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::FunctionSnapshot;

/// A target whose every answer is given by the test.
#[derive(Debug)]
struct Scripted(mpsc::Sender<oneshot::Sender<Result<Response, Error>>>);

impl Target for Scripted {
    fn call(&self, _: Request) -> ResponseFuture {
        let calls = self.0.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            calls.send(answer).await.unwrap();
            answered.await.unwrap()
        })
    }
}

struct Setup {
    gate: Gate,
    calls: mpsc::Receiver<oneshot::Sender<Result<Response, Error>>>,
    stats: Arc<FunctionStats>,
}

impl Setup {
    fn new(concurrency: usize, queue: usize, timeout: Duration) -> Self {
        let (sender, calls) = mpsc::channel(64);
        let stats = Arc::new(FunctionStats::default());
        let gate =
            Gate::new(Arc::new(Scripted(sender)), "f", concurrency, queue, timeout, Arc::clone(&stats));
        Self { gate, calls, stats }
    }

    fn call(&self) -> ResponseFuture {
        self.gate.call(Request::default())
    }

    /// Starts a call and returns it with the means to answer it.
    async fn entered(&mut self) -> (ResponseFuture, oneshot::Sender<Result<Response, Error>>) {
        let mut call = self.call();
        assert!(poll(&mut call).is_pending());
        (call, self.calls.recv().await.unwrap())
    }

    fn snapshot(&self) -> FunctionSnapshot {
        self.stats.snapshot()
    }
}

const LONG: Duration = Duration::from_secs(3600);

fn poll(call: &mut ResponseFuture) -> Poll<Result<Response, Error>> {
    call.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()))
}

fn kind(answer: Poll<Result<Response, Error>>) -> ErrorKind {
    match answer {
        Poll::Ready(Err(error)) => error.kind(),
        other => panic!("no error: {other:?}"),
    }
}

fn answer(text: &'static str) -> Result<Response, Error> {
    Ok(Response::new(Body::from(text)))
}

#[tokio::test]
async fn a_place_is_held_until_the_answer_s_body_ends() {
    let mut setup = Setup::new(1, 1, LONG);
    let (call, reply) = setup.entered().await;
    reply.send(answer("whole")).unwrap();
    let response = call.await.unwrap();

    let mut second = setup.call();
    assert!(poll(&mut second).is_pending());
    assert!(setup.calls.try_recv().is_err(), "the second call came through while a body was open");
    assert_eq!((setup.snapshot().in_flight, setup.snapshot().waiting), (1, 1));

    response.into_body().collect().await.unwrap();
    assert!(poll(&mut second).is_pending());
    setup.calls.recv().await.unwrap().send(answer("")).unwrap();
    drop(second.await.unwrap());
    assert_eq!(setup.snapshot().invocations(Outcome::Ok), 2);
    assert_eq!(setup.snapshot().in_flight, 0);
    assert_eq!(setup.snapshot().duration.count(), 2);
}

#[tokio::test]
async fn one_call_too_many_is_refused_and_gets_its_request_back() {
    let mut setup = Setup::new(1, 2, LONG);
    let (_held, _reply) = setup.entered().await;
    let mut waiting = [setup.call(), setup.call()];
    for call in &mut waiting {
        assert!(poll(call).is_pending());
    }
    let mut error = setup.call().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    assert!(error.take_unsent().is_some());
    assert_eq!(setup.snapshot().invocations(Outcome::Overloaded), 1);
}

#[tokio::test]
async fn those_who_wait_are_served_in_the_order_of_their_arrival() {
    let mut setup = Setup::new(1, 3, LONG);
    let (first, first_reply) = setup.entered().await;
    let mut waiting: Vec<_> = (0..3).map(|_| setup.call()).collect();
    for call in &mut waiting {
        assert!(poll(call).is_pending());
    }
    first_reply.send(answer("")).unwrap();
    drop(first.await.unwrap());
    while !waiting.is_empty() {
        // The last in line is asked first, and must not overtake.
        for call in waiting.iter_mut().rev() {
            assert!(poll(call).is_pending());
        }
        setup.calls.try_recv().unwrap().send(answer("")).unwrap();
        assert!(poll(&mut waiting.remove(0)).is_ready());
    }
}

#[tokio::test]
async fn after_an_overload_the_gate_serves_again() {
    let mut setup = Setup::new(2, 1, LONG);
    for _ in 0..3 {
        let (one, one_reply) = setup.entered().await;
        let (two, two_reply) = setup.entered().await;
        let mut third = setup.call();
        assert!(poll(&mut third).is_pending());
        for _ in 0..50 {
            assert_eq!(kind(poll(&mut setup.call())), ErrorKind::Overloaded);
        }
        drop((one, one_reply, two, two_reply, third));
        assert_eq!((setup.snapshot().in_flight, setup.snapshot().waiting), (0, 0));
    }
    let (call, reply) = setup.entered().await;
    reply.send(answer("")).unwrap();
    assert!(call.await.is_ok());
}

#[tokio::test]
async fn a_dropped_caller_gives_its_place_back_at_once() {
    let mut setup = Setup::new(1, 1, LONG);
    let (held, _reply) = setup.entered().await;
    let mut next = setup.call();
    assert!(poll(&mut next).is_pending());
    drop(held);
    assert!(poll(&mut next).is_pending());
    assert!(setup.calls.try_recv().is_ok(), "the place did not come free");
    assert_eq!(setup.snapshot().invocations(Outcome::Cancelled), 1);
}

#[tokio::test]
async fn waiting_counts_against_the_timeout() {
    let timeout = Duration::from_secs(2);
    let mut setup = Setup::new(1, 1, timeout);
    let since = Instant::now();
    let (held, _never_answered) = setup.entered().await;
    let waiting = tokio::spawn(setup.call());
    // Both run out of time together: the second has spent all of its own in the queue.
    assert_eq!(held.await.unwrap_err().kind(), ErrorKind::FunctionTimeout);
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::FunctionTimeout);
    assert!(since.elapsed() < timeout + timeout / 2, "{:?}", since.elapsed());
    assert_eq!(setup.snapshot().invocations(Outcome::Timeout), 2);
}

#[tokio::test]
async fn who_waits_too_long_for_a_place_gets_the_request_back() {
    let mut setup = Setup::new(1, 1, Duration::from_millis(50));
    let (call, reply) = setup.entered().await;
    reply.send(answer("never read")).unwrap();
    let _open = call.await.unwrap();
    let mut error = setup.call().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FunctionTimeout);
    assert!(error.take_unsent().is_some());
    assert_eq!(setup.snapshot().waiting, 0);
}

#[tokio::test]
async fn every_call_is_counted_once_by_how_it_ended() {
    let mut setup = Setup::new(4, 0, LONG);
    let mut failure = Response::new(Body::from("oops"));
    *failure.status_mut() = http::StatusCode::BAD_GATEWAY;
    for (reply, read) in [
        (answer("a"), true),
        (answer("left unread"), false),
        (Ok(failure), true),
        (Ok(Response::new(Body::wrap(Broken))), true),
        (Ok(Response::default()), false),
        (Err(Error::new(ErrorKind::FunctionFailed, "trap")), true),
        (Err(Error::new(ErrorKind::ClientGone, "reset")), true),
        (Err(Error::new(ErrorKind::ResponseTimeout, "slow")), true),
    ] {
        let (call, sender) = setup.entered().await;
        sender.send(reply).unwrap();
        if let (Ok(response), true) = (call.await, read) {
            let _whole_or_cut = response.into_body().collect().await;
        }
    }
    let seen = setup.snapshot();
    let counts = Outcome::ALL.map(|outcome| (outcome.as_str(), seen.invocations(outcome)));
    let expected =
        [("ok", 2), ("error", 1), ("failed", 2), ("timeout", 1), ("overloaded", 0), ("cancelled", 2)];
    assert_eq!(counts, expected);
    assert_eq!(seen.in_flight, 0);
}

/// A body that breaks off at once.
struct Broken;

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = starve_http::BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Err("cut".into())))
    }
}
