//! `SetFeeMax`: says up to which taker fee of a market the trader's orders are accepted. Any, until the owner says otherwise;
//! a delegate cannot.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//!
//! Fails with `AccountsCount`, `TraderNotFound`, `NotAuthorized` and the account errors.

use super::as_owner;
use crate::{error::engine, instruction::Context};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, Ppm, access};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SetFeeMax {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// Largest taker fee; 2^32 - 1 for any.
    pub fee_max: Ppm,
}

const _: () = assert!(size_of::<SetFeeMax>() == 8);

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: SetFeeMax = context.arguments()?;
    as_owner(context, arguments.generation, |ledger, now, trader| {
        access::set_fee_max(ledger, now, trader, arguments.fee_max).map_err(engine)
    })
}
