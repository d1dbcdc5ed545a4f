use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use starve_http::{Request, ResponseFuture, Target};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::guest::Guest;
use crate::outbound::Allowed;
use crate::{Host, call};

/// A longer timeout counts as this one, so that adding it to a point in time never overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What a function is made of and what a call of it may take.
#[derive(Clone, Debug)]
pub struct FunctionSettings {
    /// For errors and log lines.
    pub name: String,
    /// The component.
    pub file: PathBuf,
    /// Over all memories of one call. At most [`Settings::memory_bytes_max`](crate::Settings::memory_bytes_max).
    pub memory_bytes: u64,
    /// The whole call, from [`Target::call`] to the last byte of the answer and whatever the guest does after it.
    pub timeout: Duration,
    /// `HOST` (port 80) or `HOST:PORT`: the servers that the guest may call. Empty: none.
    pub outbound: Vec<String>,
}

/// A loaded component, ready to be called from anywhere.
///
/// Each call gets a fresh instance: nothing of one call is seen by another. The answer's body streams. A call
/// fails with [`FunctionTimeout`](starve_http::ErrorKind::FunctionTimeout) when its time is over,
/// [`FunctionFailed`](starve_http::ErrorKind::FunctionFailed) when the guest traps, asks for more memory than it
/// has or ends without an answer, [`FunctionStart`](starve_http::ErrorKind::FunctionStart) when it cannot be
/// instantiated, and [`Overloaded`](starve_http::ErrorKind::Overloaded) when all of [`Host::capacity`] is in use;
/// with the last two the request is handed back. What breaks off after the head breaks the body off, with a
/// [`BrokenOff`](crate::BrokenOff) of the same kind. Dropping the future or an unfinished body ends the guest.
#[derive(Clone)]
pub struct WasmFunction(Arc<Function>);

pub(crate) struct Function {
    pub(crate) host: Arc<Host>,
    pub(crate) name: Arc<str>,
    pub(crate) pre: ProxyPre<Guest>,
    pub(crate) memory_bytes: u64,
    pub(crate) timeout: Duration,
    pub(crate) outbound: Arc<Allowed>,
}

impl WasmFunction {
    pub(crate) fn new(
        host: Arc<Host>,
        settings: FunctionSettings,
        outbound: Allowed,
        pre: ProxyPre<Guest>,
    ) -> Self {
        Self(Arc::new(Function {
            host,
            name: settings.name.into(),
            pre,
            memory_bytes: settings.memory_bytes,
            timeout: settings.timeout.min(LONGEST),
            outbound: Arc::new(outbound),
        }))
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl Target for WasmFunction {
    fn call(&self, request: Request) -> ResponseFuture {
        Box::pin(call::answer(Arc::clone(&self.0), request))
    }
}

impl fmt::Debug for WasmFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmFunction")
            .field("name", &self.0.name)
            .field("memory_bytes", &self.0.memory_bytes)
            .field("timeout", &self.0.timeout)
            .finish_non_exhaustive()
    }
}
