//! The match loop: one parent that owns control flow, small steps that each do one thing.

use super::{
    NewOrder, OrderKind, SelfTrade, Trading,
    offer::{Offer, is_unfit},
};
use crate::{
    error::{EngineError, Result},
    money::Balance,
    risk::{
        fee, funding, margin,
        position::{self, Execution, Fill},
    },
    state::{Key, MarketRow, PositionCell, Source, TradeEvent, TradeEventKind, TraderCell},
    units::{CellIndex, FundingIndex, Lots, NodeIndex, Ppm, QuoteAtoms, QuoteDelta, Side, SignedPpm, TickValue, Ticks},
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
    pub(super) steps_left: u8,
    pub(super) tick_value: TickValue,
    pub(super) taker_fee: Ppm,
    pub(super) maker_fee: SignedPpm,
    funding_index: FundingIndex,
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
    /// By how much the makers' fills changed the lots held long.
    interest: i64,
    /// Price of the last fill.
    last_price: Ticks,
    /// Ended early: the remainder must not rest.
    pub(super) stopped: Option<Stop>,
}

/// Why a taker ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It met as many orders as it may, and there are more.
    MatchLimit,
    /// It met one of its owner's.
    SelfTrade,
}

/// What the best order means for a taker.
enum Step {
    /// It expired: drop it.
    Expired,
    /// It belongs to the taker's owner.
    SelfTrade,
    /// It is reduce-only and its owner has nothing left to reduce: drop it.
    NothingToReduce,
    /// It is pegged or on a ladder and not for sale at present: pass it.
    Unfit,
    /// Fill this many lots.
    Fill(Lots),
}

/// A taker and a resting order of the same owner.
struct Meeting {
    policy: SelfTrade,
    best: NodeIndex,
    taker: CellIndex,
    remaining: Lots,
}

