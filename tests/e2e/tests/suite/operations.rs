//! Calls by operation, where one path serves many: read from the body as it passes, which changes nothing about it.

use std::collections::BTreeMap;

use e2e::{After, Http, Origin, Proxy, Site, eventually, feed};
use http::Request;

/// Answers with the length of the body that came; 500 to what says so.
fn origin() -> Origin {
    Origin::start(|exchange| {
        let body = exchange.read_body()?;
        let status = if exchange.head.target().contains("fail") { 500 } else { 200 };
        exchange.answer(status, &[], body.len().to_string().as_bytes())?;
        Ok(After::Keep)
    })
}

fn routes(origin: &Origin) -> String {
    format!(
        "legacy: {}\nfunctions:\n  new: {{ http: {} }}\nroutes:\n  \
         - {{ match: '* /graphql', operations: graphql }}\n  \
         - {{ match: 'POST /rpc', operations: json-rpc, function: new, stage: done }}\n",
        origin.url(),
        origin.url()
    )
}

fn post(proxy: &Proxy, path: &str, body: &str) {
    let fields = [("content-type", "application/json")];
    let answer = proxy.client().call("POST", path, &fields, body.as_bytes());
    assert_eq!(answer.text(), body.len().to_string(), "the body arrives as it was sent");
}

/// Operations of a route with their calls, by the series.
fn series(proxy: &Proxy, route: &str) -> BTreeMap<String, f64> {
    let text = proxy.admin_call("GET", "/metrics", "").text();
    let lines = text.lines().filter(|line| line.starts_with("starve_operation_requests_total{"));
    let mut sums = BTreeMap::new();
    for line in lines.filter(|line| line.contains(&format!("route=\"{route}\""))) {
        let operation = line.split("operation=\"").nth(1).unwrap().split('"').next().unwrap();
        *sums.entry(operation.to_owned()).or_default() +=
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    }
    sums
}

fn expected(operations: &[(&str, f64)]) -> BTreeMap<String, f64> {
    operations.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect()
}

