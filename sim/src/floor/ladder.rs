//! The liquidation ladder: what keepers and liquidators send, and what came of it. Every step is decided by the program;
//! who sends one only says where to look.

use super::{
    Floor,
    deleveraging::{Counterparties, Deleveraging},
    engine,
    overshoot::{Before, Part},
};
use anyhow::{Context, Result, ensure};
use quantdesk_client::{
    engine::{
        CellIndex, Lots, UnixSeconds,
        risk::{margin, scan},
        state::{PositionCell, TradeEvent, TradeEventKind},
    },
    instruction::Target,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// What one rung of the ladder did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rung {
    /// Accounts it was needed for.
    pub accounts: BTreeSet<usize>,
    /// Steps.
    pub times: u64,
    /// Lots closed.
    pub lots: u128,
}

impl Rung {
    pub(super) fn add(&mut self, account: usize, lots: u64) {
        self.accounts.insert(account);
        self.times += 1;
        self.lots += u128::from(lots);
    }
}

/// The whole ladder over a run; amounts in atoms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    /// Orders cancelled of accounts below initial margin, or about to be liquidated.
    pub cancelled: Rung,
    /// Closed through the book.
    pub liquidated: Rung,
    /// Taken over by liquidators.
    pub taken_over: Rung,
    /// Found without equity.
    pub bankrupt: Rung,
    /// Paid for by the pool.
    pub absorbed: Rung,
    /// Closed against counterparties; a step is one counterparty.
    pub deleveraged: Rung,
    /// Who these counterparties were.
    pub counterparties: BTreeSet<usize>,
    /// Liquidation fees.
    pub fees: i128,
    /// Of those, the keepers' part.
    pub tips: i128,
    /// Negative equity of accounts when they were found bankrupt.
    pub shortfall: i128,
    /// Paid by the pool into bankrupt accounts.
    pub pool_paid: i128,
    /// Given back by them.
    pub pool_repaid: i128,
    /// What the pool lost in the end.
    pub pool_lost: i128,
    /// Liquidations and take-overs whose size was computed a second time.
    pub measured: u64,
    /// Lots closed beyond what was needed, in all of them and in deleveraging.
    pub overshoot: i128,
    /// Deleveragings that were over, and counterparties whose part in one was a lot or more from its exact one.
    pub finished: u64,
    /// See [`Self::finished`].
    pub unfair: u64,
    /// Deleveragings under way, by market.
    pub open: BTreeMap<usize, Deleveraging>,
    /// Who stood against the position about to be deleveraged.
    pub(super) opposite: Counterparties,
}

impl Floor {
    /// Cancels risk-increasing orders of an account below initial margin.
    pub fn cancel_for_risk(&mut self, market: usize, target: Target) -> Result<bool> {
        let instruction = self.desk.venue.cancel_for_risk(&self.desk.markets[market].address, target, u8::MAX);
        let done = self.send("CancelForRisk", instruction)?;
        self.read_trades(market)?;
        Ok(done)
    }

    /// Closes what the account below maintenance margin has to give up, through the book. Returns lots closed.
    pub fn liquidate(&mut self, keeper: usize, market: usize, target: Target, matches: u8) -> Result<Option<u64>> {
        let Some(before) = self.before(target.trader, market)? else { return Ok(None) };
        let (keeper, address) = (&self.accounts[keeper].trader, &self.desk.markets[market].address);
        let instruction = self.desk.venue.liquidate(keeper, address, target, matches);
        if !self.send("Liquidate", instruction)? {
            return Ok(None);
        }
        let events = self.read_ladder(market)?;
        let part = |event: &TradeEvent| Part { price: event.price.get().into(), lots: event.lots.get().into() };
        let fills = events.iter().filter(|event| event.kind() == Some(TradeEventKind::Filled));
        let parts: Vec<_> = fills.map(part).collect();
        self.measure(before, TradeEventKind::Liquidated, &events, &parts).map(Some)
    }

    /// Has a liquidator take over at most `lots` of the position. Returns lots taken over.
    pub fn take_over(&mut self, liquidator: usize, market: usize, target: Target, lots: u64) -> Result<Option<u64>> {
        let Some(before) = self.before(target.trader, market)? else { return Ok(None) };
        let (trader, address) = (&self.accounts[liquidator].trader, &self.desk.markets[market].address);
        let instruction = self.desk.venue.take_over(trader, address, target, Lots::new(lots));
        if !self.send("TakeOver", instruction)? {
            return Ok(None);
        }
        let events = self.read_ladder(market)?;
        let part = |event: &TradeEvent| Part { price: event.price.get().into(), lots: event.lots.get().into() };
        let taken = events.iter().filter(|event| event.kind() == Some(TradeEventKind::TakenOver));
        let parts: Vec<_> = taken.map(part).collect();
        self.measure(before, TradeEventKind::TakenOver, &events, &parts).map(Some)
    }

