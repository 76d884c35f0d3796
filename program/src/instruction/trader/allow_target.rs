//! `AllowTarget`: names a token account that withdrawals of a guarded trader may go to once its delay has passed, or strikes
//! one off at once.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//!
//! Fails with `FieldInvalid` for a zero key, with `TargetListed`, `TargetsFull`, `TargetNotFound`, `LedgerFull`,
//! `AccountsCount`, `TraderNotFound`, `NotAuthorized` and the account errors.

use super::as_owner;
use crate::{
    error::engine,
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, access, state::Key};

/// Arguments, 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct AllowTarget {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// 1 to name it, 0 to strike it off.
    pub allowed: u8,
    pad: [u8; 3],
    /// The token account.
    pub target: Key,
}

const _: () = assert!(size_of::<AllowTarget>() == 40);

impl AllowTarget {
    /// Arguments for this token account.
    pub fn new(generation: Generation, target: Key, allowed: bool) -> Self {
        Self { generation, allowed: u8::from(allowed), pad: [0; 3], target }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: AllowTarget = context.arguments()?;
    expect(arguments.pad == [0; 3] && arguments.allowed <= 1 && !arguments.target.is_zero())?;
    as_owner(context, arguments.generation, |ledger, now, trader| {
        let target = arguments.target;
        let set = if arguments.allowed == 1 { access::allow_target } else { access::disallow_target };
        set(ledger, now, trader, target).map_err(engine)
    })
}
