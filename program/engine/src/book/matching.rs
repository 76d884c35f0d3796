//! The match loop: one parent that owns control flow, small steps that each do one thing.

use super::{NewOrder, OrderKind, SelfTrade, Trading};
use crate::{
    error::{EngineError, Result},
    money::Balance,
    risk::{
        fee::{self, FillFees},
        position::{self, Execution},
    },
    state::{IndexEntry, Key, MarketRow, TradeEvent, TradeEventKind},
    units::{CellIndex, Lots, Ppm, QuoteAtoms, Side, SignedPpm, TickValue, Ticks},
};

/// Who takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakerIdentity {
    pub(super) trader: CellIndex,
    pub(super) position: CellIndex,
    pub(super) owner: Key,
}

/// A taking order on its way through the book.
#[derive(Debug)]
pub(super) struct Taker {
    pub(super) trader: CellIndex,
    pub(super) position: CellIndex,
    pub(super) owner: Key,
    side: Side,
    kind: OrderKind,
    limit: Ticks,
    self_trade: SelfTrade,
    steps_left: u8,
    pub(super) tick_value: TickValue,
    taker_fee: Ppm,
    maker_fee: SignedPpm,
    /// Lots wanted in all.
    wanted: Lots,
    /// Lots still wanted.
    pub(super) remaining: Lots,
    /// Lots of the taker's own position that fills still close.
    closable: Lots,
    /// What the fills so far did.
    execution: Execution,
    /// Fees so far.
    pub(super) fee: QuoteAtoms,
    /// Between the first fill and the taker's settlement: what makers have paid in less what they were paid.
    transit: Balance,
    /// Ended early: the remainder must not rest.
    pub(super) stopped: bool,
}

/// What the best order means for a taker.
enum Step {
    /// It expired: drop it.
    Expired,
    /// It belongs to the taker's owner.
    SelfTrade,
    /// It is reduce-only and its owner has nothing left to reduce: drop it.
    NothingToReduce,
    /// Fill this many lots.
    Fill(Lots),
}

impl Taker {
    #[inline(always)]
    pub(super) fn new(identity: TakerIdentity, row: &MarketRow, order: &NewOrder, lots: Lots, closable: Lots) -> Self {
        Self {
            trader: identity.trader,
            position: identity.position,
            owner: identity.owner,
            side: order.side,
            kind: order.kind,
            limit: order.price,
            self_trade: order.self_trade,
            steps_left: order.match_limit,
            tick_value: row.tick_value,
            taker_fee: row.taker_fee,
            maker_fee: row.maker_fee,
            wanted: lots,
            remaining: lots,
            closable,
            execution: Execution::new(order.side),
            fee: QuoteAtoms::ZERO,
            transit: Balance::ZERO,
            stopped: false,
        }
    }

    /// Lots filled.
    pub(super) fn filled(&self) -> Result<Lots> {
        self.execution.lots()
    }

    /// Whether every lot wanted was filled. Nothing may remain without that: self-trade prevention decrements, too.
    pub(super) fn is_filled(&self) -> Result<bool> {
        Ok(self.filled()? == self.wanted)
    }

    /// Value of the fills.
    pub(super) fn quote(&self) -> Result<QuoteAtoms> {
        self.execution.close_quote.checked_add(self.execution.open_quote)
    }

    #[inline(always)]
    fn crosses(&self, price: Ticks) -> bool {
        match self.side {
            Side::Bid => price <= self.limit,
            Side::Ask => price >= self.limit,
        }
    }
}

