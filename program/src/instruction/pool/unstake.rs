//! `Unstake`: pays the shares asked for by `RequestUnstake` into the trader's cash, for a week from when the policy's time
//! has passed. Nobody leaves while a loss may be open.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//! 2. `[writable]` stake
//!
//! Fails with `UnstakeNotDue`, `PoolClosed`, `StakeTooSmall`, and as [`super::with_stake`].

use super::with_stake;
use crate::instruction::{Context, expect};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, pool};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Unstake {
    /// Incarnation of the trader.
    pub generation: Generation,
    pad: u32,
}

const _: () = assert!(size_of::<Unstake>() == 8);

impl Unstake {
    /// Arguments for this incarnation.
    pub const fn new(generation: Generation) -> Self {
        Self { generation, pad: 0 }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: Unstake = context.arguments()?;
    expect(arguments.pad == 0)?;
    with_stake(context, arguments.generation, pool::unstake)
}
