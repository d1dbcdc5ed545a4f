//! What routes do to messages: rewriting, answers of the proxy's own, folders, sunsets.

use e2e::{After, Origin, Proxy, Site};

/// Answers with what it was asked, a redirect and a cookie of its own path.
fn echo() -> Origin {
    Origin::start(|exchange| {
        let body = exchange.read_body()?;
        let line = exchange.head.line.clone();
        exchange.answer(
            200,
            &[
                ("location", "/app/next?a=1"),
                ("set-cookie", "s=1; Path=/app; HttpOnly"),
                ("set-cookie", "t=1; Path=/"),
                ("x-powered-by", "beast"),
                ("etag", "\"1\""),
            ],
            &[line.as_bytes(), b"|", &body].concat(),
        )?;
        Ok(After::Keep)
    })
}

#[test]
fn the_side_sees_the_rewritten_call_and_the_client_the_public_address() {
    let origin = echo();
    let proxy = Proxy::start(&format!(
        "legacy: {}\nroutes:\n  - match: '* /shop/{{rest*}}'\n    rewrite: /app/{{rest*}}\n    \
         request:\n      set: {{ x-rest: '{{rest}}', x-lang: '{{request.query.lang}}', x-none: '{{request.headers.none}}' }}\n      \
         remove: [x-debug]\n      query: {{ set: {{ source: 'p&q' }}, remove: [utm] }}\n    \
         response: {{ set: {{ x-was: '{{response.status}} {{request.method}}', x-tea: '{{request.headers.x-tea}}' }}, remove: [x-powered-by], status: 202 }}\n",
        origin.url()
    ));
    let answer = proxy.client().call(
        "POST",
        "/shop/caf%c3%a9%0d%0ax/%2Fb?lang=d%65+x%0D%0Aevil:1&utm=1&u%74m=2&a=1",
        &[("x-debug", "1"), ("x-tea", "green")],
        b"body",
    );
    assert_eq!(answer.status, 202);
    assert_eq!(
        answer.text(),
        "POST /app/caf%C3%A9%0D%0Ax/%2Fb?lang=d%65+x%0D%0Aevil:1&a=1&source=p%26q HTTP/1.1|body"
    );
    let seen = origin.seen().remove(0).head;
    assert_eq!(seen.field("x-rest"), Some("café%0D%0Ax//b"));
    assert_eq!(seen.field("x-lang"), Some("de x%0D%0Aevil:1"));
    assert_eq!(seen.field("x-none"), Some(""));
    assert_eq!(seen.field("x-debug"), None);
    assert_eq!(answer.field("x-was"), Some("200 POST"));
    assert_eq!(answer.field("x-tea"), Some("green"));
    assert_eq!(answer.field("x-powered-by"), None);
    assert_eq!(answer.field("location"), Some("/shop/next?a=1"));
    assert_eq!(answer.head.all("set-cookie"), ["s=1; Path=/shop; HttpOnly", "t=1; Path=/"]);
}

