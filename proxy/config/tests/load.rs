//! What good files say.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use starve_config::{
    Balance, Document, FunctionHost, LEGACY, LedgerPlan, LimitsPlan, Loaded, Plan, ServerPlan, load,
};
use starve_migration::{Percent, Stage, StickyKey};

fn loaded(text: &str) -> Loaded {
    let document = Document::new("routes.yaml", text.to_owned());
    load(&document, Path::new("/etc/starve")).unwrap_or_else(|diagnostics| panic!("{diagnostics}"))
}

fn plan(text: &str) -> Plan {
    loaded(text).plan
}

#[test]
fn one_line_is_a_whole_configuration() {
    let plan = plan("legacy: http://127.0.0.1:3000");
    assert_eq!(plan.listeners[0].address, SocketAddr::from(([127, 0, 0, 1], 8080)));
    assert_eq!(plan.admin.as_ref().unwrap().address, SocketAddr::from(([127, 0, 0, 1], 9900)));
    assert_eq!(plan.ledger, LedgerPlan::Sqlite("/etc/starve/starve.db".into()));
    assert_eq!(plan.workers, None);
    assert_eq!(plan.limits, LimitsPlan::default());
    assert_eq!(plan.legacy().servers, [ServerPlan::Http { host: "127.0.0.1".to_owned(), port: 3000 }]);
    assert_eq!(plan.legacy().balance, Balance::LeastRequests);
    assert!(plan.routes.is_empty() && plan.functions.is_empty());
}

#[test]
fn the_full_example_is_read_key_by_key() {
    let loaded = loaded(include_str!("full.yaml"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    insta::assert_debug_snapshot!(loaded.plan);
}

#[test]
fn files_are_relative_to_the_configuration_and_arguments_are_not_touched() {
    let plan = plan(include_str!("full.yaml"));
    let tls = plan.listeners[1].tls.as_ref().unwrap();
    assert_eq!(tls.certificates[0].key, Path::new("/etc/starve/tls/shop.key"));
    let FunctionHost::Process { command, working_dir, .. } = &plan.functions["search"].host else { panic!() };
    assert_eq!(command.as_slice(), ["/etc/starve/bin/search", "--fast", "files/index"]);
    assert_eq!(working_dir, Path::new("/etc/starve"));
    let FunctionHost::Process { command, .. } = &plan.functions["create-order"].host else { panic!() };
    assert_eq!(command[0], "node", "a program without a slash is looked up in PATH");
}

#[test]
fn a_route_takes_what_it_does_not_say_from_the_defaults() {
    let plan = plan(include_str!("full.yaml"));
    let product = &plan.routes[0];
    assert_eq!(product.policy.shadow, Percent::new(50.0).unwrap());
    assert_eq!(product.compare.ignore.len(), 1);
    assert_eq!(product.compare.unordered.len(), 1);
    assert_eq!(product.compare.ignore_headers, ["x-runtime"]);
    assert_eq!(product.upstream, LEGACY);
    assert_eq!(product.sticky, StickyKey::Own);
    let order = &plan.routes[1];
    assert_eq!(order.policy.shadow, Percent::HUNDRED);
    assert!(order.policy.copy_writes && order.fallback);
}

#[test]
fn without_defaults_a_shadow_takes_all_calls_and_a_live_route_mirrors_none() {
    let plan = plan(
        "legacy: http://a\nfunctions: { f: { http: http://b } }\nroutes: [{ match: GET /, function: f }]",
    );
    assert_eq!(plan.routes[0].policy.shadow, Percent::HUNDRED);
    assert_eq!(plan.routes[0].policy.mirror, Percent::ZERO);
    assert_eq!(plan.routes[0].policy.stage, Stage::Legacy);
    assert_eq!(plan.functions["f"].timeout, Duration::from_secs(30));
}

#[test]
fn ids_are_the_names_or_the_patterns_and_different_from_one_another() {
    let plan = plan(include_str!("full.yaml"));
    let ids: Vec<&str> = plan.routes.iter().map(|route| route.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "GET /products/{id:int}",
            "place an order",
            "GET /search when header accept=application/json, query q",
            "GET /search",
            "GET /reports/{year:int}/{rest*}",
            "GET /old",
            "GET /assets/{path*}",
            "GET /coupons",
        ]
    );
    assert_eq!(plan.routes[0].group, ids[0], "a group of its own");
    assert_eq!(plan.routes[1].group, "checkout");
    assert_eq!(
        plan.routes[2].line,
        include_str!("full.yaml").lines().position(|l| l.contains("# pred")).unwrap() + 1
    );
}

#[test]
fn the_admin_pages_can_be_switched_off() {
    assert!(plan("legacy: http://a\nadmin: off").admin.is_none());
}

#[test]
fn an_admin_address_for_others_needs_a_token_and_keeps_it_out_of_sight() {
    let loaded = loaded("legacy: http://a\nadmin: { address: 0.0.0.0:9900, token: correct-horse-battery }");
    assert_eq!(loaded.plan.admin.as_ref().unwrap().token.as_ref().unwrap().0, "correct-horse-battery");
    assert!(!format!("{loaded:?}").contains("horse"));
}

#[test]
fn lists_and_tables_that_are_commented_out_are_empty() {
    let plan = plan("legacy: http://a\nfunctions:\n  # none yet\nroutes:\n  # - match: GET /\n");
    assert!(plan.routes.is_empty() && plan.functions.is_empty());
}

#[test]
fn values_can_be_repeated_by_an_alias() {
    let text = "legacy: http://a\nfunctions: { f: { http: http://b, timeout: &t 5s }, g: { http: http://c, timeout: *t } }\n\
                routes: [{ match: GET /f, function: f }, { match: GET /g, function: g }]";
    assert_eq!(plan(text).functions["g"].timeout, Duration::from_secs(5));
}

#[test]
fn two_texts_that_say_the_same_give_equal_plans() {
    let block = "legacy: http://a\nroutes:\n  - match: GET /x\n    when:\n      query: { a: 1, b: 2 }\n";
    let flow = "routes: [{ when: { query: { b: '2', a: '1' } }, match: GET /x }]\nlegacy: http://a:80/\n";
    let (mut block, mut flow) = (plan(block), plan(flow));
    for plan in [&mut block, &mut flow] {
        std::sync::Arc::make_mut(&mut plan.routes[0]).line = 0;
    }
    assert_eq!(block, flow);
}

#[test]
fn an_error_found_later_finds_its_place() {
    let text = include_str!("full.yaml");
    let loaded = loaded(text);
    let document = Document::new("routes.yaml", text.to_owned());
    let positions = &loaded.positions;
    for (span, shown) in [
        (positions.function("get-product", "wasm"), "functions/get-product/get-product.wasm"),
        (positions.function("get-product", "queue"), "get-product"),
        (positions.certificate(1, 0, "key"), "tls/shop.key"),
        (positions.listener(1), "0.0.0.0:8443"),
        (positions.listener(7), "listen"),
        (positions.upstream("reports", "servers"), "servers"),
        (positions.upstream(LEGACY, "host"), "preserve"),
        (positions.route("place an order", "stage"), "canary"),
        (positions.route("GET /coupons", "function"), "match"),
        (positions.find(&["ledger", "url"]), "\"sqlite:starve.db\""),
    ] {
        assert_eq!(document.slice(span), shown);
    }
}
