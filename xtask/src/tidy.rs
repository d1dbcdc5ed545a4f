//! Rules of the repository, as a test: the edges between crates and what no file may hold.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::root;
use crate::test::cargo;

/// Each crate of the proxy and the crates of the project that it may use. Floors, from the ground: pure,
/// shared, parts, composition; docs/ARCHITECTURE.md tells why.
const EDGES: &[(&str, &[&str])] = &[
    ("starve-routing", &[]),
    ("starve-migration", &[]),
    ("starve-compare", &[]),
    ("starve-callers", &[]),
    ("starve-discovery", &["starve-routing", "starve-callers"]),
    ("starve-config", &["starve-routing", "starve-migration", "starve-compare"]),
    ("starve-http", &[]),
    ("starve-http1", &["starve-http"]),
    ("starve-telemetry", &["starve-migration", "starve-callers"]),
    ("starve-listener", &["starve-http", "starve-http1", "starve-config"]),
    (
        "starve-upstream",
        &["starve-http", "starve-http1", "starve-config", "starve-telemetry", "starve-migration"],
    ),
    ("starve-functions", &["starve-http", "starve-telemetry"]),
    ("starve-wasm", &["starve-http"]),
    ("starve-shadow", &["starve-http", "starve-migration", "starve-compare"]),
    ("starve-ledger", &["starve-migration", "starve-callers"]),
    (
        "starve-admin",
        &[
            "starve-http",
            "starve-migration",
            "starve-callers",
            "starve-ledger",
            "starve-discovery",
            "starve-routing",
        ],
    ),
];

/// Only composition may know everything.
const COMPOSITION: &[&str] = &["starve-engine", "starve"];

/// The pure floor knows no runtime, no protocol library, no clock.
const PURE: &[&str] = &[
    "starve-routing",
    "starve-migration",
    "starve-compare",
    "starve-callers",
    "starve-discovery",
    "starve-config",
];
const NOT_PURE: &[&str] = &["tokio", "hyper", "hyper-util", "tower", "prometheus", "fastrand", "rand"];

const LINES_MAX: usize = 600;

pub(crate) fn run() -> Result<()> {
    let mut wrong = edges()?;
    wrong.extend(files()?);
    for one in &wrong {
        eprintln!("tidy: {one}");
    }
    if !wrong.is_empty() {
        bail!("{} of the repository's rules are broken", wrong.len());
    }
    println!("· tidy: edges between crates, marks, lengths");
    Ok(())
}

fn edges() -> Result<Vec<String>> {
    let output = cargo().args(["metadata", "--no-deps", "--format-version", "1", "--locked"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let in_proxy = package["manifest_path"].as_str().is_some_and(|path| path.contains("/proxy/"));
        if !in_proxy || COMPOSITION.contains(&name) {
            continue;
        }
        let Some(may_use) = allowed.get(name) else {
            wrong.push(format!("{name} is not in the table of edges (xtask/src/tidy.rs)"));
            continue;
        };
        for dependency in used(package) {
            let is_own = dependency == "starve" || dependency.starts_with("starve-");
            if is_own && !may_use.contains(&dependency) {
                wrong.push(format!("{name} uses {dependency}, which its floor may not"));
            }
            if PURE.contains(&name) && NOT_PURE.contains(&dependency) {
                wrong.push(format!("{name} is pure and uses {dependency}"));
            }
        }
    }
    Ok(wrong)
}

/// What a package is built with; what only its tests use does not count.
fn used(package: &Value) -> Vec<&str> {
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    let not_for_tests = dependencies.filter(|dependency| dependency["kind"].as_str() != Some("dev"));
    not_for_tests.filter_map(|dependency| dependency["name"].as_str()).collect()
}

fn files() -> Result<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z", "*.rs"]).current_dir(root()).output();
    // An unpacked archive has no list of files; its rules were checked where it was made.
    let Ok(output) = output else { return Ok(Vec::new()) };
    let list = String::from_utf8(output.stdout)?;
    let mut wrong = Vec::new();
    for name in list.split('\0').filter(|name| !name.is_empty()) {
        // Deleted and not yet committed.
        let Ok(text) = std::fs::read_to_string(root().join(name)) else { continue };
        let lines = text.lines().count();
        if lines > LINES_MAX {
            wrong.push(format!("{name} has {lines} lines: it wants to be two files"));
        }
        for mark in ["TO\u{44}O", "FIX\u{4d}E"] {
            if text.contains(mark) {
                wrong.push(format!("{name} holds an unfinished mark ({mark})"));
            }
        }
    }
    Ok(wrong)
}
