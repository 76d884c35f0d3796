//! The floor: an exchange at work, its customers, and a journal of what happens.
//!
//! Actors act through it, so that every transaction is measured, every refusal counted by its name, every fill read from
//! the audit trail, and the invariants checked as it goes.

mod account;
mod audit;
mod conditional;
mod deleveraging;
mod funding;
mod journal;
mod ladder;
mod overshoot;
mod pool;
mod sampling;
mod trail;
mod worth;

pub use account::{Account, Role, WALLET_ATOMS};
pub use audit::Audit;
pub use funding::MarginCall;
pub use journal::{Journal, MarketPages, Orders, PoolTally, Tally};
pub use ladder::{Ladder, Rung};
pub use sampling::dollars;

use crate::{
    desk::{Desk, DeskConfig, MarketSpec},
    report::Trace,
};
use anyhow::{Context, Result, anyhow, bail, ensure};
use quantdesk_client::{
    engine::{
        CellIndex, EngineError, QuoteAtoms, Side, UnixSeconds,
        book::{NewOrder, Sides},
        state::{MarketRow, PositionCell},
    },
    view,
};
use solana_instruction::Instruction;
use std::collections::BTreeMap;

/// Engine errors from here on say that the state contradicts itself.
const CONTRADICTIONS: u32 = 900;

/// An exchange at work.
pub struct Floor {
    /// The exchange and its chain.
    pub desk: Desk,
    /// Customers.
    pub accounts: Vec<Account>,
    /// What happened.
    pub journal: Journal,
    /// How often the invariants were checked.
    pub audit: Audit,
    seed: u64,
    by_cell: BTreeMap<CellIndex, usize>,
}

impl Floor {
    /// An exchange without markets and customers. `seed` is only told when something goes wrong.
    pub fn new(config: DeskConfig, seed: u64) -> Result<Self> {
        Ok(Self {
            desk: Desk::new(config)?,
            accounts: Vec::new(),
            journal: Journal::new()?,
            audit: Audit::default(),
            seed,
            by_cell: BTreeMap::new(),
        })
    }

    /// Lists a market, before anybody has an account.
    pub fn list(&mut self, spec: &MarketSpec) -> Result<usize> {
        self.journal.markets.push(MarketPages::default());
        self.desk.list(spec)
    }

    /// Opens an account with `atoms` of collateral in it. The first one seals the exchange.
    pub fn open(&mut self, role: Role, name: String, atoms: u64) -> Result<usize> {
        self.desk.seal()?;
        let owner = self.desk.name(name.as_bytes());
        let wallet = self.desk.fund(&owner, WALLET_ATOMS)?;
        ensure!(self.send("OpenTrader", self.desk.venue.open_trader(owner, 0))?, "{name}: no room in the ledger");
        let trader = view::find_trader(&self.desk.ledger_view()?, &owner, 0).context("the account just opened")?;
        self.by_cell.insert(trader.cell, self.accounts.len());
        self.accounts.push(Account { name, role, trader, wallet, deposited: 0, withdrawn: 0, fees: 0, is_open: true });
        self.journal.equity.push(Trace::default());
        self.deposit(self.accounts.len() - 1, atoms)?;
        Ok(self.accounts.len() - 1)
    }

    /// Deposits out of the account's wallet.
    pub fn deposit(&mut self, account: usize, atoms: u64) -> Result<()> {
        let Account { trader, wallet, .. } = &self.accounts[account];
        let instruction = self.desk.venue.deposit(trader, *wallet, QuoteAtoms::new(atoms));
        ensure!(self.send("Deposit", instruction)?, "{}: the deposit was refused", self.step());
        self.accounts[account].deposited += atoms;
        Ok(())
    }

    /// Withdraws to the account's wallet.
    pub fn withdraw(&mut self, account: usize, atoms: u64) -> Result<()> {
        let Account { trader, wallet, .. } = &self.accounts[account];
        let instruction = self.desk.venue.withdraw(trader, *wallet, QuoteAtoms::new(atoms));
        ensure!(self.send("Withdraw", instruction)?, "{}: the withdrawal was refused", self.step());
        self.accounts[account].withdrawn += atoms;
        Ok(())
    }

    /// Accounts that are open.
    pub fn open_accounts(&self) -> Vec<usize> {
        (0..self.accounts.len()).filter(|account| self.accounts[*account].is_open).collect()
    }

