//! The world of one call: an empty one, with limits.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::function::Function;
use crate::limits::{self, Limits};
use crate::logs::{Output, Stream};
use crate::outbound::Hooks;

pub(crate) struct Guest {
    pub(crate) limits: Limits,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    table: ResourceTable,
}

/// The guest computed past the call's deadline.
#[derive(Debug, thiserror::Error)]
#[error("over time")]
pub(crate) struct OverTime;

/// A store for one call. Its guest gives way to others at every tick, so that no thread is ever held, and ends at
/// the first tick after the deadline, so that it ends even when the timers are late because all threads compute.
pub(crate) fn store(function: &Function, deadline: Instant) -> Store<Guest> {
    let mut store = Store::new(function.host.engine(), Guest::new(function));
    store.limiter(|guest| &mut guest.limits);
    store.set_hostcall_fuel(limits::HOSTCALL_BYTES_MAX);
    store.set_max_component_handles(limits::HANDLES_MAX);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        if Instant::now() < deadline { Ok(UpdateDeadline::Yield(1)) } else { Err(OverTime.into()) }
    });
    store
}

impl Guest {
    fn new(function: &Function) -> Self {
        let call = format!("{:016x}", RandomState::new().hash_one(function.host.next_call()));
        let call: Arc<str> = call.into();
        let output = |stream| Output::new(Arc::clone(&function.name), Arc::clone(&call), stream);
        let wasi = WasiCtx::builder()
            .stdout(output(Stream::Out))
            .stderr(output(Stream::Error))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(limits::CHUNK_BYTES_MAX as u64)
            .build();
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits::FIELDS_BYTES_MAX);
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES_MAX);
        let hooks = Hooks::new(Arc::clone(&function.name), Arc::clone(&function.outbound));
        Self { limits: Limits::new(function.memory_bytes), wasi, http, hooks, table }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}
