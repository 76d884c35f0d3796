//! What may leave the vault, and the queue of what must wait.
//!
//! Whatever is wrong elsewhere — a bug, a price, a stolen key — tokens leave no faster than a leaky bucket lets them: at
//! once at most its capacity, and the same again in each window after that. A withdrawal that does not fit is taken from
//! the trader's cash at once and joins a first-in-first-out queue, which nothing can overtake: while somebody waits,
//! every withdrawal queues, and fees are not paid out. Nobody waits longer than the policy says, however empty the bucket.

use crate::{
    error::{EngineError, Result},
    governance::mode::Act,
    math, money,
    state::{
        CashEventKind, Cell, Key, Ledger, LedgerHeader, LedgerView, WithdrawalCell,
        ledger::{Policy, trader_mut},
    },
    units::{CellIndex, Now, Ppm, QuoteAtoms, UnixSeconds},
};
use bytemuck::{Pod, Zeroable};

/// Window of the outflow limiter.
pub const WINDOW_SECONDS: u32 = 3_600;

/// A leaky bucket: what was spent fades linearly within a window, and together with what is spent now never exceeds a
/// capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Bucket {
    /// Spent and not yet faded, at [`Self::at`].
    spent: u64,
    /// When that was.
    at: UnixSeconds,
}

impl Bucket {
    /// What may be spent now. The capacity may differ from call to call. Fails with `DivisionByZero` for a window of zero.
    pub fn available(&self, capacity: u64, window: u32, now: UnixSeconds) -> Result<u64> {
        Ok(capacity.saturating_sub(self.level(capacity, window, now)?))
    }

    /// Spends `amount`. More than was available fills the bucket, and no more than that: it is empty again a window later.
    pub fn spend(&mut self, amount: u64, capacity: u64, window: u32, now: UnixSeconds) -> Result<()> {
        self.spent = self.level(capacity, window, now)?.saturating_add(amount).min(capacity);
        if now > self.at {
            self.at = now;
        }
        Ok(())
    }

    /// ROUND: what fades is floored, so a bucket that is asked often never lets more through. It fades as fast as it was
    /// filled, also when the capacity has shrunk since: after a window nothing is left.
    fn level(&self, capacity: u64, window: u32, now: UnixSeconds) -> Result<u64> {
        let elapsed = now.since(self.at).min(u64::from(window));
        let faded = math::mul_div_floor(capacity.max(self.spent), elapsed, u64::from(window))?;
        Ok(self.spent.saturating_sub(faded))
    }
}

const OUTFLOW_RATE_MIN: Ppm = Ppm::new(1_000);
const QUEUE_SECONDS_MIN: u32 = 3_600;
const QUEUE_SECONDS_MAX: u32 = 604_800;
const UNSTAKE_SECONDS_MIN: u32 = 86_400;
const UNSTAKE_SECONDS_MAX: u32 = 2_592_000;
const WHOLE: Ppm = Ppm::new(1_000_000);

impl Policy {
    /// Fails with `PolicyInvalid` unless between 0.1% and all of the total may leave in an hour, nobody waits less than an
    /// hour or more than a week, and stake is bound for between a day and 30 days; with `FeeScheduleInvalid` as
    /// [`FeeSchedule::check`](crate::state::fees::FeeSchedule::check).
    pub fn check(&self) -> Result<()> {
        let rate = self.outflow_rate >= OUTFLOW_RATE_MIN && self.outflow_rate <= WHOLE;
        let queue = self.queue_seconds >= QUEUE_SECONDS_MIN && self.queue_seconds <= QUEUE_SECONDS_MAX;
        let unstake = self.unstake_seconds >= UNSTAKE_SECONDS_MIN && self.unstake_seconds <= UNSTAKE_SECONDS_MAX;
        let valid = rate && queue && unstake && self.pool_fee_share <= WHOLE;
        if valid { self.fees.check() } else { Err(EngineError::PolicyInvalid) }
    }
}

/// What may leave within a window: a share of the total, or the floor if that is more.
pub fn capacity(header: &LedgerHeader) -> Result<u64> {
    // ROUND: down, less leaves.
    let share = header.total.get().positive_part().ppm_floor(header.policy.outflow_rate)?;
    Ok(share.get().max(header.policy.outflow_floor.get()))
}

/// Whether the bucket lets `atoms` out now.
fn is_available(header: &LedgerHeader, atoms: QuoteAtoms, now: UnixSeconds) -> Result<bool> {
    Ok(header.outflow.available(capacity(header)?, WINDOW_SECONDS, now)? >= atoms.get())
}

/// Whether `atoms` may leave at once: the bucket lets them out, and nobody waits.
pub fn may_leave(header: &LedgerHeader, atoms: QuoteAtoms, now: UnixSeconds) -> Result<bool> {
    Ok(header.queue_len == 0 && is_available(header, atoms, now)?)
}

/// Counts `atoms` that are about to leave, before the total is changed.
pub fn spend(header: &mut LedgerHeader, atoms: QuoteAtoms, now: UnixSeconds) -> Result<()> {
    let capacity = capacity(header)?;
    header.outflow.spend(atoms.get(), capacity, WINDOW_SECONDS, now)
}

