//! Orders pegged to the index.
//!
//! They stand in an array of their own, sorted by their distance from the index, which is the order of their prices wherever
//! the index goes: nothing is moved when it does. An order trades at index plus distance while that is within its limit and
//! not stale, and is not for sale otherwise. It is not held at its limit: then it would be out of order.

use super::{
    NewOrder, OrderKind, Placed, Trading,
    matching::Taker,
    offer::{Candidate, Offer, is_unfit, is_unfit_at},
};
use crate::{
    account,
    error::{EngineError, Result},
    risk::position,
    state::{IndexEntry, MarketRow, Source, TradeEvent, TradeEventKind, annex::PEGGED_MAX},
    units::{CellIndex, Lots, NodeIndex, QuoteAtoms, Sequence, Side, Ticks},
};

impl Trading<'_> {
    /// Places an order pegged to the index. It is examined as any other at its limit, and as a post-only one at its present
    /// price.
    ///
    /// Fails as [`Trading::place_order`] does.
    #[cold]
    #[inline(never)]
    pub(super) fn place_pegged(&mut self, trader: CellIndex, order: &NewOrder, staked: bool) -> Result<Placed> {
        self.check_order(order)?;
        let post_only = NewOrder { kind: OrderKind::PostOnly, price: self.price_for_sale(order)?, ..*order };
        let position = account::position_in(&mut self.ledger, trader, self.market.header.index)?;
        self.check_client_id(position, order.client_id)?;
        self.narrow_bounds(position)?;
        let worst_before = position::worst_lots(self.ledger.position(position)?);
        let before = if order.reduce_only { Some(self.standing(trader)?) } else { None };
        let interest_before = self.row()?.open_interest;
        self.check_fee(trader)?;
        let mut taker = self.taker(trader, position, &post_only)?;
        self.match_taker(&mut taker)?;
        let resting = if taker.stopped.is_some() {
            self.drop_remainder(&taker, order)?;
            None
        } else {
            Some(self.peg(&taker, order)?)
        };
        self.note_parent(position, order, Lots::ZERO, resting.map(|(handle, _)| handle))?;
        self.check_limits(position, worst_before, interest_before)?;
        let worst = self.check_risk(trader, before, staked)?;
        Ok(Placed {
            filled: Lots::ZERO,
            quote: QuoteAtoms::ZERO,
            fee: QuoteAtoms::ZERO,
            builder_fee: QuoteAtoms::ZERO,
            resting,
            waiting: None,
            worst,
        })
    }

    /// What a new pegged order trades at now. Fails with `OrderPriceOutOfRange` or `PegNotForSale`.
    fn price_for_sale(&self, order: &NewOrder) -> Result<Ticks> {
        // WHY: the largest number stands for all prices that 32 bits do not hold, so none of them may be within a limit.
        if order.price == Ticks::MAX {
            return Err(EngineError::OrderPriceOutOfRange);
        }
        let row = self.row()?;
        let price = price_at(row, order.side, order.peg_offset).ok_or(EngineError::PegNotForSale)?;
        if is_unfit_at(order.side, order.price, price, row) { Err(EngineError::PegNotForSale) } else { Ok(price) }
    }

    /// Rests a pegged order and reserves margin for it at its limit.
    fn peg(&mut self, taker: &Taker, order: &NewOrder) -> Result<(NodeIndex, Sequence)> {
        let side = order.side;
        let key = IndexEntry::peg_key_of(side, order.peg_offset);
        if self.market.header.pegged_len(side) >= PEGGED_MAX {
            self.evict(self.market.pegged(side).first().copied(), key)?;
        }
        let (handle, sequence) = self.enlist(taker, order)?;
        self.market.node_mut(handle)?.set_source(Source::Pegged, key);
        self.market.insert_pegged(side, IndexEntry { key, node: handle, sequence })?;

        let mut event = TradeEvent::new(TradeEventKind::PegPlaced, side);
        event.order = sequence;
        event.client_id = order.client_id;
        event.lots = taker.remaining;
        event.price = order.price;
        event.maker = taker.trader;
        event.taker = CellIndex::new(order.peg_offset.cast_unsigned());
        self.market.record(self.now, event)?;
        Ok((handle, sequence))
    }

    /// The best pegged order of a side at its present price, fit or not.
    pub(super) fn best_pegged(&self, side: Side) -> Result<Option<Candidate>> {
        match self.market.pegged(side).last() {
            Some(best) => Ok(candidate(self.row()?, side, best)),
            None => Ok(None),
        }
    }

    /// The best pegged order of a side that is for sale and has not expired.
    pub(super) fn fit_pegged(&self, side: Side) -> Result<Option<Candidate>> {
        let row = self.row()?;
        for entry in self.market.pegged(side).iter().rev() {
            let Some(candidate) = candidate(row, side, entry) else {
                break;
            };
            let node = self.market.node(entry.node).ok_or(EngineError::Corrupt)?;
            if !node.is_expired(self.now.unix_seconds) && !is_unfit(node, candidate.offer.price, row) {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }

    /// A taker met a pegged order that is not for sale: drops it.
    pub(super) fn pass_pegged(&mut self, handle: NodeIndex, taker: CellIndex) -> Result<()> {
        self.drop_met(handle, TradeEventKind::PegDropped, taker)
    }

    /// Takes a pegged order's entry out; its reservation is gone already.
    pub(super) fn unpeg(&mut self, handle: NodeIndex) -> Result<()> {
        let node = self.market.node(handle).ok_or(EngineError::Corrupt)?;
        let (side, key, sequence) = (node.side(), node.place, node.sequence);
        self.market.remove_pegged(side, key, sequence)
    }
}

/// A pegged order as a taker may meet it; `None` if it is out of reach, as [`price_at`].
fn candidate(row: &MarketRow, side: Side, entry: &IndexEntry) -> Option<Candidate> {
    let price = price_at(row, side, IndexEntry::peg_offset_of(side, entry.key))?;
    let offer = Offer { node: entry.node, price, room: Lots::MAX };
    Some(Candidate { key: IndexEntry::key_of(side, price), sequence: entry.sequence, offer })
}

/// What a distance from the index comes to: `None` where no price is, a bid at zero or less or an ask above the largest
/// price, and then so do all that are worse. On the other end what 32 bits do not hold is told as the nearest number that
/// they do; no limit reaches that far.
fn price_at(row: &MarketRow, side: Side, offset: i32) -> Option<Ticks> {
    // Of 33 bits with the sign.
    let price = i64::from(row.index_price.get()).wrapping_add(i64::from(offset));
    let out_of_reach = match side {
        Side::Bid => price < 1,
        Side::Ask => price > i64::from(row.price_max.get()),
    };
    if out_of_reach { None } else { Some(Ticks::new(u32::try_from(price.max(0)).unwrap_or(u32::MAX))) }
}
