use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use starve_migration::latency::{BUCKETS, bucket, percentile_us};

/// Upper bounds of what is exported, in microseconds: the advice of the OpenTelemetry HTTP conventions, and
/// three finer ones below, since a proxied call takes a fraction of a millisecond. Each is a bound that is
/// counted by.
pub(crate) const EXPORTED_US: [u64; 17] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000, 1_000_000,
    2_500_000, 5_000_000, 7_500_000, 10_000_000,
];

/// Durations, counted lock-free. Only one thread writes to a shard's histogram, any may read it.
#[derive(Debug)]
pub struct Histogram {
    /// Not cumulative; the last one is above all bounds.
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    pub fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Relaxed);
        self.sum_us.fetch_add(micros, Relaxed);
    }

    pub fn add_to(&self, total: &mut HistogramSnapshot) {
        for (total, bucket) in total.buckets.iter_mut().zip(&self.buckets) {
            *total += bucket.load(Relaxed);
        }
        total.sum_us += self.sum_us.load(Relaxed);
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// By the bounds of [`starve_migration::latency`].
    pub buckets: [u64; BUCKETS],
    pub sum_us: u64,
}

impl Default for HistogramSnapshot {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum_us: 0 }
    }
}

impl HistogramSnapshot {
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// See [`percentile_us`].
    pub fn percentile_us(&self, quantile: f64) -> Option<f64> {
        percentile_us(&self.buckets, quantile)
    }

    /// The exported bounds in seconds, each with how many stayed at or below it.
    #[expect(clippy::cast_precision_loss, reason = "bounds of at most 10 s")]
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        EXPORTED_US.into_iter().map(|bound| {
            let below = self.buckets[..=bucket(bound)].iter().sum();
            (bound as f64 / 1e6, below)
        })
    }
}

#[cfg(test)]
mod tests {
    use starve_migration::latency::BOUNDS_US;

    use super::*;

    #[test]
    fn what_is_exported_is_cumulative_and_whole() {
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 10_000_000, 10_000_001] {
            histogram.record(Duration::from_micros(micros));
        }
        let mut seen = HistogramSnapshot::default();
        histogram.add_to(&mut seen);
        let exported: Vec<_> = seen.cumulative().collect();
        assert_eq!(exported[0], (0.0005, 2));
        assert_eq!(exported[1], (0.001, 3));
        assert_eq!(exported[16], (10.0, 4));
        assert_eq!((seen.count(), seen.sum_us), (5, 20_001_002));
    }

    #[test]
    fn every_exported_bound_is_one_that_is_counted_by() {
        assert!(EXPORTED_US.iter().all(|bound| BOUNDS_US.contains(bound)));
    }
}
