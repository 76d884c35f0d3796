//! What trades do to a position: reservations, settlement, fees, open interest.

use crate::{
    error::{EngineError, Result},
    math,
    money::{self, Balance},
    state::{Cell, PositionCell, TraderCell},
    units::{CellIndex, Lots, QuoteAtoms, QuoteDelta, Side, TickValue, Ticks},
};

/// Fills of one side, with the part that closes the position apart, so that both parts settle exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Direction.
    pub side: Side,
    /// Lots filled.
    pub lots: Lots,
    /// Their value.
    pub quote: QuoteAtoms,
    /// Lots of these that reduce the position.
    pub close_lots: Lots,
    /// The value of those.
    pub close_quote: QuoteAtoms,
}

impl Execution {
    /// Nothing yet.
    #[inline(always)]
    pub const fn new(side: Side) -> Self {
        Self { side, lots: Lots::ZERO, quote: QuoteAtoms::ZERO, close_lots: Lots::ZERO, close_quote: QuoteAtoms::ZERO }
    }

    /// Adds a fill of `lots` at `price`, worth `quote`, of which `closing` lots reduce the position. The split is exact:
    /// each part is a whole number of lots at one price.
    #[inline(always)]
    pub fn add(&mut self, fill: &Fill, closing: Lots) -> Result<()> {
        // BOUND: the lots add up to at most the order's.
        self.lots = Lots::new(self.lots.get().wrapping_add(fill.lots.get()));
        self.quote = self.quote.checked_add(fill.quote)?;
        self.close_lots = Lots::new(self.close_lots.get().wrapping_add(closing.get()));
        let close_quote = fill.price.bounded_notional(closing, fill.tick_value);
        self.close_quote = self.close_quote.checked_add(close_quote)?;
        Ok(())
    }
}

/// One fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Price.
    pub price: Ticks,
    /// Quote atoms per lot per tick.
    pub tick_value: TickValue,
    /// Size.
    pub lots: Lots,
    /// Value.
    pub quote: QuoteAtoms,
}

impl Fill {
    /// As one side's execution, given how many of the lots close its position.
    #[inline(always)]
    pub const fn execution(&self, side: Side, closing: Lots) -> Execution {
        // Zero lots have no value, so nothing is special about closing nothing.
        Execution {
            side,
            lots: self.lots,
            quote: self.quote,
            close_lots: closing,
            close_quote: self.price.bounded_notional(closing, self.tick_value),
        }
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
    extend(position, side, lots, notional)?;
    position.orders = position.orders.wrapping_add(1);
    Ok(())
}

/// The same for lots of an order that is counted already.
#[inline(always)]
pub fn extend(position: &mut PositionCell, side: Side, lots: Lots, notional: QuoteAtoms) -> Result<()> {
    let (open_lots, open_notional) = open_of(position, side);
    *open_lots = open_lots.checked_add(lots)?;
    *open_notional = open_notional.checked_add(notional)?;
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
/// moves to cash as realised profit or loss. Returns by how many lots the long part of the position changed.
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
) -> Result<i64> {
    let before = position.base;
    let cost = position.quote;
    flow(&mut position.quote, transit, execution.side, execution.quote)?;
    if !execution.close_lots.is_zero() {
        if execution.close_lots == before.magnitude() {
            // All of it goes: what is left is nothing, or of the other direction.
            position.turns = position.turns.wrapping_add(1);
        }
        let share = closed_share(cost, execution.close_lots, before.magnitude())?;
        let received = match execution.side {
            Side::Bid => execution.close_quote.as_delta()?.negated()?,
            Side::Ask => execution.close_quote.as_delta()?,
        };
        let realised = share.checked_add(received)?;
        money::post_signed(&mut position.quote, &mut trader.cash, realised)?;
        position.realised = position.realised.wrapping_add(realised);
    }
    position.base = before.checked_add(execution.lots.signed(execution.side)?)?;
    // BOUND: both are below 2^63.
    Ok(position.base.long().get().wrapping_sub(before.long().get()).cast_signed())
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
    position.fees_paid = position.fees_paid.wrapping_add(fee);
    Ok(())
}

/// Largest absolute position that the resting orders can lead to.
///
/// BOUND: every order ends with this at most `position_max`, which a listing proves to be below 2^62, or no larger than
/// it was; one order adds at most `position_max` before that is looked at. So both sums stay below 2^63. The larger of the
/// two is never negative, since they add up to at least zero.
#[inline(always)]
pub fn worst_lots(position: &PositionCell) -> Lots {
    let base = position.base.get();
    let if_bids_fill = base.wrapping_add(position.open_bid_lots.get().cast_signed());
    let if_asks_fill = position.open_ask_lots.get().cast_signed().wrapping_sub(base);
    Lots::new(if if_bids_fill > if_asks_fill { if_bids_fill } else { if_asks_fill }.cast_unsigned())
}
