//! Market makers: several levels a side around the index, within the price band of the mark, leaning against their
//! inventory, replaced when the index leaves them behind or fills use them up. Cautious ones quote wider and smaller
//! while prices are restless.

use super::{PPM, taker};
use crate::floor::Floor;
use anyhow::Result;
use quantdesk_client::{
    engine::{Lots, Side, Ticks},
    order::Ticket,
};

/// How a maker quotes. Distances are in ppm of the price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Levels a side.
    pub levels: u32,
    /// From the middle to the first level.
    pub half_spread: u64,
    /// From a level to the next.
    pub step: u64,
    /// Value of the first level in atoms; the n-th holds n times as much.
    pub size: u64,
    /// Move of the index after which everything is quoted anew.
    pub requote: u64,
    /// How far the middle leans against a full inventory.
    pub skew: u64,
    /// Value in atoms at which the inventory is full.
    pub inventory: u64,
    /// Way the index makes in a minute, up and down, at which distances double and sizes halve; 0 for no caution.
    pub caution: u64,
}

/// Unrest fades out in this time.
const UNREST_MILLIS: u64 = 60_000;
/// Widest and smallest a cautious maker becomes, in ppm of its usual distances.
const STRETCH_MAX: u64 = 6 * PPM;

impl Style {
    /// Factor on distances and divisor of sizes, in ppm.
    fn stretch(&self, unrest: u64) -> u64 {
        (PPM + (unrest * PPM).checked_div(self.caution).unwrap_or(0)).min(STRETCH_MAX)
    }
}

impl Quote {
    /// Distance of the index from the anchor in ppm.
    fn moved(&self, index: u32) -> u64 {
        (u64::from(index.abs_diff(self.anchor)) * PPM).checked_div(u64::from(self.anchor)).unwrap_or(0)
    }

    /// At another index, with nothing out yet.
    fn anew(&self, index: u32, now_millis: i64) -> Self {
        let elapsed = u64::try_from(now_millis - self.quoted_millis).unwrap_or(0).min(UNREST_MILLIS);
        let faded = self.unrest * (UNREST_MILLIS - elapsed) / UNREST_MILLIS;
        let unrest = (faded + self.moved(index)).min(PPM);
        Self { market: self.market, anchor: index, quoted_millis: now_millis, unrest, lots: [0; 2] }
    }
}

/// One maker, in one market or several on the same collateral.
#[derive(Clone, Debug)]
pub struct Maker {
    account: usize,
    style: Style,
    quotes: Vec<Quote>,
}

/// What a maker has out in a market.
#[derive(Clone, Copy, Debug)]
struct Quote {
    market: usize,
    /// Index it was quoted at, in ticks; 0 before the first time.
    anchor: u32,
    /// When.
    quoted_millis: i64,
    /// Way the index made in the last minute, fading, in ppm.
    unrest: u64,
    /// Lots quoted, bids and asks.
    lots: [u64; 2],
}

/// What a maker looks at before it quotes.
struct Sight {
    index: u32,
    tick_value: u64,
    /// Highest bid and lowest ask that the market accepts.
    limits: [u32; 2],
    lots_max: u64,
    base: i64,
    orders: u32,
    /// Lots still resting, bids and asks.
    resting: [u64; 2],
}

/// All makers. They requote in two steps, first all cancels, then all new orders: one that is still at the old price
/// would stand in the way of the others.
#[derive(Clone, Debug)]
pub struct Makers {
    members: Vec<Maker>,
    /// Part of their usual sizes that they quote, in ppm.
    share: u64,
}

impl Default for Makers {
    fn default() -> Self {
        Self { members: Vec::new(), share: PPM }
    }
}

impl Maker {
    /// A maker without quotes.
    pub fn new(account: usize, style: Style, markets: impl IntoIterator<Item = usize>) -> Self {
        let quote = |market| Quote { market, anchor: 0, quoted_millis: 0, unrest: 0, lots: [0; 2] };
        Self { account, style, quotes: markets.into_iter().map(quote).collect() }
    }

    fn sight(&self, floor: &Floor, market: usize) -> Result<Sight> {
        let row = floor.row(market)?;
        let position = floor.position(self.account, market)?;
        Ok(Sight {
            index: row.index_price.get(),
            tick_value: u64::from(row.tick_value.get()),
            limits: [Side::Bid, Side::Ask].map(|side| taker::limit(row, side)),
            lots_max: row.lots_max.get(),
            base: position.map_or(0, |position| position.base.get()),
            orders: position.map_or(0, |position| position.orders),
            resting: position.map_or([0; 2], |position| [position.open_bid_lots.get(), position.open_ask_lots.get()]),
        })
    }

