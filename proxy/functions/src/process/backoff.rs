//! How long to wait before the next start, after starts and instances that failed. Knows no clock.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);
/// An instance that lived this long was sound; what failed before it no longer counts.
const SOUND_AFTER: Duration = Duration::from_secs(10);

/// Doubles from 200 ms to 30 s. A start that fails always costs a wait; an instance that ends after it was
/// ready is forgiven once, since a crash now and then must not cost the next caller an error.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    pub(super) fn start_failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.wait(now, self.failures);
    }

    pub(super) fn crashed(&mut self, now: Instant, lived: Duration) {
        self.ended(lived);
        self.failures = self.failures.saturating_add(1);
        self.wait(now, self.failures - 1);
    }

    /// An instance was stopped on purpose.
    pub(super) fn ended(&mut self, lived: Duration) {
        if lived >= SOUND_AFTER {
            *self = Self::default();
        }
    }

    /// The wait that is left; `None` when a start is allowed.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    fn wait(&mut self, now: Instant, failures: u32) {
        if let Some(doublings) = failures.checked_sub(1) {
            let wait = FIRST.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(LONGEST);
            self.until = Some(now + wait);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLINK: Duration = Duration::from_millis(1);

    #[test]
    fn starts_that_fail_wait_twice_as_long_each_time_up_to_the_longest() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..40 {
            backoff.start_failed(now);
            waits.push(backoff.remaining(now).unwrap().as_millis());
        }
        assert_eq!(waits[..9], [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
        assert_eq!(waits[39], 30_000);
        assert_eq!(backoff.remaining(now + LONGEST), None);
    }

    #[test]
    fn one_crash_is_forgiven_and_a_loop_of_them_is_not() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        backoff.crashed(now, BLINK);
        assert_eq!(backoff.remaining(now), None);
        backoff.crashed(now, BLINK);
        assert_eq!(backoff.remaining(now), Some(FIRST));
        backoff.crashed(now, BLINK);
        assert_eq!(backoff.remaining(now), Some(FIRST * 2));
    }

    #[test]
    fn an_instance_that_lived_long_clears_what_failed_before() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        for _ in 0..5 {
            backoff.start_failed(now);
        }
        backoff.crashed(now, SOUND_AFTER);
        assert_eq!(backoff.remaining(now), None);
    }
}
