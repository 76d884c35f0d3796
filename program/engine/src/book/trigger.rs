//! Conditional orders: placing, cancelling, removing.
//!
//! A trigger is a cell on a list of its owner's position. Keepers name the triggers that they execute, so nothing ever
//! searches by price: there is no index of triggers that strangers could fill, and what somebody else has placed costs an
//! owner nothing.

use super::Trading;
use crate::{
    access, account,
    error::{EngineError, Result},
    money,
    state::{
        Cell, Condition, MarketRow, Reference, TradeEvent, TradeEventKind, TraderCell, TriggerCell,
        ledger::TRIGGERS_PER_POSITION_MAX,
    },
    units::{CellIndex, Lots, Ppm, QuoteAtoms, Sequence, Side, Ticks, UnixSeconds},
};

/// Fewest slices of a trigger that fires by time.
pub const TWAP_SLICES_MIN: u16 = 2;
/// Most slices of a trigger that fires by time.
pub const TWAP_SLICES_MAX: u16 = 1_000;
/// Most seconds between two slices.
pub const TWAP_INTERVAL_MAX: u32 = 86_400;

/// A trigger to place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTrigger {
    /// When it fires.
    pub condition: Condition,
    /// The price it watches, and takes from.
    pub reference: Reference,
    /// Buys or sells.
    pub side: Side,
    /// May only reduce the position that there is now, or with a parent: that its fills lead to.
    pub reduce_only: bool,
    /// Trigger price of [`Condition::Above`] and [`Condition::Below`]; else 0.
    pub price: Ticks,
    /// Distance of [`Condition::Trailing`]; else 0.
    pub distance: Ticks,
    /// Price of the limit order it becomes, whose remainder rests; 0 if it takes at once and rests nothing.
    pub limit: Ticks,
    /// How far from the reference it may take; 0 with a limit.
    pub slippage: Ppm,
    /// Size in lots; 0 with a share or a parent.
    pub lots: Lots,
    /// Size as a part of the position, reduce-only; 0 with lots or a parent.
    pub share: Ppm,
    /// Paid in advance out of cash for keepers; at most the market's largest tip of a liquidation.
    pub tip: QuoteAtoms,
    /// The trader's own id, unique among its triggers in the market; 0 for none.
    pub client_id: u64,
    /// Client id of an order of the trader on the other side, present or to come, whose fills arm it; 0 for none.
    pub parent: u64,
    /// One execution cancels the others of this group of the position; 0 for none.
    pub group: u32,
    /// Last second at which it may fire; 0 for no end.
    pub expires_at: UnixSeconds,
    /// Seconds between the slices of [`Condition::Twap`]; else 0.
    pub interval: u32,
    /// Slices of [`Condition::Twap`]; else 0.
    pub slices: u16,
}

/// Names a trigger by its cell and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TriggerHandle {
    /// Cell of the ledger.
    pub cell: CellIndex,
    /// Number of the trigger.
    pub number: Sequence,
}

