//! Replacing a maker's quotes in one go: the orders it has are moved rather than cancelled and placed anew, and margin is
//! examined once.
//!
//! An order that is moved keeps its node, gets a new number and goes behind others at its new price, as a new one would.
//! One that asks for what it is already keeps its place. Nothing is matched: quotes are post-only, and whether the book
//! is crossed is looked at when all are in place, so that a maker may move both sides through where they were.

use super::{NewOrder, OrderKind, SelfTrade, Sides, Trading, place::check_terms};
use crate::{
    account,
    error::{EngineError, Result},
    risk::position,
    state::{IndexEntry, OrderNode, Source, TradeEvent, TradeEventKind},
    units::{CellIndex, Lots, NodeIndex, Sequence, Side, Ticks, UnixSeconds},
};
use bytemuck::{Pod, Zeroable};

/// Most quotes of one replacement.
pub const QUOTES_MAX: usize = 16;

/// One level of a maker, 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Quote {
    /// Size.
    pub lots: Lots,
    /// Price.
    pub price: Ticks,
    side: u8,
    pad: [u8; 3],
}

/// What a maker wants on the book from now on.
#[derive(Clone, Copy, Debug)]
pub struct Replacement<'a> {
    /// The maker's own number; only one larger than the last one does anything.
    pub sequence: u64,
    /// Whose present orders go: those on these sides, or none.
    pub sides: Option<Sides>,
    /// Last second at which the quotes may be filled; 0 for no end.
    pub expires_at: UnixSeconds,
    /// The quotes, at most [`QUOTES_MAX`].
    pub quotes: &'a [Quote],
}

impl Quote {
    /// A level.
    pub const fn new(side: Side, price: Ticks, lots: Lots) -> Self {
        Self { lots, price, side: side.byte(), pad: [0; 3] }
    }

    /// Its side; `None` if the byte means nothing.
    #[inline(always)]
    pub const fn side(&self) -> Option<Side> {
        Side::from_byte(self.side)
    }

    /// Whether padding is zero.
    #[inline(always)]
    pub fn is_padded(&self) -> bool {
        self.pad == [0; 3]
    }

    const fn order(&self, side: Side, expires_at: UnixSeconds) -> NewOrder {
        NewOrder {
            side,
            kind: OrderKind::PostOnly,
            price: self.price,
            lots: self.lots,
            client_id: 0,
            expires_at,
            self_trade: SelfTrade::CancelMaker,
            reduce_only: false,
            match_limit: 1,
            peg_offset: 0,
        }
    }
}

/// Orders of a side that wait to be moved, oldest last.
#[derive(Default)]
struct Movable {
    handles: [u32; QUOTES_MAX],
    len: usize,
}

impl Movable {
    /// Keeps an order; false if there is no room.
    #[inline(always)]
    fn keep(&mut self, handle: NodeIndex) -> bool {
        let Some(place) = self.handles.get_mut(self.len) else {
            return false;
        };
        *place = handle.get();
        self.len = self.len.wrapping_add(1);
        true
    }

    /// The oldest one left.
    #[inline(always)]
    fn take(&mut self) -> Option<NodeIndex> {
        self.len = self.len.checked_sub(1)?;
        self.handles.get(self.len).copied().map(NodeIndex::new)
    }
}

/// What an order was before it is moved.
struct Old {
    price: Ticks,
    lots: Lots,
    sequence: Sequence,
}

/// Whether a replacement that concerns these sides concerns this order: ladders and takers that wait are no quotes.
#[inline(always)]
fn is_concerned(node: &OrderNode, sides: Sides) -> bool {
    sides.contains(node.side()) && matches!(node.source(), Source::Book | Source::Pegged)
}

