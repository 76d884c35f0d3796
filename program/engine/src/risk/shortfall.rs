//! Bankrupt accounts: how one is marked, what the pool pays, and how it is resolved.
//!
//! An account whose equity is not positive is *bankrupt*. It is marked, so that its owner can do nothing but reduce,
//! cancel and deposit, and so that no stake leaves the pool meanwhile. What the pool pays into it stays a claim of the
//! pool (`absorbed`): when the account has no size left, its cash goes back to the pool first. So what was absorbed
//! never becomes anybody's to withdraw (M4). The account is *resolved* when it has neither size nor debt.

use super::{
    margin::{self, MaintenanceMargin},
    price::Action,
};
use crate::{
    error::{EngineError, Result},
    money::{self, Balance},
    pool,
    state::{CashEvent, CashEventKind, Ledger, ledger},
    units::{CellIndex, MarketIndex, Now, QuoteAtoms, QuoteDelta},
};

/// Maintenance margin of an account whose prices allow `action`. Fails with `PriceNotValidForAction`.
pub fn health(ledger: &Ledger<'_>, trader: CellIndex, action: Action, now: Now) -> Result<MaintenanceMargin> {
    let view = ledger.view();
    let health = margin::maintenance(&view, view.trader(trader)?, now.unix_seconds)?;
    if health.validity.allows(action) { Ok(health) } else { Err(EngineError::PriceNotValidForAction) }
}

/// Marks an account as bankrupt; nothing if it is marked already. `equity` is for the record.
pub fn mark_bankrupt(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, equity: QuoteDelta) -> Result<()> {
    let cell = ledger.trader_mut(trader)?;
    if cell.is_bankrupt() {
        return Ok(());
    }
    cell.bankrupt = 1;
    ledger.header.bankrupts = ledger.header.bankrupts.checked_add(1).ok_or(EngineError::Overflow)?;
    ledger.record_amount(now, trader, CashEventKind::Bankrupt, equity.get())
}

/// Puts the tips of all triggers of an account back into its cash, so that it hides nothing from those who pay for it. The
/// triggers stay; what is left of a bankrupt account's can be removed by anybody.
pub fn return_tips(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex) -> Result<()> {
    let mut tips = Balance::ZERO;
    let mut position = ledger.trader(trader)?.first_position;
    while !position.is_nil() {
        let held = ledger.position(position)?;
        let mut next = held.first_trigger;
        position = held.next;
        while !next.is_nil() {
            let trigger = ledger.trigger_mut(next)?;
            next = trigger.next;
            let tip = trigger.tip.get().positive_part();
            money::post(&mut trigger.tip, &mut tips, tip)?;
        }
    }
    let returned = tips.get().positive_part();
    if returned.is_zero() {
        return Ok(());
    }
    let owner = ledger.trader_mut(trader)?;
    money::post(&mut tips, &mut owner.cash, returned)?;
    owner.note_paid_in(returned);
    ledger.record_amount(now, trader, CashEventKind::TipsReturned, returned.as_delta()?.get())
}

/// What an account lacks, and the market whose budget is used for it.
#[derive(Clone, Copy, Debug)]
pub struct Shortfall {
    /// The account.
    pub trader: CellIndex,
    /// The market.
    pub market: MarketIndex,
    /// What is missing.
    pub atoms: QuoteAtoms,
}

/// Lets the pool pay for a shortfall as far as pool and market's budget reach; returns what it paid.
pub fn absorb(ledger: &mut Ledger<'_>, now: Now, shortfall: &Shortfall) -> Result<QuoteAtoms> {
    let Shortfall { trader, market, atoms } = *shortfall;
    if market.get() >= ledger.header.markets_len {
        return Err(EngineError::MarketNotFound);
    }
    let row = ledger.rows.get_mut(usize::from(market.get())).ok_or(EngineError::MarketNotFound)?;
    let cell = ledger::trader_mut(ledger.cells, trader)?;
    let paid = pool::absorb(ledger.header, row, cell, atoms, now.unix_seconds)?;
    if !paid.is_zero() {
        let mut event = CashEvent::new(CashEventKind::ShortfallAbsorbed);
        event.market = market;
        event.amount = paid.as_delta()?.get();
        ledger.record(now, trader, event)?;
    }
    Ok(paid)
}

/// Ends a bankruptcy once the account has no size: what it has goes back to the pool, up to what the pool paid; then, if
/// it owes nothing, the mark comes off. Nothing if it is not bankrupt or still has size.
pub fn resolve(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex) -> Result<()> {
    let view = ledger.view();
    let cell = view.trader(trader)?;
    if !cell.is_bankrupt() || view.positions(cell).any(|(_, position)| !position.base.is_zero()) {
        return Ok(());
    }
    let cell = ledger::trader_mut(ledger.cells, trader)?;
    let repaid = pool::repay(ledger.header, cell)?;
    if !repaid.is_zero() {
        ledger.record_amount(now, trader, CashEventKind::ShortfallRepaid, repaid.as_delta()?.get())?;
    }
    let cell = ledger.trader_mut(trader)?;
    if cell.cash.get() < QuoteDelta::ZERO {
        return Ok(());
    }
    let lost = cell.absorbed;
    (cell.bankrupt, cell.absorbed) = (0, QuoteAtoms::ZERO);
    ledger.header.bankrupts = ledger.header.bankrupts.checked_sub(1).ok_or(EngineError::Corrupt)?;
    ledger.record_amount(now, trader, CashEventKind::Resolved, lost.as_delta()?.get())
}

/// `AbsorbShortfall`: marks an account without equity as bankrupt, lets the pool pay what it lacks, resolves it if it
/// has no size. `market` is one the account has traded in; its budget is used.
///
/// Fails with `PriceNotValidForAction`, `AccountHealthy` if it has equity and is not bankrupt, `MarketNotFound` if it
/// never traded in that market, `NothingToAbsorb` if that would change nothing.
pub fn absorb_shortfall(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, market: MarketIndex) -> Result<()> {
    return_tips(ledger, now, trader)?;
    let health = health(ledger, trader, Action::Deleverage, now)?;
    let view = ledger.view();
    let cell = view.trader(trader)?;
    let was_bankrupt = cell.is_bankrupt();
    if health.equity >= QuoteDelta::ZERO && !was_bankrupt {
        return Err(EngineError::AccountHealthy);
    }
    if !view.positions(cell).any(|(_, position)| position.market == market) {
        return Err(EngineError::MarketNotFound);
    }
    mark_bankrupt(ledger, now, trader, health.equity)?;
    let atoms = if health.equity < QuoteDelta::ZERO { health.equity.magnitude() } else { QuoteAtoms::ZERO };
    let paid = absorb(ledger, now, &Shortfall { trader, market, atoms })?;
    resolve(ledger, now, trader)?;
    let changed = !was_bankrupt || !paid.is_zero() || !ledger.trader(trader)?.is_bankrupt();
    if changed { Ok(()) } else { Err(EngineError::NothingToAbsorb) }
}
