//! Keepers and liquidators. They know the ledger's bytes and nothing else: what the engine's scan finds in them they act
//! upon, rung by rung, worst first. Keepers crank for a tip; liquidators take positions over with their own collateral
//! and sell them again.

use super::{PPM, taker};
use crate::floor::{Floor, engine};
use anyhow::Result;
use quantdesk_client::{
    engine::{
        CellIndex, Lots, Side, UnixSeconds,
        risk::{
            margin,
            scan::{self, Finding, Rung},
        },
    },
    instruction::Target,
    order::Ticket,
};
use std::{cmp::Reverse, collections::BTreeMap};

/// Resting orders a liquidation may meet in one transaction.
const MATCHES: u8 = 24;
/// Cells a transaction of deleveraging looks at; fewer if it closes counterparties.
const DELEVERAGE_STEPS: u16 = 600;
/// Such transactions in a round, at most.
const DELEVERAGE_TURNS: u32 = 400;
/// One keeper in so many stops after the first, and everybody waits until the next round.
const UNRELIABLE: usize = 16;
/// Every so many rounds with failing accounts somebody sweeps so many cells for those who cannot scan.
const SWEEP_EVERY: u64 = 5;
const SWEEP_CELLS: u16 = 48;
/// Who has nothing to cancel is left alone for this time.
const SPARE_SECONDS: i64 = 60;
/// A liquidator uses this part of what is free for one take-over, in percent.
const STAKE_PERCENT: u64 = 40;
/// Room for prices between the liquidator's look and its transaction, in ppm of the value taken over.
const PRUDENCE: u64 = 20_000;

/// Everybody who watches the ladder.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    keepers: Vec<usize>,
    /// In the order in which they are asked; the last one is the backstop, which takes what nobody wants.
    liquidators: Vec<usize>,
    turn: usize,
    rounds: u64,
    /// Nobody watches.
    pub away: bool,
    /// Accounts in which there was nothing to cancel, and until when, in unix seconds, nobody looks again.
    spared: BTreeMap<CellIndex, i64>,
}

impl Watch {
    /// A keeper's account.
    pub fn keeper(&mut self, account: usize) {
        self.keepers.push(account);
    }

    /// A liquidator's account, asked after those before it.
    pub fn liquidator(&mut self, account: usize) {
        self.liquidators.push(account);
    }

    /// Every failing account gets one attempt, unless a keeper drops out. Returns how many there were, those with orders too many left out.
    pub fn round(&mut self, floor: &mut Floor) -> Result<usize> {
        if self.keepers.is_empty() || self.away {
            return Ok(0);
        }
        self.rounds += 1;
        let keeper = self.keepers[usize::try_from(self.rounds)? % self.keepers.len()];
        floor.execute_triggers(keeper)?;
        let mut found = findings(floor)?;
        found.sort_by_key(health);
        if !found.is_empty() && self.rounds.is_multiple_of(SWEEP_EVERY) {
            floor.sweep(SWEEP_CELLS)?;
        }
        for finding in &found {
            self.turn += 1;
            self.act(floor, finding)?;
            if self.turn.is_multiple_of(UNRELIABLE) && floor.is_any_deleveraging()? {
                break;
            }
        }
        Ok(found.iter().filter(|finding| finding.rung > Rung::CancelForRisk).count())
    }

    fn act(&mut self, floor: &mut Floor, finding: &Finding) -> Result<()> {
        let target = Target { trader: finding.trader, generation: finding.generation };
        let keeper = self.keepers[self.turn % self.keepers.len()];
        match finding.rung {
            Rung::CancelForRisk => self.cancel(floor, target),
            Rung::Liquidate => self.liquidate(floor, keeper, target),
            Rung::TakeOver => {
                // Whoever is first: every other time the book, every other time a liquidator.
                if self.turn.is_multiple_of(2) && self.take_over(floor, target)? {
                    return Ok(());
                }
                self.liquidate(floor, keeper, target)?;
                self.take_over(floor, target).map(|_| ())
            }
            Rung::Bankrupt => self.wind_up(floor, keeper, target),
        }
    }

    /// From the ledger alone nobody knows which orders only reduce: where nothing else rests, nothing goes.
    fn cancel(&mut self, floor: &mut Floor, target: Target) -> Result<()> {
        let now = floor.desk.chain.unix_seconds();
        if self.spared.get(&target.trader).is_some_and(|until| now < *until) {
            return Ok(());
        }
        for market in 0..floor.desk.markets.len() {
            let orders = floor.held(target.trader, market)?.is_some_and(|position| position.orders > 0);
            if orders && floor.still(target, Rung::CancelForRisk)? && !floor.cancel_for_risk(market, target)? {
                self.spared.insert(target.trader, now + SPARE_SECONDS);
            }
        }
        Ok(())
    }

