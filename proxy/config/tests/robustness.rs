//! Whatever the text is: no panic, no blow-up, an answer soon.

#![expect(clippy::expect_used, reason = "helpers of tests: a panic is a failed test")]

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use starve_config::{Diagnostics, Document, FILE_BYTES_MAX, load};

const FULL: &str = include_str!("full.yaml");

/// Loads, renders and finds the places, as a program does that shows everything.
fn try_all(text: String) -> Result<(), Diagnostics> {
    let document = Document::new("routes.yaml", text);
    match load(&document, Path::new("/etc/starve")) {
        Ok(loaded) => {
            loaded.warnings.to_string();
            Ok(())
        }
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty(), "refused without a reason");
            assert!(!diagnostics.render(true).is_empty());
            assert_eq!(diagnostics.problems().len(), diagnostics.len());
            Err(diagnostics)
        }
    }
}

fn refused_soon(text: String, because: &str) {
    let begin = Instant::now();
    let diagnostics = try_all(text).expect_err("the text was taken");
    // Generous: these run in a debug build on a busy machine, and a blow-up takes minutes or the whole memory.
    assert!(begin.elapsed() < Duration::from_secs(60), "took {:?}", begin.elapsed());
    let shown = diagnostics.to_string();
    assert!(shown.contains(because), "{}", shown.chars().take(2_000).collect::<String>());
    assert!(shown.len() < 200_000, "{} bytes of complaints", shown.len());
}

#[test]
fn a_file_above_the_limit_is_refused_unread() {
    refused_soon("#".repeat(FILE_BYTES_MAX + 1), &format!("at most {FILE_BYTES_MAX}"));
}

#[test]
fn an_alias_bomb_does_not_go_off() {
    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..=12 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(", ")));
    }
    refused_soon(bomb, "the aliases repeat too much");
}

#[test]
fn a_long_text_is_not_repeated_often() {
    let text = format!("legacy: &a {}\nlisten: [{}]\n", "x".repeat(100_000), "*a, ".repeat(100_000));
    refused_soon(text, "the aliases repeat too much");
}

#[test]
fn an_alias_inside_its_own_anchor_is_refused() {
    refused_soon("legacy: &a [*a]\n".to_owned(), "inside the value it repeats");
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let depth = 100_000;
        refused_soon(format!("legacy: {}{}", open.repeat(depth), close.repeat(depth)), "error");
    }
    let stairs: String = (0..900).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused_soon(stairs, "error");
    refused_soon(format!("legacy: {}x\n", "- ".repeat(300_000)), "error");
}

#[test]
fn aliases_do_not_get_around_the_limit_of_nesting() {
    let mut text = "a0: &a0 [[[[x]]]]\n".to_owned();
    for level in 1..=20 {
        text.push_str(&format!("a{level}: &a{level} [[[[*a{}]]]]\n", level - 1));
    }
    refused_soon(text, "the aliases repeat too much");
}

#[test]
fn a_flood_of_mistakes_is_cut_off() {
    let keys: String = (0..60_000).map(|number| format!("stagf{number}: 1\n")).collect();
    refused_soon(format!("{keys}legacy: http://a\n"), "… and 9");
    let twice = "a: 1\n".repeat(90_000);
    refused_soon(twice, "is there twice");
    let routes = "- {}\n".repeat(150_000);
    refused_soon(format!("routes:\n{routes}legacy: http://a\n"), "a route has no `match`");
    let one_line = format!("legacy: http://a\nroutes: [{}]", "x, ".repeat(150_000));
    refused_soon(one_line, "a route is written as a single value");
}

#[test]
fn many_routes_are_read_soon() {
    let routes: String =
        (0..15_000).map(|number| format!("  - match: GET /endpoints/{number}/{{id}}\n")).collect();
    let begin = Instant::now();
    try_all(format!("legacy: http://a\nroutes:\n{routes}")).unwrap();
    assert!(begin.elapsed() < Duration::from_secs(60), "took {:?}", begin.elapsed());
}

#[test]
fn line_ends_and_a_byte_order_mark_change_nothing() {
    let plan = |text: &str| {
        let document = Document::new("routes.yaml", text.to_owned());
        load(&document, Path::new("/")).unwrap_or_else(|diagnostics| panic!("{diagnostics}")).plan
    };
    assert_eq!(plan(&FULL.replace('\n', "\r\n")), plan(FULL));
    assert_eq!(plan(&format!("\u{feff}{FULL}")), plan(FULL));
    assert_eq!(plan(FULL.trim_end()), plan(FULL));
}

/// A piece that means something in YAML or in routes.yaml.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "\n",
            "\r\n",
            "  ",
            "\t",
            ": ",
            "- ",
            "{",
            "}",
            "[",
            "]",
            ", ",
            "#",
            "&a ",
            "*a",
            "!!x ",
            "|\n",
            ">-\n",
            "'",
            "\"",
            "? ",
            "---\n",
            "...\n",
            "%",
            "@",
            "~",
            "<<: ",
            "legacy: ",
            "routes:\n",
            "  - match: ",
            "GET /",
            "{id}",
            "{x*}",
            "http://",
            "unix:",
            "stage: ",
            "canary",
            "functions: ",
            "wasm: ",
            "when: ",
            "\u{feff}",
            "ü",
            "\0",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,4}",
        any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_panics(pieces in proptest::collection::vec(piece(), 0..60)) {
        let _ = try_all(pieces.concat());
    }

    #[test]
    fn no_change_of_a_good_file_panics(
        at in 0..FULL.len(),
        length in 0usize..40,
        pieces in proptest::collection::vec(piece(), 0..4),
    ) {
        let start = FULL.floor_char_boundary(at);
        let end = FULL.floor_char_boundary((start + length).min(FULL.len()));
        let mut text = FULL.to_owned();
        text.replace_range(start..end, &pieces.concat());
        let _ = try_all(text);
    }

    #[test]
    fn a_good_file_cut_anywhere_does_not_panic(at in 0..FULL.len()) {
        let _ = try_all(FULL[..FULL.floor_char_boundary(at)].to_owned());
    }
}
