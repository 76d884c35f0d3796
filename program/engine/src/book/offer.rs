//! What a taker meets next: the best of the book, of the orders pegged to the index and of the ladders.
//!
//! Price goes first, then time, across all of them. What is pegged or on a ladder may for the moment not be for sale:
//! beyond its own limit, or stale. Nobody's margin was examined for that, so a taker passes it.

use super::{Trading, stale::is_stale};
use crate::{
    error::{EngineError, Result},
    state::{IndexEntry, MarketRow, OrderNode},
    units::{Lots, NodeIndex, Sequence, Side, Ticks},
};

/// Something that rests and can be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// Its order.
    pub(super) node: NodeIndex,
    /// What it trades at.
    pub(super) price: Ticks,
    /// Most lots that trade at this price; the order may have fewer.
    pub(super) room: Lots,
}

/// The best offer of one source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Larger is better.
    pub(super) key: u32,
    /// Smaller is older.
    pub(super) sequence: Sequence,
    pub(super) offer: Offer,
}

impl Candidate {
    /// The better of two; at one price the older.
    pub(super) fn better(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => {
                let first = one.key > other.key || (one.key == other.key && one.sequence < other.sequence);
                Some(if first { one } else { other })
            }
            (one, other) => one.or(other),
        }
    }
}

impl Trading<'_> {
    /// The best offer of a side.
    #[inline(always)]
    pub(super) fn best_offer(&self, side: Side) -> Result<Option<Offer>> {
        if !self.market.header.is_plain(side) {
            return self.best_of_all(side);
        }
        let best = self.market.best(side);
        Ok(best.map(|best| Offer { node: best.node, price: best.price(side), room: Lots::MAX }))
    }

    /// WHY: out of line, since most markets have nothing but the book.
    #[inline(never)]
    fn best_of_all(&self, side: Side) -> Result<Option<Offer>> {
        let annex = Candidate::better(self.best_pegged(side)?, self.best_rung(side)?);
        Ok(Candidate::better(self.best_in_book(side), annex).map(|best| best.offer))
    }

    /// The best that is for sale on a side: its price, and lots of it there are at least. An order in the book counts even if
    /// it has expired.
    #[inline(always)]
    pub(super) fn best_fit(&self, side: Side) -> Result<Option<Offer>> {
        if !self.market.header.is_plain(side) {
            return self.best_fit_of_all(side);
        }
        self.best_offer(side)
    }

    /// WHY: out of line, since most markets have nothing but the book.
    #[inline(never)]
    fn best_fit_of_all(&self, side: Side) -> Result<Option<Offer>> {
        let best = Candidate::better(self.best_in_book(side), self.best_fit_in_annex(side)?);
        Ok(best.map(|best| best.offer))
    }

    /// The best that is for sale on a side outside the book.
    fn best_fit_in_annex(&self, side: Side) -> Result<Option<Candidate>> {
        Ok(Candidate::better(self.fit_pegged(side)?, self.fit_rung(side)?))
    }

    /// Fails with `PostOnlyWouldCross` if something outside the book is for sale at this price to an order of `side`.
    #[inline(always)]
    pub(super) fn check_annex(&self, side: Side, price: Ticks) -> Result<()> {
        if self.market.header.is_plain(side.opposite()) { Ok(()) } else { self.check_crossing(side, price) }
    }

    /// WHY: out of line, since most markets have nothing but the book.
    #[inline(never)]
    fn check_crossing(&self, side: Side, price: Ticks) -> Result<()> {
        let best = self.best_fit_in_annex(side.opposite())?.map(|best| best.offer.price);
        let crosses = best.is_some_and(|best| match side {
            Side::Bid => best <= price,
            Side::Ask => best >= price,
        });
        if crosses { Err(EngineError::PostOnlyWouldCross) } else { Ok(()) }
    }

    fn best_in_book(&self, side: Side) -> Option<Candidate> {
        let IndexEntry { key, node, sequence } = self.market.best(side)?;
        let price = IndexEntry { key, node, sequence }.price(side);
        Some(Candidate { key, sequence, offer: Offer { node, price, room: Lots::MAX } })
    }
}

/// Whether what is pegged or on a ladder is for the moment not for sale at `price`: beyond its limit, or stale for those
/// who would take it.
pub(super) const fn is_unfit(node: &OrderNode, price: Ticks, row: &MarketRow) -> bool {
    is_unfit_at(node.side(), node.price, price, row)
}

/// The same of an order with this side and limit.
pub(super) const fn is_unfit_at(side: Side, limit: Ticks, price: Ticks, row: &MarketRow) -> bool {
    let beyond = match side {
        Side::Bid => price.get() > limit.get(),
        Side::Ask => price.get() < limit.get(),
    };
    beyond || is_stale(side.opposite(), price, row.mark)
}
