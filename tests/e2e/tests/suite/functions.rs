//! Functions that are processes, and functions that run elsewhere.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::{After, Answer, Client, Origin, Proxy, Site, eventually};
use serde_json::Value;

const FUNCTION: &str = include_str!("../../fixtures/function.py");

/// A folder with the fixture in it, as `function.py`, behind `* /new/{rest*}`; everything else is the monolith's.
fn site(legacy: &Origin, keys: &str, more: &str) -> Site {
    let site = Site::new(&format!(
        "legacy: {}\nfunctions:\n  new:\n    process: [python3, function.py]\n    env: {{ JOURNAL: journal, COLOUR: red }}\n\
         {keys}\nroutes:\n  - match: '* /new/{{rest*}}'\n    function: new\n    stage: done\n{more}",
        legacy.url()
    ));
    site.write("function.py", FUNCTION);
    site
}

/// As [`site`], with other settings of the environment.
fn site_with_env(legacy: &Origin, env: &str, keys: &str, more: &str) -> Site {
    let site = site(legacy, keys, more);
    site.edit("JOURNAL: journal, ", &format!("JOURNAL: journal, {env}, "));
    site
}

/// The lines of the function's journal that begin with a word.
fn journal(site: &Site, what: &str) -> Vec<u32> {
    let text = std::fs::read_to_string(site.path("journal")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_prefix(what)?.trim().parse().ok());
    lines.collect()
}

/// Whether that process is there; one that has ended and was not waited for is not.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

#[track_caller]
fn wait_for_end(pid: u32) {
    eventually("the function's process to end", || {
        if lives(pid) { Err(format!("{pid} lives")) } else { Ok(()) }
    });
}

#[track_caller]
fn pid(answer: &Answer) -> u32 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["pid"].as_u64().and_then(|pid| pid.try_into().ok()).unwrap()
}

fn instances(proxy: &Proxy, state: &str) -> Option<f64> {
    proxy.metrics().get("starve_function_instances", &[("function", "new"), ("state", state)])
}

fn invocations(proxy: &Proxy, result: &str) -> Option<f64> {
    proxy.metrics().get("starve_function_invocations_total", &[("function", "new"), ("result", result)])
}

#[test]
fn a_process_is_started_by_its_first_call_and_sees_all_of_it() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let proxy = site.run();
    assert!(journal(&site, "start").is_empty(), "nobody has called yet");
    assert_eq!(instances(&proxy, "ready"), Some(0.0));
    let mut client = proxy.client();
    let first = client.call("POST", "/new/a%2Fb?x=1&x=2", &[("host", "shop.example:8080")], b"the body");
    let seen = first.json();
    assert_eq!((&seen["method"], &seen["target"]), (&"POST".into(), &"/new/a%2Fb?x=1&x=2".into()));
    assert_eq!(seen["body"], "the body");
    assert_eq!(seen["forwarded_host"], "shop.example:8080");
    assert!(seen["host"].as_str().unwrap().starts_with("127.0.0.1:"), "its own: {}", seen["host"]);
    assert_eq!(seen["colour"], "red");
    let second = client.get("/new/b").json();
    assert_eq!(second["pid"], seen["pid"]);
    assert!(seen["invocation"].is_string());
    assert_ne!(second["invocation"], seen["invocation"]);
    assert_eq!((instances(&proxy, "ready"), invocations(&proxy, "ok")), (Some(1.0), Some(2.0)));
    assert_eq!(legacy.count(), 0);
}

#[test]
fn calls_that_come_while_a_process_starts_wait_for_the_same_start() {
    let legacy = Origin::named("legacy");
    let site = site_with_env(&legacy, "BOOT_S: '0.5'", "", "");
    let proxy = site.run();
    let mut clients: Vec<_> = (0..20).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.begin("GET", "/new/a", &[], b"");
    }
    let pids: BTreeSet<_> = clients.iter_mut().map(|client| pid(&client.answer("GET"))).collect();
    assert_eq!(pids.len(), 1);
    assert_eq!(journal(&site, "start").len(), 1);
    assert_eq!(proxy.metrics().get("starve_function_cold_starts_total", &[("function", "new")]), Some(1.0));
}

