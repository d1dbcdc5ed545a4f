//! What one call may take.

use wasmtime::ResourceLimiter;

/// Elements of one table. Components that link many modules dynamically (Python) need the most.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 200_000;

const INSTANCES_MAX: usize = 64;
const TABLES_MAX: usize = 64;
const MEMORIES_MAX: usize = 16;

/// Things of the host that a guest holds handles to: bodies, streams, header maps, timers.
pub(crate) const HANDLES_MAX: usize = 1024;

/// One header map, counted as it lies in memory.
pub(crate) const FIELDS_BYTES_MAX: usize = 64 << 10;

/// What one call from the guest to the host may carry.
pub(crate) const HOSTCALL_BYTES_MAX: usize = 4 << 20;

/// One write to a body.
pub(crate) const CHUNK_BYTES_MAX: usize = 64 << 10;

/// Calls to other servers at once; one more waits.
pub(crate) const OUTBOUND_CALLS_MAX: usize = 16;

/// What one stream, standard output or error, may write to the log.
pub(crate) const LOG_BYTES_MAX: usize = 64 << 10;

/// A longer line is broken.
pub(crate) const LOG_LINE_BYTES_MAX: usize = 4 << 10;

/// Counts a call's memory over all its memories, and remembers a refusal so that the error can name it.
#[derive(Debug)]
pub(crate) struct Limits {
    memory_bytes_left: u64,
    memory_refused: bool,
}

impl Limits {
    pub(crate) fn new(memory_bytes: u64) -> Self {
        Self { memory_bytes_left: memory_bytes, memory_refused: false }
    }

    pub(crate) fn memory_refused(&self) -> bool {
        self.memory_refused
    }
}

impl ResourceLimiter for Limits {
    /// A refusal is the guest's to handle, as on any machine without memory left; most abort.
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        let left = self.memory_bytes_left.checked_sub(more);
        match left {
            Some(left) => self.memory_bytes_left = left,
            None => self.memory_refused = true,
        }
        Ok(left.is_some())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_of_a_call_share_one_limit() {
        let mut limits = Limits::new(100);
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(!limits.memory_growing(0, 41, None).unwrap());
        assert!(limits.memory_refused());
    }

    #[test]
    fn memory_may_grow_to_the_limit_itself() {
        let mut limits = Limits::new(100);
        assert!(limits.memory_growing(0, 60, None).unwrap());
        assert!(limits.memory_growing(60, 100, None).unwrap());
        assert!(!limits.memory_refused());
    }
}
