//! Trading accounts: opening, closing, and money in and out.

use crate::{
    access,
    error::{EngineError, Result},
    governance::{mode::Act, seal},
    money, outflow,
    risk::{margin, price::Action},
    state::{CashEventKind, Cell, Key, Ledger, LedgerHeader, PositionCell, TraderCell, ledger::trader_mut},
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

/// Closes an account and frees its cells. Fails with `TraderNotEmpty` while it has cash, size, orders or a withdrawal that
/// waits, or is bankrupt.
pub fn close_trader(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex) -> Result<()> {
    let view = ledger.view();
    let cell = view.trader(trader)?;
    let bound = !cell.cash.is_zero() || !cell.withdrawal.is_nil() || cell.is_bankrupt();
    if bound || view.positions(cell).any(|(_, position)| !position.is_empty()) {
        return Err(EngineError::TraderNotEmpty);
    }
    let mut next = cell.first_position;
    ledger.record_amount(now, trader, CashEventKind::TraderClosed, 0)?;
    while !next.is_nil() {
        let position = next;
        next = ledger.position(position)?.next;
        ledger.header.cells.release(ledger.cells, position.get())?;
    }
    access::release(ledger, trader)?;
    ledger.header.cells.release(ledger.cells, trader.get())?;
    ledger.header.traders = ledger.header.traders.checked_sub(1).ok_or(EngineError::Corrupt)?;
    Ok(())
}

/// Shortest time a dead-man switch can be set to.
pub const DEADMAN_SECONDS_MIN: u32 = 5;
/// Longest time a dead-man switch can be set to.
pub const DEADMAN_SECONDS_MAX: u32 = 86_400;

/// Whether a dead-man switch can be set to this: to nothing, which turns it off, or to a time within bounds.
pub const fn is_deadman_time(seconds: u32) -> bool {
    seconds == 0 || (seconds >= DEADMAN_SECONDS_MIN && seconds <= DEADMAN_SECONDS_MAX)
}

/// Notes that the trader is there, and for how long that shall hold; the caller has checked [`is_deadman_time`]. Fails
/// with `TraderNotFound`.
pub fn heartbeat(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, seconds: u32) -> Result<()> {
    let cell = trader_mut(ledger.cells, trader)?;
    (cell.deadman_seconds, cell.heartbeat_at) = (seconds, now.unix_seconds.low_half());
    Ok(())
}

/// Books a deposit. The caller then fetches the tokens and fails unless they arrive. Fails with `AmountZero`, with
/// `ExchangeNotSealed` before there are rules that protect it, or with `DepositTooLarge`.
pub fn deposit(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, atoms: QuoteAtoms) -> Result<()> {
    if atoms.is_zero() {
        return Err(EngineError::AmountZero);
    }
    seal::require_sealed(ledger.header)?;
    let cell = trader_mut(ledger.cells, trader)?;
    money::receive(&mut ledger.header.total, &mut cell.cash, atoms)?;
    cell.note_paid_in(atoms);
    ledger.record_amount(now, trader, CashEventKind::Deposited, atoms.as_delta()?.get())
}

/// What became of a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// Booked as paid: the caller sends the tokens.
    Paid,
    /// Taken from cash; waits in the queue.
    Queued,
}

/// Books a withdrawal to the token account `target`: as paid if the outflow limiter lets it out and nobody waits, else at
/// the end of the queue. Fails with `TargetNotAllowed`, `ModeForbids`, `AmountZero`, `AccountBankrupt`, with `PriceNotValidForAction` while exposed to a
/// price that is not fresh, with `WithdrawExceedsAvailable`; if it has to wait, with `WithdrawalWaiting` or `LedgerFull`.
pub fn withdraw(
    ledger: &mut Ledger<'_>,
    now: Now,
    trader: CellIndex,
    atoms: QuoteAtoms,
    target: &Key,
) -> Result<Withdrawal> {
    if !access::may_pay(&ledger.view(), ledger.trader(trader)?, target, now.unix_seconds)? {
        return Err(EngineError::TargetNotAllowed);
    }
    require_free(ledger, now, trader, atoms)?;
    if !outflow::may_leave(ledger.header, atoms, now.unix_seconds)? {
        outflow::enqueue(ledger, now, trader, atoms, target)?;
        return Ok(Withdrawal::Queued);
    }
    outflow::spend(ledger.header, atoms, now.unix_seconds)?;
    let cell = trader_mut(ledger.cells, trader)?;
    money::pay_out(&mut ledger.header.total, &mut cell.cash, atoms)?;
    cell.note_paid_out(atoms);
    ledger.record_amount(now, trader, CashEventKind::Withdrawn, atoms.as_delta()?.get())?;
    Ok(Withdrawal::Paid)
}

