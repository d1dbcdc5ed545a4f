//! What a function writes to its standard output and error becomes log lines.
//!
//! Everything is always read, so that a function never blocks on a full pipe; what is too long is cut and
//! what is too much is dropped and counted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::FunctionStats;

/// The longest line that is logged whole.
const LINE_BYTES: usize = 8 * 1024;
/// Lines per second of one instance, and how many may come at once.
const LINES_PER_S: f64 = 200.0;
const BURST: f64 = 400.0;

/// Where the lines of one instance go.
#[derive(Debug)]
pub(super) struct Output {
    function: String,
    instance: u64,
    stats: Arc<FunctionStats>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    refilled: Instant,
    dropped: u64,
    last_line: String,
}

impl Output {
    pub(super) fn new(function: String, instance: u64, stats: Arc<FunctionStats>) -> Arc<Self> {
        let state = State { tokens: BURST, refilled: Instant::now(), dropped: 0, last_line: String::new() };
        Arc::new(Self { function, instance, stats, state: Mutex::new(state) })
    }

    /// Reads a stream to its end, on a task of its own.
    pub(super) fn follow(
        self: &Arc<Self>,
        runtime: &Handle,
        name: &'static str,
        stream: impl AsyncRead + Unpin + Send + 'static,
    ) -> JoinHandle<()> {
        let output = Arc::clone(self);
        runtime.spawn(async move { output.pump(name, stream).await })
    }

    /// The line that was written last: most often why the program ended.
    pub(super) fn last_line(&self) -> String {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).last_line.clone()
    }

    async fn pump(&self, name: &'static str, mut stream: impl AsyncRead + Unpin) {
        let mut lines = Lines::default();
        let mut piece = [0; 4096];
        // An error of the pipe is its end: there is nothing more to read.
        while let Ok(length @ 1..) = stream.read(&mut piece).await {
            lines.push(&piece[..length], |line| self.log(name, line));
        }
        lines.finish(|line| self.log(name, line));
    }

    fn log(&self, stream: &'static str, line: &[u8]) {
        let text = readable(line);
        if text.is_empty() {
            return;
        }
        let Some(dropped) = self.admit(&text, Instant::now()) else {
            self.stats.log_line_dropped();
            return;
        };
        if dropped > 0 {
            tracing::warn!(
                function = self.function,
                instance = self.instance,
                dropped,
                "the function writes more than is logged"
            );
        }
        tracing::info!(function = self.function, instance = self.instance, stream, "{text}");
    }

    /// How many lines were dropped before this one, or `None` if this one is to be dropped too.
    fn admit(&self, text: &str, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone_into(&mut state.last_line);
        let elapsed = now.saturating_duration_since(state.refilled).as_secs_f64();
        state.tokens = (state.tokens + elapsed * LINES_PER_S).min(BURST);
        state.refilled = now;
        if state.tokens < 1.0 {
            state.dropped += 1;
            return None;
        }
        state.tokens -= 1.0;
        Some(std::mem::take(&mut state.dropped))
    }
}

/// Text without control characters: a function must not be able to forge or repaint lines of the log.
fn readable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end()
        .chars()
        .map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// Cuts bytes into lines of at most [`LINE_BYTES`]; the rest of a longer line is left out.
#[derive(Debug, Default)]
struct Lines {
    pending: Vec<u8>,
    cut: bool,
}

impl Lines {
    fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            self.finish(&mut line);
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if self.cut {
            self.pending.extend_from_slice("…".as_bytes());
        }
        line(&self.pending);
        self.pending.clear();
        self.cut = false;
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES - self.pending.len();
        self.cut |= bytes.len() > room;
        self.pending.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.push(piece, |line| seen.push(readable(line)));
        }
        lines.finish(|line| seen.push(readable(line)));
        seen
    }

    #[test]
    fn lines_are_found_across_pieces() {
        assert_eq!(lines(&[b"one\ntw", b"o\r\nthree"]), ["one", "two", "three"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_the_next_is_whole() {
        let long = vec![b'x'; LINE_BYTES + 100];
        let seen = lines(&[&long, &long, b"\nnext"]);
        assert_eq!(seen[0].chars().filter(|c| *c == 'x').count(), LINE_BYTES);
        assert!(seen[0].ends_with('…'));
        assert_eq!(seen[1], "next");
    }

    #[test]
    fn a_function_cannot_write_terminal_codes_to_the_log() {
        assert_eq!(readable(b"\x1b[2Jgone\xff\t!"), "\u{fffd}[2Jgone\u{fffd}\t!");
    }

    #[test]
    fn a_flood_is_dropped_counted_and_told_of_afterwards() {
        let stats = Arc::new(FunctionStats::default());
        let output = Output::new("f".to_owned(), 1, Arc::clone(&stats));
        let now = Instant::now();
        let admitted = (0..1000).filter(|_| output.admit("line", now).is_some()).count();
        assert_eq!(admitted, BURST as usize);
        let later = now + Duration::from_secs(1);
        assert_eq!(output.admit("line", later), Some(1000 - BURST as u64));
        assert_eq!(output.admit("last", later), Some(0));
        assert_eq!(output.last_line(), "last");
    }
}