impl Trading<'_> {
    /// Places a trigger of `trader` and takes its tip out of cash. On `Err` the views are left in an undefined state and must be
    /// discarded.
    ///
    /// Fails with `TriggerInvalid`, `OrderPriceOutOfRange`, `OrderLotsOutOfRange`, `ModeForbids`, `MarketNotActive`, `OrderExpired`,
    /// `AccountBankrupt`, `TriggerTipTooLarge`, `AccountGuarded` (a tip), `PriceNotValidForAction` or `WithdrawExceedsAvailable` if the tip is not
    /// withdrawable, `LedgerFull`, `ReduceOnlyNothingToReduce`, `TriggersTooMany`, `ClientIdInUse`.
    pub fn place_trigger(&mut self, trader: CellIndex, wanted: &NewTrigger) -> Result<TriggerHandle> {
        self.check_trigger(trader, wanted)?;
        let position = account::position_in(&mut self.ledger, trader, self.market.header.index)?;
        self.check_place_on_list(position, wanted)?;
        let cell = self.ledger.header.cells.allocate(self.ledger.cells)?.ok_or(EngineError::LedgerFull)?;
        let cell = CellIndex::new(cell);
        let number = Sequence::new(self.market.header.orders_placed.get().wrapping_add(1));
        self.market.header.orders_placed = number;
        self.market.header.triggers = self.market.header.triggers.wrapping_add(1);
        let mut trigger = as_cell(wanted, self.now.unix_seconds);
        if wanted.condition == Condition::Trailing {
            trigger.price = self.reference(wanted.reference)?.unwrap_or(Ticks::ZERO);
        }
        let held = self.ledger.position_mut(position)?;
        (trigger.number, trigger.position, trigger.turns) = (number, position, held.turns);
        trigger.next = core::mem::replace(&mut held.first_trigger, cell);
        *self.ledger.cells.get_mut(cell.as_usize()).ok_or(EngineError::Corrupt)? = trigger.into_cell();
        let (placed, owner) = with_trader(self.ledger.cells, cell, trader)?;
        money::post(&mut owner.cash, &mut placed.tip, wanted.tip)?;
        owner.note_paid_out(wanted.tip);
        if wanted.parent != 0 {
            self.attach(position, wanted.parent, wanted.side)?;
        }
        self.record_trigger(TradeEventKind::TriggerPlaced, &trigger, CellIndex::NIL, wanted.tip)?;
        Ok(TriggerHandle { cell, number })
    }

    /// Everything that can be said about a trigger before its position is looked at.
    fn check_trigger(&self, trader: CellIndex, wanted: &NewTrigger) -> Result<()> {
        let row = self.row()?;
        if !wanted.is_consistent() {
            return Err(EngineError::TriggerInvalid);
        }
        check_prices(row, wanted)?;
        check_size(row, wanted)?;
        self.require_mode(wanted.reduce_only)?;
        if !if wanted.reduce_only { row.accepts_reducing() } else { row.is_active() } {
            return Err(EngineError::MarketNotActive);
        }
        if !wanted.expires_at.is_zero() && wanted.expires_at <= self.now.unix_seconds {
            return Err(EngineError::OrderExpired);
        }
        if self.ledger.trader(trader)?.is_bankrupt() {
            return Err(EngineError::AccountBankrupt);
        }
        if wanted.tip > row.risk.liquidation_tip_max {
            return Err(EngineError::TriggerTipTooLarge);
        }
        if wanted.tip.is_zero() {
            return Ok(());
        }
        access::require_open(&self.ledger.view(), self.ledger.trader(trader)?, self.now.unix_seconds)?;
        account::require_free(&self.ledger, self.now, trader, wanted.tip)
    }

    /// Whether the position has something to reduce, and a place and a name left for the trigger.
    fn check_place_on_list(&self, position: CellIndex, wanted: &NewTrigger) -> Result<()> {
        let held = self.ledger.position(position)?;
        let reducing = wanted.reduce_only && wanted.parent == 0;
        if reducing && held.base.closable_by(wanted.side).is_zero() {
            return Err(EngineError::ReduceOnlyNothingToReduce);
        }
        let mut count = 0usize;
        for (_, trigger) in self.ledger.view().triggers(held) {
            count = count.wrapping_add(1);
            if wanted.client_id != 0 && trigger.client_id == wanted.client_id {
                return Err(EngineError::ClientIdInUse);
            }
        }
        if count < TRIGGERS_PER_POSITION_MAX { Ok(()) } else { Err(EngineError::TriggersTooMany) }
    }

    /// Cancels the trigger with this handle, in whatever state the market is. Fails with `TriggerNotFound` unless it is a
    /// live trigger of `trader` in this market.
    pub fn cancel_trigger(&mut self, trader: CellIndex, handle: TriggerHandle) -> Result<()> {
        let Some(trigger) = self.live_trigger(handle)? else {
            return Err(EngineError::TriggerNotFound);
        };
        if self.ledger.position(trigger.position)?.trader != trader {
            return Err(EngineError::TriggerNotFound);
        }
        self.remove_trigger(handle.cell, CellIndex::NIL)
    }

    /// Cancels the trigger of `trader` that has this client id. Fails with `TriggerNotFound`, also for 0, which names none.
    pub fn cancel_trigger_by_client_id(&mut self, trader: CellIndex, client_id: u64) -> Result<()> {
        let position = self.position_of(trader).map_err(|_| EngineError::TriggerNotFound)?;
        let view = self.ledger.view();
        let named = |trigger: &TriggerCell| client_id != 0 && trigger.client_id == client_id;
        let found = view.triggers(view.position(position)?).find(|(_, trigger)| named(trigger));
        let (cell, _) = found.ok_or(EngineError::TriggerNotFound)?;
        self.remove_trigger(cell, CellIndex::NIL)
    }

    /// The trigger with this handle, if it is alive and of this market.
    pub(super) fn live_trigger(&self, handle: TriggerHandle) -> Result<Option<TriggerCell>> {
        let found = self.ledger.cells.get(handle.cell.as_usize()).and_then(Cell::trigger);
        let Some(trigger) = found.filter(|trigger| trigger.number == handle.number) else {
            return Ok(None);
        };
        let here = self.ledger.position(trigger.position)?.market == self.market.header.index;
        Ok(here.then_some(*trigger))
    }

    /// Takes a trigger off its list, gives its tip back to its owner's cash and frees its cell.
    ///
    /// WHY: out of line, since it is called from everywhere and rare.
    #[cold]
    #[inline(never)]
    pub(super) fn remove_trigger(&mut self, cell: CellIndex, by: CellIndex) -> Result<()> {
        let trigger = *self.ledger.trigger(cell)?;
        let held = self.ledger.position_mut(trigger.position)?;
        let owner = held.trader;
        if held.first_trigger == cell {
            held.first_trigger = trigger.next;
        } else {
            let mut newer = held.first_trigger;
            while self.ledger.trigger(newer)?.next != cell {
                newer = self.ledger.trigger(newer)?.next;
            }
            self.ledger.trigger_mut(newer)?.next = trigger.next;
        }
        let tip = trigger.tip.get().positive_part();
        let (removed, trader) = with_trader(self.ledger.cells, cell, owner)?;
        money::post(&mut removed.tip, &mut trader.cash, tip)?;
        trader.note_paid_in(tip);
        self.record_trigger(TradeEventKind::TriggerRemoved, &trigger, by, tip)?;
        self.market.header.triggers = self.market.header.triggers.checked_sub(1).ok_or(EngineError::Corrupt)?;
        self.ledger.header.cells.release(self.ledger.cells, cell.get())
    }

    /// Writes what happened to a trigger, with its present lots and price, and the tip that moved.
    pub(super) fn record_trigger(
        &mut self,
        kind: TradeEventKind,
        trigger: &TriggerCell,
        by: CellIndex,
        tip: QuoteAtoms,
    ) -> Result<()> {
        let mut event = TradeEvent::of(kind, trigger.side(), by);
        event.order = trigger.number;
        event.client_id = trigger.client_id;
        event.lots = trigger.lots;
        event.price = trigger.price;
        event.maker = self.ledger.position(trigger.position)?.trader;
        event.taker_fee = tip.as_delta()?;
        self.market.record(self.now, event)
    }

    /// Removes triggers of a silent trader that may add risk, at most `limit`; returns how many.
    pub(super) fn remove_risky_triggers(&mut self, position: CellIndex, limit: u8) -> Result<u8> {
        let mut next = self.ledger.position(position)?.first_trigger;
        let mut removed = 0u8;
        while removed < limit && !next.is_nil() {
            let cell = next;
            let trigger = self.ledger.trigger(cell)?;
            next = trigger.next;
            if !trigger.is_reduce_only() {
                self.remove_trigger(cell, CellIndex::NIL)?;
                removed = removed.wrapping_add(1);
            }
        }
        Ok(removed)
    }
}

