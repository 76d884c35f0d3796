//! `ExecuteTriggers`: executes conditional orders that are due, moves trailing ones, removes those that can never fire
//! again. Anybody may call it; the triggers named are hints, and those about which nothing can be done are skipped. The
//! keeper's account gets the tips.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the keeper's account
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//!
//! Fails with `DataLength` unless as many handles follow as are announced, with `FieldInvalid` for none or more than 8, with
//! `NoTriggerDue` if nothing was done, as [`trade`](crate::instruction::order::trade), or as `PlaceOrder` does for the
//! order of a trigger.

use crate::instruction::{
    Context, expect,
    order::{handles::Handles, trade},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    CellIndex, Generation,
    book::{OrderHandle, TriggerHandle},
};

/// Triggers that one instruction can name.
pub const TRIGGERS_MAX: u8 = 8;

/// Arguments, 8 bytes; as many handles as counted follow, with the trigger's cell where an order has its node. The head
/// names the keeper's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ExecuteTriggers {
    /// Incarnation of the keeper's account.
    pub generation: Generation,
    /// How many handles follow, 1 to 8.
    pub count: u8,
    pad: [u8; 3],
}

const _: () = assert!(size_of::<ExecuteTriggers>() == 8);

impl ExecuteTriggers {
    /// Arguments before so many handles.
    pub const fn new(generation: Generation, count: u8) -> Self {
        Self { generation, count, pad: [0; 3] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let (arguments, handles) = Handles::split(context.arguments, |it: &ExecuteTriggers| it.count)?;
    expect(arguments.pad == [0; 3] && arguments.count <= TRIGGERS_MAX)?;
    let named =
        |handle: OrderHandle| TriggerHandle { cell: CellIndex::new(handle.node.get()), number: handle.sequence };
    trade(context, arguments.generation, |trading, keeper| {
        trading.execute_triggers(keeper, handles.iter().map(named)).map(|_| ())
    })
}
