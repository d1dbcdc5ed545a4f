//! What a guest prints, line by line into the log, with its function and its call.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::limits::{LOG_BYTES_MAX, LOG_LINE_BYTES_MAX};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    Out,
    Error,
}

/// One of a call's two standard streams. A guest may open it many times; all write to the same lines.
#[derive(Clone)]
pub(crate) struct Output(Arc<Mutex<Lines>>);

impl Output {
    pub(crate) fn new(function: Arc<str>, call: Arc<str>, stream: Stream) -> Self {
        let lines = Lines { function, call, stream, unfinished: Vec::new(), left: LOG_BYTES_MAX };
        Self(Arc::new(Mutex::new(lines)))
    }
}

struct Lines {
    function: Arc<str>,
    call: Arc<str>,
    stream: Stream,
    unfinished: Vec<u8>,
    /// Bytes that may still be logged.
    left: usize,
}

impl Lines {
    fn write(&mut self, bytes: &[u8]) {
        if self.left == 0 {
            return;
        }
        let taken = &bytes[..bytes.len().min(self.left)];
        self.left -= taken.len();
        for piece in taken.split_inclusive(|byte| *byte == b'\n') {
            for part in piece.chunks(LOG_LINE_BYTES_MAX) {
                self.add(part);
            }
        }
        if self.left == 0 {
            self.flush();
            self.log("(the rest of this call's output is dropped)");
        }
    }

    fn add(&mut self, part: &[u8]) {
        let ended = part.last() == Some(&b'\n');
        self.unfinished.extend(part.strip_suffix(b"\n").unwrap_or(part));
        if ended || self.unfinished.len() >= LOG_LINE_BYTES_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.unfinished.is_empty() {
            let line = std::mem::take(&mut self.unfinished);
            self.log(&printable(&line));
        }
    }

    fn log(&self, line: &str) {
        let (function, call) = (&*self.function, &*self.call);
        match self.stream {
            Stream::Out => tracing::info!(target: "starve::function", function, invocation = call, "{line}"),
            Stream::Error => {
                tracing::warn!(target: "starve::function", function, invocation = call, "{line}")
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A guest must not write to somebody's terminal, nor forge a line.
fn printable(line: &[u8]) -> String {
    let mut text = String::with_capacity(line.len());
    for character in String::from_utf8_lossy(line).chars() {
        if character.is_control() && character != '\t' {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Asked for by WASI 0.3 only, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LOG_BYTES_MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Output")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_sent() {
        assert_eq!(printable(b"a\x1b[2J\rb\tc \xff"), "a\\u{1b}[2J\\rb\tc \u{fffd}");
    }
}
