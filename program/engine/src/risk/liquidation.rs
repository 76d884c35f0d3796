//! How much of a failing account a liquidation closes, how far it may go, and what it costs.
//!
//! Everything follows from the account and the market; nothing from whoever runs it. A position's *share* is the part
//! of the account's equity that stands behind it, in proportion to maintenance margin. It is all that closing the
//! position may cost, price and fees together: so all positions together cost at most the equity (the account is never
//! made to pay more than it has), and each lot closed frees at least the margin that it costs (R3).

use super::margin::{self, MaintenanceMargin};
use crate::{
    error::{EngineError, Result},
    math,
    state::MarketRow,
    units::{Lots, PositionLots, Ppm, QuoteAtoms, QuoteDelta, Side, Ticks},
};

/// Atoms × 10^-9, in which slopes are computed.
const NANO: u64 = 1_000_000_000;
/// Most steps along the slope towards the size that is needed: one for each tier, and a few for what slopes round away.
const STEPS_MAX: u8 = 16;

/// A position about to be reduced, with what stands behind it.
#[derive(Clone, Copy, Debug)]
pub struct Exposure {
    /// Its signed size.
    pub base: PositionLots,
    /// Equity of the account.
    pub equity: QuoteDelta,
    /// Maintenance requirement of the account's other positions.
    pub others_required: QuoteAtoms,
    /// Maintenance requirement of this position.
    pub required: QuoteAtoms,
    /// What closing all of it may cost.
    pub share: QuoteAtoms,
}

/// What closing some lots at a price costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Gain against the mark, negative for a loss.
    pub gain: QuoteDelta,
    /// Taker fee, if the book is taken from.
    pub taker_fee: QuoteAtoms,
    /// Liquidation fee: the market's rate, but at most what the share leaves.
    pub liquidation_fee: QuoteAtoms,
}

/// Fee rates of a way to close.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Charged by the book; zero in a take-over.
    pub taker: Ppm,
    /// Charged for the liquidation.
    pub liquidation: Ppm,
}

/// On which terms lots are closed.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The market.
    pub row: &'a MarketRow,
    /// Fees.
    pub rates: Rates,
    /// Price.
    pub price: Ticks,
}

/// How many lots have to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// So many.
    Exactly(Lots),
    /// So many, maybe more.
    AtLeast(Lots),
}

impl Exposure {
    /// The exposure of an account in one market: the equity of the whole account, the maintenance requirement of this
    /// position and that of all others. Fails with `NoEquity` unless there is equity, with `Overflow`.
    #[inline(always)]
    pub fn new(
        base: PositionLots,
        equity: QuoteDelta,
        required: QuoteAtoms,
        others_required: QuoteAtoms,
    ) -> Result<Self> {
        if equity <= QuoteDelta::ZERO {
            return Err(EngineError::NoEquity);
        }
        // ROUND: down, so that the shares of all positions never exceed the equity. An account above its requirement
        // that has to be wound up all the same pays no more than the requirement.
        let all = required.checked_add(others_required)?.get();
        let share = math::mul_div_floor(equity.magnitude().get().min(all), required.get(), all)?;
        Ok(Self { base, equity, others_required, required, share: QuoteAtoms::new(share) })
    }

    /// The side of an order that closes it.
    #[inline(always)]
    pub const fn closing_side(&self) -> Side {
        if self.base.get() > 0 { Side::Ask } else { Side::Bid }
    }

    /// Worst price at which the position may be closed: the market's discount from the mark, or the price at which closing
    /// costs the share if that is nearer. It may be better than the mark; `None` if it is beyond all prices.
    ///
    /// ROUND: towards the mark, against whoever closes.
    pub fn price_limit(&self, row: &MarketRow, fee: Ppm) -> Result<Option<Ticks>> {
        let size = self.base.magnitude().get();
        let per_tick = size.wrapping_mul(u64::from(row.tick_value.get()));
        let value = row.mark.bounded_notional(self.base.magnitude(), row.tick_value).get();
        let rate = u64::from(fee.get());
        let ticks = match self.closing_side() {
            Side::Ask => {
                let least = value.saturating_sub(self.share.get());
                let bare = least.div_ceil(per_tick.max(1));
                math::mul_div_ceil(bare, math::PPM, math::PPM.saturating_sub(rate))?
            }
            Side::Bid => {
                let most = value.saturating_add(self.share.get());
                let bare = most.checked_div(per_tick).ok_or(EngineError::DivisionByZero)?;
                math::mul_div_floor(bare, math::PPM, math::PPM.saturating_add(rate))?
            }
        };
        let Ok(bankruptcy) = u32::try_from(ticks) else {
            return Ok(None);
        };
        let mark = row.mark.get();
        let discount = math::ppm_floor(u64::from(mark), row.risk.takeover_discount.get())?;
        let discount = u32::try_from(discount).map_err(|_| EngineError::Overflow)?;
        Ok(Some(Ticks::new(match self.closing_side() {
            Side::Ask => bankruptcy.max(mark.saturating_sub(discount)).max(1),
            Side::Bid => bankruptcy.min(mark.saturating_add(discount)).min(row.price_max.get()),
        })))
    }