#[test]
fn a_process_without_calls_is_stopped_and_the_next_call_starts_another() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "    scale: { idle: 300ms }", "");
    let proxy = site.run();
    let first = pid(&proxy.get("/new/a"));
    wait_for_end(first);
    assert_eq!(journal(&site, "end"), [first], "by SIGTERM, so that it could say goodbye");
    eventually("no instance", || match instances(&proxy, "ready") {
        Some(0.0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_ne!(pid(&proxy.get("/new/a")), first);
}

#[test]
fn a_process_that_answers_is_not_idle() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "    scale: { idle: 300ms }", "");
    let proxy = site.run();
    let answer = proxy.get("/new/a?sleep=1.5");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn with_a_minimum_a_process_runs_before_the_first_call_and_comes_back() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "    scale: { min: 1 }", "");
    let proxy = site.run();
    let ready = || match instances(&proxy, "ready") {
        Some(1.0) => Ok(()),
        other => Err(format!("{other:?}")),
    };
    eventually("an instance", ready);
    let first = pid(&proxy.get("/new/a"));
    assert_eq!(proxy.get("/new/a?crash=1").status, 502);
    eventually("another instance", || match journal(&site, "start").as_slice() {
        [.., last] if *last != first => Ok(()),
        other => Err(format!("{other:?}")),
    });
    eventually("an instance", ready);
}

#[test]
fn a_crash_is_502_for_its_own_call_and_the_next_one_is_answered() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let proxy = site.run();
    let first = pid(&proxy.get("/new/a"));
    let crashed = proxy.get("/new/a?crash=1");
    assert_eq!((crashed.status, crashed.field("content-type")), (502, Some("application/problem+json")));
    assert!(crashed.field("proxy-status").is_some());
    let next = eventually("an answer", || match proxy.get("/new/a") {
        answer if answer.status == 200 => Ok(answer),
        answer if matches!(answer.status, 502 | 503) => Err(answer.text()),
        other => panic!("{other:?}"),
    });
    assert_ne!(pid(&next), first);
    assert!(invocations(&proxy, "failed") >= Some(1.0));
    assert_eq!(proxy.get("/other").server(), "legacy");
    assert_eq!(legacy.count(), 1, "no call of the function's route went there");
}

#[test]
fn a_process_in_a_crash_loop_is_503_with_retry_after_and_harms_nobody_else() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let proxy = site.run();
    let waits = (0..40).find_map(|_| match proxy.get("/new/a?crash=1") {
        answer if answer.status == 503 => Some(answer.field("retry-after").map(str::to_owned)),
        answer => {
            assert_eq!(answer.status, 502, "{}", answer.text());
            None
        }
    });
    assert!(waits.expect("starts are held back").is_some_and(|wait| wait.parse::<u32>().is_ok()));
    let began = Instant::now();
    assert_eq!(proxy.get("/other").status, 200);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[track_caller]
fn assert_not_startable(site: &Site, why: &str) {
    for command in ["check", "run"] {
        let done = site.starve(&[command]);
        assert_eq!(done.code, Some(78), "{command}: {}{}", done.stdout, done.stderr);
        assert!(
            done.stderr.contains(why) && done.stderr.contains("routes.yaml:"),
            "{command}: {}",
            done.stderr
        );
    }
}

#[test]
fn a_program_that_does_not_exist_is_refused_before_anything_is_served() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let good = site.routes();
    site.write("routes.yaml", good.replace("[python3, function.py]", "[no-such-program-anywhere]"));
    assert_not_startable(&site, "no-such-program-anywhere");
    site.write("routes.yaml", good.replace("[python3, function.py]", "[./bin/missing]"));
    assert_not_startable(&site, "./bin/missing");
}

#[test]
fn a_reload_that_names_a_program_that_does_not_exist_changes_nothing() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let proxy = site.run();
    let first = pid(&proxy.get("/new/a"));
    site.edit("[python3, function.py]", "[./missing]");
    let refused = proxy.admin_call("POST", "/api/reload", "{}");
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(pid(&proxy.get("/new/a")), first, "the one before goes on");
}

#[test]
fn a_process_that_never_listens_is_503_with_retry_after_and_harms_nobody_else() {
    let legacy = Origin::named("legacy");
    let site = site_with_env(&legacy, "BOOT: never", "    scale: { start-timeout: 1s }", "");
    let proxy = site.run();
    let mut waiting: Client = proxy.client();
    waiting.begin("GET", "/new/a", &[], b"");
    eventually(
        "the start",
        || if journal(&site, "start").is_empty() { Err("none".to_owned()) } else { Ok(()) },
    );
    let began = Instant::now();
    let mut other = proxy.client();
    for _ in 0..20 {
        assert_eq!(other.get("/other").server(), "legacy");
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let answer = waiting.answer("GET");
    assert_eq!((answer.status, answer.field("content-type")), (503, Some("application/problem+json")));
    assert!(answer.field("retry-after").is_some(), "{:?}", answer.head);
    wait_for_end(journal(&site, "start")[0]);
}

#[test]
fn a_process_that_ends_instead_of_listening_is_503_at_once_and_its_words_are_in_the_log() {
    let legacy = Origin::named("legacy");
    let site = site_with_env(&legacy, "BOOT: exit", "    scale: { start-timeout: 60s }", "");
    let proxy = site.run();
    let answer = proxy.get("/new/a");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.field("retry-after").is_some(), "{:?}", answer.head);
    assert!(proxy.log().contains("no configuration, as it were"), "{}", proxy.log());
}

