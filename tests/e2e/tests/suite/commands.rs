//! Commands, exit codes, and what they say when something is wrong.

use std::time::{Duration, Instant};

use e2e::{Done, Origin, Proxy, Site, eventually};
use serde_json::Value;

const BROKEN: &str = "\
legacy: http://127.0.0.1:3000
colour: red
functions: { new: { http: http://127.0.0.1:3001 } }
routes:
  - { match: GET /a, function: nwe, stage: done }
  - { match: GET /b, stage: alive }
  - { match: GET b }
  - { match: GET /c, function: new, stage: shadow, shadow: { percent: 101 } }
";

/// What of each mistake in it must be said.
const MISTAKES: [&str; 5] = ["colour", "nwe", "alive", "GET b", "101"];

/// A failure in one line, that says what is the matter.
#[track_caller]
fn assert_one_line(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, Some(code), "{}{}", done.stdout, done.stderr);
    assert_eq!(done.stderr.trim_end().lines().count(), 1, "{}", done.stderr);
    for word in words {
        assert!(done.stderr.contains(word), "{word} in {}", done.stderr);
    }
    assert!(!done.stdout.contains("listening on"), "{}", done.stdout);
}

#[test]
fn check_says_every_mistake_with_its_line() {
    let done = Site::exactly(BROKEN).starve(&["check"]);
    assert_eq!(done.code, Some(78), "{}", done.stderr);
    for mistake in MISTAKES {
        assert!(done.stderr.contains(mistake), "{mistake} in {}", done.stderr);
    }
    for line in ["routes.yaml:2:", "routes.yaml:5:", "routes.yaml:6:", "routes.yaml:7:", "routes.yaml:8:"] {
        assert!(done.stderr.contains(line), "{line} in {}", done.stderr);
    }
    assert!(done.stderr.contains("`new`"), "the nearest valid name: {}", done.stderr);
    assert!(done.stderr.ends_with('\n'), "what a shell writes next has a line of its own: {:?}", done.stderr);
}

#[test]
fn check_says_every_mistake_as_json() {
    let done = Site::exactly(BROKEN).starve(&["check", "--format", "json"]);
    assert_eq!(done.code, Some(78));
    let json = done.json();
    assert_eq!(json["ok"], false);
    assert!(json["errors"].as_array().unwrap().len() >= MISTAKES.len(), "{json}");
}

#[test]
fn check_of_a_good_file_is_0() {
    let site = Site::exactly("legacy: http://127.0.0.1:3000\n");
    assert!(site.starve(&["check"]).ok().stdout.contains("ok"));
    site.write(
        "warned.yaml",
        "legacy: http://127.0.0.1:3000\nupstreams: { unused: http://127.0.0.1:3001 }\n",
    );
    let warned = site.starve(&["--config", "warned.yaml", "check"]).ok().stdout;
    assert!(warned.contains("warning") && warned.contains("\nwarned.yaml: ok"), "{warned}");
    assert_eq!(site.starve(&["check", "--format", "json"]).ok().json()["ok"], true);
}

#[test]
fn check_of_a_file_that_is_not_there_is_78() {
    let done =
        Site::exactly("legacy: http://127.0.0.1:3000\n").starve(&["check", "--config", "missing.yaml"]);
    assert_eq!(done.code, Some(78));
    assert!(done.stderr.contains("missing.yaml"), "{}", done.stderr);
}

#[test]
fn a_file_elsewhere_is_named_by_option_or_environment() {
    let site = Site::exactly(BROKEN);
    site.write("good.yaml", "legacy: http://127.0.0.1:3000\n");
    site.starve(&["check", "--config", "good.yaml"]).ok();
    site.starve(&["-c", "good.yaml", "check"]).ok();
    site.starve_with(&["check"], &[("STARVE_CONFIG", "good.yaml".as_ref())]).ok();
}

#[test]
fn run_with_a_broken_file_is_78_and_serves_nothing() {
    let site = Site::new(BROKEN);
    let done = site.starve(&["run"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(78), ""), "{}", done.stderr);
    for mistake in MISTAKES {
        assert!(done.stderr.contains(mistake), "{mistake} in {}", done.stderr);
    }
    assert!(!site.path("starve.db").exists(), "not even a ledger was begun");
}

#[test]
fn run_on_a_busy_port_says_which_one_in_one_line() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let listen =
        Site::exactly(&format!("listen: {address}\nadmin: 127.0.0.1:0\nlegacy: http://127.0.0.1:1\n"));
    assert_one_line(&listen.starve(&["run"]), 1, &[&address]);
    let admin =
        Site::exactly(&format!("listen: 127.0.0.1:0\nadmin: {address}\nlegacy: http://127.0.0.1:1\n"));
    assert_one_line(&admin.starve(&["run"]), 1, &["admin", &address]);
}

