//! The configuration file: read, checked with everything it names, and edited by a flip.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use starve_config::{
    Diagnostic, Diagnostics, Document, FILE_BYTES_MAX, FunctionHost, Loaded, Plan, Positions, Problem, load,
};
use starve_listener::Tls;
use starve_upstream::Upstream;

use crate::files;
use crate::functions::Function;
use crate::generation::BuildError;

/// A configuration file and how it is shown in messages.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    path: PathBuf,
}

/// A file that was read and is valid in itself.
#[derive(Debug)]
pub struct Read {
    pub plan: Arc<Plan>,
    pub document: Document,
    positions: Positions,
    /// What is allowed but probably not meant; often empty.
    pub warnings: Diagnostics,
    /// The SHA-256 of the text.
    pub hash: [u8; 32],
}

/// The configuration cannot be taken: the text to show, one diagnostic after the other.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read {path}: {hint}")]
    Unreadable { path: String, hint: String },
    #[error("{count} {} in {path}", if *count == 1 { "error" } else { "errors" })]
    Invalid { path: String, count: usize, diagnostics: Diagnostics },
}

impl ConfigError {
    /// All that is wrong, with excerpts.
    pub fn text(&self, colour: bool) -> String {
        match self {
            Self::Unreadable { .. } => format!("error: {self}\n"),
            Self::Invalid { diagnostics, .. } => diagnostics.render(colour) + "\n",
        }
    }
}

impl ConfigError {
    /// The same for a program.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Unreadable { .. } => Vec::new(),
            Self::Invalid { diagnostics, .. } => diagnostics.problems(),
        }
    }
}

impl Read {
    /// Adds what the certificates' own dates say.
    pub(crate) fn warn_of_certificates(&mut self) {
        let now = SystemTime::now();
        for (index, listener) in self.plan.listeners.iter().enumerate() {
            for warning in listener.tls.iter().flat_map(|tls| Tls::warnings(tls, now)) {
                self.warnings.push(Diagnostic::warning(self.positions.listener(index), warning));
            }
        }
    }
}

