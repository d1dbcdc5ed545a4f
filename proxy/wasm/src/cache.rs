//! Compiled components on disk, so that a start costs milliseconds instead of a compilation.
//!
//! A file's name is the hash of everything that its content depends on: the component, the engine's version and
//! its settings. The folder belongs to this program's user alone; what is not so is not used. Nothing here ever
//! fails a load: a file that cannot be used is compiled again, a folder that cannot be used is done without.

use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher as _, Hash as _, Hasher, RandomState};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// A file that was not used for so long is removed when another one is written.
const KEPT_UNUSED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const EXTENSION: &str = "cwasm";

pub(crate) struct Cache {
    folder: PathBuf,
    /// The hash of the engine's version and settings.
    engine: Sha256,
}

impl Cache {
    pub(crate) fn new(folder: PathBuf, engine: &Engine) -> Self {
        let mut hasher = ShaHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Self { folder, engine: hasher.0 }
    }

    /// The compiled form of a component: the kept one, or else a new one that is kept.
    pub(crate) fn component(
        &self,
        engine: &Engine,
        bytes: &[u8],
        compile: impl FnOnce() -> wasmtime::Result<Component>,
    ) -> wasmtime::Result<Component> {
        if let Err(error) = private_folder(&self.folder) {
            tracing::warn!(folder = %self.folder.display(), %error, "compiled components are not kept");
            return compile();
        }
        let file = self.file(bytes);
        if let Some(component) = kept(engine, &file) {
            return Ok(component);
        }
        let component = compile()?;
        if let Err(error) = self.keep(&component, &file) {
            tracing::warn!(file = %file.display(), %error, "a compiled component could not be kept");
        }
        Ok(component)
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let hash = self.engine.clone().chain_update(bytes).finalize();
        self.folder.join(format!("{hash:x}.{EXTENSION}"))
    }

    /// Whole or not at all: a reader never sees half a file, not even after a power cut.
    fn keep(&self, component: &Component, file: &Path) -> io::Result<()> {
        let compiled = component.serialize().map_err(io::Error::other)?;
        let unfinished = file.with_extension(format!("{:x}.new", RandomState::new().hash_one(())));
        let written = write_through(&unfinished, &compiled).and_then(|()| fs::rename(&unfinished, file));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        self.forget_unused();
        written
    }

    fn forget_unused(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let unused = entry
                .metadata()
                .and_then(|data| data.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > KEPT_UNUSED));
            if unused {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Makes the folder when it is missing, and refuses one that anybody else could write to.
fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let data = fs::symlink_metadata(folder)?;
    if !data.is_dir() || !is_private(&data) {
        return Err(io::Error::other("the folder is not this user's alone (mode 0700)"));
    }
    Ok(())
}

fn is_private(data: &fs::Metadata) -> bool {
    data.uid() == rustix::process::geteuid().as_raw() && data.mode() & 0o077 == 0
}

/// Any failure is a miss: another version's file, a damaged one, one of a stranger.
fn kept(engine: &Engine, file: &Path) -> Option<Component> {
    let data = fs::symlink_metadata(file).ok()?;
    if !data.is_file() || !is_private(&data) {
        return None;
    }
    match deserialized(engine, file) {
        Ok(component) => {
            let _ = File::open(file).and_then(|file| file.set_modified(SystemTime::now()));
            Some(component)
        }
        Err(error) => {
            tracing::debug!(file = %file.display(), error = %error.root_cause(), "compiling anew");
            None
        }
    }
}

#[expect(unsafe_code, reason = "loading machine code cannot be checked, only be made sure of: see below")]
fn deserialized(engine: &Engine, file: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file must hold what `Component::serialize` wrote, and must not change while it is mapped.
    // Only this program writes into the folder (its user's alone, checked just before), it writes nothing but
    // `serialize`'s output, moves it to its name only when it is whole and on disk, and never writes to it again.
    // The name is a hash over component, engine version and settings, and the engine checks the latter two again.
    unsafe { Component::deserialize_file(engine, file) }
}

fn write_through(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Feeds whatever is hashed into SHA-256, whose strength keeps two components from sharing a name.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.clone().finalize();
        hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}