/// Takes a withdrawal out of the trader's cash and puts it at the end of the queue. Fails with `WithdrawalWaiting` if the
/// trader has one there, or with `LedgerFull`.
pub fn enqueue(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, atoms: QuoteAtoms, target: &Key) -> Result<()> {
    if !ledger.trader(trader)?.withdrawal.is_nil() {
        return Err(EngineError::WithdrawalWaiting);
    }
    let index = ledger.header.cells.allocate(ledger.cells)?.ok_or(EngineError::LedgerFull)?;
    let cell = CellIndex::new(index);
    *ledger.cells.get_mut(cell.as_usize()).ok_or(EngineError::Corrupt)? =
        WithdrawalCell::new(trader, *target, atoms, now.unix_seconds).into_cell();
    let last = ledger.header.queue_last;
    if last.is_nil() {
        ledger.header.queue_first = cell;
    } else {
        withdrawal_mut(ledger.cells, last)?.next = cell;
    }
    ledger.header.queue_last = cell;
    ledger.header.queue_len = ledger.header.queue_len.checked_add(1).ok_or(EngineError::Overflow)?;
    let owner = trader_mut(ledger.cells, trader)?;
    owner.withdrawal = cell;
    money::post(&mut owner.cash, &mut ledger.header.withdraw_queue, atoms)?;
    owner.note_paid_out(atoms);
    ledger.record_amount(now, trader, CashEventKind::WithdrawalQueued, atoms.as_delta()?.get())
}

/// The waiting withdrawals with their cells, in the order in which they will be paid. Ends early on a contradiction in the
/// bytes; the invariants report it.
pub fn waiting<'a>(ledger: &LedgerView<'a>) -> impl Iterator<Item = (CellIndex, &'a WithdrawalCell)> {
    let cells = ledger.cells;
    let mut next = ledger.header.queue_first;
    let mut left = ledger.header.queue_len;
    core::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let cell = next;
        let first = withdrawal(cells, cell).ok()?;
        next = first.next;
        Some((cell, first))
    })
}

/// The first waiting withdrawal, if the bucket lets it out or it has waited as long as anybody has to. Fails with
/// `ModeForbids` or `QueueNotDue`.
pub fn due(ledger: &LedgerView<'_>, now: UnixSeconds) -> Result<WithdrawalCell> {
    let header = ledger.header;
    header.modes.require(Act::PayOut, now)?;
    if header.queue_first.is_nil() {
        return Err(EngineError::QueueNotDue);
    }
    let first = withdrawal(ledger.cells, header.queue_first)?;
    let waited = now.since(first.requested_at) >= u64::from(header.policy.queue_seconds);
    if waited || is_available(header, first.atoms, now)? { Ok(*first) } else { Err(EngineError::QueueNotDue) }
}

/// Books the payment of the first waiting withdrawal, which is [`due`]. The caller then sends the tokens.
pub fn pay_first(ledger: &mut Ledger<'_>, now: Now) -> Result<()> {
    let first = dequeue(ledger)?;
    spend(ledger.header, first.atoms, now.unix_seconds)?;
    money::pay_out(&mut ledger.header.total, &mut ledger.header.withdraw_queue, first.atoms)?;
    ledger.record_amount(now, first.trader, CashEventKind::WithdrawalPaid, first.atoms.as_delta()?.get())
}

/// Gives the first waiting withdrawal, which is [`due`], back to its trader's cash: its target cannot be paid.
pub fn return_first(ledger: &mut Ledger<'_>, now: Now) -> Result<()> {
    let first = dequeue(ledger)?;
    let owner = trader_mut(ledger.cells, first.trader)?;
    money::post(&mut ledger.header.withdraw_queue, &mut owner.cash, first.atoms)?;
    owner.note_paid_in(first.atoms);
    ledger.record_amount(now, first.trader, CashEventKind::WithdrawalReturned, first.atoms.as_delta()?.get())
}

/// Takes the first withdrawal off the queue and frees its cell; its atoms are still in the bucket of the queue.
fn dequeue(ledger: &mut Ledger<'_>) -> Result<WithdrawalCell> {
    let cell = ledger.header.queue_first;
    let first = *withdrawal(ledger.cells, cell)?;
    ledger.header.queue_first = first.next;
    if first.next.is_nil() {
        ledger.header.queue_last = CellIndex::NIL;
    }
    ledger.header.queue_len = ledger.header.queue_len.checked_sub(1).ok_or(EngineError::Corrupt)?;
    ledger.header.cells.release(ledger.cells, cell.get())?;
    ledger.trader_mut(first.trader)?.withdrawal = CellIndex::NIL;
    Ok(first)
}

fn withdrawal(cells: &[Cell], index: CellIndex) -> Result<&WithdrawalCell> {
    cells.get(index.as_usize()).and_then(Cell::withdrawal).ok_or(EngineError::Corrupt)
}

fn withdrawal_mut(cells: &mut [Cell], index: CellIndex) -> Result<&mut WithdrawalCell> {
    cells.get_mut(index.as_usize()).and_then(Cell::withdrawal_mut).ok_or(EngineError::Corrupt)
}
