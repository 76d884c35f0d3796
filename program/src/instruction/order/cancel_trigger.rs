//! `CancelTrigger`: takes a conditional order back, by its handle or by the trader's own id, and returns its tip.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader, or the key of a session
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//! 3. `[writable]` that session, if a session key signs
//!
//! Fails with `TriggerNotFound` unless a live trigger of the trader in this market is meant, and as [`super::trade`].

use super::trade;
use crate::instruction::Context;
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{CellIndex, Generation, Sequence, book::TriggerHandle};

/// Arguments, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CancelTrigger {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// Cell of the trigger, or nil to name it by client id.
    pub cell: CellIndex,
    /// Number of the trigger, or its client id.
    pub name: u64,
}

const _: () = assert!(size_of::<CancelTrigger>() == 16);

impl CancelTrigger {
    /// Arguments for this trigger.
    pub const fn by_handle(generation: Generation, handle: TriggerHandle) -> Self {
        Self { generation, cell: handle.cell, name: handle.number.get() }
    }

    /// Arguments for the trigger with this client id.
    pub const fn by_client_id(generation: Generation, client_id: u64) -> Self {
        Self { generation, cell: CellIndex::NIL, name: client_id }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: CancelTrigger = context.arguments()?;
    let (cell, name) = (arguments.cell, arguments.name);
    trade(context, arguments.generation, |trading, trader| {
        if cell.is_nil() {
            return trading.cancel_trigger_by_client_id(trader, name);
        }
        trading.cancel_trigger(trader, TriggerHandle { cell, number: Sequence::new(name) })
    })
}
