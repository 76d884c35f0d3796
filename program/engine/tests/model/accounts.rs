//! Accounts in the model: opening, closing, money in and out, cancelling.

use super::{Model, Order, PPM, Trader, ceil_div, outflow::Waiting, price::Quality};
use quantdesk_engine::{
    EngineError, Result, Side,
    account::Withdrawal,
    book::Sides,
    governance::mode::Act,
    state::{CashEventKind, TradeEventKind},
};

impl Model {
    /// Opens a trader and returns its number.
    pub fn open(&mut self, owner: u64, sub_account: u16) -> Result<usize> {
        self.attempt(|model| {
            let cell = model.take_cell()?;
            model.generation += 1;
            model.traders.push(Some(Trader {
                cell,
                owner,
                sub_account,
                generation: model.generation,
                cash: 0,
                paid_in: 0,
                fee_max: u32::MAX,
                positions: vec![None; model.markets.len()],
                entered: Vec::new(),
                bankrupt: false,
                absorbed: 0,
                deadman: (0, 0),
                fees: super::fees::TraderFees::default(),
            }));
            let id = model.traders.len() - 1;
            model.note(CashEventKind::TraderOpened, id, sub_account.into());
            Ok(id)
        })
    }

    pub fn close(&mut self, trader: usize) -> Result<()> {
        self.attempt(|model| {
            let account = model.trader(trader).clone();
            let flat = account.positions.iter().flatten().all(|held| held.base == 0 && held.quote == 0);
            let idle = |market: usize| {
                let triggers = model.triggers_of(trader, market).is_empty();
                triggers && model.markets[market].orders_of(trader).next().is_none()
            };
            let quiet = (0..model.markets.len()).all(idle);
            if account.cash != 0 || !flat || !quiet || account.bankrupt || model.waits(trader) {
                return Err(EngineError::TraderNotEmpty);
            }
            model.note(CashEventKind::TraderClosed, trader, 0);
            model.traders[trader] = None;
            // The newest position first, the account itself last.
            let positions = account.entered.iter().rev().filter_map(|market| account.positions[*market]);
            model.released.extend(positions.map(|held| held.cell).chain([account.cell]));
            Ok(())
        })
    }

    pub fn deposit(&mut self, trader: usize, atoms: u64) -> Result<()> {
        self.attempt(|model| {
            if atoms == 0 {
                return Err(EngineError::AmountZero);
            }
            if model.total + i128::from(atoms) > 1 << 62 {
                return Err(EngineError::DepositTooLarge);
            }
            model.total += i128::from(atoms);
            model.pay_in(trader, atoms.into());
            model.note(CashEventKind::Deposited, trader, atoms.into());
            Ok(())
        })
    }

    /// Moves cash in from outside the account's trading, or out of it.
    pub(super) fn pay_in(&mut self, trader: usize, amount: i128) {
        let account = self.trader_mut(trader);
        account.cash += amount;
        account.paid_in += amount;
    }

    /// What may leave an account is what its positions leave free.
    pub(super) fn require_free(&self, trader: usize, atoms: u64) -> Result<()> {
        let (available, worst) = self.withdrawable(trader);
        match () {
            () if self.forbids(Act::PayOut) => Err(EngineError::ModeForbids),
            () if atoms == 0 => Err(EngineError::AmountZero),
            () if self.trader(trader).bankrupt => Err(EngineError::AccountBankrupt),
            () if worst != Quality::Fresh => Err(EngineError::PriceNotValidForAction),
            () if i128::from(atoms) > available => Err(EngineError::WithdrawExceedsAvailable),
            () => Ok(()),
        }
    }

