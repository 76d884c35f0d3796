//! Several orders of one trader in one market, all or none.
//!
//! Each is placed as if it came alone, its limits and margin examined before the next one: one look at the end would let an
//! order through that a later one makes good for.

use super::{NewOrder, Trading};
use crate::{
    error::{EngineError, Result},
    units::CellIndex,
};

/// Most orders of one instruction.
pub const ORDERS_MAX: usize = 16;

impl Trading<'_> {
    /// Places orders of `trader` in the order given. Fails as [`Trading::place_order`] does for the first one that does; on
    /// `Err` the views are left in an undefined state and must be discarded.
    pub fn place_orders(&mut self, trader: CellIndex, orders: &[NewOrder]) -> Result<()> {
        orders.iter().try_for_each(|order| self.place_apart(trader, order).map(|_| ()))
    }

    /// Fails with `BookMoved` if the market has written events beyond this number; 0 for no guard.
    #[inline(always)]
    pub fn require_unmoved(&self, book_sequence_max: u64) -> Result<()> {
        let moved = book_sequence_max > 0 && self.market.header.events_written.get() > book_sequence_max;
        if moved { Err(EngineError::BookMoved) } else { Ok(()) }
    }
}