impl Trading<'_> {
    /// Walks the opposite side until the taker is done, the price no longer crosses, or the match limit is reached.
    #[inline(always)]
    pub(super) fn match_taker(&mut self, taker: &mut Taker) -> Result<()> {
        let maker_side = taker.side.opposite();
        while !taker.remaining.is_zero() && !taker.stopped {
            let Some(best) = self.market.best(maker_side) else {
                break;
            };
            if !taker.crosses(best.price(maker_side)) {
                break;
            }
            if taker.steps_left == 0 {
                taker.stopped = true;
                break;
            }
            taker.steps_left = taker.steps_left.wrapping_sub(1);
            match self.classify(taker, best)? {
                Step::Expired => self.drop_order(best.node, TradeEventKind::Expired, taker.trader).map(|_| ())?,
                Step::NothingToReduce => {
                    self.drop_order(best.node, TradeEventKind::ReduceOnlyDropped, taker.trader).map(|_| ())?;
                }
                Step::SelfTrade => self.prevent_self_trade(taker, best)?,
                Step::Fill(lots) => self.fill(taker, best, lots)?,
            }
        }
        Ok(())
    }

    /// Decides what the best order means, without changing anything. Fails with `PostOnlyWouldCross`.
    #[inline(always)]
    fn classify(&self, taker: &Taker, best: IndexEntry) -> Result<Step> {
        let node = self.market.node(best.node).ok_or(EngineError::Corrupt)?;
        if node.is_expired(self.now.unix_seconds) {
            return Ok(Step::Expired);
        }
        if taker.kind == OrderKind::PostOnly {
            return Err(EngineError::PostOnlyWouldCross);
        }
        if node.owner_tag == taker.owner.tag() {
            let maker = self.ledger.trader(self.ledger.position(node.position)?.trader)?;
            if maker.owner == taker.owner {
                return Ok(Step::SelfTrade);
            }
        }
        let mut lots = taker.remaining.min(node.lots);
        if node.is_reduce_only() {
            lots = lots.min(self.ledger.position(node.position)?.base.closable_by(node.side()));
            if lots.is_zero() {
                return Ok(Step::NothingToReduce);
            }
        }
        Ok(Step::Fill(lots))
    }

    /// Same owner on both sides: no trade takes place, whatever the policy.
    fn prevent_self_trade(&mut self, taker: &mut Taker, best: IndexEntry) -> Result<()> {
        let kind = TradeEventKind::SelfTradePrevented;
        match taker.self_trade {
            SelfTrade::CancelMaker => self.drop_order(best.node, kind, taker.trader).map(|_| ())?,
            SelfTrade::CancelTaker => taker.stopped = true,
            SelfTrade::CancelBoth => {
                self.drop_order(best.node, kind, taker.trader).map(|_| ())?;
                taker.stopped = true;
            }
            SelfTrade::Decrement => self.decrement(taker, best, kind)?,
        }
        Ok(())
    }

    fn decrement(&mut self, taker: &mut Taker, best: IndexEntry, kind: TradeEventKind) -> Result<()> {
        let node = *self.market.node(best.node).ok_or(EngineError::Corrupt)?;
        let lots = taker.remaining.min(node.lots);
        taker.remaining = taker.remaining.checked_sub(lots)?;
        if lots == node.lots {
            return self.drop_order(best.node, kind, taker.trader).map(|_| ());
        }
        let notional = node.price.notional(lots, taker.tick_value)?;
        position::release(self.ledger.position_mut(node.position)?, node.side(), lots, notional)?;
        self.market.node_mut(best.node)?.lots = node.lots.checked_sub(lots)?;
        let mut event = TradeEvent::new(kind, node.side());
        event.order = node.sequence;
        event.client_id = node.client_id;
        event.lots = lots;
        event.price = node.price;
        event.maker = self.ledger.position(node.position)?.trader;
        event.taker = taker.trader;
        self.market.record(self.now, event)
    }

    /// One fill: settles the maker, adds to the taker's execution, shrinks or removes the order, writes the record.
    #[inline(always)]
    fn fill(&mut self, taker: &mut Taker, best: IndexEntry, lots: Lots) -> Result<()> {
        let node = self.market.node_mut(best.node)?;
        let (maker_position, price, maker_side) = (node.position, node.price, node.side());
        let notional = price.notional(lots, taker.tick_value)?;
        let fees = fee::of_fill(notional, taker.taker_fee, taker.maker_fee)?;
        let mut event = TradeEvent::new(TradeEventKind::Filled, maker_side);
        event.order = node.sequence;
        event.client_id = node.client_id;
        event.lots = lots;
        event.price = price;
        event.taker = taker.trader;
        event.taker_fee = fees.taker.as_delta()?;
        event.maker_fee = fees.maker;

        let left = node.lots.checked_sub(lots)?;
        node.lots = left;
        event.maker = self.settle_maker(taker, maker_position, maker_side, lots, price, notional, &fees)?;
        // A reduce-only order whose owner has nothing left is dropped when it is met again.
        if left.is_zero() {
            self.detach(best, maker_side)?;
        }
        self.market.header.last_trade_price = price;
        self.market.header.last_trade_time = self.now.unix_seconds;
        self.market.record(self.now, event)?;

        let closing = lots.min(taker.closable);
        taker.closable = taker.closable.checked_sub(closing)?;
        taker.execution.add(lots, notional, closing, price, taker.tick_value)?;
        taker.remaining = taker.remaining.checked_sub(lots)?;
        taker.fee = taker.fee.checked_add(fees.taker)?;
        Ok(())
    }

    /// Books a fill on the maker's position and cash; returns the maker's trader cell.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "inlined; a struct would only rename the locals of `fill`")]
    fn settle_maker(
        &mut self,
        taker: &mut Taker,
        position: CellIndex,
        side: Side,
        lots: Lots,
        price: Ticks,
        notional: QuoteAtoms,
        fees: &FillFees,
    ) -> Result<CellIndex> {
        let (cell, trader) = position::with_trader(self.ledger.cells, position)?;
        position::release(cell, side, lots, notional)?;
        let mut execution = Execution::new(side);
        execution.add(lots, notional, lots.min(cell.base.closable_by(side)), price, taker.tick_value)?;
        let change = position::settle(cell, trader, &execution, &mut taker.transit)?;
        position::charge(cell, trader, &mut self.ledger.header.fees, fees.maker)?;
        let maker = cell.trader;
        position::apply_interest(self.ledger.row_mut(self.market.header.index)?, change)?;
        Ok(maker)
    }

    /// Books all fills on the taker's position and cash, and its fees. Afterwards nothing is in transit.
    #[inline(always)]
    pub(super) fn settle_taker(&mut self, taker: &mut Taker) -> Result<()> {
        if taker.execution.lots()?.is_zero() {
            return Ok(());
        }
        let (cell, trader) = position::with_trader(self.ledger.cells, taker.position)?;
        let change = position::settle(cell, trader, &taker.execution, &mut taker.transit)?;
        position::charge(cell, trader, &mut self.ledger.header.fees, taker.fee.as_delta()?)?;
        position::apply_interest(self.ledger.row_mut(self.market.header.index)?, change)?;
        if taker.transit.is_zero() { Ok(()) } else { Err(EngineError::Corrupt) }
    }
}
