//! What an account has made by trading, and what it may still lose by what it has placed.
//!
//! * *Profit* `= prudent equity − paid in − absorbed`: cash and positions at the worst of mark, index and stable price, less what
//!   was brought into the account from outside and what the pool put in.
//! * *Worst profit* `= profit − Σ` of what its open orders and triggers can lose at the prices of the board, fees included.
//!
//! # The bound
//! The worth of a position, `min(base × low, base × high)`, changes by no less than `lots × low` with a buy and by no less than
//! `−lots × high` with a sell. So lots bought at `p` cost at most `lots × (p − low)` of profit and lots sold at most
//! `lots × (high − p)`, whatever else happens before and after. An order is filled at its limit or better; a better
//! price gains more than the fee on it. Hence, while the board stands still, no fill, no execution and no cancellation of
//! what is placed takes profit below the worst profit.
//!
//! All of it is modulo 2^64: what counts is the difference of two such numbers.

use super::{margin, position};
use crate::{
    error::{EngineError, Result},
    math,
    state::{Condition, LedgerView, MarketRow, PositionCell, Reference, TraderCell, TriggerCell},
    units::{Lots, QuoteAtoms, QuoteDelta, Side, UnixSeconds},
};

/// What the account has made by trading. Fails with `Overflow` or `Corrupt`.
pub fn profit(ledger: &LedgerView<'_>, trader: &TraderCell) -> Result<QuoteDelta> {
    // WHY: any time will do, since nothing but the validity of prices depends on it.
    Ok(earned(trader, margin::initial(ledger, trader, UnixSeconds::ZERO)?.equity))
}

/// What is left of the profit, with this prudent equity, once so much that is at stake is lost. Fails with `Overflow`.
#[inline(always)]
pub fn worst_profit(trader: &TraderCell, equity: QuoteDelta, stake: QuoteAtoms) -> Result<QuoteDelta> {
    // Below 2^63 as [`raised`] leaves it, so that the difference is above the equity just if it is too low for 64 bits.
    let rest = QuoteDelta::new(equity.get().wrapping_sub(stake.get().cast_signed()));
    if rest > equity { Err(EngineError::Overflow) } else { Ok(earned(trader, rest)) }
}

/// What a position's orders and triggers can lose.
#[inline(always)]
pub fn at_stake(ledger: &LedgerView<'_>, row: &MarketRow, held: &PositionCell) -> Result<QuoteAtoms> {
    let loss = orders_loss(row, held)?;
    if held.first_trigger.is_nil() { Ok(loss) } else { raised(loss, triggers_loss(ledger, row, held)?) }
}

/// A sum that is to stay below 2^63, as `stake` is. Fails with `Overflow`.
#[inline(always)]
pub const fn raised(stake: QuoteAtoms, loss: QuoteAtoms) -> Result<QuoteAtoms> {
    let sum = stake.get().wrapping_add(loss.get());
    // WHY: a sum of two numbers with a clear top bit does not wrap, so one look at the top bits is enough.
    if (loss.get() | sum).cast_signed() < 0 { Err(EngineError::Overflow) } else { Ok(QuoteAtoms::new(sum)) }
}

/// What the account has made by trading if its prudent equity is this.
#[inline(always)]
pub const fn earned(trader: &TraderCell, equity: QuoteDelta) -> QuoteDelta {
    let outside = trader.paid_in.get().wrapping_add(trader.absorbed.get().cast_signed());
    QuoteDelta::new(equity.get().wrapping_sub(outside))
}

