use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

type Cause = Box<dyn StdError + Send + Sync>;

/// Why the host or one of its functions cannot be set up. A call's failure is a [`starve_http::Error`].
#[derive(Debug, thiserror::Error)]
pub enum WasmError {
    #[error("start the wasm engine")]
    Engine(#[source] Cause),

    #[error("start the thread that ticks the wasm engine")]
    Ticker(#[source] io::Error),

    #[error("function {function}: read {}", file.display())]
    Read { function: String, file: PathBuf, source: io::Error },

    #[error("function {function}: {} is not WebAssembly", file.display())]
    NotWasm { function: String, file: PathBuf },

    #[error(
        "function {function}: {} is a core WebAssembly module, expected a component (such as the target \
         wasm32-wasip2 builds)",
        file.display()
    )]
    CoreModule { function: String, file: PathBuf },

    #[error("function {function}: {} is not a valid component", file.display())]
    Invalid { function: String, file: PathBuf, source: Cause },

    #[error("function {function}: {} exports {found}, expected wasi:http/incoming-handler@0.2", file.display())]
    NoHandler { function: String, file: PathBuf, found: String },

    #[error("function {function}: {} imports what this host does not offer", file.display())]
    Imports { function: String, file: PathBuf, source: Cause },

    #[error("function {function}: memory of {asked} bytes, at most {most} can be given to one")]
    MemoryOverHost { function: String, asked: u64, most: u64 },

    #[error("function {function}: memory of {limit} bytes, but it starts with {needed}")]
    MemoryBelowStart { function: String, limit: u64, needed: u64 },

    #[error("function {function}: outbound {entry:?} is neither HOST nor HOST:PORT")]
    Outbound { function: String, entry: String },
}
