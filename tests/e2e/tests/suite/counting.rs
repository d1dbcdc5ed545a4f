//! Every call is counted once: in the metrics, in the ledger, over connections, reloads and restarts.

use e2e::{After, Http, Origin, Proxy, Site, eventually};

/// Answers with the status that the query asks for: `?status=404`.
fn obliging() -> Origin {
    Origin::start(|exchange| {
        exchange.read_body()?;
        let status = exchange.head.target().split("status=").nth(1).and_then(|status| status.parse().ok());
        exchange.answer(status.unwrap_or(200), &[("server", "legacy")], b"x")?;
        Ok(After::Keep)
    })
}

fn routes(legacy: &Origin, function: &Origin) -> String {
    format!(
        "legacy: {}\nfunctions:\n  new: {{ http: {} }}\nroutes:\n  \
         - {{ match: '* /things/{{id}}' }}\n  \
         - {{ match: GET /new, function: new, stage: done }}\n  \
         - {{ match: GET /never, function: new, stage: shadow }}\n  \
         - {{ match: 'GET,POST /never/{{id}}' }}\n  \
         - {{ match: GET /gone, stage: retired }}\n",
        legacy.url(),
        function.url()
    )
}

#[test]
fn every_configured_route_is_a_visible_zero_in_the_first_scrape() {
    let (legacy, function) = (obliging(), obliging());
    let metrics = Proxy::start(&routes(&legacy, &function)).metrics();
    for (route, side, method) in [
        ("GET /new", "function", "GET"),
        ("GET /never", "legacy", "GET"),
        ("GET /never", "function", "GET"),
        ("GET,POST /never/{id}", "legacy", "GET"),
        ("GET,POST /never/{id}", "legacy", "POST"),
        ("discovered", "legacy", "GET"),
    ] {
        assert_eq!(metrics.calls(route, side, method, "2xx"), Some(0.0), "{route} {side} {method}");
    }
    for route in ["* /things/{id}", "GET /new", "GET /never", "GET,POST /never/{id}", "GET /gone"] {
        let name = "starve_requests_total";
        assert_eq!(metrics.sum(name, &[("route", route)]), 0.0);
        assert!(has_series(&metrics, name, route), "{route} has a series");
        assert!(has_series(&metrics, "starve_route_stage", route), "{route} has a stage");
    }
    assert_eq!(metrics.get("starve_route_stage", &[("route", "GET /new"), ("stage", "done")]), Some(1.0));
    assert_eq!(metrics.get("starve_route_stage", &[("route", "GET /new"), ("stage", "live")]), Some(0.0));
    assert_eq!(metrics.get("starve_config_last_reload_successful", &[]), Some(1.0));
    assert_eq!(metrics.get("starve_config_generation", &[]), Some(1.0));
}

fn has_series(metrics: &e2e::Metrics, name: &str, route: &str) -> bool {
    metrics.count(name, &[("route", route)]) > 0
}

