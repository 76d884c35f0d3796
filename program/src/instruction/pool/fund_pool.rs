//! `FundPool`: gives free collateral of a trader to the protection pool, for good and for no shares.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//!
//! Fails with `AmountZero`, `AccountBankrupt`, `PriceNotValidForAction`, `WithdrawExceedsAvailable`, `TraderNotFound`,
//! `NotAuthorized` and the account errors.

use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, now, owned_trader, trader::MoveCash},
};
use pinocchio::ProgramResult;
use quantdesk_engine::{pool, state::Ledger};

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: MoveCash = context.arguments()?;
    expect(arguments.is_padded())?;
    let [owner, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let owner = signer(owner)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let trader = owned_trader(&ledger, context.head.trader, arguments.generation, owner)?;
    pool::fund(&mut ledger, now()?, trader, arguments.atoms).map_err(engine)
}
