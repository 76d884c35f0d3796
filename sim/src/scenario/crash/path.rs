//! The index of a crash, second by second: calm, a slide, a fast leg, the bottom, a partial rebound. And when keepers are
//! away meanwhile.

use crate::input::SCALE;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Index before the crash in quote units.
pub const START: u64 = 200;

const CALM: usize = 45;
const SLIDE: usize = 90;
const FAST: usize = 25;
const BOTTOM: usize = 60;
const REBOUND: usize = 90;
const AFTER: usize = 50;
/// Seconds of the whole path.
const LENGTH: usize = CALM + SLIDE + FAST + BOTTOM + REBOUND + AFTER;

/// The fall as (second, share of the depth).
const KNOTS: [(usize, f64); 6] = [
    (CALM, 0.0),
    (CALM + SLIDE, 0.3),
    (CALM + SLIDE + FAST, 0.85),
    (CALM + SLIDE + FAST + BOTTOM, 1.0),
    (CALM + SLIDE + FAST + BOTTOM + REBOUND, 0.7),
    (LENGTH, 0.72),
];
/// Deviation of a second's noise, and how fast it fades.
const NOISE: f64 = 0.000_6;
const FADING: f64 = 0.97;

/// One crash.
#[derive(Clone, Debug, PartialEq)]
pub struct CrashPath {
    /// The index of every second in 1e-12 quote units.
    pub prices: Vec<u64>,
    /// Seconds from the beginning of the slide to the low.
    pub falling: Range<usize>,
    /// Seconds of the fast leg.
    pub fast: Range<usize>,
    /// Seconds in which nobody cranks anything.
    pub dark: Range<usize>,
    /// Seconds in which prices are updated, but nobody liquidates.
    pub unwatched: Range<usize>,
}

impl CrashPath {
    /// A fall by `depth` percent, with noise and gaps out of `seed`.
    pub fn new(seed: u64, depth: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut deviation = 0.0;
        let price = |second: usize| {
            deviation = deviation * FADING + normal(&mut rng) * NOISE;
            let level = 1.0 - f64::from(depth) / 100.0 * lost(second);
            ((START as f64 * level * (1.0 + deviation)) * 1e6).round() as u64 * (SCALE / 1_000_000)
        };
        let prices = (0..LENGTH).map(price).collect();
        let fast = CALM + SLIDE..CALM + SLIDE + FAST;
        let dark_from = fast.start + rng.random_range(0..FAST / 2);
        let unwatched_from = fast.end + rng.random_range(5..BOTTOM / 2);
        Self {
            prices,
            falling: CALM..CALM + SLIDE + FAST + BOTTOM,
            fast,
            dark: dark_from..dark_from + rng.random_range(8..22usize),
            unwatched: unwatched_from..unwatched_from + rng.random_range(10..25usize),
        }
    }

    /// What charts show: a second, and what begins then.
    pub const fn phases(&self) -> [(usize, &'static str); 3] {
        [(self.fast.start, "fast leg"), (self.unwatched.start, "no keepers"), (self.unwatched.end, "keepers again")]
    }
}

/// Share of the depth that is lost at a second.
fn lost(second: usize) -> f64 {
    for pair in KNOTS.windows(2) {
        if let [(from, low), (to, high)] = pair
            && second < *to
        {
            return low + (high - low) * second.saturating_sub(*from) as f64 / (to - from) as f64;
        }
    }
    0.72
}

/// Nearly normal, unit variance: twelve uniform draws.
fn normal(rng: &mut impl Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_falls_by_its_depth_and_is_decided_by_its_seed() {
        let path = CrashPath::new(1, 40);
        let low = path.prices.iter().min().copied().unwrap_or(0) as f64 / SCALE as f64;
        assert!((low / START as f64 - 0.6).abs() < 0.02, "{low}");
        assert_eq!(path.prices.len(), LENGTH);
        assert!(path.dark.start >= path.fast.start && path.dark.start < path.fast.end);
        assert_eq!(path, CrashPath::new(1, 40));
        assert_ne!(path, CrashPath::new(2, 40));
    }
}
