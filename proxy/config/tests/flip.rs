//! A flip changes one word of the file and nothing else.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use std::path::Path;

use proptest::prelude::*;
use starve_config::{Document, FlipError, Plan, flip, load};
use starve_migration::{Percent, Stage};

fn plan(text: &str) -> Plan {
    let document = Document::new("routes.yaml", text.to_owned());
    load(&document, Path::new("/")).unwrap_or_else(|diagnostics| panic!("{text}\n{diagnostics}")).plan
}

fn percent(value: f64) -> Option<Percent> {
    Some(Percent::new(value).unwrap())
}

const FUNCTION: &str = "legacy: http://a\nfunctions: { f: { http: http://b } }\n";

/// Flips the only route of an entry and shows the entry afterwards.
fn flipped(entry: &str, stage: Stage, percent: Option<Percent>) -> String {
    let text = format!("{FUNCTION}routes:\n{entry}");
    let edited = flip(&text, "GET /x", stage, percent).unwrap_or_else(|error| panic!("{text}\n{error}"));
    edited.strip_prefix(FUNCTION).unwrap().strip_prefix("routes:\n").unwrap().to_owned()
}

#[test]
fn the_word_behind_stage_is_replaced() {
    for (entry, after) in [
        (
            "  - match: GET /x\n    function: f\n    stage: shadow  # since May\n",
            "stage: live  # since May\n",
        ),
        ("  - stage:   'shadow'\n    match: GET /x\n    function: f", "stage:   'live'\n    match"),
        ("  - { match: GET /x, function: f, stage: \"shadow\" }\n", "stage: \"live\" }\n"),
        ("- match: GET /x\r\n  function: f\r\n  stage: shadow\r\n", "stage: live\r\n"),
        ("  - match: GET /x\n    function: f\n    ? stage\n    : shadow\n", ": live\n"),
        ("  - match: GET /x\n    function: f\n    stage:\n      # now\n      shadow", "# now\n      live"),
    ] {
        let edited = flipped(entry, Stage::Live, None);
        assert!(edited.contains(after), "{edited}");
        assert_eq!(edited.replacen("live", "shadow", 1), entry);
    }
}

#[test]
fn a_stage_that_is_not_written_is_added_in_the_style_of_the_entry() {
    for (entry, expected) in [
        (
            "  - match: GET /x # the shop\n    function: f   # new\n\n  # next\n  - match: GET /y\n",
            "  - match: GET /x # the shop\n    function: f   # new\n    stage: live\n\n  # next\n  - match: GET /y\n",
        ),
        ("- match: GET /x\n  function: f", "- match: GET /x\n  function: f\n  stage: live"),
        ("- match: GET /x\r\n  function: f\r\n", "- match: GET /x\r\n  function: f\r\n  stage: live\r\n"),
        (
            "  -   function: f\n      match: GET /x\n      fallback: legacy\n",
            "  -   function: f\n      stage: live\n      match: GET /x\n      fallback: legacy\n",
        ),
        ("  - {match: GET /x, function: f}\n", "  - {match: GET /x, function: f, stage: live}\n"),
        (
            "  - { \"match\": \"GET /x\", \"function\": \"f\" }\n",
            "  - { \"match\": \"GET /x\", \"function\": \"f\", \"stage\": \"live\" }\n",
        ),
        (
            "  - {\n    match: GET /x,\n    function: f\n  }\n",
            "  - {\n    match: GET /x,\n    function: f, stage: live\n  }\n",
        ),
    ] {
        assert_eq!(flipped(entry, Stage::Live, None), expected);
    }
}

