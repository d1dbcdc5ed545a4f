//! Who answers in each stage, and who gets a copy.

use std::collections::BTreeMap;

use e2e::{After, Answer, Origin, Proxy, Site, eventually};

/// One route between a monolith and a function, both of which say who they are in `Server`.
struct Pair {
    legacy: Origin,
    function: Origin,
    proxy: Proxy,
}

fn pair(route: &str) -> Pair {
    let (legacy, function) = (Origin::named("legacy"), Origin::named("function"));
    let proxy = Proxy::start(&routes(&legacy, &function, route));
    Pair { legacy, function, proxy }
}

fn routes(legacy: &Origin, function: &Origin, route: &str) -> String {
    format!("legacy: {}\nfunctions:\n  new: {{ http: {} }}\nroutes:\n{route}", legacy.url(), function.url())
}

/// Waits until that many copies of a route have come to an end, and gives the verdicts.
fn verdicts(proxy: &Proxy, route: &str, copies: f64) -> BTreeMap<&'static str, f64> {
    eventually("the copies' verdicts", || {
        let metrics = proxy.metrics();
        let all = metrics.sum("starve_comparisons_total", &[("route", route)]);
        if all < copies {
            return Err(format!("{all} of {copies}"));
        }
        let of = |verdict| {
            let count = metrics.get("starve_comparisons_total", &[("route", route), ("verdict", verdict)]);
            (verdict, count.unwrap_or(0.0))
        };
        Ok(["equal", "different_body", "different_status_class"].map(of).into())
    })
}

/// That not one copy was made, which is seen by what is counted: a copy is decided on before the answer.
#[track_caller]
fn assert_no_copies(proxy: &Proxy, route: &str) {
    let metrics = proxy.metrics();
    assert_eq!(metrics.sum("starve_shadow_requests_total", &[("route", route)]), 0.0);
    assert_eq!(metrics.sum("starve_shadow_dropped_total", &[("route", route)]), 0.0);
}

#[test]
fn without_a_stage_the_monolith_answers_alone() {
    let pair = pair("  - { match: GET /a, function: new }\n");
    let mut client = pair.proxy.client();
    for _ in 0..20 {
        assert_eq!(client.get("/a").server(), "legacy");
    }
    assert_eq!(pair.legacy.count(), 20);
    assert_no_copies(&pair.proxy, "GET /a");
    assert_eq!(pair.function.count(), 0);
}

#[test]
fn what_no_route_matches_goes_to_the_monolith() {
    let pair = pair("  - { match: GET /a, function: new, stage: done }\n");
    for (method, target) in [("GET", "/b"), ("GET", "/a/b"), ("POST", "/a"), ("GET", "/A"), ("GET", "/a/")] {
        let answer = pair.proxy.client().call(method, target, &[], b"");
        assert_eq!((answer.status, answer.server()), (200, "legacy"), "{method} {target}");
    }
    assert_eq!(pair.function.count(), 0);
}

#[test]
fn in_shadow_the_monolith_answers_and_the_function_gets_a_copy() {
    let pair = pair("  - { match: 'GET /a/{id}', function: new, stage: shadow }\n");
    let mut client = pair.proxy.client();
    for n in 0..20 {
        assert_eq!(client.get(&format!("/a/{n}?q=%20{n}")).server(), "legacy");
    }
    let copies = pair.function.wait_for(20);
    let mut targets: Vec<_> = copies.iter().map(|seen| seen.head.target().to_owned()).collect();
    targets.sort();
    let mut expected: Vec<_> = (0..20).map(|n| format!("/a/{n}?q=%20{n}")).collect();
    expected.sort();
    assert_eq!(targets, expected);
    assert_eq!(verdicts(&pair.proxy, "GET /a/{id}", 20.0)["equal"], 20.0);
    assert_eq!((pair.legacy.count(), pair.function.count()), (20, 20));
}

#[test]
fn a_copy_says_that_it_is_one_and_a_call_does_not() {
    let pair = pair("  - { match: GET /a, function: new, stage: shadow }\n");
    pair.proxy.get("/a");
    let copy = &pair.function.wait_for(1)[0];
    assert_eq!(copy.head.field("x-starve-shadow"), Some("1"));
    assert_eq!(pair.legacy.seen()[0].head.field("x-starve-shadow"), None);
}

