//! `routes.yaml` changes while the proxy runs, by every way in which files change.

use std::fs;
use std::os::unix::fs::symlink;

use e2e::{Client, Origin, Proxy, Site, eventually};
use rustix::process::Signal;

const LEGACY: &str = "stage: legacy";
const DONE: &str = "stage: done";

fn routes(legacy: &Origin, function: &Origin) -> String {
    format!(
        "legacy: {}\nfunctions:\n  new: {{ http: {} }}\nroutes:\n  - match: GET /a\n    function: new\n    {LEGACY}\n",
        legacy.url(),
        function.url()
    )
}

fn pair() -> (Origin, Origin) {
    (Origin::named("legacy"), Origin::named("function"))
}

/// Waits until that side answers, and until the status says what has happened.
#[track_caller]
fn wait_for(proxy: &Proxy, server: &str, generation: u64) {
    eventually(&format!("{server} to answer"), || match proxy.get("/a").server() {
        now if now == server => Ok(()),
        other => Err(other.to_owned()),
    });
    eventually("the generation in the status", || match proxy.generation() {
        now if now == generation => Ok(()),
        other => Err(other.to_string()),
    });
}

#[test]
fn an_edit_in_place_is_in_force_by_itself() {
    let (legacy, function) = pair();
    let proxy = Proxy::start(&routes(&legacy, &function));
    assert_eq!(proxy.get("/a").server(), "legacy");
    proxy.site().edit(LEGACY, DONE);
    wait_for(&proxy, "function", 2);
    proxy.site().edit(DONE, LEGACY);
    wait_for(&proxy, "legacy", 3);
}

#[test]
fn a_file_that_is_renamed_over_is_in_force_by_itself() {
    let (legacy, function) = pair();
    let proxy = Proxy::start(&routes(&legacy, &function));
    let site = proxy.site();
    for (n, (from, to, server)) in
        [(LEGACY, DONE, "function"), (DONE, LEGACY, "legacy"), (LEGACY, DONE, "function")]
            .into_iter()
            .enumerate()
    {
        // As vim does it: the old file goes aside, a new one takes its name.
        let text = site.routes().replace(from, to);
        fs::rename(site.path("routes.yaml"), site.path("routes.yaml~")).unwrap();
        site.write("4913", &text);
        fs::rename(site.path("4913"), site.path("routes.yaml")).unwrap();
        wait_for(&proxy, server, n as u64 + 2);
    }
}

#[test]
fn a_swapped_symlink_is_in_force_by_itself() {
    let (legacy, function) = pair();
    let site = Site::new(&routes(&legacy, &function));
    // As Kubernetes mounts a ConfigMap: routes.yaml -> ..data/routes.yaml, ..data -> a folder with a date.
    let version = |name: &str, text: &str| {
        fs::create_dir(site.path(name)).unwrap();
        site.write(&format!("{name}/routes.yaml"), text);
        symlink(name, site.path("..data_tmp")).unwrap();
        fs::rename(site.path("..data_tmp"), site.path("..data")).unwrap();
    };
    let text = site.routes();
    version("..2026_1", &text);
    fs::remove_file(site.path("routes.yaml")).unwrap();
    symlink("..data/routes.yaml", site.path("routes.yaml")).unwrap();
    let proxy = site.run();
    assert_eq!(proxy.get("/a").server(), "legacy");
    version("..2026_2", &text.replace(LEGACY, DONE));
    wait_for(&proxy, "function", 2);
    version("..2026_3", &text);
    wait_for(&proxy, "legacy", 3);
}

#[test]
fn sighup_reloads() {
    let (legacy, function) = pair();
    let proxy = Proxy::start(&routes(&legacy, &function));
    proxy.site().edit(LEGACY, DONE);
    proxy.signal(Signal::HUP);
    wait_for(&proxy, "function", 2);
    proxy.signal(Signal::HUP);
    eventually("the second reload in the status", || match &proxy.status()["last_reload"]["ok"] {
        serde_json::Value::Bool(true) => Ok(()),
        other => Err(other.to_string()),
    });
    assert_eq!(proxy.generation(), 2, "nothing has changed");
}

