//! `CancelByClientId`: takes the order with the trader's own id off the book.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader, or the key of a session
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//! 3. `[writable]` that session, if a session key signs
//!
//! Fails with `OrderNotFound` unless a live order of the trader has this id, which is not 0, and as [`super::trade`].

use super::trade;
use crate::instruction::{Context, expect};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::Generation;

/// Arguments, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CancelByClientId {
    /// Incarnation of the trader.
    pub generation: Generation,
    pad: u32,
    /// The trader's own id.
    pub client_id: u64,
}

const _: () = assert!(size_of::<CancelByClientId>() == 16);

impl CancelByClientId {
    /// Arguments for this id.
    pub const fn new(generation: Generation, client_id: u64) -> Self {
        Self { generation, pad: 0, client_id }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: CancelByClientId = context.arguments()?;
    expect(arguments.pad == 0)?;
    trade(context, arguments.generation, |trading, trader| trading.cancel_by_client_id(trader, arguments.client_id))
}