    pub fn withdraw(&mut self, trader: usize, atoms: u64) -> Result<Withdrawal> {
        self.attempt(|model| {
            model.require_free(trader, atoms)?;
            let amount = i128::from(atoms);
            if model.may_leave(amount) {
                model.spend(amount);
                model.total -= amount;
                model.pay_in(trader, -amount);
                model.note(CashEventKind::Withdrawn, trader, amount);
                return Ok(Withdrawal::Paid);
            }
            if model.waits(trader) {
                return Err(EngineError::WithdrawalWaiting);
            }
            let cell = model.take_cell()?;
            model.queue.push_back(Waiting { cell, trader, atoms: amount, since: model.now });
            model.pay_in(trader, -amount);
            model.note(CashEventKind::WithdrawalQueued, trader, amount);
            Ok(Withdrawal::Queued)
        })
    }

    pub fn transfer(&mut self, trader: usize, target: usize, atoms: u64) -> Result<()> {
        self.attempt(|model| {
            if trader == target || model.trader(trader).owner != model.trader(target).owner {
                return Err(EngineError::TransferInvalid);
            }
            model.require_free(trader, atoms)?;
            if model.trader(target).bankrupt {
                return Err(EngineError::AccountBankrupt);
            }
            let amount = i128::from(atoms);
            model.pay_in(trader, -amount);
            model.pay_in(target, amount);
            model.note(CashEventKind::CashTransferred, trader, -amount);
            model.note(CashEventKind::CashTransferred, target, amount);
            Ok(())
        })
    }

    /// Returns what is paid out.
    pub fn collect_fees(&mut self, atoms: u64) -> Result<i128> {
        self.attempt(|model| {
            let amount = i128::from(atoms);
            if model.forbids(Act::PayOut) {
                return Err(EngineError::ModeForbids);
            }
            if amount == 0 {
                return Err(EngineError::AmountZero);
            }
            if amount > model.fees {
                return Err(EngineError::WithdrawExceedsAvailable);
            }
            let pooled = ceil_div(amount * i128::from(model.policy.pool_fee_share.get()), PPM);
            let paid = amount - pooled;
            if paid > 0 {
                if !model.may_leave(paid) {
                    return Err(EngineError::OutflowLimited);
                }
                model.spend(paid);
                model.total -= paid;
                model.note_of_nobody(CashEventKind::FeesCollected, paid, 0);
            }
            if pooled > 0 {
                model.pool += pooled;
                model.note_of_nobody(CashEventKind::PoolFunded, pooled, 0);
            }
            model.fees -= amount;
            Ok(paid)
        })
    }

    pub fn grow(&mut self, cells: u32) -> Result<()> {
        self.attempt(|model| {
            if cells == 0 {
                return Err(EngineError::CapacityInvalid);
            }
            model.capacity += cells;
            Ok(())
        })
    }

    pub fn cancel(&mut self, trader: usize, market: usize, sequence: Option<u64>) -> Result<()> {
        self.attempt(|model| {
            let order = sequence.and_then(|sequence| model.markets[market].find(sequence));
            let order = order.filter(|order| order.trader == trader).cloned().ok_or(EngineError::OrderNotFound)?;
            if model.markets[market].waits(order.sequence) {
                return Err(EngineError::OrderWaiting);
            }
            model.drop_order(market, &order, TradeEventKind::Cancelled, super::NOBODY);
            Ok(())
        })
    }

    pub fn cancel_all(&mut self, trader: usize, market: usize, sides: Sides, limit: u8) -> Result<u8> {
        self.attempt(|model| {
            let wanted = |side| match sides {
                Sides::Both => true,
                Sides::Bids => side == Side::Bid,
                Sides::Asks => side == Side::Ask,
            };
            let mut orders = model.newest_first(trader, market);
            orders.retain(|order| wanted(order.side) && !model.markets[market].waits(order.sequence));
            orders.truncate(limit.into());
            for order in &orders {
                model.drop_order(market, order, TradeEventKind::Cancelled, super::NOBODY);
            }
            Ok(orders.len() as u8)
        })
    }

    pub(super) fn newest_first(&self, trader: usize, market: usize) -> Vec<Order> {
        let mut orders: Vec<Order> = self.markets[market].orders_of(trader).cloned().collect();
        orders.sort_by_key(|order| std::cmp::Reverse(order.listed));
        orders
    }
}
