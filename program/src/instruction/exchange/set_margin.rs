//! `SetMargin`: changes a market's margin tiers at once, and its maintenance share over a ramp that starts where no open
//! position needs more than before.
//!
//! Accounts
//! 0. `[signer]` admin
//! 1. `[]` exchange
//! 2. `[writable]` ledger
//!
//! Arguments: [`MarginParameters`], 112 bytes.
//!
//! Fails with `FieldInvalid` unless padding and unused tiers are zero, with `MarketNotFound`, `MarketStatusInvalid` for a
//! market that is settled or closed, `ListingRiskInvalid` for a ramp out of bounds, `ListingTiersInvalid`,
//! `ListingEnvelopeExceeded`, `NotAuthorized`, `WrongLedger` and the account errors.

use super::check_admin;
use crate::{
    account::{own, own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, now},
};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    risk::life::{self, MarginParameters},
    state::{Exchange, Ledger},
};

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let parameters: MarginParameters = context.arguments()?;
    expect(parameters.is_padded())?;
    let [admin, exchange, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let admin = signer(admin)?;
    let exchange = own(exchange, context.program_id)?;
    check_admin(Exchange::load(&exchange).map_err(engine)?, admin, ledger)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    life::set_margin(&mut ledger, now()?, &parameters).map_err(engine)
}
