use std::cell::Cell;

thread_local! {
    static WORKER: Cell<usize> = const { Cell::new(0) };
}

/// Makes the current thread worker `index`: its counts go to shard `index + 1`. Threads that never call
/// this (control, background) share shard 0.
pub fn enter_worker(index: usize) {
    WORKER.set(index + 1);
}

/// The shard of the current thread.
pub fn worker_index() -> usize {
    WORKER.get()
}
