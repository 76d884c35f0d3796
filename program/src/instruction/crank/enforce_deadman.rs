//! `EnforceDeadman`: cancels orders of a trader whose dead-man switch has run out. Anybody may call it.
//!
//! Accounts
//! 0. `[writable]` market
//! 1. `[writable]` ledger
//!
//! Fails with `FieldInvalid` for a limit of zero, `TraderNotFound`, `HeartbeatAlive`, `NothingToClose`, and as
//! [`on_market`].

use crate::instruction::{
    Context, expect,
    risk::{Target, on_market},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;

/// Arguments, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct EnforceDeadman {
    /// Whose orders.
    pub target: Target,
    /// Most orders to cancel, 1 to 255.
    pub limit: u8,
    pad: [u8; 7],
}

const _: () = assert!(size_of::<EnforceDeadman>() == 16);

impl EnforceDeadman {
    /// Arguments for this account.
    pub const fn new(target: Target, limit: u8) -> Self {
        Self { target, limit, pad: [0; 7] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: EnforceDeadman = context.arguments()?;
    expect(arguments.pad == [0; 7] && arguments.limit > 0)?;
    on_market(context, |trading| {
        let target = arguments.target.find(&trading.ledger)?;
        trading.enforce_deadman(target, arguments.limit).map(|_| ())
    })
}
