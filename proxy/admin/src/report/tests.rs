use starve_ledger::{Coverage, RouteTotals};
use starve_migration::Side;

use super::facts::{Calls, Facts};
use super::*;

const DAY_MS: u64 = 86_400_000;
/// 2026-06-15T10:00:00Z.
pub(crate) const NOW: u64 = 1_781_517_600_000;

fn options() -> Options {
    Options::last(DEFAULT_WINDOW, NOW)
}

fn observed(ms: u64) -> Coverage {
    Coverage {
        window_from_unix_ms: options().since_unix_ms,
        window_until_unix_ms: NOW,
        observed_ms: ms,
        first_unix_ms: Some(NOW - ms),
        last_unix_ms: Some(NOW),
        gaps: Vec::new(),
    }
}

fn route(id: &str, stage: Stage, percent: Option<f64>) -> RouteInfo {
    RouteInfo {
        id: id.to_owned(),
        match_text: id.to_owned(),
        stage,
        percent: percent.map(|percent| Percent::new(percent).unwrap()),
        upstream: "legacy".to_owned(),
        function: stage.needs_function().then(|| "fn".to_owned()),
        line: Some(12),
        killed: false,
    }
}

fn row(route: &str, side: Option<Side>, method: &str, class: u8, calls: u64, last: u64) -> RouteTotals {
    RouteTotals {
        route: route.to_owned(),
        side,
        method: method.to_owned(),
        class,
        calls,
        duration_us: calls * 4_500,
        bytes_out: calls * 100,
        bytes_in: calls,
        apart: 0,
        first_unix_ms: last.saturating_sub(DAY_MS),
        last_unix_ms: last,
        last_regular_unix_ms: last,
    }
}

fn facts(coverage: Coverage, rows: &[RouteTotals]) -> Facts {
    let mut facts = Facts::nothing(0, NOW);
    facts.coverage = coverage;
    for row in rows {
        facts.routes.entry(row.route.clone()).or_default().add(row);
    }
    facts
}

fn judged(coverage: Coverage, rows: &[RouteTotals]) -> (Verdict, String, bool) {
    let report = assemble(&[route("r", Stage::Legacy, None)], &facts(coverage, rows), &options());
    let row = &report.routes[0];
    (row.verdict, row.evidence.clone(), report.dead.len() == 1)
}

#[test]
fn a_verdict_needs_wanted_calls_and_observed_time() {
    let whole = || observed(35 * DAY_MS);
    let short = || observed(31_000);
    let legacy = Some(Side::Legacy);
    let long_ago = NOW - 60 * DAY_MS;
    let cases = [
        // A call within the window, whatever the observation.
        (
            short(),
            vec![row("r", legacy, "GET", 2, 1, NOW - 2_000)],
            Verdict::Live,
            "1 call in 35 d, the last 2 s ago",
        ),
        (
            whole(),
            vec![row("r", legacy, "POST", 3, 5, NOW)],
            Verdict::Live,
            "5 calls in 35 d, the last just now",
        ),
        // A client that left before the answer did ask for it.
        (whole(), vec![row("r", legacy, "GET", 0, 1, NOW)], Verdict::Live, "1 call"),
        // Nothing, and hardly looked.
        (short(), vec![], Verdict::Unknown, "no calls (observed only 31 s of 35 d)"),
        (observed(0), vec![], Verdict::Unknown, "no calls (nothing observed yet)"),
        (observed(33 * DAY_MS), vec![], Verdict::Unknown, "observed only 33 d of 35 d"),
        (short(), vec![row("r", legacy, "GET", 2, 0, long_ago)], Verdict::Unknown, "the last 60 d ago"),
        // Nothing, and looked all the time.
        (whole(), vec![], Verdict::NeverSeen, "no calls in 35 d (observed 100 % of 35 d) nor ever"),
        (whole(), vec![row("r", legacy, "GET", 2, 0, long_ago)], Verdict::DeadCandidate, "the last 60 d ago"),
        (whole(), vec![], Verdict::NeverSeen, "a yearly job may not show: counting began 35 d ago"),
        // Calls that nobody needs an endpoint for.
        (
            whole(),
            vec![
                row("r", legacy, "OPTIONS", 2, 3, NOW),
                row("r", legacy, "HEAD", 2, 4, NOW),
                row("r", legacy, "GET", 4, 5, NOW),
                row("r", Some(Side::Function), "GET", 5, 6, NOW),
                row("r", None, "GET", 4, 1, NOW),
            ],
            Verdict::NeverSeen,
            "not counted: 7 HEAD or OPTIONS, 12 answered 4xx or 5xx",
        ),
    ];
    for (coverage, rows, verdict, evidence) in cases {
        let (found, text, dead) = judged(coverage, &rows);
        assert_eq!(found, verdict, "{text}");
        assert!(text.contains(evidence), "`{text}` lacks `{evidence}`");
        assert_eq!(dead, !matches!(verdict, Verdict::Live), "{text}");
    }
}

