//! A host, the guest that misbehaves on demand, and words for calling it.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use starve_http::{Body, BodyError, Error, Request, Response, Target as _};
use starve_wasm::{FunctionSettings, Host, Settings, WasmFunction};
use tokio::runtime::{Builder, Runtime};

pub(crate) const MEBIBYTE: u64 = 1 << 20;

static GUESTS: LazyLock<Runtime> = LazyLock::new(|| guests(2));

pub(crate) fn guests(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
}

/// Compiled components are shared by all tests and runs.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings::new(GUESTS.handle().clone());
    settings.cache_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("wasm-cache"));
    settings.instances = NonZeroU32::new(16).unwrap();
    settings
}

pub(crate) fn guest_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest/guest.wasm")
}

pub(crate) fn function(file: &Path) -> FunctionSettings {
    FunctionSettings {
        name: "tried".to_owned(),
        file: file.to_owned(),
        memory_bytes: 32 * MEBIBYTE,
        timeout: Duration::from_secs(30),
        outbound: Vec::new(),
    }
}

pub(crate) fn guest() -> WasmFunction {
    guest_with(|_| ())
}

pub(crate) fn guest_with(change: impl FnOnce(&mut FunctionSettings)) -> WasmFunction {
    let host = Host::new(settings()).unwrap();
    guest_on(&host, change)
}

pub(crate) fn guest_on(host: &Arc<Host>, change: impl FnOnce(&mut FunctionSettings)) -> WasmFunction {
    let mut settings = function(&guest_file());
    change(&mut settings);
    host.load(settings).unwrap()
}

pub(crate) fn get(path: &str) -> Request {
    http::Request::get(path).header("host", "shop.example").body(Body::empty()).unwrap()
}

pub(crate) async fn call(function: &WasmFunction, path: &str) -> Result<Response, Error> {
    function.call(get(path)).await
}

pub(crate) async fn error(function: &WasmFunction, path: &str) -> Error {
    match call(function, path).await {
        Ok(response) => panic!("{path} answered {response:?}"),
        Err(error) => error,
    }
}

/// Status and text of an answer that must be whole.
pub(crate) async fn text(function: &WasmFunction, path: &str) -> (u16, String) {
    let response = call(function, path).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

/// What came of a body, and the error that broke it off.
pub(crate) async fn broken(mut body: Body) -> (Vec<u8>, BodyError) {
    let mut bytes = Vec::new();
    loop {
        match body.frame().await {
            Some(Ok(frame)) => bytes.extend(frame.into_data().unwrap_or_else(|_| Bytes::new())),
            Some(Err(error)) => return (bytes, error),
            None => panic!("the body looks whole: {:?}", String::from_utf8_lossy(&bytes)),
        }
    }
}
