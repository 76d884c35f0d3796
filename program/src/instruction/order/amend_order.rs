//! `AmendOrder`: gives a resting order another size or price. Fewer lots at the same price keep its place in the queue;
//! anything else is a cancellation and a new post-only order.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader, or the key of a session
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//! 3. `[writable]` that session, if a session key signs
//!
//! Fails as [`super::trade`] and [`quantdesk_engine::book::Trading::amend_order`].

use super::trade;
use crate::instruction::{Context, expect};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, Lots, NodeIndex, Sequence, Ticks, book::OrderHandle};

/// Arguments, 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct AmendOrder {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// Node of the order.
    pub node: NodeIndex,
    /// Number of the order.
    pub sequence: Sequence,
    /// What it shall have.
    pub lots: Lots,
    /// Where it shall rest.
    pub price: Ticks,
    pad: u32,
}

const _: () = assert!(size_of::<AmendOrder>() == 32);

impl AmendOrder {
    /// Arguments for this order.
    pub const fn new(generation: Generation, node: NodeIndex, sequence: Sequence, price: Ticks, lots: Lots) -> Self {
        Self { generation, node, sequence, lots, price, pad: 0 }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: AmendOrder = context.arguments()?;
    expect(arguments.pad == 0)?;
    let handle = OrderHandle::new(arguments.node, arguments.sequence);
    trade(context, arguments.generation, |trading, trader| {
        trading.amend_order(trader, handle, arguments.price, arguments.lots).map(|_| ())
    })
}
