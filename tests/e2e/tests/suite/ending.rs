//! How the proxy ends: what is in flight is finished, nothing new is taken.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use e2e::{After, Client, End, Http, Origin, Proxy, empty, eventually, get};
use http_body_util::BodyExt as _;
use rustix::process::Signal;

/// Sends half of its answer, and the rest when told.
fn slow() -> (Origin, mpsc::Sender<()>) {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let origin = Origin::start(move |exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst")?;
        let _told = gate.lock().unwrap().recv();
        exchange.write(b"-last")?;
        Ok(After::Keep)
    });
    (origin, go)
}

fn before(origin: &Origin, settings: &str) -> Proxy {
    Proxy::start(&format!("legacy: {}\nroutes: [ {{ match: GET /a }} ]\n{settings}", origin.url()))
}

/// Waits until the proxy takes no more connections.
#[track_caller]
fn wait_for_drain(proxy: &Proxy) {
    eventually("new connections to be refused", || match Client::try_connect(proxy.address()) {
        Err(_) => Ok(()),
        Ok(_) => Err("taken".to_owned()),
    });
}

#[test]
fn a_download_in_flight_ends_whole_and_the_exit_code_is_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let (origin, go) = slow();
        let mut proxy = before(&origin, "");
        let mut client = proxy.client();
        client.begin("GET", "/a", &[], b"");
        client.head("GET");
        assert_eq!(client.piece().unwrap(), b"first");
        proxy.signal(signal);
        wait_for_drain(&proxy);
        assert_eq!(proxy.admin_call("GET", "/readyz", "").status, 503, "the load balancer is told");
        assert_eq!(proxy.admin_call("GET", "/healthz", "").status, 200);
        go.send(()).unwrap();
        assert_eq!(client.piece().unwrap(), b"-last");
        assert_eq!(client.piece().unwrap(), b"");
        let stopped = proxy.ended();
        assert_eq!(stopped.status.code(), Some(0), "{}", stopped.log);
        assert_eq!(proxy.site().report().calls("GET /a"), (1, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_http_2_in_flight_ends_whole() {
    let (origin, go) = slow();
    let mut proxy = before(&origin, "");
    let mut http = Http::two(proxy.address()).await;
    let mut body = http.send(get("/a").body(empty()).unwrap()).await.unwrap().into_body();
    assert_eq!(&body.frame().await.unwrap().unwrap().into_data().unwrap()[..], b"first");
    proxy.signal(Signal::TERM);
    wait_for_drain(&proxy);
    go.send(()).unwrap();
    assert_eq!(&body.frame().await.unwrap().unwrap().into_data().unwrap()[..], b"-last");
    assert!(body.frame().await.is_none());
    let stopped = proxy.ended();
    assert_eq!(stopped.status.code(), Some(0), "{}", stopped.log);
}

#[test]
fn idle_connections_hold_up_no_end() {
    let origin = Origin::named("legacy");
    let mut proxy = before(&origin, "");
    let (mut used, mut fresh) = (proxy.client(), proxy.client());
    assert_eq!(used.get("/a").status, 200);
    proxy.signal(Signal::TERM);
    let stopped = proxy.ended();
    assert_eq!(stopped.status.code(), Some(0), "{}", stopped.log);
    assert!(stopped.took < Duration::from_secs(5), "{:?}", stopped.took);
    used.wait_for_close().unwrap();
    fresh.wait_for_close().unwrap();
}

#[test]
fn what_is_not_done_at_the_drain_s_deadline_is_cut_off_counted_and_reported() {
    let (origin, go) = slow();
    let mut proxy = before(&origin, "limits: { drain-timeout: 500ms }\n");
    let mut client = proxy.client();
    client.begin("GET", "/a", &[], b"");
    origin.wait_for(1);
    proxy.signal(Signal::TERM);
    let stopped = proxy.ended();
    assert!(stopped.took < Duration::from_secs(10), "{:?}", stopped.took);
    assert_eq!(stopped.status.code(), Some(0), "{}", stopped.log);
    assert!(stopped.log.contains("cut"), "{}", stopped.log);
    assert_eq!(client.answer("GET").end, End::CutOff);
    assert_eq!(proxy.site().report().calls("GET /a"), (1, 0, 0), "it was a call all the same");
    drop(go);
}

#[test]
fn the_last_counts_reach_the_ledger() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin, "");
    let site = proxy.site().clone();
    let mut client = proxy.client();
    for _ in 0..100 {
        client.get("/a");
    }
    client.get("/unknown");
    proxy.stop();
    let report = site.report();
    assert_eq!((report.calls("GET /a"), report.discovered("GET", "/unknown")), ((100, 0, 0), 1));
    assert_eq!(report.0["observation"]["gaps"], serde_json::json!([]));
}
