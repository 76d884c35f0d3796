//! Changing a resting order.
//!
//! Only a smaller size at the same price keeps the order's place in the queue: it takes nothing from those behind it and
//! only releases margin, so neither price nor margin is asked for. Everything else is a new order.

use super::{NewOrder, OrderHandle, OrderKind, SelfTrade, Trading};
use crate::{
    error::{EngineError, Result},
    risk::position,
    state::{OrderNode, TradeEvent, TradeEventKind},
    units::{CellIndex, Lots, NodeIndex, Sequence, Ticks},
};

impl Trading<'_> {
    /// Gives a resting order of `trader` this size and price. Fewer lots at its price, or nothing new: it stays where it is.
    /// Otherwise it is cancelled and placed anew, post-only, with the same side, client id, expiry and reduce-only flag.
    /// Returns the handle of what rests afterwards. On `Err` the views are left in an undefined state and must be
    /// discarded.
    ///
    /// Fails with `OrderNotFound`, `OrderNotAmendable` outside the book, `OrderLotsOutOfRange`, or, if it is placed anew, as [`Trading::place_order`].
    pub fn amend_order(
        &mut self,
        trader: CellIndex,
        handle: OrderHandle,
        price: Ticks,
        lots: Lots,
    ) -> Result<Option<(NodeIndex, Sequence)>> {
        if !self.is_order_of(trader, handle)? {
            return Err(EngineError::OrderNotFound);
        }
        let node = self.market.node(handle.node).ok_or(EngineError::OrderNotFound)?;
        if !node.is_in_book() {
            return Err(EngineError::OrderNotAmendable);
        }
        if lots.is_zero() {
            return Err(EngineError::OrderLotsOutOfRange);
        }
        if price != node.price || lots > node.lots {
            let order = as_new(node, price, lots);
            return self.requeue(trader, handle.node, &order);
        }
        if lots < node.lots {
            self.reduce(handle.node, lots)?;
        }
        Ok(Some((handle.node, handle.sequence)))
    }

    /// Makes a resting order smaller and releases what it no longer needs.
    fn reduce(&mut self, handle: NodeIndex, lots: Lots) -> Result<()> {
        let (lots_min, tick_value) = (self.row()?.lots_min, self.row()?.tick_value);
        let node = self.market.node_mut(handle)?;
        // WHY: a reduce-only order may be below the smallest size, or dust could never be closed.
        if lots < lots_min && !node.is_reduce_only() {
            return Err(EngineError::OrderLotsOutOfRange);
        }
        let released = node.lots.checked_sub(lots)?;
        node.lots = lots;
        let mut event = TradeEvent::new(TradeEventKind::Amended, node.side());
        event.order = node.sequence;
        event.client_id = node.client_id;
        event.lots = lots;
        event.price = node.price;
        let position = self.ledger.position_mut(node.position)?;
        event.maker = position.trader;
        let notional = node.price.bounded_notional(released, tick_value);
        position::release(position, node.side(), released, notional)?;
        self.market.record(self.now, event)
    }

    /// Cancels a resting order and places it anew.
    fn requeue(
        &mut self,
        trader: CellIndex,
        handle: NodeIndex,
        order: &NewOrder,
    ) -> Result<Option<(NodeIndex, Sequence)>> {
        // WHY: it keeps its client id, so those that wait for it wait for the new one.
        self.market.node_mut(handle)?.set_parent(false);
        self.take_off(handle, TradeEventKind::Cancelled)?;
        self.place_apart(trader, order).map(|placed| placed.resting)
    }
}

/// The order to place in the stead of a resting one.
const fn as_new(node: &OrderNode, price: Ticks, lots: Lots) -> NewOrder {
    NewOrder {
        side: node.side(),
        kind: OrderKind::PostOnly,
        price,
        lots,
        client_id: node.client_id,
        expires_at: node.expires_at,
        self_trade: SelfTrade::CancelMaker,
        reduce_only: node.is_reduce_only(),
        match_limit: u8::MAX,
        peg_offset: 0,
    }
}
