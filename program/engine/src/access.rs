//! Who else may trade for an account, what its orders may cost, and where its money may go.
//!
//! # Guarded accounts
//! An account with a *withdraw delay* is guarded: its cash leaves by `Withdraw` alone, and that to a token account that was
//! named a target at least the delay before. Whatever would weaken that waits the delay itself: a new target, a shorter
//! delay. Whatever strengthens it acts at once: a longer delay, a target less. So whoever steals the owner's key can take
//! nothing out before the owner had that long to see it coming.
//!
//! Every other way out is closed ([`require_open`], [`require_strict`]): a transfer to an account that is not guarded as
//! strictly, stake, which belongs to the owner and not to the account, gifts to the pool, builders' fees, tips. A withdrawal that waits
//! in the queue is looked at again when its turn comes ([`may_pay`]).

use crate::{
    error::{EngineError, Result},
    state::{AccessCell, CashEventKind, Cell, Key, Ledger, LedgerView, TraderCell, ledger::trader_mut},
    units::{CellIndex, Now, Ppm, UnixSeconds},
};

/// Longest delay of withdrawals: 30 days.
pub const WITHDRAW_DELAY_MAX: u32 = 2_592_000;
/// A [`TraderCell::fee_max`] that every market meets.
pub const FEE_UNLIMITED: Ppm = Ppm::new(u32::MAX);

/// Whether a withdraw delay can be this.
pub const fn is_withdraw_delay(seconds: u32) -> bool {
    seconds <= WITHDRAW_DELAY_MAX
}

/// Names who may also trade for an account, or, with a zero key, nobody. Fails with `TraderNotFound`, `LedgerFull`.
pub fn set_delegate(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, delegate: Key) -> Result<()> {
    edit(ledger, trader, |cell| {
        cell.delegate = delegate;
        Ok(())
    })?;
    ledger.record_amount(now, trader, CashEventKind::DelegateSet, i64::from(!delegate.is_zero()))
}

/// Sets the largest taker fee of a market in which the account's orders are accepted. Fails with `TraderNotFound`.
pub fn set_fee_max(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, fee_max: Ppm) -> Result<()> {
    trader_mut(ledger.cells, trader)?.fee_max = fee_max;
    ledger.record_amount(now, trader, CashEventKind::FeeMaxSet, i64::from(fee_max.get()))
}

/// Sets how long new targets wait; the caller has checked [`is_withdraw_delay`]. A longer delay holds at once, a shorter one
/// once the present one has passed; either ends a change under way. Fails with `TraderNotFound`, `LedgerFull`.
pub fn set_withdraw_delay(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, seconds: u32) -> Result<()> {
    edit(ledger, trader, |cell| {
        settle(cell, now.unix_seconds);
        (cell.next_delay, cell.next_delay_at) = (0, UnixSeconds::ZERO);
        if seconds >= cell.withdraw_delay {
            cell.withdraw_delay = seconds;
        } else {
            (cell.next_delay, cell.next_delay_at) = (seconds, now.unix_seconds.plus(cell.withdraw_delay)?);
        }
        Ok(())
    })?;
    ledger.record_amount(now, trader, CashEventKind::WithdrawDelaySet, i64::from(seconds))
}

/// Names a token account that withdrawals may go to once the delay now in force has passed. Fails with `TargetListed` if it
/// is one already, `TargetsFull`, `TraderNotFound`, `LedgerFull`.
pub fn allow_target(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, target: Key) -> Result<()> {
    let mut delay = 0;
    edit(ledger, trader, |cell| {
        settle(cell, now.unix_seconds);
        delay = cell.withdraw_delay;
        if cell.targets.contains(&target) {
            return Err(EngineError::TargetListed);
        }
        let mut places = cell.targets.iter_mut().zip(&mut cell.allowed_from);
        let free = places.find(|(place, _)| place.is_zero()).ok_or(EngineError::TargetsFull)?;
        (*free.0, *free.1) = (target, now.unix_seconds.plus(delay)?.low_half());
        Ok(())
    })?;
    ledger.record_amount(now, trader, CashEventKind::TargetSet, i64::from(delay))
}

