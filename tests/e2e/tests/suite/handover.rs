//! A new process takes over while clients call: nobody notices, and every call is counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;

use e2e::{After, Client, End, Http, Origin, Proxy, eventually};
use rustix::process::Signal;

/// Clients that call until they are told to stop; each call must be answered well.
struct Load {
    calls: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

/// Calls an address again and again; after each good answer it asks whether to go on.
type Kind = fn(SocketAddr, &dyn Fn() -> bool);

impl Load {
    fn start(address: SocketAddr) -> Self {
        let (calls, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let kinds: [Kind; 5] = [kept, kept, fresh, fresh, multiplexed];
        let clients = kinds.map(|client| {
            let (calls, stop) = (calls.clone(), stop.clone());
            std::thread::spawn(move || {
                client(address, &|| {
                    calls.fetch_add(1, Relaxed);
                    !stop.load(Relaxed)
                });
            })
        });
        Self { calls, stop, clients: clients.into() }
    }

    /// Waits until so many more calls were answered.
    #[track_caller]
    fn go_on(&self, more: u64) {
        let target = self.calls.load(Relaxed) + more;
        eventually("more calls", || match self.calls.load(Relaxed) {
            now if now >= target => Ok(()),
            now => Err(format!("{now} of {target}")),
        });
    }

    /// How many calls were answered, all of them well.
    fn end(self) -> u64 {
        self.stop.store(true, Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        self.calls.load(Relaxed)
    }
}

/// One connection for as long as the proxy wants to keep it.
fn kept(address: SocketAddr, answered: &dyn Fn() -> bool) {
    loop {
        let mut client = Client::connect(address);
        loop {
            let answer = client.get("/a");
            assert_eq!((answer.status, answer.end), (200, End::Complete));
            if !answered() {
                return;
            }
            if answer.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                break;
            }
        }
    }
}

/// A connection for each call.
fn fresh(address: SocketAddr, answered: &dyn Fn() -> bool) {
    loop {
        let answer = Client::connect(address).get("/a");
        assert_eq!((answer.status, answer.end), (200, End::Complete));
        if !answered() {
            return;
        }
    }
}

/// HTTP/2; a new connection when the proxy says that it takes no more streams (GOAWAY).
fn multiplexed(address: SocketAddr, answered: &dyn Fn() -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut http = Http::two(address).await;
        loop {
            match http.get("/a").await {
                Ok(answer) => assert_eq!(answer.status, 200),
                // Never sent: the connection takes no more.
                Err(error) if error.is_canceled() || error.is_closed() => {
                    http = Http::two(address).await;
                    continue;
                }
                Err(error) => panic!("{error:?}"),
            }
            if !answered() {
                return;
            }
        }
    });
}

fn before(origin: &Origin) -> Proxy {
    Proxy::start(&format!("legacy: {}\nroutes: [ {{ match: GET /a }} ]\n", origin.url()))
}

#[test]
fn no_call_fails_and_none_is_lost_when_a_new_process_takes_over() {
    let origin = Origin::named("legacy");
    let mut proxy = before(&origin);
    let load = Load::start(proxy.address());
    load.go_on(200);
    let successor = proxy.replace();
    load.go_on(200);
    let old = proxy.ended();
    assert_eq!(old.status.code(), Some(0), "{}", old.log);
    assert!(!old.log.contains("cut"), "{}", old.log);
    load.go_on(200);
    let calls = load.end();
    assert!(calls >= 600);
    successor.stop();
    let report = proxy.site().report();
    assert_eq!(report.calls("GET /a"), (calls, 0, 0));
    assert_eq!(report.0["observation"]["gaps"], serde_json::json!([]));
}

#[test]
fn a_call_under_way_ends_with_the_old_process_and_new_ones_begin_with_the_new_one() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let origin = Origin::start(move |exchange| {
        if exchange.path() == "/slow" {
            exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst")?;
            let _told = gate.lock().unwrap().recv();
            exchange.write(b"-last")?;
            return Ok(After::Close);
        }
        exchange.answer(200, &[], b"quick")?;
        Ok(After::Keep)
    });
    let mut proxy = before(&origin);
    let mut slow = proxy.client();
    slow.begin("GET", "/slow", &[], b"");
    slow.head("GET");
    assert_eq!(slow.piece().unwrap(), b"first");
    let mut idle = proxy.client();
    assert_eq!(idle.get("/a").status, 200);
    let successor = proxy.replace();
    // The idle connection belongs to the old process, which takes one more request and says goodbye with it.
    let last = idle.get("/a");
    assert_eq!((last.status, last.field("connection")), (200, Some("close")));
    assert_eq!(proxy.get("/a").status, 200);
    go.send(()).unwrap();
    assert_eq!(slow.piece().unwrap(), b"-last");
    assert_eq!(proxy.ended().status.code(), Some(0));
    successor.stop();
    assert_eq!(proxy.site().report().calls("GET /a"), (3, 0, 0));
}

#[test]
fn a_successor_that_does_not_come_to_serve_changes_nothing() {
    let origin = Origin::named("legacy");
    let mut proxy = before(&origin);
    let mut client = proxy.client();
    assert_eq!(client.get("/a").status, 200);
    let good = proxy.site().routes();
    proxy.site().write("routes.yaml", "legacy: nonsense\n");
    proxy.signal(Signal::USR2);
    eventually("the word that nothing has changed", || match proxy.log().contains("goes on as before") {
        true => Ok(()),
        false => Err(proxy.log()),
    });
    assert_eq!(client.get("/a").status, 200);
    assert_eq!(proxy.status()["pid"].as_u64(), Some(u64::from(proxy.pid())));
    proxy.site().write("routes.yaml", good);
    let successor = proxy.replace();
    assert_eq!(proxy.ended().status.code(), Some(0));
    assert_eq!(proxy.get("/a").status, 200);
    successor.stop();
    assert_eq!(proxy.site().report().calls("GET /a"), (3, 0, 0));
}

#[test]
fn the_kill_switch_stays_as_it_is() {
    let (legacy, function) = (Origin::named("legacy"), Origin::named("function"));
    let mut proxy = Proxy::start(&format!(
        "legacy: {}\nfunctions: {{ f: {{ http: \"{}\" }} }}\nroutes: [ {{ match: GET /a, function: f, stage: done }} ]\n",
        legacy.url(),
        function.url()
    ));
    assert_eq!(proxy.get("/a").server(), "function");
    proxy.starve(&["kill-switch", "on"]).ok();
    assert_eq!(proxy.get("/a").server(), "legacy");
    let successor = proxy.replace();
    assert_eq!(proxy.ended().status.code(), Some(0));
    assert_eq!(proxy.get("/a").server(), "legacy");
    successor.stop();
}