    /// Whether the index has left the quotes behind, or fills have taken more than half of a side.
    fn is_due(&self, floor: &Floor, quote: &Quote) -> Result<bool> {
        let sight = self.sight(floor, quote.market)?;
        if sight.index == 0 {
            return Ok(false);
        }
        let moved = quote.moved(sight.index) * PPM > self.style.requote * self.style.stretch(quote.unrest);
        let used = sight.resting.iter().zip(quote.lots).any(|(resting, quoted)| *resting < quoted / 2);
        Ok(quote.anchor == 0 || moved || used)
    }

    fn cancel(&self, floor: &mut Floor, market: usize) -> Result<()> {
        if self.sight(floor, market)?.orders > 0 {
            floor.cancel_all(self.account, market)?;
        }
        Ok(())
    }

    /// Places every level, behind the best of the other side so that none would take.
    /// `share` of the usual sizes, in ppm.
    fn place(&mut self, floor: &mut Floor, at: usize, share: u64) -> Result<()> {
        let market = self.quotes[at].market;
        let sight = self.sight(floor, market)?;
        let quote = self.quotes[at].anew(sight.index, floor.desk.chain.unix_millis());
        let stretch = self.style.stretch(quote.unrest);
        let [bid_limit, ask_limit] = sight.limits;
        let bid_max = floor.best(market, Side::Ask)?.map_or(bid_limit, |best| bid_limit.min(best - 1));
        let ask_min = floor.best(market, Side::Bid)?.map_or(ask_limit, |best| ask_limit.max(best + 1));
        let middle = sight.middle(&self.style);
        let mut placed = [0; 2];
        for level in 0..self.style.levels {
            let distance = (self.style.half_spread + self.style.step * u64::from(level)) * stretch / PPM;
            let away = u32::try_from((u64::from(middle) * distance).div_ceil(PPM)).unwrap_or(u32::MAX);
            let prices = [middle.saturating_sub(away).min(bid_max), middle.saturating_add(away).max(ask_min)];
            let size = u128::from(self.style.size) * u128::from(level + 1) * u128::from(share) / u128::from(stretch);
            for ((side, price), placed) in [Side::Bid, Side::Ask].into_iter().zip(prices).zip(&mut placed) {
                if price == 0 {
                    continue;
                }
                let lots = size / (u128::from(price) * u128::from(sight.tick_value));
                let lots = u64::try_from(lots).unwrap_or(u64::MAX).clamp(1, sight.lots_max);
                let order = Ticket::of(side, Ticks::new(price), Lots::new(lots)).post_only().build();
                if floor.rest(self.account, market, &order)? {
                    *placed += lots;
                }
            }
        }
        self.quotes[at] = Quote { lots: placed, ..quote };
        Ok(())
    }
}

impl Sight {
    /// The price quotes lie around: the index, moved against the inventory.
    fn middle(&self, style: &Style) -> u32 {
        let value = u128::from(self.base.unsigned_abs()) * u128::from(self.index) * u128::from(self.tick_value);
        let full = u128::from(style.inventory.max(1));
        let lean = u128::from(self.index) * u128::from(style.skew) * value.min(full) / full / u128::from(PPM);
        let lean = u32::try_from(lean).unwrap_or(0);
        if self.base > 0 { self.index.saturating_sub(lean) } else { self.index.saturating_add(lean) }
    }
}

impl Makers {
    /// One more maker.
    pub fn push(&mut self, maker: Maker) {
        self.members.push(maker);
    }

    /// From the next quotes on this part of the usual sizes, in ppm.
    pub const fn quote_share(&mut self, share: u64) {
        self.share = share;
    }

    /// Replaces every quote in a market that needs it.
    pub fn requote(&mut self, floor: &mut Floor, market: usize) -> Result<()> {
        let mut due = Vec::new();
        for (member, maker) in self.members.iter().enumerate() {
            let quote = maker.quotes.iter().enumerate().find(|(_, quote)| quote.market == market);
            if let Some((at, quote)) = quote
                && maker.is_due(floor, quote)?
            {
                due.push((member, at));
            }
        }
        for (member, _) in &due {
            self.members[*member].cancel(floor, market)?;
        }
        for (member, at) in due {
            self.members[member].place(floor, at, self.share)?;
        }
        Ok(())
    }
}
