//! Margin of the model, from the formulas in the documentation.

use super::{Market, Model, Open, PPM, Position, ceil_div, floor_div, price::Quality};

/// An account against its initial requirement.
#[derive(Clone, Copy, Debug)]
pub struct Initial {
    pub equity: i128,
    pub required: i128,
    pub worst: Quality,
}

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

    pub fn unrealised(&self, position: &Position) -> i128 {
        self.value(self.mark, position.base) + position.quote
    }

    pub fn initial(&self, position: &Position, open: &Open) -> i128 {
        let bids_through = if open.bids == 0 { 0 } else { (position.bid_bound - self.mark).max(0) };
        let asks_through = if open.asks == 0 { 0 } else { (self.mark - position.ask_bound).max(0) };
        self.tier(self.value(self.mark, worst_lots(position, open)))
            + self.value(bids_through, open.bids)
            + self.value(asks_through, open.asks)
    }

    pub fn maintenance(&self, position: &Position) -> i128 {
        ceil_div(self.tier(self.value(self.mark, position.base.abs())) * self.terms.maintenance, PPM)
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
            sum.equity += self.markets[market].unrealised(&position);
            sum.required += self.markets[market].initial(&position, &open);
        }
        sum
    }

    /// Maintenance: equity and requirement.
    pub fn maintenance(&self, trader: usize) -> (i128, i128) {
        let cash = self.trader(trader).cash;
        self.exposures(trader).fold((cash, 0), |sum, (market, position, _)| {
            let market = &self.markets[market];
            (sum.0 + market.unrealised(&position), sum.1 + market.maintenance(&position))
        })
    }

    /// What may be withdrawn, and the worst price it depends on.
    pub fn withdrawable(&self, trader: usize) -> (i128, Quality) {
        let cash = self.trader(trader).cash;
        let (mut free, mut worst) = (cash, Quality::Fresh);
        for (market, position, open) in self.exposures(trader) {
            worst = worst.max(self.quality(market));
            free += self.markets[market].unrealised(&position).min(0);
            free -= self.markets[market].initial(&position, &open);
        }
        (free.min(cash).max(0), worst)
    }
}
