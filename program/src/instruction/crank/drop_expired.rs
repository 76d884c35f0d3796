//! `DropExpired`: takes expired orders off the book. Anybody may call it; the orders named are hints, and those that are
//! gone or have not expired are skipped.
//!
//! Accounts
//! 0. `[writable]` market
//! 1. `[writable]` ledger
//!
//! Fails with `DataLength` unless as many handles follow as are announced, with `FieldInvalid` for none or more than 16, with
//! `NothingToClose` if none has expired, and as [`on_market`].

use crate::instruction::{Context, expect, order::handles::Handles, risk::on_market};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;

/// Arguments, 8 bytes; as many [`OrderHandle`](quantdesk_engine::book::OrderHandle)s as counted follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct DropExpired {
    /// How many handles follow, 1 to 16.
    pub count: u8,
    pad: [u8; 7],
}

const _: () = assert!(size_of::<DropExpired>() == 8);

impl DropExpired {
    /// Arguments before so many handles.
    pub const fn new(count: u8) -> Self {
        Self { count, pad: [0; 7] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let (arguments, handles) = Handles::split(context.arguments, |it: &DropExpired| it.count)?;
    expect(arguments.pad == [0; 7])?;
    on_market(context, |trading| trading.drop_expired(handles.iter()).map(|_| ()))
}
