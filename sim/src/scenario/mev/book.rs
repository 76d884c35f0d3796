//! A side of the book as somebody saw it.

use crate::floor::Floor;
use anyhow::Result;
use quantdesk_client::{
    engine::{Side, UnixSeconds},
    view,
};

/// Levels anybody looks at: more than all makers together have on a side.
const LEVELS_SEEN: usize = 64;

/// Lots at a price in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Ticks.
    pub price: u32,
    /// Lots.
    pub lots: u64,
}

/// Levels of a side, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown(pub Vec<Level>);

/// +1 for a buyer, for whom a higher price is worse, and -1 for a seller.
pub const fn sign(side: Side) -> i64 {
    match side {
        Side::Bid => 1,
        Side::Ask => -1,
    }
}

/// Whether a taker of `side` accepts the price under its limit.
pub const fn accepts(side: Side, price: u32, limit: u32) -> bool {
    match side {
        Side::Bid => price <= limit,
        Side::Ask => price >= limit,
    }
}

impl Shown {
    /// A side of a market's book, right now.
    pub fn side(floor: &Floor, market: usize, side: Side) -> Result<Self> {
        let now = UnixSeconds::new(floor.desk.chain.unix_seconds());
        let levels = view::levels(&floor.desk.market_view(market)?, side, LEVELS_SEEN, now);
        Ok(Self(levels.iter().map(|level| Level { price: level.price.get(), lots: level.lots.get() }).collect()))
    }

    /// What a taker of `side` meets.
    pub fn to_taker(floor: &Floor, market: usize, side: Side) -> Result<Self> {
        Self::side(floor, market, side.opposite())
    }

    /// Lots a taker of `side` could have within its limit.
    pub fn depth(&self, side: Side, limit: u32) -> u64 {
        self.0.iter().filter(|level| accepts(side, level.price, limit)).map(|level| level.lots).sum()
    }

    /// Ticks × lots of the first `lots`; `None` if there are fewer.
    pub fn cost(&self, lots: u64) -> Option<u128> {
        let (mut left, mut cost) = (lots, 0);
        for level in &self.0 {
            let part = left.min(level.lots);
            cost += u128::from(level.price) * u128::from(part);
            left -= part;
        }
        (left == 0).then_some(cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_costs_what_its_levels_say() {
        let shown = Shown(vec![Level { price: 100, lots: 5 }, Level { price: 102, lots: 10 }]);
        assert_eq!([0, 5, 6, 15, 16].map(|lots| shown.cost(lots)), [Some(0), Some(500), Some(602), Some(1_520), None]);
        assert_eq!([99, 100, 102].map(|limit| shown.depth(Side::Bid, limit)), [0, 5, 15]);
    }
}
