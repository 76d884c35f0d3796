//! `SetMargin`: changes a market's margin tiers at once, and its maintenance share over a ramp that starts where no open
//! position needs more than before. On a sealed exchange it only tightens; what loosens goes through `ProposeChange`.
//!
//! Accounts
//! 0. `[signer]` admin
//! 1. `[]` exchange
//! 2. `[writable]` ledger
//! 3. `[]` instructions sysvar
//!
//! Arguments: [`MarginParameters`], 112 bytes.
//!
//! Fails with `FieldInvalid` unless padding and unused tiers are zero, with `MarketNotFound`, `MarketStatusInvalid` for a
//! market that is settled or closed, `ListingRiskInvalid` for a ramp out of bounds, `ListingTiersInvalid`,
//! `ListingEnvelopeExceeded`, on a sealed exchange `MarginRampRunning`, `ChangeStepTooLarge` and `ChangeNotTightening`, with
//! `NotAuthorized`, `WrongLedger`, `DurableNonce` and the account errors.

use super::as_admin;
use crate::instruction::{Context, expect};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    governance::change,
    risk::life::{self, MarginParameters},
};

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let parameters: MarginParameters = context.arguments()?;
    expect(parameters.is_padded())?;
    as_admin(context, |ledger, now| {
        change::check_margin(ledger, now, &parameters)?;
        life::set_margin(ledger, now, &parameters)
    })
}
