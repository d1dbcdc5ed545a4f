//! Durations as counts in fixed buckets, and percentiles read from them.
//!
//! One list of bounds for counting, keeping and showing, so that counts of several hours, workers and runs
//! can be added up. Invariant: a percentile is never outside the bucket that it falls into.

/// How many buckets there are; the last one is above all bounds.
pub const BUCKETS: usize = 33;

/// Upper bounds in microseconds, from 0.1 ms to 30 s: six to a decade, so that a percentile is at most 1.7
/// times off. Holds the bounds that the OpenTelemetry HTTP conventions advise.
pub const BOUNDS_US: [u64; BUCKETS - 1] = [
    100, 150, 250, 350, 500, 750, 1_000, 1_500, 2_500, 3_500, 5_000, 7_500, 10_000, 15_000, 25_000, 35_000,
    50_000, 75_000, 100_000, 150_000, 250_000, 350_000, 500_000, 750_000, 1_000_000, 1_500_000, 2_500_000,
    3_500_000, 5_000_000, 7_500_000, 10_000_000, 30_000_000,
];

/// The bucket of a duration: the first whose bound it does not exceed.
pub fn bucket(micros: u64) -> usize {
    BOUNDS_US.partition_point(|bound| *bound < micros)
}

/// The duration in microseconds below which a share `quantile` (0 to 1) of the counted calls stayed, taken
/// evenly within its bucket; `None` where nothing was counted. What is above all bounds is told as the last
/// bound: "at least".
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
pub fn percentile_us(buckets: &[u64; BUCKETS], quantile: f64) -> Option<f64> {
    let count: u64 = buckets.iter().sum();
    if count == 0 {
        return None;
    }
    let rank = (quantile.clamp(0.0, 1.0) * count as f64).max(1.0);
    let mut below = 0;
    for (index, n) in buckets.iter().enumerate() {
        if *n > 0 && (below + n) as f64 >= rank {
            let from = if index == 0 { 0 } else { BOUNDS_US[index - 1] };
            let Some(to) = BOUNDS_US.get(index) else { return Some(from as f64) };
            let share = (rank - below as f64) / *n as f64;
            return Some(from as f64 + share * (to - from) as f64);
        }
        below += n;
    }
    BOUNDS_US.last().map(|last| *last as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_holds_it() {
        assert_eq!((bucket(0), bucket(100), bucket(101)), (0, 0, 1));
        assert_eq!((bucket(30_000_000), bucket(30_000_001), bucket(u64::MAX)), (31, 32, 32));
        assert!(BOUNDS_US.is_sorted());
    }

    #[test]
    fn percentiles_are_near_the_true_ones() {
        let mut buckets = [0; BUCKETS];
        // 1,000 durations from 1 ms to 1 s, evenly.
        for n in 1..=1_000 {
            buckets[bucket(n * 1_000)] += 1;
        }
        for (quantile, truth) in [(0.5, 500_000.0), (0.95, 950_000.0), (0.99, 990_000.0)] {
            let found = percentile_us(&buckets, quantile).unwrap();
            assert!((found / truth - 1.0).abs() < 0.05, "{quantile}: {found}");
        }
        assert_eq!(percentile_us(&[0; BUCKETS], 0.5), None);
        let mut slow = [0; BUCKETS];
        slow[BUCKETS - 1] = 3;
        assert_eq!(percentile_us(&slow, 0.5), Some(30e6), "at least");
        let mut one = [0; BUCKETS];
        one[bucket(400)] = 1;
        assert_eq!(percentile_us(&one, 0.99), Some(500.0));
    }
}