#[test]
fn health_checks_bots_and_scanners_keep_no_route_alive_and_are_told() {
    let mut bots = row("r", Some(Side::Legacy), "GET", 2, 9, NOW);
    (bots.apart, bots.last_regular_unix_ms) = (9, NOW - 50 * DAY_MS);
    let (verdict, evidence, dead) = judged(observed(35 * DAY_MS), &[bots.clone()]);
    assert_eq!((verdict, dead), (Verdict::DeadCandidate, true), "{evidence}");
    assert!(evidence.contains("the last 50 d ago"), "{evidence}");
    assert!(evidence.contains("not counted: 9 by health checks, bots or scanners"), "{evidence}");
    bots.apart = 8;
    let (verdict, evidence, _) = judged(observed(35 * DAY_MS), &[bots]);
    assert_eq!(verdict, Verdict::Live, "{evidence}");
}

#[test]
fn gaps_and_a_short_observation_are_part_of_every_verdict() {
    let mut coverage = observed(34 * DAY_MS);
    coverage.gaps = vec![
        starve_ledger::Gap { from_unix_ms: 0, until_unix_ms: 9, clean: true },
        starve_ledger::Gap { from_unix_ms: 20, until_unix_ms: 29, clean: false },
    ];
    let (_, evidence, _) = judged(coverage.clone(), &[]);
    assert!(evidence.contains("observed 97.1 % of 35 d, 2 gaps, 1 of them after a kill"), "{evidence}");
    let mut options = options();
    options.degraded = Some("disk full".to_owned());
    let warnings = assemble(&[], &facts(coverage.clone(), &[]), &options).warnings;
    assert!(warnings[0].contains("disk full") && warnings[1].contains("13 months"), "{warnings:?}");
    coverage.first_unix_ms = Some(NOW - 400 * DAY_MS);
    options.degraded = None;
    assert!(assemble(&[], &facts(coverage, &[]), &options).warnings.is_empty());
}

#[test]
fn the_longest_silent_stands_first() {
    let called = |route: &str, ago: u64| row(route, Some(Side::Legacy), "GET", 2, 0, NOW - ago * DAY_MS);
    let facts = facts(observed(35 * DAY_MS), &[called("recent", 40), called("old", 300)]);
    let routes = ["recent", "never", "old"].map(|id| route(id, Stage::Legacy, None));
    let report = assemble(&routes, &facts, &options());
    let dead: Vec<_> = report.dead.iter().map(|row| (row.route.as_str(), row.silent_ms / DAY_MS)).collect();
    assert_eq!(dead, [("never", 35), ("old", 300), ("recent", 40)]);
}

#[test]
fn a_route_whose_calls_fade_away_is_quiet() {
    for (recently, verdict) in
        [(0, Verdict::Quiet), (24, Verdict::Quiet), (25, Verdict::Live), (500, Verdict::Live)]
    {
        let mut facts = facts(observed(35 * DAY_MS), &[row("r", Some(Side::Legacy), "GET", 2, 1_000, NOW)]);
        facts.routes.get_mut("r").unwrap().wanted_recently = recently;
        let report = assemble(&[route("r", Stage::Legacy, None)], &facts, &options());
        assert_eq!(report.routes[0].verdict, verdict, "{recently}: {}", report.routes[0].evidence);
    }
}

#[test]
fn a_retired_route_is_not_dead_again_and_a_scan_is_no_endpoint() {
    let mut facts = facts(observed(35 * DAY_MS), &[row("old", None, "GET", 4, 9, NOW)]);
    for (template, class, calls, last) in
        [("/gone", 2, 0, NOW - 50 * DAY_MS), ("/wp-login.php", 4, 70, NOW), ("/used", 2, 3, NOW)]
    {
        let calls_of = facts.discovered.entry(("GET".to_owned(), template.to_owned())).or_default();
        calls_of.add(&row(template, Some(Side::Legacy), "GET", class, calls, last));
    }
    let report = assemble(&[route("old", Stage::Retired, None)], &facts, &options());
    let dead: Vec<_> = report.dead.iter().map(|row| row.route.as_str()).collect();
    assert_eq!(dead, ["GET /gone"]);
    let discovered: Vec<_> = report.discovered.iter().map(|row| row.template.as_str()).collect();
    assert_eq!(discovered, ["/wp-login.php", "/used"]);
    assert_eq!(report.progress.discovered, 1);
    assert_eq!(report.routes[0].next_step, "9 calls still got 410: find out who");
}

