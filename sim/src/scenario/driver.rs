//! What the scenarios have in common: one step of time with everybody's routine work in it.

use crate::{
    actors::{
        keeper::Keeper,
        leveraged::Leveraged,
        liquidator::Watch,
        maker::{Maker, Makers, Style},
    },
    floor::{Floor, MarginCall, Role},
};
use anyhow::{Result, ensure};

/// Equity is sampled at every n-th price sample.
const EQUITY_EVERY: u64 = 12;
/// What keepers start with: they risk nothing.
const KEEPER_DEPOSIT: u64 = 1_000_000_000;
/// Time between two looks at the failing when the world stands still.
const CALM_MILLIS: i64 = 2_000;
/// Looks after which a ladder that is not done never will be: two hours.
const CALM_ROUNDS: u32 = 3_600;

/// The floor with those who are always on it.
pub struct Driver {
    pub floor: Floor,
    pub keeper: Keeper,
    pub makers: Makers,
    pub call: MarginCall,
    pub leveraged: Leveraged,
    pub watch: Watch,
    samples: u64,
}

impl Driver {
    pub fn new(floor: Floor, call: MarginCall) -> Self {
        let keeper = Keeper::new(floor.desk.markets.len());
        let (leveraged, watch) = (Leveraged::default(), Watch::default());
        Self { floor, keeper, makers: Makers::default(), call, leveraged, watch, samples: 0 }
    }

    /// A maker with an account of its own.
    pub fn employ(&mut self, name: String, style: Style, markets: &[usize], atoms: u64) -> Result<()> {
        let account = self.floor.open(Role::Maker, name, atoms)?;
        self.makers.push(Maker::new(account, style, markets.iter().copied()));
        Ok(())
    }

    /// Keepers, liquidators with `collateral` each, the last of them as a backstop with more, and a pool of stakers.
    pub fn protect(&mut self, collateral: &[u64], stakes: &[u64]) -> Result<()> {
        for number in 1..=2 {
            self.watch.keeper(self.floor.open(Role::Keeper, format!("keeper {number}"), KEEPER_DEPOSIT)?);
        }
        for (number, atoms) in collateral.iter().enumerate() {
            let last = number + 1 == collateral.len();
            let name = if last { "backstop".into() } else { format!("liquidator {}", number + 1) };
            self.watch.liquidator(self.floor.open(Role::Liquidator, name, *atoms)?);
        }
        for (number, atoms) in stakes.iter().enumerate() {
            let account = self.floor.open(Role::Staker, format!("staker {}", number + 1), *atoms)?;
            self.floor.stake(account, *atoms)?;
        }
        Ok(())
    }

    /// Boards follow the world, makers follow the boards, accounts that ran low deposit or are liquidated. True if a
    /// price moved.
    pub fn follow(&mut self, trading: bool) -> Result<bool> {
        let moved = self.keeper.crank(&mut self.floor, trading)?;
        if moved.is_empty() {
            return Ok(false);
        }
        self.floor.call_margin(self.call)?;
        for market in moved {
            self.makers.requote(&mut self.floor, market)?;
        }
        self.patrol()?;
        Ok(true)
    }

    /// Keepers and liquidators do what there is to do.
    pub fn patrol(&mut self) -> Result<usize> {
        let failing = self.watch.round(&mut self.floor)?;
        self.watch.offload(&mut self.floor)?;
        Ok(failing)
    }

    /// Bets whose time has come.
    pub fn bet(&mut self) -> Result<()> {
        while let Some(market) = self.leveraged.bet_next(&mut self.floor)? {
            self.makers.requote(&mut self.floor, market)?;
        }
        Ok(())
    }

    /// Lets time pass with the world's prices as they are, until marks have arrived and nobody is failing. Fails if that
    /// does not come to an end.
    pub fn calm_down(&mut self) -> Result<()> {
        self.watch.away = false;
        for _ in 0..CALM_ROUNDS {
            self.keeper.refresh(&mut self.floor)?;
            self.floor.call_margin(self.call)?;
            for market in 0..self.floor.desk.markets.len() {
                self.makers.requote(&mut self.floor, market)?;
            }
            if self.patrol()? == 0 && self.is_calm()? {
                return Ok(());
            }
            let now = self.floor.desk.chain.unix_millis();
            self.floor.desk.chain.advance_to(now + CALM_MILLIS);
            self.sample()?;
        }
        ensure!(self.is_calm()?, "{}: accounts are failing for good", self.floor.step());
        Ok(())
    }

    fn is_calm(&self) -> Result<bool> {
        let view = self.floor.desk.ledger_view()?;
        let listed = self.floor.desk.markets.len();
        let arrived = view.rows.iter().take(listed).all(|row| !row.is_lagging());
        Ok(arrived && view.header.bankrupts == 0 && !self.floor.is_any_deleveraging()?)
    }

    /// A point in every chart.
    pub fn sample(&mut self) -> Result<()> {
        self.floor.sample_markets()?;
        if self.samples.is_multiple_of(EQUITY_EVERY) {
            self.floor.sample_equity()?;
        }
        self.samples += 1;
        Ok(())
    }
}
