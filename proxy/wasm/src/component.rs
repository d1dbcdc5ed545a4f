//! From a file's bytes to something that can be instantiated, with errors that say what is wrong.

use wasmtime::component::{Component, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::WasmError;
use crate::function::FunctionSettings;
use crate::guest::Guest;

const HANDLER: &str = "wasi:http/incoming-handler@0.2.";
const PAGE_BYTES: u64 = 64 << 10;

/// The names of exports that an error shows.
const NAMES_SHOWN: usize = 8;

/// A component's file as read.
pub(crate) struct Artefact<'a> {
    settings: &'a FunctionSettings,
    pub(crate) bytes: Vec<u8>,
}

impl<'a> Artefact<'a> {
    pub(crate) fn read(settings: &'a FunctionSettings) -> Result<Self, WasmError> {
        let (function, file) = (settings.name.clone(), settings.file.clone());
        match std::fs::read(&settings.file) {
            Err(source) => Err(WasmError::Read { function, file, source }),
            // The preamble: magic, version, and layer 0 for a module, 1 for a component.
            Ok(bytes) => match bytes.first_chunk::<8>() {
                Some([0, b'a', b's', b'm', _, _, 0, 0]) => Err(WasmError::CoreModule { function, file }),
                Some([0, b'a', b's', b'm', ..]) => Ok(Self { settings, bytes }),
                _ => Err(WasmError::NotWasm { function, file }),
            },
        }
    }

    /// Checks what the component exports, imports and needs, and links it.
    pub(crate) fn prepare(
        &self,
        component: &Component,
        linker: &Linker<Guest>,
        memory_bytes: u64,
    ) -> Result<ProxyPre<Guest>, WasmError> {
        let (function, file) = (self.settings.name.clone(), self.settings.file.clone());
        let engine = linker.engine();
        let kind = component.component_type();
        if !kind.exports(engine).any(|(name, _)| name.starts_with(HANDLER)) {
            let found = listed(kind.exports(engine).map(|(name, _)| name));
            return Err(WasmError::NoHandler { function, file, found });
        }
        let needed = memory_at_start(component);
        if needed > memory_bytes {
            return Err(WasmError::MemoryBelowStart { function, limit: memory_bytes, needed });
        }
        linker.instantiate_pre(component).and_then(ProxyPre::new).map_err(|error| WasmError::Imports {
            function,
            file,
            source: error.into(),
        })
    }

    pub(crate) fn invalid(&self, error: wasmtime::Error) -> WasmError {
        let (function, file) = (self.settings.name.clone(), self.settings.file.clone());
        WasmError::Invalid { function, file, source: error.into() }
    }
}

fn memory_at_start(component: &Component) -> u64 {
    let pages = component.resources_required().and_then(|needed| needed.max_initial_memory_size);
    pages.unwrap_or(0).saturating_mul(PAGE_BYTES)
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names = names.peekable();
    if names.peek().is_none() {
        return "nothing".to_owned();
    }
    let mut text = names.by_ref().take(NAMES_SHOWN).collect::<Vec<_>>().join(", ");
    if names.next().is_some() {
        text.push_str(", …");
    }
    text
}
