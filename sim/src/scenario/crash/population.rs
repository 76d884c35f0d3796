//! Who is there when the market crashes.

use super::super::{bets::further, driver::Driver};
use crate::{
    actors::{
        leveraged::{Bet, Further},
        maker::Style,
    },
    floor::Role,
};
use anyhow::Result;
use quantdesk_client::engine::Side;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

const MAKER_DEPOSIT: u64 = 8_000_000_000_000;
const BASE: Style = Style {
    levels: 4,
    half_spread: 0,
    step: 0,
    requote: 0,
    skew: 300,
    size: 40_000_000_000,
    inventory: 8_000_000_000_000,
    caution: 4_000,
};
/// Makers; distances in ppm.
const MAKERS: [(&str, Style); 3] = [
    ("tight maker", Style { half_spread: 200, step: 200, requote: 300, ..BASE }),
    ("middle maker", Style { half_spread: 500, step: 500, requote: 600, ..BASE }),
    ("deep maker", Style { half_spread: 1_500, step: 1_500, requote: 1_500, ..BASE }),
];

const LONGS: u32 = 160;
const WHALES: u32 = 5;
const SHORTS: u32 = 40;
/// Those who come while it falls, a third of them to buy.
const LATE: u32 = 36;
const BYSTANDERS: u32 = 16;
const BYSTANDER_DEPOSIT: u64 = 25_000_000_000;
/// Collateral of the liquidators, the backstop last.
const LIQUIDATORS: [u64; 3] = [60_000_000_000, 60_000_000_000, 400_000_000_000];
/// Stakers' parts of the pool, in percent.
const STAKES: [u64; 4] = [50, 25, 17, 8];

/// Value of the smallest positions in atoms. Sizes double with half the probability.
const VALUE_MIN: u64 = 8_000_000_000;
const DOUBLINGS_MAX: u32 = 4;
const WHALE_VALUE: u64 = 900_000_000_000;

/// Three makers in the first market, from tight to deep.
pub fn employ_makers(driver: &mut Driver) -> Result<()> {
    for (name, style) in MAKERS {
        driver.employ(name.into(), style, &[0], MAKER_DEPOSIT)?;
    }
    Ok(())
}

/// Opens everybody's account; stakers bring `pool` atoms. Bets are due at once, but for those of some who come in the unix seconds `falling`.
pub fn settle(driver: &mut Driver, seed: u64, level: u32, pool: u64, falling: &Range<i64>) -> Result<()> {
    employ_makers(driver)?;
    driver.protect(&LIQUIDATORS, &STAKES.map(|percent| (pool / 100 * percent).max(1)))?;
    for number in 1..=BYSTANDERS {
        driver.floor.open(Role::Bystander, format!("bystander {number}"), BYSTANDER_DEPOSIT)?;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Stream 0 is the path's.
    rng.set_stream(1);
    for number in 1..=LONGS {
        let bet = Bet { side: Side::Bid, ..bet(&mut rng, level, 35..97) };
        driver.leveraged.enlist(&mut driver.floor, format!("long {number}"), bet)?;
    }
    for number in 1..=WHALES {
        let value = WHALE_VALUE + rng.random_range(0..WHALE_VALUE);
        let bet = Bet { side: Side::Bid, value, further: Further::Nothing, ..bet(&mut rng, level, 50..92) };
        driver.leveraged.enlist(&mut driver.floor, format!("whale {number}"), bet)?;
    }
    for number in 1..=SHORTS {
        let bet = Bet { side: Side::Ask, ..bet(&mut rng, level, 15..90) };
        driver.leveraged.enlist(&mut driver.floor, format!("short {number}"), bet)?;
    }
    for number in 1..=LATE {
        let side = if number.is_multiple_of(3) { Side::Bid } else { Side::Ask };
        let opens_at = rng.random_range(falling.clone());
        // Margin by the worst of mark, index and stable price leaves them little leverage.
        let bet = Bet { side, opens_at, leverage: rng.random_range(60..250), ..bet(&mut rng, level, 1..2) };
        driver.leveraged.enlist(&mut driver.floor, format!("late {number}"), bet)?;
    }
    Ok(())
}

/// A bet with leverage in these percent of what the market allows.
fn bet(rng: &mut ChaCha8Rng, level: u32, percent: Range<u64>) -> Bet {
    let doublings = rng.random::<u32>().trailing_ones().min(DOUBLINGS_MAX);
    Bet {
        market: 0,
        side: Side::Bid,
        value: (VALUE_MIN << doublings) + rng.random_range(0..VALUE_MIN << doublings),
        leverage: (u64::from(level) * rng.random_range(percent)).max(100),
        opens_at: 0,
        further: further(rng.random_range(0..4u32)),
    }
}