    fn liquidate(&self, floor: &mut Floor, keeper: usize, target: Target) -> Result<()> {
        for market in floor.markets_of(target.trader)? {
            let against =
                floor.held(target.trader, market)?.map_or(Side::Bid, |position| holders_side(position.base.get()));
            let quoted = floor.best(market, against)?.is_some();
            if quoted && floor.still(target, Rung::Liquidate)? {
                floor.liquidate(keeper, market, target, MATCHES)?;
            }
        }
        Ok(())
    }

    /// True if anybody took something over. All but the last of the liquidators want a profit.
    fn take_over(&self, floor: &mut Floor, target: Target) -> Result<bool> {
        for market in floor.markets_of(target.trader)? {
            let cheap = is_cheap(floor, target, market)?;
            let willing = if cheap { 0 } else { self.liquidators.len().saturating_sub(1) };
            for liquidator in &self.liquidators[willing..] {
                let lots = affordable(floor, *liquidator, market)?;
                if lots > 0 && floor.is_stranger(*liquidator, target) && floor.still(target, Rung::TakeOver)? {
                    let taken = floor.take_over(*liquidator, market, target, lots)?;
                    if taken.is_some() {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// The pool pays, then counterparties are closed against; what has equity again is closed through the book.
    fn wind_up(&self, floor: &mut Floor, keeper: usize, target: Target) -> Result<()> {
        for market in floor.markets_of(target.trader)? {
            let solvent = floor.equity(target.trader)? > 0 && !floor.is_deleveraging(market)?;
            if solvent && floor.liquidate(keeper, market, target, MATCHES)?.is_some() {
                continue;
            }
            let unreliable = self.turn.is_multiple_of(UNRELIABLE);
            for _ in 0..if unreliable { 1 } else { DELEVERAGE_TURNS } {
                let sized = floor.held(target.trader, market)?.is_some_and(|position| !position.base.is_zero());
                if !(sized || floor.is_deleveraging(market)?) || !floor.deleverage(market, target, DELEVERAGE_STEPS)? {
                    break;
                }
            }
        }
        for market in floor.markets_used_by(target.trader)? {
            if floor.still(target, Rung::Bankrupt)? {
                floor.absorb(market, target)?;
            }
        }
        Ok(())
    }

    /// Liquidators sell what they took over.
    pub fn offload(&self, floor: &mut Floor) -> Result<()> {
        if self.away {
            return Ok(());
        }
        for account in &self.liquidators {
            for market in 0..floor.desk.markets.len() {
                let base = floor.position(*account, market)?.map_or(0, |position| position.base.get());
                if base == 0 {
                    continue;
                }
                let side = if base > 0 { Side::Ask } else { Side::Bid };
                let row = floor.row(market)?;
                let lots = Lots::new(base.unsigned_abs().min(row.lots_max.get()));
                let order = Ticket::of(side, taker::worst(row, side), lots).reduce_only().immediate_or_cancel();
                if floor.best(market, side.opposite())?.is_some() {
                    floor.take(*account, market, &order.build())?;
                }
            }
        }
        Ok(())
    }
}

/// Side of the book that a position of this sign is closed against.
const fn holders_side(base: i64) -> Side {
    if base > 0 { Side::Bid } else { Side::Ask }
}

fn findings(floor: &Floor) -> Result<Vec<Finding>> {
    let now = UnixSeconds::new(floor.desk.chain.unix_seconds());
    Ok(scan::scan(&floor.desk.ledger_view()?, now).collect())
}

/// Worst first: equity as a share of the requirement, then the larger requirement.
fn health(finding: &Finding) -> (i128, Reverse<u64>) {
    let required = finding.maintenance.get();
    let share = i128::from(finding.equity.get()) * i128::from(PPM) / i128::from(required.max(1));
    (share, Reverse(required))
}

/// Whether what a take-over costs is no worse than the index: while the mark is on its way it may be.
fn is_cheap(floor: &Floor, target: Target, market: usize) -> Result<bool> {
    let long = floor.held(target.trader, market)?.is_some_and(|position| position.base.get() > 0);
    let row = floor.row(market)?;
    let (mark, index) = (u64::from(row.mark.get()), u64::from(row.index_price.get()));
    let discount = mark * u64::from(row.risk.takeover_discount.get()) / PPM;
    Ok(if long { mark - discount <= index } else { mark + discount >= index })
}

/// Lots that the account's free collateral carries.
fn affordable(floor: &Floor, account: usize, market: usize) -> Result<u64> {
    let view = floor.desk.ledger_view()?;
    let now = UnixSeconds::new(floor.desk.chain.unix_seconds());
    let trader = view.trader(floor.accounts[account].trader.cell).map_err(engine)?;
    let margin = margin::initial(&view, trader, now).map_err(engine)?;
    let free = margin.excess().map_err(engine)?.positive_part().get() / 100 * STAKE_PERCENT;
    let row = floor.row(market)?;
    let rate = row.tiers().last().map_or(PPM, |tier| u64::from(tier.rate.get())) + PRUDENCE;
    let lot = u64::from(row.high.get()) * u64::from(row.tick_value.get());
    Ok(u64::try_from(u128::from(free) * u128::from(PPM) / u128::from(rate * lot.max(1))).unwrap_or(u64::MAX))
}
