//! The protection pool and the way out of the venue: stakes, waiting withdrawals, fees.

use super::{Account, Floor};
use anyhow::{Context, Result, bail, ensure};
use quantdesk_client::{
    Address, address,
    engine::{CellIndex, QuoteAtoms, state::PoolStake},
};

/// Lamports a staker gets for the rent of its stake account.
const RENT_LAMPORTS: u64 = 1_000_000_000;

impl Floor {
    /// Turns cash into a share of the pool.
    pub fn stake(&mut self, account: usize, atoms: u64) -> Result<()> {
        let trader = self.accounts[account].trader;
        self.desk.chain.give_lamports(trader.authority, RENT_LAMPORTS)?;
        let instruction = self.desk.venue.stake_pool(&trader, QuoteAtoms::new(atoms));
        ensure!(self.send("StakePool", instruction)?, "{}: the stake was refused", self.step());
        self.read_cash().map(|_| ())
    }

    /// Shares of the pool that the account holds; none of an epoch that is over.
    pub fn shares(&self, account: usize) -> Result<u64> {
        let owner = &self.accounts[account].trader.authority;
        let stake = address::stake(&self.desk.venue.program, &self.desk.venue.ledger, owner);
        if self.desk.chain.account(&stake).is_none() {
            return Ok(0);
        }
        let bytes = quantdesk_client::view::AccountBytes::new(self.desk.chain.bytes(&stake)?);
        let stake = PoolStake::load(bytes.as_slice()).map_err(super::engine)?;
        let current = stake.epoch == self.desk.ledger_view()?.header.pool_epoch;
        Ok(if current { stake.shares } else { 0 })
    }

    /// Asks for all of the account's stake.
    pub fn request_unstake(&mut self, account: usize, shares: u64) -> Result<()> {
        let instruction = self.desk.venue.request_unstake(&self.accounts[account].trader, shares);
        ensure!(self.send("RequestUnstake", instruction)?, "{}: the request was refused", self.step());
        self.read_cash().map(|_| ())
    }

    /// Turns the stake asked for into cash.
    pub fn unstake(&mut self, account: usize) -> Result<()> {
        let Account { trader, name, .. } = &self.accounts[account];
        let (instruction, name) = (self.desk.venue.unstake(trader), name.clone());
        ensure!(self.send("Unstake", instruction)?, "{}: {name} did not get its stake", self.step());
        self.read_cash().map(|_| ())
    }

    /// Withdrawals that wait.
    pub fn queue_len(&self) -> Result<u32> {
        Ok(self.desk.ledger_view()?.header.queue_len)
    }

    /// Whether a withdrawal of the account waits.
    pub fn is_queued(&self, account: usize) -> Result<bool> {
        let (view, trader) = (self.desk.ledger_view()?, self.accounts[account].trader.cell);
        let mut place = view.header.queue_first;
        while let Some(waiting) = view.cells.get(place.as_usize()).and_then(|cell| cell.withdrawal()) {
            if waiting.trader == trader {
                return Ok(true);
            }
            place = waiting.next;
        }
        Ok(false)
    }

    /// Pays the first waiting withdrawal. False if it has to wait on.
    pub fn pay_first(&mut self) -> Result<bool> {
        let view = self.desk.ledger_view()?;
        let first = view.header.queue_first;
        let Some(waiting) = view.cells.get(first.as_usize()).and_then(|cell| cell.withdrawal()) else {
            bail!("{}: the queue begins with no withdrawal", self.step());
        };
        let (target, trader) = (Address::new_from_array(*waiting.target.as_bytes()), waiting.trader);
        let wallet = self.wallet_of(trader)?;
        ensure!(wallet == target, "{}: a withdrawal waits for a stranger's account", self.step());
        let instruction = self.desk.venue.process_withdraw_queue(target);
        self.send("ProcessWithdrawQueue", instruction)
    }

    fn wallet_of(&self, cell: CellIndex) -> Result<Address> {
        let account = self.by_cell.get(&cell).context("a withdrawal of nobody")?;
        Ok(self.accounts[*account].wallet)
    }
}
