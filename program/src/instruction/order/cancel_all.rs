//! `CancelAll`: takes a trader's orders in one market off the book, newest first. Having none is not an error.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader, or the key of a session
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//! 3. `[writable]` that session, if a session key signs
//!
//! Fails with `FieldInvalid` for bytes that mean nothing or a limit of zero, and as [`super::trade`].

use super::trade;
use crate::{
    error::Refusal,
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, book::Sides};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CancelAll {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// A [`Sides`].
    pub sides: u8,
    /// Most orders to cancel, 1 to 255.
    pub limit: u8,
    pad: [u8; 2],
}

const _: () = assert!(size_of::<CancelAll>() == 8);

impl CancelAll {
    /// Arguments for these sides.
    pub fn new(generation: Generation, sides: Sides, limit: u8) -> Self {
        #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
        let sides = sides as u8;
        Self { generation, sides, limit, pad: [0; 2] }
    }
}

/// Runs the instruction.
#[inline(always)]
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: CancelAll = context.arguments()?;
    expect(arguments.pad == [0; 2] && arguments.limit > 0)?;
    let sides = Sides::from_byte(arguments.sides).ok_or(Refusal::FieldInvalid)?;
    trade(context, arguments.generation, |trading, trader| {
        trading.cancel_all(trader, sides, arguments.limit).map(|_| ())
    })
}