#[test]
fn a_client_sees_nothing_of_what_the_function_answers_to_a_copy() {
    let legacy = Origin::named("legacy");
    let function = Origin::start(|exchange| {
        exchange.answer(500, &[("set-cookie", "stolen=1"), ("x-from", "function")], b"from the function")?;
        Ok(After::Keep)
    });
    let proxy =
        Proxy::start(&routes(&legacy, &function, "  - { match: GET /a, function: new, stage: shadow }\n"));
    let mut client = proxy.client();
    for _ in 0..10 {
        let answer = client.get("/a");
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"ok":true}"#));
        assert_eq!((answer.field("set-cookie"), answer.field("x-from")), (None, None));
    }
    assert_eq!(verdicts(&proxy, "GET /a", 10.0)["different_status_class"], 10.0);
}

#[test]
fn writes_are_not_copied_unless_the_route_says_so() {
    let pair = pair(
        "  - { match: '* /quiet', function: new, stage: shadow }\n\
         \x20 - { match: '* /loud', function: new, stage: shadow, shadow: { writes: true } }\n",
    );
    let mut client = pair.proxy.client();
    for method in ["POST", "PUT", "PATCH", "DELETE", "PURGE"] {
        assert_eq!(client.call(method, "/quiet", &[], b"{}").server(), "legacy", "{method}");
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(client.call(method, "/quiet", &[], b"").server(), "legacy", "{method}");
    }
    for method in ["POST", "PUT"] {
        let body = format!("the body of {method}");
        assert_eq!(client.call(method, "/loud", &[], body.as_bytes()).server(), "legacy", "{method}");
    }
    verdicts(&pair.proxy, "* /quiet", 3.0);
    verdicts(&pair.proxy, "* /loud", 2.0);
    let mut copied: Vec<_> = pair
        .function
        .seen()
        .iter()
        .map(|seen| format!("{} {}", seen.head.method(), String::from_utf8_lossy(&seen.body)))
        .collect();
    copied.sort();
    assert_eq!(copied, ["GET ", "HEAD ", "OPTIONS ", "POST the body of POST", "PUT the body of PUT"]);
}

#[test]
fn only_the_share_of_shadow_percent_is_copied() {
    let pair = pair("  - { match: GET /a, function: new, stage: shadow, shadow: { percent: 30 } }\n");
    let mut client = pair.proxy.client();
    for _ in 0..1000 {
        assert_eq!(client.get("/a").server(), "legacy");
    }
    let copies = eventually("all copies to have ended", || {
        let metrics = pair.proxy.metrics();
        let judged = metrics.sum("starve_comparisons_total", &[("route", "GET /a")]);
        let seen = pair.function.count() as f64;
        if judged == seen && judged > 0.0 { Ok(judged) } else { Err(format!("{judged} of {seen}")) }
    });
    // Seven standard deviations from 300.
    assert!((200.0..400.0).contains(&copies), "{copies}");
}

/// Calls as these users and says who answered each.
fn sides(
    proxy: &Proxy,
    target: &str,
    field: impl Fn(usize) -> (String, String),
    users: usize,
) -> Vec<String> {
    let mut client = proxy.client();
    let mut side = |user| {
        let (name, value) = field(user);
        client.call("GET", target, &[(&name, &value)], b"").server().to_owned()
    };
    (0..users).map(&mut side).collect()
}

fn by_cookie(user: usize) -> (String, String) {
    ("cookie".to_owned(), format!("theme=dark; session=s{user}; lang=de"))
}

fn by_header(user: usize) -> (String, String) {
    ("x-customer".to_owned(), format!("c{user}"))
}

fn functions(sides: &[String]) -> Vec<usize> {
    (0..sides.len()).filter(|user| sides[*user] == "function").collect()
}

#[test]
fn a_canary_keeps_each_user_on_one_side_by_cookie() {
    let pair = pair(
        "  - { match: GET /a, function: new, stage: canary, canary: { percent: 40, sticky: 'cookie:session' } }\n",
    );
    let first = sides(&pair.proxy, "/a", by_cookie, 200);
    assert_eq!(sides(&pair.proxy, "/a", by_cookie, 200), first);
    let share = functions(&first).len();
    assert!((45..115).contains(&share), "{share} of 200 at 40 %");
}

#[test]
fn a_canary_keeps_each_user_on_one_side_by_header() {
    let pair = pair(
        "  - { match: GET /a, function: new, stage: canary, canary: { percent: 40, sticky: 'header:X-Customer' } }\n",
    );
    let first = sides(&pair.proxy, "/a", by_header, 200);
    assert_eq!(sides(&pair.proxy, "/a", by_header, 200), first);
    let share = functions(&first).len();
    assert!((45..115).contains(&share), "{share} of 200 at 40 %");
}

