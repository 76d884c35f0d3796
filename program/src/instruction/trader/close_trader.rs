//! `CloseTrader`: closes an account without cash, size, orders or a waiting withdrawal and frees its cells.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//!
//! Fails with `TraderNotEmpty`, `TraderNotFound`, `NotAuthorized` and the account errors.

use super::as_owner;
use crate::{
    error::engine,
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, account};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CloseTrader {
    /// Incarnation of the trader.
    pub generation: Generation,
    pad: u32,
}

const _: () = assert!(size_of::<CloseTrader>() == 8);

impl CloseTrader {
    /// Arguments for this incarnation.
    pub const fn new(generation: Generation) -> Self {
        Self { generation, pad: 0 }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: CloseTrader = context.arguments()?;
    expect(arguments.pad == 0)?;
    as_owner(context, arguments.generation, |ledger, now, trader| {
        account::close_trader(ledger, now, trader).map_err(engine)
    })
}
