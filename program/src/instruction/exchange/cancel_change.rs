//! `CancelChange`: takes a change out of the queue. The admin and the guardian may take any, the lister his own; one that has
//! lapsed anybody.
//!
//! Accounts
//! 0. `[signer]` admin, guardian or lister; anybody for a change that has lapsed
//! 1. `[writable]` exchange
//! 2. `[writable]` ledger
//! 3. `[]` instructions sysvar
//!
//! Fails with `WrongInstructionsSysvar`, `DurableNonce`, `WrongLedger`, `ChangeNotFound`, `NotAuthorized` and the account
//! errors.

use super::{check_ledger, official};
use crate::{
    account::own_mut,
    error::{Refusal, engine},
    instruction::{Context, now},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    governance::change::Governed,
    state::{Exchange, Ledger},
};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CancelChange {
    /// Number of the change.
    pub number: u64,
}

const _: () = assert!(size_of::<CancelChange>() == 8);

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: CancelChange = context.arguments()?;
    let [by, exchange, ledger, sysvar] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let by = official(by, sysvar)?;
    let mut exchange = own_mut(exchange, context.program_id)?;
    let exchange = Exchange::load_mut(&mut exchange).map_err(engine)?;
    check_ledger(exchange, ledger)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let mut governed = Governed { exchange, ledger: &mut ledger, now: now()? };
    if !governed.may_cancel(arguments.number, by.as_array()).map_err(engine)? {
        return Err(Refusal::NotAuthorized.into());
    }
    governed.cancel(arguments.number).map_err(engine)
}
