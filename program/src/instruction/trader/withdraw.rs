//! `Withdraw`: takes free collateral out to a token account of the trader's owner. It leaves the trader's cash at once; the
//! tokens move now if the outflow limiter lets them out and nobody waits, else by `ProcessWithdrawQueue`.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//! 2. `[writable]` a token account that the owner owns
//! 3. `[writable]` vault
//! 4. `[]` vault authority
//! 5. `[]` SPL Token program
//!
//! Fails with `AmountZero`, `AccountBankrupt`, `WithdrawExceedsAvailable`, `PriceNotValidForAction`, `WithdrawalWaiting`,
//! `LedgerFull`, `WrongTokenOwner`, `WrongAddress`, and as `Deposit`.

use super::MoveCash;
use crate::{
    account::{key_of, own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, now, owned_trader},
    token,
};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    account::{self, Withdrawal},
    state::Ledger,
};

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: MoveCash = context.arguments()?;
    expect(arguments.is_padded())?;
    let [owner, ledger_account, target, vault, authority, token_program] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let owner = signer(owner)?;
    let ledger_address = *ledger_account.address();
    let mut ledger = own_mut(ledger_account, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let trader = owned_trader(&ledger, context.head.trader, arguments.generation, owner)?;
    let receiver = token::check_movement(ledger.header, vault, target, token_program)?;
    if !receiver.owner.matches(owner.as_array()) {
        return Err(Refusal::WrongTokenOwner.into());
    }
    let target_key = key_of(target.address());
    let done = account::withdraw(&mut ledger, now()?, trader, arguments.atoms, &target_key).map_err(engine)?;
    if done == Withdrawal::Queued {
        return Ok(());
    }
    token::withdraw(&token::Payout {
        vault,
        target,
        authority,
        ledger: &ledger_address,
        bump: ledger.header.header.bump,
        atoms: arguments.atoms.get(),
    })
}
