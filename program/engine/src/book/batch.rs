//! Taking several orders off the book at once, found by handle, by client id or by what has run out.
//!
//! Who names many orders names them from a view of the book that may be out of date: what is gone already is skipped.

use super::Trading;
use crate::{
    error::{EngineError, Result},
    state::TradeEventKind,
    units::{CellIndex, NodeIndex, Sequence},
};
use bytemuck::{Pod, Zeroable};

/// Names an order: its node, and its number, which no later order in that node has. 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OrderHandle {
    /// Node of the order.
    pub node: NodeIndex,
    pad: u32,
    /// Number of the order.
    pub sequence: Sequence,
}

const _: () = assert!(size_of::<OrderHandle>() == 16);

impl OrderHandle {
    /// Names the order with this number in this node.
    pub const fn new(node: NodeIndex, sequence: Sequence) -> Self {
        Self { node, pad: 0, sequence }
    }

    /// Whether its padding is zero.
    pub const fn is_padded(&self) -> bool {
        self.pad == 0
    }
}

impl Trading<'_> {
    /// Cancels those of the orders named that are live orders of `trader`, in the order given; returns how many. That
    /// none is left is not an error. Takers that wait stay.
    pub fn cancel_orders(&mut self, trader: CellIndex, handles: impl Iterator<Item = OrderHandle>) -> Result<u8> {
        let mut cancelled = 0u8;
        for handle in handles {
            if self.is_order_of(trader, handle)? && !self.is_waiting(handle.node) {
                self.take_off(handle.node, TradeEventKind::Cancelled)?;
                cancelled = cancelled.saturating_add(1);
            }
        }
        Ok(cancelled)
    }

    /// Cancels the live order of `trader` that has this client id. Fails with `OrderNotFound`, also for 0, which names
    /// none, and with `OrderWaiting` for a taker that waits.
    pub fn cancel_by_client_id(&mut self, trader: CellIndex, client_id: u64) -> Result<()> {
        if client_id == 0 {
            return Err(EngineError::OrderNotFound);
        }
        let position = self.position_of(trader).map_err(|_| EngineError::OrderNotFound)?;
        let mut next = self.ledger.position(position)?.first_order;
        while let Some(node) = self.market.node(next) {
            if node.client_id == client_id {
                return self.take_off(next, TradeEventKind::Cancelled);
            }
            next = node.next;
        }
        Err(EngineError::OrderNotFound)
    }

    /// Drops those of the orders named that are live and have expired, whoever's they are; returns how many. Fails with
    /// `NothingToClose` if there is none.
    pub fn drop_expired(&mut self, handles: impl Iterator<Item = OrderHandle>) -> Result<u8> {
        let mut dropped = 0u8;
        for handle in handles {
            let found = self.market.node(handle.node).filter(|node| node.sequence == handle.sequence);
            if found.is_some_and(|node| node.is_expired(self.now.unix_seconds)) {
                self.take_off(handle.node, TradeEventKind::Expired)?;
                dropped = dropped.saturating_add(1);
            }
        }
        if dropped == 0 { Err(EngineError::NothingToClose) } else { Ok(dropped) }
    }

    /// Cancels orders, then triggers, of an account whose dead-man switch has run out, newest first and at most `limit`;
    /// those that may only reduce and takers that wait stay. Returns how many went.
    ///
    /// Fails with `HeartbeatAlive` while the switch is off or its time has not passed, or with `NothingToClose`.
    pub fn enforce_deadman(&mut self, target: CellIndex, limit: u8) -> Result<u8> {
        if !self.ledger.trader(target)?.is_silent(self.now.unix_seconds) {
            return Err(EngineError::HeartbeatAlive);
        }
        let position = self.position_of(target)?;
        let mut next = self.ledger.position(position)?.first_order;
        let mut cancelled = 0u8;
        while cancelled < limit {
            let Some(node) = self.market.node(next) else {
                break;
            };
            let (handle, spared) = (next, node.is_reduce_only() || node.is_waiting());
            next = node.next;
            if !spared {
                self.take_off(handle, TradeEventKind::DeadmanCancelled)?;
                cancelled = cancelled.wrapping_add(1);
            }
        }
        let removed = self.remove_risky_triggers(position, limit.saturating_sub(cancelled))?;
        let gone = cancelled.saturating_add(removed);
        if gone == 0 { Err(EngineError::NothingToClose) } else { Ok(gone) }
    }

    /// Whether this names a live order of `trader`.
    pub(super) fn is_order_of(&self, trader: CellIndex, handle: OrderHandle) -> Result<bool> {
        match self.market.node(handle.node).filter(|node| node.sequence == handle.sequence) {
            Some(node) => Ok(self.ledger.position(node.position)?.trader == trader),
            None => Ok(false),
        }
    }

    /// Drops an order that no taker met.
    ///
    /// WHY: out of line, or every caller gets its own copy.
    #[inline(never)]
    pub(super) fn take_off(&mut self, handle: NodeIndex, kind: TradeEventKind) -> Result<()> {
        self.drop_order(handle, kind, CellIndex::NIL)
    }
}
