//! `RunDelayed`: runs takers that have waited long enough, first come, first served. Anybody may call it.
//!
//! Accounts
//! 0. `[writable]` market
//! 1. `[writable]` ledger
//!
//! Fails with `FieldInvalid` for a limit of zero, with `TakerNotDue` if none is due, and as [`on_market`].

use crate::instruction::{Context, expect, risk::on_market};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RunDelayed {
    /// Most runs, 1 to 255. A run meets at most 32 resting orders; a taker that may meet more takes several.
    pub limit: u8,
    pad: [u8; 7],
}

const _: () = assert!(size_of::<RunDelayed>() == 8);

impl RunDelayed {
    /// Arguments for so many runs.
    pub const fn new(limit: u8) -> Self {
        Self { limit, pad: [0; 7] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: RunDelayed = context.arguments()?;
    expect(arguments.pad == [0; 7] && arguments.limit > 0)?;
    on_market(context, |trading| trading.run_delayed(arguments.limit).map(|_| ()))
}
