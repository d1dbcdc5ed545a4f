//! The lines of one file, read by as many threads as there are cores.
//!
//! One thread cuts the text into blocks of whole lines, the others read and count; formats whose lines tell how later
//! ones are to be read get one reader.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use starve_discovery::access_log::{Counter, Format, LINE_BYTES_MAX, Line, Reader, Targets, redacted};

use super::files::LogText;

const BLOCK_BYTES: usize = 1 << 20;
const EXAMPLES_MAX: usize = 3;
/// Clocks of servers differ; a line further ahead than this has a wrong time.
const FUTURE_MS: u64 = 86_400_000;

/// Which lines are counted.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) since_unix_ms: u64,
    /// When a proxy counted itself, in order.
    pub(super) counted_live: Vec<(u64, u64)>,
    pub(super) now_unix_ms: u64,
}

/// A line that could not be read.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct BadLine {
    /// From 1, of what was read of the file.
    pub(super) line: u64,
    pub(super) why: &'static str,
    /// Without what may be secret.
    pub(super) shown: String,
}

/// What the lines of a file came to.
pub(super) struct Parsed<'a> {
    pub(super) counter: Counter<'a>,
    pub(super) lines: u64,
    pub(super) counted: u64,
    pub(super) bad: u64,
    pub(super) no_request: u64,
    pub(super) too_old: u64,
    pub(super) counted_live: u64,
    pub(super) in_the_future: u64,
    pub(super) examples: Vec<BadLine>,
}

impl<'a> Parsed<'a> {
    fn new(targets: &'a Targets) -> Self {
        Self {
            counter: Counter::new(targets),
            lines: 0,
            counted: 0,
            bad: 0,
            no_request: 0,
            too_old: 0,
            counted_live: 0,
            in_the_future: 0,
            examples: Vec::new(),
        }
    }

    pub(super) fn calls(&self) -> u64 {
        self.counted
    }

    /// Calls that were read and are not wanted.
    pub(super) fn left_out(&self) -> u64 {
        self.too_old + self.counted_live + self.in_the_future + self.no_request
    }

    fn take(&mut self, line: &[u8], number: u64, read: Line<'_>, window: &Window) {
        self.lines += 1;
        match read {
            Line::Nothing => {}
            Line::NoRequest => self.no_request += 1,
            Line::Bad(why) => {
                self.bad += 1;
                if self.examples.len() < EXAMPLES_MAX {
                    self.examples.push(BadLine { line: number, why, shown: redacted(line) });
                }
            }
            Line::Call(record) if record.at_unix_ms < window.since_unix_ms => self.too_old += 1,
            Line::Call(record) if record.at_unix_ms > window.now_unix_ms + FUTURE_MS => {
                self.in_the_future += 1
            }
            Line::Call(record) if window.is_counted_live(record.at_unix_ms) => self.counted_live += 1,
            Line::Call(record) => {
                self.counted += 1;
                self.counter.count(&record);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.lines += other.lines;
        self.counted += other.counted;
        self.bad += other.bad;
        self.no_request += other.no_request;
        self.too_old += other.too_old;
        self.counted_live += other.counted_live;
        self.in_the_future += other.in_the_future;
        self.examples.extend(other.examples);
        self.examples.sort_by_key(|bad| bad.line);
        self.examples.truncate(EXAMPLES_MAX);
        self.counter.merge(other.counter);
    }
}

impl Window {
    fn is_counted_live(&self, at: u64) -> bool {
        match self.counted_live.first() {
            Some((first, _)) if at >= *first => {
                let after = self.counted_live.partition_point(|(from, _)| *from <= at);
                self.counted_live[after - 1].1 >= at
            }
            _ => false,
        }
    }
}

struct Block {
    /// Holds more than `length` bytes: what a block held before is not wiped.
    text: Vec<u8>,
    length: usize,
    /// The number of its first line.
    line: u64,
}

/// Reads and counts all lines of a file from where it is.
pub(super) fn file<'a>(
    text: &mut LogText,
    format: &Format,
    targets: &'a Targets,
    window: &Window,
) -> Result<Parsed<'a>, String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let readers = if format.has_state() { 1 } else { cores };
    let (blocks, queue) = sync_channel::<Block>(readers * 2);
    // Used blocks come back to be filled again.
    let (used, spare) = sync_channel::<Vec<u8>>(readers * 4);
    let queue = Arc::new(Mutex::new(queue));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..readers)
            .map(|_| {
                let (queue, used, format) = (queue.clone(), used.clone(), format.clone());
                scope.spawn(move || count(&queue, &used, format, targets, window))
            })
            .collect();
        drop(used);
        let cut = cut(text, &blocks, &spare, format);
        drop(blocks);
        let mut parsed = Parsed::new(targets);
        for thread in threads {
            parsed.merge(thread.join().map_err(|_| "reading broke off".to_owned())?);
        }
        cut.map(|()| parsed)
    })
}

fn count<'a>(
    queue: &Mutex<Receiver<Block>>,
    used: &SyncSender<Vec<u8>>,
    format: Format,
    targets: &'a Targets,
    window: &Window,
) -> Parsed<'a> {
    let mut parsed = Parsed::new(targets);
    let mut reader = Reader::new(format);
    loop {
        let block = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Block { text, length, mut line }) = block else { return parsed };
        let mut rest = &text[..length];
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
            let (one, tail) = rest.split_at(end);
            let read = reader.read(one);
            parsed.take(one, line, read, window);
            (rest, line) = (tail, line + 1);
        }
        // Nobody may want it any more.
        let _kept = used.try_send(text);
    }
}

/// Cuts the text into blocks of whole lines.
fn cut(
    text: &mut LogText,
    blocks: &SyncSender<Block>,
    spare: &Receiver<Vec<u8>>,
    format: &Format,
) -> Result<(), String> {
    let mut carried: Vec<u8> = Vec::new();
    let mut line = 1;
    loop {
        let mut block = spare.try_recv().unwrap_or_default();
        let kept = carried.len();
        if block.len() < kept + BLOCK_BYTES {
            block.resize(kept + BLOCK_BYTES, 0);
        }
        block[..kept].copy_from_slice(&carried);
        let read = text.read(&mut block[kept..])?;
        let filled = &block[..kept + read];
        let is_last = read == 0;
        let whole = if is_last {
            if is_unfinished(filled, format) { 0 } else { filled.len() }
        } else {
            memchr::memrchr(b'\n', filled).map_or(0, |newline| newline + 1)
        };
        carried.clear();
        carried.extend_from_slice(&filled[whole..]);
        text.took(&filled[..whole]);
        if !is_last && whole == 0 && carried.len() > LINE_BYTES_MAX * 64 {
            return Err(format!("line {line} has more than {} bytes; this is no log", carried.len()));
        }
        if whole > 0 {
            let lines = memchr::memchr_iter(b'\n', &filled[..whole]).count() as u64;
            // The readers end only after the last block.
            let _sent = blocks.send(Block { text: block, length: whole, line });
            line += lines;
        }
        if is_last {
            return Ok(());
        }
    }
}

/// Whether a last line without an end is still being written: it cannot be read as it is.
fn is_unfinished(line: &[u8], format: &Format) -> bool {
    !line.is_empty() && !format.has_state() && matches!(Reader::new(format.clone()).read(line), Line::Bad(_))
}
