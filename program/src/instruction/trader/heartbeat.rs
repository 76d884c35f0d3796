//! `Heartbeat`: says that the trader is there, and sets its dead-man switch: if no other heartbeat comes within so many
//! seconds, anybody may cancel its orders.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader, or the key of a session
//! 1. `[writable]` ledger
//! 2. `[]` that session, if a session key signs
//!
//! Fails with `FieldInvalid` unless the time is 0, which turns the switch off, or from 5 to 86,400 seconds, with
//! `AccountsCount`, `TraderNotFound`, `NotAuthorized` and the account errors; with a session also with `SessionMismatch`,
//! `SessionExpired`, `SessionAction`.

use crate::{
    account::{key_of, own, own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, now, order::Named, tradable_trader},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    Generation, account,
    session::Action,
    state::{Ledger, Session},
};

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
    let (authority, ledger, session) = match context.accounts {
        [authority, ledger] => (authority, ledger, None),
        [authority, ledger, session] => (authority, ledger, Some(session)),
        _ => return Err(Refusal::AccountsCount.into()),
    };
    let authority = signer(authority)?;
    let address = key_of(ledger.address());
    let mut ledger = own_mut(ledger, context.program_id)?;
    let (trader, generation) = (context.head.trader, arguments.generation);
    let Some(session) = session else {
        let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
        let trader = tradable_trader(&ledger, trader, generation, authority, false)?;
        return account::heartbeat(&mut ledger, now()?, trader, arguments.seconds).map_err(engine);
    };
    let session = own(session, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let session = Session::load(&session).map_err(engine)?;
    Named { trader, generation, signer: authority }.check(session, &ledger, &address)?;
    let now = now()?;
    session.admit(Action::Heartbeat, now.unix_seconds).map_err(engine)?;
    account::heartbeat(&mut ledger, now, trader, arguments.seconds).map_err(engine)
}
