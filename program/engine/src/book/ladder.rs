//! Ladders: quotes relative to a maker's own middle, all of them moved by one small write.
//!
//! Each side of a ladder is an order of its maker: it may fill so many lots, its reserve, and come to such a price, its
//! limit. Margin is examined for that, worst case, when the ladder is set. Its levels only say where and how much of it is
//! for sale at present; they are consumed from the first on, and a move makes them whole again, but never the reserve. So a
//! move needs neither the ledger nor a price nor the clock.
//!
//! # What is not for sale
//! A level beyond the limit, or stale. Those are a ladder's first ones, since levels ascend: whoever meets them consumes
//! them all, in one step. And a move must not take: levels that would cross the other side of the book are consumed at
//! once.
//!
//! # Places
//! A market has room for [`LADDERS_MAX`], and none is held for nothing: a ladder reserves margin for all its lots, and gives
//! its place up when they are filled or cancelled, or to a maker that reserves strictly more. Lots are what counts, not
//! their value: margin is for lots, while a limit may be chosen anywhere.

use super::{
    NewOrder, OrderKind, SelfTrade, Trading,
    offer::{Candidate, Offer, is_unfit},
    place::{ORDERS_PER_POSITION_MAX, check_terms},
};
use crate::{
    account,
    error::{EngineError, Result},
    risk::position,
    state::{
        IndexEntry, Key, Ladder, LadderLevel, LadderSide, Market, MarketRow, MarketView, OrderNode, Source, TradeEvent,
        TradeEventKind,
        annex::{LADDERS_MAX, LEVELS_MAX},
    },
    units::{CellIndex, Lots, NodeIndex, Now, Sequence, Side, Ticks, UnixSeconds},
};
use bytemuck::Zeroable;

/// One side of a ladder as its maker wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewLadderSide<'a> {
    /// Bids never trade above it, asks never below; zero without levels.
    pub limit: Ticks,
    /// Lots it may fill until it is set anew; zero without levels.
    pub reserve: Lots,
    /// At most eight, nearest to the middle first, at distances that ascend strictly.
    pub levels: &'a [LadderLevel],
}

/// A ladder as its maker wants it.
#[derive(Clone, Copy, Debug)]
pub struct NewLadder<'a> {
    /// The maker's own number, counted together with those of its replacements of quotes; only one larger than the
    /// last does anything.
    pub sequence: u64,
    /// Who may move it.
    pub quoter: Key,
    /// The maker's middle; 0 for nothing for sale until the first move.
    pub mid: Ticks,
    /// Bids.
    pub bids: NewLadderSide<'a>,
    /// Asks.
    pub asks: NewLadderSide<'a>,
}

impl NewLadderSide<'_> {
    /// Fails with `LadderInvalid`.
    fn check(&self) -> Result<()> {
        let mut last = None;
        for level in self.levels {
            if last.is_some_and(|last| level.distance <= last) || !level.is_padded() {
                return Err(EngineError::LadderInvalid);
            }
            last = Some(level.distance);
        }
        let nothing = self.limit.is_zero() && self.reserve.is_zero();
        let fits = self.levels.len() <= LEVELS_MAX && (nothing || !self.levels.is_empty());
        if fits { Ok(()) } else { Err(EngineError::LadderInvalid) }
    }

    /// What the side may come to, as an order.
    const fn order(&self, side: Side) -> NewOrder {
        NewOrder {
            side,
            kind: OrderKind::PostOnly,
            price: self.limit,
            lots: self.reserve,
            client_id: 0,
            expires_at: UnixSeconds::ZERO,
            self_trade: SelfTrade::CancelMaker,
            reduce_only: false,
            match_limit: 1,
            peg_offset: 0,
        }
    }
}