impl ConfigFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The folder that relative files are joined with.
    pub fn base(&self) -> PathBuf {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or_else(|| Path::new("."));
        std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
    }

    /// The text of the file.
    ///
    /// # Errors
    /// The file is not there, not readable, too large or not UTF-8.
    pub fn text(&self) -> Result<String, ConfigError> {
        let unreadable = |error: io::Error| ConfigError::Unreadable {
            path: self.name(),
            hint: match error.kind() {
                io::ErrorKind::NotFound => {
                    "there is no such file; name one with --config, or write one line into it: \
                     legacy: http://127.0.0.1:3000"
                        .to_owned()
                }
                io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
                _ => error.to_string(),
            },
        };
        let mut text = String::new();
        let file = fs::File::open(&self.path).map_err(unreadable)?;
        // One byte more than is taken, so that a file that is too large is seen as such.
        file.take(FILE_BYTES_MAX as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
        Ok(text)
    }

    /// Reads the file. What it names (functions' files, certificates) is not looked at yet.
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong with its text.
    pub fn read(&self) -> Result<Read, ConfigError> {
        self.read_seen(&Mutex::default())
    }

    /// The same, and notes the hash of the text, good or bad.
    pub(crate) fn read_seen(&self, seen: &Mutex<[u8; 32]>) -> Result<Read, ConfigError> {
        let text = self.text()?;
        let hash = Sha256::digest(text.as_bytes()).into();
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = hash;
        let document = Document::new(self.name(), text);
        match load(&document, &self.base()) {
            Ok(Loaded { plan, positions, warnings }) => {
                Ok(Read { plan: Arc::new(plan), document, positions, warnings, hash })
            }
            Err(diagnostics) => Err(self.invalid(diagnostics)),
        }
    }

    /// Reads the file and looks at everything that it names, without starting or binding anything.
    ///
    /// # Errors
    /// All that is wrong with the text, or else with what it names.
    pub fn check(&self) -> Result<Read, ConfigError> {
        let mut read = self.read()?;
        let mut problems = Vec::new();
        for (name, plan) in &read.plan.functions {
            if let Err(message) = Function::check(plan) {
                problems.push(function_problem(&read, name, message));
            }
        }
        for route in &read.plan.routes {
            if let Some(Err(message)) = route.files.as_ref().map(files::check) {
                problems.push(Diagnostic::error(read.positions.route(&route.id, "files"), message));
            }
        }
        for (name, plan) in &read.plan.upstreams {
            // Whatever it opens on the way is closed again; nothing is connected.
            if let Err(error) = Upstream::load(plan.clone(), 1) {
                problems.push(upstream_problem(&read, name, error.to_string()));
            }
        }
        for (index, listener) in read.plan.listeners.iter().enumerate() {
            if let Some(Err(error)) = listener.tls.as_ref().map(Tls::load) {
                problems.push(Diagnostic::error(read.positions.listener(index), error.to_string()));
            }
        }
        read.warn_of_certificates();
        if problems.is_empty() {
            Ok(read)
        } else {
            Err(self.invalid(Diagnostics::from_list(&read.document, problems)))
        }
    }

    /// What a generation could not be built for, at the places where the file names it.
    pub(crate) fn build_errors(&self, read: &Read, errors: &[BuildError]) -> ConfigError {
        let problems = errors.iter().map(|error| match error {
            BuildError::Function { name, message } => function_problem(read, name, message.clone()),
            BuildError::Files { route, message } => {
                Diagnostic::error(read.positions.route(route, "files"), message.clone())
            }
            BuildError::Upstream { name, message } => upstream_problem(read, name, message.clone()),
            BuildError::Table(message) => {
                Diagnostic::error(read.positions.find(&["routes"]), message.clone())
            }
        });
        self.invalid(Diagnostics::from_list(&read.document, problems.collect()))
    }

    /// The files of an upstream's `tls`.
    pub(crate) fn upstream_error(&self, read: &Read, upstream: &str, message: String) -> ConfigError {
        let problem = upstream_problem(read, upstream, message);
        self.invalid(Diagnostics::from_list(&read.document, vec![problem]))
    }

    /// A certificate or another file that one of the listeners names.
    pub(crate) fn listener_error(&self, read: &Read, listener: usize, message: String) -> ConfigError {
        let problem = Diagnostic::error(read.positions.listener(listener), message);
        self.invalid(Diagnostics::from_list(&read.document, vec![problem]))
    }

    fn invalid(&self, diagnostics: Diagnostics) -> ConfigError {
        ConfigError::Invalid { path: self.name(), count: diagnostics.len(), diagnostics }
    }

    /// Puts another text in the file's place in one step, so that a reader sees the old text or the new one.
    /// A link stays a link: the file it leads to is replaced.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn replace(&self, text: &str) -> io::Result<()> {
        let path = fs::canonicalize(&self.path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let written = fs::File::create(&temporary).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.set_permissions(fs::metadata(&path)?.permissions())?;
            file.sync_all()
        });
        let replaced = written.and_then(|()| fs::rename(&temporary, &path));
        if replaced.is_err() {
            // The old file is untouched; the half-made new one helps nobody.
            let _gone = fs::remove_file(&temporary);
        }
        replaced
    }
}

/// At the place where the file says how the upstream's servers are trusted.
fn upstream_problem(read: &Read, name: &str, message: String) -> Diagnostic {
    Diagnostic::error(read.positions.upstream(name, "tls"), message)
}

/// At the place where the file says what the function is made of.
fn function_problem(read: &Read, name: &str, message: String) -> Diagnostic {
    let key = match read.plan.functions.get(name).map(|plan| &plan.host) {
        Some(FunctionHost::Wasm { .. }) => "wasm",
        Some(FunctionHost::Process { .. }) => "process",
        _ => "http",
    };
    Diagnostic::error(read.positions.function(name, key), message)
}
