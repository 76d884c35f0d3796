//! The protection pool: shares, stake and what it pays for.
//!
//! Stakers hold shares of one bucket. Fees, gifts and what bankrupt accounts give back raise what a share is worth, what
//! the pool pays for them lowers it. Joining and leaving change no share's worth but by rounding, which stays in the pool:
//! * stake of `a` atoms makes `⌊a × (shares + V) / (pool + V)⌋` shares;
//! * `s` shares are worth `⌊s × (pool + V) / (shares + V)⌋` atoms, and no more than their part of the pool.
//!
//! V is a million shares and atoms that are not there: raising the worth of a share by a gift costs a million times what
//! it could take from the next staker's rounding, and the gift is lost to whoever makes it.
//!
//! A pool that has paid its last atom starts anew: its shares are void, which the epoch records, and nothing that is paid
//! in later is theirs.

use crate::{
    access, account,
    error::{EngineError, Result},
    governance::mode::Act,
    math, money,
    risk::price::Validity,
    state::{CashEventKind, Ledger, LedgerHeader, LedgerView, MarketRow, TraderCell, ledger, stake::PoolStake},
    units::{CellIndex, Now, QuoteAtoms, UnixSeconds},
};

/// Shares and atoms that prices are computed with although nobody has them.
pub const VIRTUAL: u64 = 1_000_000;
/// Window of a market's budget.
pub const BUDGET_SECONDS: u32 = 86_400;
/// Time in which stake can be taken out once it may be.
pub const UNSTAKE_WINDOW_SECONDS: u32 = 604_800;

/// Pays as much of what a bankrupt account lacks as the pool has and the market's budget allows, and notes it on the
/// account. Returns what was paid, maybe nothing. Fails with `Overflow`.
#[inline(always)]
pub fn absorb(
    header: &mut LedgerHeader,
    row: &mut MarketRow,
    trader: &mut TraderCell,
    atoms_wanted: QuoteAtoms,
    now: UnixSeconds,
) -> Result<QuoteAtoms> {
    let budget = row.risk.pool_budget.get();
    let allowed = row.pool_spent.available(budget, BUDGET_SECONDS, now)?;
    let paid = QuoteAtoms::new(atoms_wanted.get().min(atoms_of(header)).min(allowed));
    if paid.is_zero() {
        return Ok(paid);
    }
    row.pool_spent.spend(paid.get(), budget, BUDGET_SECONDS, now)?;
    money::post(&mut header.pool, &mut trader.cash, paid)?;
    trader.absorbed = trader.absorbed.checked_add(paid)?;
    if header.pool.is_zero() && header.pool_shares > 0 {
        header.pool_shares = 0;
        header.pool_epoch = header.pool_epoch.checked_add(1).ok_or(EngineError::Overflow)?;
    }
    Ok(paid)
}

/// Gives back to the pool what it has paid into an account, as far as the account has cash. If the shares that paid it
/// are void by now, it is nobody's and protects whoever stakes next. Returns what was given back, maybe nothing.
#[inline(always)]
pub fn repay(header: &mut LedgerHeader, trader: &mut TraderCell) -> Result<QuoteAtoms> {
    let cash = trader.cash.get().positive_part();
    let atoms = if cash < trader.absorbed { cash } else { trader.absorbed };
    money::post(&mut trader.cash, &mut header.pool, atoms)?;
    trader.absorbed = trader.absorbed.checked_sub(atoms)?;
    Ok(atoms)
}

/// Turns free cash into shares. Fails with `AccountGuarded`, as a withdrawal would: `ModeForbids`, `AmountZero`, `AccountBankrupt`, `PriceNotValidForAction`,
/// `WithdrawExceedsAvailable`; or with `StakeTooSmall` if it buys no share.
pub fn stake(
    ledger: &mut Ledger<'_>,
    stake: &mut PoolStake,
    now: Now,
    trader: CellIndex,
    atoms: QuoteAtoms,
) -> Result<()> {
    access::require_open(&ledger.view(), ledger.trader(trader)?, now.unix_seconds)?;
    account::require_free(ledger, now, trader, atoms)?;
    enter_epoch(stake, ledger.header);
    let shares = shares_for(ledger.header, atoms)?;
    if shares == 0 {
        return Err(EngineError::StakeTooSmall);
    }
    let all = ledger.header.pool_shares.checked_add(shares).ok_or(EngineError::Overflow)?;
    // BOUND: so that no worth of shares can overflow later.
    all.checked_add(VIRTUAL).ok_or(EngineError::Overflow)?;
    ledger.header.pool_shares = all;
    // BOUND: a staker has at most all shares.
    stake.shares = stake.shares.wrapping_add(shares);
    let owner = ledger::trader_mut(ledger.cells, trader)?;
    money::post(&mut owner.cash, &mut ledger.header.pool, atoms)?;
    owner.note_paid_out(atoms);
    ledger.record_amount(now, trader, CashEventKind::PoolStaked, atoms.as_delta()?.get())
}

