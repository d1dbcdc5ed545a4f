//! Copies never harm the call that they are made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use e2e::{After, End, Origin, Proxy, eventually};

const ROUTE: &str = "* /a";

fn start(legacy: &Origin, function: &Origin, function_keys: &str, route_keys: &str, more: &str) -> Proxy {
    Proxy::start(&format!(
        "legacy: {}\nfunctions:\n  new: {{ http: '{}'{function_keys} }}\nroutes:\n  - match: '{ROUTE}'\n    \
         function: new\n    stage: shadow\n{route_keys}{more}",
        legacy.url(),
        function.url()
    ))
}

fn json(body: &'static str) -> Origin {
    Origin::start(move |exchange| {
        exchange.read_body()?;
        exchange.answer(200, &[("content-type", "application/json")], body.as_bytes())?;
        Ok(After::Keep)
    })
}

/// Never answers.
fn silent() -> Origin {
    Origin::start(|exchange| {
        exchange.wait_for_close()?;
        Ok(After::Close)
    })
}

fn verdict(proxy: &Proxy, verdict: &str) -> f64 {
    let labels = [("route", ROUTE), ("verdict", verdict)];
    proxy.metrics().get("starve_comparisons_total", &labels).unwrap_or(0.0)
}

fn dropped(proxy: &Proxy, reason: &str) -> f64 {
    let labels = [("route", ROUTE), ("reason", reason)];
    proxy.metrics().get("starve_shadow_dropped_total", &labels).unwrap_or(-1.0)
}

#[track_caller]
fn wait_for_verdicts(proxy: &Proxy, name: &str, n: f64) {
    eventually(&format!("{n} verdicts {name}"), || match verdict(proxy, name) {
        count if count == n => Ok(()),
        count => Err(format!("{count}; {:?}", proxy.metrics())),
    });
}

#[track_caller]
fn wait_for_dropped(proxy: &Proxy, reason: &str, n: f64) {
    eventually(&format!("{n} copies dropped for {reason}"), || match dropped(proxy, reason) {
        count if count == n => Ok(()),
        count => Err(count.to_string()),
    });
}

/// Twenty calls one after the other; none of them may take anything like as long as the function.
#[track_caller]
fn assert_unharmed(proxy: &Proxy) {
    let mut client = proxy.client();
    let began = Instant::now();
    for _ in 0..20 {
        let answer = client.get("/a");
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"ok":true}"#));
    }
    assert!(began.elapsed() < Duration::from_secs(1), "20 calls took {:?}", began.elapsed());
}

