//! Trading accounts: opening, closing, and money in and out.

use crate::{
    error::{EngineError, Result},
    money,
    risk::{margin, price::Action},
    state::{CashEventKind, Key, Ledger, PositionCell, TraderCell},
    units::{CellIndex, Generation, MarketIndex, Now, QuoteAtoms},
};

/// Opens a trading account for `owner`. Fails with `LedgerFull`.
pub fn open_trader(ledger: &mut Ledger<'_>, now: Now, owner: Key, sub_account: u16) -> Result<CellIndex> {
    let index = ledger.header.cells.allocate(ledger.cells)?.ok_or(EngineError::LedgerFull)?;
    let generation = ledger.header.generation.get().checked_add(1).ok_or(EngineError::Overflow)?;
    ledger.header.generation = Generation::new(generation);
    ledger.header.traders = ledger.header.traders.wrapping_add(1);
    let cell = CellIndex::new(index);
    *ledger.cells.get_mut(cell.as_usize()).ok_or(EngineError::Corrupt)? =
        TraderCell::new(owner, sub_account, Generation::new(generation)).into_cell();
    ledger.record_amount(now, cell, CashEventKind::TraderOpened, i64::from(sub_account))?;
    Ok(cell)
}

/// Closes an account and frees its cells. Fails with `TraderNotEmpty` while it has cash, size or orders.
pub fn close_trader(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex) -> Result<()> {
    let view = ledger.view();
    let cell = view.trader(trader)?;
    if !cell.cash.is_zero() || view.positions(cell).any(|(_, position)| !position.is_empty()) {
        return Err(EngineError::TraderNotEmpty);
    }
    let mut next = cell.first_position;
    ledger.record_amount(now, trader, CashEventKind::TraderClosed, 0)?;
    while !next.is_nil() {
        let position = next;
        next = ledger.position(position)?.next;
        ledger.header.cells.release(ledger.cells, position.get())?;
    }
    ledger.header.cells.release(ledger.cells, trader.get())?;
    ledger.header.traders = ledger.header.traders.checked_sub(1).ok_or(EngineError::Corrupt)?;
    Ok(())
}

/// Books a deposit. The caller then fetches the tokens and fails unless they arrive. Fails with `AmountZero` or `DepositTooLarge`.
pub fn deposit(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, atoms: QuoteAtoms) -> Result<()> {
    if atoms.is_zero() {
        return Err(EngineError::AmountZero);
    }
    let cell = crate::state::ledger::trader_mut(ledger.cells, trader)?;
    money::receive(&mut ledger.header.total, &mut cell.cash, atoms)?;
    ledger.record_amount(now, trader, CashEventKind::Deposited, atoms.as_delta()?.get())
}

/// Books a withdrawal. The caller then sends the tokens. Fails with `AmountZero`, with `PriceNotValidForAction` while
/// exposed to a price that is not fresh, or with `WithdrawExceedsAvailable`.
pub fn withdraw(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, atoms: QuoteAtoms) -> Result<()> {
    if atoms.is_zero() {
        return Err(EngineError::AmountZero);
    }
    let view = ledger.view();
    let (available, validity) = margin::withdrawable(&view, view.trader(trader)?, now.unix_seconds)?;
    if !validity.allows(Action::Withdraw) {
        return Err(EngineError::PriceNotValidForAction);
    }
    if atoms > available {
        return Err(EngineError::WithdrawExceedsAvailable);
    }
    let cell = crate::state::ledger::trader_mut(ledger.cells, trader)?;
    money::pay_out(&mut ledger.header.total, &mut cell.cash, atoms)?;
    ledger.record_amount(now, trader, CashEventKind::Withdrawn, atoms.as_delta()?.get())
}

/// Books the payment of earned fees. The caller then sends the tokens. Fails with `AmountZero` or
/// `WithdrawExceedsAvailable`.
pub fn collect_fees(ledger: &mut Ledger<'_>, now: Now, atoms: QuoteAtoms) -> Result<()> {
    if atoms.is_zero() {
        return Err(EngineError::AmountZero);
    }
    money::pay_out(&mut ledger.header.total, &mut ledger.header.fees, atoms)?;
    ledger.record_amount(now, CellIndex::NIL, CashEventKind::FeesCollected, atoms.as_delta()?.get())
}

/// The trader's position cell in `market`, opened if there is none. Fails with `LedgerFull`.
#[inline(always)]
pub fn position_in(ledger: &mut Ledger<'_>, trader: CellIndex, market: MarketIndex) -> Result<CellIndex> {
    let first = ledger.trader(trader)?.first_position;
    let mut next = first;
    while !next.is_nil() {
        let position = ledger.position(next)?;
        if position.market == market {
            return Ok(next);
        }
        next = position.next;
    }
    open_position(ledger, trader, market, first)
}

fn open_position(
    ledger: &mut Ledger<'_>,
    trader: CellIndex,
    market: MarketIndex,
    first: CellIndex,
) -> Result<CellIndex> {
    let funding_index = ledger.row(market)?.funding_index;
    let index = ledger.header.cells.allocate(ledger.cells)?.ok_or(EngineError::LedgerFull)?;
    let cell = CellIndex::new(index);
    *ledger.cells.get_mut(cell.as_usize()).ok_or(EngineError::Corrupt)? =
        PositionCell::new(market, trader, first, funding_index).into_cell();
    let owner = ledger.trader_mut(trader)?;
    owner.first_position = cell;
    owner.positions = owner.positions.wrapping_add(1);
    Ok(cell)
}