/// What such a meeting leaves of the taker.
struct AfterMeeting {
    remaining: Lots,
    stopped: bool,
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
            funding_index: row.funding_index,
            wanted: lots,
            remaining: lots,
            closable,
            execution: Execution::new(order.side),
            fee: QuoteAtoms::ZERO,
            transit: Balance::ZERO,
            interest: 0,
            last_price: Ticks::ZERO,
            stopped: None,
        }
    }

    /// Lots filled.
    pub(super) const fn filled(&self) -> Lots {
        self.execution.lots
    }

    /// Value of the fills.
    pub(super) const fn quote(&self) -> QuoteAtoms {
        self.execution.quote
    }

    /// Whether every lot wanted was filled. Nothing may remain without that: self-trade prevention decrements, too.
    pub(super) fn is_filled(&self) -> bool {
        self.execution.lots == self.wanted
    }

    /// Takes note of a fill.
    #[inline(always)]
    fn add(&mut self, fill: &Fill, fee: QuoteAtoms) -> Result<()> {
        let closing = fill.lots.min(self.closable);
        self.closable = self.closable.less_part(closing);
        self.execution.add(fill, closing)?;
        self.remaining = self.remaining.less_part(fill.lots);
        self.fee = self.fee.checked_add(fee)?;
        self.last_price = fill.price;
        Ok(())
    }

    const fn meeting(&self, best: NodeIndex) -> Meeting {
        Meeting { policy: self.self_trade, best, taker: self.trader, remaining: self.remaining }
    }

    #[inline(always)]
    pub(super) fn crosses(&self, price: Ticks) -> bool {
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
        while !taker.remaining.is_zero() && taker.stopped.is_none() {
            let Some(best) = self.best_offer(maker_side)? else {
                break;
            };
            if !taker.crosses(best.price) {
                break;
            }
            if taker.steps_left == 0 {
                taker.stopped = Some(Stop::MatchLimit);
                break;
            }
            taker.steps_left = taker.steps_left.wrapping_sub(1);
            match self.classify(taker, best)? {
                Step::Expired => self.drop_met(best.node, TradeEventKind::Expired, taker.trader)?,
                Step::NothingToReduce => {
                    self.drop_met(best.node, TradeEventKind::ReduceOnlyDropped, taker.trader)?;
                }
                Step::Unfit => self.pass(best.node, taker.trader)?,
                Step::SelfTrade => {
                    let after = self.prevent_self_trade(&taker.meeting(best.node))?;
                    (taker.remaining, taker.stopped) = (after.remaining, after.stopped.then_some(Stop::SelfTrade));
                }
                Step::Fill(lots) => self.fill(taker, best, lots)?,
            }
        }
        Ok(())
    }

    /// Decides what the best order means, without changing anything. Fails with `PostOnlyWouldCross`.
    #[inline(always)]
    fn classify(&self, taker: &Taker, best: Offer) -> Result<Step> {
        let node = self.market.node(best.node).ok_or(EngineError::Corrupt)?;
        if node.is_expired(self.now.unix_seconds) {
            return Ok(Step::Expired);
        }
        if !node.is_in_book() && is_unfit(node, best.price, self.row()?) {
            return Ok(Step::Unfit);
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
        let mut lots = taker.remaining.min(node.lots).min(best.room);
        if node.is_reduce_only() {
            lots = lots.min(self.ledger.position(node.position)?.base.closable_by(node.side()));
            if lots.is_zero() {
                return Ok(Step::NothingToReduce);
            }
        }
        Ok(Step::Fill(lots))
    }

    /// Same owner on both sides: no trade takes place, whatever the policy.
    #[inline(never)]
    fn prevent_self_trade(&mut self, meeting: &Meeting) -> Result<AfterMeeting> {
        let kind = TradeEventKind::SelfTradePrevented;
        let mut after = AfterMeeting { remaining: meeting.remaining, stopped: false };
        let node = self.market.node(meeting.best).ok_or(EngineError::Corrupt)?;
        if node.source() == Source::Ladder {
            return self.prevent_on_ladder(meeting, node.lots);
        }
        match meeting.policy {
            SelfTrade::CancelMaker => self.drop_met(meeting.best, kind, meeting.taker)?,
            SelfTrade::CancelTaker => after.stopped = true,
            SelfTrade::CancelBoth => {
                self.drop_met(meeting.best, kind, meeting.taker)?;
                after.stopped = true;
            }
            SelfTrade::Decrement => after.remaining = self.decrement(meeting)?,
        }
        Ok(after)
    }

    /// The same with a ladder: what is cancelled or shrunk is its level; its reserve stays.
    fn prevent_on_ladder(&mut self, meeting: &Meeting, reserve: Lots) -> Result<AfterMeeting> {
        let mut after = AfterMeeting { remaining: meeting.remaining, stopped: false };
        match meeting.policy {
            SelfTrade::CancelMaker => {
                self.spend_rung(meeting.best, Lots::MAX, meeting.taker)?;
            }
            SelfTrade::CancelTaker => after.stopped = true,
            SelfTrade::CancelBoth => {
                self.spend_rung(meeting.best, Lots::MAX, meeting.taker)?;
                after.stopped = true;
            }
            SelfTrade::Decrement => {
                let spent = self.spend_rung(meeting.best, meeting.remaining.min(reserve), meeting.taker)?;
                after.remaining = meeting.remaining.checked_sub(spent)?;
            }
        }
        Ok(after)
    }

    /// Shrinks both orders by the smaller size; returns what the taker still wants.
    fn decrement(&mut self, meeting: &Meeting) -> Result<Lots> {
        let kind = TradeEventKind::SelfTradePrevented;
        let tick_value = self.row()?.tick_value;
        let node = *self.market.node(meeting.best).ok_or(EngineError::Corrupt)?;
        let lots = meeting.remaining.min(node.lots);
        let remaining = meeting.remaining.checked_sub(lots)?;
        if lots == node.lots {
            self.drop_met(meeting.best, kind, meeting.taker)?;
            return Ok(remaining);
        }
        let notional = node.price.bounded_notional(lots, tick_value);
        position::release(self.ledger.position_mut(node.position)?, node.side(), lots, notional)?;
        self.market.node_mut(meeting.best)?.lots = node.lots.checked_sub(lots)?;
        let mut event = TradeEvent::new(kind, node.side());
        event.order = node.sequence;
        event.client_id = node.client_id;
        event.lots = lots;
        event.price = node.price;
        event.maker = self.ledger.position(node.position)?.trader;
        event.taker = meeting.taker;
        self.market.record(self.now, event)?;
        Ok(remaining)
    }

    /// Drops an order that a taker met and did not fill.
    ///
    /// WHY: out of line, since it is rare and would be copied into every branch of the loop.
    #[inline(never)]
    pub(super) fn drop_met(&mut self, handle: NodeIndex, kind: TradeEventKind, taker: CellIndex) -> Result<()> {
        self.drop_order(handle, kind, taker)
    }

    /// A taker met what is not for sale at present.
    ///
    /// WHY: out of line, since most markets have nothing but the book.
    #[cold]
    #[inline(never)]
    fn pass(&mut self, handle: NodeIndex, taker: CellIndex) -> Result<()> {
        match self.market.node(handle).ok_or(EngineError::Corrupt)?.source() {
            Source::Pegged => self.pass_pegged(handle, taker),
            Source::Ladder => self.pass_rung(handle),
            Source::Book | Source::Delayed => Err(EngineError::Corrupt),
        }
    }

    /// One fill: settles the maker, adds to the taker's execution, shrinks or removes the order, writes the record.
    #[inline(always)]
    fn fill(&mut self, taker: &mut Taker, best: Offer, lots: Lots) -> Result<()> {
        let node = self.market.node_mut(best.node)?;
        // `lots` is the smaller of what the order has and what the taker wants.
        let (price, left) = (best.price, node.lots.less_part(lots));
        let (in_book, parent) = (node.is_in_book(), node.is_parent());
        node.lots = left;
        let quote = price.bounded_notional(lots, taker.tick_value);
        // WHY: outside the book margin is reserved at the order's limit, not at what it trades at.
        let reserved = if in_book { quote } else { node.price.bounded_notional(lots, taker.tick_value) };
        let fill = Fill { price, tick_value: taker.tick_value, lots, quote };
        let fees = fee::of_fill(fill.quote, taker.taker_fee, taker.maker_fee)?;
        let mut event = TradeEvent::new(TradeEventKind::Filled, taker.side.opposite());
        event.order = node.sequence;
        event.client_id = node.client_id;
        event.lots = lots;
        event.price = price;
        event.taker = taker.trader;
        event.taker_fee = fees.taker.as_delta()?;
        event.maker_fee = fees.maker;
        let Some(maker) = self.settle_maker(taker, best.node, &fill, reserved, fees.maker)? else {
            return self.refuse(taker.trader, best.node, lots);
        };
        event.maker = maker;
        if parent {
            self.arm_children_of(best.node, lots)?;
        }
        // A reduce-only order whose owner has nothing left is dropped when it is met again.
        if !in_book {
            event.client_id = self.take_from_annex(best.node, lots)?;
        } else if left.is_zero() {
            self.market.remove_best(taker.side.opposite())?;
            self.unlink(best.node)?;
        }
        self.market.record(self.now, event)?;
        taker.add(&fill, fees.taker)
    }

    /// What a fill means for an order outside the book, which has its lots less already. Returns the number it is recorded
    /// under: the order's client id, or the maker's number of its ladder.
    ///
    /// WHY: out of line, since most markets have nothing but the book.
    #[cold]
    #[inline(never)]
    fn take_from_annex(&mut self, handle: NodeIndex, lots: Lots) -> Result<u64> {
        let node = self.market.node(handle).ok_or(EngineError::Corrupt)?;
        let (left, client_id, source) = (node.lots, node.client_id, node.source());
        let number = if source == Source::Ladder { self.consume_rung(handle, lots)? } else { client_id };
        if left.is_zero() {
            self.leave_annex(handle)?;
            self.unlink(handle)?;
        }
        Ok(number)
    }

    /// Takes an order out of the annex; its reservation is gone already.
    ///
    /// WHY: out of line, since most markets have nothing but the book.
    #[cold]
    #[inline(never)]
    pub(super) fn leave_annex(&mut self, handle: NodeIndex) -> Result<()> {
        match self.market.node(handle).ok_or(EngineError::Corrupt)?.source() {
            Source::Pegged => self.unpeg(handle),
            Source::Ladder => self.end_rungs(handle),
            Source::Delayed => self.unqueue(handle),
            Source::Book => Err(EngineError::Corrupt),
        }
    }

    /// Settles a position's funding, before its size changes.
    pub(super) fn settle_funding(&mut self, position: CellIndex) -> Result<()> {
        let (cell, trader) = position::with_trader(self.ledger.cells, position)?;
        pay_funding(self.ledger.rows, cell, trader)
    }

    /// Undoes the beginning of a fill that its maker may not have, and drops the order.
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, taker: CellIndex, order: NodeIndex, lots: Lots) -> Result<()> {
        let node = self.market.node_mut(order)?;
        node.lots = node.lots.checked_add(lots)?;
        self.drop_met(order, TradeEventKind::RiskCancelled, taker)
    }

    /// Whether closing size leaves the maker of a fill without equity at mark.
    ///
    /// WHY: what an account without equity still has is its position, which is closed against those who won what it lost.
    /// If a friend among them could take it off its hands at a fair price, the debt would be left to the pool and to
    /// everybody's deposits.
    #[cold]
    #[inline(never)]
    fn leaves_debt(&self, position: CellIndex, side: Side, fill: &Fill, fee: QuoteDelta) -> Result<bool> {
        let (row, view) = (self.row()?, self.ledger.view());
        let maker = view.trader(view.position(position)?.trader)?;
        let equity = margin::maintenance(&view, maker, self.now.unix_seconds)?.equity;
        let (value, worth) = (fill.quote.as_delta()?, row.mark.bounded_notional(fill.lots, row.tick_value).as_delta()?);
        let gain = match side {
            Side::Ask => value.checked_sub(worth)?,
            Side::Bid => worth.checked_sub(value)?,
        };
        Ok(equity.checked_add(gain)?.checked_sub(fee)? < QuoteDelta::ZERO)
    }

    /// Books a fill on the maker's position and cash; returns the maker's trader cell, or nothing if it may not close.
    #[inline(always)]
    fn settle_maker(
        &mut self,
        taker: &mut Taker,
        node: NodeIndex,
        fill: &Fill,
        reserved: QuoteAtoms,
        fee: QuoteDelta,
    ) -> Result<Option<CellIndex>> {
        let side = taker.side.opposite();
        let position = self.market.node(node).ok_or(EngineError::Corrupt)?.position;
        let (cell, trader) = position::with_trader(self.ledger.cells, position)?;
        if cell.funding_index != taker.funding_index {
            pay_funding(self.ledger.rows, cell, trader)?;
        }
        let (cell, trader) = if !may_leave_debt(cell, trader, side, fill)? {
            (cell, trader)
        } else if self.leaves_debt(position, side, fill, fee)? {
            return Ok(None);
        } else {
            position::with_trader(self.ledger.cells, position)?
        };
        position::release(cell, side, fill.lots, reserved)?;
        let execution = fill.execution(side, fill.lots.min(cell.base.closable_by(side)));
        let interest = position::settle(cell, trader, &execution, &mut taker.transit)?;
        position::charge(cell, trader, &mut self.ledger.header.fees, fee)?;
        taker.interest = taker.interest.wrapping_add(interest);
        Ok(Some(cell.trader))
    }

    /// Books all fills on the taker's position and cash, its fees, and the change of open interest. Afterwards nothing is
    /// in transit.
    #[inline(always)]
    pub(super) fn settle_taker(&mut self, taker: &mut Taker) -> Result<()> {
        if taker.execution.lots.is_zero() {
            return Ok(());
        }
        let (cell, trader) = position::with_trader(self.ledger.cells, taker.position)?;
        if cell.funding_index != taker.funding_index {
            pay_funding(self.ledger.rows, cell, trader)?;
        }
        let interest = position::settle(cell, trader, &taker.execution, &mut taker.transit)?;
        position::charge(cell, trader, &mut self.ledger.header.fees, taker.fee.as_delta()?)?;
        let row = self.ledger.row_mut(self.market.header.index)?;
        row.open_interest = row.open_interest.changed_by(taker.interest.wrapping_add(interest))?;
        self.market.header.last_trade_price = taker.last_price;
        self.market.header.last_trade_time = self.now.unix_seconds;
        if taker.transit.is_zero() { Ok(()) } else { Err(EngineError::Corrupt) }
    }
}

/// Whether a fill closes size, and closing all of it at that price takes cash below what a fee may cost. If not, the
/// maker pays for what this position has lost, and nothing more has to be asked.
#[inline(always)]
fn may_leave_debt(position: &PositionCell, trader: &TraderCell, side: Side, fill: &Fill) -> Result<bool> {
    if position.base.closable_by(side).is_zero() {
        return Ok(false);
    }
    let cash = trader.cash.get();
    let value = fill.price.bounded_value(position.base, fill.tick_value);
    let left = cash.checked_add(value)?.checked_add(position.quote.get())?;
    // A fee is at most 2%, rounded up, which is no more than an atom more than a 32nd.
    Ok(cash < QuoteDelta::ZERO || left < QuoteDelta::ZERO || left.magnitude().get() <= value.magnitude().get() >> 5)
}

/// WHY: out of line, since most positions were settled since the last update.
#[inline(never)]
fn pay_funding(rows: &mut [MarketRow], position: &mut PositionCell, trader: &mut TraderCell) -> Result<()> {
    let row = rows.get_mut(usize::from(position.market.get())).ok_or(EngineError::Corrupt)?;
    funding::settle(row, position, trader)
}
