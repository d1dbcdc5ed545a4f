//! The admin address over a real socket, with a real ledger file and a scripted proxy behind [`Control`].

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is the test's")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use starve_admin::{
    Control, ControlError, FlipRequest, Flipped, KillSwitch, LastReload, ReloadError, Reloaded, RouteInfo,
    ServeError, Settings, Status, serve,
};
use starve_http::BoxFuture;
use starve_ledger::{
    Batch, ComparisonCount, Count, DiscoveredCount, Event, EventKind, FieldDelta, Ledger, Sample,
};
use starve_migration::{Percent, Side, Stage};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

const EVIL: &str = "</code><script>alert(1)</script>";

#[derive(Debug, Default)]
struct Proxy {
    ledger: Option<PathBuf>,
    draining: AtomicBool,
    broken: AtomicBool,
    flips: Mutex<Vec<FlipRequest>>,
    kills: Mutex<Vec<KillSwitch>>,
}

impl Control for Proxy {
    fn status(&self) -> Status {
        let last_reload = self.broken.load(Ordering::Relaxed).then(|| LastReload {
            ok: false,
            at_unix_ms: 1_781_517_600_000,
            errors: "error: unknown key <stagee>".to_owned(),
        });
        Status {
            version: "0.1.0".to_owned(),
            pid: 4242,
            workers: 2,
            started_at_unix_ms: 1_781_517_000_000,
            config_path: "/etc/starve/routes.yaml".into(),
            generation: 7,
            loaded_at_unix_ms: 1_781_517_000_000,
            last_reload,
            ledger: None,
            kill_switch: false,
        }
    }

    fn routes(&self) -> Vec<RouteInfo> {
        let route =
            |id: &str, match_text: &str, stage, percent: Option<f64>, function: Option<&str>| RouteInfo {
                id: id.to_owned(),
                match_text: match_text.to_owned(),
                stage,
                percent: percent.map(|percent| Percent::new(percent).unwrap()),
                upstream: "legacy".to_owned(),
                function: function.map(str::to_owned),
                line: Some(3),
                killed: false,
            };
        vec![
            route("get-price", "GET /price/{id}", Stage::Shadow, Some(100.0), Some("price")),
            route("GET /coupons", "GET /coupons", Stage::Legacy, None, None),
        ]
    }

    fn ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed)
    }

    fn metrics(&self) -> String {
        "# TYPE starve_config_generation gauge\nstarve_config_generation 7\n".to_owned()
    }

    fn ledger_path(&self) -> Option<PathBuf> {
        self.ledger.clone()
    }

    fn reload(&self) -> BoxFuture<Result<Reloaded, ReloadError>> {
        let broken = self.broken.load(Ordering::Relaxed);
        Box::pin(async move {
            match broken {
                false => Ok(Reloaded { generation: 8, changed: true }),
                true => Err(ReloadError { diagnostics: "error: unknown key `stagee`\n --> 3:5".to_owned() }),
            }
        })
    }

    fn flip(&self, request: FlipRequest) -> BoxFuture<Result<Flipped, ControlError>> {
        self.flips.lock().unwrap().push(request.clone());
        Box::pin(async move {
            match request.route.as_str() {
                "get-price" => Ok(Flipped {
                    route: request.route,
                    from: Stage::Shadow,
                    to: request.stage,
                    generation: 8,
                }),
                "GET /coupons" => Err(ControlError::Refused("`live` needs a function".to_owned())),
                _ => Err(ControlError::UnknownRoute {
                    route: request.route,
                    nearest: Some("get-price".to_owned()),
                }),
            }
        })
    }

    fn kill_switch(&self, switch: KillSwitch) -> BoxFuture<Result<(), ControlError>> {
        self.kills.lock().unwrap().push(switch);
        Box::pin(async { Ok(()) })
    }
}

