//! The end of every run: failing accounts are wound up, all orders cancelled, all positions closed against each other,
//! and everybody leaves with everything, stakers included, until nothing is left that is anybody's.

use super::driver::Driver;
use crate::floor::{Floor, Role, WALLET_ATOMS};
use anyhow::{Result, ensure};
use quantdesk_client::{
    engine::{Lots, QuoteAtoms, Side, Ticks, outflow::WINDOW_SECONDS},
    order::Ticket,
};

/// What the end proved.
pub struct Drained {
    /// Hash of the state when trading ended.
    pub state_before: String,
    /// Hash of the state when everybody had left.
    pub state_after: String,
    /// Volume of the positions closed at the end, in atoms.
    pub closed: u128,
    /// Fees paid out at the end, in atoms.
    pub fees_collected: u64,
    /// Accounts whose equity was found not negative.
    pub solvent: u64,
    /// Withdrawals that had to wait.
    pub queued: u64,
    /// Atoms that accounts which never traded lost.
    pub bystanders_lost: i128,
    /// When failing accounts had been wound up, before everybody left.
    pub calm_unix: i64,
    /// What of the pool belonged to no share; paid out with the last fees.
    pub ownerless: u64,
    /// Tokens left in the vault.
    pub vault_tokens: u64,
}

/// Ends a run. Fails unless every cell is free, nothing is left in the vault, and profits, losses, fees and what of the pool
/// belonged to no share add up to zero.
pub fn drain(driver: &mut Driver) -> Result<Drained> {
    driver.calm_down()?;
    let state_before = driver.floor.desk.state_hash()?;
    let calm_unix = driver.floor.desk.chain.unix_seconds();
    let floor = &mut driver.floor;
    floor.check()?;
    let bystanders_lost = bystanders_lost(floor)?;
    let solvent = check_solvency(floor)?;
    let traded = floor.journal.tally.volume;
    for market in 0..floor.desk.markets.len() {
        cancel_everything(floor, market)?;
        let closed = close_positions(floor, market)?;
        ensure!(closed, "{}: positions in {} could not be closed", floor.step(), floor.desk.markets[market].symbol);
    }
    let closed = floor.journal.tally.volume - traded;
    // Funding that nobody is owed goes to the pool.
    driver.keeper.refresh(&mut driver.floor)?;
    let floor = &mut driver.floor;
    floor.check()?;
    let fees_collected = collect_fees(floor)?;
    leave_pool(floor)?;
    let queued = leave(floor)?;
    check_only_pool(floor)?;
    let ownerless = take_ownerless(floor)?;
    check_zero_sum(floor, fees_collected + ownerless)?;
    floor.check()?;
    let vault_tokens = floor.desk.chain.tokens(&floor.desk.venue.vault)?;
    ensure!(vault_tokens == 0, "{}: {vault_tokens} tokens are left in the vault", floor.step());
    let state_after = floor.desk.state_hash()?;
    Ok(Drained {
        state_before,
        state_after,
        closed,
        fees_collected,
        solvent,
        queued,
        bystanders_lost,
        calm_unix,
        ownerless,
        vault_tokens,
    })
}

/// What accounts that never traded lack of what they deposited.
fn bystanders_lost(floor: &Floor) -> Result<i128> {
    let mut lost = 0;
    for number in floor.open_accounts() {
        let account = &floor.accounts[number];
        if account.role == Role::Bystander {
            let has = i128::from(floor.maintenance(number)?.equity.get());
            lost += i128::from(account.deposited) - i128::from(account.withdrawn) - has;
        }
    }
    Ok(lost)
}

fn check_solvency(floor: &Floor) -> Result<u64> {
    let open = floor.open_accounts();
    for account in &open {
        let (equity, name) = (floor.maintenance(*account)?.equity.get(), &floor.accounts[*account].name);
        ensure!(equity >= 0, "{}: invariant R4: {name} has equity of {equity} atoms", floor.step());
    }
    Ok(open.len() as u64)
}

fn cancel_everything(floor: &mut Floor, market: usize) -> Result<()> {
    for account in floor.open_accounts() {
        floor.cancel_triggers(account, market)?;
        if floor.position(account, market)?.is_some_and(|position| position.orders > 0) {
            floor.cancel_all(account, market)?;
        }
    }
    let left = floor.best(market, Side::Bid)?.or(floor.best(market, Side::Ask)?);
    ensure!(left.is_none(), "{}: an order is left in {}", floor.step(), floor.desk.markets[market].symbol);
    Ok(())
}

/// Pairs longs with shorts at the mark: the short bids, the long sells, both reduce-only. False if one of them was refused.
pub fn close_positions(floor: &mut Floor, market: usize) -> Result<bool> {
    let row = floor.row(market)?;
    let (mark, lots_max) = (row.mark, row.lots_max.get());
    while let Some((long, short, lots)) = pair(floor, market)? {
        let lots = Lots::new(lots.min(lots_max));
        let bid = reducing(Side::Bid, mark, lots).post_only().build();
        let ask = reducing(Side::Ask, mark, lots).immediate_or_cancel().build();
        if !floor.rest(short, market, &bid)? || floor.take(long, market, &ask)? != Some(lots.get()) {
            return Ok(false);
        }
    }
    Ok(true)
}

const fn reducing(side: Side, mark: Ticks, lots: Lots) -> Ticket {
    Ticket::of(side, mark, lots).reduce_only()
}