/// Moves free cash between two accounts of one owner. Fails with `TransferInvalid` if they are the same account or not of
/// one owner, with `AccountGuarded` if the receiving one is guarded less strictly, with `AccountBankrupt` if it is bankrupt, and
/// as a withdrawal.
pub fn transfer(
    ledger: &mut Ledger<'_>,
    now: Now,
    trader: CellIndex,
    target: CellIndex,
    atoms: QuoteAtoms,
) -> Result<()> {
    if trader == target || ledger.trader(trader)?.owner != ledger.trader(target)?.owner {
        return Err(EngineError::TransferInvalid);
    }
    let (giver, taker) = (ledger.trader(trader)?, ledger.trader(target)?);
    access::require_strict(&ledger.view(), giver, taker, now.unix_seconds)?;
    require_free(ledger, now, trader, atoms)?;
    let pair = ledger.cells.get_disjoint_mut([trader.as_usize(), target.as_usize()]);
    let [source, sink] = pair.map_err(|_| EngineError::Corrupt)?.map(Cell::trader_mut);
    let (source, sink) = (source.ok_or(EngineError::Corrupt)?, sink.ok_or(EngineError::Corrupt)?);
    if sink.is_bankrupt() {
        return Err(EngineError::AccountBankrupt);
    }
    money::post(&mut source.cash, &mut sink.cash, atoms)?;
    source.note_paid_out(atoms);
    sink.note_paid_in(atoms);
    let amount = atoms.as_delta()?;
    ledger.record_amount(now, trader, CashEventKind::CashTransferred, amount.negated()?.get())?;
    ledger.record_amount(now, target, CashEventKind::CashTransferred, amount.get())
}

/// Fails with `ModeForbids`, `AmountZero`, with `AccountBankrupt`, with `PriceNotValidForAction` while exposed to a price that is not
/// fresh, or with `WithdrawExceedsAvailable`: what is not withdrawable must not leave the account in any way.
pub fn require_free(ledger: &Ledger<'_>, now: Now, trader: CellIndex, atoms: QuoteAtoms) -> Result<()> {
    ledger.header.modes.require(Act::PayOut, now.unix_seconds)?;
    if atoms.is_zero() {
        return Err(EngineError::AmountZero);
    }
    let view = ledger.view();
    let cell = view.trader(trader)?;
    if cell.is_bankrupt() {
        return Err(EngineError::AccountBankrupt);
    }
    let (available, validity) = margin::withdrawable(&view, cell, now.unix_seconds)?;
    if !validity.allows(Action::Withdraw) {
        return Err(EngineError::PriceNotValidForAction);
    }
    if atoms > available { Err(EngineError::WithdrawExceedsAvailable) } else { Ok(()) }
}

/// Books the payment of earned fees: the pool's share goes to the pool, the rest is returned and the caller sends it. When
/// there is no account and no share of the pool any more, what is left of the pool counts as fees. Fails
/// with `ModeForbids`, `AmountZero`, with `WithdrawExceedsAvailable`, or with `OutflowLimited` if the rest may not leave at once.
pub fn collect_fees(ledger: &mut Ledger<'_>, now: Now, atoms: QuoteAtoms) -> Result<QuoteAtoms> {
    ledger.header.modes.require(Act::PayOut, now.unix_seconds)?;
    if atoms.is_zero() {
        return Err(EngineError::AmountZero);
    }
    let ended = take_ownerless_pool(ledger.header)?;
    let header = &mut *ledger.header;
    if atoms > header.fees.get().positive_part() {
        return Err(EngineError::WithdrawExceedsAvailable);
    }
    // ROUND: up, for the pool.
    let pooled = if ended { QuoteAtoms::ZERO } else { atoms.ppm_ceil(header.policy.pool_fee_share)? };
    let paid = atoms.checked_sub(pooled)?;
    if !paid.is_zero() {
        if !outflow::may_leave(header, paid, now.unix_seconds)? {
            return Err(EngineError::OutflowLimited);
        }
        outflow::spend(header, paid, now.unix_seconds)?;
        money::pay_out(&mut header.total, &mut header.fees, paid)?;
        ledger.record_amount(now, CellIndex::NIL, CashEventKind::FeesCollected, paid.as_delta()?.get())?;
    }
    if !pooled.is_zero() {
        money::post(&mut ledger.header.fees, &mut ledger.header.pool, pooled)?;
        ledger.record_amount(now, CellIndex::NIL, CashEventKind::PoolFunded, pooled.as_delta()?.get())?;
    }
    Ok(paid)
}

/// Once there is neither an account nor a share of the pool, the pool protects nobody and is nobody's: it becomes fees, so
/// that an exchange can be left empty. Returns whether that is so.
fn take_ownerless_pool(header: &mut LedgerHeader) -> Result<bool> {
    if header.traders > 0 || header.pool_shares > 0 {
        return Ok(false);
    }
    let pool = header.pool.get().positive_part();
    money::post(&mut header.pool, &mut header.fees, pool)?;
    Ok(true)
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