impl NewTrigger {
    /// Whether what is given goes together: each condition has its own fields and no others.
    fn is_consistent(&self) -> bool {
        let timed = self.condition == Condition::Twap;
        let priced = matches!(self.condition, Condition::Above | Condition::Below);
        let conditioned = priced != self.price.is_zero()
            && (self.condition == Condition::Trailing) != self.distance.is_zero()
            && timed == (TWAP_SLICES_MIN..=TWAP_SLICES_MAX).contains(&self.slices)
            && timed == (1..=TWAP_INTERVAL_MAX).contains(&self.interval)
            && (timed || (self.slices == 0 && self.interval == 0));
        let sizes = [!self.lots.is_zero(), !self.share.is_zero(), self.parent != 0];
        let sized = sizes.iter().filter(|given| **given).count() == 1;
        let reducing = self.reduce_only || !self.lots.is_zero();
        // What waits for a parent has no size to slice, and what is sliced leaves nothing resting.
        let sliced = !timed || (self.parent == 0 && self.limit.is_zero());
        let whole = crate::math::PPM;
        let within = u64::from(self.share.get()) <= whole && u64::from(self.slippage.get()) <= whole;
        let executed = self.limit.is_zero() || self.slippage.is_zero();
        conditioned && sized && reducing && sliced && within && executed
    }
}

