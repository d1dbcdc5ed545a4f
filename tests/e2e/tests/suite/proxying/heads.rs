//! What becomes of the fields of a head.

use e2e::{After, Client, Http, Origin, empty, get};

use super::{before, before_with};

#[test]
fn fields_of_one_connection_do_not_travel_in_either_direction() {
    let origin = Origin::start(|exchange| {
        exchange.answer(
            200,
            &[
                ("connection", "keep-alive, x-mine"),
                ("keep-alive", "timeout=5"),
                ("x-mine", "1"),
                ("proxy-connection", "keep-alive"),
                ("upgrade", "h2c"),
                ("x-yours", "1"),
            ],
            b"x",
        )?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let fields = [
        ("connection", "keep-alive, X-Private"),
        ("keep-alive", "timeout=5"),
        ("x-private", "1"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers, gzip"),
        ("upgrade", "h2c"),
        ("x-public", "1"),
    ];
    let answer = proxy.client().call("GET", "/a", &fields, b"");
    for name in ["keep-alive", "x-mine", "proxy-connection", "upgrade"] {
        assert_eq!(answer.field(name), None, "{name} to the client");
    }
    assert_eq!(answer.field("x-yours"), Some("1"));
    let head = &origin.seen()[0].head;
    for name in ["keep-alive", "x-private", "proxy-connection", "upgrade"] {
        assert_eq!(head.field(name), None, "{name} to the origin");
    }
    assert_eq!(head.field("te"), Some("trailers"));
    assert_eq!(head.field("x-public"), Some("1"));
}

#[test]
fn a_client_cannot_strip_its_host_or_framing_through_connection() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let fields = [("connection", "host, content-length, transfer-encoding, x-forwarded-for, via")];
    assert_eq!(proxy.client().call("POST", "/a", &fields, b"body").status, 200);
    let seen = &origin.seen()[0];
    assert_eq!((seen.head.field("host"), seen.body.as_slice()), (Some("shop.example"), b"body".as_slice()));
    assert_eq!(seen.head.field("x-forwarded-for"), Some("127.0.0.1"));
    assert!(seen.head.field("via").is_some());
}

#[test]
fn the_origin_is_told_where_a_call_came_from() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    proxy.client().call("GET", "/a", &[("host", "Shop.Example:8080")], b"");
    let head = &origin.seen()[0].head;
    assert_eq!(head.all("host"), ["Shop.Example:8080"], "the client's own, as it wrote it");
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-proto"), ["http"]);
    assert_eq!(head.all("x-forwarded-host"), ["Shop.Example:8080"]);
    assert_eq!(head.all("via"), ["1.1 starve"]);
}

#[test]
fn what_a_client_claims_about_forwarding_is_not_believed() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let fields = [
        ("x-forwarded-for", "1.2.3.4"),
        ("X-Forwarded-For", "5.6.7.8"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "bank.example"),
        ("forwarded", "for=1.2.3.4;host=bank.example"),
        ("via", "1.1 other"),
    ];
    proxy.client().call("GET", "/a", &fields, b"");
    let head = &origin.seen()[0].head;
    assert_eq!(head.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(head.all("x-forwarded-proto"), ["http"]);
    assert_eq!(head.all("x-forwarded-host"), ["shop.example"]);
    assert!(head.all("forwarded").is_empty());
    assert_eq!(head.all("via").join(", "), "1.1 other, 1.1 starve");
}

#[test]
fn with_host_target_the_server_sees_its_own_name() {
    let origin = Origin::named("legacy");
    let proxy = e2e::Proxy::start(&format!("legacy: {{ servers: ['{}'], host: target }}\n", origin.url()));
    proxy.get("/a");
    let head = &origin.seen()[0].head;
    assert_eq!(head.field("host"), Some(origin.address().to_string().as_str()));
    assert_eq!(head.field("x-forwarded-host"), Some("shop.example"));
}

#[test]
fn server_and_date_of_an_answer_pass_as_they_are() {
    let origin = Origin::start(|exchange| {
        exchange.answer(200, &[("server", "old/1.0"), ("date", "Thu, 01 Jan 1998 00:00:00 GMT")], b"x")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let answer = proxy.get("/a");
    assert_eq!(answer.head.all("server"), ["old/1.0"]);
    assert_eq!(answer.head.all("date"), ["Thu, 01 Jan 1998 00:00:00 GMT"]);
}

#[test]
fn cookies_of_an_answer_stay_apart_and_in_order() {
    let origin = Origin::start(|exchange| {
        let cookies =
            [("set-cookie", "a=1; Expires=Thu, 01 Jan 1998 00:00:00 GMT"), ("x", "y"), ("set-cookie", "b=2")];
        exchange.answer(200, &cookies, b"x")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let answer = proxy.get("/a");
    assert_eq!(answer.head.all("set-cookie"), ["a=1; Expires=Thu, 01 Jan 1998 00:00:00 GMT", "b=2"]);
}

#[test]
fn a_field_that_stands_several_times_stays_so() {
    let origin = Origin::start(|exchange| {
        exchange.answer(200, &[("link", "<a>"), ("link", "<b>")], b"x")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let answer = proxy.client().call("GET", "/a", &[("x-tag", "one"), ("x-tag", "two, three")], b"");
    assert_eq!(answer.head.all("link"), ["<a>", "<b>"]);
    assert_eq!(origin.seen()[0].head.all("x-tag"), ["one", "two, three"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crumbs_of_a_cookie_over_http_2_become_one_field() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let request = get("/a").header("cookie", "session=1").header("cookie", "lang=de").header("cookie", "x=y");
    Http::two(proxy.address()).await.call(request.body(empty()).unwrap()).await.unwrap();
    let head = &origin.seen()[0].head;
    assert_eq!(head.all("cookie"), ["session=1; lang=de; x=y"]);
    assert_eq!(head.all("host"), ["shop.example"], "the authority is the host");
    assert_eq!(head.all("via"), ["2 starve"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_with_two_different_hosts_is_refused() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let request = get("/a").header("host", "bank.example");
    let answer = Http::two(proxy.address()).await.call(request.body(empty()).unwrap()).await.unwrap();
    assert_eq!((answer.status.as_u16(), origin.count()), (400, 0));
}

#[test]
fn values_with_bytes_outside_ascii_pass_as_they_are() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\nx-name: caf\xe9 \xc3\xa9\r\ncontent-length: 0\r\n\r\n")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send(b"GET /a HTTP/1.1\r\nhost: a\r\nx-name: caf\xe9 \xc3\xa9\r\nconnection: close\r\n\r\n");
    let all = client.drain(e2e::DEADLINE);
    let value = b"x-name: caf\xe9 \xc3\xa9\r\n";
    assert!(all.windows(value.len()).any(|window| window == value), "{}", String::from_utf8_lossy(&all));
    // The harness reads heads as text, in which both bytes outside UTF-8 became a replacement character.
    assert_eq!(origin.seen()[0].head.field("x-name"), Some("caf\u{fffd} é"));
}

#[test]
fn many_fields_pass() {
    let origin = Origin::start(|exchange| {
        let fields: Vec<_> = (0..90).map(|n| (format!("x-answer-{n}"), n.to_string())).collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        exchange.answer(200, &fields, b"x")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let fields: Vec<_> = (0..90).map(|n| (format!("x-request-{n}"), n.to_string())).collect();
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let answer = proxy.client().call("GET", "/a", &fields, b"");
    assert_eq!((answer.status, answer.field("x-answer-89")), (200, Some("89")));
    assert_eq!(origin.seen()[0].head.field("x-request-89"), Some("89"));
}

#[test]
fn a_large_cookie_passes_and_a_head_over_the_limit_is_431() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let cookie = format!("session={}", "x".repeat(30_000));
    assert_eq!(proxy.client().call("GET", "/a", &[("cookie", &cookie)], b"").status, 200);
    assert_eq!(origin.seen()[0].head.field("cookie"), Some(cookie.as_str()));
    let huge = "x".repeat(80_000);
    let mut client = proxy.client();
    client.begin("GET", "/a", &[("cookie", &huge)], b"");
    assert_eq!(client.answer("GET").status, 431);
    client.wait_for_close().unwrap();
    assert_eq!(origin.count(), 1);
}

#[test]
fn interim_answers_of_the_origin_do_not_disturb_the_final_one() {
    let origin = Origin::start(|exchange| {
        exchange.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n")?;
        exchange.write(b"HTTP/1.1 102 Processing\r\n\r\n")?;
        exchange.answer(200, &[], b"final")?;
        Ok(After::Keep)
    });
    let proxy = before(&origin);
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.get("/a");
        assert_eq!((answer.status, answer.text().as_str()), (200, "final"));
    }
    assert_eq!(proxy.metrics().calls("* /a", "legacy", "GET", "2xx"), Some(2.0));
}

#[test]
fn a_client_that_expects_100_continue_gets_it() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut client = proxy.client();
    client.send("POST /a HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
    assert_eq!(client.interim(), 100);
    client.send("body");
    assert_eq!(client.answer("POST").status, 200);
    assert_eq!(origin.seen()[0].body, b"body");
}

#[test]
fn an_expectation_that_nobody_knows_is_417() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let answer = proxy.client().call("POST", "/a", &[("expect", "tea")], b"x");
    assert_eq!((answer.status, origin.count()), (417, 0));
}

#[test]
fn refusals_of_the_proxy_are_problem_documents_that_name_it() {
    let origin = Origin::named("legacy");
    let proxy = before_with(&origin, "limits: { uri-bytes: 100 }\n");
    let answer = proxy.get(&format!("/{}", "x".repeat(100)));
    assert_eq!((answer.status, answer.field("content-type")), (414, Some("application/problem+json")));
    assert_eq!(answer.json()["status"], 414);
    assert!(answer.field("proxy-status").is_some_and(|status| status.starts_with("starve; error=")));
    assert_eq!(proxy.metrics().get("starve_limit_hits_total", &[("limit", "uri-bytes")]), Some(1.0));
    assert_eq!(
        proxy.metrics().get("starve_refused_requests_total", &[("reason", "uri_too_long")]),
        Some(1.0)
    );
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_connect_is_501_and_never_reaches_the_origin() {
    let origin = Origin::named("legacy");
    let proxy = before(&origin);
    let mut client: Client = proxy.client();
    client.send("CONNECT bank.example:443 HTTP/1.1\r\nhost: bank.example:443\r\n\r\n");
    assert_eq!(client.answer("GET").status, 501);
    assert_eq!(origin.count(), 0);
}
