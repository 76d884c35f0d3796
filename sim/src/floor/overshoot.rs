//! How many lots a liquidation had to close, by plain whole-number arithmetic over a copy of the account taken before it:
//! a second opinion that shares no code with the engine.

use super::{Floor, engine};
use anyhow::{Context, Result};
use quantdesk_client::engine::{
    CellIndex,
    state::{MarketRow, PositionCell},
};

const PPM: i128 = 1_000_000;

/// A part of what was closed, at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Price in ticks.
    pub price: i128,
    /// Lots.
    pub lots: i128,
}

/// Fee rates of a way to close, in ppm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The book's.
    pub taker: i128,
    /// The liquidation's.
    pub liquidation: i128,
}

/// An account as it was, seen from the position that was reduced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    terms: Terms,
    /// Signed lots.
    base: i128,
    equity: i128,
    /// Maintenance requirement of this position and of the others.
    required: i128,
    others: i128,
    /// Being wound up: all of it may be closed.
    bankrupt: bool,
}

/// What the market demands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Terms {
    mark: i128,
    tick_value: i128,
    /// Tiers as (largest notional, rate).
    tiers: Vec<(i128, i128)>,
    maintenance: i128,
    buffer: i128,
    lots_min: i128,
    rates: Rates,
}

impl Floor {
    /// The account in `cell` as it is now. `None` if it holds nothing in the market.
    pub(super) fn before(&self, cell: CellIndex, market: usize) -> Result<Option<Before>> {
        let view = self.desk.ledger_view()?;
        let trader = view.trader(cell).map_err(engine)?;
        let index = self.desk.markets[market].index;
        let held: Vec<_> = view.positions(trader).map(|(_, position)| *position).collect();
        let Some(position) = held.iter().find(|position| position.market == index && !position.base.is_zero()) else {
            return Ok(None);
        };
        let mut equity = i128::from(trader.cash.get().get());
        let mut others = 0;
        for each in &held {
            let row = view.row(each.market).map_err(engine)?;
            equity += value(row, each) - due(row, each);
            if each.market != index {
                others += Terms::of(row).required(i128::from(each.base.get()).abs())?;
            }
        }
        let terms = Terms::of(view.row(index).map_err(engine)?);
        let base = i128::from(position.base.get());
        let required = terms.required(base.abs())?;
        Ok(Some(Before { terms, base, equity, required, others, bankrupt: trader.is_bankrupt() }))
    }
}

/// Value of a position at mark, and what its size has cost.
pub(super) fn value(row: &MarketRow, position: &PositionCell) -> i128 {
    let price = i128::from(row.mark.get()) * i128::from(row.tick_value.get());
    i128::from(position.base.get()) * price + i128::from(position.quote.get().get())
}

/// Funding that a position owes; negative if it is owed.
pub(super) fn due(row: &MarketRow, position: &PositionCell) -> i128 {
    let moved = i128::from(row.funding_index.get()) - i128::from(position.funding_index.get());
    ceil(i128::from(position.base.get()) * moved, 1 << 20)
}

fn ceil(value: i128, by: i128) -> i128 {
    -(-value).div_euclid(by)
}

impl Terms {
    fn of(row: &MarketRow) -> Self {
        let tier = |tier: &quantdesk_client::engine::state::MarginTier| {
            (i128::from(tier.notional_max.get()), i128::from(tier.rate.get()))
        };
        Self {
            mark: row.mark.get().into(),
            tick_value: row.tick_value.get().into(),
            tiers: row.tiers().iter().map(tier).collect(),
            maintenance: row.maintenance_now.get().into(),
            buffer: row.risk.liquidation_buffer.get().into(),
            lots_min: row.lots_min.get().into(),
            rates: Rates { taker: row.taker_fee.get().into(), liquidation: row.risk.liquidation_fee.get().into() },
        }
    }

    /// Maintenance margin of a size: segment by segment, each part of the notional at its own rate.
    fn required(&self, lots: i128) -> Result<i128> {
        let notional = lots * self.mark * self.tick_value;
        let (mut below, mut deducted, mut rate_below) = (0, 0, 0);
        for (most, rate) in &self.tiers {
            deducted += below * (rate - rate_below) / PPM;
            if notional <= *most {
                return Ok(ceil((ceil(notional * rate, PPM) - deducted) * self.maintenance, PPM));
            }
            (below, rate_below) = (*most, *rate);
        }
        None.context("no tier holds the notional")
    }
}

impl Before {
    /// Rates of a liquidation through the book.
    pub const fn book(&self) -> Rates {
        self.terms.rates
    }

    /// Rates of a take-over.
    pub const fn takeover(&self) -> Rates {
        Rates { taker: 0, liquidation: self.terms.rates.liquidation }
    }

    /// Lots closed beyond the fewest that restore maintenance margin with its buffer, given what was closed in order of
    /// time. A remainder smaller than the smallest order is closed as well, and so is all of an account that is being
    /// wound up.
    pub fn overshoot(mut self, parts: &[Part], rates: Rates) -> Result<i128> {
        if self.bankrupt {
            return Ok(0);
        }
        let mut beyond = 0;
        for level in parts.chunk_by(|one, next| one.price == next.price) {
            beyond += self.beyond(level, rates)?;
            self = self.after(level, rates)?;
        }
        Ok(beyond)
    }

