//! The exchange of a run with its clock, its fair price and its tape.

use super::{
    book::Shown,
    fair::Fair,
    tape::{Fill, ROLES, Tape, place_of},
};
use crate::{
    chain::SlotTime,
    desk::{DeskConfig, MarketSpec},
    floor::{Floor, MarginCall, Role},
    scenario::{Options, POLICY, driver::Driver},
};
use anyhow::{Context, Result};
use quantdesk_client::engine::{
    Lots, Ppm, Side, Ticks,
    book::{Quote, Replacement, Sides},
    state::{TradeEventKind, ledger::Policy},
};

/// The only market.
pub const MARKET: usize = 0;
/// When runs begin, in unix milliseconds.
pub const START_MILLIS: i64 = 1_760_129_400_000;
/// Nobody gets more collateral: all have more than they can lose.
const CALL: MarginCall = MarginCall { roles: &[], below: 0, target: 0 };
/// What everybody starts with in atoms: five million.
const DEPOSIT: u64 = 5_000_000_000_000;
/// Resting orders a taker may meet: more than there are.
pub const MATCH_LIMIT: u8 = 128;

/// The stage.
pub struct Stage {
    pub driver: Driver,
    pub fair: Fair,
    pub tape: Tape,
    /// Slot of the run, from 0.
    pub slot: usize,
}

/// Tick $0.01, lot 0.0001 at a price of $150: a tick is two thirds of a basis point.
fn spec(delay: u8) -> MarketSpec {
    MarketSpec { symbol: "MEV-PERP".into(), taker_delay: delay, ..MarketSpec::eth() }
}

impl Stage {
    /// An exchange with one market at the first fair price.
    pub fn new(options: &Options, fair: Fair, delay: u8) -> Result<Self> {
        // Nobody stakes: what went to the pool would be nobody's.
        let policy = Policy { pool_fee_share: Ppm::ZERO, ..POLICY };
        let slot_time = SlotTime { millis: options.slot_millis };
        let config = DeskConfig { cells: 120, unix_millis: START_MILLIS, slot_time, policy, ..DeskConfig::default() };
        let mut floor = Floor::new(config, options.seed)?;
        floor.list(&spec(delay))?;
        let driver = Driver::new(floor, CALL);
        let mut stage = Self { driver, fair, tape: Tape::default(), slot: 0 };
        stage.update_price()?;
        Ok(stage)
    }

    /// An account with collateral.
    pub fn open(&mut self, role: Role, name: String) -> Result<usize> {
        self.driver.floor.open(role, name, DEPOSIT)
    }

    /// The next slot begins, and the fair price has moved.
    pub fn next_slot(&mut self) {
        self.driver.floor.desk.chain.next_slot();
        self.slot += 1;
    }

    /// The fair price in 1e-12 quote units.
    pub fn fair_price(&self) -> u64 {
        self.fair.at(self.slot)
    }

    /// Ticks × 1e-12 quote units of a tick.
    pub fn tick_size(&self) -> u64 {
        self.driver.floor.desk.markets[MARKET].parameters.tick_size.get()
    }

    /// A price `ppm` above the fair price, or below if negative, in whole ticks, rounded so that a buyer pays less and a
    /// seller gets more.
    pub fn ticks_at(&self, side: Side, price: u64, ppm: i64) -> u32 {
        let pico = i128::from(price) * i128::from(1_000_000 + ppm) / 1_000_000;
        let tick = i128::from(self.tick_size());
        let ticks = match side {
            Side::Bid => pico.div_euclid(tick),
            Side::Ask => (pico + tick - 1).div_euclid(tick),
        };
        u32::try_from(ticks).unwrap_or(0)
    }

    /// The oracles show the fair price, and the market's board follows.
    pub fn update_price(&mut self) -> Result<()> {
        self.driver.keeper.observe(MARKET, self.fair_price());
        self.driver.keeper.crank(&mut self.driver.floor, false).map(|_| ())
    }

    /// What a taker of `side` meets.
    pub fn meets(&self, side: Side) -> Result<Shown> {
        Shown::to_taker(&self.driver.floor, MARKET, side)
    }

    /// Signed lots of an account.
    pub fn base(&self, account: usize) -> Result<i64> {
        let position = self.driver.floor.position(account, MARKET)?;
        Ok(position.map_or(0, |position| position.base.get()))
    }

    /// Replaces all quotes of an account; `sequence` counts up. False if that was refused.
    pub fn quote(&mut self, account: usize, sequence: u64, quotes: &[Quote]) -> Result<bool> {
        let floor = &mut self.driver.floor;
        let wanted = Replacement { sequence, sides: Some(Sides::Both), expires_at: Default::default(), quotes };
        let market = &floor.desk.markets[MARKET].address;
        let trader = &floor.accounts[account].trader;
        let instruction = floor.desk.venue.replace_quotes(trader, market, &wanted, Default::default());
        let accepted = floor.send("ReplaceQuotes", instruction)?;
        self.read_fills()?;
        Ok(accepted)
    }

    /// Puts what was filled since the last time on the tape.
    pub fn read_fills(&mut self) -> Result<()> {
        let floor = &mut self.driver.floor;
        for event in floor.read_trades(MARKET)? {
            if event.kind() != Some(TradeEventKind::Filled) {
                continue;
            }
            let whose = |cell| floor.account_in(cell).context("a fill of nobody");
            self.tape.fills.push(Fill {
                slot: self.slot,
                side: event.side().opposite(),
                price: event.price.get(),
                lots: event.lots.get(),
                maker: whose(event.maker)?,
                taker: whose(event.taker)?,
            });
        }
        Ok(())
    }

    /// The slot ends: what everybody has earned goes on the tape, and every invariant is checked.
    pub fn end_slot(&mut self) -> Result<()> {
        let price = self.fair_price();
        let mut earned = [0; ROLES.len()];
        for (number, account) in self.driver.floor.accounts.iter().enumerate() {
            if let Some(sum) = place_of(account.role).and_then(|place| earned.get_mut(place)) {
                let worth = self.driver.floor.worth_at(number, MARKET, price)?;
                *sum += worth - i128::from(account.deposited) + i128::from(account.withdrawn);
            }
        }
        self.tape.earned.push(earned);
        self.driver.floor.check()
    }
}

/// A price and a size as an order has them.
pub const fn terms(price: u32, lots: u64) -> (Ticks, Lots) {
    (Ticks::new(price), Lots::new(lots))
}