    /// Closes an empty account. False if that was refused.
    pub fn close(&mut self, account: usize) -> Result<bool> {
        let closed = self.send("CloseTrader", self.desk.venue.close_trader(&self.accounts[account].trader))?;
        if closed {
            self.accounts[account].is_open = false;
            self.by_cell.remove(&self.accounts[account].trader.cell);
        }
        Ok(closed)
    }

    /// Executes an instruction in a transaction of its own. True if it succeeded; false, and counted by its name, if the
    /// program refused it. Fails if it ended otherwise, or if an invariant broke.
    pub fn send(&mut self, name: &'static str, instruction: Instruction) -> Result<bool> {
        let succeeded = match self.desk.chain.send(instruction) {
            Ok(executed) => {
                self.journal.transaction(name, executed.compute_units, None);
                true
            }
            Err(failure) => match failure.error {
                Some(error) if error.code() < CONTRADICTIONS => {
                    self.journal.transaction(name, failure.compute_units, Some(error.name()));
                    false
                }
                _ => bail!("{}: {name}: {failure}", self.step()),
            },
        };
        if self.audit.step() {
            self.check()?;
        }
        Ok(succeeded)
    }

    /// Checks every invariant.
    pub fn check(&mut self) -> Result<()> {
        self.desk.check().and_then(|()| self.check_worth()).with_context(|| self.step())?;
        self.audit.passed();
        Ok(())
    }

    /// Where the run stands, for messages that must be reproducible.
    pub fn step(&self) -> String {
        format!("seed {}, step {}, slot {}", self.seed, self.journal.tally.transactions, self.desk.chain.slot())
    }

    /// Places an order that takes nothing. False if it was refused.
    pub fn rest(&mut self, account: usize, market: usize, order: &NewOrder) -> Result<bool> {
        self.send("PlaceOrder, resting", self.place_order(account, market, order))
    }

    /// Places an order that rests nothing; where taking orders wait, lets time pass until it has run. Returns lots filled, or
    /// `None` if it was refused.
    pub fn take(&mut self, account: usize, market: usize, order: &NewOrder) -> Result<Option<u64>> {
        let cell = self.accounts[account].trader.cell;
        if !self.send("PlaceOrder, taking", self.place_order(account, market, order))? {
            return Ok(None);
        }
        let mut filled = self.read_fills(market, cell)?;
        while self.desk.market_view(market)?.header.delayed_len > 0 {
            for _ in 0..self.desk.markets[market].parameters.taker_delay {
                self.desk.chain.next_slot();
            }
            self.send("RunDelayed", self.desk.venue.run_delayed(&self.desk.markets[market].address, u8::MAX))?;
            filled += self.read_fills(market, cell)?;
        }
        Ok(Some(filled))
    }

    fn place_order(&self, account: usize, market: usize, order: &NewOrder) -> Instruction {
        let market = &self.desk.markets[market].address;
        self.desk.venue.place_order(&self.accounts[account].trader, market, order, UnixSeconds::ZERO)
    }

    /// Cancels up to 255 of the account's orders in a market.
    pub fn cancel_all(&mut self, account: usize, market: usize) -> Result<bool> {
        let address = &self.desk.markets[market].address;
        let instruction = self.desk.venue.cancel_all(&self.accounts[account].trader, address, Sides::Both, u8::MAX);
        self.send("CancelAll", instruction)
    }

    /// A market's row of the ledger.
    pub fn row(&self, market: usize) -> Result<&MarketRow> {
        self.desk.ledger_view()?.row(self.desk.markets[market].index).map_err(engine)
    }

    /// An account's position in a market, if it ever had one.
    pub fn position(&self, account: usize, market: usize) -> Result<Option<&PositionCell>> {
        let view = self.desk.ledger_view()?;
        let trader = view.trader(self.accounts[account].trader.cell).map_err(engine)?;
        let index = self.desk.markets[market].index;
        Ok(view.positions(trader).map(|(_, position)| position).find(|position| position.market == index))
    }

    /// Whose a cell of the ledger is.
    pub fn account_in(&self, cell: CellIndex) -> Option<usize> {
        self.by_cell.get(&cell).copied()
    }

    /// Best price of a side in ticks.
    pub fn best(&self, market: usize, side: Side) -> Result<Option<u32>> {
        Ok(self.desk.market_view(market)?.best_price(side).map(|price| price.get()))
    }
}

/// An engine error as a message.
pub fn engine(error: EngineError) -> anyhow::Error {
    anyhow!("{}", error.name())
}
