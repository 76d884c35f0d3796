//! Takers that wait.
//!
//! In a market with a taker delay an order that would take is examined and reserved for as if it rested, and runs some slots
//! later, first come, first served. In the meantime makers may cancel and move their quotes, which act at once. So it is
//! of no use to be the first to land when a price has moved: who quotes it best gets the trade.
//!
//! # No way back
//! An owner who could end his waiting order would have an option for nothing: run if the price goes his way, else not.
//! So neither he nor his dead-man switch nor an order of his own can end it, and what is asked for when it runs leaves a
//! distance to what was asked for when it came: maintenance margin, not initial margin; no price band.
//!
//! # No way to stand in the way
//! Whoever runs a waiting taker cannot choose it, so it must never fail. Everything that could refuse it is looked at before
//! anything is changed; then it is dropped. The matching itself refuses nothing: its errors are those of a post-only order,
//! which never waits, and of bytes that contradict themselves. Where a full side has no place, the remainder is dropped.
//! A run meets a bounded number of orders; who needs more goes on, first in line, with the next one. His own `match_limit` says
//! nothing here: with orders of his own in the way he could have it end what he does not want any more.

use super::{
    NewOrder, OrderKind, Placed, SelfTrade, Trading,
    matching::{Stop, Taker},
};
use crate::{
    account,
    error::{EngineError, Result},
    math,
    risk::{
        margin::{self, MaintenanceMargin},
        position,
        price::Action,
    },
    state::{Delayed, IndexEntry, OrderNode, Source, TradeEvent, TradeEventKind, annex::DELAYED_MAX},
    units::{CellIndex, Lots, NodeIndex, QuoteAtoms, Sequence, Side, Ticks},
};
use bytemuck::Zeroable;

/// Takers that an order runs before it acts itself.
const RUNS_AHEAD: u8 = 2;
/// Resting orders that each of those may meet: nobody can make another's transaction run out of compute units.
const STEPS_AHEAD: u8 = 8;
/// Resting orders that a run of `RunDelayed` may meet. With the largest accounts on both sides it still fits a transaction.
const STEPS_OF_RUN: u8 = 32;

/// Whether an order of `side` with this limit takes at `price`.
const fn crosses(side: Side, limit: Ticks, price: Ticks) -> bool {
    match side {
        Side::Bid => price.get() <= limit.get(),
        Side::Ask => price.get() >= limit.get(),
    }
}

/// How far beyond `from`, in the direction that costs a taker of `side`, a price lies.
const fn beyond(side: Side, price: Ticks, from: Ticks) -> Ticks {
    Ticks::new(match side {
        Side::Bid => price.get().saturating_sub(from.get()),
        Side::Ask => from.get().saturating_sub(price.get()),
    })
}

