//! `OpenTrader`: opens a trading account. An owner may have any number; `sub_account` is its label for this one.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//!
//! Fails with `LedgerFull`, `FieldInvalid` and the account errors.

use crate::{
    account::{distinct, key_of, own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, now},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{account, state::Ledger};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OpenTrader {
    /// The owner's label for the account.
    pub sub_account: u16,
    pad: [u8; 6],
}

const _: () = assert!(size_of::<OpenTrader>() == 8);

impl OpenTrader {
    /// Arguments for this label.
    pub const fn new(sub_account: u16) -> Self {
        Self { sub_account, pad: [0; 6] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: OpenTrader = context.arguments()?;
    expect(arguments.pad == [0; 6])?;
    let [owner, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    distinct(owner, ledger)?;
    let owner = key_of(signer(owner)?);
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    account::open_trader(&mut ledger, now()?, owner, arguments.sub_account).map(|_| ()).map_err(engine)
}
