//! Whether a deleveraging was exact and in proportion, by plain arithmetic over the counterparties as they were before it.

use super::{Floor, engine};
use anyhow::Result;
use quantdesk_client::engine::{CellIndex, state::TradeEvent};
use std::collections::BTreeMap;

/// A counterparty before anything was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counterparty {
    /// Signed lots.
    pub base: i128,
    /// What the size has cost or brought in.
    pub quote: i128,
}

/// All counterparties of a position, by trader.
pub type Counterparties = BTreeMap<CellIndex, Counterparty>;

/// One deleveraging under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleveraging {
    before: Counterparties,
    tick_value: i128,
    /// Lots to close, and the price that tells who is in profit.
    needed: i128,
    price: i128,
    closed: BTreeMap<CellIndex, i128>,
}

/// What a finished one got wrong; nothing, it is hoped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wrong {
    /// Lots closed too many or too few in all.
    pub lots: i128,
    /// Accounts whose part was a lot or more from its exact one.
    pub parts: u64,
}

impl Floor {
    /// Positions opposite to that of the account in `cell`.
    pub(super) fn counterparties(&self, cell: CellIndex, market: usize) -> Result<Counterparties> {
        let base = self.held(cell, market)?.map_or(0, |position| position.base.get());
        let index = self.desk.markets[market].index;
        let view = self.desk.ledger_view()?;
        let opposite = view.all_positions().filter(|(_, position)| {
            position.market == index && position.base.get().signum() == -base.signum() && base != 0
        });
        let entry = |position: &quantdesk_client::engine::state::PositionCell| Counterparty {
            base: position.base.get().into(),
            quote: position.quote.get().get().into(),
        };
        Ok(opposite.map(|(_, position)| (position.trader, entry(position))).collect())
    }

    pub(super) fn tick_value(&self, market: usize) -> Result<i128> {
        let view = self.desk.ledger_view()?;
        Ok(view.row(self.desk.markets[market].index).map_err(engine)?.tick_value.get().into())
    }
}

impl Deleveraging {
    /// As the record of its start tells it.
    pub fn new(before: Counterparties, tick_value: i128, start: &TradeEvent) -> Self {
        let (needed, price) = (start.lots.get().into(), start.price.get().into());
        Self { before, tick_value, needed, price, closed: BTreeMap::new() }
    }

    /// One counterparty was closed.
    pub fn close(&mut self, step: &TradeEvent) {
        *self.closed.entry(step.maker).or_default() += i128::from(step.lots.get());
    }

    /// What was wrong with it: those in profit at the price bear it in proportion to their lots, and only what is more
    /// than all of theirs is borne by the others, likewise.
    pub fn finish(&self) -> Wrong {
        let in_profit = |one: &Counterparty| one.base * self.price * self.tick_value + one.quote > 0;
        let size = |profitable: bool| -> i128 {
            let same = self.before.values().filter(|one| in_profit(one) == profitable);
            same.map(|one| one.base.abs()).sum()
        };
        let (profitable, others) = (size(true), size(false));
        let first = self.needed.min(profitable);
        let mut wrong = Wrong::default();
        for (cell, one) in &self.before {
            let (whole, all) = if in_profit(one) { (first, profitable) } else { (self.needed - first, others) };
            let closed = self.closed.get(cell).copied().unwrap_or(0);
            wrong.parts += u64::from((closed * all - whole * one.base.abs()).abs() >= all);
        }
        let strangers = self.closed.keys().filter(|cell| !self.before.contains_key(cell));
        wrong.parts += strangers.count() as u64;
        wrong.lots = (self.closed.values().sum::<i128>() - self.needed).abs();
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deleveraging(closed: &[(u32, i128)]) -> Deleveraging {
        let one = |base: i128, quote: i128| Counterparty { base, quote };
        // Shorts: sold at 10, 10 and 4; the price is 5.
        let before = [(1, one(-30, 300)), (2, one(-10, 100)), (3, one(-60, 240))];
        Deleveraging {
            before: before.map(|(cell, one)| (CellIndex::new(cell), one)).into(),
            tick_value: 1,
            needed: 42,
            price: 5,
            closed: closed.iter().map(|(cell, lots)| (CellIndex::new(*cell), *lots)).collect(),
        }
    }

    #[test]
    fn those_in_profit_bear_it_first_and_nobody_a_lot_more_than_his_part() {
        assert_eq!(deleveraging(&[(1, 30), (2, 10), (3, 2)]).finish(), Wrong::default());
        assert_eq!(deleveraging(&[(1, 30), (2, 9), (3, 3)]).finish(), Wrong { lots: 0, parts: 2 });
        assert_eq!(deleveraging(&[(1, 30), (2, 10), (3, 3)]).finish(), Wrong { lots: 1, parts: 1 });
        assert_eq!(deleveraging(&[(1, 30), (2, 10), (4, 2)]).finish(), Wrong { lots: 0, parts: 2 });
        assert_eq!(Deleveraging { needed: 13, ..deleveraging(&[(1, 9), (2, 4)]) }.finish(), Wrong::default());
        assert_eq!(
            Deleveraging { needed: 13, ..deleveraging(&[(1, 8), (2, 5)]) }.finish(),
            Wrong { lots: 0, parts: 2 }
        );
    }
}