#[test]
fn what_belongs_to_no_endpoint_is_shown_without_a_method() {
    let mut facts = facts(observed(35 * DAY_MS), &[]);
    for (method, template) in [("_OTHER", "(unmatched)"), ("_OTHER", "/odd")] {
        let calls_of = facts.discovered.entry((method.to_owned(), template.to_owned())).or_default();
        calls_of.add(&row(template, Some(Side::Legacy), method, 4, 7, NOW));
    }
    let report = assemble(&[], &facts, &options());
    let table = report.table(TableStyle { width: 120, colour: false });
    for text in [table, report.markdown(), report.csv()] {
        assert!(text.contains("(unmatched)") && !text.contains("_OTHER (unmatched)"), "{text}");
        assert!(text.contains("_OTHER /odd"), "{text}");
    }
}

#[test]
fn progress_counts_calls_and_routes_of_the_monolith() {
    let rows = [
        row("a", Some(Side::Legacy), "GET", 2, 60, NOW),
        row("b", Some(Side::Legacy), "GET", 2, 10, NOW),
        row("b", Some(Side::Function), "GET", 2, 20, NOW),
        row("c", None, "GET", 4, 7, NOW),
    ];
    let mut facts = facts(observed(31_000), &rows);
    let mut unrouted = Calls::default();
    unrouted.add(&row("/x", Some(Side::Legacy), "GET", 2, 10, NOW));
    facts.discovered.insert(("GET".to_owned(), "/x".to_owned()), unrouted);
    let routes = [
        route("a", Stage::Legacy, None),
        route("b", Stage::Canary, Some(5.0)),
        route("c", Stage::Retired, None),
    ];
    let progress = assemble(&routes, &facts, &options()).progress;
    assert_eq!(
        (progress.calls, progress.calls_legacy, progress.calls_function, progress.calls_nobody),
        (100, 80, 20, 7)
    );
    assert_eq!(progress.legacy_call_ratio, Some(0.8));
    assert_eq!((progress.routes, progress.routes_on_legacy, progress.discovered), (3, 2, 1));
    assert_eq!(progress.legacy_route_ratio, Some(0.75));
    assert_eq!(progress.routes_by_stage["canary"], 1);
}

#[test]
fn a_configured_template_is_no_discovery_any_more() {
    let mut facts = facts(observed(31_000), &[]);
    let mut unrouted = Calls::default();
    unrouted.add(&row("/x/{id}", Some(Side::Legacy), "GET", 2, 10, NOW));
    facts.discovered.insert(("GET".to_owned(), "/x/{id}".to_owned()), unrouted);
    let report = assemble(&[route("GET /x/{id}", Stage::Legacy, None)], &facts, &options());
    assert!(report.discovered.is_empty() && report.progress.discovered == 0);
}

#[test]
fn every_stage_has_its_next_step() {
    let compared = |equal: u64, different: u64, failed: u64| ComparisonReport {
        compared: equal + different,
        equal,
        different,
        different_ratio: share(different, equal + different),
        function_failed: failed,
        ..ComparisonReport::default()
    };
    let cases = [
        (Stage::Legacy, compared(0, 0, 0), "no function yet: write one, then go to shadow"),
        (Stage::Shadow, compared(0, 0, 0), "nothing compared yet"),
        (Stage::Shadow, compared(212, 0, 0), "212 of 300 compared, no difference yet"),
        (Stage::Shadow, compared(300, 0, 0), "300 compared, no difference: go to canary"),
        (Stage::Shadow, compared(300, 0, 4), "the function failed 4 of its copies: mend it"),
        (Stage::Canary, compared(900, 0, 0), "900 compared, no difference: raise the share"),
        (Stage::Live, compared(1_900, 0, 0), "1,900 compared, no difference: go to done"),
        (Stage::Live, compared(99, 1, 0), "differs in 1 % of 100: look at `starve diffs`"),
        (Stage::Done, compared(0, 0, 0), "delete the monolith's code for it"),
    ];
    for (stage, comparison, expected) in cases {
        let mut facts = facts(observed(31_000), &[row("r", Some(Side::Legacy), "GET", 2, 5, NOW)]);
        facts.comparisons.insert("r".to_owned(), comparison);
        let report = assemble(&[route("r", stage, None)], &facts, &options());
        assert_eq!(report.routes[0].next_step, expected, "{stage}");
    }
}