#[test]
fn a_slow_function_does_not_slow_the_client() {
    let legacy = json(r#"{"ok":true}"#);
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let function = Origin::start(move |exchange| {
        // Five seconds, unless the test is over before.
        let _told = gate.lock().unwrap().recv_timeout(Duration::from_secs(5));
        exchange.answer(200, &[("content-type", "application/json")], br#"{"ok":true}"#)?;
        Ok(After::Keep)
    });
    let proxy = start(&legacy, &function, "", "", "");
    assert_unharmed(&proxy);
    function.wait_for(20);
    drop(go);
    wait_for_verdicts(&proxy, "equal", 20.0);
}

#[test]
fn a_function_that_never_answers_harms_nobody_and_is_a_verdict() {
    let (legacy, function) = (json(r#"{"ok":true}"#), silent());
    let proxy = start(&legacy, &function, ", timeout: 500ms", "", "");
    assert_unharmed(&proxy);
    wait_for_verdicts(&proxy, "function_timeout", 20.0);
}

#[test]
fn a_function_that_breaks_off_harms_nobody_and_is_a_verdict() {
    let legacy = json(r#"{"ok":true}"#);
    let function = Origin::start(|_| Ok(After::Reset));
    let proxy = start(&legacy, &function, "", "", "");
    assert_unharmed(&proxy);
    wait_for_verdicts(&proxy, "function_error", 20.0);
}

#[test]
fn a_function_that_is_not_there_harms_nobody_and_is_a_verdict() {
    let legacy = json(r#"{"ok":true}"#);
    let proxy = {
        let function = Origin::named("function");
        start(&legacy, &function, "", "", "")
    };
    assert_unharmed(&proxy);
    wait_for_verdicts(&proxy, "function_error", 20.0);
}

#[test]
fn a_function_with_an_endless_answer_harms_nobody_and_no_memory() {
    let legacy = json(r#"{"ok":true}"#);
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    let function = Origin::start(move |exchange| {
        exchange.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        )?;
        let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 1 << 16], b"\r\n"].concat();
        loop {
            exchange.write(&chunk)?;
            counter.fetch_add(1 << 16, SeqCst);
        }
    });
    let proxy = start(&legacy, &function, "", "", "limits: { shadow-body-bytes: 64KiB }\n");
    let (memory, _) = proxy.memory();
    assert_unharmed(&proxy);
    eventually("much of the answers to have been read", || match sent.load(SeqCst) >> 20 {
        256.. => Ok(()),
        mib => Err(format!("{mib} MiB")),
    });
    let (_, most) = proxy.memory();
    let growth = most.saturating_sub(memory) >> 20;
    assert!(growth < 48, "the proxy's memory grew by {growth} MiB");
}

#[test]
fn a_large_answer_in_shadow_streams_to_the_client_and_is_not_kept() {
    const LARGE: usize = 32 << 20;
    let answer = |exchange: &mut e2e::Exchange<'_>| {
        exchange.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").as_bytes())?;
        for _ in 0..LARGE >> 16 {
            exchange.write(&[b'x'; 1 << 16])?;
        }
        Ok(After::Keep)
    };
    let (legacy, function) = (Origin::start(answer), Origin::start(answer));
    let proxy = start(&legacy, &function, "", "", "");
    let (memory, _) = proxy.memory();
    let answer = proxy.get("/a");
    assert_eq!((answer.body.len(), answer.end), (LARGE, End::Complete));
    wait_for_verdicts(&proxy, "equal", 1.0);
    // What one thread gets and another gives back is kept for a while by the allocator: the same for an answer twice as large.
    let (_, most) = proxy.memory();
    let growth = most.saturating_sub(memory) >> 20;
    assert!(growth < 48, "the proxy's memory grew by {growth} MiB");
}

#[test]
fn the_first_byte_does_not_wait_for_the_copy() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let legacy = Origin::start(move |exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst")?;
        let _told = gate.lock().unwrap().recv();
        exchange.write(b"-last")?;
        Ok(After::Keep)
    });
    let function = Origin::named("function");
    let proxy = start(&legacy, &function, "", "", "");
    let mut client = proxy.client();
    client.begin("GET", "/a", &[], b"");
    client.head("GET");
    assert_eq!(client.piece().unwrap(), b"first");
    assert_eq!(function.count(), 0, "the copy waits for the client, not the client for the copy");
    go.send(()).unwrap();
    assert_eq!(client.piece().unwrap(), b"-last");
    function.wait_for(1);
}

#[test]
fn a_client_that_leaves_before_its_answer_makes_no_copy() {
    let (legacy, function) = (silent(), Origin::named("function"));
    let proxy = start(&legacy, &function, "", "", "");
    let mut client = proxy.client();
    client.begin("GET", "/a", &[], b"");
    legacy.wait_for(1);
    drop(client);
    wait_for_dropped(&proxy, "incomplete", 1.0);
    assert_eq!(function.count(), 0);
}

#[test]
fn a_client_that_leaves_inside_its_own_body_makes_no_copy() {
    let (legacy, function) = (Origin::named("legacy"), Origin::named("function"));
    let proxy = start(&legacy, &function, "", "    shadow: { writes: true }\n", "");
    let mut client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf");
    legacy.wait_for(1);
    drop(client);
    eventually("the copy to be given up", || {
        let dropped = proxy.metrics().sum("starve_shadow_dropped_total", &[("route", ROUTE)]);
        if dropped == 1.0 { Ok(()) } else { Err(dropped.to_string()) }
    });
    assert_eq!(function.count(), 0);
}

#[test]
fn an_answer_that_breaks_off_makes_no_copy() {
    let legacy = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")?;
        Ok(After::Close)
    });
    let function = Origin::named("function");
    let proxy = start(&legacy, &function, "", "", "");
    assert_eq!(proxy.get("/a").end, End::CutOff);
    wait_for_dropped(&proxy, "no_answer", 1.0);
    assert_eq!(function.count(), 0);
}

