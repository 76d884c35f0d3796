//! `SetWithdrawDelay`: guards the trader. While the delay is not zero its cash leaves only to targets, and new targets wait so
//! long. A longer delay holds at once, a shorter one when the present one has passed.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//!
//! Fails with `FieldInvalid` above 30 days, with `LedgerFull`, `AccountsCount`, `TraderNotFound`, `NotAuthorized` and the
//! account errors.

use super::as_owner;
use crate::{
    error::engine,
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, access};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SetWithdrawDelay {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// The delay; 0 to guard no longer.
    pub seconds: u32,
}

const _: () = assert!(size_of::<SetWithdrawDelay>() == 8);

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: SetWithdrawDelay = context.arguments()?;
    expect(access::is_withdraw_delay(arguments.seconds))?;
    as_owner(context, arguments.generation, |ledger, now, trader| {
        access::set_withdraw_delay(ledger, now, trader, arguments.seconds).map_err(engine)
    })
}