impl NewLadder<'_> {
    const fn side(&self, side: Side) -> &NewLadderSide<'_> {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    /// Whether it has no levels: that takes the present one away.
    pub const fn is_empty(&self) -> bool {
        self.bids.levels.is_empty() && self.asks.levels.is_empty()
    }

    /// Fails with `LadderInvalid`.
    fn check(&self) -> Result<()> {
        self.bids.check()?;
        self.asks.check()?;
        if self.quoter.is_zero() { Err(EngineError::LadderInvalid) } else { Ok(()) }
    }
}

impl LadderSide {
    /// What a ladder without this side has.
    fn none() -> Self {
        Self { node: NodeIndex::NIL, ..Self::zeroed() }
    }

    /// Takes lots of the first level left. Fails with `Corrupt` if it has fewer.
    fn consume(&mut self, lots: Lots) -> Result<()> {
        let used = self.used.checked_add(lots)?;
        let all = self.level(self.level).ok_or(EngineError::Corrupt)?.lots;
        if used > all {
            return Err(EngineError::Corrupt);
        }
        (self.level, self.used) =
            if used == all { (self.level.saturating_add(1), Lots::ZERO) } else { (self.level, used) };
        Ok(())
    }

    /// The level with this number, the first is 0.
    #[inline(always)]
    fn level(&self, number: u32) -> Option<&LadderLevel> {
        self.levels.get(crate::math::to_usize(number)).filter(|level| !level.lots.is_zero())
    }
}

impl Ladder {
    /// Price at this distance from the middle. Zero, or the largest there is, stands for one that cannot be; no taker comes
    /// to it.
    #[inline(always)]
    const fn price_at(&self, side: Side, distance: Ticks) -> Ticks {
        Ticks::new(match side {
            Side::Bid => self.mid.get().saturating_sub(distance.get()),
            Side::Ask => self.mid.get().saturating_add(distance.get()),
        })
    }

    /// What a level of a side that is left offers. A ladder without a middle has none.
    #[inline(always)]
    fn rung(&self, side: Side, number: u32) -> Result<Option<Candidate>> {
        let half = self.side(side);
        let Some(level) = half.level(number).filter(|_| !self.mid.is_zero()) else {
            return Ok(None);
        };
        let used = if number == half.level { half.used } else { Lots::ZERO };
        let price = self.price_at(side, level.distance);
        let offer = Offer { node: half.node, price, room: level.lots.checked_sub(used)? };
        Ok(Some(Candidate { key: IndexEntry::key_of(side, price), sequence: self.order, offer }))
    }

    /// The first level left of a side.
    #[inline(always)]
    fn best(&self, side: Side) -> Result<Option<Candidate>> {
        self.rung(side, self.side(side).level)
    }

    /// Prices and lots of the levels of a side that are for sale at present, nearest first. All of them together may be more
    /// than the side's reserve.
    pub fn for_sale(
        &self,
        side: Side,
        market: &MarketView<'_>,
        row: &MarketRow,
    ) -> impl Iterator<Item = (Ticks, Lots)> {
        let node = market.node(self.side(side).node);
        let rungs = (self.side(side).level..).map_while(move |level| self.rung(side, level).ok().flatten());
        let fit = rungs.filter(move |rung| node.is_some_and(|node| !is_unfit(node, rung.offer.price, row)));
        fit.map(|rung| (rung.offer.price, rung.offer.room))
    }

    /// The orders its sides are.
    fn nodes(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        [self.bids.node, self.asks.node].into_iter().filter(|node| !node.is_nil())
    }
}

/// A ladder's next middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LadderMove {
    /// Number of the ladder in its market.
    pub number: u32,
    /// The position it belongs to.
    pub position: CellIndex,
    /// The maker's own number.
    pub sequence: u64,
    /// The middle; 0 for nothing for sale.
    pub mid: Ticks,
}

/// What became of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// The ladder is where it should be.
    Now,
    /// The maker's number is not larger than the last one: nothing was done.
    Before,
    /// Somebody else may move it: nothing was done.
    NotAllowed,
}

