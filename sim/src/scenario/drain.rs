//! The end of every run: prices are refreshed, all orders cancelled, all positions closed against each other, and
//! everybody leaves with everything, until the vault is empty.

use super::driver::Driver;
use crate::floor::{Account, Floor, WALLET_ATOMS};
use anyhow::{Result, ensure};
use quantdesk_client::{
    engine::{Lots, QuoteAtoms, Side, Ticks},
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
    /// Tokens left in the vault.
    pub vault_tokens: u64,
}

/// Ends a run. Fails unless the vault is empty, every cell free, and profits, losses and fees add up to zero.
pub fn drain(driver: &mut Driver) -> Result<Drained> {
    let state_before = driver.floor.desk.state_hash()?;
    driver.keeper.refresh(&mut driver.floor)?;
    driver.floor.call_margin(driver.call)?;
    let floor = &mut driver.floor;
    floor.check()?;
    let solvent = check_solvency(floor)?;
    let traded = floor.journal.tally.volume;
    for market in 0..floor.desk.markets.len() {
        cancel_everything(floor, market)?;
        close_positions(floor, market)?;
    }
    let closed = floor.journal.tally.volume - traded;
    leave(floor)?;
    let fees_collected = collect_fees(floor)?;
    check_empty(floor)?;
    check_zero_sum(floor, fees_collected)?;
    let vault_tokens = floor.desk.chain.tokens(&floor.desk.venue.vault)?;
    Ok(Drained { state_before, state_after: floor.desk.state_hash()?, closed, fees_collected, solvent, vault_tokens })
}

fn check_solvency(floor: &Floor) -> Result<u64> {
    for (number, account) in floor.accounts.iter().enumerate() {
        let equity = floor.maintenance(number)?.equity.get();
        ensure!(equity >= 0, "{}: invariant R4: {} has equity of {equity} atoms", floor.step(), account.name);
    }
    Ok(floor.accounts.len() as u64)
}

fn cancel_everything(floor: &mut Floor, market: usize) -> Result<()> {
    for account in 0..floor.accounts.len() {
        if floor.position(account, market)?.is_some_and(|position| position.orders > 0) {
            floor.cancel_all(account, market)?;
        }
    }
    let left = floor.best(market, Side::Bid)?.or(floor.best(market, Side::Ask)?);
    ensure!(left.is_none(), "{}: an order is left in {}", floor.step(), floor.desk.markets[market].symbol);
    Ok(())
}

/// Pairs longs with shorts at the mark: the short bids, the long sells, both reduce-only.
fn close_positions(floor: &mut Floor, market: usize) -> Result<()> {
    let row = floor.row(market)?;
    let (mark, lots_max) = (row.mark, row.lots_max.get());
    while let Some((long, short, lots)) = pair(floor, market)? {
        let lots = Lots::new(lots.min(lots_max));
        for (account, side) in [(short, Side::Bid), (long, Side::Ask)] {
            let accepted = match side {
                Side::Bid => floor.rest(account, market, &reducing(side, mark, lots).post_only().build())?,
                Side::Ask => {
                    let order = reducing(side, mark, lots).immediate_or_cancel().build();
                    floor.take(account, market, &order)? == Some(lots.get())
                }
            };
            let (step, name) = (floor.step(), &floor.accounts[account].name);
            ensure!(accepted, "{step}: {name} could not close its position in {}", floor.desk.markets[market].symbol);
        }
    }
    Ok(())
}

const fn reducing(side: Side, mark: Ticks, lots: Lots) -> Ticket {
    Ticket::of(side, mark, lots).reduce_only()
}

/// The first long and the first short account, and what they can close against each other.
fn pair(floor: &Floor, market: usize) -> Result<Option<(usize, usize, u64)>> {
    let (mut long, mut short) = (None, None);
    for account in 0..floor.accounts.len() {
        let base = floor.position(account, market)?.map_or(0, |position| position.base.get());
        let place = if base > 0 { &mut long } else { &mut short };
        if base != 0 && place.is_none() {
            *place = Some((account, base.unsigned_abs()));
        }
    }
    Ok(long.zip(short).map(|((long, held), (short, owed))| (long, short, held.min(owed))))
}

/// Everybody withdraws everything and closes the account.
fn leave(floor: &mut Floor) -> Result<()> {
    for account in 0..floor.accounts.len() {
        let equity = floor.maintenance(account)?.equity.get();
        if let Some(atoms) = u64::try_from(equity).ok().filter(|atoms| *atoms > 0) {
            floor.withdraw(account, atoms)?;
        }
        let Account { trader, name, .. } = &floor.accounts[account];
        let (instruction, name) = (floor.desk.venue.close_trader(trader), name.clone());
        ensure!(floor.send("CloseTrader", instruction)?, "{}: {name} could not leave", floor.step());
    }
    Ok(())
}

fn collect_fees(floor: &mut Floor) -> Result<u64> {
    let fees = u64::try_from(floor.desk.ledger_view()?.header.fees.get().get())?;
    let tally = floor.journal.tally;
    ensure!(
        i128::from(fees) == tally.taker_fees + tally.maker_fees,
        "{}: invariant M5: the trail tells of other fees than the {fees} atoms earned",
        floor.step()
    );
    if fees > 0 {
        let admin = floor.desk.admin;
        let target = floor.desk.fund(&admin, 0)?;
        let instruction = floor.desk.venue.collect_fees(admin, target, QuoteAtoms::new(fees));
        ensure!(floor.send("CollectFees", instruction)?, "{}: the fees could not be collected", floor.step());
        ensure!(floor.desk.chain.tokens(&target)? == fees, "{}: invariant M1: fees went astray", floor.step());
    }
    Ok(fees)
}

fn check_empty(floor: &mut Floor) -> Result<()> {
    floor.check()?;
    let tokens = floor.desk.chain.tokens(&floor.desk.venue.vault)?;
    let header = floor.desk.ledger_view()?.header;
    let (total, cells) = (header.total.get().get(), header.cells.in_use());
    ensure!(tokens == 0 && total == 0, "{}: {tokens} tokens are left, {total} are owed", floor.step());
    ensure!(cells == 0, "{}: {cells} cells of the ledger are not free", floor.step());
    Ok(())
}

/// Counted in tokens, which nothing but the token program moves.
fn check_zero_sum(floor: &Floor, fees: u64) -> Result<()> {
    let mut sum = i128::from(fees);
    for account in &floor.accounts {
        let gained = i128::from(floor.desk.chain.tokens(&account.wallet)?) - i128::from(WALLET_ATOMS);
        let booked = i128::from(account.withdrawn) - i128::from(account.deposited);
        ensure!(gained == booked, "{}: {} has {gained} atoms more, not {booked}", floor.step(), account.name);
        sum += gained;
    }
    ensure!(sum == 0, "{}: invariant M3: profits, losses and fees add up to {sum} atoms", floor.step());
    Ok(())
}
