//! What discovery found, and what a person says of it: in force at once, remembered, no call lost.

use std::collections::BTreeMap;

use e2e::{After, Origin, Proxy, Site, eventually};
use serde_json::Value;

/// Answers 403 below `/private`, 404 to what begins with `/wp-`, 200 to the rest.
fn legacy() -> Origin {
    Origin::start(|exchange| {
        let status = match exchange.path() {
            path if path.starts_with("/private") => 403,
            path if path.starts_with("/wp-") => 404,
            _ => 200,
        };
        exchange.answer(status, &[], b"x")?;
        Ok(After::Keep)
    })
}

fn call(proxy: &Proxy, paths: &[&str]) {
    let mut client = proxy.client();
    for path in paths {
        client.get(path);
    }
}

/// Endpoints with their calls.
fn listed(value: &Value) -> BTreeMap<String, u64> {
    let row = |row: &Value| {
        let name = format!("{} {}", row["method"].as_str().unwrap(), row["template"].as_str().unwrap());
        (name, row["calls"].as_u64().unwrap())
    };
    value.as_array().unwrap().iter().map(row).collect()
}

fn found(proxy: &Proxy) -> Value {
    proxy.starve(&["discovered", "--format", "json"]).ok().json()
}

/// Waits until the listing, and the report, have exactly these endpoints.
#[track_caller]
fn are_told(proxy: &Proxy, endpoints: &[(&str, u64)]) {
    let expected: BTreeMap<String, u64> =
        endpoints.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect();
    eventually("the endpoints", || {
        let (listing, report) = (listed(&found(proxy)["endpoints"]), proxy.report());
        let mut reported = listed(&report.0["discovered"]);
        reported.retain(|name, _| name.contains(" /"));
        match listing == expected && reported == expected {
            true => Ok(()),
            false => Err(format!("{listing:?} {reported:?}")),
        }
    });
}

#[test]
fn a_merge_and_a_split_are_in_force_at_once_and_remembered_and_keep_every_call() {
    let legacy = legacy();
    let site = Site::new(&format!("legacy: {}\n", legacy.url()));
    let proxy = site.run();
    call(&proxy, &["/teams/red", "/teams/red", "/teams/blue", "/teams/best", "/teams/new", "/docs/a/b"]);
    let apart = [
        ("GET /docs/a/b", 1),
        ("GET /teams/best", 1),
        ("GET /teams/blue", 1),
        ("GET /teams/new", 1),
        ("GET /teams/red", 2),
    ];
    are_told(&proxy, &apart);
    let split = proxy.starve(&["discovered", "split", "/teams/best"]).ok().stdout;
    assert!(split.contains("counted by itself"), "{split}");
    let dry = proxy.starve(&["discovered", "merge", "/teams/{name}", "--dry-run"]).ok().stdout;
    assert!(dry.contains("Nothing is changed") && dry.contains("would become GET /teams/{value}"), "{dry}");
    are_told(&proxy, &apart);
    let merged = proxy.starve(&["discovered", "merge", "/teams/{name}", "--format", "json"]).ok().json();
    assert_eq!(merged["joined"], serde_json::json!(["GET /teams/blue", "GET /teams/new", "GET /teams/red"]));
    let joined = [("GET /docs/a/b", 1), ("GET /teams/best", 1), ("GET /teams/{value}", 4)];
    are_told(&proxy, &joined);
    call(&proxy, &["/teams/green", "/teams/best", "/teams/best"]);
    let more = [("GET /docs/a/b", 1), ("GET /teams/best", 3), ("GET /teams/{value}", 5)];
    are_told(&proxy, &more);
    assert_eq!(found(&proxy)["told"], serde_json::json!(["/teams/best", "/teams/{name}"]));
    proxy.stop();
    // Without a proxy the same from the ledger.
    let listing = site.starve(&["discovered", "--format", "json"]).ok().json();
    assert_eq!(listed(&listing["endpoints"]).len(), 3, "{listing}");

    let proxy = site.run();
    call(&proxy, &["/teams/violet", "/teams/best"]);
    are_told(&proxy, &[("GET /docs/a/b", 1), ("GET /teams/best", 4), ("GET /teams/{value}", 6)]);
    let suggested = proxy.starve(&["suggest"]).ok().stdout;
    assert!(
        suggested.contains("GET /teams/best") && suggested.contains("GET /teams/{teamId}"),
        "{suggested}"
    );
    let table = proxy.starve(&["discovered"]).ok().stdout;
    assert!(table.contains("Told\n") && table.contains("GET /teams/{value}"), "{table}");
    proxy.starve(&["discovered", "forget", "/teams/best"]).ok();
    are_told(&proxy, &[("GET /docs/a/b", 1), ("GET /teams/{value}", 10)]);
    eventually("an entry in the journal", || {
        let events = proxy.admin_call("GET", "/api/events", "").text();
        if events.contains("forget: /teams/best") { Ok(()) } else { Err(events) }
    });
    proxy.kill();
    // Said while no proxy runs, it is in force in the next one.
    site.starve(&["discovered", "merge", "/docs/{path*}"]).ok();
    let proxy = site.run();
    are_told(&proxy, &[("GET /docs/{rest}", 1), ("GET /teams/{value}", 10)]);
}