    /// What closing `lots` costs.
    pub fn cost(&self, terms: &Terms<'_>, lots: Lots) -> Result<Cost> {
        let Terms { row, rates, price } = *terms;
        let gain = self.gain(row, price, lots);
        let value = price.bounded_notional(lots, row.tick_value);
        let taker_fee = value.ppm_ceil(rates.taker)?;
        let budget = math::mul_div_floor(self.share.get(), lots.get(), self.base.magnitude().get())?;
        let left = QuoteAtoms::new(budget).as_delta()?.checked_add(gain)?.checked_sub(taker_fee.as_delta()?)?;
        let (most, asked) = (left.positive_part(), value.ppm_ceil(rates.liquidation)?);
        Ok(Cost { gain, taker_fee, liquidation_fee: if asked < most { asked } else { most } })
    }

    fn gain(&self, row: &MarketRow, price: Ticks, lots: Lots) -> QuoteDelta {
        let (mark, price) = (i64::from(row.mark.get()), i64::from(price.get()));
        // BOUND: as a notional of the market, since both prices are at most `price_max`.
        let difference = match self.closing_side() {
            Side::Ask => price.wrapping_sub(mark),
            Side::Bid => mark.wrapping_sub(price),
        };
        let distance = Ticks::new(u32::try_from(difference.unsigned_abs()).unwrap_or(u32::MAX));
        let atoms = distance.bounded_notional(lots, row.tick_value).get().cast_signed();
        QuoteDelta::new(if difference < 0 { atoms.wrapping_neg() } else { atoms })
    }

    /// How far equity is from what a liquidation restores, after closing `lots`; positive when it is there.
    fn surplus(&self, terms: &Terms<'_>, lots: Lots) -> Result<QuoteDelta> {
        let cost = self.cost(terms, lots)?;
        let row = terms.row;
        let left = self.base.magnitude().checked_sub(lots)?;
        let kept = if left.is_zero() { QuoteAtoms::ZERO } else { margin::maintenance_of(row, left)? };
        let goal = restored(row, self.others_required.checked_add(kept)?)?;
        let fees = cost.taker_fee.checked_add(cost.liquidation_fee)?;
        self.equity.checked_add(cost.gain)?.checked_sub(fees.as_delta()?)?.checked_sub(goal.as_delta()?)
    }

    /// Fewest lots that, closed on these terms, restore maintenance margin with the market's buffer; all of them if nothing
    /// less does, or if what would be left is smaller than the smallest order, which nobody would bother to close later.
    ///
    /// If that is more than `enough`, it is `AtLeast` some number that is.
    ///
    /// WHY: equity less requirement is concave in the lots closed, because margin is convex. So stepping along its
    /// slope from below never passes the first size that is enough. Lots worth about an atom or less make the steps too short
    /// to arrive; the rest of the way is then halved.
    pub fn needed(&self, terms: &Terms<'_>, enough: Lots) -> Result<Needed> {
        let all = self.base.magnitude();
        let goal = restored(terms.row, self.others_required.checked_add(self.required)?)?;
        let mut surplus = self.equity.checked_sub(goal.as_delta()?)?;
        let mut lots = Lots::ZERO;
        let cost = self.slope_of_cost(terms)?;
        for _ in 0..STEPS_MAX {
            if surplus >= QuoteDelta::ZERO {
                break;
            }
            let slope = self.slope(terms, lots, cost)?;
            if slope == 0 {
                return Ok(Needed::Exactly(all));
            }
            let step = math::mul_div_ceil(surplus.magnitude().get(), NANO, slope).unwrap_or(u64::MAX);
            lots = Lots::new(lots.get().saturating_add(step));
            if lots >= all {
                return Ok(Needed::Exactly(all));
            }
            if lots > enough {
                return Ok(Needed::AtLeast(lots));
            }
            surplus = self.surplus(terms, lots)?;
        }
        if surplus < QuoteDelta::ZERO {
            lots = self.first_enough(terms, lots)?;
        }
        let left = all.checked_sub(lots)?;
        Ok(Needed::Exactly(if left < terms.row.lots_min { all } else { lots }))
    }

