//! Who calls a route, as `starve callers` tells it.

use e2e::{After, Origin, Proxy, eventually};
use serde_json::Value;

fn obliging() -> Origin {
    Origin::start(|exchange| {
        exchange.answer(200, &[], b"x")?;
        Ok(After::Keep)
    })
}

fn called(callers: &str) -> (Origin, Proxy) {
    let legacy = obliging();
    let proxy =
        Proxy::start(&format!("legacy: {}\n{callers}routes: [ {{ match: GET /a }} ]\n", legacy.url()));
    let mut client = proxy.client();
    for n in 0..9 {
        let id = if n < 6 { "ann@shop.example" } else { "bob@shop.example" };
        let fields = [
            ("user-agent", if n < 7 { "okhttp/4.12.0" } else { "curl/8" }),
            ("x-client-id", id),
            ("referer", "http://portal.example/products/17?token=secret"),
        ];
        client.call("GET", "/a", &fields, b"");
    }
    (legacy, proxy)
}

fn kind<'a>(callers: &'a Value, kind: &str) -> &'a Value {
    let kinds = callers["kinds"].as_array().unwrap();
    kinds.iter().find(|row| row["kind"] == kind).unwrap_or_else(|| panic!("no {kind} in {callers}"))
}

#[test]
fn callers_are_told_by_client_agent_referer_and_network() {
    let (_legacy, proxy) = called("callers: { id: 'header:X-Client-Id' }\n");
    let site = proxy.site().clone();
    proxy.stop();
    let text = site.starve(&["callers", "GET /a", "--format", "json"]).ok().stdout;
    assert!(!text.contains("ann") && !text.contains("secret"), "{text}");
    let callers: Value = serde_json::from_str(&text).unwrap();
    let clients = kind(&callers, "client");
    assert_eq!((&clients["distinct"], &clients["calls"]), (&2.into(), &9.into()));
    assert!(clients["top"][0]["caller"].as_str().unwrap().starts_with('#'), "{clients}");
    for (of, place, caller, calls) in [
        ("agent", 0, "okhttp", 7),
        ("agent", 1, "curl", 2),
        ("referer", 0, "portal.example/products/{int}", 9),
        ("network", 0, "127.0.0.0/24", 9),
    ] {
        let row = &kind(&callers, of)["top"][place];
        assert_eq!((&row["caller"], &row["calls_at_least"]), (&caller.into(), &calls.into()), "{callers}");
        assert_eq!(row["calls_at_most"], row["calls_at_least"]);
    }
    let table = site.starve(&["callers", "GET /a"]).ok().stdout;
    assert!(table.contains("User agents (2 different, 9 calls)") && table.contains("okhttp"), "{table}");
    for format in ["csv", "markdown"] {
        let text = site.starve(&["callers", "GET /a", "--format", format]).ok().stdout;
        assert!(text.contains("127.0.0.0/24"), "{text}");
    }
    let row = site.report().route("GET /a").clone();
    assert_eq!(row["who"][0]["agent"], "okhttp", "{row}");
    assert!(row["evidence"].as_str().unwrap().contains("by okhttp (7), curl (2)"), "{row}");
    let first = clients["top"][0].clone();
    let again = site.run();
    again.client().call("GET", "/a", &[("x-client-id", "ann@shop.example")], b"");
    again.stop();
    let later = site.starve(&["callers", "GET /a", "--format", "json"]).ok().json();
    let top = &kind(&later, "client")["top"][0];
    assert_eq!(
        (&top["caller"], &top["calls_at_least"]),
        (&first["caller"], &7.into()),
        "same after a restart"
    );
}

#[test]
fn the_page_and_the_running_proxy_tell_them_too_and_off_means_off() {
    let (_legacy, proxy) = called("");
    let callers = eventually("callers to be written", || {
        let callers = proxy.starve(&["callers", "GET /a", "--format", "json"]).ok().json();
        if callers["kinds"] == serde_json::json!([]) { Err(callers.to_string()) } else { Ok(callers) }
    });
    assert_eq!(callers["kinds"].as_array().unwrap().len(), 3, "no client id without a key that names it");
    let page = proxy.admin_call("GET", "/routes?id=GET%20%2Fa", "").text();
    assert!(page.contains("User agents") && page.contains("okhttp"), "{page}");
    let unknown = proxy.starve(&["callers", "GET /nope"]);
    assert_eq!(unknown.code, Some(1), "{}", unknown.stderr);

    let (_legacy, proxy) = called("callers: off\n");
    let site = proxy.site().clone();
    proxy.stop();
    let callers = site.starve(&["callers", "GET /a", "--format", "json"]).ok().json();
    assert_eq!(callers["kinds"], serde_json::json!([]));
    assert_eq!(site.report().calls("GET /a"), (9, 0, 0));
}
