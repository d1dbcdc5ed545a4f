use starve_ledger::{Health, LoggedSample};

use super::*;
use crate::control::LastReload;
use crate::report::tests::{NOW, demo};

fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        pid: 4242,
        workers: 2,
        started_at_unix_ms: NOW - 31_000,
        config_path: "routes.yaml".into(),
        generation: 7,
        loaded_at_unix_ms: NOW - 31_000,
        last_reload: Some(LastReload {
            ok: false,
            at_unix_ms: NOW - 5_000,
            errors: "error: unknown key `<stagee>`".to_owned(),
        }),
        ledger: Some(Health { degraded: Some("disk full".to_owned()), ..Health::default() }),
        kill_switch: true,
    }
}

/// One element a line, so that a change can be read.
fn lines(html: &str) -> String {
    html.replace("><", ">\n<")
}

#[test]
fn the_overview() {
    let status = status();
    let page = document("starve", &status, &overview::main(&status, &demo(), None));
    insta::assert_snapshot!(lines(&page));
}

#[test]
fn the_page_of_a_route() {
    let (status, report) = (status(), demo());
    let samples =
        [r#"[{"path":"body:$.gross_cents","kind":"value","legacy":119,"function":"<b>"}]"#, "not json <b>"]
            .map(|differences| LoggedSample {
                id: 1,
                route: "GET /price".to_owned(),
                at_unix_ms: NOW,
                method: "GET".to_owned(),
                target: "/price?x=<b>".to_owned(),
                verdict: "different_body".to_owned(),
                differences: differences.to_owned(),
            });
    let kind = |kind, distinct_is_exact, caller: &str| starve_ledger::KindCallers {
        kind,
        calls: 804,
        distinct: 3,
        distinct_is_exact,
        top: vec![starve_ledger::CallerRow {
            caller: caller.into(),
            calls_at_least: 700,
            calls_at_most: 704,
        }],
    };
    let kinds = vec![kind("agent", true, "curl"), kind("referer", false, "/<b>")];
    let callers = Callers { route: "GET /price".to_owned(), since_unix_ms: NOW, kinds };
    let page =
        document("GET /price", &status, &route::main(&status, &report.routes[1], &samples, &callers, NOW));
    assert!(!page.contains("<b>"));
    insta::assert_snapshot!(lines(&page));
}
