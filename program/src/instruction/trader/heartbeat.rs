//! `Heartbeat`: says that the trader is there, and sets its dead-man switch: if no other heartbeat comes within so many
//! seconds, anybody may cancel its orders.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader
//! 1. `[writable]` ledger
//!
//! Fails with `FieldInvalid` unless the time is 0, which turns the switch off, or from 5 to 86,400 seconds, with
//! `AccountsCount`, `TraderNotFound`, `NotAuthorized` and the account errors.

use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, now, tradable_trader},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, account, state::Ledger};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Heartbeat {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// Time until the next one; 0 turns the switch off.
    pub seconds: u32,
}

const _: () = assert!(size_of::<Heartbeat>() == 8);

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: Heartbeat = context.arguments()?;
    expect(account::is_deadman_time(arguments.seconds))?;
    let [authority, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let authority = signer(authority)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let trader = tradable_trader(&ledger, context.head.trader, arguments.generation, authority)?;
    account::heartbeat(&mut ledger, now()?, trader, arguments.seconds).map_err(engine)
}
