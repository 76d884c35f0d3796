//! `TransferCash`: moves free collateral between two accounts of one owner. No token moves, so nothing limits it but what
//! is withdrawable.
//!
//! Accounts
//! 0. `[signer]` owner of both
//! 1. `[writable]` ledger
//!
//! Fails with `TransferInvalid`, `AmountZero`, `AccountBankrupt`, `PriceNotValidForAction`, `WithdrawExceedsAvailable`,
//! `TraderNotFound`, `NotAuthorized` and the account errors.

use super::as_owner;
use crate::{
    error::engine,
    instruction::{Context, expect, live_trader},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{CellIndex, Generation, QuoteAtoms, account};

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
    as_owner(context, arguments.generation, |ledger, now, trader| {
        live_trader(ledger, arguments.target, arguments.target_generation)?;
        account::transfer(ledger, now, trader, arguments.target, arguments.atoms).map_err(engine)
    })
}