#[test]
fn the_admin_call_has_reloaded_when_it_answers() {
    let (legacy, function) = pair();
    let proxy = Proxy::start(&routes(&legacy, &function));
    proxy.site().edit(LEGACY, DONE);
    let answer = proxy.admin_call("POST", "/api/reload", "{}");
    assert_eq!((answer.status, answer.json()["generation"].as_u64()), (200, Some(2)));
    assert_eq!(proxy.get("/a").server(), "function");
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_everywhere_until_it_is_mended() {
    let (legacy, function) = pair();
    let proxy = Proxy::start(&routes(&legacy, &function));
    let site = proxy.site();
    let good = site.routes();
    site.write("routes.yaml", good.replace(LEGACY, "stage: alive\n    colour: red"));
    let status = eventually("the failed reload in the status", || match proxy.status() {
        status if status["last_reload"]["ok"] == false => Ok(status),
        status => Err(status.to_string()),
    });
    let errors = status["last_reload"]["errors"].as_str().unwrap();
    assert!(errors.contains("alive") && errors.contains("colour"), "both mistakes: {errors}");
    assert_eq!(status["generation"], 1);
    assert_eq!(proxy.metrics().get("starve_config_last_reload_successful", &[]), Some(0.0));
    assert_eq!(proxy.metrics().get("starve_config_generation", &[]), Some(1.0));
    let log = proxy.log();
    assert!(log.contains("ERROR") && log.contains("alive"), "{log}");
    assert_eq!(proxy.report().0["reload_error"]["ok"], false);
    let told = proxy.admin_call("POST", "/api/reload", "{}");
    assert_eq!(told.status, 422);
    assert!(told.text().contains("alive"), "{}", told.text());
    assert_eq!(proxy.get("/a").server(), "legacy", "the last good generation goes on");
    assert!(proxy.admin_call("GET", "/", "").text().contains("alive"), "the page shows it");

    site.write("routes.yaml", good.replace(LEGACY, DONE));
    wait_for(&proxy, "function", 2);
    assert_eq!(proxy.metrics().get("starve_config_last_reload_successful", &[]), Some(1.0));
    assert_eq!(proxy.status()["last_reload"]["ok"], true);
    assert!(proxy.report().0["reload_error"].is_null());
}

#[test]
fn a_file_that_is_mended_to_what_is_in_force_is_no_failed_reload_any_more() {
    let (legacy, function) = pair();
    let proxy = Proxy::start(&routes(&legacy, &function));
    let good = proxy.site().routes();
    proxy.site().write("routes.yaml", "legacy: [");
    eventually("the failed reload", || {
        match proxy.metrics().get("starve_config_last_reload_successful", &[]) {
            Some(0.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    proxy.site().write("routes.yaml", good);
    eventually("the good reload", || {
        match proxy.metrics().get("starve_config_last_reload_successful", &[]) {
            Some(1.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(proxy.generation(), 1);
}

#[test]
fn a_deleted_file_changes_nothing() {
    let (legacy, function) = pair();
    let proxy = Proxy::start(&routes(&legacy, &function));
    let text = proxy.site().routes();
    fs::remove_file(proxy.site().path("routes.yaml")).unwrap();
    let answer = proxy.admin_call("POST", "/api/reload", "{}");
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(proxy.get("/a").server(), "legacy");
    proxy.site().write("routes.yaml", text.replace(LEGACY, DONE));
    wait_for(&proxy, "function", 2);
}

#[test]
fn a_call_in_flight_ends_whole_over_a_reload_that_moves_its_route() {
    let function = Origin::named("function");
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let legacy = Origin::start(move |exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\nserver: legacy\r\ncontent-length: 10\r\n\r\nfirst")?;
        // The test says when; a sender that is gone says so as well.
        let _told = gate.lock().unwrap().recv();
        exchange.write(b"-last")?;
        Ok(e2e::After::Keep)
    });
    let proxy = Proxy::start(&routes(&legacy, &function));
    let mut client: Client = proxy.client();
    client.begin("GET", "/a", &[], b"");
    assert_eq!(client.head("GET").server(), "legacy");
    assert_eq!(client.piece().unwrap(), b"first");
    proxy.flip("GET /a", "done", None);
    assert_eq!(proxy.get("/a").server(), "function", "new calls go to the new side");
    go.send(()).unwrap();
    assert_eq!(client.piece().unwrap(), b"-last");
    assert_eq!(client.piece().unwrap(), b"");
    assert_eq!(client.get("/a").server(), "function", "the connection is kept");
    let metrics = proxy.metrics();
    assert_eq!((metrics.calls_of("GET /a", "legacy"), metrics.calls_of("GET /a", "function")), (1.0, 2.0));
}

/// What a person may have written: comments, blank lines, quotes, odd indentation.
const WRITTEN: &[&str] = &[
    "# The shop's routes.   Trailing spaces stay:   ",
    "listen: 127.0.0.1:0",
    r#"admin: { address: "127.0.0.1:0" }   # free ports"#,
    "",
    "legacy: LEGACY",
    "functions: { new: { http: FUNCTION } }",
    "",
    "routes:",
    "    # The first one.",
    "    -   match: GET /a",
    "        function: new   # written in May",
    "        stage: legacy      # stage: legacy stays in this comment",
    "",
    r#"    - { match: 'GET /b', function: new, "stage": "shadow" }   # GET /a"#,
    "    -   match: \"GET /c\"",
    "        name: the stage",
    "        function: new",
    "        canary: {percent: 5,   sticky: 'cookie:session'}",
    "        stage: canary",
    "# The end, without a line break",
];

fn written(legacy: &Origin, function: &Origin, line_end: &str) -> Site {
    let text = WRITTEN.join(line_end);
    Site::exactly(&text.replace("LEGACY", &legacy.url()).replace("FUNCTION", &function.url()))
}

#[test]
fn a_flip_changes_only_the_one_word_of_the_file() {
    for line_end in ["\n", "\r\n"] {
        let (legacy, function) = pair();
        let site = written(&legacy, &function, line_end);
        let before = site.routes();
        let proxy = site.run();
        proxy.flip("GET /a", "done", None);
        let first = before.replacen("        stage: legacy      #", "        stage: done      #", 1);
        assert_eq!(site.routes(), first);
        proxy.flip("GET /b", "live", None);
        let second = first.replacen("\"stage\": \"shadow\"", "\"stage\": \"live\"", 1);
        assert_eq!(site.routes(), second);
        proxy.flip("the stage", "canary", Some("25"));
        assert_eq!(site.routes(), second.replacen("{percent: 5, ", "{percent: 25, ", 1));
        assert_eq!(proxy.get("/a").server(), "function");
        for (route, stage) in [("GET /a", "legacy"), ("GET /b", "shadow")] {
            proxy.flip(route, stage, None);
        }
        proxy.flip("the stage", "canary", Some("5"));
        assert_eq!(site.routes(), before, "and back again");
    }
}

#[test]
fn a_flip_by_the_api_edits_the_file_and_is_in_force_when_it_answers() {
    let (legacy, function) = pair();
    let site = written(&legacy, &function, "\n");
    let proxy = site.run();
    let order = r#"{"route": "GET /a", "stage": "done"}"#;
    let answer = proxy.admin_call("POST", "/api/flip", order);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((&answer.json()["from"], &answer.json()["to"]), (&"legacy".into(), &"done".into()));
    assert_eq!(proxy.get("/a").server(), "function");
    assert!(site.routes().contains("stage: done      # stage: legacy stays"));
}

#[test]
fn a_flip_keeps_the_file_s_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let (legacy, function) = pair();
    let proxy = Proxy::start(&routes(&legacy, &function));
    let path = proxy.site().path("routes.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    proxy.flip("GET /a", "done", None);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_flip_through_a_symlink_edits_the_file_behind_it() {
    let (legacy, function) = pair();
    let site = Site::new(&routes(&legacy, &function));
    fs::create_dir(site.path("real")).unwrap();
    fs::rename(site.path("routes.yaml"), site.path("real/routes.yaml")).unwrap();
    symlink("real/routes.yaml", site.path("routes.yaml")).unwrap();
    let proxy = site.run();
    proxy.flip("GET /a", "done", None);
    assert!(fs::symlink_metadata(site.path("routes.yaml")).unwrap().is_symlink(), "the link stays one");
    assert!(fs::read_to_string(site.path("real/routes.yaml")).unwrap().contains(DONE));
    assert_eq!(proxy.get("/a").server(), "function");
}

#[test]
fn a_flip_of_an_unknown_route_names_the_nearest_and_changes_nothing() {
    let (legacy, function) = pair();
    let proxy = Proxy::start(&routes(&legacy, &function));
    let before = proxy.site().routes();
    let done = proxy.starve(&["flip", "GET /aa", "done"]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("GET /a`"), "{}", done.stderr);
    assert_eq!((proxy.site().routes(), proxy.generation()), (before, 1));
}

#[test]
fn a_flip_that_the_route_cannot_have_changes_nothing() {
    let legacy = Origin::named("legacy");
    let proxy = Proxy::start(&format!("legacy: {}\nroutes:\n  - match: GET /a\n", legacy.url()));
    let before = proxy.site().routes();
    let done = proxy.starve(&["flip", "GET /a", "live"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("function"), "{}", done.stderr);
    let answer = proxy.admin_call("POST", "/api/flip", r#"{"route": "GET /a", "stage": "live"}"#);
    assert_eq!(answer.status, 422);
    assert_eq!((proxy.site().routes(), proxy.generation()), (before, 1));
    assert_eq!(proxy.get("/a").status, 200);
}