impl Trading<'_> {
    /// Runs waiting takers that are due, first come, first served, at most `limit` times; one that meets many orders takes
    /// several times. Returns how many times.
    ///
    /// Fails with `TakerNotDue` if none is due.
    pub fn run_delayed(&mut self, limit: u8) -> Result<u8> {
        match self.run_due(limit, STEPS_OF_RUN)? {
            0 => Err(EngineError::TakerNotDue),
            done => Ok(done),
        }
    }

    /// Runs some of those due ahead of what is not an order of its own; returns whether nobody is due any more.
    ///
    /// WHY: out of line, since most markets have no delay.
    #[cold]
    #[inline(never)]
    pub(super) fn run_ahead(&mut self) -> Result<bool> {
        self.run_due(RUNS_AHEAD, STEPS_AHEAD)?;
        Ok(self.first_due()?.is_none())
    }

    /// What comes before an order in a market with a taker delay: some of those who waited; and if the order would take, it
    /// waits itself. `None` for one that acts at once.
    ///
    /// Fails with `OrderNotDelayable`, `TakersTooMany`, and as [`Trading::place_order`].
    ///
    /// WHY: out of line, since most markets have no delay.
    #[cold]
    #[inline(never)]
    pub(super) fn delay(&mut self, trader: CellIndex, order: &NewOrder, staked: bool) -> Result<Option<Placed>> {
        self.run_due(RUNS_AHEAD, STEPS_AHEAD)?;
        match order.kind {
            // Nothing can be promised about a later moment.
            OrderKind::FillOrKill => return Err(EngineError::OrderNotDelayable),
            OrderKind::PostOnly | OrderKind::PostOnlySlide | OrderKind::Pegged => return Ok(None),
            OrderKind::Limit | OrderKind::Market | OrderKind::ImmediateOrCancel => {}
        }
        let best = self.best_fit(order.side.opposite())?;
        if !best.is_some_and(|best| crosses(order.side, order.price, best.price)) {
            return Ok(None);
        }
        self.check_order(order)?;
        let position = account::position_in(&mut self.ledger, trader, self.market.header.index)?;
        self.check_client_id(position, order.client_id)?;
        self.narrow_bounds(position)?;
        if order.reduce_only && !self.may_wait(trader)? {
            return Ok(None);
        }
        self.queue(trader, position, order, staked).map(Some)
    }

    /// Whether a reduce-only order has to wait: the account meets maintenance margin.
    ///
    /// WHY: who can be liquidated must not wait for what saves him. It is no place to lie in wait from: anybody can close his
    /// position, at a fee. Any line above that could be stood on, with collateral that is chosen so that the price
    /// crosses it just when speed pays.
    fn may_wait(&self, trader: CellIndex) -> Result<bool> {
        let view = self.ledger.view();
        Ok(margin::maintenance(&view, view.trader(trader)?, self.now.unix_seconds)?.is_met())
    }

    /// Puts an order behind the others that wait, with limits and margin examined as for a resting one; a reduce-only one needs
    /// no margin, and what it does to its account is looked at when it runs.
    ///
    /// Fails with `OrderNotDelayable` if it would stop at its owner's own orders, with `OrderExpired` if it could end before
    /// it is due, with `TakersTooMany`, and as [`Trading::place_order`].
    fn queue(&mut self, trader: CellIndex, position: CellIndex, order: &NewOrder, staked: bool) -> Result<Placed> {
        let header = &self.market.header;
        if order.self_trade != SelfTrade::CancelMaker {
            return Err(EngineError::OrderNotDelayable);
        }
        // WHY: what ends before its time would fill the queue for nothing. A slot takes less than a second.
        let due = self.now.unix_seconds.plus(header.taker_delay)?;
        if !order.expires_at.is_zero() && order.expires_at < due {
            return Err(EngineError::OrderExpired);
        }
        let (first, len) = (header.delayed_first, header.delayed_len);
        if math::to_usize(len) >= DELAYED_MAX {
            return Err(EngineError::TakersTooMany);
        }
        let worst_before = position::worst_lots(self.ledger.position(position)?);
        let interest = self.row()?.open_interest;
        self.check_fee(trader)?;
        let taker = self.taker(trader, position, order)?;
        let (handle, sequence) = self.enlist(&taker, order)?;
        let place = place_in_ring(first, len);
        let entry = Delayed::new(self.now.slot, handle, order.kind);
        *self.market.annex.delayed.get_mut(math::to_usize(place)).ok_or(EngineError::Corrupt)? = entry;
        self.market.header.delayed_len = len.wrapping_add(1);
        self.market.node_mut(handle)?.set_source(Source::Delayed, place);
        self.record_order(TradeEventKind::TakerQueued, &taker, order, sequence)?;
        self.note_parent(position, order, Lots::ZERO, Some(handle))?;
        self.check_limits(position, worst_before, interest)?;
        let worst = if order.reduce_only {
            self.initial_margin(trader, staked)?.worst
        } else {
            self.check_risk(trader, None, staked)?
        };
        let (filled, quote, fee) = (Lots::ZERO, QuoteAtoms::ZERO, QuoteAtoms::ZERO);
        let builder_fee = QuoteAtoms::ZERO;
        Ok(Placed { filled, quote, fee, builder_fee, resting: None, waiting: Some((handle, sequence)), worst })
    }

    /// Runs takers that are due, at most `runs` times and at most `steps` orders met each time. Returns how many times.
    fn run_due(&mut self, runs: u8, steps: u8) -> Result<u8> {
        let mut done = 0u8;
        while done < runs {
            let Some(entry) = self.first_due()? else {
                break;
            };
            self.run(&entry, steps)?;
            done = done.wrapping_add(1);
        }
        Ok(done)
    }

    /// The first taker that waits, if its time has come.
    fn first_due(&self) -> Result<Option<Delayed>> {
        let header = &self.market.header;
        if header.delayed_len == 0 {
            return Ok(None);
        }
        let entry = self.market.annex.delayed.get(math::to_usize(header.delayed_first)).ok_or(EngineError::Corrupt)?;
        let waited = self.now.slot.get().saturating_sub(entry.slot.get());
        Ok(if waited >= u64::from(header.taker_delay) { Some(*entry) } else { None })
    }

    /// Runs the first taker that waits, or drops it if it may not run. One that meets as many orders as a run may stays first.
    /// Its limits and margin are not examined afterwards: what it reserved covers every way it can fill, as it does for a
    /// resting order.
    fn run(&mut self, entry: &Delayed, steps: u8) -> Result<()> {
        let node = *self.market.node(entry.node).ok_or(EngineError::Corrupt)?;
        if !self.may_run(&node)? {
            return self.take_off(entry.node, TradeEventKind::TakerDropped);
        }
        let order = as_order(&node, entry.kind().ok_or(EngineError::Corrupt)?, steps);
        let trader = self.ledger.position(node.position)?.trader;
        let mut taker = self.taker(trader, node.position, &order)?;
        let mark = self.row()?.mark;
        if self.meets_stale(order.side, mark) {
            taker.steps_left = self.drop_unbearable(trader, order.side, order.price, steps)?;
        }
        let fees_before = self.ledger.header.fees;
        if self.ledger.header.policy.fees.is_tiered() {
            (taker.taker_fee, taker.maker_fee) = self.tier_rates(trader)?;
        }
        self.match_taker(&mut taker)?;
        self.settle_taker(&mut taker)?;
        self.credit(&taker, fees_before)?;
        self.release_filled(entry.node, &node, taker.filled())?;
        if node.is_parent() {
            self.arm_children_of(entry.node, taker.filled())?;
        }
        let left = node.lots.less_part(taker.filled());
        if left.is_zero() {
            self.unqueue(entry.node)?;
            return self.unlink(entry.node);
        }
        if taker.stopped == Some(Stop::MatchLimit) {
            return Ok(());
        }
        if !self.comes_to_rest(entry.node, &taker, &order)? {
            self.drop_order(entry.node, TradeEventKind::RemainderDropped, trader)?;
        }
        Ok(())
    }

    /// Whether a waiting taker may run now: the exchange's mode and the market take it, it has not expired, it has something to do, open interest
    /// stays within its cap, and its account stays at or above maintenance margin.
    fn may_run(&self, node: &OrderNode) -> Result<bool> {
        let (row, reducing) = (self.row()?, node.is_reduce_only());
        let (accepted, action) =
            if reducing { (row.accepts_reducing(), Action::Reduce) } else { (row.is_active(), Action::Place) };
        let open = accepted
            && self.require_mode(reducing).is_ok()
            && !self.market.header.deleverage.is_running()
            && row.validity(self.now.unix_seconds).allows(action)
            && !node.is_expired(self.now.unix_seconds);
        let held = self.ledger.position(node.position)?;
        if !open || (!reducing && self.ledger.trader(held.trader)?.is_bankrupt()) {
            return Ok(false);
        }
        let closable = held.base.closable_by(node.side());
        let lots = if reducing { node.lots.min(closable) } else { node.lots };
        // What opens size for the taker raises open interest at most by that; what closes size does not.
        let opening = lots.less_part(lots.min(closable));
        let capped = opening.is_zero() || row.open_interest.checked_add(opening)? <= row.open_interest_max;
        Ok(!lots.is_zero() && capped && self.stays_sound(node, lots)?)
    }

    /// Whether the account meets maintenance margin, now and with all lots filled at the order's limit. Equity goes down in a
    /// straight line with the lots filled and the requirement is convex, so it does with any part of them; at better prices
    /// all the more.
    fn stays_sound(&self, node: &OrderNode, lots: Lots) -> Result<bool> {
        let (row, position) = (self.row()?, self.ledger.position(node.position)?);
        let view = self.ledger.view();
        let now = margin::maintenance(&view, view.trader(position.trader)?, self.now.unix_seconds)?;
        // Reducing depends on the price of this market alone.
        if !now.is_met() || !(node.is_reduce_only() || now.validity.allows(Action::Place)) {
            return Ok(false);
        }
        let loss = beyond(node.side(), node.price, row.mark).bounded_notional(lots, row.tick_value);
        // ROUND: up, against the taker.
        let fee = node.price.bounded_notional(lots, row.tick_value).ppm_ceil(row.taker_fee)?;
        let base = position.base.checked_add(lots.signed(node.side())?)?;
        let required = now.required.checked_sub(margin::position_maintenance(row, position)?)?;
        let filled = MaintenanceMargin {
            equity: now.equity.checked_sub(loss.checked_add(fee)?.as_delta()?)?,
            required: required.checked_add(margin::maintenance_of(row, base.magnitude())?)?,
            validity: now.validity,
        };
        Ok(filled.is_met())
    }

    /// Releases what filled lots had reserved and takes them off the order.
    fn release_filled(&mut self, handle: NodeIndex, node: &OrderNode, filled: Lots) -> Result<()> {
        let notional = node.price.bounded_notional(filled, self.row()?.tick_value);
        position::release(self.ledger.position_mut(node.position)?, node.side(), filled, notional)?;
        self.market.node_mut(handle)?.lots = node.lots.less_part(filled);
        Ok(())
    }

    /// Moves what is left of a limit order to the book, if it met all it could and there is a place; returns whether it did. It
    /// gets a new number and goes behind others at its price, as an order that comes now would.
    fn comes_to_rest(&mut self, handle: NodeIndex, taker: &Taker, order: &NewOrder) -> Result<bool> {
        if !order.kind.rests() || taker.stopped.is_some() || taker.remaining.is_zero() {
            return Ok(false);
        }
        let key = IndexEntry::key_of(order.side, order.price);
        match self.make_room(order.side, key) {
            Ok(()) => {}
            Err(EngineError::BookFull) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.unqueue(handle)?;
        let sequence = Sequence::new(self.market.header.orders_placed.get().wrapping_add(1));
        self.market.header.orders_placed = sequence;
        let node = self.market.node_mut(handle)?;
        let (waited, lots) = (node.sequence, node.lots);
        node.sequence = sequence;
        node.set_source(Source::Book, 0);
        self.market.insert(order.side, IndexEntry { key, node: handle, sequence })?;
        let mut event = TradeEvent::new(TradeEventKind::Replaced, order.side);
        event.order = sequence;
        event.client_id = waited.get();
        event.lots = lots;
        event.price = order.price;
        event.maker = taker.trader;
        self.market.record(self.now, event)?;
        Ok(true)
    }

    /// Fails with `OrderWaiting` if an owner's wish would end a taker that waits.
    ///
    /// WHY: out of line, since it is asked outside the book only.
    #[cold]
    #[inline(never)]
    pub(super) fn check_leaving(&self, handle: NodeIndex, kind: TradeEventKind) -> Result<()> {
        let wished = kind == TradeEventKind::Cancelled;
        if wished && self.is_waiting(handle) { Err(EngineError::OrderWaiting) } else { Ok(()) }
    }

    /// Whether a taker waits in this node.
    pub(super) fn is_waiting(&self, handle: NodeIndex) -> bool {
        self.market.node(handle).is_some_and(OrderNode::is_waiting)
    }

    /// Takes a waiting taker out of the ring; its reservation is gone already. Those behind it keep their places: a place that
    /// was left is passed when it comes first.
    pub(super) fn unqueue(&mut self, handle: NodeIndex) -> Result<()> {
        let place = self.market.node(handle).ok_or(EngineError::Corrupt)?.place;
        let ring = &mut self.market.annex.delayed;
        let entry = ring.get_mut(math::to_usize(place)).ok_or(EngineError::Corrupt)?;
        if entry.node != handle {
            return Err(EngineError::Corrupt);
        }
        *entry = Delayed::LEFT;
        let header = &mut self.market.header;
        while header.delayed_len > 0 {
            let first = ring.get_mut(math::to_usize(header.delayed_first)).ok_or(EngineError::Corrupt)?;
            if !first.node.is_nil() {
                break;
            }
            *first = Delayed::zeroed();
            header.delayed_first = place_in_ring(header.delayed_first, 1);
            header.delayed_len = header.delayed_len.wrapping_sub(1);
        }
        Ok(())
    }
}

/// The place so many places behind `first`.
const fn place_in_ring(first: u32, behind: u32) -> u32 {
    const _: () = assert!(DELAYED_MAX == 128);
    first.wrapping_add(behind) % 128
}

/// What a waiting taker asks for.
fn as_order(node: &OrderNode, kind: OrderKind, match_limit: u8) -> NewOrder {
    NewOrder {
        side: node.side(),
        kind,
        price: node.price,
        lots: node.lots,
        client_id: node.client_id,
        expires_at: node.expires_at,
        self_trade: SelfTrade::CancelMaker,
        reduce_only: node.is_reduce_only(),
        match_limit,
        peg_offset: 0,
    }
}
