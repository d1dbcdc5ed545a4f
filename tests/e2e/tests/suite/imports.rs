//! Inventories and access logs, from the file to the report and the metrics.

use std::fmt::Write as _;

use e2e::{After, DEADLINE, Origin, Proxy, Site, eventually, eventually_within};
use serde_json::Value;

fn legacy() -> Origin {
    Origin::start(|exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    })
}

fn listed<'a>(report: &'a Value, pattern: &str) -> &'a Value {
    let rows = report["listed"].as_array().unwrap();
    rows.iter().find(|row| row["match"] == pattern).unwrap_or_else(|| panic!("no {pattern} in {report}"))
}

const LINES: &str = "GET /orders/{id}\nPOST /orders\nGET /files/{path}\nGET /configured\n";

#[test]
fn a_running_proxy_counts_an_imported_inventory_and_shows_zeros() {
    let origin = legacy();
    let proxy = Proxy::start(&format!("legacy: {}\nroutes:\n  - match: GET /configured\n", origin.url()));
    proxy.get("/undocumented");
    proxy.site().write("routes.txt", LINES);
    let done = proxy.starve(&["import", "routes", "routes.txt"]).ok();
    assert!(done.stdout.contains("4 endpoints imported as `routes` (4 new, 0 gone)"), "{}", done.stdout);
    eventually("the inventory in force", || {
        match proxy.metrics().calls("GET /orders/{id}", "legacy", "GET", "2xx") {
            Some(0.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    for n in 0..7 {
        proxy.get(&format!("/orders/{n}?x=1"));
    }
    proxy.get("/files/a/b");
    let metrics = proxy.metrics();
    assert_eq!(metrics.calls("GET /orders/{id}", "legacy", "GET", "2xx"), Some(7.0));
    assert_eq!(metrics.calls("POST /orders", "legacy", "POST", "2xx"), Some(0.0));
    assert_eq!(metrics.calls_of("discovered", "legacy"), 2.0, "each call in one series");
    assert_eq!(metrics.get("starve_inventory_routes", &[]), Some(3.0));
    // Its counts go on when it gets a route, and the series is there once.
    proxy.site().edit("routes:\n", "routes:\n  - match: GET /orders/{id}\n");
    proxy.admin_call("POST", "/api/reload", "{}");
    proxy.get("/orders/8");
    assert_eq!(proxy.metrics().calls("GET /orders/{id}", "legacy", "GET", "2xx"), Some(8.0));

    let site = proxy.site().clone();
    proxy.stop();
    let report = site.report().0;
    assert_eq!(site.report().calls("GET /orders/{id}"), (8, 0, 0));
    assert_eq!(listed(&report, "POST /orders")["calls"], 0);
    let files = listed(&report, "GET /files/{path}");
    assert_eq!((&files["calls"], &files["calls_below"]), (&0.into(), &1.into()));
    assert_eq!(report["inventory"]["orphans"], 2);
    assert_eq!(report["inventory"]["undocumented"], 2);
    let dead: Vec<_> = report["dead"].as_array().unwrap().iter().map(|row| row["route"].clone()).collect();
    assert!(dead.contains(&"POST /orders".into()) && !dead.contains(&"GET /files/{path}".into()), "{dead:?}");
    // Replaced whole.
    site.write("routes.txt", "POST /orders\n");
    let again = site.starve(&["import", "routes", "routes.txt"]).ok();
    assert!(again.stdout.contains("1 endpoint imported as `routes` (0 new, 3 gone)"), "{}", again.stdout);
    site.starve(&["import", "forget", "routes"]).ok();
    assert_eq!(site.starve(&["import", "forget", "routes"]).code, Some(1));
}

#[test]
fn what_was_discovered_before_the_import_belongs_to_the_endpoint_of_its_shape() {
    let origin = legacy();
    let proxy = Proxy::start(&format!("legacy: {}\n", origin.url()));
    let mut client = proxy.client();
    let name = |n: u8| format!("{}{}", char::from(b'a' + n % 26), char::from(b'k' + n % 7));
    // Values by their form, by what follows them, by their number alone; and a path that stays undocumented.
    for n in 0..60 {
        client.get(&format!("/orders/{n}"));
        client.get(&format!("/shops/{}/prices", name(n)));
        client.get(&format!("/shops/{}/stock", name(n)));
        client.get(&format!("/files/2026-01-{:02}.pdf", n % 28 + 1));
    }
    for n in 0..40_u8 {
        let path = format!("/people/{}{}", char::from(b'a' + n % 26), if n < 26 { "x" } else { "yy" });
        (0..if n < 20 { 1 } else { 3 }).for_each(|_| drop(client.get(&path)));
    }
    client.get("/undocumented");
    proxy.site().write(
        "routes.txt",
        "GET /orders/{id:int}\nGET /shops/{shop:slug}/prices\nGET /shops/{shop}/stock\nGET /people/{login}\n\
         GET /files/{day:date}.pdf\n",
    );
    proxy.starve(&["import", "routes", "routes.txt"]).ok();
    let site = proxy.site().clone();
    proxy.stop();
    let report = site.report().0;
    for (pattern, calls) in [
        ("GET /orders/{id:int}", 60),
        ("GET /shops/{shop:slug}/prices", 60),
        ("GET /shops/{shop}/stock", 60),
        ("GET /people/{login}", 80),
        ("GET /files/{day:date}.pdf", 60),
    ] {
        assert_eq!(listed(&report, pattern)["calls"], calls, "{pattern}: {}", report["discovered"]);
    }
    assert_eq!(report["inventory"]["undocumented"], 1, "{}", report["discovered"]);
    assert_eq!(report["progress"]["calls"], 321);
}

#[test]
fn an_inventory_of_a_hundred_thousand_lines_is_in_force_and_one_more_is_refused() {
    let origin = legacy();
    let proxy = Proxy::start(&format!("legacy: {}\n", origin.url()));
    let line = |n: u32| format!("GET /area{}/part{}/{{id}}\n", n % 300, n / 300);
    let text: String = (0..100_000).map(line).collect();
    proxy.site().write("routes.txt", &text);
    let before = proxy.memory().0;
    let done = proxy.starve(&["import", "routes", "routes.txt"]).ok();
    assert!(done.stdout.contains("100000 endpoints imported"), "{}", done.stdout);
    eventually_within(DEADLINE * 4, "the inventory in force", || {
        let listed = proxy.metrics().get("starve_inventory_routes", &[]);
        if listed == Some(100_000.0) { Ok(()) } else { Err(format!("{listed:?}")) }
    });
    for n in [0, 7, 99_999] {
        let path = line(n).trim_start_matches("GET ").trim_end().replace("{id}", "17");
        assert_eq!(proxy.get(&path).status, 200);
    }
    let metrics = proxy.admin_call("GET", "/metrics", "").text();
    let series = metrics.lines().filter(|line| line.starts_with("starve_requests_total")).count();
    assert!(series < 2_100, "{series} series");
    assert!(proxy.memory().1 < before + (768 << 20), "{} MiB", proxy.memory().1 >> 20);
    let site = proxy.site().clone();
    assert!(proxy.stop().status.success());
    let report = site.report().0;
    assert_eq!(report["progress"]["calls"], 3);
    assert_eq!(report["inventory"]["endpoints"], 100_000);
    assert_eq!(report["inventory"]["orphans"], 99_997);
    site.write("routes.txt", text + "GET /one/more\n");
    let refused = site.starve(&["import", "routes", "routes.txt"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("100000") || refused.stderr.contains("100,000"), "{}", refused.stderr);
}

#[test]
fn what_is_no_inventory_is_refused_with_its_line_and_a_remedy() {
    let site = Site::new("legacy: http://127.0.0.1:1\n");
    site.write("junk.json", "{\"openapi\": \"3.0.0\",\n \"paths\": }");
    site.write("binary", [0_u8, 159, 146, 150]);
    site.write("empty", "");
    for (arguments, said) in [
        (["import", "openapi", "junk.json"], "junk.json: line 2: no JSON"),
        (["import", "rails", "binary"], "is not text"),
        (["import", "routes", "empty"], "the file is empty"),
        (["import", "routes", "."], "is a directory"),
        (["import", "routes", "nowhere"], "cannot be read"),
    ] {
        let done = site.starve(&arguments);
        assert_eq!(done.code, Some(1), "{}", done.stderr);
        assert!(done.stderr.contains(said), "{said} in {}", done.stderr);
    }
    assert_eq!(site.starve(&["import", "express", "x"]).code, Some(64));
    assert_eq!(site.starve(&["import", "access-log", "--format", "$status", "empty"]).code, Some(64));
}

/// Days of a log as it stood at `now`, one call of `/orders/N` an hour and one that failed on nothing: recent enough for
/// the hours, old enough for no proxy of this test to have counted.
fn log(now: u64, days: std::ops::Range<u64>) -> String {
    let mut text = String::new();
    for hour in days.start * 24..days.end * 24 {
        let at = now - 10 * 86_400 + hour * 3_600;
        let line = format!(
            "{{\"ts\":{at},\"method\":\"GET\",\"path\":\"/orders/{hour}?token=s3cret\",\"status\":200}}"
        );
        let _written =
            writeln!(text, "{line}\n{}", line.replace("/orders/", "/.env").replace("200}", "404}"));
    }
    text
}

#[test]
fn an_access_log_is_taken_once_under_whatever_name_and_grows() {
    let site = Site::new("legacy: http://127.0.0.1:1\n");
    site.write("routes.txt", "GET /orders/{id}\nGET /never\n");
    site.starve(&["import", "routes", "routes.txt"]).ok();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    site.write("access.log", log(now, 0..3));
    let import = |arguments: &[&str]| {
        let mut all = vec!["import", "access-log", "--output", "json"];
        all.extend(arguments);
        site.starve(&all).ok().json()
    };
    let calls = || listed(&site.report().0, "GET /orders/{id}")["calls"].as_u64();
    let first = import(&["access.log"]);
    assert_eq!((&first[0]["calls"], &first[0]["format"]), (&144.into(), &"json".into()), "{first}");
    assert_eq!(calls(), Some(72));
    std::fs::rename(site.path("access.log"), site.path("access.log.1")).unwrap();
    assert_eq!(import(&["access.log.*"])[0]["known"], true);
    site.write("access.log.1", log(now, 0..4) + "{\"ts\":17");
    let grown = import(&["access.log.1"]);
    assert_eq!(
        (&grown[0]["calls"], &grown[0]["bad"]),
        (&48.into(), &0.into()),
        "an unfinished line waits: {grown}"
    );
    assert_eq!(calls(), Some(96));
    // Another place that tells of the same calls adds nothing.
    import(&["--source", "cdn", "access.log.1"]);
    assert_eq!(calls(), Some(96));
    let report = site.report().0;
    assert_eq!(report["inventory"]["logs"].as_array().unwrap().len(), 2);
    assert!(
        report["observation"]["observed_ms"].as_u64() > Some(3 * 86_400_000),
        "{}",
        report["observation"]
    );
    assert_eq!(listed(&report, "GET /never")["calls"], 0);

    site.write("bad.log", "nonsense ?token=s3cret\n".repeat(3));
    let done = site.starve(&["import", "access-log", "bad.log", "."]);
    assert_eq!(done.code, Some(1));
    for said in ["none of the known formats", "is a directory"] {
        assert!(done.stderr.contains(said), "{said} in {}", done.stderr);
    }
    assert!(!done.stderr.contains("s3cret"), "{}", done.stderr);
}

#[test]
fn a_log_is_read_by_the_rules_of_discovery_and_its_history_follows_a_persons_word() {
    let origin = legacy();
    let site = Site::new(&format!("legacy: {}\n", origin.url()));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut text = String::new();
    let mut add = |path: &str, agent: &str, times: u64| {
        for n in 0..times {
            let at = now - 86_400 - n;
            let _written = writeln!(
                text,
                "{{\"ts\":{at},\"method\":\"GET\",\"path\":\"{path}\",\"status\":200,\"user_agent\":\"{agent}\"}}"
            );
        }
    };
    // What follows them shows that they are values, as in traffic; one number alone does not.
    for name in ["acme", "initech", "hooli", "globex", "umbrella", "wonka"] {
        add(&format!("/shops/{name}/orders"), "curl/8", 2);
        add(&format!("/shops/{name}/prices"), "curl/8", 1);
    }
    add("/errors/404", "curl/8", 3);
    add("/teams/red", "curl/8", 3);
    add("/teams/blue", "Mozilla/5.0 (compatible; Googlebot/2.1)", 4);
    site.write("access.log", text);
    site.starve(&["import", "access-log", "access.log"]).ok();
    let names = |site: &Site| {
        let report = site.report().0;
        let rows = report["discovered"].as_array().unwrap().iter();
        let row = |row: &Value| {
            (
                row["template"].as_str().unwrap().to_owned(),
                row["calls"].as_u64(),
                row["calls_wanted"].as_u64(),
            )
        };
        let mut rows: Vec<_> = rows.map(row).collect();
        rows.sort();
        rows
    };
    let row = |name: &str, calls, wanted| (name.to_owned(), Some(calls), Some(wanted));
    let expected = [
        row("/errors/404", 3, 3),
        row("/shops/{value}/orders", 12, 12),
        row("/shops/{value}/prices", 6, 6),
        row("/teams/blue", 4, 0),
        row("/teams/red", 3, 3),
    ];
    assert_eq!(names(&site), expected);
    let stored = || {
        let script = "import sqlite3\nc = sqlite3.connect('starve.db')\nprint(c.execute(\"SELECT group_concat(e.name) FROM \
            (SELECT DISTINCT endpoint FROM log_total) t JOIN endpoints e ON e.id = t.endpoint WHERE e.name LIKE '/t%' OR \
            e.name LIKE '/s%'\").fetchone()[0])";
        let mut command = std::process::Command::new("python3");
        let output = command.args(["-c", script]).current_dir(site.folder()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut names: Vec<_> = text.trim().split(',').map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(stored(), ["/shops/{value}/orders", "/shops/{value}/prices", "/teams/blue", "/teams/red"]);
    // Merged while a proxy runs: the rows of the log are added up in the ledger, too.
    let proxy = site.run();
    proxy.starve(&["discovered", "merge", "/teams/{name}"]).ok();
    eventually("the history under its new name", || match stored() {
        names if names.last().is_some_and(|name| name == "/teams/{value}") && names.len() == 3 => Ok(()),
        names => Err(format!("{names:?}")),
    });
    proxy.stop();
    assert!(names(&site).contains(&row("/teams/{value}", 7, 3)), "{:?}", names(&site));
}

#[test]
fn lines_of_times_in_which_the_proxy_counted_are_left_out() {
    let origin = legacy();
    let proxy = Proxy::start(&format!("legacy: {}\nroutes:\n  - match: GET /a\n", origin.url()));
    proxy.get("/a");
    eventually("a first batch", || match proxy.report().calls("GET /a").0 {
        1 => Ok(()),
        calls => Err(calls.to_string()),
    });
    // To the millisecond: the second in which the proxy began was not counted as a whole.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let line = |at: f64| format!("{{\"ts\":{at:.3},\"path\":\"/a\",\"status\":200}}\n");
    proxy.site().write("a.log", line(now - 100_000.0) + &line(now - 90_000.0) + &line(now));
    let done = proxy.starve(&["import", "access-log", "a.log"]).ok();
    assert!(
        done.stdout.contains("1 lines are of times in which the proxy itself counted"),
        "{}",
        done.stdout
    );
    assert_eq!(proxy.report().calls("GET /a"), (3, 0, 0));
}
