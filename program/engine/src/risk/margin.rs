//! Margin: what an account is worth and what its positions and orders require.
//!
//! * Equity `= cash + Σ (base × price × tick_value + quote − funding due)`. For maintenance the price is the mark. For
//!   initial margin and withdrawals it is the worst of mark, index and stable price: the lowest for longs, the highest
//!   for shorts.
//! * Initial margin of a position `= min(n, ⌈tier(n) × scale⌉) + fill loss` with `n = worst × high × tick_value`, where
//!   `worst` is the largest absolute position its resting orders can lead to, `scale ≥ 1` grows with open interest, and
//!   the fill loss is what it could lose by fills:
//!   `(bid lots × max(0, highest bid − low) + ask lots × max(0, high − lowest ask)) × tick_value`. It is not summed
//!   order by order: a far order, which will not fill, would offset the loss of one through the mark, which will.
//! * Maintenance margin `= ⌈tier(|base| × mark × tick_value) × maintenance⌉`, so never zero for a position (R8).
//! * `tier(n) = ⌈n × rate⌉ − deduction` of the segment that holds n: continuous, convex, rising.

use super::{funding, outcome, position, price::Validity};
use crate::{
    error::{EngineError, Result},
    state::{LedgerView, MarginTier, MarketRow, PositionCell, TraderCell, row::TIERS_MAX},
    units::{Lots, Ppm, QuoteAtoms, QuoteDelta, TickValue, Ticks, UnixSeconds},
};

/// An account against its initial requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialMargin {
    /// Cash plus unrealised profit and loss at the prudent price, less funding due.
    pub equity: QuoteDelta,
    /// Initial requirement of all positions and orders.
    pub required: QuoteAtoms,
    /// Worst validity among the prices the account depends on.
    pub validity: Validity,
    /// Worst profit (see [`outcome`]); zero if not asked for.
    pub worst: QuoteDelta,
}

/// An account against its maintenance requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaintenanceMargin {
    /// Cash plus unrealised profit and loss at mark, less funding due.
    pub equity: QuoteDelta,
    /// Maintenance requirement of all positions.
    pub required: QuoteAtoms,
    /// Worst validity among the prices of positions with size.
    pub validity: Validity,
}

impl InitialMargin {
    /// Whether equity covers the requirement.
    #[inline(always)]
    pub const fn is_met(&self) -> bool {
        self.equity.get() >= 0 && self.equity.magnitude().get() >= self.required.get()
    }

    /// Equity less requirement. Fails with `Overflow`.
    pub fn excess(&self) -> Result<QuoteDelta> {
        self.equity.checked_sub(self.required.as_delta()?)
    }
}

impl MaintenanceMargin {
    /// Whether equity covers the requirement.
    pub const fn is_met(&self) -> bool {
        self.equity.get() >= 0 && self.equity.magnitude().get() >= self.required.get()
    }
}

/// Initial margin of a trader. Fails with `Overflow` or `Corrupt`.
#[inline(always)]
pub fn initial(ledger: &LedgerView<'_>, trader: &TraderCell, now: UnixSeconds) -> Result<InitialMargin> {
    initial_and::<false>(ledger, trader, now)
}

/// The same, and if asked for the worst profit.
///
/// WHY: in one walk, since the positions, the rows and the loss by fills are the same; and twice, so that nobody pays for it
/// who does not ask.
#[inline(always)]
pub fn initial_and<const STAKE: bool>(
    ledger: &LedgerView<'_>,
    trader: &TraderCell,
    now: UnixSeconds,
) -> Result<InitialMargin> {
    let mut stake = QuoteAtoms::ZERO;
    let mut equity = trader.cash.get();
    let mut required = QuoteAtoms::ZERO;
    let mut validity = Validity::Fresh;
    let mut next = trader.first_position;
    while !next.is_nil() {
        let position = ledger.position(next)?;
        next = position.next;
        let ordered = position.orders > 0;
        let staked = STAKE && (ordered || !position.first_trigger.is_nil());
        if !ordered && position.base.is_zero() && !staked {
            continue;
        }
        // WHY: a position exists only in a listed market, so nothing but the table's end is looked at.
        let row = ledger.rows.get(usize::from(position.market.get())).ok_or(EngineError::Corrupt)?;
        if staked {
            stake = outcome::raised(stake, outcome::at_stake(ledger, row, position)?)?;
            if !ordered && position.base.is_zero() {
                continue;
            }
        }
        validity = validity.worse(row.validity(now));
        // WHY: most positions have size and no orders, which leaves nothing to ask about them.
        let (worth, need) = if ordered {
            (unrealised_prudent(row, position)?, ordered_initial(row, position)?)
        } else {
            (worth_at(row, position, prudent_price(row, position))?, held_initial(row, position)?)
        };
        equity = equity.checked_add(worth)?;
        required = required.checked_add(need)?;
    }
    let worst = if STAKE { outcome::worst_profit(trader, equity, stake)? } else { QuoteDelta::ZERO };
    Ok(InitialMargin { equity, required, validity, worst })
}

