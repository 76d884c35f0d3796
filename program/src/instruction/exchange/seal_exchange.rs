//! `SealExchange`: ends the setting up of an exchange, once and for ever. From then on traders may deposit, and what
//! loosens or lists goes through the queue of changes.
//!
//! Accounts
//! 0. `[signer]` admin
//! 1. `[]` exchange
//! 2. `[writable]` ledger
//! 3. `[]` instructions sysvar
//!
//! Fails with `ExchangeSealed` if that was done, with `NotAuthorized`, `WrongLedger`, `DurableNonce` and the account errors.

use super::as_admin;
use crate::instruction::Context;
use pinocchio::ProgramResult;
use quantdesk_engine::governance::seal;

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let []: [u8; 0] = context.arguments()?;
    as_admin(context, seal::seal)
}