#[test]
fn run_on_the_port_of_another_proxy_is_refused() {
    let first = Proxy::start("legacy: http://127.0.0.1:1\n");
    let address = first.address().to_string();
    let second =
        Site::exactly(&format!("listen: {address}\nadmin: 127.0.0.1:0\nlegacy: http://127.0.0.1:1\n"));
    assert_one_line(&second.starve(&["run"]), 1, &[&address]);
}

#[test]
fn run_with_a_ledger_that_cannot_be_written_says_how_to_mend_it_in_one_line() {
    let site = Site::new("legacy: http://127.0.0.1:1\nledger: sqlite:a-file/starve.db\n");
    site.write("a-file", "no folder");
    assert_one_line(&site.starve(&["run"]), 1, &["a-file/starve.db", "writable"]);
    let missing = Site::new("legacy: http://127.0.0.1:1\nledger: sqlite:missing/folder/starve.db\n");
    assert_one_line(&missing.starve(&["run"]), 1, &["missing/folder/starve.db"]);
}

#[test]
fn run_on_a_file_that_is_no_ledger_leaves_it_as_it_is() {
    let site = Site::new("legacy: http://127.0.0.1:1\nledger: sqlite:notes.txt\n");
    let notes = "somebody's notes, by mistake\n".repeat(100);
    site.write("notes.txt", &notes);
    assert_one_line(&site.starve(&["run"]), 1, &["notes.txt"]);
    assert_eq!(std::fs::read_to_string(site.path("notes.txt")).unwrap(), notes);
}

#[test]
fn run_with_a_component_that_is_not_there_is_78() {
    let site = Site::new(
        "legacy: http://127.0.0.1:1\nfunctions: { new: { wasm: missing.wasm } }\n\
         routes: [ { match: GET /a, function: new, stage: done } ]\n",
    );
    let done = site.starve(&["run"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(78), ""), "{}", done.stderr);
    assert!(
        done.stderr.contains("missing.wasm") || done.stderr.contains("feature `wasm`"),
        "{}",
        done.stderr
    );
}

#[test]
fn an_admin_address_for_others_needs_a_token() {
    let site = Site::exactly("listen: 127.0.0.1:0\nadmin: 0.0.0.0:0\nlegacy: http://127.0.0.1:1\n");
    let done = site.starve(&["check"]);
    assert_eq!(done.code, Some(78), "{}", done.stderr);
    assert!(done.stderr.contains("token"), "{}", done.stderr);
}

#[test]
fn wrong_words_are_64() {
    let site = Site::exactly("legacy: http://127.0.0.1:1\n");
    for words in [
        &["fly"][..],
        &[],
        &["run", "--fast"],
        &["flip", "GET /a"],
        &["flip", "GET /a", "alive"],
        &["flip", "GET /a", "canary", "--percent", "101"],
        &["report", "--format", "pdf"],
        &["report", "--since", "a while"],
        &["kill-switch", "maybe"],
        &["explain", "GET"],
    ] {
        let done = site.starve(words);
        assert_eq!(done.code, Some(64), "{words:?}: {}{}", done.stdout, done.stderr);
    }
}