/// Prices within the market's range.
fn check_prices(row: &MarketRow, wanted: &NewTrigger) -> Result<()> {
    let highest = wanted.price.max(wanted.distance).max(wanted.limit);
    if highest > row.price_max { Err(EngineError::OrderPriceOutOfRange) } else { Ok(()) }
}

/// Lots, or those of a slice, as an order may have them.
fn check_size(row: &MarketRow, wanted: &NewTrigger) -> Result<()> {
    if wanted.lots.is_zero() {
        return Ok(());
    }
    let slice = Lots::new(wanted.lots.get().checked_div(wanted.slices.max(1).into()).unwrap_or(0));
    // WHY: a reduce-only order may be below the smallest size, or dust could never be closed.
    let least = if wanted.reduce_only { Lots::new(1) } else { row.lots_min };
    let in_range = slice >= least && slice <= row.lots_max && wanted.lots <= row.position_max;
    if in_range { Ok(()) } else { Err(EngineError::OrderLotsOutOfRange) }
}

/// The cell of a new trigger, not yet on a list and without its tip.
fn as_cell(wanted: &NewTrigger, now: UnixSeconds) -> TriggerCell {
    let mut cell = TriggerCell::new(wanted.condition, wanted.reference, wanted.side, wanted.reduce_only);
    (cell.client_id, cell.parent, cell.group) = (wanted.client_id, wanted.parent, wanted.group);
    (cell.lots, cell.share) = (wanted.lots, wanted.share);
    (cell.price, cell.distance) = (wanted.price, wanted.distance);
    (cell.limit, cell.slippage) = (wanted.limit, wanted.slippage);
    (cell.slices, cell.interval) = (wanted.slices, wanted.interval);
    cell.expires_at = wanted.expires_at;
    if wanted.condition == Condition::Twap {
        cell.next_at = now;
    }
    cell
}

/// A trigger together with a trader.
pub(super) fn with_trader(
    cells: &mut [Cell],
    trigger: CellIndex,
    trader: CellIndex,
) -> Result<(&mut TriggerCell, &mut TraderCell)> {
    let pair = cells.get_disjoint_mut([trigger.as_usize(), trader.as_usize()]);
    let [trigger, trader] = pair.map_err(|_| EngineError::Corrupt)?;
    Ok((trigger.trigger_mut().ok_or(EngineError::Corrupt)?, trader.trader_mut().ok_or(EngineError::TraderNotFound)?))
}
