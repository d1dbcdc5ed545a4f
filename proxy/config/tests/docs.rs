//! The documentation says what the code does.

use std::path::Path;

use starve_config::{Document, LimitsPlan, Plan, load};

const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");
const REWRITING: &str = include_str!("../../../docs/rewriting.md");
const LIMITS: &str = include_str!("../../../docs/limits.md");

fn plan(text: &str) -> Plan {
    let document = Document::new("example.yaml", text.to_owned());
    let loaded =
        load(&document, Path::new("/")).unwrap_or_else(|diagnostics| panic!("{text}\n{diagnostics}"));
    loaded.plan
}

fn examples(page: &str) -> impl Iterator<Item = &str> {
    page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next())
}

#[test]
fn every_example_is_a_valid_file() {
    let mut seen = 0;
    for example in examples(CONFIGURATION).chain(examples(LIMITS)).chain(examples(REWRITING)) {
        let rest = if example.contains("legacy: http") || example.contains("legacy:\n") {
            ""
        } else {
            "legacy: http://a\n"
        };
        plan(&format!("{rest}{example}"));
        seen += 1;
    }
    assert_eq!(seen, 11);
}

/// The rows of a page's tables that have a key in backticks, with the default that follows it.
fn defaults(page: &str) -> Vec<(&str, &str)> {
    page.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let key = cells.get(2)?.strip_prefix('`')?.split('`').next()?;
            Some((key, cells.get(3)?.trim_matches('`')))
        })
        .collect()
}

#[test]
fn the_limits_table_holds_every_key_with_its_default() {
    let table = LIMITS.split("## Of an upstream").next().unwrap();
    let rows = defaults(table);
    assert_eq!(rows.len(), 23, "{rows:?}");
    let written: String = rows.iter().map(|(key, default)| format!("  {key}: {default}\n")).collect();
    assert_eq!(plan(&format!("legacy: http://a\nlimits:\n{written}")).limits, LimitsPlan::default());
}
