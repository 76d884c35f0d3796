//! Margin: what an account is worth and what its positions and orders require.
//!
//! * Equity `= cash + Σ (base × mark × tick_value + quote)`.
//! * Initial margin of a position `= tier(worst × mark × tick_value) + fill loss`, where `worst` is the largest absolute
//!   position its resting orders can lead to, and the fill loss is what it could lose to the mark by fills:
//!   `(bid lots × max(0, highest bid − mark) + ask lots × max(0, mark − lowest ask)) × tick_value`. It is not summed
//!   order by order: a far order, which will not fill, would offset the loss of one through the mark, which will.
//! * Maintenance margin `= ⌈tier(|base| × mark × tick_value) × maintenance⌉`, so never zero for a position (R8).
//! * `tier(n) = ⌈n × rate⌉ − deduction` of the segment that holds n: continuous, convex, rising.

use super::{position, price::Validity};
use crate::{
    error::{EngineError, Result},
    state::{LedgerView, MarginTier, MarketRow, PositionCell, TraderCell, row::TIERS_MAX},
    units::{QuoteAtoms, QuoteDelta, Ticks, UnixSeconds},
};

/// An account against its initial requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitialMargin {
    /// Cash plus unrealised profit and loss at mark.
    pub equity: QuoteDelta,
    /// Initial requirement of all positions and orders.
    pub required: QuoteAtoms,
    /// Worst validity among the prices the account depends on.
    pub validity: Validity,
}

/// An account against its maintenance requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaintenanceMargin {
    /// Cash plus unrealised profit and loss at mark.
    pub equity: QuoteDelta,
    /// Maintenance requirement of all positions.
    pub required: QuoteAtoms,
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
    let mut equity = trader.cash.get();
    let mut required = QuoteAtoms::ZERO;
    let mut validity = Validity::Fresh;
    let mut next = trader.first_position;
    while !next.is_nil() {
        let position = ledger.position(next)?;
        next = position.next;
        if position.base.is_zero() && position.orders == 0 {
            continue;
        }
        let row = ledger.row(position.market)?;
        validity = validity.worse(row.validity(now));
        equity = equity.checked_add(unrealised(row, position)?)?;
        required = required.checked_add(position_initial(row, position)?)?;
    }
    Ok(InitialMargin { equity, required, validity })
}

/// Maintenance margin of a trader. Fails with `Overflow` or `Corrupt`.
pub fn maintenance(ledger: &LedgerView<'_>, trader: &TraderCell) -> Result<MaintenanceMargin> {
    let mut equity = trader.cash.get();
    let mut required = QuoteAtoms::ZERO;
    for (_, position) in ledger.positions(trader).filter(|(_, position)| !position.base.is_zero()) {
        let row = ledger.row(position.market)?;
        equity = equity.checked_add(unrealised(row, position)?)?;
        required = required.checked_add(position_maintenance(row, position)?)?;
    }
    Ok(MaintenanceMargin { equity, required })
}

/// What may be withdrawn: `min(cash, cash + Σ min(unrealised, 0) − initial requirement)`, never below zero. Unrealised
/// profit does not count. `validity` is that of the worst price involved; with no position and no order, `Fresh`.
pub fn withdrawable(ledger: &LedgerView<'_>, trader: &TraderCell, now: UnixSeconds) -> Result<(QuoteAtoms, Validity)> {
    let mut free = trader.cash.get();
    let mut validity = Validity::Fresh;
    for (_, position) in ledger.positions(trader).filter(|(_, position)| !position.is_empty()) {
        let row = ledger.row(position.market)?;
        validity = validity.worse(row.validity(now));
        let unrealised = unrealised(row, position)?;
        if unrealised < QuoteDelta::ZERO {
            free = free.checked_add(unrealised)?;
        }
        free = free.checked_sub(position_initial(row, position)?.as_delta()?)?;
    }
    let cash = trader.cash.get();
    Ok((if free < cash { free } else { cash }.positive_part(), validity))
}

/// Profit or loss of the open size at mark.
#[inline(always)]
pub fn unrealised(row: &MarketRow, position: &PositionCell) -> Result<QuoteDelta> {
    if position.base.is_zero() {
        return Ok(position.quote.get());
    }
    row.mark.bounded_value(position.base, row.tick_value).checked_add(position.quote.get())
}

/// Initial requirement of one position with its resting orders.
#[inline(always)]
pub fn position_initial(row: &MarketRow, position: &PositionCell) -> Result<QuoteAtoms> {
    let worst = position::worst_lots(position);
    let required = tier(row, row.mark.bounded_notional(worst, row.tick_value))?;
    if position.orders == 0 {
        return Ok(required);
    }
    let bids_through = position.bid_bound.get().saturating_sub(row.mark.get());
    // Without asks the bound is zero, but so are the lots.
    let asks_through = row.mark.get().saturating_sub(position.ask_bound.get());
    required
        .checked_add(Ticks::new(bids_through).bounded_notional(position.open_bid_lots, row.tick_value))?
        .checked_add(Ticks::new(asks_through).bounded_notional(position.open_ask_lots, row.tick_value))
}

/// Maintenance requirement of one position.
#[inline(always)]
pub fn position_maintenance(row: &MarketRow, position: &PositionCell) -> Result<QuoteAtoms> {
    let notional = row.mark.bounded_notional(position.base.magnitude(), row.tick_value);
    // ROUND: up, so that no position goes without a requirement.
    tier(row, notional)?.ppm_ceil(row.maintenance)
}

/// Piecewise-linear initial margin of a notional. Fails with `Corrupt` if no tier holds it.
#[inline(always)]
pub fn tier(row: &MarketRow, notional: QuoteAtoms) -> Result<QuoteAtoms> {
    let [first, further @ ..] = &row.tiers;
    if notional <= first.notional_max { margin_in(first, notional) } else { further_tier(further, notional) }
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
