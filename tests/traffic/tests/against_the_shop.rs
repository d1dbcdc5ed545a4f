//! The driver and the shop against each other, without anything between them.

use std::{collections::BTreeSet, process::Command, time::Duration};

use starve_traffic::{CALLED, NEVER_CALLED, Options, Shop, start};

#[test]
fn called_and_never_called_endpoints_are_the_whole_route_table_of_the_shop() {
    let listed = Command::new("python3").arg(Shop::program()).arg("--routes").output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let listed: BTreeSet<&str> = listed.lines().collect();
    let known: BTreeSet<&str> = CALLED.iter().chain(NEVER_CALLED).copied().collect();
    assert_eq!(listed, known);
    assert_eq!(known.len(), CALLED.len() + NEVER_CALLED.len());
}

#[tokio::test]
async fn every_called_endpoint_is_called_nothing_else_is_and_no_call_fails() {
    let shop = Shop::start().unwrap();
    let mut options = Options::new(shop.target().clone());
    (options.http2_percent, options.rate, options.duration) = (0, 0.0, Duration::from_secs(60));
    let running = start(options);
    let (progress, stopper) = (running.progress(), running.stopper());
    let all_called = async {
        while CALLED.iter().any(|kind| progress.calls_of(kind) == 0) && progress.failed() == 0 {
            tokio::task::yield_now().await;
        }
        stopper.stop();
    };
    let (summary, ()) = tokio::join!(running.finish(), all_called);
    assert_eq!(summary.failed, 0, "{summary}");
    let missing: Vec<_> = CALLED.iter().filter(|&&kind| !summary.kinds.contains_key(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for kind in summary.kinds.keys().filter(|kind| kind.starts_with("GET /") || kind.starts_with("POST /")) {
        assert!(CALLED.contains(&kind.as_str()), "{kind}");
    }
}

#[tokio::test]
async fn a_target_that_is_not_there_makes_failures_and_no_panic() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut options = Options::new(format!("http://{closed}").parse().unwrap());
    (options.rate, options.users) = (0.0, 2);
    let running = start(options);
    let (progress, stopper) = (running.progress(), running.stopper());
    let some_failed = async {
        while progress.failed() < 10 {
            tokio::task::yield_now().await;
        }
        stopper.stop();
    };
    let (summary, ()) = tokio::join!(running.finish(), some_failed);
    assert_eq!(summary.failed, summary.calls);
    assert!(summary.examples[0].reason.starts_with("no answer: connect"), "{:?}", summary.examples[0]);
}
