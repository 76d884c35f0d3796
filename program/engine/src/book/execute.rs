//! Executing conditional orders. Whoever does it names triggers and nothing else: whether one is due, its price and its size
//! follow from the state, and its order is an ordinary one of its owner.

use super::{
    NewOrder, OrderKind, SelfTrade, Trading,
    place::band_reach,
    trigger::{TriggerHandle, with_trader},
};
use crate::{
    error::{EngineError, Result},
    math, money,
    risk::price::Action,
    state::{MarketRow, PositionCell, Reference, TradeEventKind, TriggerCell},
    units::{CellIndex, Lots, Ppm, QuoteAtoms, Side, Ticks, UnixSeconds},
};

/// Most resting orders that one execution meets.
///
/// WHY: fixed, or a keeper could have a trigger executed in crumbs.
const MATCH_LIMIT: u8 = u8::MAX;

/// An execution about to happen.
struct Firing {
    order: NewOrder,
    /// Lots that the trigger wants in all at this moment.
    wanted: Lots,
    reference: Ticks,
}

impl Trading<'_> {
    /// Executes those of the triggers named that are due, moves the extremes of trailing ones, and removes those that can
    /// never fire again; the others are skipped. Tips go to `keeper`'s cash. Returns for how many something was done. On
    /// `Err` the views are left in an undefined state and must be discarded.
    ///
    /// Fails with `NoTriggerDue` if nothing was done, or more takers that wait are due than can be run ahead, or as [`Trading::place_order`] does for the order of a trigger.
    pub fn execute_triggers(&mut self, keeper: CellIndex, handles: impl Iterator<Item = TriggerHandle>) -> Result<u8> {
        // WHY: those who wait go first, and nothing may change between looking at a trigger and placing its order.
        if self.market.header.delayed_len > 0 && !self.run_ahead()? {
            return Err(EngineError::NoTriggerDue);
        }
        let mut worked = 0u8;
        for handle in handles {
            if self.execute_trigger(keeper, handle)? {
                worked = worked.saturating_add(1);
            }
        }
        if worked == 0 { Err(EngineError::NoTriggerDue) } else { Ok(worked) }
    }

    /// Does what there is to do about one trigger; returns whether that was anything.
    fn execute_trigger(&mut self, keeper: CellIndex, handle: TriggerHandle) -> Result<bool> {
        let Some(trigger) = self.live_trigger(handle)? else {
            return Ok(false);
        };
        let held = *self.ledger.position(trigger.position)?;
        if self.is_over(&trigger, &held)? {
            self.remove_trigger(handle.cell, keeper)?;
            return Ok(true);
        }
        if trigger.is_dormant() || trigger.is_orphan(held.turns) {
            return Ok(false);
        }
        let watched = trigger.reference().ok_or(EngineError::Corrupt)?;
        let Some(reference) = self.reference(watched)? else {
            return Ok(false);
        };
        if trigger.is_extreme(reference) {
            self.move_extreme(handle.cell, keeper, reference)?;
            return Ok(true);
        }
        if !trigger.is_due(reference, self.now.unix_seconds) {
            return Ok(false);
        }
        match self.firing(&trigger, &held, reference)? {
            Some(firing) => self.fire(keeper, handle.cell, held.trader, &firing),
            None => Ok(false),
        }
    }

    /// Whether a trigger can never fire again: it expired, trading in the market has ended, its owner is bankrupt, or the
    /// position that it was to reduce is gone and no parent can arm it anew.
    fn is_over(&self, trigger: &TriggerCell, held: &PositionCell) -> Result<bool> {
        Ok(trigger.is_expired(self.now.unix_seconds)
            || !self.row()?.accepts_reducing()
            || self.ledger.trader(held.trader)?.is_bankrupt()
            || (trigger.parent == 0 && trigger.is_orphan(held.turns)))
    }

    /// The price that a trigger watches, if it may be acted on: the board's while it is fresh; that of the last fill only
    /// while that is as young, and within the band around the mark.
    pub(super) fn reference(&self, watched: Reference) -> Result<Option<Ticks>> {
        let (row, now) = (self.row()?, self.now.unix_seconds);
        if !row.validity(now).allows(Action::Trigger) {
            return Ok(None);
        }
        let last = self.market.header.last_trade_price;
        let young = now.since(self.market.header.last_trade_time) <= u64::from(row.fresh_seconds);
        let near = u64::from(last.get().abs_diff(row.mark.get())) <= band_reach(row);
        Ok(match watched {
            Reference::Mark => Some(row.mark),
            Reference::Index => Some(row.index_price),
            Reference::Last => (young && near && !last.is_zero()).then_some(last),
        })
    }

    /// Notes a new extreme of a trailing trigger.
    fn move_extreme(&mut self, cell: CellIndex, keeper: CellIndex, reference: Ticks) -> Result<()> {
        let trigger = self.ledger.trigger_mut(cell)?;
        trigger.price = reference;
        let moved = *trigger;
        self.record_trigger(TradeEventKind::TriggerMoved, &moved, keeper, QuoteAtoms::ZERO)
    }

    /// The order of a trigger that is due, unless it is clear that the engine would refuse it: nothing to reduce, forbidden
    /// by the exchange's mode, market reduce-only or standing still, limit outside the band, fee above what its owner
    /// accepts, end of a limit order near.
    fn firing(&self, trigger: &TriggerCell, held: &PositionCell, reference: Ticks) -> Result<Option<Firing>> {
        let (row, side, reduce_only) = (self.row()?, trigger.side(), trigger.is_reduce_only());
        let wanted = wanted(trigger, held)?;
        let taking = trigger.limit.is_zero();
        let price = if taking { worst_price(trigger, reference, row) } else { trigger.limit };
        let accepted = if reduce_only { row.accepts_reducing() } else { row.is_active() };
        let accepted = accepted && self.require_mode(reduce_only).is_ok();
        // One that might have to wait must not end before its turn.
        let soonest = self.now.unix_seconds.plus(self.market.header.taker_delay)?;
        let late = trigger.expires_at <= self.now.unix_seconds || trigger.expires_at < soonest;
        let ends = !taking && !trigger.expires_at.is_zero() && late;
        let standing = self.market.header.deleverage.is_running();
        let banded = super::place::check_band(row, side, price).is_ok() && self.check_fee(held.trader).is_ok();
        if wanted.is_zero() || !accepted || ends || standing || !banded {
            return Ok(None);
        }
        let slices = u64::from(trigger.slices.max(1));
        // ROUND: down; the last slice takes what is left.
        let slice = Lots::new(wanted.get().checked_div(slices).unwrap_or(0).max(1));
        let order = NewOrder {
            side,
            kind: if taking { OrderKind::ImmediateOrCancel } else { OrderKind::Limit },
            price,
            lots: slice.min(row.lots_max),
            client_id: if taking { 0 } else { self.free_client_id(trigger)? },
            expires_at: if taking { UnixSeconds::ZERO } else { trigger.expires_at },
            self_trade: SelfTrade::CancelMaker,
            reduce_only,
            match_limit: MATCH_LIMIT,
            peg_offset: 0,
        };
        Ok(Some(Firing { order, wanted, reference }))
    }

    /// The trigger's client id for its order, or 0 if a live order has it: that must not keep a trigger from firing.
    fn free_client_id(&self, trigger: &TriggerCell) -> Result<u64> {
        let mut next = self.ledger.position(trigger.position)?.first_order;
        while let Some(node) = self.market.node(next) {
            if node.client_id == trigger.client_id {
                return Ok(0);
            }
            next = node.next;
        }
        Ok(trigger.client_id)
    }

    /// Places the order of a trigger, and pays for it. Returns false, and pays nothing, if it neither filled nor rests nor waits.
    fn fire(&mut self, keeper: CellIndex, cell: CellIndex, owner: CellIndex, firing: &Firing) -> Result<bool> {
        let placed = self.place_apart(owner, &firing.order)?;
        // What waits for its turn is on its way as much as what rests.
        let rests = placed.resting.or(placed.waiting).is_some();
        let executed = if rests { firing.order.lots } else { placed.filled };
        if executed.is_zero() {
            return Ok(false);
        }
        // WHY: read again, since the order may have taken the trigger's parent off the book.
        let trigger = *self.ledger.trigger(cell)?;
        let left = firing.wanted.checked_sub(executed)?;
        let waiting = self.parent_lots(&trigger)?;
        let tip = tip_for(&trigger, executed, left.checked_add(waiting)?)?;
        let (paying, paid) = with_trader(self.ledger.cells, cell, keeper)?;
        money::post(&mut paying.tip, &mut paid.cash, tip)?;
        let mut fired = trigger;
        (fired.lots, fired.price) = (executed, firing.reference);
        self.record_trigger(TradeEventKind::TriggerFired, &fired, keeper, tip)?;
        let adding = !trigger.is_reduce_only();
        let done = left.is_zero() || (adding && left < self.row()?.lots_min);
        if done || adding {
            self.end_group(keeper, cell, &trigger)?;
        }
        self.note_firing(cell, executed, left)?;
        if !done {
            return Ok(true);
        }
        if trigger.parent == 0 {
            self.remove_trigger(cell, keeper)?;
        } else {
            // Its parent may arm it again.
            self.ledger.trigger_mut(cell)?.lots = Lots::ZERO;
        }
        Ok(true)
    }

    /// Takes what was executed off a trigger. What a share of the position comes to is fixed by its first execution.
    fn note_firing(&mut self, cell: CellIndex, executed: Lots, left: Lots) -> Result<()> {
        let now = self.now.unix_seconds;
        let trigger = self.ledger.trigger_mut(cell)?;
        trigger.lots = if trigger.share.is_zero() { trigger.lots.checked_sub(executed)? } else { left };
        trigger.share = Ppm::ZERO;
        if trigger.slices > 0 {
            trigger.slices = trigger.slices.wrapping_sub(1).max(1);
            trigger.next_at = now.plus(trigger.interval)?;
        }
        Ok(())
    }

    /// Removes the other triggers of a group; those that wait for the same parent are only disarmed.
    fn end_group(&mut self, keeper: CellIndex, fired: CellIndex, trigger: &TriggerCell) -> Result<()> {
        if trigger.group == 0 {
            return Ok(());
        }
        let mut next = self.ledger.position(trigger.position)?.first_trigger;
        while !next.is_nil() {
            let cell = next;
            let other = self.ledger.trigger_mut(cell)?;
            next = other.next;
            if other.group != trigger.group || cell == fired {
                continue;
            }
            if trigger.parent != 0 && other.parent == trigger.parent {
                other.lots = Lots::ZERO;
            } else {
                self.remove_trigger(cell, keeper)?;
            }
        }
        Ok(())
    }
}