#[test]
fn a_canary_gives_users_without_a_key_a_cookie_that_keeps_them() {
    let pair = pair("  - { match: GET /a, function: new, stage: canary, canary: { percent: 50 } }\n");
    let mut both = [false; 2];
    for _ in 0..30 {
        let first = pair.proxy.get("/a");
        let cookie = first.field("set-cookie").expect("a cookie of the proxy's own").to_owned();
        let pair_of = cookie.split(';').next().unwrap();
        both[usize::from(first.server() == "function")] = true;
        for _ in 0..3 {
            let again = pair.proxy.client().call("GET", "/a", &[("cookie", pair_of)], b"");
            assert_eq!(again.server(), first.server(), "{cookie}");
            assert_eq!(again.field("set-cookie"), None, "a user that has a cookie gets no other");
        }
    }
    assert_eq!(both, [true; 2], "30 users at 50 % are on both sides");
}

#[test]
fn a_known_user_gets_no_cookie_of_the_proxy() {
    let pair = pair(
        "  - { match: GET /a, function: new, stage: canary, canary: { percent: 50, sticky: 'cookie:session' } }\n",
    );
    let answer = pair.proxy.client().call("GET", "/a", &[("cookie", "session=1")], b"");
    assert_eq!(answer.field("set-cookie"), None);
}

#[test]
fn raising_the_percentage_moves_nobody_back() {
    let pair = pair(
        "  - { match: GET /a, function: new, stage: canary, canary: { percent: 1, sticky: 'cookie:session' } }\n",
    );
    let mut before: Vec<usize> = Vec::new();
    for percent in ["1", "5", "25", "50", "99.5", "100"] {
        pair.proxy.flip("GET /a", "canary", Some(percent));
        let now = functions(&sides(&pair.proxy, "/a", by_cookie, 200));
        assert!(before.iter().all(|user| now.contains(user)), "at {percent} %: {before:?} then {now:?}");
        before = now;
    }
    assert_eq!(before.len(), 200, "at 100 % everybody is with the function");
}

#[test]
fn routes_of_one_group_split_their_users_alike_and_others_do_not() {
    let route = |path: &str, more: &str| {
        format!(
            "  - {{ match: GET /{path}, function: new, stage: canary, \
             canary: {{ percent: 50, sticky: 'cookie:session'{more} }} }}\n"
        )
    };
    let pair =
        pair(&[route("a", ", group: checkout"), route("b", ", group: checkout"), route("c", "")].concat());
    let [a, b, c] = ["/a", "/b", "/c"].map(|path| sides(&pair.proxy, path, by_cookie, 100));
    assert_eq!(a, b);
    assert_ne!(a, c, "another group is another split");
}

#[test]
fn a_canary_s_split_is_the_same_after_a_restart() {
    let (legacy, function) = (Origin::named("legacy"), Origin::named("function"));
    let site = Site::new(&routes(
        &legacy,
        &function,
        "  - { match: GET /a, function: new, stage: canary, canary: { percent: 50, sticky: 'cookie:session' } }\n",
    ));
    let proxy = site.run();
    let before = sides(&proxy, "/a", by_cookie, 100);
    assert!(proxy.stop().status.success());
    assert_eq!(sides(&site.run(), "/a", by_cookie, 100), before);
}

#[test]
fn in_canary_reads_are_copied_to_the_other_side_and_writes_are_not() {
    let pair = pair(
        "  - { match: '* /a', function: new, stage: canary, canary: { percent: 50, sticky: 'cookie:session' } }\n",
    );
    let served = functions(&sides(&pair.proxy, "/a", by_cookie, 20)).len();
    verdicts(&pair.proxy, "* /a", 20.0);
    let copies = |origin: &Origin| {
        origin.seen().iter().filter(|seen| seen.head.field("x-starve-shadow").is_some()).count()
    };
    assert_eq!((copies(&pair.legacy), copies(&pair.function)), (served, 20 - served));
    for user in 0..20 {
        let (name, value) = by_cookie(user);
        pair.proxy.client().call("POST", "/a", &[(&name, &value)], b"x");
    }
    assert_eq!(pair.legacy.count() + pair.function.count(), 60, "20 reads twice, 20 writes once");
}

#[test]
fn live_answers_by_the_function_and_mirrors_a_share_of_reads_to_the_monolith() {
    let pair = pair("  - { match: '* /a', function: new, stage: live, live: { mirror: 100 } }\n");
    let mut client = pair.proxy.client();
    for _ in 0..10 {
        assert_eq!(client.get("/a").server(), "function");
        assert_eq!(client.call("POST", "/a", &[], b"x").server(), "function");
    }
    assert_eq!(verdicts(&pair.proxy, "* /a", 10.0)["equal"], 10.0);
    assert_eq!(pair.legacy.count(), 10);
    assert!(pair.legacy.seen().iter().all(|seen| seen.head.method() == "GET"));
}

