//! A folder with a `routes.yaml`, as somebody would have it who runs the proxy.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use crate::command::{self, Done};
use crate::proxy::Proxy;
use crate::report::Report;

/// What each test needs of the settings: free ports, and two workers, so that counts of several are added up.
const SETTINGS: &str = "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 2\n";

/// Survives the proxies that run in it; cheap to share.
#[derive(Clone, Debug)]
pub struct Site(Arc<TempDir>);

impl Site {
    /// A folder with this configuration, to which free ports and two workers are added.
    pub fn new(routes: &str) -> Self {
        Self::exactly(&format!("{SETTINGS}{routes}"))
    }

    /// A folder with exactly this configuration.
    pub fn exactly(text: &str) -> Self {
        let site = Self(Arc::new(tempfile::tempdir().unwrap()));
        site.write("routes.yaml", text);
        site
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The configuration's text.
    pub fn routes(&self) -> String {
        std::fs::read_to_string(self.path("routes.yaml")).unwrap()
    }

    /// Writes a file in place.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Edits the configuration in place: one text for another.
    ///
    /// # Panics
    /// The text is not in it exactly once.
    #[track_caller]
    pub fn edit(&self, from: &str, to: &str) {
        let text = self.routes();
        assert_eq!(text.matches(from).count(), 1, "{from} in\n{text}");
        self.write("routes.yaml", text.replace(from, to));
    }

    /// Runs a command of the binary in this folder.
    #[track_caller]
    pub fn starve(&self, arguments: &[&str]) -> Done {
        self.starve_with(arguments, &[])
    }

    /// As [`Site::starve`], with environment variables.
    #[track_caller]
    pub fn starve_with(&self, arguments: &[&str], env: &[(&str, &OsStr)]) -> Done {
        let mut command = command::starve(self.folder(), arguments);
        command.envs(env.iter().copied());
        command::run(command)
    }

    /// Starts the proxy and waits until it is ready.
    #[track_caller]
    pub fn run(&self) -> Proxy {
        Proxy::of(self, &[], Vec::new())
    }

    /// As [`Site::run`], with environment variables.
    #[track_caller]
    pub fn run_with(&self, env: &[(&str, &OsStr)]) -> Proxy {
        Proxy::of(self, env, Vec::new())
    }

    /// As [`Site::run_with`], with listening sockets that are open already.
    #[track_caller]
    pub fn run_passing(&self, env: &[(&str, &OsStr)], listeners: Vec<TcpListener>) -> Proxy {
        Proxy::of(self, env, listeners)
    }

    /// The report from the files, as it is when no proxy runs.
    #[track_caller]
    pub fn report(&self) -> Report {
        Report(self.starve(&["report", "--format", "json"]).ok().json())
    }
}
