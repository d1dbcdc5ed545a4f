//! Lines of every format, what is made of them, and that nothing a log holds does harm.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is the test's")]

use proptest::prelude::*;
use starve_discovery::access_log::{
    CellKey, Counter, Endpoint, Field, Fields, Format, Line, Reader, Record, Targets, detect, redacted,
};
use starve_discovery::inventory::Inventory;
use starve_routing::{Entry, Pattern, Predicates, RouteTable};

/// 2026-11-20T13:55:36Z.
const AT: u64 = 1_795_182_936_000;

fn format(name: &str) -> Format {
    Format::of(name, Fields::default()).unwrap()
}

/// Time, method, target, status, duration and bytes of the only call.
fn read(name: &str, text: &str) -> (u64, String, String, u16, u64, u64) {
    let mut reader = Reader::new(format(name));
    let mut found = None;
    for line in text.lines() {
        match reader.read(line.as_bytes()) {
            Line::Call(record) => found = Some(told(&record)),
            Line::Nothing => {}
            other => panic!("{other:?}: {line}"),
        }
    }
    found.unwrap()
}

fn told(record: &Record<'_>) -> (u64, String, String, u16, u64, u64) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        record.at_unix_ms,
        text(record.method),
        text(record.target),
        record.status,
        record.duration_us,
        record.bytes_out,
    )
}

fn call(target: &str, duration_us: u64, bytes: u64) -> (u64, String, String, u16, u64, u64) {
    (AT, "GET".to_owned(), target.to_owned(), 200, duration_us, bytes)
}

const COMBINED: &str =
    r#"203.0.113.7 - ann [20/Nov/2026:14:55:36 +0100] "GET /a?b=1 HTTP/1.1" 200 512 "-" "Mozilla \"x\"""#;
const ALB: &str = r#"https 2026-11-20T13:55:36.000000Z app/shop/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.001 0.002 0.000 200 200 34 366 "GET https://shop.example:443/a?b=1 HTTP/1.1" "agent \"7\"" ECDHE TLSv1.2 arn:aws "Root=1-58337262" "-" "-" 0 2026-11-20T13:55:35.000000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_new"#;
const IIS: &str = "#Software: Microsoft Internet Information Services 10.0\n\
    #Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip sc-status time-taken\n\
    2026-11-20 13:55:36 10.0.0.1 GET /a+b/ü b=1 80 203.0.113.7 200 15";
const CLOUD_FRONT: &str = "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query x-host-header time-taken\n\
    2026-11-20\t13:55:36\tFRA2\t512\t203.0.113.7\tGET\td111.cloudfront.net\t/a\t200\t-\tMozilla/5.0%20(x)\tb=1\tshop.example\t0.015";

