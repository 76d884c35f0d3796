//! What trades do to a position: reservations, settlement, fees, open interest.

use crate::{
    error::{EngineError, Result},
    math,
    money::{self, Balance},
    state::{Cell, MarketRow, PositionCell, TraderCell},
    units::{CellIndex, Lots, PositionLots, QuoteAtoms, QuoteDelta, Side, TickValue, Ticks},
};

/// Fills of one side, split into what closes the position and what opens it, so that both parts settle exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Direction.
    pub side: Side,
    /// Lots that reduce the position.
    pub close_lots: Lots,
    /// Their value.
    pub close_quote: QuoteAtoms,
    /// Lots that open or extend it.
    pub open_lots: Lots,
    /// Their value.
    pub open_quote: QuoteAtoms,
}

/// Long lots of a position before and after a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterestChange {
    before: Lots,
    after: Lots,
}

impl Execution {
    /// Nothing yet.
    #[inline(always)]
    pub const fn new(side: Side) -> Self {
        Self {
            side,
            close_lots: Lots::ZERO,
            close_quote: QuoteAtoms::ZERO,
            open_lots: Lots::ZERO,
            open_quote: QuoteAtoms::ZERO,
        }
    }

    /// Adds a fill of `lots` worth `notional`, of which `closing` lots reduce the position. The split is exact: each
    /// part is a whole number of lots at one price.
    #[inline(always)]
    pub fn add(
        &mut self,
        lots: Lots,
        notional: QuoteAtoms,
        closing: Lots,
        price: Ticks,
        tick_value: TickValue,
    ) -> Result<()> {
        let close_quote = if closing.is_zero() {
            QuoteAtoms::ZERO
        } else if closing == lots {
            notional
        } else {
            price.notional(closing, tick_value)?
        };
        self.close_lots = self.close_lots.checked_add(closing)?;
        self.close_quote = self.close_quote.checked_add(close_quote)?;
        self.open_lots = self.open_lots.checked_add(lots.checked_sub(closing)?)?;
        self.open_quote = self.open_quote.checked_add(notional.checked_sub(close_quote)?)?;
        Ok(())
    }

    /// All lots.
    #[inline(always)]
    pub fn lots(&self) -> Result<Lots> {
        self.close_lots.checked_add(self.open_lots)
    }
}

/// A position together with its trader.
#[inline(always)]
pub fn with_trader(cells: &mut [Cell], position: CellIndex) -> Result<(&mut PositionCell, &mut TraderCell)> {
    let trader = crate::state::ledger::position(cells, position)?.trader;
    let pair = cells.get_disjoint_mut([position.as_usize(), trader.as_usize()]);
    let [position, trader] = pair.map_err(|_| EngineError::Corrupt)?;
    Ok((position.position_mut().ok_or(EngineError::Corrupt)?, trader.trader_mut().ok_or(EngineError::Corrupt)?))
}

/// Reserves margin for a new resting order: its lots and its value at its own price.
#[inline(always)]
pub fn reserve(position: &mut PositionCell, side: Side, lots: Lots, notional: QuoteAtoms) -> Result<()> {
    let (open_lots, open_notional) = open_of(position, side);
    *open_lots = open_lots.checked_add(lots)?;
    *open_notional = open_notional.checked_add(notional)?;
    position.orders = position.orders.wrapping_add(1);
    Ok(())
}

/// Releases the reservation of lots that were filled or dropped; the order itself stays counted until it leaves.
#[inline(always)]
pub fn release(position: &mut PositionCell, side: Side, lots: Lots, notional: QuoteAtoms) -> Result<()> {
    let (open_lots, open_notional) = open_of(position, side);
    *open_lots = open_lots.checked_sub(lots)?;
    *open_notional = open_notional.checked_sub(notional)?;
    if open_lots.is_zero() {
        *bound_of(position, side) = Ticks::ZERO;
    }
    Ok(())
}

/// Widens the price bound of a side so that it covers a resting order at `price`.
#[inline(always)]
pub fn cover(position: &mut PositionCell, side: Side, price: Ticks) {
    let bound = bound_of(position, side);
    let covered = match side {
        Side::Bid => price <= *bound,
        Side::Ask => price >= *bound && !bound.is_zero(),
    };
    if !covered {
        *bound = price;
    }
}

