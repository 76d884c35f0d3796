//! Placing an order: validate, match, settle, rest the remainder, examine risk.

use super::{
    NewOrder, OrderKind, Placed, Trading,
    matching::{Taker, TakerIdentity},
};
use crate::{
    account,
    error::{EngineError, Result},
    governance::mode::Act,
    risk::{
        margin::{self, InitialMargin},
        position,
        price::Action,
    },
    state::{IndexEntry, MarketRow, OrderNode, TradeEvent, TradeEventKind},
    units::{CellIndex, Lots, NodeIndex, QuoteAtoms, QuoteDelta, Sequence, Side, Ticks},
};

/// Resting orders of one trader in one market, which bounds every walk over them.
pub const ORDERS_PER_POSITION_MAX: u32 = 128;

impl Trading<'_> {
    /// Places an order of `trader`. On `Err` the views are left in an undefined state and must be discarded.
    ///
    /// Fails with `ModeForbids`, `MarketNotActive`, `PriceNotValidForAction`, `OrderPriceOutOfRange`, `OrderOutsideBand`,
    /// `OrderLotsOutOfRange`, `OrderExpired`, `MatchLimitOutOfRange`, `PegNotForSale`, `ClientIdInUse`,
    /// `ReduceOnlyNothingToReduce`, `PostOnlyWouldCross`, `FillOrKillUnfilled`, `BookFull`, `OrdersTooMany`, `PositionTooLarge`,
    /// `OpenInterestTooLarge`, `BelowInitialMargin`, `DeleverageRunning`, `AccountBankrupt`,
    /// `FeeTooHigh`, or, for the first order in a market, `LedgerFull`;
    /// where takers wait, also with `OrderNotDelayable` or `TakersTooMany`.
    #[inline(always)]
    pub fn place_order(&mut self, trader: CellIndex, order: &NewOrder) -> Result<Placed> {
        self.place_and(trader, order, false, |placed| placed)
    }

    /// The same for whom what became of the order is in the trail. Returns the account's worst profit after it if that is asked
    /// for (`staked`), else nothing of meaning.
    ///
    /// WHY: what nobody reads need not be in memory.
    #[inline(always)]
    pub fn submit_order(&mut self, trader: CellIndex, order: &NewOrder, staked: bool) -> Result<QuoteDelta> {
        self.place_and(trader, order, staked, |placed| placed.worst)
    }

    /// Places an order and tells what became of it, each way for itself: the rare ones return it in memory, and the others
    /// should not have to.
    #[inline(always)]
    fn place_and<T>(
        &mut self,
        trader: CellIndex,
        order: &NewOrder,
        staked: bool,
        tell: impl Fn(Placed) -> T,
    ) -> Result<T> {
        if self.market.header.taker_delay > 0
            && let Some(waiting) = self.delay(trader, order, staked)?
        {
            return Ok(tell(waiting));
        }
        let (kind, price) = match order.kind {
            OrderKind::PostOnlySlide => (OrderKind::PostOnly, self.slid_price(order.side, order.price)?),
            OrderKind::Pegged => return self.place_pegged(trader, order, staked).map(tell),
            kind => (kind, order.price),
        };
        // WHY: everything below is inlined twice, with the side known, so that no branch on it is left.
        match order.side {
            Side::Bid => self.place(trader, &NewOrder { side: Side::Bid, kind, price, ..*order }, staked).map(tell),
            Side::Ask => self.place(trader, &NewOrder { side: Side::Ask, kind, price, ..*order }, staked).map(tell),
        }
    }

    /// WHY: out of line, for whoever places orders beside the instruction that is only that.
    #[inline(never)]
    pub(super) fn place_apart(&mut self, trader: CellIndex, order: &NewOrder) -> Result<Placed> {
        self.place_order(trader, order)
    }

    /// The price, or if it would take, one tick behind the best order on the other side, whoever's it is and expired or not;
    /// zero if there is no such price.
    #[cold]
    #[inline(never)]
    fn slid_price(&self, side: Side, price: Ticks) -> Result<Ticks> {
        let Some(best) = self.best_fit(side.opposite())? else {
            return Ok(price);
        };
        Ok(match side {
            Side::Bid => price.min(Ticks::new(best.price.get().saturating_sub(1))),
            Side::Ask => price.max(Ticks::new(best.price.get().saturating_add(1))),
        })
    }

    #[inline(always)]
    fn place(&mut self, trader: CellIndex, order: &NewOrder, staked: bool) -> Result<Placed> {
        let match_limit = if self.check_order(order)? {
            self.drop_unbearable(trader, order.side, order.price, order.match_limit)?
        } else {
            order.match_limit
        };
        let position = account::position_in(&mut self.ledger, trader, self.market.header.index)?;
        self.check_client_id(position, order.client_id)?;
        self.narrow_bounds(position)?;
        let worst_before = position::worst_lots(self.ledger.position(position)?);
        let before = if order.reduce_only { Some(self.standing(trader)?) } else { None };
        let interest_before = self.row()?.open_interest;
        let fees_before = self.ledger.header.fees;
        self.check_fee(trader)?;
        let mut taker = self.taker(trader, position, order)?;
        taker.steps_left = match_limit;
        if self.ledger.header.policy.fees.is_tiered() && self.meets(&taker, order.side)? {
            (taker.taker_fee, taker.maker_fee) = self.tier_rates(trader)?;
        }
        self.match_taker(&mut taker)?;
        self.settle_taker(&mut taker)?;
        self.credit(&taker, fees_before)?;
        let resting = self.rest_remainder(&taker, order)?;
        self.note_parent(position, order, taker.filled(), resting.map(|(handle, _)| handle))?;
        self.check_limits(position, worst_before, interest_before)?;
        let worst = self.check_risk(trader, before, staked)?;
        let (filled, quote, fee, builder_fee) = (taker.filled(), taker.quote(), taker.fee, QuoteAtoms::ZERO);
        Ok(Placed { filled, quote, fee, builder_fee, resting, waiting: None, worst })
    }

    /// Whether the taker crosses the best offer.
    #[inline(always)]
    fn meets(&self, taker: &Taker, side: Side) -> Result<bool> {
        Ok(self.best_offer(side.opposite())?.is_some_and(|best| taker.crosses(best.price)))
    }

    #[inline(always)]
    pub(super) fn row(&self) -> Result<&MarketRow> {
        self.ledger.row(self.market.header.index)
    }

    /// Fails with `DeleverageRunning` while the market's positions have to stand still.
    #[inline(always)]
    pub(super) fn require_moving(&self) -> Result<()> {
        if self.market.header.deleverage.is_running() { Err(EngineError::DeleverageRunning) } else { Ok(()) }
    }

    /// Fails with `ModeForbids` unless the exchange's mode allows such an order at present.
    ///
    /// WHY: behind a black box, or the compiler keeps the header at hand from here to the last fill and spills others for it.
    #[inline(always)]
    pub(super) fn require_mode(&self, reduce_only: bool) -> Result<()> {
        let header = core::hint::black_box(&*self.ledger.header);
        header.modes.require(Act::of_order(reduce_only), self.now.unix_seconds)
    }

    /// WHY: out of line, since it is asked for from both sides of `place_order`, before and after.
    #[inline(never)]
    pub(super) fn initial_margin(&self, trader: CellIndex, staked: bool) -> Result<InitialMargin> {
        if staked {
            return self.margin_and_worst(trader);
        }
        let view = self.ledger.view();
        margin::initial(&view, view.trader(trader)?, self.now.unix_seconds)
    }

    /// WHY: out of line, since it is for sessions alone.
    #[cold]
    #[inline(never)]
    fn margin_and_worst(&self, trader: CellIndex) -> Result<InitialMargin> {
        let view = self.ledger.view();
        margin::initial_and::<true>(&view, view.trader(trader)?, self.now.unix_seconds)
    }

    /// WHY: out of line, since most orders do not ask.
    #[inline(never)]
    pub(super) fn standing(&self, trader: CellIndex) -> Result<Standing> {
        let view = self.ledger.view();
        let equity = margin::maintenance(&view, view.trader(trader)?, self.now.unix_seconds)?.equity;
        Ok(Standing { excess: self.initial_margin(trader, false)?.excess()?, equity })
    }

    /// Everything that can be said about an order before it meets the book. Returns whether it takes, and the
    /// first order it would meet is stale.
    #[inline(always)]
    pub(super) fn check_order(&self, order: &NewOrder) -> Result<bool> {
        self.require_moving()?;
        self.require_mode(order.reduce_only)?;
        let row = self.row()?;
        let (accepted, action) =
            if order.reduce_only { (row.accepts_reducing(), Action::Reduce) } else { (row.is_active(), Action::Place) };
        if !accepted {
            return Err(EngineError::MarketNotActive);
        }
        row.require(action, self.now.unix_seconds)?;
        check_terms(row, order)?;
        if !order.expires_at.is_zero() && order.expires_at <= self.now.unix_seconds {
            return Err(EngineError::OrderExpired);
        }
        if order.match_limit == 0 {
            return Err(EngineError::MatchLimitOutOfRange);
        }
        Ok(order.kind != OrderKind::PostOnly && self.meets_stale(order.side, row.mark))
    }

    /// A client id may name one live order only, so that a repeated submission cannot become a second order.
    #[inline(always)]
    pub(super) fn check_client_id(&self, position: CellIndex, client_id: u64) -> Result<()> {
        if client_id == 0 {
            return Ok(());
        }
        let mut next = self.ledger.position(position)?.first_order;
        while let Some(node) = self.market.node(next) {
            if node.client_id == client_id {
                return Err(EngineError::ClientIdInUse);
            }
            next = node.next;
        }
        Ok(())
    }

    /// Tightens the price bounds of the trader's resting orders where they cost margin: fills and cancels leave them.
    #[inline(always)]
    pub(super) fn narrow_bounds(&mut self, position: CellIndex) -> Result<()> {
        let row = self.row()?;
        let (low, high) = (row.low, row.high);
        let cell = self.ledger.position_mut(position)?;
        if cell.bid_bound <= low && (cell.ask_bound >= high || cell.ask_bound.is_zero()) {
            return Ok(());
        }
        (cell.bid_bound, cell.ask_bound) = (Ticks::ZERO, Ticks::ZERO);
        let mut next = cell.first_order;
        while let Some(node) = self.market.node(next) {
            position::cover(cell, node.side(), node.price);
            next = node.next;
        }
        Ok(())
    }

    /// Fails with `FeeTooHigh` if the market's taker fee is more than the trader accepts.
    #[inline(always)]
    pub(super) fn check_fee(&self, trader: CellIndex) -> Result<()> {
        let high = self.row()?.taker_fee > self.ledger.trader(trader)?.fee_max;
        if high { Err(EngineError::FeeTooHigh) } else { Ok(()) }
    }

    #[inline(always)]
    pub(super) fn taker(&self, trader: CellIndex, position: CellIndex, order: &NewOrder) -> Result<Taker> {
        let row = self.row()?;
        let closable = self.ledger.position(position)?.base.closable_by(order.side);
        let lots = if order.reduce_only { order.lots.min(closable) } else { order.lots };
        if lots.is_zero() {
            return Err(EngineError::ReduceOnlyNothingToReduce);
        }
        let cell = self.ledger.trader(trader)?;
        if cell.is_bankrupt() && !order.reduce_only {
            return Err(EngineError::AccountBankrupt);
        }
        let owner = cell.owner;
        Ok(Taker::new(TakerIdentity { trader, position, owner }, row, order, lots, closable))
    }

    /// Rests what is left of an order that may rest, or says in the trail that it was dropped.
    #[inline(always)]
    fn rest_remainder(&mut self, taker: &Taker, order: &NewOrder) -> Result<Option<(NodeIndex, Sequence)>> {
        if order.kind == OrderKind::FillOrKill && !taker.is_filled() {
            return Err(EngineError::FillOrKillUnfilled);
        }
        if taker.remaining.is_zero() {
            return Ok(None);
        }
        if order.kind.rests() && taker.stopped.is_none() {
            return self.rest(taker, order).map(Some);
        }
        self.drop_remainder(taker, order)?;
        Ok(None)
    }

    /// Says in the trail that what is left of an order was dropped.
    #[inline(always)]
    pub(super) fn drop_remainder(&mut self, taker: &Taker, order: &NewOrder) -> Result<()> {
        let mut event = TradeEvent::new(TradeEventKind::RemainderDropped, order.side);
        event.client_id = order.client_id;
        event.lots = taker.remaining;
        event.price = order.price;
        event.taker = taker.trader;
        self.market.record(self.now, event)
    }

    /// Puts the remainder on the book and reserves margin for it.
    #[inline(always)]
    pub(super) fn rest(&mut self, taker: &Taker, order: &NewOrder) -> Result<(NodeIndex, Sequence)> {
        let key = IndexEntry::key_of(order.side, order.price);
        self.make_room(order.side, key)?;
        let (handle, sequence) = self.enlist(taker, order)?;
        self.market.insert(order.side, IndexEntry { key, node: handle, sequence })?;
        self.record_order(TradeEventKind::Placed, taker, order, sequence)?;
        Ok((handle, sequence))
    }

    /// Reserves margin for what is left of an order, gives it a number, and puts it on its position's list.
    #[inline(always)]
    pub(super) fn enlist(&mut self, taker: &Taker, order: &NewOrder) -> Result<(NodeIndex, Sequence)> {
        let notional = order.price.bounded_notional(taker.remaining, taker.tick_value);
        let position = self.ledger.position_mut(taker.position)?;
        if position.orders >= ORDERS_PER_POSITION_MAX {
            return Err(EngineError::OrdersTooMany);
        }
        position::reserve(position, order.side, taker.remaining, notional)?;
        position::cover(position, order.side, order.price);
        let newest = position.first_order;
        let index = self.market.header.nodes.allocate(self.market.nodes)?.ok_or(EngineError::Corrupt)?;
        let handle = NodeIndex::new(index);
        position.first_order = handle;

        let sequence = Sequence::new(self.market.header.orders_placed.get().wrapping_add(1));
        self.market.header.orders_placed = sequence;
        let mut node = OrderNode::new(order.side, order.price, taker.remaining, taker.position);
        node.sequence = sequence;
        node.client_id = order.client_id;
        node.expires_at = order.expires_at;
        node.owner_tag = taker.owner.tag();
        node.next = newest;
        node.set_reduce_only(order.reduce_only);
        *self.market.nodes.get_mut(handle.as_usize()).ok_or(EngineError::Corrupt)? = node;
        if !newest.is_nil() {
            self.market.node_mut(newest)?.previous = handle;
        }
        Ok((handle, sequence))
    }

    /// Says in the trail that an order has a place now.
    #[inline(always)]
    pub(super) fn record_order(
        &mut self,
        kind: TradeEventKind,
        taker: &Taker,
        order: &NewOrder,
        sequence: Sequence,
    ) -> Result<()> {
        let mut event = TradeEvent::new(kind, order.side);
        event.order = sequence;
        event.client_id = order.client_id;
        event.lots = taker.remaining;
        event.price = order.price;
        event.maker = taker.trader;
        self.market.record(self.now, event)
    }

    /// Frees a place on a full side by evicting its worst order, if the newcomer is strictly better. Fails with
    /// `BookFull`.
    #[inline(always)]
    pub(super) fn make_room(&mut self, side: Side, key: u32) -> Result<()> {
        if self.market.side_len(side) < crate::math::to_usize(self.market.header.side_capacity()) {
            return Ok(());
        }
        self.evict(self.market.worst(side), key)
    }

    /// Evicts the worst order for one with this key. Fails with `BookFull` unless that is strictly better.
    #[inline(never)]
    pub(super) fn evict(&mut self, worst: Option<IndexEntry>, key: u32) -> Result<()> {
        match worst {
            Some(worst) if worst.key < key => self.drop_order(worst.node, TradeEventKind::Evicted, CellIndex::NIL),
            _ => Err(EngineError::BookFull),
        }
    }

    /// Position and open-interest caps, after everything has been applied. An order that makes neither larger passes,
    /// even above a cap.
    #[inline(always)]
    pub(super) fn check_limits(&self, position: CellIndex, worst_before: Lots, interest_before: Lots) -> Result<()> {
        let row = self.row()?;
        let worst = position::worst_lots(self.ledger.position(position)?);
        if worst > row.position_max && worst > worst_before {
            return Err(EngineError::PositionTooLarge);
        }
        if row.open_interest > row.open_interest_max && row.open_interest > interest_before {
            return Err(EngineError::OpenInterestTooLarge);
        }
        Ok(())
    }

    /// R1: the order ends at or above initial margin with every price it rests on valid, or it was reduce-only and made
    /// nothing worse. Returns the account's worst profit if that is asked for.
    #[inline(always)]
    pub(super) fn check_risk(&self, trader: CellIndex, before: Option<Standing>, staked: bool) -> Result<QuoteDelta> {
        let after = self.initial_margin(trader, staked)?;
        if let Some(before) = before {
            if !after.is_met() {
                self.check_reduced(trader, &before)?;
            }
            return Ok(after.worst);
        }
        if !after.validity.allows(Action::Place) {
            return Err(EngineError::PriceNotValidForAction);
        }
        if after.is_met() { Ok(after.worst) } else { Err(EngineError::BelowInitialMargin) }
    }

    /// A reduce-only order may leave the account below initial margin, but not further below than it was; and it may use
    /// up its equity, but not end without any, or an account could sell to a friend and leave its debt to the pool and to
    /// everybody's deposits: its position is how those who won what it lost are found.
    #[inline(never)]
    fn check_reduced(&self, trader: CellIndex, before: &Standing) -> Result<()> {
        let after = self.standing(trader)?;
        let solvent = after.equity >= QuoteDelta::ZERO;
        if after.excess >= before.excess && solvent { Ok(()) } else { Err(EngineError::BelowInitialMargin) }
    }
}