    /// The first size that is enough, looked for from one that is not by steps that double and then halve; all if none is.
    #[cold]
    #[inline(never)]
    fn first_enough(&self, terms: &Terms<'_>, from: Lots) -> Result<Lots> {
        let all = self.base.magnitude().get();
        let (mut short, mut width) = (from.get(), 1u64);
        let mut ample = loop {
            let tried = short.saturating_add(width).min(all);
            if tried == all || self.surplus(terms, Lots::new(tried))? >= QuoteDelta::ZERO {
                break tried;
            }
            (short, width) = (tried, width.saturating_mul(2));
        };
        while ample.saturating_sub(short) > 1 {
            let tried = short.midpoint(ample);
            if self.surplus(terms, Lots::new(tried))? >= QuoteDelta::ZERO {
                ample = tried;
            } else {
                short = tried;
            }
        }
        Ok(Lots::new(ample))
    }

    /// By how much closing one more lot narrows the gap, in 10^-9 atoms; zero if it does not.
    ///
    /// ROUND: up, so that a step is never too long.
    #[inline(always)]
    fn slope(&self, terms: &Terms<'_>, closed: Lots, cost: i64) -> Result<u64> {
        let row = terms.row;
        let left = self.base.magnitude().checked_sub(closed)?;
        let notional = row.mark.bounded_notional(left, row.tick_value);
        let rate = row.tiers().iter().find(|tier| notional <= tier.notional_max).ok_or(EngineError::Corrupt)?.rate;
        // BOUND: below 10^6 · 10^6 · 1.5·10^6 = 1.5·10^18.
        let share = u64::from(rate.get()).wrapping_mul(u64::from(row.maintenance_now.get()));
        let buffered = share.wrapping_mul(math::PPM.wrapping_add(u64::from(row.risk.liquidation_buffer.get())));
        let per_value = buffered.div_ceil(NANO);
        let tick = u64::from(row.tick_value.get());
        // BOUND: `price_max · tick_value ≤ 2^32`, and the factor is at most 1.5·10^9 < 2^31.
        let freed = u64::from(row.mark.get()).wrapping_mul(tick).wrapping_mul(per_value).wrapping_add(NANO);
        Ok(u64::try_from(i64::try_from(freed).map_err(|_| EngineError::Overflow)?.saturating_sub(cost)).unwrap_or(0))
    }

    /// What one lot costs, in 10^-9 atoms, rounded down: price and fees, or the share's part if that caps the fee.
    fn slope_of_cost(&self, terms: &Terms<'_>) -> Result<i64> {
        let Terms { row, rates, price } = *terms;
        let tick = i64::from(row.tick_value.get());
        let (mark, at) = (i64::from(row.mark.get()), i64::from(price.get()));
        let distance = match self.closing_side() {
            Side::Ask => mark.wrapping_sub(at),
            Side::Bid => at.wrapping_sub(mark),
        };
        // BOUND: a price of a lot is at most 2^32 atoms, so the products are below 2^62 and 2^59.
        let loss = distance.wrapping_mul(tick).wrapping_mul(1_000_000_000);
        let value = at.wrapping_mul(tick);
        let taker = value.wrapping_mul(i64::from(rates.taker.get())).wrapping_mul(1_000);
        let liquidation = value.wrapping_mul(i64::from(rates.liquidation.get())).wrapping_mul(1_000);
        let bare = loss.saturating_add(taker);
        let share = math::mul_div_floor(self.share.get(), NANO, self.base.magnitude().get())?;
        let share = i64::try_from(share).unwrap_or(i64::MAX);
        let full = bare.saturating_add(liquidation);
        Ok(if full < share { full } else { bare.max(share) }.saturating_sub(1))
    }
}

/// What an account with this maintenance requirement is restored to.
pub fn restored(row: &MarketRow, required: QuoteAtoms) -> Result<QuoteAtoms> {
    required.ppm_ceil(Ppm::new(row.risk.liquidation_buffer.get().saturating_add(1_000_000)))
}

/// Whether the account is so far gone that a liquidator may take it over: equity below two thirds of the requirement.
pub fn may_take_over(health: &MaintenanceMargin) -> bool {
    let required = health.required.get();
    // Two thirds, rounded up: a whole number is below them if and only if it is below this.
    health.equity.positive_part().get() < required.saturating_sub(required / 3)
}
