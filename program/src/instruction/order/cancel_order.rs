//! `CancelOrder`: takes one order off the book by its handle.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader, or the key of a session
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//! 3. `[writable]` that session, if a session key signs
//!
//! Fails with `OrderNotFound` unless the handle names a live order of the trader, and as [`super::trade`].

use super::trade;
use crate::instruction::Context;
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, NodeIndex, Sequence};

/// Arguments, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CancelOrder {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// Node of the order.
    pub node: NodeIndex,
    /// Number of the order.
    pub sequence: Sequence,
}

const _: () = assert!(size_of::<CancelOrder>() == 16);

/// Runs the instruction.
#[inline(always)]
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: CancelOrder = context.arguments()?;
    trade(context, arguments.generation, |trading, trader| {
        trading.cancel_order(trader, arguments.node, arguments.sequence)
    })
}
