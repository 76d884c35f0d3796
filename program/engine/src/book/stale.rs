//! Orders that the mark has left behind.
//!
//! A maker's margin is examined when its order is placed. Once the mark has run away from the order that says nothing any
//! more: an account could let itself be filled into debt, by a friend before anybody else, and leave that to the pool. So
//! before a taker meets the book, orders far through the mark go whose makers could not bear to have them filled.

use super::Trading;
use crate::{
    error::{EngineError, Result},
    risk::margin,
    state::{IndexEntry, TradeEventKind},
    units::{CellIndex, NodeIndex, QuoteAtoms, QuoteDelta, Side, Ticks},
};

/// An order is stale if it is through the mark by more than a 2^7th of it, 0.78%.
const STALE_SHIFT: u32 = 7;

/// Whether a resting order at `price` is stale for a taker of `side`.
#[inline(always)]
pub(super) const fn is_stale(side: Side, price: Ticks, mark: Ticks) -> bool {
    let through = match side {
        Side::Bid => mark.get().saturating_sub(price.get()),
        Side::Ask => price.get().saturating_sub(mark.get()),
    };
    through > mark.get() >> STALE_SHIFT
}

impl Trading<'_> {
    /// Whether the first order that a taker of `side` would meet is stale. If it is not none is: it is the furthest
    /// through the mark.
    #[inline(always)]
    pub(super) fn meets_stale(&self, side: Side, mark: Ticks) -> bool {
        let best = self.market.best(side.opposite());
        best.is_some_and(|best| is_stale(side, best.price(side.opposite()), mark))
    }

    /// Looks at the stale orders that a taker of `side` with this limit would meet, best first and at most `match_limit`,
    /// and drops those whose makers would end below maintenance margin. Returns how many of the taker's steps are left: a
    /// drop is one of them, so that it meets no stale order that was not looked at.
    #[cold]
    #[inline(never)]
    pub(super) fn drop_unbearable(
        &mut self,
        taker: CellIndex,
        side: Side,
        limit: Ticks,
        match_limit: u8,
    ) -> Result<u8> {
        let mark = self.row()?.mark;
        let mut left = match_limit;
        let mut kept = 0usize;
        for _ in 0..match_limit {
            let Some(entry) = self.behind_best(side.opposite(), kept) else {
                break;
            };
            let price = entry.price(side.opposite());
            let crosses = match side {
                Side::Bid => price <= limit,
                Side::Ask => price >= limit,
            };
            if !crosses || !is_stale(side, price, mark) {
                break;
            }
            if self.is_unbearable(taker, entry.node)? {
                self.drop_met(entry.node, TradeEventKind::RiskCancelled, taker)?;
                left = left.saturating_sub(1);
            } else {
                kept = kept.saturating_add(1);
            }
        }
        Ok(left)
    }

    /// The entry that has so many better ones.
    fn behind_best(&self, side: Side, better: usize) -> Option<IndexEntry> {
        self.market.view().entries(side).iter().rev().nth(better).copied()
    }

    /// Whether the maker of an order, if all that it has on that side were filled at this order's price, would end below
    /// maintenance margin at mark. An order that is not filled is bearable: expired, the taker's own, or with nothing to
    /// reduce.
    fn is_unbearable(&self, taker: CellIndex, order: NodeIndex) -> Result<bool> {
        let node = self.market.node(order).ok_or(EngineError::Corrupt)?;
        let position = self.ledger.position(node.position)?;
        let maker = self.ledger.trader(position.trader)?;
        let closable = position.base.closable_by(node.side());
        let lots = if node.is_reduce_only() { node.lots.min(closable) } else { position.open_lots(node.side()) };
        let own = maker.owner == self.ledger.trader(taker)?.owner;
        if lots.is_zero() || own || node.is_expired(self.now.unix_seconds) {
            return Ok(false);
        }
        let row = self.row()?;
        let health = margin::maintenance(&self.ledger.view(), maker, self.now.unix_seconds)?;
        let held =
            if position.base.is_zero() { QuoteAtoms::ZERO } else { margin::position_maintenance(row, position)? };
        let base = position.base.checked_add(lots.signed(node.side())?)?;
        let required =
            health.required.checked_sub(held)?.checked_add(margin::maintenance_of(row, base.magnitude())?)?;
        // A stale order loses when it is filled; its distance from the mark is what it loses a lot.
        let distance = Ticks::new(node.price.get().abs_diff(row.mark.get()));
        let loss = distance.bounded_notional(lots, row.tick_value).as_delta()?;
        let equity = health.equity.checked_sub(loss)?;
        Ok(equity < QuoteDelta::ZERO || equity.magnitude() < required)
    }
}
