//! What a guest prints.
#![allow(clippy::unwrap_used, reason = "a test ends at the first thing that goes wrong")]

mod common;

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Log {
    fn lines_with(&self, word: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(word)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn what_a_guest_prints_is_logged_in_lines_with_function_and_call() {
    let log = Log::default();
    // The guest runs on another thread than this test.
    tracing::subscriber::set_global_default(
        tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish(),
    )
    .unwrap();
    let guest = common::guest();
    common::text(&guest, "/log?%1b").await;

    // Lines without an end are logged when the call is over, which is after its answer.
    while log.lines_with("second").is_empty() || log.lines_with("long long").len() < 3 {
        tokio::task::yield_now().await;
    }
    let first = log.lines_with("first %1b");
    assert_eq!(first.len(), 1);
    assert!(first[0].contains("INFO") && first[0].contains("function=\"tried\""), "{}", first[0]);
    let call = first[0].split("invocation=\"").nth(1).and_then(|rest| rest.get(..16)).unwrap();
    assert!(log.lines_with("second")[0].contains(call));

    let long = log.lines_with("long long");
    assert_eq!(long.len(), 3, "10 000 bytes in lines of at most 4096");
    assert!(long.iter().all(|line| line.contains("WARN") && line.len() < 4400));
}
