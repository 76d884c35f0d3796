//! `SetBuilderMax`: says how much the builders that the trader's orders name may charge, at most. It is nothing until the
//! owner says otherwise; a delegate cannot.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//!
//! Fails with `FieldInvalid` above 1,000 ppm, with `AccountsCount`, `TraderNotFound`, `NotAuthorized` and the account
//! errors.

use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, now, owned_trader},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, partner, state::Ledger};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SetBuilderMax {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// Largest fee, in ppm of the value that an order takes.
    pub builder_max: u16,
    pad: u16,
}

const _: () = assert!(size_of::<SetBuilderMax>() == 8);

impl SetBuilderMax {
    /// Arguments for this fee.
    pub const fn new(generation: Generation, builder_max: u16) -> Self {
        Self { generation, builder_max, pad: 0 }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: SetBuilderMax = context.arguments()?;
    expect(arguments.pad == 0 && partner::is_builder_max(arguments.builder_max))?;
    let [owner, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let owner = signer(owner)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let trader = owned_trader(&ledger, context.head.trader, arguments.generation, owner)?;
    partner::set_builder_max(&mut ledger, now()?, trader, arguments.builder_max).map_err(engine)
}
