//! Waiting for a state, never for a time.

use std::time::{Duration, Instant};

/// How long a state may take to come. Generous, since machines are busy; a test that passes never waits so long.
pub const DEADLINE: Duration = Duration::from_secs(20);

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks again and again until `look` sees what it is after.
///
/// # Panics
/// After [`DEADLINE`], with the last thing that was seen instead.
#[track_caller]
pub fn eventually<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    eventually_within(DEADLINE, what, look)
}

/// The same for what takes an unoptimised program long even on a machine that does nothing else.
///
/// # Panics
/// After that time, with the last thing that was seen instead.
#[track_caller]
pub fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(instead) if began.elapsed() > patience => panic!("never came: {what}; last seen: {instead}"),
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}
