//! Margin of the model, from the formulas in the documentation.

use super::{Market, Model, Open, PPM, Position, ceil_div, floor_div, price::Quality};

/// An account against its initial requirement.
#[derive(Clone, Copy, Debug)]
pub struct Initial {
    pub equity: i128,
    pub required: i128,
    pub worst: Quality,
}

/// An account against its maintenance requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    pub equity: i128,
    pub required: i128,
    pub worst: Quality,
}

/// A funding index counts 2^-20 atoms.
const FUNDING_SCALE: i128 = 1 << 20;

impl Initial {
    pub fn excess(&self) -> i128 {
        self.equity - self.required
    }
}

/// Largest absolute position the resting orders can lead to.
pub fn worst_lots(position: &Position, open: &Open) -> i128 {
    (position.base + open.bids).abs().max((position.base - open.asks).abs())
}

impl Market {
    /// `⌈notional × rate⌉ − deduction` of the segment that holds the notional.
    pub fn tier(&self, notional: i128) -> i128 {
        let (mut deduction, mut below_max, mut below_rate) = (0, 0, 0);
        for (notional_max, rate) in &self.terms.tiers {
            deduction += floor_div(below_max * (rate - below_rate), PPM);
            if notional <= *notional_max {
                return ceil_div(notional * rate, PPM) - deduction;
            }
            (below_max, below_rate) = (*notional_max, *rate);
        }
        unreachable!("the last tier holds every notional");
    }

    /// Lowest of the three prices.
    pub fn low(&self) -> i128 {
        self.index.min(self.mark).min(self.stable)
    }

    /// Highest of the three prices.
    pub fn high(&self) -> i128 {
        self.index.max(self.mark).max(self.stable)
    }

    /// Funding owed since the last settlement: up, for payers and receivers alike.
    pub fn due(&self, position: &Position) -> i128 {
        ceil_div(position.base * (self.funding_index - position.funding_index), FUNDING_SCALE)
    }

    fn worth(&self, position: &Position, price: i128) -> i128 {
        self.value(price, position.base) + position.quote - self.due(position)
    }

    pub fn unrealised(&self, position: &Position) -> i128 {
        self.worth(position, self.mark)
    }

    /// A long is worth the lowest price, a short costs the highest.
    pub fn unrealised_prudent(&self, position: &Position) -> i128 {
        self.worth(position, if position.base > 0 { self.low() } else { self.high() })
    }

    pub fn initial(&self, position: &Position, open: &Open) -> i128 {
        let (low, high) = (self.low(), self.high());
        let notional = self.value(high, worst_lots(position, open));
        let bids_through = if open.bids == 0 { 0 } else { (position.bid_bound - low).max(0) };
        let asks_through = if open.asks == 0 { 0 } else { (high - position.ask_bound).max(0) };
        ceil_div(self.tier(notional) * self.scale, PPM).min(notional)
            + self.value(bids_through, open.bids)
            + self.value(asks_through, open.asks)
    }

    pub fn maintenance(&self, lots: i128) -> i128 {
        ceil_div(self.tier(self.value(self.mark, lots)) * self.terms.maintenance, PPM)
    }
}

impl Model {
    /// The trader's positions that have size or orders.
    fn exposures(&self, trader: usize) -> impl Iterator<Item = (usize, Position, Open)> {
        self.trader(trader).positions.iter().enumerate().filter_map(move |(market, position)| {
            let (position, open) = ((*position)?, self.markets[market].open(trader));
            (position.base != 0 || open.orders > 0).then_some((market, position, open))
        })
    }

    pub fn initial(&self, trader: usize) -> Initial {
        let mut sum = Initial { equity: self.trader(trader).cash, required: 0, worst: Quality::Fresh };
        for (market, position, open) in self.exposures(trader) {
            sum.worst = sum.worst.max(self.quality(market));
            sum.equity += self.markets[market].unrealised_prudent(&position);
            sum.required += self.markets[market].initial(&position, &open);
        }
        sum
    }

    pub fn health(&self, trader: usize) -> Health {
        let mut sum = Health { equity: self.trader(trader).cash, required: 0, worst: Quality::Fresh };
        for (market, position, _) in self.exposures(trader).filter(|(_, position, _)| position.base != 0) {
            sum.worst = sum.worst.max(self.quality(market));
            sum.equity += self.markets[market].unrealised(&position);
            sum.required += self.markets[market].maintenance(position.base.abs());
        }
        sum
    }

    /// What may be withdrawn, and the worst price it depends on.
    pub fn withdrawable(&self, trader: usize) -> (i128, Quality) {
        let cash = self.trader(trader).cash;
        let (mut free, mut worst) = (cash, Quality::Fresh);
        for (market, position, open) in self.exposures(trader) {
            worst = worst.max(self.quality(market));
            free += self.markets[market].unrealised_prudent(&position).min(0);
            free -= self.markets[market].initial(&position, &open);
        }
        (free.min(cash).max(0), worst)
    }
}