#[test]
fn every_command_explains_itself() {
    let site = Site::exactly(BROKEN);
    let help = site.starve(&["--help"]).ok().stdout;
    for command in ["run", "check", "diff", "explain", "flip", "kill-switch", "report", "diffs"] {
        assert!(help.contains(&format!("  {command} ")), "{command} in {help}");
        let own = site.starve(&[command, "--help"]).ok().stdout;
        assert!(own.contains("Usage: starve"), "{own}");
    }
    assert!(!help.contains("launch-function"), "what is not for people is not shown");
    assert!(site.starve(&["--version"]).ok().stdout.starts_with("starve "));
}

const ROUTES: &str = "\
legacy: http://127.0.0.1:1
functions: { new: { http: http://127.0.0.1:1 } }
routes:
  - { match: 'GET /products/{id:int}', function: new, stage: shadow }
  - { match: 'GET /products/{id}' }
  - { match: '* /products/{rest*}' }
  - { match: GET /search, when: { header: { accept: application/json } }, function: new, stage: done }
";

#[test]
fn explain_says_who_wins_and_why_the_others_lose() {
    let site = Site::new(ROUTES);
    let text = site.starve(&["explain", "GET", "/products/7"]).ok().stdout;
    for word in ["GET /products/{id:int}", "GET /products/{id}", "* /products/{rest*}", "shadow"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let json = site.starve(&["explain", "GET", "/products/seven", "--format", "json"]).ok().json();
    assert_eq!(json["route"], "GET /products/{id}");
    let json = site.starve(&["explain", "DELETE", "/products/7", "--format", "json"]).ok().json();
    assert_eq!(json["route"], "* /products/{rest*}");
    let won =
        |json: &Value| json["candidates"].as_array().unwrap().iter().filter(|row| row["won"] == true).count();
    assert_eq!(won(&json), 1);
    let accept = ["explain", "GET", "/search", "-H", "Accept: application/json", "--format", "json"];
    let json = site.starve(&accept).ok().json();
    assert_eq!(
        (&json["route"], &json["stage"], &json["function"]),
        (&json["route"], &"done".into(), &"new".into())
    );
    let json = site.starve(&["explain", "GET", "/search", "--format", "json"]).ok().json();
    assert_eq!(json["route"], Value::Null);
    assert!(json["candidates"][0]["why"].as_str().unwrap().contains("accept"), "{json}");
    let none = site.starve(&["explain", "GET", "/nothing"]).ok().stdout;
    assert!(none.contains("discovered"), "{none}");
}

#[test]
fn explain_and_the_proxy_agree_on_odd_spellings() {
    let legacy = Origin::named("legacy");
    let site =
        Site::new(&ROUTES.replace("http://127.0.0.1:1\nfunctions", &format!("{}\nfunctions", legacy.url())));
    let proxy = site.run();
    for (target, route) in [
        ("/products/%37", "GET /products/{id:int}"),
        ("/x/../products/7", "GET /products/{id:int}"),
        ("/products/a%2fb", "GET /products/{id}"),
        ("/products/a/b", "* /products/{rest*}"),
    ] {
        let before = proxy.metrics().calls_of(route, "legacy");
        assert_eq!(proxy.get(target).status, 200);
        assert_eq!(proxy.metrics().calls_of(route, "legacy"), before + 1.0, "{target}");
        let json = site.starve(&["explain", "GET", target, "--format", "json"]).ok().json();
        assert_eq!(json["route"], route, "{target}");
    }
}

#[test]
fn the_report_comes_in_every_format_from_a_running_proxy_and_from_the_files() {
    let legacy = Origin::named("legacy");
    let proxy = Proxy::start(&format!("legacy: {}\nroutes: [ {{ match: GET /a }} ]\n", legacy.url()));
    proxy.get("/a");
    eventually("the call in the ledger", || match proxy.report().calls("GET /a") {
        (1, 0, 0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let site = proxy.site().clone();
    let assert_all = |run: &dyn Fn(&[&str]) -> Done| {
        for format in ["table", "csv", "markdown", "json"] {
            let text = run(&["report", "--format", format]).ok().stdout;
            assert!(text.contains("GET /a"), "{format}: {text}");
        }
        assert_eq!(run(&["report", "--format", "json", "--since", "1h"]).ok().json()["progress"]["calls"], 1);
        let csv = run(&["report", "--format", "csv"]).ok().stdout;
        let columns = csv.lines().next().unwrap().split(',').count();
        assert!(columns > 3 && csv.lines().count() >= 2, "{csv}");
    };
    assert_all(&|arguments| proxy.starve(arguments));
    proxy.stop();
    assert_all(&|arguments| site.starve(arguments));
}

#[test]
fn commands_for_a_running_proxy_say_when_there_is_none() {
    let site = Site::new("legacy: http://127.0.0.1:1\n");
    for words in [&["diffs"][..], &["kill-switch", "on"], &["report", "--admin", "127.0.0.1:1"]] {
        let done = site.starve(words);
        assert_one_line(&done, 1, &["starve run"]);
    }
}

#[test]
fn what_was_discovered_is_suggested_as_entries_that_check_takes() {
    let legacy = Origin::named("legacy");
    let proxy = Proxy::start(&format!("legacy: {}\n", legacy.url()));
    for id in 1..=3 {
        proxy.get(&format!("/orders/{id}"));
    }
    proxy.client().call("POST", "/orders/7", &[], b"x");
    proxy.get("/carts");
    eventually("all calls in the ledger", || {
        let report = proxy.report();
        let seen = [("GET", "/orders/{int}"), ("POST", "/orders/{int}"), ("GET", "/carts")]
            .map(|(method, template)| report.discovered(method, template));
        if seen == [3, 1, 1] { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    let entries = proxy.starve(&["suggest"]).ok().stdout;
    assert!(entries.contains("GET,POST /orders/{orderId:int}"), "{entries}");
    assert!(entries.contains("# 4 calls"), "{entries}");
    assert!(!proxy.starve(&["suggest", "--calls", "2"]).ok().stdout.contains("/carts"));
    let site = Site::exactly(&format!("legacy: http://127.0.0.1:1\n{entries}"));
    assert!(site.starve(&["check"]).ok().stdout.contains("2 routes"));

    // What has a route by now is suggested no more, by whatever name its parameter is called.
    let site = proxy.site().clone();
    site.write("routes.yaml", format!("{}routes:\n  - match: GET /orders/{{number:int}}\n", site.routes()));
    proxy.admin_call("POST", "/api/reload", "{}");
    let entries = proxy.starve(&["suggest"]).ok().stdout;
    assert!(entries.contains("POST /orders/{orderId:int}") && !entries.contains("GET,POST"), "{entries}");
    let text = site.routes() + entries.split("routes:\n").nth(1).unwrap();
    site.write("routes.yaml", text);
    assert!(site.starve(&["check"]).ok().stdout.contains("3 routes"));
    proxy.admin_call("POST", "/api/reload", "{}");
    let none = proxy.starve(&["suggest"]).ok().stdout;
    assert!(none.contains("Nothing was discovered"), "{none}");
    let json = proxy.starve(&["suggest", "--format", "json"]).ok().json();
    assert_eq!(json, Value::Array(Vec::new()));
}

#[test]
fn diffs_before_anything_was_compared_say_so() {
    let proxy = Proxy::start("legacy: http://127.0.0.1:1\n");
    assert!(proxy.starve(&["diffs"]).ok().stdout.contains("Nothing has been compared"));
    let json = proxy.starve(&["diffs", "--format", "json"]).ok().json();
    assert_eq!(json["comparisons"], Value::Array(Vec::new()));
    let unknown = proxy.starve(&["diffs", "GET /nothing"]);
    assert_one_line(&unknown, 1, &["GET /nothing"]);
}

/// Two routes that their functions answer.
fn two_done() -> (Origin, Origin, Proxy) {
    let (legacy, function) = (Origin::named("legacy"), Origin::named("function"));
    let proxy = Proxy::start(&format!(
        "legacy: {}\nfunctions: {{ new: {{ http: '{}' }} }}\nroutes:\n  \
         - {{ match: GET /a, function: new, stage: done }}\n  - {{ match: GET /b, name: b, function: new, stage: live }}\n",
        legacy.url(),
        function.url()
    ));
    (legacy, function, proxy)
}

#[test]
fn the_kill_switch_brings_everything_back_to_the_monolith_within_a_second() {
    let (_legacy, _function, proxy) = two_done();
    let file = proxy.site().routes();
    let mut client = proxy.client();
    assert_eq!((client.get("/a").server(), client.get("/b").server()), ("function", "function"));
    let began = Instant::now();
    proxy.starve(&["kill-switch", "on"]).ok();
    assert_eq!((client.get("/a").server(), client.get("/b").server()), ("legacy", "legacy"));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(proxy.status()["kill_switch"], true);
    proxy.starve(&["kill-switch", "off"]).ok();
    assert_eq!((client.get("/a").server(), client.get("/b").server()), ("function", "function"));
    assert_eq!(proxy.status()["kill_switch"], false);
    assert_eq!(proxy.site().routes(), file, "the file is not touched");
}

#[test]
fn the_kill_switch_of_one_route_leaves_the_others() {
    let (_legacy, _function, proxy) = two_done();
    proxy.starve(&["kill-switch", "on", "GET /a"]).ok();
    assert_eq!((proxy.get("/a").server(), proxy.get("/b").server()), ("legacy", "function"));
    assert_eq!(proxy.report().route("GET /a")["killed"], true);
    proxy.starve(&["kill-switch", "on", "b"]).ok();
    proxy.starve(&["kill-switch", "off", "GET /a"]).ok();
    assert_eq!((proxy.get("/a").server(), proxy.get("/b").server()), ("function", "legacy"));
    let unknown = proxy.starve(&["kill-switch", "on", "GET /c"]);
    assert_one_line(&unknown, 1, &["GET /c"]);
}

#[test]
fn a_route_may_be_named_by_its_match_text_in_every_command() {
    let (_legacy, _function, proxy) = two_done();
    proxy.starve(&["kill-switch", "on", "GET /b"]).ok();
    assert_eq!(proxy.get("/b").server(), "legacy");
    proxy.starve(&["kill-switch", "off", "GET /b"]).ok();
    proxy.starve(&["flip", "GET /b", "done"]).ok();
    proxy.starve(&["diffs", "GET /b"]).ok();
}

#[test]
fn a_reload_does_not_take_the_kill_switch_back() {
    let (_legacy, _function, proxy) = two_done();
    proxy.starve(&["kill-switch", "on"]).ok();
    proxy
        .site()
        .write("routes.yaml", proxy.site().routes() + "  - { match: GET /c, function: new, stage: done }\n");
    assert_eq!(proxy.admin_call("POST", "/api/reload", "{}").status, 200);
    let servers = ["/a", "/b", "/c"].map(|target| proxy.get(target).server().to_owned());
    assert_eq!(servers, ["legacy"; 3], "routes that come while it is on are the monolith's as well");
}

#[test]
fn the_journal_tells_what_was_changed() {
    let (_legacy, _function, proxy) = two_done();
    proxy.flip("GET /a", "live", None);
    proxy.starve(&["kill-switch", "on"]).ok();
    proxy.site().write("routes.yaml", "legacy: [");
    assert_eq!(proxy.admin_call("POST", "/api/reload", "{}").status, 422);
    let events = eventually("all events in the journal", || {
        let events = proxy.admin_call("GET", "/api/events", "").json();
        let kinds: Vec<_> =
            events.as_array().unwrap().iter().map(|event| event["kind"].to_string()).collect();
        let all = ["start", "stage", "kill", "fail"];
        let has = |word: &&str| kinds.iter().any(|kind| kind.to_lowercase().contains(*word));
        if all.iter().all(has) { Ok(events) } else { Err(events.to_string()) }
    });
    let change = events.as_array().unwrap().iter().find(|event| event["route"] == "GET /a").unwrap();
    assert_eq!((&change["from"], &change["to"]), (&"done".into(), &"live".into()));
}

#[test]
fn with_a_token_only_those_who_have_it_are_let_in() {
    let legacy = Origin::named("legacy");
    let token = "0123456789abcdef";
    let site = Site::exactly(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ address: 127.0.0.1:0, token: {token} }}\nlegacy: {}\n",
        legacy.url()
    ));
    let proxy = site.run();
    for path in ["/", "/metrics", "/api/status", "/api/report"] {
        let answer = proxy.admin_call("GET", path, "");
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.text().contains(token));
    }
    assert_eq!(proxy.admin_call("POST", "/api/kill-switch", r#"{"on":true}"#).status, 401);
    assert_eq!(proxy.admin_call("GET", "/healthz", "").status, 200);
    let refused = proxy.starve(&["report", "--admin-token", "another-token-0000"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    proxy.starve(&["report", "--admin-token", token]).ok();
    site.write("wrong.yaml", "admin: { address: 127.0.0.1:0, token: 0123456789abcdef }\ncolour: red\n");
    assert!(!site.starve(&["check", "-c", "wrong.yaml"]).stderr.contains(token), "no secret in an excerpt");
}

#[test]
fn a_page_of_the_web_cannot_drive_the_admin_address() {
    let proxy = Proxy::start("legacy: http://127.0.0.1:1\n");
    let admin = proxy.admin().to_string();
    let order = |fields: &[(&str, &str)]| {
        let fields = [&[("content-type", "application/json")][..], fields].concat();
        e2e::Client::connect(proxy.admin())
            .call("POST", "/api/kill-switch", &fields, br#"{"on":true}"#)
            .status
    };
    assert_eq!(order(&[("host", "evil.example")]), 403, "a name that was pointed at the loopback");
    assert_eq!(order(&[("host", &admin), ("origin", "https://evil.example")]), 403);
    assert_eq!(order(&[("host", &admin), ("sec-fetch-site", "cross-site")]), 403);
    let mut client = e2e::Client::connect(proxy.admin());
    let form = [("host", admin.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let answer = client.call("POST", "/api/kill-switch", &form, br#"{"on":true}"#);
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    assert_eq!(proxy.status()["kill_switch"], false);
    assert_eq!(order(&[("host", &admin)]), 200);
}

#[test]
fn diff_says_what_another_file_would_change() {
    let site = Site::new("legacy: http://127.0.0.1:1\nroutes: [ { match: GET /a } ]\n");
    let text = site.routes();
    site.write("next.yaml", &text);
    assert_eq!(site.starve(&["diff", "next.yaml"]).ok().stdout, "nothing would change\n");
    site.write(
        "next.yaml",
        text.replace("GET /a }", "GET /a, rewrite: { legacy: /b } }").replace("workers: 2", "workers: 7"),
    );
    let done = site.starve(&["diff", "next.yaml"]).ok();
    assert_eq!(
        done.stdout,
        "~ route GET /a: rewrite.legacy none -> /b\n! workers: takes effect after a restart\n"
    );
    let json = site.starve(&["diff", "next.yaml", "--format", "json"]).ok().json();
    assert_eq!(json["changes"][0]["settings"][0]["key"], "rewrite.legacy");
    site.write("next.yaml", text.replace("legacy:", "legcay:"));
    let done = site.starve(&["diff", "next.yaml"]);
    assert_eq!(done.code, Some(78));
    assert!(done.stderr.contains("did you mean `legacy`?"), "{}", done.stderr);
}