/// A process that closes a handle of the ledger of its own would lose its locks, and the next program that looks into the file
/// would take it for one that nobody uses and remove the log beside it.
#[test]
fn after_a_merge_other_programs_may_look_into_the_ledger() {
    let legacy = legacy();
    let site = Site::new(&format!("legacy: {}\n", legacy.url()));
    let proxy = site.run();
    call(&proxy, &["/teams/red"]);
    are_told(&proxy, &[("GET /teams/red", 1)]);
    proxy.starve(&["discovered", "merge", "/teams/{name}"]).ok();
    let look = || {
        let script = "import sqlite3\nprint(sqlite3.connect('starve.db').execute('SELECT count(*) FROM told').fetchone()[0])";
        let mut command = std::process::Command::new("python3");
        let output = command.args(["-c", script]).current_dir(site.folder()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    for calls in 2..5 {
        assert_eq!(look(), "1");
        call(&proxy, &["/teams/red"]);
        are_told(&proxy, &[("GET /teams/{value}", calls)]);
    }
    proxy.kill();
    assert_eq!(site.report().discovered("GET", "/teams/{value}"), 4);
}

#[test]
fn what_cannot_be_told_is_refused_and_changes_nothing() {
    let legacy = legacy();
    let proxy = Proxy::start(&format!("legacy: {}\n", legacy.url()));
    for (arguments, words) in [
        (["merge", "/teams/red"], "no parameter"),
        (["merge", "GET /teams/{name}"], "the path alone"),
        (["forget", "/teams/{name}"], "nothing was said"),
    ] {
        let refused = proxy.starve(&[&["discovered"], &arguments[..]].concat());
        assert_eq!(refused.code, Some(1), "{arguments:?}");
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert_eq!(found(&proxy)["told"], serde_json::json!([]));
    let problem = proxy.admin_call("POST", "/api/discovered", r#"{"action": "eat", "path": "/a"}"#);
    assert_eq!(problem.status, 422, "{}", problem.text());
}

#[test]
fn what_is_refused_or_not_there_has_lists_and_series_of_its_own() {
    let legacy = legacy();
    let proxy = Proxy::start(&format!("legacy: {}\n", legacy.url()));
    let mut client = proxy.client();
    for n in 0..6 {
        client.get("/private/report");
        client.get(&format!("/wp-login.php?n={n}"));
        client.call("GET", "/a", &[("user-agent", "sqlmap/1.8")], b"");
    }
    client.get("/wp-admin/setup.php");
    client.get("/a");
    let listing = eventually("the calls", || {
        let listing = found(&proxy);
        match listing["unmatched"]["calls"].as_u64() {
            Some(7) if listing["endpoints"][0]["calls"] == 7 => Ok(listing),
            _ => Err(listing.to_string()),
        }
    });
    let top = &listing["unmatched"]["top"];
    assert_eq!(
        (&top[0]["template"], &top[0]["calls_at_most"]),
        (&"/wp-login.php".into(), &6.into()),
        "{top}"
    );
    let guarded = &listing["guarded"];
    assert_eq!((&guarded[0]["template"], &guarded[0]["refusals"]), (&"/private/report".into(), &6.into()));
    assert_eq!(listing["endpoints"][0]["calls_apart"], 6);
    let metrics = proxy.metrics();
    for (result, calls) in [("endpoint", 7.0), ("guarded", 6.0), ("unmatched", 7.0), ("more", 0.0)] {
        let counted = metrics.get("starve_discovered_requests_total", &[("result", result)]);
        assert_eq!(counted, Some(calls), "{result}");
    }
    for limit in ["discovered-endpoints", "discovered-guarded", "discovered-waiting"] {
        assert_eq!(metrics.get("starve_limit_hits_total", &[("limit", limit)]), Some(0.0), "{limit}");
    }
    // A scanner's call shows nobody's need.
    let report = proxy.report();
    let rows = report.0["discovered"].as_array().unwrap();
    let row = rows.iter().find(|row| row["template"] == "/a").unwrap();
    assert_eq!((&row["calls"], &row["calls_wanted"]), (&7.into(), &1.into()), "{row}");
    let table = proxy.starve(&["discovered"]).ok().stdout;
    assert!(table.contains("Only ever refused") && table.contains("Nothing there (7;"), "{table}");
    let csv = proxy.starve(&["discovered", "--format", "csv"]).ok().stdout;
    assert!(csv.contains("unmatched,GET,/wp-login.php,6,6"), "{csv}");
    let page = proxy.admin_call("GET", "/", "").text();
    assert!(page.contains("nothing there") && page.contains("/wp-login.php"), "{page}");
}