#[test]
fn graphql_calls_are_counted_by_operation_whatever_their_bodies_hold() {
    let origin = origin();
    let site = Site::new(&routes(&origin));
    let proxy = site.run();
    for _ in 0..3 {
        post(&proxy, "/graphql", r#"{"query":"query GetUser { user { id } }"}"#);
    }
    post(
        &proxy,
        "/graphql?fail",
        r#"{"operationName":"Save","query":"mutation Save { a } mutation B { b }"}"#,
    );
    post(&proxy, "/graphql", r#"{"query":"{ user { id } }"}"#);
    let large = format!(r#"{{"variables":"{}","operationName":"Late"}}"#, "x".repeat(300_000));
    post(&proxy, "/graphql", &large);
    let large = format!(r#"{{"operationName":"Upload","variables":"{}"}}"#, "x".repeat(300_000));
    post(&proxy, "/graphql", &large);
    for broken in ["", "{", "no json", r#"{"query":7}"#, r#"{"query":"query"#] {
        post(&proxy, "/graphql", broken);
    }
    let mut client = proxy.client();
    client.get("/graphql?query=query%20GetUser%7Ba%7D");
    client.call("OPTIONS", "/graphql", &[], b"");
    let told = expected(&[
        ("GetUser", 4.0),
        ("Save", 1.0),
        ("Upload", 1.0),
        ("(anonymous)", 1.0),
        ("(unreadable)", 6.0),
    ]);
    assert_eq!(series(&proxy, "* /graphql"), told);
    let failed = [("route", "* /graphql"), ("operation", "Save"), ("side", "legacy"), ("code", "5xx")];
    assert_eq!(proxy.metrics().get("starve_operation_requests_total", &failed), Some(1.0));
    assert_eq!(proxy.metrics().calls_of("* /graphql", "legacy"), 14.0, "each is one call of the route");
    proxy.stop();

    let rows = |report: &e2e::Report| -> BTreeMap<String, f64> {
        let rows = report.route("* /graphql")["operations"].as_array().unwrap().clone();
        let row = |row: &serde_json::Value| {
            (row["operation"].as_str().unwrap().to_owned(), row["calls_legacy"].as_f64().unwrap())
        };
        rows.iter().map(row).collect()
    };
    assert_eq!(rows(&site.report()), told);
    let proxy = site.run();
    post(&proxy, "/graphql", r#"{"query":"query GetUser { user { id } }"}"#);
    eventually("five calls over both runs", || match rows(&proxy.report()) {
        rows if rows["GetUser"] == 5.0 => Ok(()),
        rows => Err(format!("{rows:?}")),
    });
    let table = proxy.starve(&["report"]).ok().stdout;
    assert!(table.contains("Operations of * /graphql (5)"), "{table}");
    let csv = proxy.starve(&["report", "--format", "csv"]).ok().stdout;
    assert!(csv.contains("operation,* /graphql#GetUser,,,,5,0"), "{csv}");
    let markdown = proxy.starve(&["report", "--format", "markdown"]).ok().stdout;
    assert!(markdown.contains("## Operations") && markdown.contains("GetUser"), "{markdown}");
    let page = proxy.admin_call("GET", "/routes?id=*%20/graphql", "").text();
    assert!(page.contains("GetUser"), "{page}");
    let explained = proxy.starve(&["explain", "POST", "/graphql"]).ok().stdout;
    assert!(explained.contains("operations: graphql"), "{explained}");
}

#[test]
fn every_call_of_a_batch_is_counted_and_names_are_bounded() {
    let origin = origin();
    let proxy = Proxy::start(&routes(&origin));
    post(&proxy, "/rpc", r#"[{"method":"a","id":1},{"method":"b.c","id":2},{"id":3},{"method":"a","id":4}]"#);
    post(&proxy, "/rpc", r#"{"jsonrpc":"2.0","method":"a","params":[{"method":"no"}]}"#);
    let told = expected(&[("a", 3.0), ("b.c", 1.0), ("(unreadable)", 1.0)]);
    assert_eq!(series(&proxy, "POST /rpc"), told);
    let mut client = proxy.client();
    for n in 0..500 {
        let body = format!(r#"{{"method":"made.up.{n}"}}"#);
        client.call("POST", "/rpc", &[], body.as_bytes());
    }
    let series = series(&proxy, "POST /rpc");
    assert_eq!(series.len(), 102, "a hundred names, (other) and (unreadable)");
    assert_eq!(series["(other)"], 402.0);
    assert_eq!(proxy.metrics().calls_of("POST /rpc", "function"), 502.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_comes_in_pieces_is_passed_on_piece_by_piece() {
    let (seen, pieces) = std::sync::mpsc::channel();
    let origin = Origin::start(move |exchange| {
        loop {
            let piece = exchange.read_piece()?;
            if piece.is_empty() {
                break;
            }
            let _told = seen.send(piece);
        }
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    });
    let proxy = Proxy::start(&routes(&origin));
    let mut http = Http::one(proxy.address()).await;
    let (feed, body) = feed();
    let request = Request::post("http://shop.example/graphql").body(body).unwrap();
    let call = tokio::spawn(async move { http.call(request).await.unwrap().status });
    let pieces = std::sync::Arc::new(std::sync::Mutex::new(pieces));
    // Each piece is at the other end before the next one is sent: nothing is held back.
    for piece in [r#"{"query":"fragment F on T { a } mut"#, "ation Pie", r#"ces { a }"}"#] {
        feed.data(piece).await;
        let (pieces, mut missing) = (pieces.clone(), piece.len());
        tokio::task::spawn_blocking(move || {
            let pieces = pieces.lock().unwrap();
            while missing > 0 {
                missing -= pieces.recv_timeout(std::time::Duration::from_secs(20)).unwrap().len();
            }
        })
        .await
        .unwrap();
    }
    drop(feed);
    assert_eq!(call.await.unwrap(), 200);
    let told = tokio::task::block_in_place(|| series(&proxy, "* /graphql"));
    assert_eq!(told, expected(&[("Pieces", 1.0)]));
}

#[test]
fn a_wrong_kind_of_operations_is_refused_with_the_right_words() {
    let site =
        Site::new("legacy: http://127.0.0.1:1\nroutes:\n  - { match: POST /graphql, operations: graphq }\n");
    let refused = site.starve(&["check"]);
    assert_eq!(refused.code, Some(78));
    assert!(refused.stderr.contains("graphql") && refused.stderr.contains("json-rpc"), "{}", refused.stderr);
}