struct Admin {
    address: SocketAddr,
    proxy: Arc<Proxy>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<Result<(), ServeError>>,
    _folder: TempDir,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Admin {
    async fn start(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("starve.db");
        fill(&path);
        Self::over(settings, Proxy { ledger: Some(path), ..Proxy::default() }, folder).await
    }

    async fn over(settings: Settings, proxy: Proxy, folder: TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Arc::new(proxy);
        let (stop, stopped) = oneshot::channel::<()>();
        let control: Arc<dyn Control> = proxy.clone();
        let served = tokio::spawn(serve(listener, settings, control, async move {
            let _ = stopped.await;
        }));
        Self { address, proxy, stop: Some(stop), served, _folder: folder }
    }

    async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &[], "").await
    }

    async fn post(&self, target: &str, body: &str) -> Answer {
        self.send("POST", target, &[("Content-Type", "application/json")], body).await
    }

    async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let host = format!("localhost:{}", self.address.port());
        let mut text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text.push_str(&format!("Host: {host}\r\n"));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(30), stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }
}

fn now_unix_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64
}

fn fill(path: &std::path::Path) {
    let ledger = Ledger::open(path).unwrap();
    let now = now_unix_ms();
    let mut batch = Batch::new(now - 31_000, now);
    for (side, class, calls) in [(Side::Legacy, 2, 90), (Side::Function, 2, 9), (Side::Function, 5, 1)] {
        batch.counts.push(Count {
            route: "get-price".into(),
            side: Some(side),
            method: "GET".into(),
            class,
            calls,
            duration_us: calls * 2_000,
            bytes_out: 0,
            bytes_in: 0,
            apart: 0,
            last_at_unix_ms: now,
        });
    }
    batch.discovered.push(DiscoveredCount {
        template: format!("/found/{EVIL}"),
        method: "GET".into(),
        class: 2,
        calls: 10,
        duration_us: 10,
        apart: 0,
        last_at_unix_ms: now,
    });
    for (verdict, n) in [("equal", 75), ("different_body", 25), ("function_error", 2), ("shed", 3)] {
        batch.comparisons.push(ComparisonCount { route: "get-price".into(), verdict: verdict.into(), n });
    }
    batch.fields.push(FieldDelta {
        route: "get-price".into(),
        path: "body:$.gross_cents".into(),
        kind: "value".into(),
        n: 25,
    });
    batch.samples.push(Sample {
        route: "get-price".into(),
        at_unix_ms: now,
        method: "GET".into(),
        target: "/price/{id}".into(),
        verdict: "different_body".into(),
        differences: format!(
            r#"[{{"path":"body:$.gross_cents","kind":"value","legacy":119,"function":"{EVIL}"}}]"#
        ),
    });
    batch.events.push(Event {
        at_unix_ms: now,
        kind: EventKind::Start,
        route: None,
        from: None,
        to: None,
        text: "started".into(),
    });
    ledger.record(batch).unwrap();
    ledger.close(Duration::from_secs(30)).unwrap();
}

#[tokio::test]
async fn the_report_joins_routes_and_ledger_exactly() {
    let admin = Admin::start(Settings::default()).await;
    let answer = admin.get("/api/report?since=30d").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let report = answer.json();
    assert_eq!(report["progress"]["calls"], 110);
    assert_eq!(report["progress"]["calls_legacy"], 100);
    assert_eq!(report["progress"]["calls_function"], 10);
    let price = &report["routes"][0];
    assert_eq!((&price["legacy"]["calls"], &price["function_side"]["errors"]), (&90.into(), &1.into()));
    assert_eq!(price["comparison"]["compared"], 100);
    assert_eq!(price["comparison"]["function_failed"], 2);
    assert_eq!(price["comparison"]["not_compared"]["shed"], 3);
    assert_eq!(price["comparison"]["fields"][0]["ratio"], 0.25);
    assert_eq!(price["next_step"], "differs in body:$.gross_cents in 25 % of 100: look at `starve diffs`");
    assert_eq!(report["dead"][0]["route"], "GET /coupons");
    assert_eq!(report["dead"][0]["certain"], false);
    assert!(report["dead"][0]["evidence"].as_str().unwrap().contains("observed only 31 s of 30 d"));
    assert_eq!(report["discovered"][0]["calls"], 10);
}

