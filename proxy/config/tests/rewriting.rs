//! What routes may do to messages, and every mistake in saying so.

use std::path::Path;
use std::time::Duration;

use starve_config::{Document, Plan, diff, load};
use starve_migration::{Side, Stage};
use starve_routing::{Context, Place, PlainRequest};

fn text(route: &str) -> String {
    format!("legacy: http://a\nfunctions: {{ f: {{ http: http://f }} }}\nroutes:\n{route}")
}

fn plan(route: &str) -> Plan {
    let document = Document::new("routes.yaml", text(route));
    load(&document, Path::new("/etc/starve")).unwrap_or_else(|diagnostics| panic!("{diagnostics}")).plan
}

/// Line, column and message of each mistake, with the nearest name.
fn mistakes(route: &str) -> Vec<String> {
    let document = Document::new("routes.yaml", text(route));
    let Err(diagnostics) = load(&document, Path::new("/etc/starve")) else { panic!("{route} was taken") };
    let problems = diagnostics.problems();
    let line = |problem: &starve_config::Problem| {
        let nearest = problem.suggestion.as_ref().map(|text| format!(" ({text}?)")).unwrap_or_default();
        format!("{}:{} {}{nearest}", problem.line, problem.column, problem.message)
    };
    problems.iter().map(line).collect()
}

#[test]
fn each_side_has_its_target() {
    let plan = plan("  - { match: 'GET /o/{id}', function: f, rewrite: { function: '/v2/{id}?a=1' } }");
    let route = &plan.routes[0];
    assert!(route.changes.rewrite(Side::Legacy).is_none() && route.changes.is_empty(Side::Legacy));
    assert_eq!(route.changes.rewrite(Side::Function).unwrap().to_string(), "/v2/{id}?a=1");
}

#[test]
fn a_body_written_as_yaml_is_json() {
    let plan = plan(
        "  - match: GET /a/{x}\n    respond:\n      body: { ok: true, n: -1.5e3, s: no, q: \"7\", x: 'a\"{x}', l: [1, ~], 01: 01 }\n",
    );
    let body = plan.routes[0].respond.as_ref().unwrap().body.as_ref().unwrap();
    assert_eq!((body.place, body.content_type), (Place::Json, "application/json"));
    let request = PlainRequest::new("GET", "/a/%22%5C");
    let context = Context { request: &request, pattern: &plan.routes[0].pattern, response: None };
    let json = String::from_utf8(body.template.render(body.place, context)).unwrap();
    let expected = r#"{"ok":true,"n":-1.5e3,"s":"no","q":"7","x":"a\"\"\\","l":[1,null],"01":"01"}"#;
    assert_eq!(json, expected);
}

#[test]
fn files_stand_in_a_function_s_place() {
    let plan = plan(
        "  - { match: 'GET /assets/{path*}', files: dist }\n  - { match: GET /b, files: dist, stage: shadow }",
    );
    assert_eq!(plan.routes[0].policy.stage, Stage::Done);
    assert_eq!(plan.routes[0].files.as_ref().unwrap().folder, Path::new("/etc/starve/dist"));
    assert_eq!(plan.routes[0].changes.rewrite(Side::Function).unwrap().to_string(), "/{path}");
    assert_eq!(plan.routes[1].policy.stage, Stage::Shadow);
}

#[test]
fn a_route_has_its_own_time_and_its_own_word_on_clients_that_leave() {
    let plan = plan("  - { match: POST /a, timeout: 3s, on-client-abort: cancel }\n  - { match: POST /b }");
    assert_eq!((plan.routes[0].timeout, plan.routes[0].finish_writes), (Some(Duration::from_secs(3)), false));
    assert_eq!((plan.routes[1].timeout, plan.routes[1].finish_writes), (None, true));
}

