//! The driver through something that stands in front of the shop: over HTTP/2, and with answers that were spoilt.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests fail by panicking, as the tests do")]

mod support;

use bytes::Bytes;
use http::{HeaderValue, Response};
use starve_traffic::{Options, Shop, Summary, start};
use support::{Tamper, gateway};

/// Run until `enough` calls have been made or, if some must fail, until one has.
async fn drive(http2_percent: u8, enough: u64, tamper: Tamper) -> Summary {
    let shop = Shop::start().unwrap();
    let mut options = Options::new(gateway(shop.target(), tamper).await);
    (options.http2_percent, options.rate) = (http2_percent, 0.0);
    let running = start(options);
    let (progress, stopper) = (running.progress(), running.stopper());
    let watched = async {
        while progress.calls() < enough && progress.failed() == 0 {
            tokio::task::yield_now().await;
        }
        stopper.stop();
    };
    tokio::join!(running.finish(), watched).0
}

#[tokio::test]
async fn http2_users_and_http1_users_get_the_same_answers() {
    let summary = drive(50, 600, |_| ()).await;
    assert_eq!(summary.failed, 0, "{summary}");
    assert!(summary.http2_calls > 100 && summary.http2_calls < summary.calls - 100, "{summary}");
}

#[tokio::test]
async fn a_location_with_the_wrong_origin_is_noticed() {
    let spoil: Tamper = |answer: &mut Response<Bytes>| {
        if answer.headers().contains_key("location") {
            answer.headers_mut().insert("location", HeaderValue::from_static("http://10.0.0.7:3000/cart"));
        }
    };
    let summary = drive(0, u64::MAX, spoil).await;
    assert!(summary.failures.contains_key("wrong location"), "{summary}");
}

#[tokio::test]
async fn a_lost_set_cookie_line_is_noticed() {
    let spoil: Tamper = |answer: &mut Response<Bytes>| {
        let first = answer.headers().get("set-cookie").cloned();
        if let Some(first) = first {
            answer.headers_mut().insert("set-cookie", first);
        }
    };
    let summary = drive(0, u64::MAX, spoil).await;
    assert!(summary.failures.contains_key("missing cookie"), "{summary}");
}
