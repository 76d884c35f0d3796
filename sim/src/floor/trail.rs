//! The audit trails as the floor reads them: every fill, every step of the liquidation ladder, right after it happened.

use super::{Account, Floor, deleveraging::Deleveraging, engine, sampling};
use anyhow::{Context, Result};
use quantdesk_client::engine::{
    CellIndex, Sequence, Side,
    slab::ring,
    state::{CashEvent, CashEventKind, TradeEvent, TradeEventKind},
};
use std::collections::BTreeMap;

impl Floor {
    /// Books the fills of the last order in a market; fewer than the trail holds, by its match limit. Returns lots that
    /// `taker` took.
    pub(super) fn read_fills(&mut self, market: usize, taker: CellIndex) -> Result<u64> {
        let events = self.read_trades(market)?;
        let own = events.iter().filter(|event| event.kind() == Some(TradeEventKind::Filled) && event.taker == taker);
        Ok(own.map(|event| event.lots.get()).sum())
    }

    /// Reads what was written to a market's trail since the last time, books fills, fees and the ladder's steps.
    pub fn read_trades(&mut self, market: usize) -> Result<Vec<TradeEvent>> {
        let row = self.desk.ledger_view()?.row(self.desk.markets[market].index).map_err(engine)?;
        let (tick_value, tick_size) = (row.tick_value, row.tick_size);
        let view = self.desk.market_view(market)?;
        let written = view.header.events_written.get();
        let read = self.journal.markets[market].events_read;
        let unread = ring::iter(view.events, Sequence::new(written)).skip_while(|event| event.sequence.get() <= read);
        let events: Vec<_> = unread.copied().collect();
        self.journal.markets[market].events_read = written;
        for event in &events {
            match event.kind() {
                Some(TradeEventKind::Filled) => {
                    self.journal.fill(event, event.price.notional(event.lots, tick_value).map_err(engine)?);
                    charge(&mut self.accounts, &self.by_cell, event)?;
                    self.journal.markets[market].last_trade = Some(sampling::quote_units(event.price, tick_size));
                }
                Some(kind) => self.book_step(market, kind, event)?,
                None => {}
            }
        }
        Ok(events)
    }

    /// One step of the ladder, as a market's trail tells it.
    fn book_step(&mut self, market: usize, kind: TradeEventKind, event: &TradeEvent) -> Result<()> {
        let failing = self.by_cell.get(&event.taker).copied();
        let other = self.by_cell.get(&event.maker).copied();
        let name = |account: Option<usize>| {
            account.map_or_else(|| "nobody".to_owned(), |account| self.accounts[account].name.clone())
        };
        let (failing_name, other_name) = (name(failing), name(other));
        let (lots, tick_value) = (event.lots.get(), self.tick_value(market)?);
        let ladder = &mut self.journal.ladder;
        match kind {
            TradeEventKind::RiskCancelled => ladder.cancelled.add(other.context("an order of nobody")?, lots),
            TradeEventKind::Liquidated | TradeEventKind::TakenOver => {
                let taken_over = kind == TradeEventKind::TakenOver;
                let rung = if taken_over { &mut ladder.taken_over } else { &mut ladder.liquidated };
                rung.add(failing.context("a liquidation of nobody")?, lots);
                ladder.fees += i128::from(event.taker_fee.get());
                ladder.tips -= i128::from(event.maker_fee.get());
                charge(&mut self.accounts, &self.by_cell, event)?;
                let (kind, by) = if taken_over { ("takeover", "taken over by") } else { ("liquidation", "closed by") };
                let label = format!("{failing_name}: {lots} lots {by} {other_name}");
                self.mark_at(market, kind, event.price, label)?;
            }
            TradeEventKind::DeleverageStarted => {
                ladder.deleveraged.accounts.insert(failing.context("a deleveraging of nobody")?);
                let before = std::mem::take(&mut ladder.opposite);
                ladder.open.insert(market, Deleveraging::new(before, tick_value, event));
                let side = if event.side() == Side::Bid { "long" } else { "short" };
                let label = format!("{failing_name}: a {side} of {lots} lots to close");
                self.mark_at(market, "deleverage", event.price, label)?;
            }
            TradeEventKind::Deleveraged => {
                ladder.deleveraged.lots += u128::from(lots);
                ladder.deleveraged.times += 1;
                ladder.counterparties.insert(other.context("a counterparty that is nobody")?);
                ladder.open.entry(market).or_default().close(event);
                let label = format!("{failing_name}: {lots} lots against {other_name}");
                self.mark_at(market, "deleverage", event.price, label)?;
            }
            TradeEventKind::DeleverageFinished => {
                let wrong = ladder.open.remove(&market).context("a deleveraging that never began")?.finish();
                ladder.finished += 1;
                ladder.overshoot += wrong.lots;
                ladder.unfair += wrong.parts;
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads what was written to the ledger's trail since the last time, and books what the pool paid and got. To be
    /// called after whatever writes such events: the ring is short.
    pub fn read_cash(&mut self) -> Result<Vec<CashEvent>> {
        let view = self.desk.ledger_view()?;
        let written = view.header.events_written.get();
        let read = self.journal.cash_events_read;
        let unread = ring::iter(view.events, Sequence::new(written)).skip_while(|event| event.sequence.get() <= read);
        let events: Vec<_> = unread.copied().collect();
        self.journal.cash_events_read = written;
        for event in &events {
            self.book_cash(event)?;
        }
        Ok(events)
    }

    fn book_cash(&mut self, event: &CashEvent) -> Result<()> {
        let account = self.by_cell.get(&event.trader).copied();
        let amount = i128::from(event.amount);
        let ladder = &mut self.journal.ladder;
        match event.kind() {
            Some(CashEventKind::Bankrupt) => {
                ladder.bankrupt.add(account.context("nobody is bankrupt")?, 0);
                ladder.shortfall -= amount.min(0);
            }
            Some(CashEventKind::ShortfallAbsorbed) => {
                let account = account.context("a shortfall of nobody")?;
                ladder.absorbed.add(account, 0);
                ladder.pool_paid += amount;
                let label = format!("{}: the pool pays ${:.2}", self.accounts[account].name, sampling::dollars(amount));
                self.mark_event(event.market.get().into(), "shortfall", label)?;
            }
            Some(CashEventKind::ShortfallRepaid) => ladder.pool_repaid += amount,
            Some(CashEventKind::Resolved) => ladder.pool_lost += amount,
            Some(CashEventKind::PoolStaked) => self.journal.pool.staked += amount,
            Some(CashEventKind::PoolUnstaked) => self.journal.pool.unstaked += amount,
            Some(CashEventKind::PoolFunded) => self.journal.pool.funded += amount,
            _ => {}
        }
        Ok(())
    }
}

/// Books the fees of a fill on both accounts.
fn charge(accounts: &mut [Account], by_cell: &BTreeMap<CellIndex, usize>, event: &TradeEvent) -> Result<()> {
    for (cell, fee) in [(event.maker, event.maker_fee), (event.taker, event.taker_fee)] {
        let account = by_cell.get(&cell).and_then(|account| accounts.get_mut(*account));
        account.with_context(|| format!("a fill of nobody's cell {}", cell.get()))?.fees += fee.get();
    }
    Ok(())
}