/// A bit of everything.
pub(crate) fn demo() -> Report {
    let rows = [
        row("GET /products/{id:int}", Some(Side::Legacy), "GET", 2, 812, NOW - 2_000),
        row("GET /price", Some(Side::Legacy), "GET", 2, 11, NOW - 3_000),
        row("GET /price", Some(Side::Function), "GET", 2, 801, NOW),
        row("GET /price", Some(Side::Function), "GET", 5, 3, NOW),
        row("POST /orders", Some(Side::Legacy), "POST", 2, 1_234_567, NOW - 60_000),
        row("GET /coupons/{code:slug}/redemptions/{year:int}/{rest*}", None, "GET", 4, 2, NOW - 1_000),
    ];
    let mut facts = facts(observed(31_000), &rows);
    let mut unrouted = Calls::default();
    unrouted.add(&row("x", Some(Side::Legacy), "GET", 2, 17, NOW - 9_000));
    facts.discovered.insert(("GET".to_owned(), "/carts/{id}/items/\u{1b}[31m".to_owned()), unrouted);
    let price = facts.routes.get_mut("GET /price").unwrap();
    (price.legacy.buckets[7], price.legacy.buckets[12]) = (10, 1);
    (price.function.buckets[5], price.function.buckets[9]) = (780, 24);
    price.not_wanted.bots = 4;
    facts.history = [(900, 0, 4), (600, 200, 4), (1_235_407, 804, 3)]
        .into_iter()
        .enumerate()
        .map(|(day, (legacy, function, on_legacy))| ProgressDay {
            day_unix_ms: NOW / DAY_MS * DAY_MS - (2 - day as u64) * DAY_MS,
            calls_legacy: legacy,
            calls_function: function,
            calls_nobody: 0,
            legacy_us: legacy * 10,
            function_us: function * 10,
            routes: Some(5),
            routes_on_legacy: Some(on_legacy),
        })
        .collect();
    facts.comparisons.insert(
        "GET /price".to_owned(),
        ComparisonReport {
            compared: 812,
            equal: 739,
            different: 73,
            different_ratio: share(73, 812),
            fields: vec![
                FieldReport {
                    path: "body:$.gross_cents".into(),
                    kind: "value".into(),
                    n: 73,
                    ratio: 73.0 / 812.0,
                },
                FieldReport { path: "header:etag".into(), kind: "missing".into(), n: 2, ratio: 2.0 / 812.0 },
            ],
            ..ComparisonReport::default()
        },
    );
    facts.comparisons.insert(
        "GET /products/{id:int}".to_owned(),
        ComparisonReport {
            compared: 212,
            equal: 212,
            different_ratio: Some(0.0),
            ..ComparisonReport::default()
        },
    );
    let routes = [
        route("GET /products/{id:int}", Stage::Shadow, Some(100.0)),
        route("GET /price", Stage::Canary, Some(12.5)),
        route("POST /orders", Stage::Legacy, None),
        route("GET /reports/{year:int}/{rest*}", Stage::Legacy, None),
        route("GET /coupons/{code:slug}/redemptions/{year:int}/{rest*}", Stage::Retired, None),
    ];
    let mut options = options();
    options.last_reload = Some(LastReload {
        ok: false,
        at_unix_ms: NOW - 5_000,
        errors: "error: unknown key `stagee`\n --> routes.yaml:31:5".to_owned(),
    });
    assemble(&routes, &facts, &options)
}

#[test]
fn the_table_fits_80_columns() {
    let text = demo().table(TableStyle { width: 80, colour: false });
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains('\u{1b}'));
    insta::assert_snapshot!(text);
}

#[test]
fn the_table_uses_120_columns() {
    let text = demo().table(TableStyle { width: 120, colour: false });
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn colour_changes_nothing_but_colour() {
    let plain = demo().table(TableStyle { width: 100, colour: false });
    let mut coloured = demo().table(TableStyle { width: 100, colour: true });
    assert_ne!(plain, coloured);
    for code in [0, 1, 2, 31, 32, 33] {
        coloured = coloured.replace(&format!("\u{1b}[{code}m"), "");
    }
    let trimmed: Vec<_> = coloured.lines().map(str::trim_end).collect();
    assert_eq!(trimmed, plain.lines().collect::<Vec<_>>());
}

#[test]
fn the_other_forms_of_a_report() {
    let report = demo();
    insta::assert_snapshot!("csv", report.csv());
    insta::assert_snapshot!("markdown", report.markdown());
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!(json["routes"][1]["match"], "GET /price");
    assert_eq!(json["routes"][1]["percent"], 12.5);
    assert_eq!(json["routes"][3]["verdict"], "unknown");
    assert_eq!(json["dead"][0]["route"], "GET /reports/{year:int}/{rest*}");
    assert_eq!(json["progress"]["calls_legacy"], 1_235_407_u64);
}

#[test]
fn an_empty_report_is_a_report() {
    let report = assemble(&[], &Facts::nothing(0, NOW), &options());
    let text = report.table(TableStyle { width: 80, colour: false });
    assert!(text.contains("no calls yet") && text.contains("nothing observed yet"), "{text}");
    assert_eq!(report.csv().lines().count(), 1);
}
