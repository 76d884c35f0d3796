//! `ListMarket`: gives a blank market account a row in the ledger and its oracle sources a place in the exchange, while the
//! exchange is not sealed.
//!
//! The client creates the market account beforehand, exactly as large as the capacities ask for.
//!
//! Accounts
//! 0. `[signer]` admin
//! 1. `[writable]` exchange
//! 2. `[writable]` ledger
//! 3. `[signer, writable]` market, blank: its key signs, or anybody could take a waiting account for an exchange of theirs
//! 4. `[]` instructions sysvar
//!
//! Arguments: [`ListingParameters`], 704 bytes.
//!
//! Fails with `FieldInvalid` unless padding, unused tiers and unused sources are zero, with `NotAuthorized`,
//! `WrongLedger`, `DurableNonce`, `ExchangeSealed`, `MarketsFull`, `CapacityInvalid`, `AccountNotBlank`, the listing errors and the account errors.

use super::{check_admin, official};
use crate::{
    account::{key_of, own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, now},
};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    CellIndex,
    governance::seal,
    risk::listing::{self, ListingParameters},
    state::{CashEvent, CashEventKind, Exchange, Ledger, Market},
};

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let parameters: ListingParameters = context.arguments()?;
    expect(parameters.is_padded())?;
    let [admin, exchange, ledger, market, sysvar] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let admin = official(admin, sysvar)?;
    signer(market)?;
    let mut exchange = own_mut(exchange, context.program_id)?;
    let exchange = Exchange::load_mut(&mut exchange).map_err(engine)?;
    check_admin(exchange, admin, ledger)?;
    let (ledger_key, market_key) = (key_of(ledger.address()), key_of(market.address()));
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let mut market = own_mut(market, context.program_id)?;
    seal::require_unsealed(ledger.header).map_err(engine)?;
    let now = now()?;
    let index = listing::list(&mut ledger, now, market_key, &parameters).map_err(engine)?;
    exchange.set_sources(index, parameters.sources()).map_err(engine)?;
    let (side, events) = (parameters.side_capacity, parameters.events_capacity);
    let market = Market::create(&mut market, ledger_key, index, side, events).map_err(engine)?;
    market.header.taker_delay = u32::from(parameters.taker_delay);
    let mut event = CashEvent::new(CashEventKind::MarketListed);
    event.market = index;
    event.amount = i64::from(index.get());
    ledger.record(now, CellIndex::NIL, event).map_err(engine)
}
