//! Functions that are WASM components in the proxy. Without the feature `wasm` in the binary they are skipped.

use std::path::Path;

use e2e::{Origin, Site};

const COMPONENT: &str = "functions/get-product/get-product.wasm";

/// A folder with a component behind `GET /api/products/{id}`; `None` where the binary cannot run any.
fn site(legacy: &Origin, more: &str) -> Option<Site> {
    let site = Site::new(&format!(
        "legacy: {}\nfunctions:\n  new: {{ wasm: new.wasm, timeout: 10s }}\nroutes:\n  \
         - {{ match: '* /api/products/{{rest*}}', function: new, stage: done }}\n{more}",
        legacy.url()
    ));
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    std::fs::copy(repository.join(COMPONENT), site.path("new.wasm")).unwrap();
    if site.starve(&["check"]).stderr.contains("without the feature `wasm`") {
        eprintln!(
            "skipped: this starve was built without the feature `wasm`; `cargo build -p starve` builds it with it"
        );
        return None;
    }
    Some(site)
}

#[test]
fn a_component_answers_its_route() {
    let legacy = Origin::named("legacy");
    let Some(site) = site(&legacy, "") else { return };
    let proxy = site.run();
    let mut client = proxy.client();
    let answers: Vec<_> = (0..20).map(|_| client.get("/api/products/1")).collect();
    assert!(answers.iter().all(|answer| answer.status < 500), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.json()["id"] == 1));
    assert_eq!(legacy.count(), 0);
}

#[test]
fn calls_of_a_component_are_counted_as_they_ended() {
    let legacy = Origin::named("legacy");
    let Some(site) = site(&legacy, "") else { return };
    let proxy = site.run();
    for _ in 0..20 {
        assert_eq!(proxy.get("/api/products/1").status, 200);
    }
    let count = |result| {
        proxy.metrics().get("starve_function_invocations_total", &[("function", "new"), ("result", result)])
    };
    assert_eq!((count("ok"), count("cancelled")), (Some(20.0), Some(0.0)));
}

#[test]
fn answers_of_a_component_are_compared_with_the_monolith_s_when_it_is_live() {
    let legacy = Origin::named("legacy");
    let Some(site) = site(&legacy, "") else { return };
    let proxy = site.run();
    site.edit("stage: done", "stage: live, live: { mirror: 100 }");
    assert_eq!(proxy.admin_call("POST", "/api/reload", "{}").status, 200);
    assert_eq!(proxy.get("/api/products/1").status, 200);
    legacy.wait_for(1);
}

#[test]
fn a_file_that_is_no_component_is_78() {
    let legacy = Origin::named("legacy");
    let Some(site) = site(&legacy, "") else { return };
    site.write("new.wasm", "not a component");
    for command in ["check", "run"] {
        let done = site.starve(&[command]);
        assert_eq!(done.code, Some(78), "{command}: {}", done.stderr);
        assert!(done.stderr.contains("new.wasm"), "{}", done.stderr);
    }
}

#[test]
fn a_component_that_is_replaced_by_a_broken_one_goes_on_and_is_told_once() {
    let legacy = Origin::named("legacy");
    let Some(site) = site(&legacy, "") else { return };
    let proxy = site.run();
    assert_eq!(proxy.get("/api/products/1").json()["id"], 1);
    site.write("new.wasm", b"\0asm\x0d\0\x01\0 and then nonsense");
    e2e::eventually("the failed reload", || {
        match proxy.metrics().get("starve_config_last_reload_successful", &[]) {
            Some(0.0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(proxy.get("/api/products/1").json()["id"], 1);
    // The file is looked at every two seconds; a line that comes after several of these looks shows what they did.
    let failures = || proxy.log().matches("configuration refused").count();
    let began = std::time::Instant::now();
    e2e::eventually("three looks", || {
        if began.elapsed().as_secs() >= 6 { Ok(()) } else { Err("not yet".to_owned()) }
    });
    assert_eq!(failures(), 1, "{}", proxy.log());
}