    /// The same for parts at one price.
    fn beyond(&self, level: &[Part], rates: Rates) -> Result<i128> {
        let closed = lots(level);
        if self.after(&first(level, closed - 1), rates)?.surplus()? < 0 {
            return Ok(0);
        }
        // One lot fewer would have done: how many? Each lot closed helps, so that halving finds it.
        let (mut short, mut enough) = (-1, closed - 1);
        while enough - short > 1 {
            let middle = short + (enough - short) / 2;
            if self.after(&first(level, middle), rates)?.surplus()? < 0 {
                short = middle;
            } else {
                enough = middle;
            }
        }
        let dust = closed == self.base.abs() && closed - enough < self.terms.lots_min;
        Ok(if dust { 0 } else { closed - enough })
    }

    /// The account once these parts, at one price, are closed and paid for.
    fn after(&self, level: &[Part], rates: Rates) -> Result<Self> {
        let (size, closed) = (self.base.abs(), lots(level));
        let (mut gain, mut taker_fee, mut value) = (0, 0, 0);
        for part in level {
            let traded = part.lots * part.price * self.terms.tick_value;
            gain += (part.price - self.terms.mark) * part.lots * self.terms.tick_value * self.base.signum();
            taker_fee += ceil(traded * rates.taker, PPM);
            value += traded;
        }
        // What stands behind the position pays for closing it, in proportion; the fee is what that leaves, at most.
        let all = self.required + self.others;
        let share = self.equity.min(all) * self.required / all.max(1);
        let most = (share * closed / size.max(1) + gain - taker_fee).max(0);
        let fee = ceil(value * rates.liquidation, PPM).min(most);
        let base = self.base - self.base.signum() * closed;
        let required = self.terms.required(base.abs())?;
        Ok(Self { base, equity: self.equity + gain - taker_fee - fee, required, ..self.clone() })
    }

    /// Equity over what a liquidation restores.
    fn surplus(&self) -> Result<i128> {
        Ok(self.equity - ceil((self.required + self.others) * (PPM + self.terms.buffer), PPM))
    }
}

fn lots(parts: &[Part]) -> i128 {
    parts.iter().map(|part| part.lots).sum()
}

/// The first `lots` of these parts.
fn first(parts: &[Part], lots: i128) -> Vec<Part> {
    let mut left = lots;
    let mut kept = Vec::new();
    for part in parts {
        kept.push(Part { lots: part.lots.min(left), ..*part });
        left -= part.lots.min(left);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Rates = Rates { taker: 0, liquidation: 0 };

    /// A long or short of 1,000 lots at a mark of 100 with a requirement of 5% of the value and a buffer of a tenth.
    fn account(base: i128, equity: i128, lots_min: i128) -> Before {
        let tiers = vec![(100_000, 100_000), (i128::MAX, 200_000)];
        let (maintenance, buffer) = (500_000, 100_000);
        let terms = Terms { mark: 100, tick_value: 1, tiers, maintenance, buffer, lots_min, rates: FREE };
        let required = terms.required(base.abs()).expect("a tier");
        Before { terms, base, equity, required, others: 0, bankrupt: false }
    }

    fn at(price: i128, lots: i128) -> Part {
        Part { price, lots }
    }

    #[test]
    fn a_lot_more_than_needed_is_told() {
        // 4,400 atoms carry ⌊4,400 / 5.5⌋ = 800 of 1,000 lots, if closing costs nothing.
        for base in [1_000, -1_000] {
            let account = account(base, 4_400, 1);
            let beyond = |parts: &[Part]| account.clone().overshoot(parts, FREE).expect("a tier");
            assert_eq!([150, 199, 200, 201, 1_000].map(|lots| beyond(&[at(100, lots)])), [0, 0, 0, 1, 800]);
            assert_eq!(beyond(&[at(100, 100), at(100, 100)]), 0);
            assert_eq!(beyond(&[at(100, 199), at(100, 2)]), 1);
            assert_eq!(beyond(&[at(100, 200), at(99, 3)]), 3, "nothing was needed at the second price");
        }
    }

    #[test]
    fn prices_and_fees_make_more_lots_needed() {
        // A lot closed at 99 frees 5.5 atoms and costs 1, so that 1,100 / 4.5 = 244.4 are needed; with a fee of 1%, 1.99.
        let beyond = |parts: &[Part], rates| account(1_000, 4_400, 1).overshoot(parts, rates).expect("a tier");
        assert_eq!([244, 245, 246].map(|lots| beyond(&[at(99, lots)], FREE)), [0, 0, 1]);
        let fees = Rates { taker: 5_000, liquidation: 5_000 };
        assert_eq!([313, 314, 315].map(|lots| beyond(&[at(99, lots)], fees)), [0, 0, 1]);
        // Short, the same price is a gain.
        let short = |lots| account(-1_000, 4_400, 1).overshoot(&[at(99, lots)], FREE).expect("a tier");
        assert_eq!([170, 171].map(short), [0, 1]);
    }

    #[test]
    fn what_is_smaller_than_an_order_is_closed_as_well_and_so_is_a_bankrupt() {
        let beyond = |account: Before, lots| account.overshoot(&[at(100, lots)], FREE).expect("a tier");
        assert_eq!(beyond(account(1_000, 4_400, 801), 1_000), 0);
        assert_eq!(beyond(account(1_000, 4_400, 801), 999), 799);
        assert_eq!(beyond(account(1_000, 4_400, 800), 1_000), 800);
        assert_eq!(beyond(Before { bankrupt: true, ..account(1_000, 4_400, 1) }, 1_000), 0);
    }

    #[test]
    fn tiers_add_up() {
        let required = |lots: i128| account(1_000, 0, 1).terms.required(lots).expect("a tier");
        assert_eq!([0, 1, 1_000, 1_001, 2_000].map(required), [0, 5, 5_000, 5_010, 15_000]);
    }
}