/// Maintenance margin of a trader. Fails with `Overflow` or `Corrupt`.
pub fn maintenance(ledger: &LedgerView<'_>, trader: &TraderCell, now: UnixSeconds) -> Result<MaintenanceMargin> {
    let mut equity = trader.cash.get();
    let mut required = QuoteAtoms::ZERO;
    let mut validity = Validity::Fresh;
    for (_, position) in ledger.positions(trader).filter(|(_, position)| !position.base.is_zero()) {
        let row = ledger.row(position.market)?;
        validity = validity.worse(row.validity(now));
        equity = equity.checked_add(unrealised(row, position)?)?;
        required = required.checked_add(position_maintenance(row, position)?)?;
    }
    Ok(MaintenanceMargin { equity, required, validity })
}

/// What may be withdrawn: `min(cash, cash + Σ min(unrealised, 0) − initial requirement)` at prudent prices, never below
/// zero. Unrealised profit does not count. `validity` is that of the worst price involved; with no position and no
/// order, `Fresh`.
pub fn withdrawable(ledger: &LedgerView<'_>, trader: &TraderCell, now: UnixSeconds) -> Result<(QuoteAtoms, Validity)> {
    let mut free = trader.cash.get();
    let mut validity = Validity::Fresh;
    for (_, position) in ledger.positions(trader).filter(|(_, position)| !position.is_flat()) {
        let row = ledger.row(position.market)?;
        validity = validity.worse(row.validity(now));
        let unrealised = unrealised_prudent(row, position)?;
        if unrealised < QuoteDelta::ZERO {
            free = free.checked_add(unrealised)?;
        }
        free = free.checked_sub(position_initial(row, position)?.as_delta()?)?;
    }
    let cash = trader.cash.get();
    Ok((if free < cash { free } else { cash }.positive_part(), validity))
}

/// Profit or loss of the open size at mark, less funding due.
#[inline(always)]
pub fn unrealised(row: &MarketRow, position: &PositionCell) -> Result<QuoteDelta> {
    unrealised_at(row, position, row.mark)
}

/// The same at the prudent price: a long is worth the lowest, a short costs the highest of mark, index and stable price.
#[inline(always)]
pub fn unrealised_prudent(row: &MarketRow, position: &PositionCell) -> Result<QuoteDelta> {
    unrealised_at(row, position, prudent_price(row, position))
}

#[inline(always)]
const fn prudent_price(row: &MarketRow, position: &PositionCell) -> Ticks {
    if position.base.get() > 0 { row.low } else { row.high }
}

#[inline(always)]
fn unrealised_at(row: &MarketRow, position: &PositionCell, price: Ticks) -> Result<QuoteDelta> {
    if position.base.is_zero() { Ok(position.quote.get()) } else { worth_at(row, position, price) }
}

/// The same of a position with size.
#[inline(always)]
fn worth_at(row: &MarketRow, position: &PositionCell, price: Ticks) -> Result<QuoteDelta> {
    let value = price.bounded_value(position.base, row.tick_value).checked_add(position.quote.get())?;
    if position.funding_index == row.funding_index {
        return Ok(value);
    }
    value.checked_sub(funding::due(row, position)?)
}

/// Initial requirement of one position with its resting orders.
#[inline(always)]
pub fn position_initial(row: &MarketRow, position: &PositionCell) -> Result<QuoteAtoms> {
    if position.orders == 0 { held_initial(row, position) } else { ordered_initial(row, position) }
}