impl Market<'_> {
    /// Moves a ladder, behind everything at its new prices, and makes its levels whole; those that would cross the book are
    /// consumed at once. `by` is who wants it. Fails with `LadderNotFound` if the position has no ladder with this number.
    #[inline(always)]
    pub fn move_ladder(&mut self, by: &[u8; 32], wanted: &LadderMove) -> Result<Moved> {
        let ladder = self.annex.ladders.get_mut(crate::math::to_usize(wanted.number));
        let ladder = ladder.ok_or(EngineError::LadderNotFound)?;
        let used = self.header.ladders.wrapping_shr(wanted.number) & 1 != 0;
        if !used || ladder.position != wanted.position {
            return Err(EngineError::LadderNotFound);
        }
        if !ladder.quoter.matches(by) {
            return Ok(Moved::NotAllowed);
        }
        if wanted.sequence <= ladder.sequence {
            return Ok(Moved::Before);
        }
        let mut event = TradeEvent::new(TradeEventKind::LadderMoved, Side::Bid);
        let order = Sequence::new(self.header.orders_placed.get().wrapping_add(1));
        self.header.orders_placed = order;
        (event.order, event.client_id, event.price) = (order, ladder.order.get(), wanted.mid);
        (ladder.sequence, ladder.order, ladder.mid) = (wanted.sequence, order, wanted.mid);
        arm_side(ladder, Side::Bid, best_of(Side::Ask, self.header.asks_len, self.asks));
        arm_side(ladder, Side::Ask, best_of(Side::Bid, self.header.bids_len, self.bids));
        // WHY: reading the clock costs as much as half of all this.
        self.record(Now::default(), event)?;
        Ok(Moved::Now)
    }
}

/// Best price of a side.
#[inline(always)]
fn best_of(side: Side, len: u32, entries: &[IndexEntry]) -> Option<Ticks> {
    entries.get(crate::math::to_usize(len.checked_sub(1)?)).map(|entry| entry.price(side))
}

/// Makes the levels of a side whole, but for those that would cross the best order of the book's other side.
#[inline(always)]
fn arm_side(ladder: &mut Ladder, side: Side, best: Option<Ticks>) {
    let half = ladder.side_mut(side);
    (half.level, half.used) = (0, Lots::ZERO);
    let [LadderLevel { distance, .. }, ..] = half.levels;
    if let Some(best) = best.filter(|best| crosses(side, ladder.price_at(side, distance), *best)) {
        skip_crossing(ladder, side, best);
    }
}

/// Whether a level at `price` would take the best order on the other side.
#[inline(always)]
const fn crosses(side: Side, price: Ticks, best: Ticks) -> bool {
    match side {
        Side::Bid => price.get() >= best.get(),
        Side::Ask => price.get() <= best.get(),
    }
}

/// WHY: out of line, since a maker means to make.
#[cold]
#[inline(never)]
fn skip_crossing(ladder: &mut Ladder, side: Side, best: Ticks) {
    let half = ladder.side(side);
    let mut level = 0u32;
    while half.level(level).is_some_and(|it| crosses(side, ladder.price_at(side, it.distance), best)) {
        level = level.saturating_add(1);
    }
    ladder.side_mut(side).level = level;
}

