//! What is said about bad files. Each text below is what a user reads: judge it as somebody who has only that.

use std::path::Path;

use starve_config::{Diagnostics, Document, Severity, load};

fn diagnostics(text: &str) -> Diagnostics {
    let document = Document::new("routes.yaml", text.to_owned());
    match load(&document, Path::new("/etc/starve")) {
        Ok(loaded) => panic!("the file was taken: {:#?}", loaded.plan),
        Err(diagnostics) => diagnostics,
    }
}

/// Each text apart, in one snapshot.
fn each(texts: &[&str]) -> String {
    let shown: Vec<String> = texts.iter().map(|text| diagnostics(text).to_string()).collect();
    shown.join("\n\n----\n\n")
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let diagnostics = diagnostics(include_str!("ten_mistakes.yaml"));
    insta::assert_snapshot!(diagnostics);
    assert_eq!(diagnostics.len(), 11);
    let lines: Vec<usize> = diagnostics.problems().iter().map(|problem| problem.line).collect();
    assert!(lines.is_sorted(), "{lines:?}");
}

#[test]
fn mistakes_as_plain_data() {
    insta::assert_debug_snapshot!(diagnostics("legcay: http://a\nworkers: many\n").problems());
}

#[test]
fn colour_is_added_only_when_asked_for() {
    let diagnostics = diagnostics("legcay: http://a\n");
    assert!(diagnostics.render(true).contains("\u{1b}["));
    assert!(!diagnostics.render(false).contains('\u{1b}'));
}

#[test]
fn text_that_is_not_yaml() {
    insta::assert_snapshot!(each(&[
        "legacy: http://a\nroutes:\n\t- match: GET /\n",
        "legacy: http://a\nroutes:\n  - match: GET /a: b\n",
        "legacy: http://a\nroutes:\n  - match: GET /\n   stage: live\n",
        "legacy: http://a\nroutes:\n  - { match: GET /products/{id}, stage: legacy }\n",
        "legacy: http://a\nroutes: [{ match: GET /\n",
        "legacy: http://a\nadmin: { address: 127.0.0.1:9900, token: secret-secret-secret\nroutes: []\n",
        "legacy http://a\n",
        "legacy: \"http://a\n",
        "legacy: @home\n",
        "legacy: *home\n",
        "legacy: http://a\nroutes:\n  - { {a: b}: c }\n",
        "---\nlegacy: http://a\n---\nlegacy: http://b\n",
        "%YAML 1.1\n---\nlegacy: http://a\n",
        "",
        "# nothing but a comment\n",
        "- legacy: http://a\n",
        "http://127.0.0.1:3000",
    ]));
}

#[test]
fn settings_of_the_whole_file() {
    insta::assert_snapshot!(each(&[
        "version: 2\nlegacy: http://a\n",
        "routes: []\n",
        "legacy:\n",
        "legacy: { balance: least-requests }\n",
        "legacy: { servers: [] }\n",
        "legacy: { servers: http://a }\n",
        "legacy: { servers: [http://a, http://a] }\n",
        "legacy: 10.0.0.7:3000\n",
        "legacy: http://user:password@a/\n",
        "legacy: http://a\nlisten: [{ address: localhost:80 }]\n",
        "legacy: http://a\nlisten: [0.0.0.0:80, 0.0.0.0:80]\nadmin: 0.0.0.0:80\n",
        "legacy: http://a\nlisten: 127.0.0.1:9900\n",
        "legacy: http://a\nlisten:\n",
        "legacy: http://a\nlisten:\n  - address: 0.0.0.0:443\n    tls: { certificates: [{ certificate: a.crt }] }\n",
        "legacy: http://a\nlisten:\n  - tls: { certificates: [] }\n",
        "legacy: http://a\nlisten:\n  - address: 0.0.0.0:443\n    tls: { certificates: [{ certificate: a.crt, key: a.key }], client-cert-header: Host }\n",
        "legacy: http://a\nlisten:\n  - address: 0.0.0.0:443\n    tls: { certificates: [{ certificate: a.crt, key: a.key }], client-cert-header: X-Cert }\n",
        "legacy: http://a\nlimits: { head-bytes: 1KiB, body-bytes: 10m, connections: 0, in-flight: -1 }\n",
        "legacy: http://a\nadmin: no\n",
        "legacy: http://a\nadmin: { address: 127.0.0.1:9900, token: short }\n",
        "legacy: http://a\nledger: mysql://a/b\n",
        "legacy: http://a\nupstreams: { legacy: http://b, \"a b\": http://c }\n",
        "legacy: !!str http://a\n",
        "legacy: http://a\nroutes: &r\n  - match: GET /\n<<: *r\n",
    ]));
}

