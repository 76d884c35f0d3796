//! What taking volume buys: a discount on the taker fee. And how volume fades.
//!
//! * A trader's volume is what its taking orders have filled, in quote atoms. With every day that begins (unix time
//!   divided by 86,400) a thirtieth of it goes, rounded up: `V ← ⌊V × 29/30⌋`. Who trades the same every day has thirty
//!   days' worth of it.
//! * After more than 30 days without a fill it is zero: nothing of it lies within the last 30 days.
//! * It fades when it is looked at, and is written with a fill only. The day is kept modulo 2^16, so an account that has
//!   not taken for a whole number of 65,536 days, 179 years each, and up to 30 days more, would keep too much of it.

use crate::{
    error::{EngineError, Result},
    math,
    state::{
        TraderCell,
        fees::{FeeSchedule, FeeTier},
    },
    units::{Ppm, QuoteAtoms, SignedPpm, UnixSeconds},
};

/// Days that volume counts for; what a day takes of it is a share of one by this.
pub const VOLUME_DAYS: u16 = 30;
/// Largest share of a referrer in what the exchange earns by a taking order.
pub const REFERRAL_SHARE_MAX: Ppm = Ppm::new(500_000);

const SECONDS_PER_DAY: u64 = 86_400;
const WHOLE: u32 = 1_000_000;

impl FeeSchedule {
    /// Fails with `FeeScheduleInvalid` unless tiers that are used come first and rise strictly in volume and discount, from
    /// 1 atom and 1 ppm to at most all of the fee, unused ones are zero, and referrers get at most half.
    pub fn check(&self) -> Result<()> {
        let mut last = FeeTier::UNUSED;
        for (number, tier) in self.tiers.iter().enumerate() {
            let rises = tier.volume_min > last.volume_min && tier.discount > last.discount;
            let unused = *tier == FeeTier::UNUSED && self.tiers.iter().skip(number).all(|rest| rest == tier);
            if !unused && (!rises || tier.discount.get() > WHOLE) {
                return Err(EngineError::FeeScheduleInvalid);
            }
            last = *tier;
        }
        if self.referral_share > REFERRAL_SHARE_MAX { Err(EngineError::FeeScheduleInvalid) } else { Ok(()) }
    }

    /// The discount that this volume buys.
    pub fn discount(&self, volume: QuoteAtoms) -> Ppm {
        let reached = |tier: &&FeeTier| !tier.volume_min.is_zero() && volume >= tier.volume_min;
        self.tiers.iter().rev().find(reached).map_or(Ppm::ZERO, |tier| tier.discount)
    }
}

/// A market's taker and maker rates after a discount. A rebate is at most what the taker pays, so the exchange never pays
/// for a fill (M5). Fails with `Overflow`, which a checked schedule rules out.
///
/// ROUND: the taker's rate up, to whole ppm.
pub fn discounted(taker: Ppm, maker: SignedPpm, discount: Ppm) -> Result<(Ppm, SignedPpm)> {
    let left = Ppm::new(WHOLE).checked_sub(discount)?;
    let paid = math::ppm_ceil(taker.get().into(), left.get())?;
    let paid = u32::try_from(paid).map_err(|_| EngineError::Overflow)?;
    let least = i32::try_from(paid).map_err(|_| EngineError::Overflow)?.wrapping_neg();
    Ok((Ppm::new(paid), if maker.get() < least { SignedPpm::new(least) } else { maker }))
}

/// The trader's volume as it counts now.
#[inline(always)]
pub fn volume(trader: &TraderCell, now: UnixSeconds) -> QuoteAtoms {
    let day = day_of(now);
    if trader.volume_day == day { trader.volume } else { faded(trader.volume, day.wrapping_sub(trader.volume_day)) }
}

/// Counts a taking order's fills. Volume that does not fit its 64 bits any more stays at the most there is.
#[inline(always)]
pub fn add_volume(trader: &mut TraderCell, fills: QuoteAtoms, now: UnixSeconds) {
    let before = volume(trader, now);
    trader.volume = QuoteAtoms::new(before.get().saturating_add(fills.get()));
    trader.volume_day = day_of(now);
}

/// The day modulo 2^16. The chain's time is never negative.
#[inline(always)]
fn day_of(now: UnixSeconds) -> u16 {
    let [low, high, ..] = (now.get().cast_unsigned() / SECONDS_PER_DAY).to_le_bytes();
    u16::from_le_bytes([low, high])
}

/// WHY: out of line, since it is needed once a day; at most 30 steps.
#[cold]
#[inline(never)]
fn faded(volume: QuoteAtoms, days: u16) -> QuoteAtoms {
    if days > VOLUME_DAYS {
        return QuoteAtoms::ZERO;
    }
    let mut left = volume.get();
    for _ in 0..days {
        // ⌊v × 29/30⌋ = v − ⌈v/30⌉, which cannot overflow.
        left = left.wrapping_sub(left.div_ceil(u64::from(VOLUME_DAYS)));
    }
    QuoteAtoms::new(left)
}
