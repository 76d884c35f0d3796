//! `ProcessWithdrawQueue`: pays the first of the waiting withdrawals, if the outflow limiter lets it out or it has waited as
//! long as anybody has to. Anybody may send it. If the token account it is for cannot be paid any more, is not the trader's
//! owner's any more, or is no target of a guarded account any more, the withdrawal goes back to the trader's cash: it never holds up those behind it.
//!
//! Accounts
//! 0. `[writable]` ledger
//! 1. `[writable]` the token account that the first waiting withdrawal names
//! 2. `[writable]` vault
//! 3. `[]` vault authority
//! 4. `[]` SPL Token program
//!
//! Fails with `QueueNotDue`, `WrongTarget`, `WrongVault`, `WrongTokenProgram`, `WrongAddress`, `VaultMismatch` and the
//! account errors.

use crate::{
    account::own_mut,
    error::{Refusal, engine},
    instruction::{Context, now},
    token,
};
use pinocchio::ProgramResult;
use quantdesk_engine::{access, outflow, state::Ledger};

/// Runs the instruction. It has no arguments.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let () = context.arguments()?;
    let [ledger_account, target, vault, authority, token_program] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let ledger_address = *ledger_account.address();
    let mut ledger = own_mut(ledger_account, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    token::check_ends(ledger.header, vault, target, token_program)?;
    let now = now()?;
    let first = outflow::due(&ledger.view(), now.unix_seconds).map_err(engine)?;
    if !first.target.matches(target.address().as_array()) {
        return Err(Refusal::WrongTarget.into());
    }
    let trader = ledger.trader(first.trader).map_err(engine)?;
    let allowed = access::may_pay(&ledger.view(), trader, &first.target, now.unix_seconds).map_err(engine)?;
    if !allowed || !token::can_receive(ledger.header, target, &trader.owner) {
        return outflow::return_first(&mut ledger, now).map_err(engine);
    }
    outflow::pay_first(&mut ledger, now).map_err(engine)?;
    token::withdraw(&token::Payout {
        vault,
        target,
        authority,
        ledger: &ledger_address,
        bump: ledger.header.header.bump,
        atoms: first.atoms.get(),
    })
}
