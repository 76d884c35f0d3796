//! `TransferCash`: moves free collateral between two accounts of one owner. No token moves, so nothing limits it but what
//! is withdrawable.
//!
//! Accounts
//! 0. `[signer]` owner of both
//! 1. `[writable]` ledger
//!
//! Fails with `TransferInvalid`, `AmountZero`, `AccountBankrupt`, `PriceNotValidForAction`, `WithdrawExceedsAvailable`,
//! `TraderNotFound`, `NotAuthorized` and the account errors.

use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, live_trader, now, owned_trader},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{CellIndex, Generation, QuoteAtoms, account, state::Ledger};

/// Arguments, 24 bytes. The trader of the head gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TransferCash {
    /// Incarnation of the trader that gives.
    pub generation: Generation,
    /// The trader that receives.
    pub target: CellIndex,
    /// Its incarnation.
    pub target_generation: Generation,
    pad: u32,
    /// How much.
    pub atoms: QuoteAtoms,
}

const _: () = assert!(size_of::<TransferCash>() == 24);

impl TransferCash {
    /// Arguments for this amount, from an incarnation to another trader.
    pub const fn new(
        generation: Generation,
        target: CellIndex,
        target_generation: Generation,
        atoms: QuoteAtoms,
    ) -> Self {
        Self { generation, target, target_generation, pad: 0, atoms }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: TransferCash = context.arguments()?;
    expect(arguments.pad == 0)?;
    let [owner, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let owner = signer(owner)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let trader = owned_trader(&ledger, context.head.trader, arguments.generation, owner)?;
    live_trader(&ledger, arguments.target, arguments.target_generation)?;
    account::transfer(&mut ledger, now()?, trader, arguments.target, arguments.atoms).map_err(engine)
}