#[test]
fn a_percentage_is_changed_where_it_stands_or_added() {
    let block = "  - match: GET /x\n    function: f\n    stage: canary\n";
    for (entry, expected) in [
        (
            "    canary: { percent: 5, group: g } # slowly\n",
            "    canary: { percent: 12.5, group: g } # slowly\n",
        ),
        (
            "    canary:\n      group: g\n      percent: 5\n",
            "    canary:\n      group: g\n      percent: 12.5\n",
        ),
        ("    canary:\n      percent: '5%'\n", "    canary:\n      percent: '12.5'\n"),
    ] {
        assert_eq!(
            flipped(&format!("{block}{entry}"), Stage::Canary, percent(12.5)),
            format!("{block}{expected}")
        );
    }
    for (entry, expected) in [
        (
            "  - match: GET /x\n    function: f\n    stage: shadow # soon\n    fallback: legacy\n",
            "  - match: GET /x\n    function: f\n    stage: canary # soon\n    canary: { percent: 5 }\n    fallback: legacy\n",
        ),
        (
            "  - match: GET /x\n    function: f\n",
            "  - match: GET /x\n    function: f\n    stage: canary\n    canary: { percent: 5 }\n",
        ),
        (
            "  - { match: GET /x, function: f, stage: shadow }\n",
            "  - { match: GET /x, function: f, stage: canary, canary: { percent: 5 } }\n",
        ),
        (
            "  - match: GET /x\n    function: f\n    stage: shadow\n    canary: { group: g }\n",
            "  - match: GET /x\n    function: f\n    stage: canary\n    canary: { percent: 5, group: g }\n",
        ),
        (
            "  - match: GET /x\n    function: f\n    stage: shadow\n    canary:\n      # who\n      group: g\n",
            "  - match: GET /x\n    function: f\n    stage: canary\n    canary:\n      # who\n      percent: 5\n      group: g\n",
        ),
        (
            "  - match: GET /x\n    function: f\n    stage: shadow\n    canary: # later\n",
            "  - match: GET /x\n    function: f\n    stage: canary\n    canary: { percent: 5 } # later\n",
        ),
        (
            "  - match: GET /x\n    function: f\n    stage: shadow\n    canary: {}\n",
            "  - match: GET /x\n    function: f\n    stage: canary\n    canary: { percent: 5 }\n",
        ),
    ] {
        assert_eq!(flipped(entry, Stage::Canary, percent(5.0)), expected);
    }
    let shadow = flipped("  - match: GET /x\n    function: f\n", Stage::Shadow, percent(10.0));
    assert_eq!(
        shadow,
        "  - match: GET /x\n    function: f\n    stage: shadow\n    shadow: { percent: 10 }\n"
    );
}

#[test]
fn a_share_of_nobody_is_a_share_when_it_is_written() {
    let entry = "  - match: GET /x\n    function: f\n    stage: shadow\n    canary: { percent: 0 }\n";
    assert_eq!(flipped(entry, Stage::Canary, None), entry.replace("shadow", "canary"));
}

#[test]
fn a_flip_there_and_back_gives_the_same_bytes() {
    let text = include_str!("full.yaml");
    let there = flip(text, "place an order", Stage::Live, None).unwrap();
    assert_ne!(there, text);
    assert_eq!(flip(&there, "place an order", Stage::Canary, None).unwrap(), text);
    assert_eq!(flip(text, "place an order", Stage::Canary, None).unwrap(), text, "a flip to where it is");
}

#[test]
fn a_route_is_known_by_its_name_its_match_and_its_id() {
    let text = include_str!("full.yaml");
    let order = |route: &str| flip(text, route, Stage::Done, None).unwrap();
    assert_eq!(order("place an order"), order("POST /orders"));
    let searches = ["GET /search when header accept=application/json, query q", "GET /search"];
    assert_ne!(order(searches[0]), order(searches[1]), "each of the two by its id");
}

#[test]
fn what_cannot_be_flipped_says_why() {
    let text = include_str!("full.yaml");
    let why = |route, stage, percent| flip(text, route, stage, percent).unwrap_err().to_string();
    assert_eq!(
        why("GET /product/{id:int}", Stage::Live, None),
        "there is no route `GET /product/{id:int}`; did you mean `GET /products/{id:int}`?"
    );
    assert_eq!(
        why("GET /coupons", Stage::Live, None),
        "stage `live` needs a function, and the route names none"
    );
    assert_eq!(why("GET /products/{id:int}", Stage::Canary, None), "stage `canary` needs a percentage");
    assert_eq!(
        why("place an order", Stage::Done, percent(5.0)),
        "stage `done` has no percentage: only shadow and canary have one"
    );
    assert!(matches!(flip("legcay: x", "GET /", Stage::Done, None), Err(FlipError::Invalid(_))));
}

#[test]
fn a_match_of_several_routes_is_ambiguous() {
    let text = "legacy: http://a\nroutes:\n  - { match: GET /x, when: { query: { a: 1 } } }\n  - { match: GET /x, when: { query: { a: 2 } } }\n";
    let error = flip(text, "GET /x", Stage::Retired, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`GET /x` is more than one route: GET /x when query a=1; GET /x when query a=2"
    );
}