#[test]
fn copies_over_the_queue_are_dropped_and_counted_and_no_call_fails() {
    let (legacy, function) = (json(r#"{"ok":true}"#), silent());
    let proxy = start(&legacy, &function, ", timeout: 20s", "", "limits: { shadow-queue: 1 }\n");
    let mut client = proxy.client();
    for _ in 0..200 {
        assert_eq!(client.get("/a").text(), r#"{"ok":true}"#);
    }
    // Of one route 128 are under way at most, and the function takes so many at once; which of these bounds the others
    // meet first depends on the machine.
    let reasons = ["queue_full", "route_busy", "function_busy"];
    let full: f64 = reasons.into_iter().map(|reason| dropped(&proxy, reason)).sum();
    assert!(full >= 72.0, "{full}");
    let site = proxy.site().clone();
    let stopped = proxy.stop();
    assert!(stopped.status.success(), "{}", stopped.log);
    assert!(stopped.took < Duration::from_secs(10), "copies that hang hold up no end: {:?}", stopped.took);
    assert_eq!(site.report().calls(ROUTE), (200, 0, 0));
    assert!(function.count() as f64 <= 200.0 - full);
}

#[test]
fn a_request_body_over_the_limit_for_copies_passes_and_is_not_copied() {
    let (legacy, function) = (json(r#"{"ok":true}"#), Origin::named("function"));
    let limits = "limits: { shadow-body-bytes: 1KiB }\n";
    let proxy = start(&legacy, &function, "", "    shadow: { writes: true }\n", limits);
    let body = [b'x'; 2000];
    assert_eq!(proxy.client().call("POST", "/a", &[], &body).status, 200);
    assert_eq!(legacy.seen()[0].body, body);
    wait_for_dropped(&proxy, "body_too_large", 1.0);
    assert_eq!(function.count(), 0);
}

#[test]
fn a_differing_field_is_found_and_named() {
    let legacy = json(r#"{"id":7,"price":{"amount":19.90,"currency":"EUR"},"name":"Ada Lovelace"}"#);
    let function = json(r#"{"name":"Ada Lovelace","id":7.0,"price":{"currency":"EUR","amount":19.9001}}"#);
    let proxy = start(&legacy, &function, "", "", "");
    let mut client = proxy.client();
    for _ in 0..5 {
        client.get("/a");
    }
    wait_for_verdicts(&proxy, "different_body", 5.0);
    let diffs =
        eventually("the verdicts in the ledger", || match proxy.starve(&["diffs", ROUTE]).ok().stdout {
            text if text.contains("5 of 5") => Ok(text),
            text => Err(text),
        });
    assert!(diffs.contains("$.price.amount"), "{diffs}");
    for same in ["$.id", "$.name", "$.price.currency"] {
        assert!(!diffs.contains(same), "{same} does not differ: {diffs}");
    }
    let json = proxy.starve(&["diffs", "--format", "json"]).ok().json();
    assert!(json["fields"][0]["path"].as_str().unwrap().ends_with("$.price.amount"), "{json}");
    assert_eq!(json["fields"][0]["n"], 5);
    assert_eq!(proxy.report().route(ROUTE)["comparison"]["different"], 5);
    let next = proxy.report().route(ROUTE)["next_step"].as_str().unwrap().to_owned();
    assert!(next.contains("$.price.amount"), "{next}");
}

#[test]
fn text_of_an_answer_is_never_shown_or_stored() {
    let legacy = json(r#"{"customer":"Ada Lovelace","password":12345678}"#);
    let function = json(r#"{"customer":"Grace Hopper","password":87654321}"#);
    let proxy = start(&legacy, &function, "", "", "");
    proxy.client().call("GET", "/a?token=geheim", &[("cookie", "session=geheim")], b"");
    wait_for_verdicts(&proxy, "different_body", 1.0);
    let diffs =
        eventually("the sample in the ledger", || match proxy.starve(&["diffs", "--format", "json"]).ok() {
            done if done.json()["samples"][0].is_object() => Ok(done.stdout),
            done => Err(done.stdout),
        });
    let (site, log) = (proxy.site().clone(), proxy.log());
    proxy.stop();
    let ledger = String::from_utf8_lossy(&std::fs::read(site.path("starve.db")).unwrap()).into_owned();
    for secret in ["Lovelace", "Hopper", "12345678", "87654321", "geheim"] {
        for (place, text) in [("diffs", &diffs), ("ledger", &ledger), ("log", &log)] {
            assert!(!text.contains(secret), "{secret} in the {place}");
        }
    }
}

#[test]
fn places_that_are_to_be_ignored_make_no_difference() {
    let legacy =
        json(r#"{"id":7,"meta":{"trace":"a"},"items":[{"id":1,"at":"x"},{"id":2,"at":"y"}],"tags":[1,2]}"#);
    let function =
        json(r#"{"id":7,"meta":{"trace":"b"},"items":[{"id":1,"at":"v"},{"id":2,"at":"w"}],"tags":[2,1]}"#);
    let rules = "    compare: { ignore: [$.meta.trace, '$.items[*].at'], unordered: [$.tags] }\n";
    let proxy = start(&legacy, &function, "", rules, "");
    proxy.get("/a");
    wait_for_verdicts(&proxy, "equal", 1.0);
    proxy.site().edit(", '$.items[*].at'", "");
    assert_eq!(proxy.admin_call("POST", "/api/reload", "{}").status, 200);
    proxy.get("/a");
    wait_for_verdicts(&proxy, "different_body", 1.0);
    assert_eq!(verdict(&proxy, "equal"), 1.0, "counts go on over a reload");
}

#[test]
fn what_differs_can_be_read_from_the_files_when_no_proxy_runs() {
    let (legacy, function) = (json(r#"{"price":2}"#), json(r#"{"price":1}"#));
    let proxy = start(&legacy, &function, "", "", "");
    proxy.get("/a");
    wait_for_verdicts(&proxy, "different_body", 1.0);
    let site = proxy.site().clone();
    proxy.stop();
    let json = site.starve(&["diffs", ROUTE, "--format", "json"]).ok().json();
    assert_eq!(json["fields"][0]["path"], "body:$.price", "{json}");
    let text = site.starve(&["diffs"]).ok().stdout;
    assert!(text.contains("legacy 2, function 1"), "{text}");
}

#[test]
fn a_path_can_be_copied_from_a_report_into_what_is_ignored() {
    let (legacy, function) = (json(r#"{"a":{"b":1},"c":1}"#), json(r#"{"a":{"b":2},"c":1}"#));
    let proxy = start(&legacy, &function, "", "", "");
    proxy.get("/a");
    let path = eventually("the field in the ledger", || {
        let json = proxy.starve(&["diffs", "--format", "json"]).ok().json();
        json["fields"][0]["path"].as_str().map(str::to_owned).ok_or_else(|| json.to_string())
    });
    proxy.site().edit("stage: shadow", &format!("stage: shadow\n    compare: {{ ignore: ['{path}'] }}"));
    let reloaded = proxy.admin_call("POST", "/api/reload", "{}");
    assert_eq!(reloaded.status, 200, "{path}: {}", reloaded.text());
    proxy.get("/a");
    wait_for_verdicts(&proxy, "equal", 1.0);
}

#[test]
fn copies_to_a_slow_function_do_not_take_the_places_of_its_own_calls() {
    let legacy = json(r#"{"ok":true}"#);
    let function = Origin::start(|exchange| {
        std::thread::sleep(Duration::from_millis(300));
        exchange.answer(
            200,
            &[("server", "function"), ("content-type", "application/json")],
            br#"{"ok":true}"#,
        )?;
        Ok(After::Keep)
    });
    let canary = "    canary: { percent: 50, sticky: 'header:x-user' }\n";
    let proxy = start(&legacy, &function, ", concurrency: 2, queue: 4", canary, "");
    proxy.flip(ROUTE, "canary", None);
    let call = |user: usize| proxy.client().call("GET", "/a", &[("x-user", &user.to_string())], b"");
    let on = |server: &str| {
        (0..50).find(|user| call(*user).field("server").unwrap_or("legacy") == server).unwrap()
    };
    let (with_function, with_legacy) = (on("function"), on("legacy"));
    for _ in 0..10 {
        // What these users' copies do to the function must not reach those that it answers.
        for _ in 0..10 {
            assert_eq!(call(with_legacy).status, 200);
        }
        let answer = call(with_function);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[test]
fn defaults_of_the_comparison_hold_for_every_route() {
    let (legacy, function) = (
        json(r#"{"updated_at":1,"x":[{"updated_at":2}]}"#),
        json(r#"{"updated_at":3,"x":[{"updated_at":4}]}"#),
    );
    let proxy = start(&legacy, &function, "", "", "defaults: { compare: { ignore: [$..updated_at] } }\n");
    proxy.get("/a");
    wait_for_verdicts(&proxy, "equal", 1.0);
}

#[test]
fn a_mirror_to_a_monolith_that_is_gone_harms_nobody_and_is_not_the_function_s_fault() {
    let function = json(r#"{"ok":true}"#);
    let legacy = Origin::start(|_| Ok(After::Reset));
    let proxy = start(&legacy, &function, "", "    live: { mirror: 100 }\n", "");
    proxy.flip(ROUTE, "live", None);
    assert_unharmed(&proxy);
    wait_for_verdicts(&proxy, "legacy_error", 20.0);
}

#[test]
fn a_shadow_of_one_route_does_not_hold_up_the_copies_of_another() {
    let (legacy, slow, quick) = (json(r#"{"ok":true}"#), silent(), json(r#"{"ok":true}"#));
    let proxy = Proxy::start(&format!(
        "legacy: {}\nfunctions: {{ slow: {{ http: '{}', timeout: 20s }}, quick: {{ http: '{}' }} }}\nroutes:\n  \
         - {{ match: GET /slow, function: slow, stage: shadow }}\n  - {{ match: '{ROUTE}', function: quick, stage: shadow }}\n",
        legacy.url(),
        slow.url(),
        quick.url()
    ));
    let mut client = proxy.client();
    for _ in 0..200 {
        assert_eq!(client.get("/slow").status, 200);
    }
    slow.wait_for(1);
    client.get("/a");
    wait_for_verdicts(&proxy, "equal", 1.0);
}
