//! `Sweep`: looks for failing accounts in the next cells of the ledger and keeps the worst in its watch list. Anybody may
//! call it.
//!
//! Accounts
//! 0. `[writable]` ledger
//!
//! Fails with `FieldInvalid` for zero cells, `AccountsCount` and the account errors.

use crate::{
    account::own_mut,
    error::{Refusal, engine},
    instruction::{Context, expect, now},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{risk::scan, state::Ledger};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Sweep {
    /// Cells to look at, 1 to 65,535.
    pub cells: u16,
    pad: [u8; 6],
}

const _: () = assert!(size_of::<Sweep>() == 8);

impl Sweep {
    /// Arguments for this many cells.
    pub const fn new(cells: u16) -> Self {
        Self { cells, pad: [0; 6] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: Sweep = context.arguments()?;
    expect(arguments.pad == [0; 6] && arguments.cells > 0)?;
    let [ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let mut bytes = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut bytes).map_err(engine)?;
    scan::sweep(&mut ledger, now()?, arguments.cells).map(|_| ()).map_err(engine)
}