    /// Compares what was closed with what was needed.
    fn measure(&mut self, before: Before, kind: TradeEventKind, events: &[TradeEvent], parts: &[Part]) -> Result<u64> {
        let step = events.iter().find(|event| event.kind() == Some(kind));
        let told = step.with_context(|| format!("{}: a liquidation left no trace", self.step()))?.lots.get();
        let closed: i128 = parts.iter().map(|part| part.lots).sum();
        ensure!(closed == i128::from(told), "{}: {told} lots told, {closed} lots closed", self.step());
        let rates = if kind == TradeEventKind::Liquidated { before.book() } else { before.takeover() };
        let beyond = before.overshoot(parts, rates)?;
        self.journal.ladder.measured += 1;
        self.journal.ladder.overshoot += beyond;
        Ok(told)
    }

    /// Has the pool pay what a bankrupt account lacks, as far as the market's budget goes.
    pub fn absorb(&mut self, market: usize, target: Target) -> Result<bool> {
        let index = self.desk.markets[market].index;
        let instruction = self.desk.venue.absorb_shortfall(index, target);
        let done = self.send("AbsorbShortfall", instruction)?;
        self.read_cash()?;
        Ok(done)
    }

    /// Closes a bankrupt position against its counterparties, at most `steps` cells further.
    pub fn deleverage(&mut self, market: usize, target: Target, steps: u16) -> Result<bool> {
        if !self.is_deleveraging(market)? {
            self.journal.ladder.opposite = self.counterparties(target.trader, market)?;
        }
        let address = &self.desk.markets[market].address;
        let instruction = self.desk.venue.deleverage(address, target, steps);
        let done = self.send("Deleverage", instruction)?;
        self.read_ladder(market)?;
        Ok(done)
    }

    fn read_ladder(&mut self, market: usize) -> Result<Vec<TradeEvent>> {
        self.read_cash()?;
        self.read_trades(market)
    }

    /// The position in a market of the account in `cell`, if it ever had one.
    pub fn held(&self, cell: CellIndex, market: usize) -> Result<Option<&PositionCell>> {
        let view = self.desk.ledger_view()?;
        let trader = view.trader(cell).map_err(engine)?;
        let index = self.desk.markets[market].index;
        Ok(view.positions(trader).map(|(_, position)| position).find(|position| position.market == index))
    }

    /// Markets in which the account in `cell` has size, the most valuable first.
    pub fn markets_of(&self, cell: CellIndex) -> Result<Vec<usize>> {
        let mut sized = Vec::new();
        for market in self.markets_used_by(cell)? {
            let lots = self.held(cell, market)?.map_or(0, |position| position.base.get().unsigned_abs());
            if lots > 0 {
                let row = self.row(market)?;
                sized.push((u128::from(lots) * u128::from(row.mark.get()) * u128::from(row.tick_value.get()), market));
            }
        }
        sized.sort_by_key(|(value, market)| (Reverse(*value), *market));
        Ok(sized.into_iter().map(|(_, market)| market).collect())
    }

    /// Markets that the account in `cell` ever used.
    pub fn markets_used_by(&self, cell: CellIndex) -> Result<Vec<usize>> {
        let mut used = Vec::new();
        for market in 0..self.desk.markets.len() {
            if self.held(cell, market)?.is_some() {
                used.push(market);
            }
        }
        Ok(used)
    }

    /// Whether the account is still on this rung or below.
    pub fn still(&self, target: Target, rung: scan::Rung) -> Result<bool> {
        let view = self.desk.ledger_view()?;
        let Ok(trader) = view.trader(target.trader) else { return Ok(false) };
        let now = UnixSeconds::new(self.desk.chain.unix_seconds());
        let found = scan::examine(&view, target.trader, trader, now).map_err(engine)?;
        Ok(trader.generation == target.generation && found.is_some_and(|found| found.rung >= rung))
    }

    /// Equity at mark of the account in `cell`.
    pub fn equity(&self, cell: CellIndex) -> Result<i64> {
        let view = self.desk.ledger_view()?;
        let now = UnixSeconds::new(self.desk.chain.unix_seconds());
        let trader = view.trader(cell).map_err(engine)?;
        Ok(margin::maintenance(&view, trader, now).map_err(engine)?.equity.get())
    }

    /// Whether the account in `target` belongs to somebody else.
    pub fn is_stranger(&self, account: usize, target: Target) -> bool {
        self.accounts[account].trader.cell != target.trader
    }

    /// Looks at the next `cells` cells on chain, and whether who is remembered then is failing indeed.
    pub fn sweep(&mut self, cells: u16) -> Result<()> {
        let instruction = self.desk.venue.sweep(cells);
        ensure!(self.send("Sweep", instruction)?, "{}: the sweep was refused", self.step());
        let watch = self.desk.ledger_view()?.header.watch;
        for entry in watch.iter().filter(|entry| !entry.generation.is_zero()) {
            let target = Target { trader: CellIndex::new(entry.trader), generation: entry.generation };
            let failing = self.still(target, scan::Rung::Liquidate)?;
            ensure!(failing, "{}: cell {} is watched and well", self.step(), entry.trader);
        }
        Ok(())
    }

    /// Whether a deleveraging is under way anywhere.
    pub fn is_any_deleveraging(&self) -> Result<bool> {
        (0..self.desk.markets.len()).try_fold(false, |any, market| Ok(any || self.is_deleveraging(market)?))
    }

    /// Whether a deleveraging is under way in a market.
    pub fn is_deleveraging(&self, market: usize) -> Result<bool> {
        Ok(self.desk.market_view(market)?.header.deleverage.is_running())
    }
}
