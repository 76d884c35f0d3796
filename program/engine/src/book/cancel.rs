//! Taking orders off the book.

use super::Trading;
use crate::{
    error::{EngineError, Result},
    risk::position,
    state::{IndexEntry, TradeEvent, TradeEventKind},
    units::{CellIndex, NodeIndex, Sequence, Side},
};

/// Which sides a cancel concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Sides {
    /// Bids and asks.
    Both = 0,
    /// Bids only.
    Bids = 1,
    /// Asks only.
    Asks = 2,
}

impl Sides {
    /// Decodes an instruction byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Both,
            1 => Self::Bids,
            2 => Self::Asks,
            _ => return None,
        })
    }

    /// Whether `side` is meant.
    #[inline(always)]
    pub const fn contains(self, side: Side) -> bool {
        matches!((self, side), (Self::Both, _) | (Self::Bids, Side::Bid) | (Self::Asks, Side::Ask))
    }
}

impl Trading<'_> {
    /// Cancels the order with this handle. Fails with `OrderNotFound` unless it is a live order of `trader`, and with
    /// `OrderWaiting` for a taker that waits.
    #[inline(always)]
    pub fn cancel_order(&mut self, trader: CellIndex, handle: NodeIndex, sequence: Sequence) -> Result<()> {
        let node = self.market.node(handle).ok_or(EngineError::OrderNotFound)?;
        if node.sequence != sequence || self.ledger.position(node.position)?.trader != trader {
            return Err(EngineError::OrderNotFound);
        }
        self.drop_order(handle, TradeEventKind::Cancelled, CellIndex::NIL)
    }

    /// Cancels up to `limit` orders of `trader` in this market, newest first; returns how many. Having none is not an
    /// error. Takers that wait stay.
    pub fn cancel_all(&mut self, trader: CellIndex, sides: Sides, limit: u8) -> Result<u8> {
        let view = self.ledger.view();
        let market = self.market.header.index;
        let found = view.positions(view.trader(trader)?).find(|(_, position)| position.market == market);
        let Some((_, position)) = found else {
            return Ok(0);
        };
        let mut next = position.first_order;
        let mut cancelled = 0u8;
        while cancelled < limit {
            let Some(node) = self.market.node(next) else {
                break;
            };
            let (current, side, waits) = (next, node.side(), node.is_waiting());
            next = node.next;
            if sides.contains(side) && !waits {
                self.drop_order(current, TradeEventKind::Cancelled, CellIndex::NIL)?;
                cancelled = cancelled.wrapping_add(1);
            }
        }
        Ok(cancelled)
    }

    /// Takes an order off the book for the reason `kind`, releases its reservation and writes the record.
    #[inline(always)]
    pub(super) fn drop_order(&mut self, handle: NodeIndex, kind: TradeEventKind, taker: CellIndex) -> Result<()> {
        let node = self.market.node(handle).ok_or(EngineError::Corrupt)?;
        let (side, outside) = (node.side(), !node.is_in_book());
        if node.is_parent() {
            self.again().release_children_of(handle)?;
        }
        if outside {
            // WHY: only the copy has to lie in memory; cancelling what is in the book goes without.
            return self.again().drop_outside(handle, kind, taker);
        }
        // WHY: inlined twice, with the side known, so that no branch on it is left.
        match side {
            Side::Bid => self.drop_from(Side::Bid, handle, TradeEvent::of(kind, Side::Bid, taker)),
            Side::Ask => self.drop_from(Side::Ask, handle, TradeEvent::of(kind, Side::Ask, taker)),
        }
    }

    #[inline(always)]
    fn drop_from(&mut self, side: Side, handle: NodeIndex, mut event: TradeEvent) -> Result<()> {
        let tick_value = self.row()?.tick_value;
        let node = self.market.node(handle).ok_or(EngineError::Corrupt)?;
        let (price, lots, sequence) = (node.price, node.lots, node.sequence);
        event.order = sequence;
        event.client_id = node.client_id;
        event.lots = lots;
        event.price = price;
        let position = self.ledger.position_mut(node.position)?;
        event.maker = position.trader;
        position::release(position, side, lots, price.bounded_notional(lots, tick_value))?;
        self.market.remove(side, IndexEntry::key_of(side, price), sequence)?;
        self.unlink(handle)?;
        self.market.record(self.now, event)
    }

    /// The same for an order outside the book.
    ///
    /// WHY: out of line as a whole, since a call in the midst of it would cost every order in the book.
    #[cold]
    #[inline(never)]
    fn drop_outside(&mut self, handle: NodeIndex, kind: TradeEventKind, taker: CellIndex) -> Result<()> {
        let tick_value = self.row()?.tick_value;
        let node = self.market.node(handle).ok_or(EngineError::Corrupt)?;
        let mut event = TradeEvent::of(kind, node.side(), taker);
        (event.order, event.client_id) = (node.sequence, node.client_id);
        (event.lots, event.price) = (node.lots, node.price);
        let (side, notional) = (node.side(), node.price.bounded_notional(node.lots, tick_value));
        let position = self.ledger.position_mut(node.position)?;
        event.maker = position.trader;
        position::release(position, side, event.lots, notional)?;
        self.check_leaving(handle, kind)?;
        self.leave_annex(handle)?;
        self.unlink(handle)?;
        self.market.record(self.now, event)
    }

    /// Removes an order from its position's list and from the arena. Its index entry and its reservation are gone
    /// already.
    #[inline(always)]
    pub(super) fn unlink(&mut self, handle: NodeIndex) -> Result<()> {
        let node = self.market.node(handle).ok_or(EngineError::Corrupt)?;
        let (position, older, newer) = (node.position, node.next, node.previous);
        if !older.is_nil() {
            self.market.node_mut(older)?.previous = newer;
        }
        let position = self.ledger.position_mut(position)?;
        position.orders = position.orders.checked_sub(1).ok_or(EngineError::Corrupt)?;
        if newer.is_nil() {
            position.first_order = older;
        } else {
            self.market.node_mut(newer)?.next = older;
        }
        self.market.header.nodes.release(self.market.nodes, handle.get())
    }
}
