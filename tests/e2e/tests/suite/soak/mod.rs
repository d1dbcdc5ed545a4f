//! A while with faults on the way: what is told must be true, and what is counted must add up.

mod network;
mod origins;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::{DEADLINE, Http, Proxy, Site, body_of, empty, eventually, get};
use http::Request;
use http_body_util::BodyExt as _;

use self::origins::{Faulty, FaultyHttp2, expected};

const FOR: Duration = Duration::from_secs(15);
const CLIENTS: u64 = 8;

/// What clients saw, by the class that it is counted under.
#[derive(Debug, Default)]
struct Tally {
    whole: AtomicU64,
    /// 502, 503 and 504.
    errors: AtomicU64,
    /// Broken off, before or inside the answer.
    cut: AtomicU64,
}

impl Tally {
    fn calls(&self) -> u64 {
        self.whole.load(SeqCst) + self.errors.load(SeqCst) + self.cut.load(SeqCst)
    }
}

/// What came of one call.
enum Outcome {
    Whole,
    Error,
    Cut,
    /// It was never sent: the connection had ended.
    Unsent,
}

async fn connect(address: SocketAddr, is_http2: bool) -> Http {
    if is_http2 { Http::two(address).await } else { Http::one(address).await }
}

async fn call(http: &mut Http, request: Request<impl Into<Bytes>>, id: u64) -> Outcome {
    let (head, body) = request.into_parts();
    let body: Bytes = body.into();
    let request = Request::from_parts(head, if body.is_empty() { empty() } else { body_of(body) });
    let answer = match http.send(request).await {
        Ok(answer) => answer,
        Err(error) if error.is_canceled() || error.is_closed() => return Outcome::Unsent,
        Err(_broken) => return Outcome::Cut,
    };
    let status = answer.status().as_u16();
    let collected = tokio::time::timeout(DEADLINE, answer.into_body().collect()).await.unwrap();
    match (collected, status) {
        (Err(_broken), _) => Outcome::Cut,
        (Ok(body), 200) => {
            assert!(body.to_bytes() == expected(id), "call {id}: an answer that looks whole is not");
            Outcome::Whole
        }
        (Ok(_), 502..=504) => Outcome::Error,
        (Ok(_), other) => panic!("call {id}: {other}"),
    }
}

/// One client's calls, one after the other, until it is told to stop: reads, and a write in five.
async fn client(address: SocketAddr, number: u64, stop: Arc<AtomicBool>, tally: Arc<Tally>) {
    let is_http2 = number % 2 == 1;
    let mut http = connect(address, is_http2).await;
    for n in 0.. {
        if stop.load(SeqCst) {
            return;
        }
        let id = n * CLIENTS + number;
        let route = if n % 3 == 0 { "two" } else { "one" };
        let path = format!("/{route}/{id}");
        let request = match n % 5 {
            4 => get(&path).method("POST").body(expected(id)),
            _ => get(&path).body(Vec::new()),
        };
        match call(&mut http, request.unwrap(), id).await {
            Outcome::Whole => drop(tally.whole.fetch_add(1, SeqCst)),
            Outcome::Error => drop(tally.errors.fetch_add(1, SeqCst)),
            Outcome::Cut => {
                tally.cut.fetch_add(1, SeqCst);
                http = connect(address, is_http2).await;
            }
            Outcome::Unsent => http = connect(address, is_http2).await,
        }
    }
}

/// Servers that close kept connections, reset and close in the middle of heads and bodies, refuse, die and come back;
/// clients of HTTP/1.1 and HTTP/2. Every answer that looks whole is whole; no write is done twice; the clients' tally, the
/// metrics and the ledger are the same to the last call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_faulty_servers_every_answer_is_honest_and_every_call_is_counted() {
    let origins = [Faulty::start(), Faulty::start()];
    let http2 = FaultyHttp2::start().await;
    let (proxy, site) = tokio::task::block_in_place(|| {
        let site = Site::new(&format!(
            "legacy: {{ servers: ['{}', '{}'], timeout: {{ first-byte: 5s, idle: 5s }}, eject: {{ time: 500ms }} }}\n\
             upstreams:\n  two: '{}'\nroutes:\n  - match: '* /one/{{id}}'\n  - match: '* /two/{{id}}'\n    legacy: two\n",
            origins[0].url(),
            origins[1].url(),
            http2.url()
        ));
        (site.run(), site)
    });
    let (stop, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(proxy.address(), number, stop.clone(), tally.clone()));
    }
    // One of the two dies and comes back, again and again, after so and so many calls.
    let began = Instant::now();
    let mut deaths = 0;
    while began.elapsed() < FOR {
        tokio::task::block_in_place(|| {
            let before = tally.calls();
            eventually("a hundred calls more", || match tally.calls() - before {
                100.. => Ok(()),
                so_many => Err(so_many.to_string()),
            });
            origins[deaths % 2].toggle();
        });
        deaths += 1;
    }
    stop.store(true, SeqCst);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert!(deaths > 4, "{deaths}");
    let happened = (tally.whole.load(SeqCst), tally.errors.load(SeqCst), tally.cut.load(SeqCst));
    assert!(happened.0 > 500 && happened.1 > 10 && happened.2 > 10, "{happened:?}");
    let mut writes: HashMap<u64, u32> = HashMap::new();
    for id in origins.iter().flat_map(Faulty::writes).chain(http2.writes()) {
        *writes.entry(id).or_default() += 1;
    }
    assert!(
        writes.len() > 50 && writes.values().all(|times| *times == 1),
        "no write is done twice: {writes:?}"
    );
    tokio::task::block_in_place(|| adds_up(proxy, &site, &tally));
}

#[track_caller]
fn adds_up(proxy: Proxy, site: &Site, tally: &Tally) {
    let told =
        |code: &str, metrics: &e2e::Metrics| metrics.sum("starve_requests_total", &[("code", code)]) as u64;
    eventually("no call in flight", || match proxy.metrics().sum("starve_in_flight_requests", &[]) {
        0.0 => Ok(()),
        other => Err(other.to_string()),
    });
    let metrics = proxy.metrics();
    let counted = (told("2xx", &metrics), told("5xx", &metrics), told("none", &metrics));
    assert_eq!(counted, (tally.whole.load(SeqCst), tally.errors.load(SeqCst), tally.cut.load(SeqCst)));
    assert_eq!(metrics.sum("starve_requests_total", &[]) as u64, tally.calls());
    proxy.stop();
    let report = site.report();
    let calls = |route: &str| {
        let (legacy, function, nobody) = report.calls(route);
        legacy + function + nobody
    };
    assert_eq!(calls("* /one/{id}") + calls("* /two/{id}"), tally.calls());
}