#[test]
fn live_without_mirror_and_done_leave_the_monolith_alone() {
    let pair = pair(
        "  - { match: GET /live, function: new, stage: live }\n  - { match: GET /done, function: new, stage: done }\n",
    );
    let mut client = pair.proxy.client();
    for target in ["/live", "/done"] {
        for _ in 0..20 {
            assert_eq!(client.get(target).server(), "function");
        }
    }
    assert_no_copies(&pair.proxy, "GET /live");
    assert_no_copies(&pair.proxy, "GET /done");
    assert_eq!(pair.legacy.count(), 0);
}

#[test]
fn a_retired_route_is_410_with_a_problem_document_and_counted() {
    let pair = pair("  - { match: GET /a, stage: retired }\n");
    let mut client = pair.proxy.client();
    for _ in 0..5 {
        let answer = client.get("/a");
        assert_problem(&answer, 410);
    }
    assert_eq!((pair.legacy.count(), pair.function.count()), (0, 0));
    assert_eq!(pair.proxy.metrics().calls("GET /a", "none", "GET", "4xx"), Some(5.0));
    let site = pair.proxy.site().clone();
    pair.proxy.stop();
    assert_eq!(site.report().calls("GET /a"), (0, 0, 5));
}

#[track_caller]
fn assert_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status);
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["status"], status);
    assert!(answer.json()["title"].is_string(), "{}", answer.text());
}

/// A function that breaks off every call, behind a route that falls back.
fn failing(route: &str) -> Pair {
    let legacy = Origin::named("legacy");
    let function = Origin::start(|exchange| {
        exchange.read_body()?;
        Ok(After::Reset)
    });
    let proxy = Proxy::start(&routes(&legacy, &function, route));
    Pair { legacy, function, proxy }
}

#[test]
fn with_a_fallback_the_monolith_answers_reads_when_the_function_fails() {
    let pair = failing("  - { match: '* /a', function: new, stage: live, fallback: legacy }\n");
    let mut client = pair.proxy.client();
    for _ in 0..5 {
        let answer = client.get("/a");
        assert_eq!((answer.status, answer.server()), (200, "legacy"));
    }
    let metrics = pair.proxy.metrics();
    assert_eq!(metrics.calls("* /a", "legacy", "GET", "2xx"), Some(5.0));
    let failed = [("function", "new"), ("result", "failed")];
    assert_eq!(metrics.get("starve_function_invocations_total", &failed), Some(5.0));
}

#[test]
fn with_a_fallback_a_write_that_may_have_been_read_is_not_repeated() {
    let pair = failing("  - { match: '* /a', function: new, stage: live, fallback: legacy }\n");
    let answer = pair.proxy.client().call("POST", "/a", &[], b"once");
    assert_eq!(answer.status, 502);
    assert_eq!((pair.function.count(), pair.legacy.count()), (1, 0));
}

#[test]
fn with_a_fallback_a_write_that_was_never_sent_goes_to_the_monolith() {
    let legacy = Origin::named("legacy");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let proxy = Proxy::start(&format!(
        "legacy: {}\nfunctions: {{ new: {{ http: 'http://{address}' }} }}\n\
         routes: [ {{ match: POST /a, function: new, stage: live, fallback: legacy }} ]\n",
        legacy.url()
    ));
    let answer = proxy.client().call("POST", "/a", &[], b"once");
    assert_eq!((answer.status, answer.server()), (200, "legacy"));
    assert_eq!(legacy.seen()[0].body, b"once");
}

#[test]
fn without_a_fallback_a_failing_function_is_a_502_and_the_monolith_is_left_alone() {
    let pair = failing("  - { match: GET /a, function: new, stage: live }\n");
    let answer = pair.proxy.get("/a");
    assert_problem(&answer, 502);
    assert!(answer.field("proxy-status").is_some_and(|status| status.starts_with("starve; error=")));
    assert_eq!(pair.legacy.count(), 0);
    assert_eq!(pair.proxy.metrics().calls("GET /a", "function", "GET", "5xx"), Some(1.0));
}

#[test]
fn a_function_s_own_error_answers_pass_as_they_are() {
    let legacy = Origin::named("legacy");
    let function = Origin::start(|exchange| {
        exchange.answer(503, &[("retry-after", "7"), ("x-reason", "mine")], b"my own words")?;
        Ok(After::Keep)
    });
    let route = "  - { match: GET /a, function: new, stage: live, fallback: legacy }\n";
    let proxy = Proxy::start(&routes(&legacy, &function, route));
    let answer = proxy.get("/a");
    assert_eq!((answer.status, answer.text().as_str()), (503, "my own words"));
    assert_eq!((answer.field("retry-after"), answer.field("x-reason")), (Some("7"), Some("mine")));
}
