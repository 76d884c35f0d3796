//! What the scenarios have in common: one step of time with everybody's routine work in it.

use crate::{
    actors::{
        keeper::Keeper,
        maker::{Maker, Makers, Style},
    },
    floor::{Floor, MarginCall, Role},
};
use anyhow::Result;

/// Equity is sampled at every n-th price sample.
const EQUITY_EVERY: u64 = 12;

/// The floor with those who are always on it.
pub struct Driver {
    pub floor: Floor,
    pub keeper: Keeper,
    pub makers: Makers,
    pub call: MarginCall,
    samples: u64,
}

impl Driver {
    pub fn new(floor: Floor, call: MarginCall) -> Self {
        let keeper = Keeper::new(floor.desk.markets.len());
        Self { floor, keeper, makers: Makers::default(), call, samples: 0 }
    }

    /// A maker with an account of its own.
    pub fn employ(&mut self, name: String, style: Style, markets: &[usize], atoms: u64) -> Result<()> {
        let account = self.floor.open(Role::Maker, name, atoms)?;
        self.makers.push(Maker::new(account, style, markets.iter().copied()));
        Ok(())
    }

    /// Boards follow the world, makers follow the boards, accounts that ran low deposit. True if a price moved.
    pub fn follow(&mut self, trading: bool) -> Result<bool> {
        let moved = self.keeper.crank(&mut self.floor, trading)?;
        if moved.is_empty() {
            return Ok(false);
        }
        self.floor.call_margin(self.call)?;
        for market in moved {
            self.makers.requote(&mut self.floor, market)?;
        }
        Ok(true)
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