#[test]
fn calls_are_counted_by_route_side_method_and_class() {
    let (legacy, function) = (obliging(), obliging());
    let proxy = Proxy::start(&routes(&legacy, &function));
    let plan: [(&str, &str, usize); 9] = [
        ("GET", "/things/1?status=200", 7),
        ("GET", "/things/2?status=301", 3),
        ("GET", "/things/2?status=404", 4),
        ("POST", "/things/2?status=201", 5),
        ("DELETE", "/things/2?status=500", 2),
        ("PURGE", "/things/2?status=200", 1),
        ("HEAD", "/things/2?status=200", 6),
        ("GET", "/new?status=200", 8),
        ("GET", "/gone", 9),
    ];
    for round in 0..9 {
        let mut client = proxy.client();
        for (method, target, times) in plan {
            if round < times {
                client.call(method, target, &[], if method == "POST" { b"body" } else { b"" });
            }
        }
    }
    let metrics = proxy.metrics();
    for (route, side, method, code, calls) in [
        ("* /things/{id}", "legacy", "GET", "2xx", 7.0),
        ("* /things/{id}", "legacy", "GET", "3xx", 3.0),
        ("* /things/{id}", "legacy", "GET", "4xx", 4.0),
        ("* /things/{id}", "legacy", "POST", "2xx", 5.0),
        ("* /things/{id}", "legacy", "DELETE", "5xx", 2.0),
        ("* /things/{id}", "legacy", "HEAD", "2xx", 6.0),
        ("GET /new", "function", "GET", "2xx", 8.0),
        ("GET /gone", "none", "GET", "4xx", 9.0),
    ] {
        assert_eq!(metrics.calls(route, side, method, code), Some(calls), "{route} {side} {method} {code}");
    }
    assert_eq!(metrics.sum("starve_requests_total", &[("route", "* /things/{id}")]), 28.0, "PURGE as well");
    assert_eq!(metrics.sum("starve_requests_total", &[]), 45.0);
    let site = proxy.site().clone();
    proxy.stop();
    let report = site.report();
    assert_eq!(report.calls("* /things/{id}"), (28, 0, 0));
    assert_eq!(report.calls("GET /new"), (0, 8, 0));
    assert_eq!(report.calls("GET /gone"), (0, 0, 9));
    let not_wanted = &report.route("* /things/{id}")["not_wanted"];
    assert_eq!((&not_wanted["probes"], &not_wanted["failed"]), (&6.into(), &6.into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_over_both_protocols_and_several_connections_add_up() {
    let (legacy, function) = (obliging(), obliging());
    let proxy = Proxy::start(&routes(&legacy, &function));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let address = proxy.address();
        tasks.spawn(async move {
            let mut http = if number % 2 == 0 { Http::one(address).await } else { Http::two(address).await };
            for n in 0..50 {
                assert_eq!(http.get(&format!("/things/{n}")).await.unwrap().status, 200);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    assert_eq!(proxy.metrics().calls("* /things/{id}", "legacy", "GET", "2xx"), Some(400.0));
    let site = proxy.site().clone();
    proxy.stop();
    assert_eq!(site.report().calls("* /things/{id}"), (400, 0, 0));
}

#[test]
fn counts_go_on_over_reloads_and_stage_changes() {
    let (legacy, function) = (obliging(), obliging());
    let proxy = Proxy::start(&routes(&legacy, &function));
    let mut client = proxy.client();
    for n in 0..5 {
        client.get("/new");
        client.get("/things/1");
        proxy.flip("GET /new", if n % 2 == 0 { "legacy" } else { "done" }, None);
    }
    let metrics = proxy.metrics();
    assert_eq!(
        (metrics.calls_of("GET /new", "function"), metrics.calls_of("GET /new", "legacy")),
        (3.0, 2.0)
    );
    assert_eq!(metrics.calls_of("* /things/{id}", "legacy"), 5.0);
    assert_eq!(metrics.get("starve_config_generation", &[]), Some(6.0));
    let site = proxy.site().clone();
    proxy.stop();
    let report = site.report();
    assert_eq!((report.calls("GET /new"), report.calls("* /things/{id}")), ((2, 3, 0), (5, 0, 0)));
}

#[test]
fn a_route_that_is_taken_out_and_put_back_keeps_its_counts() {
    let legacy = obliging();
    let site =
        Site::new(&format!("legacy: {}\nroutes:\n  - match: GET /a\n  - match: GET /b\n", legacy.url()));
    let proxy = site.run();
    let mut client = proxy.client();
    client.get("/b");
    let with = site.routes();
    for text in [with.replace("  - match: GET /b\n", ""), with.clone()] {
        site.write("routes.yaml", text);
        assert_eq!(proxy.admin_call("POST", "/api/reload", "{}").status, 200);
        client.get("/b");
    }
    proxy.stop();
    let report = site.report();
    assert_eq!(report.calls("GET /b"), (2, 0, 0));
    assert_eq!(report.discovered("GET", "/b"), 0, "configured again, it is no discovery");
    assert_eq!(report.0["progress"]["calls"], 2, "{}", report.0["progress"]);
}

#[test]
fn unknown_endpoints_are_merged_by_typed_segments() {
    let legacy = obliging();
    let proxy = Proxy::start(&format!("legacy: {}\n", legacy.url()));
    let mut client = proxy.client();
    for n in 0..30 {
        client.get(&format!("/customers/{n}/orders"));
        client.get(&format!("/reports/2026-11-{:02}.pdf", n % 28 + 1));
        client.get(&format!("/carts/0f0e0d0c-0b0a-4908-8706-0504030201{n:02}"));
    }
    client.get("/about");
    client.call("POST", "/customers/7/orders", &[], b"{}");
    let discovered = eventually("the templates", || {
        let metrics = proxy.metrics();
        match metrics.get("starve_discovered_routes", &[]) {
            Some(5.0) => Ok(metrics),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(discovered.sum("starve_requests_total", &[("route", "discovered")]), 92.0);
    let site = proxy.site().clone();
    proxy.stop();
    let report = site.report();
    for (method, template, calls) in [
        ("GET", "/customers/{int}/orders", 30),
        ("GET", "/reports/{date}.pdf", 30),
        ("GET", "/carts/{uuid}", 30),
        ("GET", "/about", 1),
        ("POST", "/customers/{int}/orders", 1),
    ] {
        assert_eq!(
            report.discovered(method, template),
            calls,
            "{method} {template}: {}",
            report.0["discovered"]
        );
    }
    assert_eq!(report.0["progress"]["calls_legacy"], 92);
}

#[test]
fn kill_9_loses_at_most_the_last_second_and_the_next_start_goes_on() {
    let (legacy, function) = (obliging(), obliging());
    let site = Site::new(&routes(&legacy, &function));
    let proxy = site.run();
    let mut client = proxy.client();
    for _ in 0..50 {
        client.get("/things/1");
        client.get("/unknown/1");
    }
    eventually("the ledger to have what was counted", || match proxy.report().calls("* /things/{id}") {
        (50, 0, 0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    for _ in 0..10 {
        client.get("/things/1");
    }
    proxy.kill();

    let unseen = |report: &e2e::Report| {
        let gaps = report.0["observation"]["gaps"].as_array().unwrap().clone();
        gaps.iter().filter(|gap| gap["clean"] == false).count()
    };
    // Short holes are not listed, so the proxy stays away until this one is.
    eventually("the gap in the observation", || match site.report() {
        report if unseen(&report) == 1 => Ok(()),
        report => Err(report.0["observation"].to_string()),
    });
    let proxy = site.run();
    assert_eq!(proxy.admin_call("GET", "/readyz", "").status, 200);
    let (before, _, _) = proxy.report().calls("* /things/{id}");
    assert!((50..=60).contains(&before), "{before}");
    let mut client = proxy.client();
    for _ in 0..7 {
        client.get("/things/1");
    }
    let stopped = proxy.stop();
    assert!(stopped.status.success(), "{}", stopped.log);
    let report = site.report();
    assert_eq!(report.calls("* /things/{id}"), (before + 7, 0, 0));
    assert_eq!(report.discovered("GET", "/unknown/1"), 50);
    assert_eq!(unseen(&report), 1, "{}", report.0["observation"]);
}

#[test]
fn counts_of_several_runs_add_up() {
    let (legacy, function) = (obliging(), obliging());
    let site = Site::new(&routes(&legacy, &function));
    for _ in 0..3 {
        let proxy = site.run();
        let mut client = proxy.client();
        for _ in 0..10 {
            client.get("/things/1");
        }
        assert!(proxy.stop().status.success());
    }
    assert_eq!(site.report().calls("* /things/{id}"), (30, 0, 0));
}

#[test]
fn a_second_proxy_on_the_same_ledger_is_refused() {
    let legacy = obliging();
    let site = Site::new(&format!("legacy: {}\n", legacy.url()));
    let proxy = site.run();
    let second = site.starve(&["run"]);
    assert_eq!(second.code, Some(1), "{}", second.stderr);
    assert!(second.stderr.contains(&proxy.pid().to_string()), "it names who has it: {}", second.stderr);
    assert_eq!(second.stderr.trim_end().lines().count(), 1, "{}", second.stderr);
    assert_eq!(proxy.get("/a").status, 200);
}

#[test]
fn a_call_whose_client_leaves_is_counted_once() {
    let legacy = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nthe first bytes")?;
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
    let proxy = Proxy::start(&format!("legacy: {}\nroutes: [ {{ match: GET /a }} ]\n", legacy.url()));
    let mut client = proxy.client();
    client.begin("GET", "/a", &[], b"");
    client.head("GET");
    drop(client);
    eventually("the call to be counted", || {
        let calls = proxy.metrics().sum("starve_requests_total", &[("route", "GET /a")]);
        if calls == 1.0 { Ok(()) } else { Err(format!("{calls}")) }
    });
    eventually("nothing in flight", || match proxy.metrics().get("starve_in_flight_requests", &[]) {
        Some(0.0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn the_share_of_the_monolith_and_the_dead_routes_are_told() {
    let (legacy, function) = (obliging(), obliging());
    let proxy = Proxy::start(&routes(&legacy, &function));
    let mut client = proxy.client();
    for _ in 0..3 {
        client.get("/things/1");
    }
    client.get("/new");
    let report = eventually("the ledger to have what was counted", || {
        let report = proxy.report();
        if report.0["progress"]["calls"] == 4 { Ok(report) } else { Err(report.0["progress"].to_string()) }
    });
    assert_eq!(report.0["progress"]["legacy_call_ratio"], 0.75);
    let dead: Vec<_> =
        report.0["dead"].as_array().unwrap().iter().map(|row| row["route"].as_str().unwrap()).collect();
    assert_eq!(dead, ["GET /never", "GET,POST /never/{id}"], "retired ones are not among them");
    assert_eq!(report.0["dead"][0]["certain"], false, "a minute is no observation");
    eventually("/metrics to say what the report says", || {
        let metrics = proxy.metrics();
        let figures = ["starve_legacy_call_ratio", "starve_dead_routes"].map(|name| metrics.get(name, &[]));
        if figures == [Some(0.75), Some(2.0)] { Ok(()) } else { Err(format!("{figures:?}")) }
    });
}