#[test]
fn every_mistake_is_named_where_it_stands() {
    let routes = [
        "  - { match: 'GET /o/{order-id}', rewrite: '/v2/{orderid}' }",
        "  - { match: GET /a, rewrite: v2 }",
        "  - { match: GET /a, rewrite: { legcay: /b } }",
        "  - { match: GET /a, request: { set: { Host: b, transfer-encoding: chunked, 'a b': c } } }",
        "  - { match: GET /a, response: { set: { x: '{response.statsu}' }, remove: [X, content-length], status: 304 } }",
        "  - { match: GET /a, request: { set: { x: '{response.status}' } } }",
        "  - { match: GET /a, request: { set: { x: \"a\\nb\" } } }",
        "  - { match: GET /a, request: { set: { x: a }, remove: [X] } }",
        "  - { match: GET /a, request: { method: connect } }",
        "  - { match: GET /a, respond: { status: 204, body: x } }",
        "  - { match: GET /a, respond: {}, stage: done, function: f }",
        "  - { match: GET /a, function: f, files: dist }",
        "  - { match: GET /a, files: { single-page: ../x } }",
        "  - { match: GET /a, on-client-abort: finsh }",
        "  - { match: GET /a, sunset: {} }",
        "  - { match: GET /a, sunset: { at: 2027-02-30, link: 'a b' } }",
        "  - { match: GET /a, sunset: { deprecated: 2027-02-01, at: 2027-01-01 } }",
    ];
    let said = routes.map(|route| format!("{}\n{}\n", route, mistakes(route).join("\n")));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn brownouts_lie_between_the_deprecation_and_the_end_and_apart() {
    let sunset = |windows: &str| {
        format!(
            "  - match: GET /a\n    sunset: {{ deprecated: 2027-01-01, at: 2027-02-01, brownouts: [{windows}] }}"
        )
    };
    let ok = plan(&sunset(
        "{ from: 2027-01-11T10:00+01:00, to: 2027-01-11T10:00Z }, { from: 2027-01-02, to: 2027-01-03 }",
    ));
    let windows = &ok.routes[0].sunset.as_ref().unwrap().brownouts;
    assert_eq!(*windows, [1_798_848_000..1_798_934_400, 1_799_658_000..1_799_661_600]);
    for (windows, message) in [
        ("{ from: 2027-01-02, to: 2027-01-02 }", "the brownout ends before it begins"),
        ("{ from: 2026-12-31, to: 2027-01-02 }", "the brownout begins before the deprecation"),
        ("{ from: 2027-01-31, to: 2027-02-02 }", "the brownout goes on after the end"),
        (
            "{ from: 2027-01-02, to: 2027-01-04 }, { from: 2027-01-03, to: 2027-01-05 }",
            "two brownouts overlap",
        ),
        ("{ from: 2027-01-02 }", "a brownout has no `to`"),
    ] {
        let found = mistakes(&sunset(windows));
        assert!(found.len() == 1 && found[0].ends_with(message), "{found:?}");
    }
}

#[test]
fn a_change_shows_names_and_no_values() {
    let route = |secret: &str, more: &str| {
        plan(&format!(
            "  - {{ match: GET /a, request: {{ set: {{ authorization: 'Bearer {secret}' }} }}, timeout: 3s{more} }}"
        ))
    };
    let text = diff(&route("old-secret", ""), &route("new-secret", ", rewrite: /b")).to_string();
    assert_eq!(
        text,
        "~ route GET /a: rewrite.legacy none -> /b\n~ route GET /a: rewrite.function none -> /b\n\
         ~ route GET /a: request set authorization -> set authorization (other values)\n"
    );
    let wrong = "  - { match: GET /a, request: { set: { authorization: 'Bearer s3cret{' } } }";
    let document = Document::new("routes.yaml", self::text(wrong));
    let diagnostics = load(&document, Path::new("/")).unwrap_err();
    assert!(!diagnostics.to_string().contains("s3cret"), "{diagnostics}");
}
