//! `CloseMarket`: removes the account of a settled market in which no position and no order is left. The admin gets its
//! rent. The market's row stays, closed for ever, and its address cannot be listed again.
//!
//! Accounts
//! 0. `[signer, writable]` admin
//! 1. `[]` exchange
//! 2. `[writable]` ledger
//! 3. `[writable]` market
//! 4. `[]` instructions sysvar
//!
//! Fails with `MarketStatusInvalid` unless the market is settled, `MarketNotEmpty`, `NotAuthorized`, `WrongLedger`,
//! `DurableNonce` and the account errors.

use super::{check_admin, official};
use crate::{
    account::{own, own_mut, resize, writable},
    error::{Refusal, engine},
    instruction::{Context, now},
};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    risk::life,
    state::{Exchange, Ledger, Market},
};

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let []: [u8; 0] = context.arguments()?;
    let [admin, exchange, ledger, market, sysvar] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let admin_address = official(admin, sysvar)?;
    writable(admin)?;
    {
        let exchange = own(exchange, context.program_id)?;
        check_admin(Exchange::load(&exchange).map_err(engine)?, admin_address, ledger)?;
        let ledger_address = *ledger.address();
        let mut ledger = own_mut(ledger, context.program_id)?;
        let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
        let mut market = own_mut(market, context.program_id)?;
        let market = Market::load(&mut market).map_err(engine)?;
        if !market.header.ledger.matches(ledger_address.as_array()) {
            return Err(Refusal::WrongLedger.into());
        }
        life::close_market(&mut ledger, now()?, market.header).map_err(engine)?;
    }
    resize::remove(market, admin)
}
