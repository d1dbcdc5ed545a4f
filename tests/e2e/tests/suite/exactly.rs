//! What was called is what is told: in the ledger, in `/metrics`, in the report, to the last call.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use e2e::{After, Http, Origin, Proxy, Report, Site, body_of, eventually, get};

const PER_CONNECTION: u64 = 60;

fn origin() -> Origin {
    Origin::start(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"0123456789")?;
        Ok(After::Keep)
    })
}

fn site(legacy: &Origin, function: &Origin) -> (Site, rustls::pki_types::CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    let site = Site::exactly(&format!(
        "listen:\n  - 127.0.0.1:0\n  - address: 127.0.0.1:0\n    tls: {{ certificates: [{{ certificate: c.pem, \
         key: k.pem }}] }}\nadmin: 127.0.0.1:0\nworkers: 2\nlegacy: {}\nfunctions:\n  new: {{ http: {} }}\n\
         routes:\n  - match: '* /orders/{{id}}'\n    function: new\n    stage: done\n  - match: GET /never\n",
        legacy.url(),
        function.url()
    ));
    site.write("c.pem", made.cert.pem());
    site.write("k.pem", made.signing_key.serialize_pem());
    (site, made.cert.der().clone())
}

/// One connection's calls: a GET and a POST with a body to the route, one GET to what no route matches.
async fn call(mut http: Http, done: &AtomicU64) {
    for n in 0..PER_CONNECTION {
        let path = format!("/orders/{n}");
        let request = match n % 3 {
            0 => get(&path).body(e2e::empty()),
            1 => get(&path).method("POST").body(body_of("12345")),
            _ => get("/unknown").body(e2e::empty()),
        };
        assert_eq!(http.call(request.unwrap()).await.unwrap().status, 200);
        done.fetch_add(1, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_call_is_told_exactly_over_protocols_reloads_and_flips() {
    let (legacy, function) = (origin(), origin());
    let (site, certificate) = site(&legacy, &function);
    let proxy = site.run();
    let done = std::sync::Arc::new(AtomicU64::new(0));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..12 {
        let (plain, tls) = (proxy.address(), proxy.tls_address());
        let (certificate, done) = (certificate.clone(), done.clone());
        clients.spawn(async move {
            let http = match number % 4 {
                0 => Http::one(plain).await,
                1 => Http::two(plain).await,
                2 => Http::tls(tls, certificate, false).await,
                _ => Http::tls(tls, certificate, true).await,
            };
            call(http, &done).await;
        });
    }
    // Flips and reloads as long as calls are under way.
    let (mut flips, total) = (0, 12 * PER_CONNECTION);
    while done.load(SeqCst) < total && flips < 20 {
        let stage = if flips % 2 == 0 { "legacy" } else { "done" };
        tokio::task::block_in_place(|| {
            proxy.flip("* /orders/{id}", stage, None);
            site.write("routes.yaml", format!("{}# {flips}\n", site.routes()));
            proxy.admin_call("POST", "/api/reload", "{}");
        });
        flips += 1;
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert!(flips > 0);
    let (routed, unrouted) = (total * 2 / 3, total / 3);
    tokio::task::block_in_place(|| {
        let metrics = proxy.metrics();
        let calls = |labels: &[(&str, &str)]| metrics.sum("starve_requests_total", labels);
        assert_eq!(calls(&[("route", "* /orders/{id}")]), routed as f64);
        assert_eq!(calls(&[("route", "* /orders/{id}"), ("method", "POST")]), unrouted as f64);
        assert_eq!(calls(&[("route", "discovered")]), unrouted as f64);
        let by_function = metrics.calls_of("* /orders/{id}", "function");
        let live = eventually("the report to have every call", || match proxy.report() {
            report if report.0["progress"]["calls"] == total => Ok(report),
            report => Err(report.0["progress"].to_string()),
        });
        proxy.stop();
        for report in [live, site.report()] {
            is_exact(&report, (routed - by_function as u64, by_function as u64), unrouted);
        }
    });
}

fn is_exact(report: &Report, (by_legacy, by_function): (u64, u64), unrouted: u64) {
    assert_eq!(report.calls("* /orders/{id}"), (by_legacy, by_function, 0));
    assert_eq!(report.discovered("GET", "/unknown"), unrouted);
    let row = report.route("* /orders/{id}");
    let sum = |key: &str| row["legacy"][key].as_u64().unwrap() + row["function_side"][key].as_u64().unwrap();
    assert_eq!((sum("bytes_in"), sum("bytes_out")), (unrouted * 5, (by_legacy + by_function) * 10));
    for side in ["legacy", "function_side"] {
        if row[side]["calls"].as_u64().unwrap() > 0 {
            let time = |key: &str| row[side][key].as_f64().unwrap();
            assert!(0.0 < time("p50_ms") && time("p50_ms") <= time("p95_ms"), "{row}");
            assert!(time("p95_ms") <= time("p99_ms"), "{row}");
        }
    }
    let today = report.0["burn_down"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((today["routes"].as_u64(), today["calls_function"].as_u64()), (Some(2), Some(by_function)));
}

#[test]
fn kill_9_in_the_middle_loses_a_second_at_most_and_says_so() {
    let legacy = origin();
    let site = Site::new(&format!("legacy: {}\nroutes: [ {{ match: 'GET /a' }} ]\n", legacy.url()));
    let proxy = site.run();
    let (answered, stop) = (std::sync::Mutex::new(Vec::new()), AtomicBool::new(false));
    let address = proxy.address();
    let killed_at = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = e2e::Client::connect(address);
            // Until the connection breaks: the proxy is gone.
            while !stop.load(SeqCst) && client.try_send("GET /a HTTP/1.1\r\nhost: x\r\n\r\n").is_ok() {
                let Ok(_) = client.try_answer("GET") else { return };
                answered.lock().unwrap().push(Instant::now());
            }
        });
        eventually("calls in the ledger", || match proxy.report().calls("GET /a") {
            (calls, 0, 0) if calls > 200 => Ok(()),
            other => Err(format!("{other:?}")),
        });
        let killed_at = Instant::now();
        proxy.kill();
        stop.store(true, SeqCst);
        killed_at
    });
    let report = site.run().report();
    let answered = answered.into_inner().unwrap();
    let (told, _, _) = report.calls("GET /a");
    let may_be_lost = killed_at - Duration::from_secs(1);
    let must_be_told = answered.iter().filter(|at| **at < may_be_lost).count() as u64;
    assert!(
        (must_be_told..=answered.len() as u64 + 1).contains(&told),
        "{must_be_told} {told} {}",
        answered.len()
    );
    let gaps = report.0["observation"]["gaps"].as_array().unwrap().clone();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0]["clean"], false);
    assert!(report.0["routes"][0]["evidence"].as_str().is_some());
    let table = site.starve(&["report"]).ok().stdout;
    assert!(table.contains("1 gap after a kill"), "{table}");
}

