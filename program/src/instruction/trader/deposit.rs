//! `Deposit`: moves collateral from the owner's token account into the vault and books it as the trader's cash.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//! 2. `[writable]` the owner's token account
//! 3. `[writable]` vault
//! 4. `[]` SPL Token program
//!
//! Fails with `AmountZero`, `ExchangeNotSealed`, `DepositTooLarge`, `TraderNotFound`, `NotAuthorized`, `WrongVault`, `WrongMint`,
//! `WrongTokenProgram`, `TokenAccountInvalid`, `VaultMismatch`, the account errors, or as the token program does.

use super::MoveCash;
use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, now, owned_trader},
    token,
};
use pinocchio::ProgramResult;
use quantdesk_engine::{account, state::Ledger};

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: MoveCash = context.arguments()?;
    expect(arguments.is_padded())?;
    let [owner, ledger, source, vault, token_program] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let owner_address = signer(owner)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let trader = owned_trader(&ledger, context.head.trader, arguments.generation, owner_address)?;
    token::check_movement(ledger.header, vault, source, token_program)?;
    account::deposit(&mut ledger, now()?, trader, arguments.atoms).map_err(engine)?;
    token::deposit(source, vault, owner, arguments.atoms.get())
}
