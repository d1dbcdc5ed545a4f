//! What a call costs: `cargo bench -p starve-wasm`. The component is the sample function, the host is in process,
//! there is no network.
#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first thing that goes wrong")]

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http_body_util::BodyExt as _;
use starve_http::{Body, Target as _};
use starve_wasm::{FunctionSettings, Host, Settings, WasmFunction};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

fn function() -> FunctionSettings {
    FunctionSettings {
        name: "get-product".to_owned(),
        file: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions/get-product/get-product.wasm"),
        memory_bytes: 64 << 20,
        timeout: Duration::from_secs(30),
        outbound: Vec::new(),
    }
}

async fn call(function: &WasmFunction) {
    let request = http::Request::get("/api/products/1").header("host", "a").body(Body::empty()).unwrap();
    let response = function.call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap();
}

fn load(criterion: &mut Criterion) {
    let runtime = guests();
    let folder = tempfile::tempdir().unwrap();
    for (name, cache) in [("load, compiling", None), ("load, cached", Some(folder.path().join("wasm")))] {
        let mut settings = Settings::new(runtime.handle().clone());
        settings.cache_dir = cache;
        let host = Host::new(settings).unwrap();
        host.load(function()).unwrap();
        criterion.bench_function(name, |bencher| bencher.iter(|| host.load(function()).unwrap()));
    }
}

fn calls(criterion: &mut Criterion) {
    let guests = guests();
    let host = Host::new(Settings::new(guests.handle().clone())).unwrap();
    let function = host.load(function()).unwrap();
    let caller = Builder::new_current_thread().enable_all().build().unwrap();
    criterion.bench_function("call, one after the other", |bencher| {
        bencher.iter(|| caller.block_on(call(&function)));
    });

    let mut group = criterion.benchmark_group("calls");
    group.throughput(Throughput::Elements(1));
    for concurrency in [8, 64] {
        group.bench_function(format!("{concurrency} at once"), |bencher| {
            bencher.iter_custom(|calls| caller.block_on(at_once(&function, concurrency, calls)));
        });
    }
    group.finish();
}

async fn at_once(function: &WasmFunction, concurrency: u64, calls: u64) -> Duration {
    let started = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..concurrency {
        let function = function.clone();
        let share = calls / concurrency + u64::from(caller < calls % concurrency);
        callers.spawn(async move {
            for _ in 0..share {
                call(&function).await;
            }
        });
    }
    callers.join_all().await;
    started.elapsed()
}

fn guests() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

criterion_group!(benches, load, calls);
criterion_main!(benches);