/// The same without orders.
#[inline(always)]
fn held_initial(row: &MarketRow, position: &PositionCell) -> Result<QuoteAtoms> {
    scaled_tier(row, row.high.bounded_notional(position.base.magnitude(), row.tick_value))
}

/// The same with orders.
#[inline(always)]
fn ordered_initial(row: &MarketRow, position: &PositionCell) -> Result<QuoteAtoms> {
    let worst = position::worst_lots(position);
    let required = scaled_tier(row, row.high.bounded_notional(worst, row.tick_value))?;
    required.checked_add(fill_loss(row, position))
}

/// What the resting orders of a position lose if they are filled.
///
/// BOUND: each part is below 2^63 ([`Ticks::bounded_notional`]).
#[inline(always)]
pub const fn fill_loss(row: &MarketRow, position: &PositionCell) -> QuoteAtoms {
    let bids = loss_between(row.low, position.bid_bound, position.open_bid_lots, row.tick_value);
    // Without asks the bound is zero, but so are the lots.
    let asks = loss_between(position.ask_bound, row.high, position.open_ask_lots, row.tick_value);
    QuoteAtoms::new(bids.get().wrapping_add(asks.get()))
}

/// Value of so many lots between two prices, nothing if the upper one is not above the lower one.
///
/// WHY: a branch and not a saturating difference, which costs twice as much even where there is none.
#[inline(always)]
const fn loss_between(low: Ticks, high: Ticks, lots: Lots, tick_value: TickValue) -> QuoteAtoms {
    if high.get() <= low.get() {
        return QuoteAtoms::ZERO;
    }
    Ticks::new(high.get().wrapping_sub(low.get())).bounded_notional(lots, tick_value)
}

/// Initial margin of a notional with the market's open interest taken into account.
#[inline(always)]
fn scaled_tier(row: &MarketRow, notional: QuoteAtoms) -> Result<QuoteAtoms> {
    let required = tier(row, notional)?;
    if row.margin_scale == UNSCALED {
        return Ok(required);
    }
    // ROUND: up, against the trader. Nothing requires more than its value, whatever the product would be.
    let scaled = required.ppm_ceil(row.margin_scale).unwrap_or(notional);
    Ok(if scaled < notional { scaled } else { notional })
}

/// A [`MarketRow::margin_scale`] of one.
pub const UNSCALED: Ppm = Ppm::new(1_000_000);

/// Maintenance requirement of one position.
#[inline(always)]
pub fn position_maintenance(row: &MarketRow, position: &PositionCell) -> Result<QuoteAtoms> {
    maintenance_of(row, position.base.magnitude())
}

/// Maintenance requirement of a position of this size.
#[inline(always)]
pub fn maintenance_of(row: &MarketRow, size: Lots) -> Result<QuoteAtoms> {
    // ROUND: up, so that no position goes without a requirement.
    tier(row, row.mark.bounded_notional(size, row.tick_value))?.ppm_ceil(row.maintenance_now)
}

/// Piecewise-linear initial margin of a notional. Fails with `Corrupt` if no tier holds it.
#[inline(always)]
pub fn tier(row: &MarketRow, notional: QuoteAtoms) -> Result<QuoteAtoms> {
    let [first, further @ ..] = &row.tiers;
    // Nothing is deducted in the first tier.
    if notional <= first.notional_max { notional.ppm_ceil(first.rate) } else { further_tier(further, notional) }
}

/// WHY: out of line, since most positions lie in the first tier.
#[inline(never)]
fn further_tier(tiers: &[MarginTier; TIERS_MAX - 1], notional: QuoteAtoms) -> Result<QuoteAtoms> {
    // The last tier in use ends at `u64::MAX`, so the unused ones behind it are never reached.
    let tier = tiers.iter().find(|tier| notional <= tier.notional_max).ok_or(EngineError::Corrupt)?;
    margin_in(tier, notional)
}

#[inline(always)]
fn margin_in(tier: &MarginTier, notional: QuoteAtoms) -> Result<QuoteAtoms> {
    // ROUND: up, against the trader.
    notional.ppm_ceil(tier.rate)?.checked_sub(tier.deduction)
}