#[tokio::test]
async fn the_report_comes_in_all_its_forms() {
    let admin = Admin::start(Settings::default()).await;
    for (format, content_type, part) in [
        ("csv", "text/csv; charset=utf-8; header=present", "route,GET /coupons,legacy"),
        ("markdown", "text/markdown; charset=utf-8", "## Dead routes"),
        ("table&width=80", "text/plain; charset=utf-8", "Dead routes so far (1)"),
    ] {
        let answer = admin.get(&format!("/api/report?format={format}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)));
        assert!(answer.body.contains(part), "{}", answer.body);
    }
    for target in ["/api/report?format=pdf", "/api/report?since=soon", "/api/diffs?limit=0", "/?since=x"] {
        let answer = admin.get(target).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some("application/problem+json")),
            "{target}"
        );
    }
}

#[tokio::test]
async fn the_plain_reads_answer() {
    let admin = Admin::start(Settings::default()).await;
    assert_eq!(admin.get("/api/status").await.json()["generation"], 7);
    let routes = admin.get("/api/routes").await.json();
    assert_eq!((&routes[0]["stage"], &routes[0]["percent"]), (&"shadow".into(), &100.0.into()));
    assert_eq!(admin.get("/api/events?limit=5").await.json()[0]["kind"], "start");
    let metrics = admin.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(metrics.body.contains("starve_config_generation 7"));
    for route in ["get-price", "GET%20/price/%7Bid%7D"] {
        let diffs = admin.get(&format!("/api/diffs?route={route}&limit=5")).await.json();
        assert_eq!(diffs["fields"][0]["path"], "body:$.gross_cents");
        assert_eq!(diffs["samples"][0]["differences"][0]["legacy"], 119);
        assert_eq!(diffs["comparisons"].as_array().unwrap().len(), 4);
    }
    let none = admin.get("/api/diffs?route=nowhere").await;
    assert_eq!(none.status, 404);
    assert_eq!(none.json()["detail"], "there is no route `nowhere`");
}

