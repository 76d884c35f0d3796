//! Points for the charts.

use super::{Floor, engine};
use crate::{
    desk::QUOTE_DECIMALS,
    input::SCALE,
    report::{ChartEvent, EquityPoint, PricePoint, SolvencyPoint},
};
use anyhow::Result;
use quantdesk_client::engine::{
    PicoPrice, QuoteAtoms, Side, TickValue, Ticks, UnixSeconds,
    risk::margin::{self, MaintenanceMargin},
    state::MarketView,
};

const ATOMS: f64 = 10u64.pow(QUOTE_DECIMALS as u32) as f64;

/// Atoms in quote units.
pub fn dollars(atoms: i128) -> f64 {
    atoms as f64 / ATOMS
}

/// Ticks in quote units.
pub fn quote_units(price: Ticks, tick_size: PicoPrice) -> f64 {
    f64::from(price.get()) * tick_size.get() as f64 / SCALE as f64
}

/// Resting orders of a side in quote units.
fn depth(market: &MarketView<'_>, side: Side, tick_value: TickValue) -> Result<f64> {
    let notional = |price: Ticks, lots| price.notional(lots, tick_value).map(QuoteAtoms::get);
    let mut sum = 0u128;
    for (_, node) in market.orders(side) {
        sum += u128::from(notional(node.price, node.lots).map_err(engine)?);
    }
    Ok(sum as f64 / ATOMS)
}

impl Floor {
    /// Equity and maintenance margin of an account.
    pub fn maintenance(&self, account: usize) -> Result<MaintenanceMargin> {
        let view = self.desk.ledger_view()?;
        let trader = view.trader(self.accounts[account].trader.cell).map_err(engine)?;
        let now = UnixSeconds::new(self.desk.chain.unix_seconds());
        margin::maintenance(&view, trader, now).map_err(engine)
    }

    /// One point of every price chart, where there is a price.
    pub fn sample_markets(&mut self) -> Result<()> {
        for market in 0..self.desk.markets.len() {
            if let Some(point) = self.price_point(market)? {
                self.journal.markets[market].trace.push(point);
            }
        }
        Ok(())
    }

    fn price_point(&self, market: usize) -> Result<Option<PricePoint>> {
        let row = self.row(market)?;
        if row.mark.is_zero() {
            return Ok(None);
        }
        let view = self.desk.market_view(market)?;
        let price = |ticks| quote_units(ticks, row.tick_size);
        Ok(Some(PricePoint {
            unix_seconds: self.desk.chain.unix_seconds(),
            last_trade: self.journal.markets[market].last_trade,
            index: price(row.index_price),
            mark: price(row.mark),
            best_bid: view.best_price(Side::Bid).map(price),
            best_ask: view.best_price(Side::Ask).map(price),
            bid_depth: depth(&view, Side::Bid, row.tick_value)?,
            ask_depth: depth(&view, Side::Ask, row.tick_value)?,
        }))
    }

    /// One point of every equity chart, and of the pool's.
    pub fn sample_equity(&mut self) -> Result<()> {
        let unix_seconds = self.desk.chain.unix_seconds();
        let (mut sum, mut shortfall) = (0, 0);
        for account in self.open_accounts() {
            let equity = i128::from(self.maintenance(account)?.equity.get());
            sum += equity;
            shortfall -= equity.min(0);
            self.journal.equity[account].push(EquityPoint(unix_seconds, dollars(equity)));
        }
        let pool = i128::from(self.desk.ledger_view()?.header.pool.get().get());
        let [equity, shortfall, pool] = [sum, shortfall, pool].map(dollars);
        self.journal.solvency.push(SolvencyPoint { unix_seconds, equity, shortfall, pool });
        Ok(())
    }

    /// A marker in a price chart, now and at the mark.
    pub fn mark_event(&mut self, market: usize, kind: &str, label: String) -> Result<()> {
        let mark = self.row(market)?.mark;
        self.mark_at(market, kind, mark, label)
    }

    /// A marker in a price chart, now and at a price.
    pub(super) fn mark_at(&mut self, market: usize, kind: &str, price: Ticks, label: String) -> Result<()> {
        let event = ChartEvent {
            unix_seconds: self.desk.chain.unix_seconds(),
            price: quote_units(price, self.row(market)?.tick_size),
            kind: kind.into(),
            label,
        };
        self.journal.markets[market].events.push(event);
        Ok(())
    }
}
