//! `CancelOrders`: takes up to 16 orders off the book by their handles. One that is gone already is skipped, so that
//! others are cancelled whatever became of it; it is not an error that none was left.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader, or the key of a session
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//! 3. `[writable]` that session, if a session key signs
//!
//! Fails with `DataLength` unless as many handles follow as are announced, with `FieldInvalid` for none or more than 16, and
//! as [`super::trade`].

use super::{handles::Handles, trade};
use crate::instruction::{Context, expect};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::Generation;

/// Arguments, 8 bytes; as many [`OrderHandle`](quantdesk_engine::book::OrderHandle)s as counted follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CancelOrders {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// How many handles follow, 1 to 16.
    pub count: u8,
    pad: [u8; 3],
}

const _: () = assert!(size_of::<CancelOrders>() == 8);

impl CancelOrders {
    /// Arguments before so many handles.
    pub const fn new(generation: Generation, count: u8) -> Self {
        Self { generation, count, pad: [0; 3] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let (arguments, handles) = Handles::split(context.arguments, |it: &CancelOrders| it.count)?;
    expect(arguments.pad == [0; 3])?;
    trade(context, arguments.generation, |trading, trader| trading.cancel_orders(trader, handles.iter()).map(|_| ()))
}