/// Strikes a target off, at once. Fails with `TargetNotFound`, `TraderNotFound`.
pub fn disallow_target(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, target: Key) -> Result<()> {
    if ledger.view().access(ledger.trader(trader)?)?.is_none() {
        return Err(EngineError::TargetNotFound);
    }
    edit(ledger, trader, |cell| {
        let mut places = cell.targets.iter_mut().zip(&mut cell.allowed_from);
        let found =
            places.find(|(place, _)| **place == target && !target.is_zero()).ok_or(EngineError::TargetNotFound)?;
        (*found.0, *found.1) = (Key::ZERO, 0);
        Ok(())
    })?;
    ledger.record_amount(now, trader, CashEventKind::TargetSet, -1)
}

/// Whether a withdrawal of the account to this token account may be paid now.
pub fn may_pay(ledger: &LedgerView<'_>, trader: &TraderCell, target: &Key, now: UnixSeconds) -> Result<bool> {
    Ok(ledger.access(trader)?.is_none_or(|cell| cell.allows(target, now)))
}

/// Fails with `AccountGuarded` if cash of the account may leave by withdrawals alone.
pub fn require_open(ledger: &LedgerView<'_>, trader: &TraderCell, now: UnixSeconds) -> Result<()> {
    let guarded = ledger.access(trader)?.is_some_and(|cell| cell.is_guarded(now));
    if guarded { Err(EngineError::AccountGuarded) } else { Ok(()) }
}

/// Fails with `AccountGuarded` if `sink` is guarded less strictly than `source`: its delay is shorter or about to change, or it
/// has a target that `source` has not or has only later.
pub fn require_strict(ledger: &LedgerView<'_>, source: &TraderCell, sink: &TraderCell, now: UnixSeconds) -> Result<()> {
    let Some(guard) = ledger.access(source)?.filter(|cell| cell.is_guarded(now)) else {
        return Ok(());
    };
    let other = ledger.access(sink)?.ok_or(EngineError::AccountGuarded)?;
    let steady = !other.is_changing() || now >= other.next_delay_at;
    let earlier = |from: u32, than: u32| than.wrapping_sub(from).cast_signed() >= 0;
    let shared = other
        .listed()
        .all(|(target, from)| guard.listed().any(|(known, since)| known == target && earlier(since, from)));
    let strict = steady && shared && other.delay(now) >= guard.delay(now);
    if strict { Ok(()) } else { Err(EngineError::AccountGuarded) }
}

/// Frees the account's cell, if it has one.
pub fn release(ledger: &mut Ledger<'_>, trader: CellIndex) -> Result<()> {
    let owner = ledger.trader_mut(trader)?;
    let cell = core::mem::replace(&mut owner.access, CellIndex::NIL);
    if cell.is_nil() { Ok(()) } else { ledger.header.cells.release(ledger.cells, cell.get()) }
}

/// Changes the account's cell, which is allocated if there is none and freed if nothing is left in it.
fn edit(ledger: &mut Ledger<'_>, trader: CellIndex, change: impl FnOnce(&mut AccessCell) -> Result<()>) -> Result<()> {
    let mut index = ledger.trader(trader)?.access;
    let mut cell = ledger.view().access(ledger.trader(trader)?)?.copied().unwrap_or_else(|| AccessCell::new(trader));
    change(&mut cell)?;
    if cell.is_empty() {
        return release(ledger, trader);
    }
    if index.is_nil() {
        let free = ledger.header.cells.allocate(ledger.cells)?.ok_or(EngineError::LedgerFull)?;
        index = CellIndex::new(free);
        ledger.trader_mut(trader)?.access = index;
    }
    let place: &mut Cell = ledger.cells.get_mut(index.as_usize()).ok_or(EngineError::Corrupt)?;
    *place = cell.into_cell();
    Ok(())
}

/// Writes down a change of the delay whose time has come.
fn settle(cell: &mut AccessCell, now: UnixSeconds) {
    cell.withdraw_delay = cell.delay(now);
    if now >= cell.next_delay_at {
        (cell.next_delay, cell.next_delay_at) = (0, UnixSeconds::ZERO);
    }
}