#[test]
fn functions_that_cannot_run() {
    insta::assert_snapshot!(each(&[
        "legacy: http://a\nfunctions: { f: { timeout: 2s } }\n",
        "legacy: http://a\nfunctions: { f: }\n",
        "legacy: http://a\nfunctions: { f: f.wasm }\n",
        "legacy: http://a\nfunctions: [{ wasm: f.wasm }]\n",
        "legacy: http://a\nfunctions:\n  f:\n    wasm: f.wasm\n    scale: { max: 2 }\n    memory: 1KiB\n    outbound: [http://a]\n",
        "legacy: http://a\nfunctions: { f: { process: [], env: { PORT: 80 } } }\n",
        "legacy: http://a\nfunctions: { f: { process: node index.mjs, scale: { min: 3, max: 2 } } }\n",
        "legacy: http://a\nfunctions: { f: { http: https://fn.example/api?code=1 } }\n",
    ]));
}

#[test]
fn routes_that_cannot_stand() {
    insta::assert_snapshot!(each(&[
        "legacy: http://a\nroutes:\n  - stage: retired\n",
        "legacy: http://a\nroutes:\n  - GET /\n",
        "legacy: http://a\nroutes: { match: GET / }\n",
        "legacy: http://a\nroutes:\n  - match: [GET /]\n",
        "legacy: http://a\nroutes:\n  - match: \"GET products\"\n",
        "legacy: http://a\nroutes:\n  - match: GET /a\n    stage: Live\n",
        "legacy: http://a\nfunctions: { f: { http: http://b } }\nroutes:\n  - match: GET /a\n    function: f\n    stage: canary\n    canary: { sticky: session }\n",
        "legacy: http://a\nroutes:\n  - match: GET /a\n    shadow: { percent: 101, writes: yes }\n    live: { mirror: lots }\n",
        "legacy: http://a\nroutes:\n  - match: GET /a\n    legacy: reports\n    fallback: function\n",
        "legacy: http://a\nroutes:\n  - match: GET /a\n    name: discovered\n  - match: GET /b\n    name: GET /c\n  - match: GET /c\n",
        "legacy: http://a\nroutes:\n  - match: GET /a\n    when: { header: { Accept: a, accept: b, \"a b\": c } }\n",
        "legacy: http://a\nroutes:\n  - match: GET /a/{x}\n  - match: GET,HEAD /a/{y}\n",
        "legacy: http://a\ndefaults: { shadow: { writes: true } }\n",
        "legacy: http://a\nroutes:\n  - match: GET /a\n    compare: { ignore: [\"$.items[x].id\", updated_at], unordered: \"$.tags\", ignore-headers: [\"a:b\"] }\n",
        "legacy: http://a\nroutes:\n  - match: GET /a\n    when: { query: { a: \"1\" } }\n  - match: \"* /a\"\n    when: { query: { a: \"1\" } }\n  - match: GET /a\n    when: { query: { a: \"*\" } }\n  - match: GET /a\n    when: { query: { a: \"*\", b: \"1\" } }\n  - match: GET /a\n    when: { query: { a: \"*\" }, header: { x: \"1\" } }\n  - match: GET /a\n    when: { query: { a: \"1\", b: \"1\" } }\n  - match: GET /a\n    when: { query: { a: \"*\" } }\n",
    ]));
}

