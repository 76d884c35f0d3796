//! Everybody leaves: whoever has an account cancels, closes, asks for stake back and withdraws, as soon as the exchange
//! lets them, and tries again until it does.

use super::stage::{MARKET, Stage};
use crate::{
    floor::{Floor, Role},
    scenario::drain,
};
use anyhow::Result;
use quantdesk_client::engine::QuoteAtoms;

/// Seconds between two tries of the same customer.
pub const ROUND_SECONDS: i64 = 600;

/// Who is still there.
pub struct Exodus {
    /// Accounts that have not closed yet.
    staying: Vec<usize>,
    /// Stakers who have yet to ask for their stake.
    asking: Vec<usize>,
    /// Stakers who wait for it.
    waiting: Vec<usize>,
    /// When each that has left was paid and closed its account, in unix seconds.
    pub left: Vec<(usize, i64)>,
}

impl Exodus {
    /// Of everybody but the thief.
    pub fn new(stage: &Stage) -> Result<Self> {
        let floor = &stage.driver.floor;
        let mut asking = Vec::new();
        for (number, account) in floor.accounts.iter().enumerate() {
            if account.role == Role::Staker && floor.shares(number)? > 0 {
                asking.push(number);
            }
        }
        let staying = (0..floor.accounts.len()).filter(|account| *account != stage.thief).collect();
        Ok(Self { staying, asking, waiting: Vec::new(), left: Vec::new() })
    }

    /// Whether everybody has left.
    pub fn is_over(&self) -> bool {
        self.staying.is_empty()
    }

    /// Everybody tries once whatever is left to do.
    pub fn round(&mut self, stage: &mut Stage) -> Result<()> {
        stage.driver.keeper.refresh(&mut stage.driver.floor)?;
        let floor = &mut stage.driver.floor;
        for account in &self.staying {
            floor.cancel_triggers(*account, MARKET)?;
            if floor.position(*account, MARKET)?.is_some_and(|position| position.orders > 0) {
                floor.cancel_all(*account, MARKET)?;
            }
        }
        drain::close_positions(floor, MARKET)?;
        floor.read_cash()?;
        self.unstake(floor)?;
        self.withdraw(floor)?;
        while floor.queue_len()? > 0 && floor.pay_first()? {}
        self.close(floor)
    }

    fn unstake(&mut self, floor: &mut Floor) -> Result<()> {
        let (mut asked, mut paid) = (Vec::new(), Vec::new());
        for account in &self.asking {
            let shares = floor.shares(*account)?;
            let request = floor.desk.venue.request_unstake(&floor.accounts[*account].trader, shares);
            if floor.send("RequestUnstake", request)? {
                asked.push(*account);
            }
        }
        for account in &self.waiting {
            let unstake = floor.desk.venue.unstake(&floor.accounts[*account].trader);
            if floor.send("Unstake", unstake)? {
                paid.push(*account);
            }
        }
        self.asking.retain(|account| !asked.contains(account));
        self.waiting.retain(|account| !paid.contains(account));
        self.waiting.extend(asked);
        floor.read_cash().map(|_| ())
    }

    fn withdraw(&self, floor: &mut Floor) -> Result<()> {
        for account in &self.staying {
            let held = floor.position(*account, MARKET)?.is_some_and(|position| position.base.get() != 0);
            let equity = floor.maintenance(*account)?.equity.get();
            let Some(atoms) = u64::try_from(equity).ok().filter(|atoms| *atoms > 0 && !held) else { continue };
            let leaving = &floor.accounts[*account];
            let withdraw = floor.desk.venue.withdraw(&leaving.trader, leaving.wallet, QuoteAtoms::new(atoms));
            if floor.send("Withdraw", withdraw)? {
                floor.accounts[*account].withdrawn += atoms;
            }
        }
        Ok(())
    }

    fn close(&mut self, floor: &mut Floor) -> Result<()> {
        let now = floor.desk.chain.unix_seconds();
        for account in self.staying.clone() {
            let staked = self.asking.contains(&account) || self.waiting.contains(&account);
            if staked || floor.is_queued(account)? {
                continue;
            }
            if floor.close(account)? {
                self.left.push((account, now));
                self.staying.retain(|staying| *staying != account);
            }
        }
        Ok(())
    }
}
