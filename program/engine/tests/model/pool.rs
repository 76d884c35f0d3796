//! The protection pool of the model: shares of what is in it, and stake that asks before it leaves.

use super::{Model, floor_div, price::Quality};
use quantdesk_engine::{EngineError, Result, governance::mode::Act, state::CashEventKind};

const VIRTUAL: i128 = 1_000_000;
const WEEK: i64 = 604_800;
const DAY: i64 = 86_400;

/// An owner's shares, of the pool's epoch in which it got them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stake {
    pub shares: i128,
    pub epoch: u32,
    pub requested: i128,
    pub requested_at: i64,
}

impl Model {
    fn stake_of(&mut self, owner: u64) -> &mut Stake {
        let epoch = self.pool_epoch;
        let stake = self.stakes.entry(owner).or_default();
        if stake.epoch != epoch {
            *stake = Stake { epoch, ..Stake::default() };
        }
        stake
    }

    pub fn stake(&mut self, trader: usize, atoms: u64) -> Result<()> {
        self.attempt(|model| {
            model.require_free(trader, atoms)?;
            let amount = i128::from(atoms);
            let shares = floor_div(amount * (model.pool_shares + VIRTUAL), model.pool + VIRTUAL);
            if shares == 0 {
                return Err(EngineError::StakeTooSmall);
            }
            if model.pool_shares + shares + VIRTUAL > u64::MAX.into() {
                return Err(EngineError::Overflow);
            }
            let owner = model.trader(trader).owner;
            model.stake_of(owner).shares += shares;
            model.pool_shares += shares;
            model.pay_in(trader, -amount);
            model.pool += amount;
            model.note(CashEventKind::PoolStaked, trader, amount);
            Ok(())
        })
    }

    pub fn fund(&mut self, trader: usize, atoms: u64) -> Result<()> {
        self.attempt(|model| {
            model.require_free(trader, atoms)?;
            model.pay_in(trader, -i128::from(atoms));
            model.pool += i128::from(atoms);
            model.note(CashEventKind::PoolFunded, trader, atoms.into());
            Ok(())
        })
    }

    pub fn request_unstake(&mut self, trader: usize, shares: u64) -> Result<()> {
        self.attempt(|model| {
            if shares == 0 {
                return Err(EngineError::AmountZero);
            }
            let (now, owner) = (model.now, model.trader(trader).owner);
            let stake = model.stake_of(owner);
            if i128::from(shares) > stake.shares {
                return Err(EngineError::StakeTooLarge);
            }
            (stake.requested, stake.requested_at) = (shares.into(), now);
            model.note(CashEventKind::UnstakeRequested, trader, i128::from(shares).min(i64::MAX.into()));
            Ok(())
        })
    }

    pub fn unstake(&mut self, trader: usize) -> Result<()> {
        self.attempt(|model| {
            if model.forbids(Act::PayOut) {
                return Err(EngineError::ModeForbids);
            }
            let owner = model.trader(trader).owner;
            let stake = *model.stake_of(owner);
            let due = stake.requested_at + i64::from(model.policy.unstake_seconds);
            if stake.requested == 0 || model.now < due || model.now > due + WEEK {
                return Err(EngineError::UnstakeNotDue);
            }
            if !model.is_pool_open() {
                return Err(EngineError::PoolClosed);
            }
            let (pool, shares) = (model.pool, model.pool_shares);
            let priced = floor_div(stake.requested * (pool + VIRTUAL), shares + VIRTUAL);
            let atoms = priced.min(floor_div(stake.requested * pool, shares));
            if atoms == 0 {
                return Err(EngineError::StakeTooSmall);
            }
            let left = Stake { shares: stake.shares - stake.requested, requested: 0, requested_at: 0, ..stake };
            *model.stake_of(owner) = left;
            model.pool_shares -= stake.requested;
            model.pool -= atoms;
            model.pay_in(trader, atoms);
            model.note(CashEventKind::PoolUnstaked, trader, atoms);
            Ok(())
        })
    }

    fn is_pool_open(&self) -> bool {
        let arrived = |market: &usize| self.quality(*market) == Quality::Fresh && !self.markets[*market].lagging;
        let mut traded = (0..self.markets.len()).filter(|market| self.open_interest(*market) > 0);
        self.bankrupts() == 0 && traded.all(|market| arrived(&market))
    }

    /// The pool pays as much of a shortfall as it has and the market's budget of a day allows.
    pub(super) fn absorb(&mut self, trader: usize, market: usize, shortfall: i128) -> i128 {
        let (budget, now) = (self.markets[market].terms.pool_budget, self.now);
        let spent = &mut self.markets[market].pool_spent;
        let paid = shortfall.min(self.pool).min(spent.available(budget, DAY, now));
        if paid == 0 {
            return 0;
        }
        spent.spend(paid, budget, DAY, now);
        self.pool -= paid;
        if self.pool == 0 && self.pool_shares > 0 {
            (self.pool_shares, self.pool_epoch) = (0, self.pool_epoch + 1);
        }
        let account = self.trader_mut(trader);
        account.cash += paid;
        account.absorbed += paid;
        self.note(CashEventKind::ShortfallAbsorbed, trader, paid);
        paid
    }
}