#[test]
fn with_a_fallback_the_monolith_answers_when_a_process_does_not_start_whatever_the_method() {
    let legacy = Origin::named("legacy");
    let site = site_with_env(&legacy, "BOOT: exit", "", "    fallback: legacy\n");
    let proxy = site.run();
    for (method, body) in [("GET", &b""[..]), ("POST", b"once")] {
        let answer = proxy.client().call(method, "/new/a", &[], body);
        assert_eq!((answer.status, answer.server()), (200, "legacy"), "{method}");
    }
    assert_eq!(legacy.seen()[1].body, b"once");
    assert_eq!(invocations(&proxy, "failed"), Some(2.0));
}

#[test]
fn a_call_over_the_function_s_time_is_504() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "    timeout: 3s", "");
    let proxy = site.run();
    assert_eq!(proxy.get("/new/a").status, 200);
    let began = Instant::now();
    let answer = proxy.get("/new/a?sleep=60");
    assert_eq!(answer.status, 504, "{}", answer.text());
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(invocations(&proxy, "timeout"), Some(1.0));
    assert_eq!(proxy.get("/new/a").status, 200);
}

#[test]
fn calls_over_the_limits_of_a_function_are_503_with_retry_after() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let function = Origin::start(move |exchange| {
        let _told = gate.lock().unwrap().recv();
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    let proxy = Proxy::start(&format!(
        "legacy: http://127.0.0.1:1\nfunctions: {{ new: {{ http: '{}', concurrency: 1, queue: 1 }} }}\n\
         routes: [ {{ match: GET /a, function: new, stage: done }} ]\n",
        function.url()
    ));
    let mut first = proxy.client();
    first.begin("GET", "/a", &[], b"");
    function.wait_for(1);
    let mut others = [proxy.client(), proxy.client()];
    for other in &mut others {
        other.begin("GET", "/a", &[], b"");
    }
    // Which of the two comes first to the one place in the queue is the scheduler's to say.
    let (at, refused) = eventually("one of the two refused", || {
        let heard = others.iter_mut().map(|other| other.drain(Duration::from_millis(50)));
        heard.enumerate().find(|(_, heard)| !heard.is_empty()).ok_or_else(|| "both wait".to_owned())
    });
    let refused = String::from_utf8_lossy(&refused);
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(invocations(&proxy, "overloaded") >= Some(1.0));
    drop(go);
    assert_eq!(first.answer("GET").status, 200);
    assert_eq!(others[1 - at].answer("GET").status, 200);
}

#[test]
fn a_process_is_replaced_when_its_file_changes_and_open_calls_end_whole() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let proxy = site.run();
    assert_eq!(proxy.get("/new/a").json()["version"], "one");
    let mut open = proxy.client();
    open.begin("GET", "/new/a?sleep=4", &[], b"");
    site.write("function.py", FUNCTION.replace("VERSION = \"one\"", "VERSION = \"two\""));
    eventually("the new one", || match proxy.get("/new/a").json()["version"].as_str() {
        Some("two") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(open.answer("GET").json()["version"], "one", "what it had begun it ended");
    wait_for_end(journal(&site, "start")[0]);
}

#[test]
fn a_process_that_is_replaced_by_one_that_does_not_start_goes_on() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let proxy = site.run();
    let first = pid(&proxy.get("/new/a"));
    site.write("function.py", "raise SystemExit('broken')\n");
    eventually("the failed start in the log", || {
        if proxy.log().contains("broken") { Ok(()) } else { Err(proxy.log()) }
    });
    assert_eq!(pid(&proxy.get("/new/a")), first);
}

#[test]
fn a_reload_that_does_not_touch_a_function_keeps_its_process() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let proxy = site.run();
    let first = pid(&proxy.get("/new/a"));
    proxy.flip("* /new/{rest*}", "live", None);
    assert_eq!(pid(&proxy.get("/new/a")), first);
    assert_eq!(journal(&site, "start"), [first]);
}

#[test]
fn a_function_that_is_taken_out_is_stopped() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let proxy = site.run();
    let first = pid(&proxy.get("/new/a"));
    site.write("routes.yaml", format!("listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nlegacy: {}\n", legacy.url()));
    assert_eq!(proxy.admin_call("POST", "/api/reload", "{}").status, 200);
    assert_eq!(proxy.get("/new/a").server(), "legacy");
    wait_for_end(first);
}