#[tokio::test]
async fn readiness_follows_the_proxy_and_health_does_not() {
    let admin = Admin::start(Settings::default()).await;
    assert_eq!(admin.get("/readyz").await.status, 200);
    admin.proxy.draining.store(true, Ordering::Relaxed);
    let draining = admin.get("/readyz").await;
    assert_eq!((draining.status, draining.header("retry-after")), (503, Some("1")));
    assert_eq!(admin.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_reload_succeeds_or_brings_its_diagnostics() {
    let admin = Admin::start(Settings::default()).await;
    let answer = admin.post("/api/reload", "{}").await;
    assert_eq!((answer.status, &answer.json()["generation"]), (200, &8.into()));
    admin.proxy.broken.store(true, Ordering::Relaxed);
    let answer = admin.post("/api/reload", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (422, Some("application/problem+json")));
    assert!(answer.json()["diagnostics"].as_str().unwrap().contains("unknown key `stagee`"));
}

#[tokio::test]
async fn a_flip_reaches_the_proxy_as_it_was_asked_for() {
    let admin = Admin::start(Settings::default()).await;
    let answer = admin.post("/api/flip", r#"{"route":"get-price","stage":"canary","percent":2.5}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.json()["to"], "canary");
    assert_eq!(
        *admin.proxy.flips.lock().unwrap(),
        [FlipRequest {
            route: "get-price".to_owned(),
            stage: Stage::Canary,
            percent: Some(Percent::new(2.5).unwrap()),
        }]
    );
    for (body, status, part) in [
        (r#"{"route":"GET /coupons","stage":"live"}"#, 422, "needs a function"),
        (r#"{"route":"get-prise","stage":"live"}"#, 404, "did you mean `get-price`?"),
        (r#"{"route":"get-price","stage":"alive"}"#, 422, "one of legacy, shadow"),
        (r#"{"route":"get-price","stage":"live","percent":101}"#, 422, "between 0 and 100"),
        (r#"{"route":"get-price","stage":"live","force":true}"#, 422, "unknown field"),
        ("route=get-price", 400, "not JSON"),
    ] {
        let answer = admin.post("/api/flip", body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(answer.json()["detail"].as_str().unwrap().contains(part), "{}", answer.body);
    }
    assert_eq!(admin.post("/api/kill-switch", r#"{"on":true}"#).await.status, 200);
    assert_eq!(*admin.proxy.kills.lock().unwrap(), [KillSwitch { on: true, route: None }]);
}

#[tokio::test]
async fn a_change_is_not_taken_from_another_web_page() {
    let admin = Admin::start(Settings::default()).await;
    let port = admin.address.port();
    let own = format!("http://localhost:{port}");
    let body = r#"{"route":"get-price","stage":"live"}"#;
    let json = ("Content-Type", "application/json");
    for (headers, status) in [
        (vec![("Content-Type", "text/plain")], 415),
        (vec![("Content-Type", "application/x-www-form-urlencoded")], 415),
        (vec![], 415),
        (vec![json, ("Origin", "https://evil.example")], 403),
        (vec![json, ("Origin", "http://localhost:1")], 403),
        (vec![json, ("Origin", "null")], 403),
        (vec![json, ("Sec-Fetch-Site", "cross-site")], 403),
        (vec![json, ("Sec-Fetch-Site", "same-site")], 403),
    ] {
        let answer = admin.send("POST", "/api/flip", &headers, body).await;
        assert_eq!(answer.status, status, "{headers:?}");
    }
    assert!(admin.proxy.flips.lock().unwrap().is_empty(), "a refused change reached the proxy");
    for headers in [
        vec![json, ("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")],
        vec![("Content-Type", "application/json; charset=utf-8")],
    ] {
        assert_eq!(admin.send("POST", "/api/flip", &headers, body).await.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn a_name_that_somebody_else_may_point_here_is_refused() {
    let settings = Settings { hosts: vec!["starve.internal".to_owned()], ..Settings::default() };
    let admin = Admin::start(settings).await;
    for (host, status) in [
        ("localhost:9900", 200),
        ("LOCALHOST.", 200),
        ("127.0.0.1:9900", 200),
        ("[::1]:9900", 200),
        ("starve.internal", 200),
        ("evil.example", 403),
        ("evil.example:9900", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 400),
    ] {
        assert_eq!(admin.send("GET", "/api/status", &[("Host", host)], "").await.status, status, "{host}");
    }
    let twice =
        admin.send("GET", "/api/status", &[("Host", "localhost"), ("Host", "evil.example")], "").await;
    assert_eq!(twice.status, 400);
    let probe = admin.send("GET", "/healthz", &[("Host", "pod.cluster")], "").await;
    assert_eq!(probe.status, 200, "a probe is answered under any name");
}

#[tokio::test]
async fn with_a_token_only_its_holder_is_served() {
    let admin = Admin::start(Settings { token: Some("s3cret".to_owned()), hosts: Vec::new() }).await;
    for target in ["/", "/api/report", "/metrics", "/assets/app.js", "/nothing"] {
        let answer = admin.get(target).await;
        assert_eq!(answer.status, 401, "{target}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
        assert!(!answer.body.contains("s3cret"));
    }
    for (credentials, status) in [
        ("Bearer s3cret", 200),
        ("bearer s3cret", 200),
        ("Bearer s3cre", 401),
        ("Bearer s3cret2", 401),
        ("Bearer", 401),
        // "ops:s3cret" and "ops:wrong".
        ("Basic b3BzOnMzY3JldA==", 200),
        ("Basic b3BzOndyb25n", 401),
    ] {
        let answer = admin.send("GET", "/api/status", &[("Authorization", credentials)], "").await;
        assert_eq!(answer.status, status, "{credentials}");
    }
    assert_eq!(admin.get("/healthz").await.status, 200);
    assert_eq!(admin.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn an_address_for_all_needs_a_token() {
    for (token, fine) in [(None, false), (Some(String::new()), false), (Some("t".to_owned()), true)] {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let settings = Settings { token, hosts: Vec::new() };
        let served = serve(listener, settings, Arc::new(Proxy::default()), async {}).await;
        assert_eq!(served.is_ok(), fine, "{served:?}");
    }
}

#[tokio::test]
async fn the_pages_show_everything_and_run_nothing_foreign() {
    let admin = Admin::start(Settings::default()).await;
    admin.proxy.broken.store(true, Ordering::Relaxed);
    let overview = admin.get("/").await;
    assert_eq!(overview.status, 200);
    let policy = overview.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(overview.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(overview.header("cache-control"), Some("no-store"));
    for part in
        ["GET /coupons", "Dead routes so far", "25 %", "The last reload failed", "unknown key &lt;stagee&gt;"]
    {
        assert!(overview.body.contains(part), "no `{part}` in {}", overview.body);
    }
    let route = admin.get("/routes?id=get-price").await;
    assert_eq!(route.status, 200);
    assert!(route.body.contains("body:$.gross_cents") && route.body.contains("data-flip=\"get-price\""));
    for page in [&overview, &route] {
        assert!(!page.body.contains("<script>"), "{}", page.body);
        assert!(page.body.contains("&lt;script&gt;alert(1)"), "the foreign text is not shown");
        for inline in [" style=", " onclick=", "javascript:", "<style"] {
            assert!(!page.body.contains(inline), "`{inline}` in {}", page.body);
        }
    }
    assert_eq!(admin.get("/routes?id=nowhere").await.status, 404);
    for (asset, content_type) in [
        ("/assets/style.css", "text/css; charset=utf-8"),
        ("/assets/app.js", "text/javascript; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let answer = admin.get(asset).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(content_type)));
        assert!(overview.body.contains(asset), "{asset} is not used");
    }
}

#[tokio::test]
async fn without_a_ledger_the_pages_say_so_and_the_api_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("starve.db");
    let admin =
        Admin::over(Settings::default(), Proxy { ledger: Some(missing), ..Proxy::default() }, folder).await;
    let page = admin.get("/").await;
    assert!(page.status == 200 && page.body.contains("there is no ledger at"), "{}", page.body);
    assert_eq!(admin.get("/api/report").await.status, 503);
    assert_eq!(admin.get("/api/status").await.status, 200);
}

#[tokio::test]
async fn unknown_paths_wrong_methods_and_large_bodies_are_refused() {
    let admin = Admin::start(Settings::default()).await;
    assert_eq!(admin.get("/api/nothing").await.status, 404);
    let get = admin.get("/api/flip").await;
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    let post = admin.post("/api/report", "{}").await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
    let head = admin.send("HEAD", "/api/status", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    // One byte too many, so that all of it is read before the answer and nothing resets the connection.
    let large = "x".repeat(64 * 1024 + 1);
    assert_eq!(admin.post("/api/flip", &large).await.status, 413);
}

#[tokio::test]
async fn serving_ends_when_it_is_told_to() {
    let mut admin = Admin::start(Settings::default()).await;
    // An idle connection must not hold it up.
    let _idle = TcpStream::connect(admin.address).await.unwrap();
    assert_eq!(admin.get("/healthz").await.status, 200);
    admin.stop.take().unwrap().send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(30), &mut admin.served).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(admin.address).await.is_err());
}
