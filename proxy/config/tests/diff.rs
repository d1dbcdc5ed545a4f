//! What a reload would change.

use std::path::Path;

use starve_config::{Document, Plan, PlanDiff, StageChange, diff, load};
use starve_migration::Stage;

const FULL: &str = include_str!("full.yaml");

fn plan(text: &str) -> Plan {
    let document = Document::new("routes.yaml", text.to_owned());
    load(&document, Path::new("/etc/starve")).unwrap_or_else(|diagnostics| panic!("{diagnostics}")).plan
}

fn changed(replacements: &[(&str, &str)]) -> PlanDiff {
    let mut text = FULL.to_owned();
    for (old, new) in replacements {
        assert!(text.contains(old), "{old} is not there");
        text = text.replacen(old, new, 1);
    }
    diff(&plan(FULL), &plan(&text))
}

#[test]
fn comments_and_moved_lines_are_no_change() {
    let diff = changed(&[("version: 1", "# a comment\n\n\nversion: 1")]);
    assert!(diff.is_empty(), "{diff}");
    assert_eq!(diff.to_string(), "");
    assert_eq!(diff.routes.unchanged.len(), 8);
}

#[test]
fn a_flip_is_singled_out() {
    let diff = changed(&[("stage: shadow", "stage: live")]);
    let flip =
        StageChange { route: "GET /products/{id:int}".to_owned(), from: Stage::Shadow, to: Stage::Live };
    assert_eq!(diff.stages, [flip]);
    assert_eq!(diff.to_string(), "~ route GET /products/{id:int}: stage shadow -> live\n");
}

#[test]
fn each_change_is_one_line() {
    let diff = changed(&[
        ("  - match: GET /coupons\n    stage: retired\n", "  - match: GET /vouchers\n"),
        (
            "percent: 5, sticky: cookie:session, group: checkout",
            "percent: 25, sticky: header:X-User, group: g",
        ),
        ("function: recommend", "function: search"),
        ("recommend: { http:", "suggest: { http:"),
        ("memory: 32MiB", "memory: 64MiB"),
        ("compare: { unordered: [$.tags] }", "compare: { ignore: [$.tags] }"),
        ("live: { mirror: 10 }", "live: { mirror: 0 }"),
        ("connections: 20000", "connections: 30000"),
        ("fallback: legacy", "fallback: legacy\n    legacy: reports"),
        ("first-byte: 30s", "first-byte: 3s"),
        ("q: \"*\"", "q: \"a\""),
    ]);
    insta::assert_snapshot!(diff);
    assert!(!diff.is_empty());
}

#[test]
fn settings_that_need_a_restart_are_named() {
    for (old, new, key) in [
        ("address: 0.0.0.0:8080", "address: 0.0.0.0:8081", "listen"),
        ("workers: auto", "workers: 2", "workers"),
        ("admin: { address: 127.0.0.1:9900 }", "admin: off", "admin"),
        ("sqlite:starve.db", "sqlite:other.db", "ledger"),
    ] {
        let diff = changed(&[(old, new)]);
        assert_eq!(diff.restart, [key]);
        assert!(diff.to_string().contains(key));
    }
}

#[test]
fn the_admin_token_is_in_no_difference() {
    let with = |token: &str| plan(&format!("legacy: http://a\nadmin: {{ token: {token} }}\n"));
    let diff = diff(&with("correct-horse-battery"), &with("staple-horse-battery"));
    assert_eq!(diff.restart, ["admin"]);
    assert!(!format!("{diff:?}").contains("horse"));
}
