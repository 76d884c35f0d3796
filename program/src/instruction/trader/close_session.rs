//! `CloseSession`: ends a session at once, whatever has become of its trader. The session's rent is the owner's.
//!
//! Accounts
//! 0. `[signer, writable]` owner, who opened it
//! 1. `[writable]` ledger
//! 2. `[writable]` session
//!
//! Fails with `WrongLedger`, `NotAuthorized`, `AccountsCount` and the account errors.

use crate::{
    account::{own_mut, resize, signer, writable},
    error::{Refusal, engine},
    instruction::{Context, now},
};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    UnixSeconds, session as rules,
    state::{Ledger, Session},
};

/// Runs the instruction. It has no arguments.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let () = context.arguments()?;
    let [owner, ledger, session] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let owner_address = signer(owner)?;
    writable(owner)?;
    {
        let ledger_address = *ledger.address();
        let mut ledger = own_mut(ledger, context.program_id)?;
        let mut bytes = own_mut(session, context.program_id)?;
        let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
        let closed = Session::load_mut(&mut bytes).map_err(engine)?;
        if !closed.ledger.matches(ledger_address.as_array()) {
            return Err(Refusal::WrongLedger.into());
        }
        if !closed.owner.matches(owner_address.as_array()) {
            return Err(Refusal::NotAuthorized.into());
        }
        rules::record(&mut ledger, now()?, closed, UnixSeconds::ZERO).map_err(engine)?;
    }
    resize::remove(session, owner)
}