/// The first long and the first short account, and what they can close against each other.
fn pair(floor: &Floor, market: usize) -> Result<Option<(usize, usize, u64)>> {
    let (mut long, mut short) = (None, None);
    for account in floor.open_accounts() {
        let base = floor.position(account, market)?.map_or(0, |position| position.base.get());
        let place = if base > 0 { &mut long } else { &mut short };
        if base != 0 && place.is_none() {
            *place = Some((account, base.unsigned_abs()));
        }
    }
    Ok(long.zip(short).map(|((long, held), (short, owed))| (long, short, held.min(owed))))
}

/// Stakers take their shares out, after the policy's time.
fn leave_pool(floor: &mut Floor) -> Result<()> {
    let mut staked = Vec::new();
    for account in floor.open_accounts() {
        let shares = if floor.accounts[account].role == Role::Staker { floor.shares(account)? } else { 0 };
        if shares > 0 {
            floor.request_unstake(account, shares)?;
            staked.push(account);
        }
    }
    let wait = floor.desk.ledger_view()?.header.policy.unstake_seconds;
    pass(floor, wait);
    for account in staked {
        floor.unstake(account)?;
    }
    let shares = floor.desk.ledger_view()?.header.pool_shares;
    ensure!(shares == 0, "{}: {shares} shares of the pool are nobody's", floor.step());
    Ok(())
}

fn pass(floor: &mut Floor, seconds: u32) {
    let now = floor.desk.chain.unix_millis();
    floor.desk.chain.advance_to(now + i64::from(seconds) * 1_000);
}

/// Everybody withdraws everything and closes the account. Returns how many withdrawals had to wait.
fn leave(floor: &mut Floor) -> Result<u64> {
    for account in floor.open_accounts() {
        let equity = floor.maintenance(account)?.equity.get();
        if let Some(atoms) = u64::try_from(equity).ok().filter(|atoms| *atoms > 0) {
            floor.withdraw(account, atoms)?;
        }
    }
    let queued = floor.queue_len()?;
    let wait = floor.desk.ledger_view()?.header.policy.queue_seconds;
    pass(floor, wait);
    while floor.queue_len()? > 0 {
        ensure!(floor.pay_first()?, "{}: a withdrawal waits longer than anybody has to", floor.step());
    }
    for account in floor.open_accounts() {
        let closed = floor.close(account)?;
        ensure!(closed, "{}: {} could not leave", floor.step(), floor.accounts[account].name);
    }
    Ok(u64::from(queued))
}

/// Collects all fees; returns what was paid out of the vault, the rest being the pool's.
fn collect_fees(floor: &mut Floor) -> Result<u64> {
    let fees = u64::try_from(floor.desk.ledger_view()?.header.fees.get().get())?;
    let tally = floor.journal.tally;
    ensure!(
        i128::from(fees) == tally.taker_fees + tally.maker_fees,
        "{}: invariant M5: the trail tells of other fees than the {fees} atoms earned",
        floor.step()
    );
    if fees == 0 {
        return Ok(0);
    }
    let collector = floor.desk.fee_collector;
    let target = floor.desk.fund(&collector, 0)?;
    let instruction = floor.desk.venue.collect_fees(collector, target, QuoteAtoms::new(fees));
    ensure!(floor.send("CollectFees", instruction)?, "{}: the fees could not be collected", floor.step());
    floor.read_cash()?;
    let share = u128::from(floor.desk.ledger_view()?.header.policy.pool_fee_share.get());
    let kept = u64::try_from((u128::from(fees) * share).div_ceil(1_000_000))?;
    let paid = floor.desk.chain.tokens(&target)?;
    ensure!(paid == fees - kept, "{}: invariant M1: fees went astray", floor.step());
    Ok(paid)
}

/// Collects what is left of the pool, which counts as fees once nobody is there.
fn take_ownerless(floor: &mut Floor) -> Result<u64> {
    let atoms = u64::try_from(floor.desk.ledger_view()?.header.pool.get().get())?;
    if atoms > 0 {
        // Those who left have used up what may leave in an hour.
        pass(floor, WINDOW_SECONDS);
        let collector = floor.desk.fee_collector;
        let target = floor.desk.fund(&collector, 0)?;
        let instruction = floor.desk.venue.collect_fees(collector, target, QuoteAtoms::new(atoms));
        ensure!(floor.send("CollectFees", instruction)?, "{}: the pool of nobody stays in the vault", floor.step());
        floor.read_cash()?;
    }
    Ok(atoms)
}

fn check_only_pool(floor: &mut Floor) -> Result<()> {
    floor.check()?;
    let tokens = floor.desk.chain.tokens(&floor.desk.venue.vault)?;
    let header = floor.desk.ledger_view()?.header;
    let (total, cells) = (header.total.get().get(), header.cells.in_use());
    let pool = header.pool.get().get();
    let only_pool = i128::from(tokens) == i128::from(pool) && total == pool;
    ensure!(only_pool, "{}: {tokens} tokens are left, {total} are owed, {pool} are the pool's", floor.step());
    ensure!(cells == 0, "{}: {cells} cells of the ledger are not free", floor.step());
    Ok(())
}

/// Counted in tokens, which nothing but the token program moves.
fn check_zero_sum(floor: &Floor, collected: u64) -> Result<()> {
    let mut sum = i128::from(collected);
    for account in &floor.accounts {
        let gained = i128::from(floor.desk.chain.tokens(&account.wallet)?) - i128::from(WALLET_ATOMS);
        let booked = i128::from(account.withdrawn) - i128::from(account.deposited);
        ensure!(gained == booked, "{}: {} has {gained} atoms more, not {booked}", floor.step(), account.name);
        sum += gained;
    }
    ensure!(sum == 0, "{}: invariant M3: profits, losses and fees add up to {sum} atoms", floor.step());
    Ok(())
}
