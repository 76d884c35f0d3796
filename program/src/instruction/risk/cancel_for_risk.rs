//! `CancelForRisk`: cancels orders of an account below initial margin until it is no longer below. Anybody may call it.
//!
//! Accounts
//! 0. `[writable]` market
//! 1. `[writable]` ledger
//!
//! Fails with `FieldInvalid` for a limit of zero, `TraderNotFound`, `PriceNotValidForAction`, `AccountHealthy`,
//! `NothingToClose`, and as [`super::on_market`].

use super::{Target, on_market};
use crate::instruction::{Context, expect};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;

/// Arguments, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CancelForRisk {
    /// Whose orders.
    pub target: Target,
    /// Most orders to cancel, 1 to 255.
    pub limit: u8,
    pad: [u8; 7],
}

const _: () = assert!(size_of::<CancelForRisk>() == 16);

impl CancelForRisk {
    /// Arguments for this account.
    pub const fn new(target: Target, limit: u8) -> Self {
        Self { target, limit, pad: [0; 7] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: CancelForRisk = context.arguments()?;
    expect(arguments.pad == [0; 7] && arguments.limit > 0)?;
    on_market(context, |trading| {
        let target = arguments.target.find(&trading.ledger)?;
        trading.cancel_for_risk(target, arguments.limit).map(|_| ())
    })
}
