//! `CollectFees`: pays out fees the exchange has earned, less the pool's share of them, which goes to the pool. Nothing but
//! the fees bucket can be reached this way, and it cannot jump the limiter or the queue of withdrawals.
//!
//! Accounts
//! 0. `[signer]` fee collector
//! 1. `[]` exchange
//! 2. `[writable]` ledger
//! 3. `[writable]` a token account that the fee collector owns
//! 4. `[writable]` vault
//! 5. `[]` vault authority
//! 6. `[]` SPL Token program
//! 7. `[]` instructions sysvar
//!
//! Fails with `AmountZero`, `WithdrawExceedsAvailable`, `OutflowLimited`, `NotAuthorized`, `WrongLedger`,
//! `DurableNonce`, `WrongTokenOwner`, and as `Withdraw`.

use super::{check_holder, official};
use crate::{
    account::{own, own_mut},
    error::{Refusal, engine},
    instruction::{Context, now},
    token,
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    QuoteAtoms, account,
    governance::role::Role,
    state::{Exchange, Ledger},
};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CollectFees {
    /// How much, the pool's share included.
    pub atoms: QuoteAtoms,
}

const _: () = assert!(size_of::<CollectFees>() == 8);

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: CollectFees = context.arguments()?;
    let [collector, exchange, ledger_account, target, vault, authority, token_program, sysvar] = context.accounts
    else {
        return Err(Refusal::AccountsCount.into());
    };
    let collector = official(collector, sysvar)?;
    {
        let exchange = own(exchange, context.program_id)?;
        let exchange = Exchange::load(&exchange).map_err(engine)?;
        check_holder(exchange, &[Role::FeeCollector], collector, ledger_account)?;
    }
    let ledger_address = *ledger_account.address();
    let mut ledger = own_mut(ledger_account, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let receiver = token::check_movement(ledger.header, vault, target, token_program)?;
    if !receiver.owner.matches(collector.as_array()) {
        return Err(Refusal::WrongTokenOwner.into());
    }
    let paid = account::collect_fees(&mut ledger, now()?, arguments.atoms).map_err(engine)?;
    token::withdraw(&token::Payout {
        vault,
        target,
        authority,
        ledger: &ledger_address,
        bump: ledger.header.header.bump,
        atoms: paid.get(),
    })
}