impl Trading<'_> {
    /// Sets the ladder of `trader`, in the stead of the one it may have; without levels, takes that away. Returns false, with
    /// nothing done, if the number is not larger than the last one.
    ///
    /// Fails with `LadderInvalid`, or for the first use of the market with `LedgerFull`; if there are levels, with `AccountBankrupt`, as `PlaceOrder` does for its checks before
    /// matching, of each side's limit and reserve, with `OrderLotsOutOfRange` for a level as for an order, with
    /// `LaddersFull`, `OrdersTooMany`, and as it does for limits and for margin.
    pub fn set_ladder(&mut self, trader: CellIndex, wanted: &NewLadder<'_>) -> Result<bool> {
        wanted.check()?;
        let position = account::position_in(&mut self.ledger, trader, self.market.header.index)?;
        let present = self.ladder_of(position);
        let moved = present.and_then(|number| self.market.annex.ladders.get(number)).map_or(0, |it| it.sequence);
        let cell = self.ledger.position_mut(position)?;
        if wanted.sequence <= cell.quote_sequence.max(moved) {
            return Ok(false);
        }
        cell.quote_sequence = wanted.sequence;
        let worst_before = position::worst_lots(cell);
        let interest_before = self.row()?.open_interest;
        if !wanted.is_empty() {
            self.check_ladder(trader, wanted)?;
        }
        if let Some(number) = present {
            self.drop_ladder(number, TradeEventKind::Cancelled)?;
        }
        if wanted.is_empty() {
            return Ok(true);
        }
        self.narrow_bounds(position)?;
        let number = match present {
            Some(number) => number,
            None => self.free_ladder(wanted.bids.reserve.checked_add(wanted.asks.reserve)?)?,
        };
        self.put_ladder(position, number, wanted)?;
        self.check_limits(position, worst_before, interest_before)?;
        self.check_risk(trader, None, false)?;
        Ok(true)
    }

    /// The number of a position's ladder.
    fn ladder_of(&self, position: CellIndex) -> Option<usize> {
        self.ladders().find(|(_, ladder)| ladder.position == position).map(|(number, _)| number)
    }

    /// Ladders in use, with their numbers.
    fn ladders(&self) -> impl Iterator<Item = (usize, &Ladder)> {
        let mut used = self.market.header.ladders;
        let all = self.market.annex.ladders.iter().enumerate();
        // WHY: ends with the last one in use, which mostly is among the first.
        all.map_while(move |(number, ladder)| {
            let rest = used;
            used >>= 1;
            (rest != 0).then_some((rest & 1 != 0, number, ladder))
        })
        .filter_map(|(used, number, ladder)| used.then_some((number, ladder)))
    }

    /// Everything that can be said about a ladder's sides before one is put up.
    fn check_ladder(&self, trader: CellIndex, wanted: &NewLadder<'_>) -> Result<()> {
        if self.ledger.trader(trader)?.is_bankrupt() {
            return Err(EngineError::AccountBankrupt);
        }
        self.check_fee(trader)?;
        let row = self.row()?;
        for side in [Side::Bid, Side::Ask] {
            let half = wanted.side(side);
            if half.levels.is_empty() {
                continue;
            }
            self.check_order(&half.order(side))?;
            for level in half.levels {
                check_terms(row, &NewOrder { lots: level.lots, ..half.order(side) })?;
            }
        }
        Ok(())
    }

    /// A free place, or that of the ladder with the fewest lots left, if a newcomer reserves more. Fails with
    /// `LaddersFull`.
    fn free_ladder(&mut self, reserve: Lots) -> Result<usize> {
        let free = crate::math::to_usize(self.market.header.ladders.trailing_ones());
        if free < LADDERS_MAX {
            return Ok(free);
        }
        let mut least = None;
        for (number, ladder) in self.ladders() {
            let mut lots = Lots::ZERO;
            for handle in ladder.nodes() {
                lots = lots.checked_add(self.market.node(handle).ok_or(EngineError::Corrupt)?.lots)?;
            }
            if least.is_none_or(|(fewest, _)| lots < fewest) {
                least = Some((lots, number));
            }
        }
        let (_, number) = least.filter(|(lots, _)| *lots < reserve).ok_or(EngineError::LaddersFull)?;
        self.drop_ladder(number, TradeEventKind::Evicted)?;
        Ok(number)
    }

    /// Drops what there is of a ladder, and so the ladder.
    fn drop_ladder(&mut self, number: usize, kind: TradeEventKind) -> Result<()> {
        let ladder = self.market.annex.ladders.get(number).ok_or(EngineError::Corrupt)?;
        let mut nodes = ladder.nodes();
        nodes.try_for_each(|handle| self.take_off(handle, kind))
    }

    /// Writes a ladder into a free place and reserves margin for its sides.
    fn put_ladder(&mut self, position: CellIndex, number: usize, wanted: &NewLadder<'_>) -> Result<()> {
        for side in [Side::Bid, Side::Ask] {
            let half = wanted.side(side);
            let node = if half.levels.is_empty() {
                NodeIndex::NIL
            } else {
                self.reserve_side(position, number, side, wanted)?
            };
            let ladder = self.market.annex.ladders.get_mut(number).ok_or(EngineError::Corrupt)?;
            let put = ladder.side_mut(side);
            put.node = node;
            for (place, level) in put.levels.iter_mut().zip(half.levels) {
                *place = *level;
            }
        }
        let (bid, ask) = (self.market.view().best_price(Side::Bid), self.market.view().best_price(Side::Ask));
        let ladder = self.market.annex.ladders.get_mut(number).ok_or(EngineError::Corrupt)?;
        (ladder.quoter, ladder.position) = (wanted.quoter, position);
        (ladder.sequence, ladder.mid) = (wanted.sequence, wanted.mid);
        ladder.order = self.market.header.orders_placed;
        arm_side(ladder, Side::Bid, ask);
        arm_side(ladder, Side::Ask, bid);
        self.market.header.ladders |= bit_of(number)?;
        Ok(())
    }

    /// The order that one side of a ladder is.
    fn reserve_side(
        &mut self,
        position: CellIndex,
        number: usize,
        side: Side,
        wanted: &NewLadder<'_>,
    ) -> Result<NodeIndex> {
        let half = wanted.side(side);
        let trader = self.ledger.position(position)?.trader;
        let notional = half.limit.bounded_notional(half.reserve, self.row()?.tick_value);
        let owner_tag = self.ledger.trader(trader)?.owner.tag();
        let cell = self.ledger.position_mut(position)?;
        if cell.orders >= ORDERS_PER_POSITION_MAX {
            return Err(EngineError::OrdersTooMany);
        }
        position::reserve(cell, side, half.reserve, notional)?;
        position::cover(cell, side, half.limit);
        let newest = cell.first_order;
        let index = self.market.header.nodes.allocate(self.market.nodes)?.ok_or(EngineError::Corrupt)?;
        let handle = NodeIndex::new(index);
        cell.first_order = handle;

        let sequence = Sequence::new(self.market.header.orders_placed.get().wrapping_add(1));
        self.market.header.orders_placed = sequence;
        let mut node = OrderNode::new(side, half.limit, half.reserve, position);
        node.sequence = sequence;
        node.owner_tag = owner_tag;
        node.next = newest;
        node.set_source(Source::Ladder, crate::math::to_u32(number)?);
        *self.market.nodes.get_mut(handle.as_usize()).ok_or(EngineError::Corrupt)? = node;
        if !newest.is_nil() {
            self.market.node_mut(newest)?.previous = handle;
        }
        let mut event = TradeEvent::new(TradeEventKind::LadderSet, side);
        event.order = sequence;
        event.client_id = wanted.sequence;
        event.lots = half.reserve;
        event.price = half.limit;
        event.maker = trader;
        self.market.record(self.now, event)?;
        Ok(handle)
    }

    /// The best level that is left of all ladders on a side, fit or not.
    pub(super) fn best_rung(&self, side: Side) -> Result<Option<Candidate>> {
        let mut best = None;
        for (_, ladder) in self.ladders() {
            best = Candidate::better(best, ladder.best(side)?);
        }
        Ok(best)
    }

    /// The best level of all ladders on a side that is for sale.
    pub(super) fn fit_rung(&self, side: Side) -> Result<Option<Candidate>> {
        let mut best = None;
        for (_, ladder) in self.ladders() {
            let fit = ladder.rung(side, self.first_fit(ladder, side)?)?;
            best = Candidate::better(best, fit);
        }
        Ok(best)
    }

    /// Number of the first level left of a side that is for sale.
    fn first_fit(&self, ladder: &Ladder, side: Side) -> Result<u32> {
        let row = self.row()?;
        let mut level = ladder.side(side).level;
        while let Some(rung) = ladder.rung(side, level)? {
            let node = self.market.node(rung.offer.node).ok_or(EngineError::Corrupt)?;
            if !is_unfit(node, rung.offer.price, row) {
                break;
            }
            level = level.saturating_add(1);
        }
        Ok(level)
    }

    /// The ladder that an order is a side of, and which.
    fn rungs_of(&mut self, handle: NodeIndex) -> Result<(&mut Ladder, Side)> {
        let node = self.market.node(handle).ok_or(EngineError::Corrupt)?;
        let (side, place) = (node.side(), crate::math::to_usize(node.place));
        let ladder = self.market.annex.ladders.get_mut(place).ok_or(EngineError::Corrupt)?;
        if ladder.side(side).node == handle { Ok((ladder, side)) } else { Err(EngineError::Corrupt) }
    }

    /// A taker met a level that is not for sale: consumes it, and those behind it that are not either.
    pub(super) fn pass_rung(&mut self, handle: NodeIndex) -> Result<()> {
        let node = self.market.node(handle).ok_or(EngineError::Corrupt)?;
        let place = crate::math::to_usize(node.place);
        let ladder = self.market.annex.ladders.get(place).ok_or(EngineError::Corrupt)?;
        let level = self.first_fit(ladder, node.side())?;
        let (ladder, side) = self.rungs_of(handle)?;
        let half = ladder.side_mut(side);
        (half.level, half.used) = (level, Lots::ZERO);
        Ok(())
    }

    /// Lots of the best level were taken. Returns the maker's number of the last move.
    pub(super) fn consume_rung(&mut self, handle: NodeIndex, lots: Lots) -> Result<u64> {
        let (ladder, side) = self.rungs_of(handle)?;
        ladder.side_mut(side).consume(lots)?;
        Ok(ladder.sequence)
    }

    /// A taker met its own owner's ladder: consumes so many lots of its best level, or what is left of it. Returns how many.
    pub(super) fn spend_rung(&mut self, handle: NodeIndex, most: Lots, taker: CellIndex) -> Result<Lots> {
        let (ladder, side) = self.rungs_of(handle)?;
        let best = ladder.best(side)?.ok_or(EngineError::Corrupt)?.offer;
        let lots = most.min(best.room);
        ladder.side_mut(side).consume(lots)?;
        let mut event = TradeEvent::of(TradeEventKind::SelfTradePrevented, side, taker);
        event.client_id = ladder.sequence;
        event.lots = lots;
        event.price = best.price;
        let node = self.market.node(handle).ok_or(EngineError::Corrupt)?;
        event.order = node.sequence;
        event.maker = self.ledger.position(node.position)?.trader;
        self.market.record(self.now, event)?;
        Ok(lots)
    }

    /// Ends a ladder's side; its reservation is gone already. The last one takes the ladder with it.
    pub(super) fn end_rungs(&mut self, handle: NodeIndex) -> Result<()> {
        let place = self.market.node(handle).ok_or(EngineError::Corrupt)?.place;
        let (ladder, side) = self.rungs_of(handle)?;
        if ladder.side(side.opposite()).node.is_nil() {
            *ladder = Ladder::zeroed();
            self.market.header.ladders &= !bit_of(crate::math::to_usize(place))?;
        } else {
            *ladder.side_mut(side) = LadderSide::none();
        }
        Ok(())
    }
}

/// The bit of a ladder in the header.
fn bit_of(number: usize) -> Result<u32> {
    1u32.checked_shl(crate::math::to_u32(number)?).ok_or(EngineError::Corrupt)
}
