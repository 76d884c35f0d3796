//! The leveraged traders of a day: longs mostly, as before every crash.

use super::driver::Driver;
use crate::actors::leveraged::{Bet, Further};
use anyhow::Result;
use quantdesk_client::engine::Side;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Value of the smallest positions in atoms. Sizes double with half the probability.
const VALUE_MIN: u64 = 15_000_000_000;
const DOUBLINGS_MAX: u32 = 5;
/// Leverage in hundredths: markets allow 2,000.
const LEVERAGE: Range<u64> = 400..1_850;
const SHORTS: f64 = 0.25;

/// Accounts for `count` bets in the first `markets` markets, made in `betting`, with random choices out of `seed`.
pub fn enlist(driver: &mut Driver, seed: u64, count: u32, markets: usize, betting: Range<i64>) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Streams 0 and 1 are the price path's and the crowd's.
    rng.set_stream(2);
    let markets = u32::try_from(markets)?;
    for number in 1..=count {
        let doublings = rng.random::<u32>().trailing_ones().min(DOUBLINGS_MAX);
        let bet = Bet {
            market: rng.random_range(0..markets) as usize,
            side: if rng.random_bool(SHORTS) { Side::Ask } else { Side::Bid },
            value: (VALUE_MIN << doublings) + rng.random_range(0..VALUE_MIN << doublings),
            leverage: rng.random_range(LEVERAGE),
            opens_at: rng.random_range(betting.clone()),
            further: further(rng.random_range(0..4u32)),
        };
        driver.leveraged.enlist(&mut driver.floor, format!("leveraged {number}"), bet)?;
    }
    Ok(())
}

pub const fn further(choice: u32) -> Further {
    match choice {
        0 => Further::Adds,
        1 => Further::TakesProfit,
        2 => Further::Protects,
        _ => Further::Nothing,
    }
}