#[test]
fn a_word_that_flips_two_routes_is_left_alone() {
    let text = format!(
        "{FUNCTION}routes:\n  - {{ match: GET /x, function: f, stage: &s shadow }}\n  - {{ match: GET /y, function: f, stage: *s }}\n"
    );
    for route in ["GET /x", "GET /y"] {
        assert!(matches!(flip(&text, route, Stage::Live, None), Err(FlipError::NotInPlace)));
    }
}

/// White space and comments that may stand between two lines.
fn between() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "",
        "\n",
        "   \n",
        "# a comment\n",
        "      # stage: live\n",
        "\n\n# ü: { [\n",
    ])
    .prop_map(str::to_owned)
}

fn behind() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec!["", " ", "  # why", " # stage: shadow", "   "])
}

prop_compose! {
    /// A route in the middle of others, in some style; with its stage's word marked by `@`.
    fn file()(
        gaps in proptest::collection::vec(between(), 8),
        tails in proptest::collection::vec(behind(), 8),
        quote in proptest::sample::select(vec!["", "'", "\""]),
        indent in 0usize..5,
        flow in any::<bool>(),
        crlf in any::<bool>(),
        ending in any::<bool>(),
        order in any::<bool>(),
    ) -> String {
        let dash = " ".repeat(indent);
        let keys = format!("{dash}  ");
        let mut lines = vec![
            format!("legacy: http://a{}", tails[0]),
            format!("functions: {{ f: {{ http: http://b }} }}{}", tails[1]),
            format!("routes:{}", tails[2]),
            format!("{dash}- match: GET /before{}", tails[3]),
        ];
        if flow {
            lines.push(format!("{dash}- {{ match: GET /x, function: f,   stage: {quote}@{quote} }}{}", tails[4]));
        } else if order {
            lines.push(format!("{dash}- match: GET /x{}", tails[4]));
            lines.push(format!("{keys}function: f{}", tails[5]));
            lines.push(format!("{keys}stage: {quote}@{quote}{}", tails[6]));
        } else {
            lines.push(format!("{dash}- stage: {quote}@{quote}{}", tails[4]));
            lines.push(format!("{keys}match: GET /x{}", tails[5]));
            lines.push(format!("{keys}function: f{}", tails[6]));
        }
        lines.push(format!("{dash}- match: GET /after{}", tails[7]));
        let mut text = String::new();
        for (line, gap) in lines.iter().zip(gaps.iter().cycle()) {
            text.push_str(gap);
            text.push_str(line);
            text.push('\n');
        }
        if !ending {
            text.truncate(text.len() - 1);
        }
        if crlf { text.replace('\n', "\r\n") } else { text }
    }
}

fn stage() -> impl Strategy<Value = Stage> {
    proptest::sample::select(
        Stage::ALL.into_iter().filter(|stage| *stage != Stage::Canary).collect::<Vec<_>>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn all_bytes_outside_the_word_stay(file in file(), from in stage(), to in stage()) {
        let text = file.replace('@', from.as_str());
        let edited = flip(&text, "GET /x", to, None).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        prop_assert_eq!(edited, file.replace('@', to.as_str()));
    }

    #[test]
    fn what_is_added_is_one_piece_and_the_rest_stays(file in file(), share in 1u16..=10_000) {
        let text = file.replace('@', "live");
        let share = Percent::new(f64::from(share) / 100.0).unwrap();
        let edited = flip(&text, "GET /x", Stage::Canary, Some(share))
            .map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        let before = text.bytes().zip(edited.bytes()).take_while(|(a, b)| a == b).count();
        let after = text.bytes().rev().zip(edited.bytes().rev()).take_while(|(a, b)| a == b).count();
        // From the word of the stage to the end of the pair behind it, comment included.
        let touched = edited.len().saturating_sub(before + after);
        prop_assert!(touched < 70, "{touched} bytes touched: {edited}");
        let route = plan(&edited).routes[1].clone();
        prop_assert_eq!((route.policy.stage, route.policy.canary), (Stage::Canary, share));
        let crlf = if text.contains("\r\n") { edited.matches('\n').count() } else { 0 };
        prop_assert_eq!(edited.matches("\r\n").count(), crlf);
        prop_assert_eq!(edited.ends_with('\n'), text.ends_with('\n'));
    }
}