#[test]
fn every_format_tells_the_same_call() {
    assert_eq!(read("combined", COMBINED), call("/a?b=1", 0, 512));
    assert_eq!(
        read("common", r#"::1 - - [20/Nov/2026:13:55:36 +0000] "GET /a?b=1 HTTP/2.0" 200 -"#),
        call("/a?b=1", 0, 0)
    );
    assert_eq!(
        read(
            "combined",
            r#"shop.example:443 1.2.3.4 - [x] [20/Nov/2026:13:55:36 +0000] "GET /a?b=1 HTTP/2.0" 200 5 "-" "-" 0.01"#
        ),
        call("/a?b=1", 0, 5)
    );
    assert_eq!(read("alb", ALB), call("https://shop.example:443/a?b=1", 3_000, 366));
    let classic = r#"2026-11-20T13:55:36.5Z lb 192.168.131.39:2817 10.0.0.1:80 -1 -1 -1 200 0 0 29 "GET http://shop.example:80/ HTTP/1.1" "curl" - -"#;
    assert_eq!(read("alb", classic).0, AT + 500);
    assert_eq!(read("iis", IIS), call("/a+b/ü", 15_000, 0));
    assert_eq!(read("cloudfront", CLOUD_FRONT), call("/a", 15_000, 512));
    assert_eq!(
        read(
            "ltsv",
            "time:[20/Nov/2026:13:55:36 +0000]\thost:1.2.3.4\treq:GET /a?b=1 HTTP/1.1\tstatus:200\tsize:512\treqtime:0.015"
        ),
        call("/a?b=1", 15_000, 512)
    );
}

#[test]
fn json_of_nginx_caddy_traefik_and_of_ones_own() {
    let nginx = r#"{"time_iso8601":"2026-11-20T13:55:36+00:00","request_method":"GET","request_uri":"/a?b=1","status":"200","body_bytes_sent":512,"request_time":0.015,"http_user_agent":"x \"y\""}"#;
    assert_eq!(read("json", nginx), call("/a", 15_000, 512));
    let caddy = r#"{"level":"info","ts":1795182936.0,"logger":"http","msg":"handled","request":{"remote_ip":"::1","method":"GET","host":"shop.example","uri":"/a","headers":{"User-Agent":["x{"]}},"duration":0.015,"size":512,"status":200}"#;
    assert_eq!(read("json", caddy), call("/a", 15_000, 512));
    let traefik = r#"{"DownstreamContentSize":512,"DownstreamStatus":200,"Duration":15000000,"RequestHost":"shop.example","RequestMethod":"GET","RequestPath":"/a?x=1&y","StartUTC":"2026-11-20T13:55:36Z","level":"info","time":"2026-11-20T13:55:36Z"}"#;
    assert_eq!(read("json", traefik), call("/a", 15_000, 512));
    let escaped = r#"{"time": 1795182936000, "method": "GET", "path": "\/a\/caf\u00e9?b", "status": 200}"#;
    assert_eq!(read("json", escaped), call("/a/caf%C3%A9", 0, 0));

    let mut fields = Fields::default();
    fields.set(Field::Path, "h.p");
    fields.set(Field::Millis, "took_for");
    let mut reader = Reader::new(Format::Json(fields));
    let own = br#"{"t":1,"timestamp":"2026-11-20T13:55:36Z","path":"/no","h":{"p":"/yes"},"code":200,"took_for":7,"duration":9}"#;
    let Line::Call(record) = reader.read(own) else { panic!() };
    assert_eq!(told(&record), call("/yes", 7_000, 0));
}

#[test]
fn format_strings_of_nginx_and_apache() {
    let nginx = r#"$remote_addr - [$time_local] "$request" $status $body_bytes_sent rt=$request_time"#;
    assert_eq!(
        read(nginx, r#"1.2.3.4 - [20/Nov/2026:13:55:36 +0000] "GET /a?b=1 HTTP/1.1" 200 512 rt=0.015"#),
        call("/a?b=1", 15_000, 512)
    );
    let apache = r#"%v %h %l %u %t \"%r\" %>s %b \"%{Referer}i\" %D"#;
    assert_eq!(
        read(
            apache,
            r#"shop.example 1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET /a?b=1 HTTP/1.1" 200 512 "-" 15000"#
        ),
        call("/a?b=1", 15_000, 512)
    );
    for (wrong, said) in [
        ("$request $status", "needs the time"),
        ("combned", "is no format"),
        ("$time_local$request $status", "no text between"),
    ] {
        let error = Format::of(wrong, Fields::default()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn the_format_is_found_from_the_first_lines() {
    let json = r#"{"time":"2026-11-20T13:55:36Z","path":"/a","status":200}"#;
    let ltsv = "time:2026-11-20T13:55:36Z\turi:/a\tstatus:200";
    for (text, name) in [
        (COMBINED, "combined"),
        (json, "json"),
        (ltsv, "ltsv"),
        (ALB, "alb"),
        (IIS, "iis"),
        (CLOUD_FRONT, "cloudfront"),
    ] {
        let found = detect(text.as_bytes(), &Fields::default());
        assert_eq!(found.map(|format| format.name()), Some(name));
        let cut = format!("{text}\n{}", &text[..text.len().min(20)]);
        assert_eq!(detect(cut.as_bytes(), &Fields::default()).map(|format| format.name()), Some(name));
    }
    for text in ["", "hello\nworld\n", "\0\u{1}\u{2}", "{\"a\": 1}\n"] {
        assert_eq!(detect(text.as_bytes(), &Fields::default()), None, "{text}");
    }
}

#[test]
fn w3c_columns_may_change_within_a_file() {
    let mut reader = Reader::new(Format::Iis);
    let lines = [
        "2026-11-20 13:55:36 GET /early 200",
        "#Fields: date time cs-method cs-uri-stem sc-status",
        "2026-11-20 13:55:36 GET /a 200",
        "#Fields: date time sc-status cs-uri-stem cs-method",
        "2026-11-20 13:55:36 404 /b POST",
        "2026-11-20 13:55:36 404",
        "#Fields: date time",
        "2026-11-20 13:55:36",
    ];
    let read: Vec<String> = lines
        .iter()
        .map(|line| match reader.read(line.as_bytes()) {
            Line::Call(record) => {
                let (_, method, target, status, ..) = told(&record);
                format!("{method} {target} {status}")
            }
            Line::Bad(why) => why.to_owned(),
            Line::Nothing => "-".to_owned(),
            Line::NoRequest => "none".to_owned(),
        })
        .collect();
    assert_eq!(
        read,
        [
            "no #Fields line came before it",
            "-",
            "GET /a 200",
            "-",
            "POST /b 404",
            "it has fewer columns than #Fields names",
            "-",
            "no #Fields line came before it"
        ]
    );
}

#[test]
fn lines_without_a_request_are_no_calls_and_bad_ones_say_why() {
    let mut reader = Reader::new(Format::Combined);
    let mut read = |line: &str| match reader.read(line.as_bytes()) {
        Line::Bad(why) => why,
        Line::NoRequest => "none",
        Line::Nothing => "nothing",
        Line::Call(_) => "call",
    };
    assert_eq!(read(r#"1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "" 408 0 "-" "-""#), "none");
    assert_eq!(read(r#"1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "-" 400 0"#), "none");
    assert_eq!(read(""), "nothing");
    assert_eq!(read("hello"), "there is no [time]");
    assert_eq!(read(r#"1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET /a"#), "the \"request\" is not closed");
    assert_eq!(
        read(r#"1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET /a HTTP/1.1" ok 0"#),
        "the status is no number of three digits"
    );
    assert_eq!(read(r#"1.2.3.4 - - [20/Nov/2026:13:55:36 +0000] "GET /a HTTP/1.1" 499 0"#), "call");
}

#[test]
fn what_is_shown_of_a_line_holds_no_secret() {
    let shown = redacted(
        br#"1.2.3.4 "GET /reset?token=s3cret&x=1 HTTP/1.1" eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9 ok"#,
    );
    assert_eq!(shown, "1.2.3.4 \"GET /reset?… HTTP/1.1\" … ok");
    assert!(redacted(&[b'x'; 5_000]).len() < 10);
    assert_eq!(redacted(b"a\x01\xffb"), "a··b");
}

fn targets() -> Targets {
    let parse = |text: &str| text.parse::<Pattern>().unwrap();
    let entry = |text: &str, value| Entry { pattern: parse(text), when: Predicates::default(), value };
    let table = RouteTable::build(vec![entry("GET /products/{id:int}", 0)]).unwrap();
    let listed = Inventory::build([(parse("GET /orders/{id}"), vec![])], &[]);
    Targets::new(table, vec!["products".to_owned()], listed)
}

fn record<'a>(method: &'a str, target: &'a str, status: u16, at: u64) -> Record<'a> {
    Record {
        at_unix_ms: at,
        method: method.as_bytes(),
        target: target.as_bytes(),
        status,
        duration_us: 10,
        bytes_out: 1,
        ..Record::default()
    }
}

fn sums(counter: &Counter<'_>) -> Vec<(Endpoint, &'static str, u8, u64, u64)> {
    let endpoints = counter.endpoints();
    let mut sums: Vec<_> = counter
        .cells()
        .map(|(CellKey { endpoint, method, class, hour }, cell)| {
            (endpoints[endpoint].clone(), method, class, hour - AT / 3_600_000, cell.calls)
        })
        .collect();
    sums.sort();
    sums
}

#[test]
fn calls_go_to_routes_then_to_the_inventory_then_to_templates() {
    let targets = targets();
    let (mut first, mut second) = (Counter::new(&targets), Counter::new(&targets));
    for (target, status, at) in [
        ("/products/7?x", 200, AT),
        ("https://shop.example:443/%70roducts/8", 404, AT),
        ("/orders/7", 500, AT + 3_600_000),
        ("/carts/7", 200, AT),
        ("/.env", 404, AT),
        ("/bad\\path", 200, AT),
    ] {
        first.count(&record("GET", target, status, at));
    }
    // Another thread saw the same template fail only, and a method that nobody knows.
    second.count(&record("GET", "/carts/9", 404, AT));
    second.count(&record("BREW", "/carts/9", 404, AT));
    second.count(&record("GET", "/wp-login.php", 404, AT));
    first.merge(second);
    let known = |name: &str| Endpoint::Known(name.to_owned());
    let mut found: std::collections::BTreeMap<_, u64> = std::collections::BTreeMap::new();
    for (endpoint, method, class, hour, calls) in sums(&first) {
        *found.entry((endpoint, method, class, hour)).or_default() += calls;
    }
    assert_eq!(found.values().sum::<u64>(), 9);
    assert_eq!(found[&(known("products"), "GET", 2, 0)], 1);
    assert_eq!(found[&(known("products"), "GET", 4, 0)], 1);
    assert_eq!(found[&(known("GET /orders/{id}"), "GET", 5, 1)], 1);
    assert_eq!(found[&(Endpoint::Template("/carts/{int}".to_owned()), "GET", 2, 0)], 1);
    assert_eq!(found[&(Endpoint::Template("/carts/{int}".to_owned()), "GET", 4, 0)], 1);
    assert_eq!(found[&(Endpoint::Unmatched, "GET", 4, 0)], 2);
}

#[test]
fn every_format_tells_the_user_agent() {
    let agent = |name: &str, text: &str| {
        let mut reader = Reader::new(format(name));
        let mut found = None;
        for line in text.lines() {
            if let Line::Call(record) = reader.read(line.as_bytes()) {
                found = record.agent.map(|agent| String::from_utf8_lossy(agent).into_owned());
            }
        }
        found
    };
    let is = |text: &str| Some(text.to_owned());
    assert_eq!(agent("combined", COMBINED), is("Mozilla \\\"x\\\""));
    assert_eq!(agent("alb", ALB), is("agent \\\"7\\\""));
    assert_eq!(agent("cloudfront", CLOUD_FRONT), is("Mozilla/5.0%20(x)"));
    assert_eq!(agent("common", r#"::1 - - [20/Nov/2026:13:55:36 +0000] "GET /a HTTP/2.0" 200 -"#), None);
    let json = r#"{"time":"2026-11-20T13:55:36Z","path":"/a","status":200,"userAgent":"curl/8"}"#;
    assert_eq!(agent("json", json), is("curl/8"));
    let ltsv = "time:[20/Nov/2026:13:55:36 +0000]\treq:GET /a HTTP/1.1\tstatus:200\tua:curl/8";
    assert_eq!(agent("ltsv", ltsv), is("curl/8"));
    let line = "[20/Nov/2026:13:55:36 +0000] \"GET /a HTTP/1.1\" 200 <curl/8>";
    for own in [r#"[$time_local] "$request" $status <$http_user_agent>"#, r#"%t "%r" %s <%{User-Agent}i>"#] {
        assert_eq!(agent(own, line), is("curl/8"), "{own}");
    }
}

#[test]
fn bots_and_health_checks_are_told_apart_and_one_value_alone_is_a_word() {
    let targets = targets();
    let (mut first, mut second) = (Counter::new(&targets), Counter::new(&targets));
    let agents = ["curl/8", "kube-probe/1.31", "sqlmap/1.8", "-", "Mozilla/5.0 (compatible; Googlebot/2.1)"];
    for (n, agent) in (0..).zip(agents) {
        let record = Record { agent: Some(agent.as_bytes()), ..record("GET", "/errors/404", 200, AT + n) };
        first.count(&record);
    }
    second.count(&record("GET", "/errors/404?x=1", 200, AT));
    for target in ["/carts/7", "/carts/8", "/docs/2026-11-20/0b5af3e2-1d2c-4b6a-9f00-aabbccddeeff"] {
        first.count(&record("GET", target, 200, AT));
    }
    second.count(&record("GET", "/docs/2026-11-20/0b5af3e2-1d2c-4b6a-9f00-aabbccddeefe", 200, AT));
    first.merge(second);
    let endpoints = first.endpoints();
    let found: std::collections::BTreeMap<_, _> = first
        .cells()
        .map(|(key, cell)| {
            (endpoints[key.endpoint].clone(), (cell.calls, cell.apart, cell.last_regular_unix_ms))
        })
        .collect();
    let template = |text: &str| Endpoint::Template(text.to_owned());
    assert_eq!(found[&template("/errors/404")], (6, 3, AT + 3));
    assert_eq!(found[&template("/carts/{int}")], (2, 0, AT));
    assert_eq!(found[&template("/docs/{date}/{uuid}")], (2, 0, AT));
    assert_eq!(found.len(), 3);
}

#[test]
fn memory_stays_bounded_whatever_is_asked_for() {
    let targets = targets();
    let mut counter = Counter::new(&targets);
    for n in 0..40_000 {
        counter.count(&record("GET", &format!("/word{}x{}", "y".repeat(n % 7), words(n)), 200, AT));
    }
    assert!(counter.endpoints().len() <= 16_384 + 4, "{}", counter.endpoints().len());
    assert_eq!(counter.cells().map(|(_, cell)| cell.calls).sum::<u64>(), 40_000);
}

/// A number in letters, which no rule takes for a value.
fn words(n: usize) -> String {
    n.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect()
}

proptest! {
    #[test]
    fn no_line_does_harm(line in prop::collection::vec(any::<u8>(), 0..300)) {
        harmless(&line);
    }

    #[test]
    fn no_cut_or_changed_line_does_harm(which in 0..5_usize, at in 0..400_usize, byte in any::<u8>(), cut in any::<bool>()) {
        let json = r#"{"time":"2026-11-20T13:55:36Z","request":{"uri":"/a\u00e9"},"path":"/a","status":200,"x":[{}]}"#;
        let mut line = [COMBINED, ALB, IIS, CLOUD_FRONT, json][which].as_bytes().to_vec();
        let at = at % line.len();
        if cut { line.truncate(at) } else { line[at] = byte }
        harmless(&line);
    }
}

fn harmless(text: &[u8]) {
    let targets = targets();
    let custom = r#"$remote_addr [$time_local] "$request" $status"#;
    for name in Format::NAMES.into_iter().chain([custom]) {
        let mut reader = Reader::new(format(name));
        let mut counter = Counter::new(&targets);
        for line in text.split(|byte| *byte == b'\n') {
            if let Line::Call(record) = reader.read(line) {
                counter.count(&record);
            }
        }
        assert!(counter.cells().all(|(_, cell)| cell.calls > 0));
    }
    detect(text, &Fields::default());
    redacted(text);
}