#[inline(always)]
fn bound_of(position: &mut PositionCell, side: Side) -> &mut Ticks {
    match side {
        Side::Bid => &mut position.bid_bound,
        Side::Ask => &mut position.ask_bound,
    }
}

#[inline(always)]
fn open_of(position: &mut PositionCell, side: Side) -> (&mut Lots, &mut QuoteAtoms) {
    match side {
        Side::Bid => (&mut position.open_bid_lots, &mut position.open_bid_notional),
        Side::Ask => (&mut position.open_ask_lots, &mut position.open_ask_notional),
    }
}

/// Applies an execution: quote flows between the position and `transit`, the closed share of the position's quote
/// moves to cash as realised profit or loss.
///
/// | | position.quote | transit | cash |
/// |---|---|---|---|
/// | buy worth q | −q | +q | |
/// | sell worth q | +q | −q | |
/// | close c of b lots | −(share + flow) | | +(share + flow) |
///
/// ROUND: the share of a partial close is floored, so cash, which can be withdrawn, is never ahead of the position.
#[inline(always)]
pub fn settle(
    position: &mut PositionCell,
    trader: &mut TraderCell,
    execution: &Execution,
    transit: &mut Balance,
) -> Result<InterestChange> {
    let before = position.base;
    if !execution.close_lots.is_zero() {
        let share = closed_share(position.quote, execution.close_lots, before.magnitude())?;
        flow(&mut position.quote, transit, execution.side, execution.close_quote)?;
        let received = match execution.side {
            Side::Bid => execution.close_quote.as_delta()?.negated()?,
            Side::Ask => execution.close_quote.as_delta()?,
        };
        let realised = share.checked_add(received)?;
        money::post_signed(&mut position.quote, &mut trader.cash, realised)?;
        position.realised = position.realised.checked_add(realised)?;
    }
    if !execution.open_lots.is_zero() {
        flow(&mut position.quote, transit, execution.side, execution.open_quote)?;
    }
    position.base = before.checked_add(execution.lots()?.signed(execution.side)?)?;
    Ok(InterestChange { before: before.long(), after: position.base.long() })
}

/// A buyer's quote flows into transit, a seller's out of it.
#[inline(always)]
fn flow(quote: &mut Balance, transit: &mut Balance, side: Side, atoms: QuoteAtoms) -> Result<()> {
    match side {
        Side::Bid => money::post(quote, transit, atoms),
        Side::Ask => money::post(transit, quote, atoms),
    }
}

#[inline(always)]
fn closed_share(quote: Balance, closed: Lots, size: Lots) -> Result<QuoteDelta> {
    if closed == size {
        return Ok(quote.get());
    }
    math::signed_share_floor(quote.get().get(), closed.get(), size.get()).map(QuoteDelta::new)
}

/// Charges a fee to cash, or pays a rebate from the fees.
#[inline(always)]
pub fn charge(position: &mut PositionCell, trader: &mut TraderCell, fees: &mut Balance, fee: QuoteDelta) -> Result<()> {
    money::post_signed(&mut trader.cash, fees, fee)?;
    position.fees_paid = position.fees_paid.checked_add(fee)?;
    Ok(())
}

/// Keeps open interest equal to the sum of long positions (P2).
#[inline(always)]
pub fn apply_interest(row: &mut MarketRow, change: InterestChange) -> Result<()> {
    row.open_interest = row.open_interest.checked_add(change.after)?.checked_sub(change.before)?;
    Ok(())
}

/// Largest absolute position that the resting orders can lead to.
#[inline(always)]
pub fn worst_lots(position: &PositionCell) -> Result<Lots> {
    let if_bids_fill = position.base.checked_add(position.open_bid_lots.signed(Side::Bid)?)?;
    let if_asks_fill = position.base.checked_add(position.open_ask_lots.signed(Side::Ask)?)?;
    Ok(larger(if_bids_fill, if_asks_fill))
}

#[inline(always)]
fn larger(a: PositionLots, b: PositionLots) -> Lots {
    let (a, b) = (a.magnitude(), b.magnitude());
    if a > b { a } else { b }
}