#[test]
fn sigterm_lets_a_function_finish_its_call_and_ends_it() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let proxy = site.run();
    let first = pid(&proxy.get("/new/a"));
    let mut client = proxy.client();
    client.begin("GET", "/new/a?sleep=1", &[], b"");
    eventually("the call in flight", || match proxy.metrics().get("starve_in_flight_requests", &[]) {
        Some(1.0) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let stopped = proxy.stop();
    assert!(stopped.status.success(), "{}", stopped.log);
    assert_eq!(pid(&client.answer("GET")), first);
    assert!(!lives(first), "it has ended before the proxy did");
    assert_eq!(journal(&site, "end"), [first]);
}

#[test]
fn kill_9_of_the_proxy_leaves_no_process_behind() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let proxy = site.run();
    let function = pid(&proxy.get("/new/a"));
    assert!(lives(function));
    proxy.kill();
    wait_for_end(function);
}

#[test]
fn several_instances_share_the_load_up_to_the_limit() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "    scale: { max: 2 }\n    concurrency: 2", "");
    let proxy = site.run();
    let both = eventually("two instances to answer", || {
        let mut clients: Vec<_> = (0..4).map(|_| proxy.client()).collect();
        for client in &mut clients {
            client.begin("GET", "/new/a?sleep=0.2", &[], b"");
        }
        let pids: BTreeSet<_> = clients.iter_mut().map(|client| pid(&client.answer("GET"))).collect();
        if pids.len() == 2 { Ok(pids) } else { Err(format!("{pids:?}")) }
    });
    assert_eq!(journal(&site, "start").into_iter().collect::<BTreeSet<_>>(), both);
}

#[test]
fn what_a_process_writes_is_in_the_log_under_its_name() {
    let legacy = Origin::named("legacy");
    let site = site(&legacy, "", "");
    let proxy = site.run();
    proxy.get("/new/a-line-to-find");
    eventually("the line in the log", || {
        let log = proxy.log();
        let line = log.lines().find(|line| line.contains("served /new/a-line-to-find"));
        if line.is_some_and(|line| line.contains("new")) { Ok(()) } else { Err(log) }
    });
}

#[test]
fn a_function_that_does_not_speak_http_is_502() {
    let legacy = Origin::named("legacy");
    let proxy = site(&legacy, "", "").run();
    assert_eq!(proxy.get("/new/a?garbage=1").status, 502);
    assert_eq!(proxy.get("/new/a").status, 200);
}

/// What a remote function saw of one call, by the address that it was configured with.
fn remote(address: impl Fn(&Origin) -> String, target: &str) -> (Value, Origin) {
    let function = Origin::named("function");
    let proxy = Proxy::start(&format!(
        "legacy: http://127.0.0.1:1\nfunctions: {{ new: {{ http: '{}' }} }}\n\
         routes: [ {{ match: 'GET /shop/{{rest*}}', function: new, stage: done }} ]\n",
        address(&function)
    ));
    assert_eq!(proxy.client().call("GET", target, &[("host", "shop.example")], b"").server(), "function");
    let head = function.seen()[0].head.clone();
    let seen = serde_json::json!({
        "target": head.target(), "host": head.field("host"), "forwarded": head.field("x-forwarded-host"),
    });
    (seen, function)
}

#[test]
fn a_remote_function_with_a_bare_origin_gets_the_client_s_path_and_its_own_host() {
    for slash in ["", "/"] {
        let (seen, function) = remote(|origin| format!("{}{slash}", origin.url()), "/shop/a%2Fb?q=1&q=2");
        assert_eq!(seen["host"], function.address().to_string());
        assert_eq!(seen["forwarded"], "shop.example");
        if slash.is_empty() {
            assert_eq!(seen["target"], "/shop/a%2Fb?q=1&q=2");
        }
    }
}

#[test]
fn a_remote_function_with_a_path_is_called_there_with_the_client_s_query() {
    for (target, expected) in [("/shop/a?q=1", "/api/recommend?q=1"), ("/shop/a", "/api/recommend")] {
        let (seen, function) = remote(|origin| format!("{}/api/recommend", origin.url()), target);
        assert_eq!(seen["target"], expected);
        assert_eq!(
            (&seen["host"], &seen["forwarded"]),
            (&function.address().to_string().into(), &"shop.example".into())
        );
    }
}

#[test]
fn what_a_process_occupies_is_counted_by_time() {
    let legacy = Origin::named("legacy");
    let proxy = site(&legacy, "", "").run();
    let spent = || {
        let metrics = proxy.metrics();
        metrics.get("starve_function_gigabyte_seconds_total", &[("function", "new")]).unwrap()
    };
    assert_eq!(spent(), 0.0);
    let began = Instant::now();
    assert_eq!(proxy.get("/new/a").status, 200);
    let after = eventually("memory by time", || match spent() {
        0.0 => Err("nothing yet".to_owned()),
        spent => Ok(spent),
    });
    // An interpreter takes some megabytes, and no gigabyte.
    assert!(after < began.elapsed().as_secs_f64() + 5.0 && after > 0.002, "{after}");
}
