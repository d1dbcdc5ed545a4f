//! What editors and shells are given: the schema of routes.yaml, and completions.

use std::path::Path;

use e2e::{Done, Site, script};

fn site() -> Site {
    let site = Site::new("legacy: http://127.0.0.1:3000\n");
    site.write("schema.json", site.starve(&["schema"]).ok().stdout);
    site
}

/// What does not fit the schema, and how many documents were looked at.
fn check(site: &Site, files: &[&str]) -> Done {
    let schema = site.path("schema.json").display().to_string();
    script("schema_check.py", &[&[&*schema], files].concat())
}

#[test]
fn every_example_fits_the_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files =
        ["routes.yaml", "docs/configuration.md", "docs/rewriting.md", "docs/stages.md", "docs/limits.md"];
    let files = files.map(|file| root.join(file).display().to_string());
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let said = check(&site(), &files).ok().stdout;
    let seen: u32 =
        said.trim().strip_suffix(" documents").unwrap_or_else(|| panic!("{said}")).parse().unwrap();
    assert!(seen > 10, "{said}");
}

#[test]
fn what_check_refuses_for_its_shape_does_not_fit_the_schema() {
    let site = site();
    let wrong = [
        "legacy: 10.0.0.7:3000\n",
        "legacy: http://a/path\n",
        "legacy: { balance: least-requests }\n",
        "legacy: { servers: [http://a], balance: fastest }\n",
        "legacy: http://a\nlisten: localhost\n",
        "legacy: http://a\nlimits: { conections: 5 }\n",
        "legacy: http://a\nlimits: { head-timeout: 10 }\n",
        "legacy: http://a\nfunctions: { f: { wasm: a.wasm, http: http://b } }\n",
        "legacy: http://a\nroutes: [ { stage: done } ]\n",
        "legacy: http://a\nroutes: [ { match: GET } ]\n",
        "legacy: http://a\nroutes: [ { match: GET /a, stage: finished } ]\n",
        "legacy: http://a\nroutes: [ { match: GET /a, canary: { percent: 101 } } ]\n",
        "legacy: http://a\nroutes: [ { match: GET /a, respond: { status: 700 } } ]\n",
    ];
    for text in wrong {
        site.write("wrong.yaml", text);
        let file = site.path("wrong.yaml").display().to_string();
        let said = check(&site, &[&file]).ok().stdout;
        assert!(said.lines().count() > 1, "the schema takes {text}");
        assert_eq!(site.starve(&["check", "--config", "wrong.yaml"]).code, Some(78), "{text}");
    }
}

#[test]
fn completions_name_the_commands() {
    let site = site();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = site.starve(&["completions", shell]).ok().stdout;
        for word in ["kill-switch", "suggest", "admin-token"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
        assert!(!script.contains("launch-function"), "{shell} knows what nobody types");
    }
    assert!(
        site.starve(&["completions", "zsh"]).ok().stdout.contains("retired"),
        "stages are completed as well"
    );
    // What the shell itself thinks of it.
    site.write("starve.bash", site.starve(&["completions", "bash"]).ok().stdout);
    e2e::program("bash", &["-n", &site.path("starve.bash").display().to_string()]).ok();
    assert_eq!(site.starve(&["completions", "tcsh"]).code, Some(64));
}