#[test]
fn what_the_clients_were_is_counted_apart() {
    let legacy = origin();
    let proxy = Proxy::start(&format!("legacy: {}\nroutes: [ {{ match: '* /a' }} ]\n", legacy.url()));
    let mut client = proxy.client();
    let calls = [
        ("GET", "curl/8.9.1", 3),
        ("GET", "kube-probe/1.31", 4),
        ("GET", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 5),
        ("GET", "sqlmap/1.8", 6),
        ("OPTIONS", "curl/8.9.1", 2),
        ("HEAD", "curl/8.9.1", 1),
    ];
    for (method, agent, times) in calls {
        for _ in 0..times {
            client.call(method, "/a", &[("user-agent", agent)], b"");
        }
    }
    let site = proxy.site().clone();
    proxy.stop();
    let report = site.report();
    let row = report.route("* /a");
    assert_eq!((&row["calls_wanted"], report.calls("* /a")), (&3.into(), (21, 0, 0)));
    let apart = &row["not_wanted"];
    for (key, calls) in [
        ("health_checks", 4),
        ("bots", 5),
        ("scanners", 6),
        ("automated", 15),
        ("preflights", 2),
        ("head", 1),
    ] {
        assert_eq!(apart[key], calls, "{key}: {apart}");
    }
}
