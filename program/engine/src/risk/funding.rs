//! Funding: what longs pay shorts while the mark is above the index, and the other way round.
//!
//! The premium, mark less index, is paid over a day: one of x % that lasts a day costs a long x %. It accrues with every
//! update of the price board, for the time since the last one, on the board as that left it: nobody can choose the
//! price of a time that has passed. What a dead zone leaves of it is bounded by a cap. The integral over time is exact,
//! however often it is accrued: the remainder of the division is kept.
//!
//! A market has a cumulative index per lot, in atoms × 2^20. A position owes `base × (index − index at its last
//! settlement)`, and is settled before its size changes. Payers are rounded up, receivers down; what that leaves
//! stays in the market's pot, which is empty but for it once everybody is settled, and goes to the pool.

use crate::{
    error::{EngineError, Result},
    math, money,
    state::{MarketRow, PositionCell, TraderCell},
    units::{FundingIndex, QuoteDelta, Ticks, UnixSeconds},
};

/// Binary digits of a funding index behind the point.
pub const FUNDING_SCALE_BITS: u32 = 20;
/// Time over which a premium is paid in full: a day.
pub const FUNDING_PERIOD_SECONDS: u64 = 86_400;
/// Most seconds that one accrual makes up for.
pub const FUNDING_SECONDS_MAX: u64 = 300;
/// A funding index stays at or below this, so that the difference of two fits.
pub const FUNDING_INDEX_MAX: i64 = 1 << 62;

/// Adds to the market's funding index what accrued since the last update of its board, and calls the board updated at
/// `now`. Time counts up to the last second at which the board was fresh, and at most [`FUNDING_SECONDS_MAX`] of it;
/// twice in a second adds nothing the second time; and never more than the seconds that the chain has `lived` since then
/// (see [`super::restart`]). If the index would become too large, nothing accrues.
///
/// ROUND: the index towards −∞, and what that leaves is in the remainder, `0 ≤ remainder < 86,400`.
#[inline(always)]
pub fn accrue(row: &mut MarketRow, now: UnixSeconds, lived: u64) {
    let until = if now < row.fresh_until { now } else { row.fresh_until };
    let seconds = until.since(row.updated_at).min(lived).min(FUNDING_SECONDS_MAX);
    if now > row.updated_at {
        row.updated_at = now;
    }
    if seconds == 0 || row.mark == row.index_price {
        return;
    }
    let premium = premium(row);
    if premium == 0 {
        return;
    }
    // BOUND: a listing proves `price_max × tick_value ≤ 2^32` and a cap of at most a fifth, so premium × tick_value is
    // below 2^30, with the seconds below 2^39, and with the scale below 2^59.
    let per_second = premium.wrapping_mul(i64::from(row.tick_value.get())).wrapping_mul(1 << FUNDING_SCALE_BITS);
    let dividend = per_second.wrapping_mul(seconds.cast_signed()).wrapping_add(row.funding_remainder);
    let (change, remainder) = div_rem_floor(dividend);
    let index = row.funding_index.get().wrapping_add(change);
    if (FUNDING_INDEX_MAX.wrapping_neg()..=FUNDING_INDEX_MAX).contains(&index) {
        (row.funding_index, row.funding_remainder) = (FundingIndex::new(index), remainder);
    }
}

/// What of the premium is paid for: nothing inside the dead zone, beyond it the rest, at most the cap. In ticks.
///
/// WHY: the cap is a share of the lower price. While the mark is far behind the index, funding then still is a bounded
/// share of what positions are worth at mark, which is what a listing reserves for it.
///
/// ROUND: dead zone and cap down.
#[inline(always)]
fn premium(row: &MarketRow) -> i64 {
    let (mark, index) = (row.mark, row.index_price);
    let dead_zone = share(index, row.risk.funding_dead_zone.get());
    let cap = share(if mark < index { mark } else { index }, row.risk.funding_cap.get());
    let size = u64::from(mark.get().abs_diff(index.get())).saturating_sub(dead_zone).min(cap).cast_signed();
    if mark < index { size.wrapping_neg() } else { size }
}

/// BOUND: below 2^32 × 2^18.
#[inline(always)]
fn share(price: Ticks, rate: u32) -> u64 {
    u64::from(price.get()).wrapping_mul(u64::from(rate)) / math::PPM
}

/// Quotient, rounded towards −∞, and remainder of a division by the funding period.
///
/// WHY: the target has no signed division. Adding a multiple of the divisor that exceeds every dividend, which is below
/// 2^59 in size, makes it one of positive numbers.
#[inline(always)]
const fn div_rem_floor(dividend: i64) -> (i64, i64) {
    const BIAS: u64 = 1 << 44;
    let biased = dividend.cast_unsigned().wrapping_add(BIAS.wrapping_mul(FUNDING_PERIOD_SECONDS));
    let quotient = (biased / FUNDING_PERIOD_SECONDS).wrapping_sub(BIAS);
    (quotient.cast_signed(), (biased % FUNDING_PERIOD_SECONDS).cast_signed())
}

/// What a position owes since its last settlement; negative if it is owed. Fails with `Overflow`.
#[inline(always)]
pub fn due(row: &MarketRow, position: &PositionCell) -> Result<QuoteDelta> {
    let change = row.funding_index.get().wrapping_sub(position.funding_index.get());
    if change == 0 || position.base.is_zero() { Ok(QuoteDelta::ZERO) } else { due_for(position.base.get(), change) }
}

/// `⌈base × change / 2^20⌉`: up is against the payer and against the receiver alike.
///
/// WHY: out of line, or the compiler computes the wide product before it looks whether it is needed.
#[inline(never)]
fn due_for(base: i64, change: i64) -> Result<QuoteDelta> {
    let (base_size, change_size) = (base.unsigned_abs(), change.unsigned_abs());
    let (whole, rest) = if (base_size | change_size) >> 32 == 0 {
        let product = base_size.wrapping_mul(change_size);
        (product >> FUNDING_SCALE_BITS, product & SCALE_MASK)
    } else {
        math::wide_div_rem(math::wide_mul(base_size, change_size), 1 << FUNDING_SCALE_BITS)?
    };
    let whole = i64::try_from(whole).map_err(|_| EngineError::Overflow)?;
    if (base < 0) == (change < 0) {
        whole.checked_add(i64::from(rest != 0)).map(QuoteDelta::new).ok_or(EngineError::Overflow)
    } else {
        Ok(QuoteDelta::new(whole.wrapping_neg()))
    }
}

const SCALE_MASK: u64 = (1 << FUNDING_SCALE_BITS) - 1;

/// Settles a position: what it owes moves from its trader's cash to the market's pot, or back. To be called before its
/// size changes. Fails with `Overflow`.
#[inline(always)]
pub fn settle(row: &mut MarketRow, position: &mut PositionCell, trader: &mut TraderCell) -> Result<()> {
    if row.funding_index == position.funding_index {
        return Ok(());
    }
    let due = due(row, position)?;
    money::post_signed(&mut trader.cash, &mut row.funding_pot, due)?;
    position.funding_index = row.funding_index;
    position.funding_paid = position.funding_paid.wrapping_add(due);
    Ok(())
}
