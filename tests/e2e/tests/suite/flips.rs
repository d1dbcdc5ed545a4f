//! Flipping while everybody calls: not one call fails, and the counts add up to the last one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use e2e::{Http, Origin, Proxy, eventually};
use tokio::task::JoinSet;

const ROUTE: &str = "GET /a/{id:int}";

/// What the clients of a test saw.
#[derive(Debug, Default)]
struct Tally {
    legacy: AtomicU64,
    function: AtomicU64,
    gone: AtomicU64,
    stop: AtomicBool,
}

impl Tally {
    fn all(&self) -> u64 {
        self.legacy.load(SeqCst) + self.function.load(SeqCst) + self.gone.load(SeqCst)
    }

    /// Waits for some more calls, so that a stage has had its share of them.
    fn wait_for_more(&self) {
        let now = self.all();
        eventually("more calls", || {
            if self.all() > now + 60 { Ok(()) } else { Err("standing still".to_owned()) }
        });
    }
}

/// Calls until told to stop; anything but a whole answer of the right shape breaks the test.
async fn hammer(address: SocketAddr, user: usize, two: bool, tally: Arc<Tally>) {
    let mut http = if two { Http::two(address).await } else { Http::one(address).await };
    let mut n = 0;
    while !tally.stop.load(SeqCst) {
        n += 1;
        let request = e2e::get(&format!("/a/{n}")).header("cookie", format!("session=u{user}"));
        let answer = http.call(request.body(e2e::empty()).unwrap()).await;
        let answer = answer.unwrap_or_else(|error| panic!("call {n} of user {user} failed: {error:?}"));
        let counter = match (answer.status.as_u16(), answer.field("server")) {
            (200, "legacy") => &tally.legacy,
            (200, "function") => &tally.function,
            (410, _) => &tally.gone,
            other => panic!("call {n} of user {user}: {other:?} {:?}", answer.body),
        };
        if answer.status == 200 {
            assert_eq!(&answer.body[..], br#"{"ok":true}"#);
        }
        counter.fetch_add(1, SeqCst);
    }
}

struct Load {
    tally: Arc<Tally>,
    runtime: tokio::runtime::Runtime,
    clients: JoinSet<()>,
}

impl Load {
    /// Three clients of HTTP/1.1 and three of HTTP/2, each on a connection that it keeps.
    fn start(address: SocketAddr) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (tally, mut clients) = (Arc::new(Tally::default()), JoinSet::new());
        for user in 0..6 {
            clients.spawn_on(hammer(address, user, user % 2 == 1, tally.clone()), runtime.handle());
        }
        tally.wait_for_more();
        Self { tally, runtime, clients }
    }

    /// Ends the load and says how many calls legacy, the function and nobody answered.
    fn end(self) -> (u64, u64, u64) {
        self.tally.stop.store(true, SeqCst);
        let Self { tally, runtime, mut clients } = self;
        runtime.block_on(async {
            while let Some(ended) = clients.join_next().await {
                ended.unwrap();
            }
        });
        (tally.legacy.load(SeqCst), tally.function.load(SeqCst), tally.gone.load(SeqCst))
    }
}

fn start(legacy: &Origin, function: &Origin) -> Proxy {
    Proxy::start(&format!(
        "legacy: {}\nfunctions:\n  new: {{ http: {} }}\nroutes:\n  - match: {ROUTE}\n    function: new\n    \
         stage: legacy\n    canary: {{ percent: 50, sticky: 'cookie:session' }}\n",
        legacy.url(),
        function.url()
    ))
}

/// That metrics, and after a graceful stop the ledger, say exactly what the clients saw.
#[track_caller]
fn assert_counted(proxy: Proxy, seen: (u64, u64, u64)) {
    let metrics = proxy.metrics();
    let side = |side| metrics.calls_of(ROUTE, side) as u64;
    assert_eq!((side("legacy"), side("function"), side("none")), seen, "metrics and clients");
    let site = proxy.site().clone();
    let stopped = proxy.stop();
    assert!(stopped.status.success(), "{}", stopped.log);
    assert_eq!(site.report().calls(ROUTE), seen, "ledger and clients");
}

#[test]
fn a_route_is_flipped_through_all_stages_and_back_without_a_failed_call() {
    let (legacy, function) = (Origin::named("legacy"), Origin::named("function"));
    let proxy = start(&legacy, &function);
    let load = Load::start(proxy.address());
    for stage in ["shadow", "canary", "live", "done", "retired", "done", "live", "canary", "shadow", "legacy"]
    {
        proxy.flip(ROUTE, stage, None);
        load.tally.wait_for_more();
    }
    let seen = load.end();
    assert!(seen.0 > 0 && seen.1 > 0 && seen.2 > 0, "all of them had calls: {seen:?}");
    assert_eq!(proxy.generation(), 11, "ten flips");
    assert_counted(proxy, seen);
}

#[test]
fn a_flip_is_in_force_for_every_call_that_begins_after_it() {
    let (legacy, function) = (Origin::named("legacy"), Origin::named("function"));
    let proxy = start(&legacy, &function);
    let mut clients: Vec<_> = (0..4).map(|_| proxy.client()).collect();
    for (stage, server) in
        [("done", "function"), ("legacy", "legacy"), ("live", "function"), ("shadow", "legacy")]
    {
        proxy.flip(ROUTE, stage, None);
        for client in &mut clients {
            assert_eq!(client.get("/a/1").server(), server, "{stage}");
        }
    }
}

#[test]
fn the_kill_switch_is_thrown_under_load_without_a_failed_call() {
    let (legacy, function) = (Origin::named("legacy"), Origin::named("function"));
    let proxy = start(&legacy, &function);
    proxy.flip(ROUTE, "done", None);
    let load = Load::start(proxy.address());
    for _ in 0..3 {
        proxy.starve(&["kill-switch", "on"]).ok();
        load.tally.wait_for_more();
        proxy.starve(&["kill-switch", "off"]).ok();
        load.tally.wait_for_more();
    }
    let seen = load.end();
    assert!(seen.0 > 0 && seen.1 > 0, "both had calls: {seen:?}");
    assert_counted(proxy, seen);
}

#[test]
fn other_settings_change_under_load_without_a_failed_call() {
    let (legacy, function) = (Origin::named("legacy"), Origin::named("function"));
    let other = Origin::named("legacy");
    let proxy = start(&legacy, &function);
    let load = Load::start(proxy.address());
    let first = proxy.site().routes();
    let changed = first.replace(&legacy.url(), &other.url()) + "  - { match: GET /b }\n";
    for n in 0..6 {
        let text = if n % 2 == 0 { &changed } else { &first };
        proxy.site().write("routes.yaml", text);
        let answer = proxy.admin_call("POST", "/api/reload", "{}");
        assert_eq!(answer.status, 200, "{}", answer.text());
        load.tally.wait_for_more();
    }
    let seen = load.end();
    assert!(legacy.count() > 0 && other.count() > 0, "both upstreams had calls");
    assert_counted(proxy, seen);
}
