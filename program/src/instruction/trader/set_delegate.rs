//! `SetDelegate`: names who may also trade for the trader, or nobody. A delegate may do what an order instruction does, but for
//! tips, and send heartbeats; it reaches neither cash nor keys.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//!
//! Fails with `LedgerFull`, `AccountsCount`, `TraderNotFound`, `NotAuthorized` and the account errors.

use super::as_owner;
use crate::{
    error::engine,
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, access, state::Key};

/// Arguments, 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SetDelegate {
    /// Incarnation of the trader.
    pub generation: Generation,
    pad: u32,
    /// The delegate; zero for nobody.
    pub delegate: Key,
}

const _: () = assert!(size_of::<SetDelegate>() == 40);

impl SetDelegate {
    /// Arguments for this delegate.
    pub const fn new(generation: Generation, delegate: Key) -> Self {
        Self { generation, pad: 0, delegate }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: SetDelegate = context.arguments()?;
    expect(arguments.pad == 0)?;
    as_owner(context, arguments.generation, |ledger, now, trader| {
        access::set_delegate(ledger, now, trader, arguments.delegate).map_err(engine)
    })
}