/// How an account stands before and after a reduce-only order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Prudent equity less initial requirement.
    excess: QuoteDelta,
    /// Equity at mark.
    equity: QuoteDelta,
}

/// Price and size.
#[inline(always)]
pub(super) fn check_terms(row: &MarketRow, order: &NewOrder) -> Result<()> {
    if order.price.is_zero() || order.price > row.price_max {
        return Err(EngineError::OrderPriceOutOfRange);
    }
    check_band(row, order.side, order.price)?;
    // WHY: a reduce-only order may be below the smallest size, or dust could never be closed.
    let lots_min = if order.reduce_only { Lots::new(1) } else { row.lots_min };
    if order.lots < lots_min || order.lots > row.lots_max { Err(EngineError::OrderLotsOutOfRange) } else { Ok(()) }
}

/// A buy may not be above the mark by more than the band, a sell not below it.
#[inline(always)]
pub(super) fn check_band(row: &MarketRow, side: Side, price: Ticks) -> Result<()> {
    let distance = match side {
        Side::Bid => price.get().saturating_sub(row.mark.get()),
        Side::Ask => row.mark.get().saturating_sub(price.get()),
    };
    if u64::from(distance) > band_reach(row) { Err(EngineError::OrderOutsideBand) } else { Ok(()) }
}

/// How far through the mark an order may reach, in ticks.
#[inline(always)]
pub(super) fn band_reach(row: &MarketRow) -> u64 {
    // mark < 2^32 and band ≤ 10^6: the product fits.
    u64::from(row.mark.get()).wrapping_mul(u64::from(row.band.get())) / crate::math::PPM
}