/// Lots that a trigger wants now: what is left of them, or its part of the position, at least a lot; reduce-only at most
/// what the position has.
fn wanted(trigger: &TriggerCell, held: &PositionCell) -> Result<Lots> {
    let closable = held.base.closable_by(trigger.side());
    if !trigger.is_reduce_only() {
        return Ok(trigger.lots);
    }
    if trigger.share.is_zero() {
        return Ok(trigger.lots.min(closable));
    }
    // ROUND: down, but a part of something is something.
    let part = math::ppm_floor(closable.get(), trigger.share.get())?;
    Ok(Lots::new(part.max(1)).min(closable))
}

/// Worst price at which a trigger may take: as far from the reference as it said, but within the band and the market's range.
fn worst_price(trigger: &TriggerCell, reference: Ticks, row: &MarketRow) -> Ticks {
    let (from, mark) = (u64::from(reference.get()), u64::from(row.mark.get()));
    // ROUND: down, against execution. Two u32 factors fit u64.
    let slippage = from.wrapping_mul(u64::from(trigger.slippage.get())) / math::PPM;
    let price = match trigger.side() {
        Side::Bid => from.saturating_add(slippage).min(mark.saturating_add(band_reach(row))),
        Side::Ask => from.saturating_sub(slippage).max(mark.saturating_sub(band_reach(row))),
    };
    let price = price.min(u64::from(row.price_max.get())).max(1);
    Ticks::new(u32::try_from(price).unwrap_or(u32::MAX))
}

/// The tip of an execution: its part of all that the trigger may still execute, or what is left of the tip with the last.
///
/// ROUND: down, so that no number of small executions takes more than the tip.
fn tip_for(trigger: &TriggerCell, executed: Lots, left: Lots) -> Result<QuoteAtoms> {
    let tip = trigger.tip.get().positive_part();
    if left.is_zero() {
        return Ok(tip);
    }
    math::mul_div_floor(tip.get(), executed.get(), executed.checked_add(left)?.get()).map(QuoteAtoms::new)
}
