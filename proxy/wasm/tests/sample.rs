//! The sample function as it is checked in: functions/get-product.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that goes wrong")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{call, function, settings, text};
use http_body_util::BodyExt as _;
use sha2::{Digest as _, Sha256};
use starve_http::{Body, Target as _};
use starve_wasm::{Host, WasmFunction};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/get-product")
}

fn get_product() -> WasmFunction {
    Host::new(settings()).unwrap().load(function(&folder().join("get-product.wasm"))).unwrap()
}

#[test]
fn the_component_is_the_one_that_was_built_and_is_small() {
    let bytes = fs::read(folder().join("get-product.wasm")).unwrap();
    let sum = fs::read_to_string(folder().join("get-product.wasm.sha256")).unwrap();
    assert_eq!(sum, format!("{:x}  get-product.wasm\n", Sha256::digest(&bytes)));
    assert!(bytes.len() < 500_000);
}

#[test]
fn its_catalogue_is_the_monolith_s() {
    let own = fs::read_to_string(folder().join("catalogue.json")).unwrap();
    let monolith = folder().join("../../legacy-monolith/seed/catalogue.json");
    assert_eq!(own, fs::read_to_string(monolith).unwrap());
}

#[tokio::test]
async fn a_product_is_answered_as_the_monolith_answers() {
    let response = call(&get_product(), "/api/products/1").await.unwrap();
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("cache-control", "no-store"),
        ("access-control-allow-origin", "*"),
        ("x-shop-version", "4.7.2"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    let length = response.headers()["content-length"].to_str().unwrap().to_owned();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(length, bytes.len().to_string());
    let text = std::str::from_utf8(&bytes).unwrap();
    assert!(
        text.starts_with(r#"{"id":1,"slug":"enamel-saucepan-16-cm","name":"Enamel Saucepan 16 cm","#),
        "{text}"
    );
    assert!(text.contains(r#""rating":4.7,"updated_at":"20"#) && text.ends_with("Z\"}"), "{text}");
}

#[tokio::test]
async fn every_product_of_the_catalogue_is_there() {
    let function = get_product();
    for id in 1..=120 {
        let (status, text) = text(&function, &format!("/api/products/{id}")).await;
        assert_eq!(status, 200, "{id}");
        assert!(text.starts_with(&format!("{{\"id\":{id},")), "{text}");
    }
}

#[tokio::test]
async fn what_is_no_product_is_refused_as_the_monolith_refuses_it() {
    let function = get_product();
    let expect = |status: u16, message: &str| (status, format!("{{\"error\":\"{message}\"}}"));
    assert_eq!(text(&function, "/api/products/121").await, expect(404, "no such product"));
    assert_eq!(text(&function, "/api/products/abc").await, expect(400, "bad product id"));
}

#[tokio::test]
async fn head_has_the_head_alone_and_other_methods_are_refused() {
    let function = get_product();
    let request = |method: &str| {
        http::Request::builder()
            .method(method)
            .uri("/api/products/1")
            .header("host", "a")
            .body(Body::empty())
            .unwrap()
    };
    let head = function.call(request("HEAD")).await.unwrap();
    assert_eq!(head.status(), 200);
    assert_ne!(head.headers()["content-length"], "0");
    assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());

    let refused = function.call(request("DELETE")).await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["allow"]),
        (405, &"GET, HEAD".parse().unwrap())
    );
}