/// Asks for shares to be paid once the policy's time has passed; replaces what was asked for before. `trader` only names
/// the staker in the audit trail. Fails with `AmountZero`, or with `StakeTooLarge` for more than the stake.
pub fn request_unstake(
    ledger: &mut Ledger<'_>,
    stake: &mut PoolStake,
    now: Now,
    trader: CellIndex,
    shares: u64,
) -> Result<()> {
    if shares == 0 {
        return Err(EngineError::AmountZero);
    }
    enter_epoch(stake, ledger.header);
    if shares > stake.shares {
        return Err(EngineError::StakeTooLarge);
    }
    (stake.requested, stake.requested_at) = (shares, now.unix_seconds);
    let amount = i64::try_from(shares).unwrap_or(i64::MAX);
    ledger.record_amount(now, trader, CashEventKind::UnstakeRequested, amount)
}

/// Pays the shares asked for into the trader's cash. Fails with `ModeForbids`, with `UnstakeNotDue` before the policy's time has passed, a week
/// after that, or if nothing was asked for; with `PoolClosed` while a loss may be open; with `StakeTooSmall` if the shares
/// are worth nothing.
pub fn unstake(ledger: &mut Ledger<'_>, stake: &mut PoolStake, now: Now, trader: CellIndex) -> Result<()> {
    ledger.header.modes.require(Act::PayOut, now.unix_seconds)?;
    enter_epoch(stake, ledger.header);
    let due = stake.requested_at.plus(ledger.header.policy.unstake_seconds)?;
    let lapsed = now.unix_seconds > due.plus(UNSTAKE_WINDOW_SECONDS)?;
    if stake.requested == 0 || now.unix_seconds < due || lapsed {
        return Err(EngineError::UnstakeNotDue);
    }
    if !is_open(&ledger.view(), now.unix_seconds) {
        return Err(EngineError::PoolClosed);
    }
    let shares = stake.requested;
    let atoms = worth(ledger.header, shares)?;
    if atoms.is_zero() {
        return Err(EngineError::StakeTooSmall);
    }
    stake.shares = stake.shares.checked_sub(shares).ok_or(EngineError::Corrupt)?;
    (stake.requested, stake.requested_at) = (0, UnixSeconds::ZERO);
    ledger.header.pool_shares = ledger.header.pool_shares.checked_sub(shares).ok_or(EngineError::Corrupt)?;
    let owner = ledger::trader_mut(ledger.cells, trader)?;
    money::post(&mut ledger.header.pool, &mut owner.cash, atoms)?;
    owner.note_paid_in(atoms);
    ledger.record_amount(now, trader, CashEventKind::PoolUnstaked, atoms.as_delta()?.get())
}

/// Gives free cash to the pool for good: it raises the worth of all shares. Fails with `AccountGuarded`, and as a
/// withdrawal would.
pub fn fund(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, atoms: QuoteAtoms) -> Result<()> {
    access::require_open(&ledger.view(), ledger.trader(trader)?, now.unix_seconds)?;
    account::require_free(ledger, now, trader, atoms)?;
    let owner = ledger::trader_mut(ledger.cells, trader)?;
    money::post(&mut owner.cash, &mut ledger.header.pool, atoms)?;
    owner.note_paid_out(atoms);
    ledger.record_amount(now, trader, CashEventKind::PoolFunded, atoms.as_delta()?.get())
}

/// What shares of the present epoch would be paid. Fails with `Overflow` for more shares than there are.
pub fn worth(header: &LedgerHeader, shares: u64) -> Result<QuoteAtoms> {
    if shares > header.pool_shares {
        return Err(EngineError::Overflow);
    }
    let (pool, all) = (atoms_of(header), header.pool_shares);
    if shares == 0 {
        return Ok(QuoteAtoms::ZERO);
    }
    // ROUND: down, what is left over is the others'. Without the second bound, the virtual atoms would be paid to whoever
    // leaves a pool first that has lost.
    let priced = math::mul_div_floor(shares, with_virtual(pool)?, with_virtual(all)?)?;
    let part = math::mul_div_floor(shares, pool, all)?;
    Ok(QuoteAtoms::new(priced.min(part)))
}

/// Whether stake may leave: no account is bankrupt, and every price that positions depend on is young and has arrived.
pub fn is_open(ledger: &LedgerView<'_>, now: UnixSeconds) -> bool {
    let settled = |row: &MarketRow| !row.is_lagging() && row.validity(now) == Validity::Fresh;
    let mut traded = ledger.rows.iter().filter(|row| !row.open_interest.is_zero());
    ledger.header.bankrupts == 0 && traded.all(settled)
}

/// ROUND: down, a fraction of a share is the others'.
fn shares_for(header: &LedgerHeader, atoms: QuoteAtoms) -> Result<u64> {
    math::mul_div_floor(atoms.get(), with_virtual(header.pool_shares)?, with_virtual(atoms_of(header))?)
}

/// Shares of an earlier epoch are void, and so is what was asked for of them.
const fn enter_epoch(stake: &mut PoolStake, header: &LedgerHeader) {
    if stake.epoch != header.pool_epoch {
        stake.epoch = header.pool_epoch;
        stake.shares = 0;
        stake.requested = 0;
        stake.requested_at = UnixSeconds::ZERO;
    }
}

const fn atoms_of(header: &LedgerHeader) -> u64 {
    header.pool.get().positive_part().get()
}

fn with_virtual(amount: u64) -> Result<u64> {
    amount.checked_add(VIRTUAL).ok_or(EngineError::Overflow)
}
