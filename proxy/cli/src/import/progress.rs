//! How far an import is: a bar on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal as _, Read, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const LINE_EVERY: Duration = Duration::from_secs(5);
const BAR: &str =
    "{bar:30} {percent:>3} %  {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left";

#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bar: ProgressBar,
    /// Without a terminal: when something was said last.
    said: Option<Mutex<Instant>>,
    total: u64,
    done: AtomicU64,
    began: Instant,
}

impl Progress {
    pub(super) fn new(files: &[PathBuf], wanted: bool) -> Self {
        let size = |file: &PathBuf| std::fs::metadata(file).map_or(0, |metadata| metadata.len());
        let total = files.iter().map(size).sum();
        let is_terminal = io::stderr().is_terminal();
        let target = if wanted && is_terminal {
            ProgressDrawTarget::stderr_with_hz(5)
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style.progress_chars("█▌ "));
        }
        let began = Instant::now();
        let said = (wanted && !is_terminal).then(|| Mutex::new(began));
        Self(Arc::new(Shared { bar, said, total, done: AtomicU64::new(0), began }))
    }

    /// Bytes of the files, compressed as they are, that need not be read.
    pub(super) fn skip(&self, bytes: u64) {
        self.add(bytes);
    }

    fn add(&self, bytes: u64) {
        let shared = &self.0;
        shared.bar.inc(bytes);
        let done = shared.done.fetch_add(bytes, Relaxed) + bytes;
        let Some(said) = &shared.said else { return };
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= LINE_EVERY {
            *said = Instant::now();
            let seconds = shared.began.elapsed().as_secs_f64();
            let rate = done as f64 / seconds;
            let left = shared.total.saturating_sub(done) as f64 / rate;
            let (done, total) = (done / 1_000_000, shared.total / 1_000_000);
            let line = format!("{done} of {total} MB read, {:.0} MB/s, {left:.0} s left\n", rate / 1e6);
            // Nobody is left to be told when this fails.
            let _written = io::stderr().write_all(line.as_bytes());
        }
    }

    /// Makes room for a line about a file.
    pub(super) fn clear(&self) {
        self.0.bar.tick();
    }

    pub(super) fn finish(&self) {
        self.0.bar.finish_and_clear();
    }
}

/// Counts what is read of a file.
pub(super) struct Counted<R> {
    inner: R,
    progress: Progress,
}

impl<R> Counted<R> {
    pub(super) fn new(inner: R, progress: &Progress) -> Self {
        Self { inner, progress: progress.clone() }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.progress.add(read as u64);
        Ok(read)
    }
}