#[test]
fn a_value_that_would_climb_is_refused() {
    let origin = echo();
    let proxy = Proxy::start(&format!(
        "legacy: {}\nroutes: [ {{ match: GET /o, rewrite: '/t/{{request.query.t}}/o' }} ]\n",
        origin.url()
    ));
    assert!(proxy.get("/o?t=a%2Fb").text().starts_with("GET /t/a%2Fb/o?t=a%2Fb "));
    assert_eq!(proxy.get("/o?t=..").status, 400);
    assert_eq!(proxy.get("/o?t=%2E%2e%2Fadmin").status, 400);
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_body_of_the_route_s_own_takes_the_place_of_the_answer_s() {
    let origin = echo();
    let proxy = Proxy::start(&format!(
        "legacy: {}\nroutes: [ {{ match: 'GET /a/{{x}}', response: {{ body: {{ x: '{{x}}', was: '{{response.status}}' }} }} }} ]\n",
        origin.url()
    ));
    let answer = proxy.get("/a/%22");
    assert_eq!(answer.text(), r#"{"x":"\"","was":"200"}"#);
    assert_eq!(answer.field("content-type"), Some("application/json"));
    assert_eq!(answer.field("etag"), None);
    assert_eq!(proxy.client().call("HEAD", "/a/b", &[], b"").status, 200);
}

#[test]
fn a_host_that_clients_never_see_is_turned_back() {
    let origin = Origin::start(|exchange| {
        let host = exchange.head.field("host").unwrap_or_default().to_owned();
        exchange.answer(302, &[("location", &format!("http://{host}/login?x=1"))], b"")?;
        Ok(After::Keep)
    });
    let proxy = Proxy::start(&format!(
        "legacy: {{ servers: ['{}'], host: target }}\nroutes: [ {{ match: GET /a }} ]\n",
        origin.url()
    ));
    assert_eq!(proxy.get("/a").field("location"), Some("/login?x=1"));
}

#[test]
fn the_proxy_answers_by_itself_and_no_side_is_asked() {
    let origin = echo();
    let proxy = Proxy::start(&format!(
        "legacy: {}\nroutes:\n  - match: GET /mock/{{id:int}}\n    respond: {{ status: 203, headers: {{ x-id: '{{id}}' }}, body: {{ id: '{{id}}', q: '{{request.query.q}}' }} }}\n  \
         - match: GET /old/{{rest*}}\n    respond: {{ status: 301, headers: {{ location: '/new/{{rest}}?q={{request.query.q}}' }} }}\n  \
         - match: GET /page\n    respond: {{ headers: {{ content-type: text/html }}, body: '<p>{{request.query.q}}' }}\n",
        origin.url()
    ));
    let mut client = proxy.client();
    let answer = client.get("/mock/7?q=%22%3C");
    assert_eq!((answer.status, answer.field("x-id")), (203, Some("7")));
    assert_eq!(answer.text(), r#"{"id":"7","q":"\"\u003c"}"#);
    let answer = client.get("/old/caf%C3%A9/%0d%0ax?q=%0Ab");
    assert_eq!(answer.field("location"), Some("/new/caf%C3%A9/%0D%0Ax?q=%0Ab"));
    assert_eq!(client.get("/page?q=%3Cscript%3E").text(), "<p>&lt;script&gt;");
    assert_eq!(client.call("HEAD", "/page?q=1", &[], b"").body, b"");
    assert_eq!(origin.count(), 0);
    let labels = [("route", "GET /mock/{id:int}"), ("side", "none"), ("code", "2xx")];
    assert_eq!(proxy.metrics().sum("starve_requests_total", &labels), 1.0);
}

#[test]
fn a_copy_is_rewritten_for_its_side() {
    let (legacy, function) = (echo(), echo());
    let proxy = Proxy::start(&format!(
        "legacy: {}\nfunctions: {{ new: {{ http: '{}' }} }}\nroutes: [ {{ match: 'GET /o/{{id}}', function: new, stage: shadow, rewrite: {{ function: '/v2/{{id}}' }} }} ]\n",
        legacy.url(),
        function.url()
    ));
    assert!(proxy.get("/o/7?a=1").text().starts_with("GET /o/7?a=1 "));
    assert_eq!(function.wait_for(1)[0].head.target(), "/v2/7?a=1");
}

#[test]
fn a_fall_back_gets_the_client_s_own_request() {
    let legacy = echo();
    let proxy = Proxy::start(&format!(
        "legacy: {}\nfunctions: {{ gone: {{ http: 'http://127.0.0.1:1' }} }}\nroutes: [ {{ match: '* /o/{{id}}', function: gone, stage: done, fallback: legacy, rewrite: {{ function: '/v2/{{id}}' }} }} ]\n",
        legacy.url(),
    ));
    assert!(proxy.client().call("POST", "/o/7", &[], b"x").text().starts_with("POST /o/7 HTTP/1.1|x"));
    assert!(proxy.get("/o/8").text().starts_with("GET /o/8 "));
}

#[test]
fn a_route_s_time_bounds_a_slow_side() {
    let origin = Origin::start(|exchange| {
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
    let proxy =
        Proxy::start(&format!("legacy: {}\nroutes: [ {{ match: GET /a, timeout: 50ms }} ]\n", origin.url()));
    assert_eq!(proxy.get("/a").status, 504);
}

#[test]
fn a_folder_is_served_in_a_function_s_place() {
    let origin = echo();
    let site = Site::new(&format!(
        "legacy: {}\nroutes: [ {{ match: 'GET /app/{{rest*}}', files: {{ folder: dist, single-page: index.html }} }} ]\n",
        origin.url()
    ));
    std::fs::create_dir_all(site.path("dist/sub")).unwrap();
    std::fs::write(site.path("dist/index.html"), "<p>home").unwrap();
    std::fs::write(site.path("dist/app.js"), "let a").unwrap();
    std::fs::write(site.path("dist/.env"), "secret").unwrap();
    let proxy = site.run();
    let mut client = proxy.client();
    let answer = client.get("/app/app.js");
    assert_eq!((answer.text().as_str(), answer.field("content-type")), ("let a", Some("text/javascript")));
    let tag = answer.field("etag").unwrap().to_owned();
    assert_eq!(client.call("GET", "/app/app.js", &[("if-none-match", &tag)], b"").status, 304);
    let part = client.call("GET", "/app/app.js", &[("range", "bytes=4-")], b"");
    assert_eq!((part.status, part.text().as_str()), (206, "a"));
    let head = client.call("HEAD", "/app/app.js", &[], b"");
    assert_eq!((head.status, head.field("content-length")), (200, Some("5")));
    assert_eq!(client.get("/app/orders/7").text(), "<p>home");
    assert_eq!(client.get("/app/sub").field("location"), Some("/app/sub/"));
    assert_eq!(client.get("/app/.env").status, 404);
    assert_eq!(client.get("/app/missing.js").status, 404);
    assert_eq!(origin.count(), 0);
    let labels = [("route", "GET /app/{rest*}"), ("side", "function")];
    assert!(proxy.metrics().sum("starve_requests_total", &labels) >= 8.0);
}

#[test]
fn a_folder_that_is_not_there_is_an_error_of_the_file() {
    let site = Site::new("legacy: http://127.0.0.1:1\nroutes: [ { match: 'GET /{rest*}', files: none } ]\n");
    let done = site.starve(&["check"]);
    assert!(done.stderr.contains("cannot read the folder"), "{}", done.stderr);
}

#[test]
fn every_answer_tells_of_the_sunset_and_a_brownout_is_410() {
    let origin = echo();
    let proxy = Proxy::start(&format!(
        "legacy: {}\nroutes:\n  - match: GET /a\n    sunset: {{ deprecated: 2020-01-01, at: 2100-01-01, link: 'https://x.example/m' }}\n  \
         - match: GET /b\n    sunset: {{ deprecated: 2020-01-01, brownouts: [ {{ from: 2020-01-02, to: 2100-01-01 }} ] }}\n  \
         - match: GET /c\n    stage: retired\n    sunset: {{ at: 2020-01-01 }}\n",
        origin.url()
    ));
    let answer = proxy.get("/a");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("deprecation"), Some("@1577836800"));
    assert_eq!(answer.field("sunset"), Some("Fri, 01 Jan 2100 00:00:00 GMT"));
    assert_eq!(answer.field("link"), Some("<https://x.example/m>; rel=\"deprecation sunset\""));
    let answer = proxy.get("/b");
    assert_eq!((answer.status, answer.field("deprecation")), (410, Some("@1577836800")));
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    assert_eq!(proxy.get("/c").field("sunset"), Some("Wed, 01 Jan 2020 00:00:00 GMT"));
    assert_eq!(proxy.metrics().sum("starve_brownout_answers_total", &[("route", "GET /b")]), 1.0);
    assert_eq!(origin.count(), 1);
    proxy.starve(&["kill-switch", "on", "GET /b"]).ok();
    assert_eq!(proxy.get("/b").status, 200);
    let explained = proxy.starve(&["explain", "GET", "/b"]).ok();
    assert!(explained.stdout.contains("brownout: now, until 2100-01-01T00:00:00Z"), "{}", explained.stdout);
}
