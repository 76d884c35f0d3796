//! The fair price: what everybody would trade at if everybody knew it. A geometric random walk in steps of a slot, small
//! ones always and now and then a jump, none of them more likely up than down.

use crate::input::SCALE;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Where it starts, in quote units.
const START: u64 = 150;
/// Steps are counted in a billionth of the price.
const STEP_UNITS: i128 = 1_000_000_000;
/// The usual step is the sum of four draws up to this size, which makes a deviation of one basis point.
const DRAW_MAX: i64 = 87_000;
const DRAWS: usize = 4;
/// One slot in this many brings news.
const NEWS_SLOTS: u32 = 40;
/// What news moves the price by: 15 to 45 basis points.
const NEWS: std::ops::RangeInclusive<i64> = 1_500_000..=4_500_000;

/// The path of the fair price over a run, the same for equal seeds whatever happens in the market.
#[derive(Clone, Debug)]
pub struct Fair {
    /// By slot of the run, in 1e-12 quote units.
    pub prices: Vec<u64>,
}

impl Fair {
    /// A path of `slots` steps out of `seed`.
    pub fn new(seed: u64, slots: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut price = START * SCALE;
        let mut prices = vec![price];
        for _ in 0..slots {
            let mut step: i64 = (0..DRAWS).map(|_| rng.random_range(-DRAW_MAX..=DRAW_MAX)).sum();
            let (news, size, up) = (rng.random_ratio(1, NEWS_SLOTS), rng.random_range(NEWS), rng.random::<bool>());
            if news {
                step += if up { size } else { -size };
            }
            let moved = i128::from(price) * i128::from(step) / STEP_UNITS;
            price = u64::try_from(i128::from(price) + moved).unwrap_or(price);
            prices.push(price);
        }
        Self { prices }
    }

    /// At a slot of the run; the last one after its end.
    pub fn at(&self, slot: usize) -> u64 {
        self.prices.get(slot).or(self.prices.last()).copied().unwrap_or(START * SCALE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decided_by_its_seed_and_moves_by_about_a_basis_point() {
        let path = Fair::new(3, 4_000);
        assert_eq!(path.prices, Fair::new(3, 4_000).prices);
        assert_ne!(path.prices, Fair::new(4, 4_000).prices);
        let steps = path.prices.windows(2).map(|pair| (pair[1] as f64 / pair[0] as f64 - 1.0) * 1e4);
        let (small, large): (Vec<f64>, Vec<f64>) = steps.partition(|step| step.abs() < 5.0);
        let deviation = (small.iter().map(|step| step * step).sum::<f64>() / small.len() as f64).sqrt();
        assert!((0.9..1.1).contains(&deviation), "{deviation}");
        assert!((60..140).contains(&large.len()), "{}", large.len());
    }
}
