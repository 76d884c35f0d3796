//! `SetReferrer`: names who brought the trader, once and for all. The referrer gets a share of what the exchange earns by
//! the trader's taking orders from then on, as long as it keeps its account; it costs the trader nothing.
//!
//! Accounts
//! 0. `[signer]` owner
//! 1. `[writable]` ledger
//!
//! Fails with `TraderNotFound` (trader or referrer), `ReferrerAlreadySet`, `SelfReferral`, `AccountsCount`, `NotAuthorized`
//! and the account errors.

use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, now, owned_trader},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{CellIndex, Generation, partner, state::Ledger};

/// Arguments, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SetReferrer {
    /// Incarnation of the trader.
    pub generation: Generation,
    /// The referrer's trading account.
    pub referrer: CellIndex,
    /// Its incarnation.
    pub referrer_generation: Generation,
    pad: u32,
}

const _: () = assert!(size_of::<SetReferrer>() == 16);

impl SetReferrer {
    /// Arguments for this referrer.
    pub const fn new(generation: Generation, referrer: CellIndex, referrer_generation: Generation) -> Self {
        Self { generation, referrer, referrer_generation, pad: 0 }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: SetReferrer = context.arguments()?;
    expect(arguments.pad == 0)?;
    let [owner, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let owner = signer(owner)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let trader = owned_trader(&ledger, context.head.trader, arguments.generation, owner)?;
    let (referrer, generation) = (arguments.referrer, arguments.referrer_generation);
    partner::set_referrer(&mut ledger, now()?, trader, referrer, generation).map_err(engine)
}