/// What a position's open orders can lose: through the prudent prices, and by fees. A waiting one pays the taker's, and no
/// maker pays more.
///
/// BOUND: neither side may lead to a position above `position_max`, so the lots of both are at most twice that, and their value
/// is below 2^63 at whatever prices (see [`Ticks::bounded_notional`](crate::units::Ticks::bounded_notional)). A loss by fills is
/// at most that less a tick for each lot, and a fee is a hundredth of it: with an atom for each lot all is below 2^64.
#[inline(always)]
fn orders_loss(row: &MarketRow, held: &PositionCell) -> Result<QuoteAtoms> {
    let value = held.open_bid_notional.get().wrapping_add(held.open_ask_notional.get());
    let lots = held.open_bid_lots.get().wrapping_add(held.open_ask_lots.get());
    // ROUND: up for each fill, and a fill is at least a lot.
    let fees = QuoteAtoms::new(value).ppm_ceil(row.taker_fee)?.get().wrapping_add(lots);
    Ok(QuoteAtoms::new(margin::fill_loss(row, held).get().wrapping_add(fees)))
}

/// ROUND: up for each fill, and a fill is at least a lot.
#[inline(always)]
fn fees(row: &MarketRow, value: QuoteAtoms, lots: Lots) -> Result<QuoteAtoms> {
    value.ppm_ceil(row.taker_fee)?.checked_add(QuoteAtoms::new(lots.get()))
}

/// What a position's triggers can lose.
///
/// WHY: out of line, since few positions have any.
#[cold]
#[inline(never)]
fn triggers_loss(ledger: &LedgerView<'_>, row: &MarketRow, held: &PositionCell) -> Result<QuoteAtoms> {
    let mut largest = position::worst_lots(held);
    for (_, trigger) in ledger.triggers(held).filter(|(_, trigger)| !trigger.is_reduce_only()) {
        largest = largest.checked_add(trigger.lots)?;
    }
    let mut loss = QuoteAtoms::ZERO;
    for (_, trigger) in ledger.triggers(held) {
        loss = loss.checked_add(trigger_loss(row, held, trigger, largest)?)?;
    }
    Ok(loss)
}

/// What one trigger can lose if the position is at most `largest` by then.
fn trigger_loss(row: &MarketRow, held: &PositionCell, trigger: &TriggerCell, largest: Lots) -> Result<QuoteAtoms> {
    let mut lots = trigger.lots;
    if !trigger.share.is_zero() {
        // ROUND: up, against the trader.
        lots = Lots::new(math::ppm_ceil(largest.get(), trigger.share.get())?);
    }
    if trigger.parent != 0 {
        lots = lots.checked_add(held.open_lots(trigger.side().opposite()))?;
    }
    let (low, high) = (row.low, row.high);
    let priced = matches!(trigger.condition(), Some(Condition::Above | Condition::Below));
    // Where it fires, as far as that is known.
    let (bottom, top) = if priced { (low.min(trigger.price), high.max(trigger.price)) } else { (low, high) };
    let (through, price) = if trigger.limit.is_zero() {
        let reach = math::to_u64(top.get()).wrapping_mul(math::to_u64(slippage(row, trigger))) / math::PPM;
        let spread = math::to_u64(high.get().saturating_sub(low.get()));
        (spread.saturating_add(reach), math::to_u64(top.get()).saturating_add(reach))
    } else {
        let through = match trigger.side() {
            Side::Bid => trigger.limit.get().saturating_sub(bottom.get()),
            Side::Ask => top.get().saturating_sub(trigger.limit.get()),
        };
        (math::to_u64(through), math::to_u64(top.max(trigger.limit).get()))
    };
    let loss = value_of(row, through, lots)?;
    loss.checked_add(fees(row, value_of(row, price, lots)?, lots)?)
}

/// How far from where it fires a taking trigger may reach, in ppm. The last price may itself lie as far as the band from the
/// mark.
fn slippage(row: &MarketRow, trigger: &TriggerCell) -> u32 {
    match trigger.reference() {
        Some(Reference::Mark | Reference::Index) => trigger.slippage.get().min(row.band.get()),
        _ => row.band.get(),
    }
}

fn value_of(row: &MarketRow, ticks: u64, lots: Lots) -> Result<QuoteAtoms> {
    let per_lot = math::mul(ticks, math::to_u64(row.tick_value.get()))?;
    math::mul(per_lot, lots.get()).map(QuoteAtoms::new)
}
