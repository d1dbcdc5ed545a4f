//! Chance that is the same on every machine: SplitMix64, and a Zipf distribution over ranks.

/// A small generator; two with the same seed draw the same numbers for ever.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The generator of one of many independent streams.
    pub(crate) fn of_stream(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        mixed.next();
        mixed
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In `[0, bound)`; `bound` is above 0 and small, so the bias of the remainder does not matter.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// In `[low, high]`.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// One of `items` by its weight.
    pub(crate) fn weighted<T: Copy>(&mut self, items: &[(u32, T)]) -> T {
        let total: u64 = items.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut left = self.next() % total;
        for &(weight, item) in items {
            match left.checked_sub(u64::from(weight)) {
                Some(rest) => left = rest,
                None => return item,
            }
        }
        items[items.len() - 1].1
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(count).collect()
    }
}

/// Ranks `0..n`, the first the most popular: rank `k` is drawn in proportion to `1 / (k + 1)`.
#[derive(Debug)]
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    pub(crate) fn new(n: usize) -> Self {
        let mut sum = 0.0;
        let cumulative: Vec<f64> = (1..=n)
            .map(|rank| {
                sum += 1.0 / rank as f64;
                sum
            })
            .collect();
        Self(cumulative.into_iter().map(|value| value / sum).collect())
    }

    pub(crate) fn rank(&self, random: &mut Random) -> usize {
        let at = random.unit();
        self.0.partition_point(|&cumulative| cumulative <= at).min(self.0.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_stream_draw_the_same_and_others_differ() {
        let draw = |seed, stream| Random::of_stream(seed, stream).bytes(64);
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn the_first_rank_is_drawn_about_twice_as_often_as_the_second() {
        let (zipf, mut random) = (Zipf::new(120), Random::of_stream(7, 0));
        let mut drawn = [0_u32; 120];
        for _ in 0..100_000 {
            drawn[zipf.rank(&mut random)] += 1;
        }
        let ratio = f64::from(drawn[0]) / f64::from(drawn[1]);
        assert!((1.8..2.2).contains(&ratio), "{ratio}");
        assert!(drawn.iter().all(|&count| count > 0));
    }

    #[test]
    fn weights_decide_and_a_weight_of_zero_is_never_drawn() {
        let items = [(3, 'a'), (0, 'b'), (1, 'c')];
        let mut random = Random::of_stream(1, 1);
        let drawn: Vec<char> = (0..4000).map(|_| random.weighted(&items)).collect();
        let count = |wanted| drawn.iter().filter(|&&item| item == wanted).count();
        assert_eq!(count('b'), 0);
        assert!((2800..3200).contains(&count('a')), "{}", count('a'));
    }
}
