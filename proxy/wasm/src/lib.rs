//! The WASM host: wasi:http components, a fresh instance per call.
