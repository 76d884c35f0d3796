//! `RequestUnstake`: asks for shares of the pool to be paid out, by `Unstake`, once the policy's time has passed. Replaces
//! what was asked for before. The shares bear losses until they are paid.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//! 2. `[writable]` stake
//!
//! Fails with `AmountZero`, `StakeTooLarge`, and as [`super::with_stake`].

use super::with_stake;
use crate::instruction::{Context, expect};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, pool};

/// Arguments, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RequestUnstake {
    /// Incarnation of the trader.
    pub generation: Generation,
    pad: u32,
    /// How many.
    pub shares: u64,
}

const _: () = assert!(size_of::<RequestUnstake>() == 16);

impl RequestUnstake {
    /// Arguments for this many shares.
    pub const fn new(generation: Generation, shares: u64) -> Self {
        Self { generation, pad: 0, shares }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: RequestUnstake = context.arguments()?;
    expect(arguments.pad == 0)?;
    with_stake(context, arguments.generation, |ledger, stake, now, trader| {
        pool::request_unstake(ledger, stake, now, trader, arguments.shares)
    })
}