impl Trading<'_> {
    /// Replaces a maker's quotes. Returns false, with nothing done, if the number is not larger than the last one's.
    ///
    /// Fails with `PostOnlyWouldCross`, `AccountBankrupt`, `FeeTooHigh`, and as `PlaceOrder` does for its checks before matching, for
    /// resting, for limits and for margin.
    pub fn replace_quotes(&mut self, trader: CellIndex, wanted: &Replacement<'_>) -> Result<bool> {
        let market = self.market.header.index;
        let position = account::position_in(&mut self.ledger, trader, market)?;
        let cell = self.ledger.position_mut(position)?;
        if wanted.sequence <= cell.quote_sequence {
            return Ok(false);
        }
        cell.quote_sequence = wanted.sequence;
        if wanted.quotes.is_empty() {
            return self.cancel_quotes(position, wanted.sides).map(|()| true);
        }
        if self.ledger.trader(trader)?.is_bankrupt() {
            return Err(EngineError::AccountBankrupt);
        }
        self.check_fee(trader)?;
        let worst_before = position::worst_lots(self.ledger.position(position)?);
        let interest_before = self.row()?.open_interest;
        let (mut bids, mut asks) = (Movable::default(), Movable::default());
        self.collect(position, wanted.sides, &mut bids, &mut asks)?;
        for (number, quote) in wanted.quotes.iter().enumerate() {
            // WHY: inlined twice, with the side known, so that no branch on it is left.
            match quote.side().ok_or(EngineError::Corrupt)? {
                Side::Bid => {
                    self.put(trader, position, &quote.order(Side::Bid, wanted.expires_at), &mut bids, number)?
                }
                Side::Ask => {
                    self.put(trader, position, &quote.order(Side::Ask, wanted.expires_at), &mut asks, number)?
                }
            }
        }
        for left in [&mut bids, &mut asks] {
            while let Some(handle) = left.take() {
                self.drop_quote(handle)?;
            }
        }
        self.uncross(trader)?;
        self.narrow_bounds(position)?;
        self.check_limits(position, worst_before, interest_before)?;
        self.check_risk(trader, None, false)?;
        Ok(true)
    }

    /// Takes orders on these sides off the book.
    fn cancel_quotes(&mut self, position: CellIndex, sides: Option<Sides>) -> Result<()> {
        let mut next = self.ledger.position(position)?.first_order;
        while let Some(node) = self.market.node(next) {
            let (handle, concerned) = (next, sides.is_some_and(|sides| is_concerned(node, sides)));
            next = node.next;
            if concerned {
                self.drop_quote(handle)?;
            }
        }
        Ok(())
    }

    /// Finds the orders that may be moved; reduce-only and pegged ones, those that triggers wait for, and those beyond the number
    /// of quotes there can be, go at once.
    #[inline(always)]
    fn collect(
        &mut self,
        position: CellIndex,
        sides: Option<Sides>,
        bids: &mut Movable,
        asks: &mut Movable,
    ) -> Result<()> {
        let Some(sides) = sides else {
            return Ok(());
        };
        let mut next = self.ledger.position(position)?.first_order;
        while let Some(node) = self.market.node(next) {
            let (handle, side, concerned) = (next, node.side(), is_concerned(node, sides));
            let unmovable = !node.is_plain() || !node.is_in_book();
            next = node.next;
            let movable = match side {
                Side::Bid => &mut *bids,
                Side::Ask => &mut *asks,
            };
            if concerned && (unmovable || !movable.keep(handle)) {
                self.drop_quote(handle)?;
            }
        }
        Ok(())
    }

    /// WHY: out of line, or every caller gets its own copy.
    #[inline(never)]
    fn drop_quote(&mut self, handle: NodeIndex) -> Result<()> {
        self.drop_order(handle, TradeEventKind::Cancelled, CellIndex::NIL)
    }

    /// Puts one quote on the book, by moving an order if there is one to move.
    #[inline(always)]
    fn put(
        &mut self,
        trader: CellIndex,
        position: CellIndex,
        order: &NewOrder,
        movable: &mut Movable,
        number: usize,
    ) -> Result<()> {
        // WHY: what is not about price and size is the same for all of them.
        if number == 0 {
            self.check_order(order)?;
        } else {
            check_terms(self.row()?, order)?;
        }
        self.check_annex(order.side, order.price)?;
        let Some(handle) = movable.take() else {
            return self.put_new(trader, position, order);
        };
        let node = self.market.node(handle).ok_or(EngineError::Corrupt)?;
        let old = Old { price: node.price, lots: node.lots, sequence: node.sequence };
        let same = old.price == order.price && old.lots == order.lots && node.expires_at == order.expires_at;
        if same && node.client_id == 0 { Ok(()) } else { self.move_order(position, handle, &old, order) }
    }

    /// Rests a new order without looking at the other side.
    #[inline(never)]
    fn put_new(&mut self, trader: CellIndex, position: CellIndex, order: &NewOrder) -> Result<()> {
        let taker = self.taker(trader, position, order)?;
        self.rest(&taker, order).map(|_| ())
    }

    /// Gives an order another price, size and end, and a new number: it goes behind others at its price.
    #[inline(always)]
    fn move_order(&mut self, position: CellIndex, handle: NodeIndex, old: &Old, order: &NewOrder) -> Result<()> {
        let (side, tick_value) = (order.side, self.row()?.tick_value);
        let sequence = Sequence::new(self.market.header.orders_placed.get().wrapping_add(1));
        let entry = IndexEntry { key: IndexEntry::key_of(side, order.price), node: handle, sequence };
        self.market.relocate(side, IndexEntry::key_of(side, old.price), old.sequence, entry)?;
        self.market.header.orders_placed = sequence;
        let node = self.market.node_mut(handle)?;
        (node.sequence, node.client_id) = (sequence, 0);
        (node.price, node.lots, node.expires_at) = (order.price, order.lots, order.expires_at);
        let cell = self.ledger.position_mut(position)?;
        position::release(cell, side, old.lots, old.price.bounded_notional(old.lots, tick_value))?;
        position::extend(cell, side, order.lots, order.price.bounded_notional(order.lots, tick_value))?;
        position::cover(cell, side, order.price);
        let mut event = TradeEvent::new(TradeEventKind::Replaced, side);
        event.order = sequence;
        event.client_id = old.sequence.get();
        event.lots = order.lots;
        event.price = order.price;
        event.maker = cell.trader;
        self.market.record(self.now, event)
    }

    /// Fails with `PostOnlyWouldCross` if the book is crossed; expired orders in the way are dropped, at most
    /// [`QUOTES_MAX`].
    #[inline(always)]
    fn uncross(&mut self, trader: CellIndex) -> Result<()> {
        for _ in 0..QUOTES_MAX {
            let (Some(bid), Some(ask)) = (self.market.best(Side::Bid), self.market.best(Side::Ask)) else {
                return Ok(());
            };
            if bid.price(Side::Bid) < ask.price(Side::Ask) {
                return Ok(());
            }
            self.drop_expired_of(bid.node, ask.node, trader)?;
        }
        Err(EngineError::PostOnlyWouldCross)
    }

    /// Drops the one of two orders that has expired. Fails with `PostOnlyWouldCross` if neither has.
    #[cold]
    #[inline(never)]
    fn drop_expired_of(&mut self, bid: NodeIndex, ask: NodeIndex, trader: CellIndex) -> Result<()> {
        for handle in [bid, ask] {
            if self.market.node(handle).is_some_and(|node| node.is_expired(self.now.unix_seconds)) {
                return self.drop_met(handle, TradeEventKind::Expired, trader);
            }
        }
        Err(EngineError::PostOnlyWouldCross)
    }
}