#[test]
fn upstreams_that_cannot_stand() {
    insta::assert_snapshot!(each(&[
        "legacy: { servers: [http://a], balance: stickey }\n",
        "legacy: { servers: [http://a], sticky: address }\n",
        "legacy: { servers: [http://a], balance: sticky, sticky: session }\n",
        "legacy: { servers: [http://a], health: up }\n",
        "legacy: { servers: [http://a], health: { interval: 5, unhealthy: 0, host: a b } }\n",
        "legacy: { servers: [http://a], eject: never }\n",
        "legacy: { servers: [http://a], eject: { failures: 2000, time: 10m, max: 1m } }\n",
        "legacy: { servers: [http://a], retry: { budget: 101, per-second: many } }\n",
        "legacy: { servers: [http://a], limits: { in-flight: 0, connections: some, queues: 1 } }\n",
        "legacy: { servers: [http://a], tls: { ca: ca.crt }, protocol: http2 }\n",
        "legacy: { servers: [https://a], tls: { certificate: a.crt }, protocol: http3 }\n",
        "legacy: { servers: [https://a], tls: { key: a.key, server-name: a/b } }\n",
        "legacy: { servers: [http://a], proxy-protocol: v3 }\n",
        "legacy: { servers: [h2c://a], proxy-protocol: v1 }\n",
    ]));
}

#[test]
fn what_a_later_version_will_know_is_refused_and_not_ignored() {
    let text = "\
ledger: { url: postgres://starve:secret@db/starve }
legacy: http://a
functions:
  a: { js: a.mjs }
  b: { azure: b }
  c: { lambda: [node, c.mjs] }
  d: { http: http://d, triggers: [], inputs: {}, outputs: {} }
defaults: { guard: { rollback: auto } }
routes:
  - match: GET /a
    guard: {}
    canary: { percent: 1, sticky: jwt:sub }
";
    let problems = diagnostics(text).problems();
    let said: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.message))
        .collect();
    insta::assert_snapshot!(said.join("\n"));
    assert!(said.iter().all(|line| line.contains("is not supported by this version of starve")));
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let text = "\
legacy: http://a
upstreams: { reports: http://b }
functions: { f: { http: http://c }, g: { http: http://d } }
routes:
  - match: POST /orders
    function: f
    stage: shadow
";
    let document = Document::new("routes.yaml", text.to_owned());
    let warnings = load(&document, Path::new("/")).unwrap().warnings;
    insta::assert_snapshot!(warnings);
    assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning));
}

#[test]
fn secrets_are_in_no_message() {
    for text in [
        "legacy: http://a\nadmin: { address: nowhere, token: horse-battery-staple }\n",
        "legacy: http://a\nadmin: { token: horse }\n",
        "legacy: http://a\nadmin: { address: 1, tokn: x, token: [horse] }\n",
        "legacy: http://a\nadmin: { address: 1, token: horse-battery-staple",
        "legacy: http://a\nfunctions: { f: { process: [], env: { KEY: horse } } }\n",
        "ledger: postgres://starve:horse@db/starve\nlegacy: http://a\n",
        "legacy: http://starve:horse@a\n",
    ] {
        let diagnostics = diagnostics(text);
        let data: String = diagnostics.problems().iter().map(|problem| format!("{problem:?}")).collect();
        assert!(!data.contains("horse"), "{data}");
        assert!(!diagnostics.to_string().contains("horse"), "{diagnostics}");
    }
}

#[test]
fn a_very_long_line_is_shown_around_the_mistake() {
    let before = "ü".repeat(5_000);
    let text = format!("legacy: http://a\nroutes: [{{ name: {before}, stagee: live, match: GET / }}]\n");
    let shown = diagnostics(&text).to_string();
    assert!(shown.contains("routes.yaml:2:5020"), "{shown}");
    assert!(shown.contains("^^^^^^ did you mean `stage`?"), "{shown}");
    assert!(shown.len() < 4_000, "{} bytes", shown.len());
}

#[test]
fn a_key_that_is_spelt_wrong_is_not_missing_as_well() {
    let text = "legcay: http://a\nfunctions: { f: { http: http://b } }\nroutes:\n  - mtach: GET /a\n    \
                functoin: f\n    stage: canary\n    canary: { percnet: 5 }\n";
    let diagnostics = diagnostics(text);
    let suggested: Vec<_> = diagnostics.problems().into_iter().map(|problem| problem.suggestion).collect();
    assert_eq!(
        suggested,
        ["legacy", "match", "function", "percent"].map(|key| Some(key.to_owned())),
        "{diagnostics}"
    );
}

#[test]
fn control_characters_of_a_file_do_not_reach_the_terminal() {
    let diagnostics = diagnostics("legacy: http://a\n\"\\e[31mkey\": 1\n");
    assert!(!diagnostics.to_string().contains('\u{1b}'));
}
