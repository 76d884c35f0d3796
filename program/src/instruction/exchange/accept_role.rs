//! `AcceptRole`: the key proposed for a role becomes its holder, once the delay has passed. That it signs proves that
//! somebody has it.
//!
//! Accounts
//! 0. `[signer]` the key proposed
//! 1. `[writable]` exchange
//! 2. `[writable]` ledger
//! 3. `[]` instructions sysvar
//!
//! Fails with `FieldInvalid` for a role that does not exist, with `WrongLedger`, `DurableNonce`, `RotationNotPending`,
//! `NotAuthorized` for any other key, `RotationNotDue` before the delay has passed and from a week later on, and the
//! account errors.

use super::{check_ledger, official};
use crate::{
    account::{key_of, own_mut},
    error::{Refusal, engine},
    instruction::{Context, expect, now},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    governance::role::{self, Role},
    state::{Exchange, Ledger},
};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct AcceptRole {
    /// A [`Role`].
    pub role: u8,
    pad: [u8; 7],
}

const _: () = assert!(size_of::<AcceptRole>() == 8);

impl AcceptRole {
    /// Arguments for this role.
    pub const fn new(role: Role) -> Self {
        Self { role: role.byte(), pad: [0; 7] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: AcceptRole = context.arguments()?;
    expect(arguments.pad == [0; 7])?;
    let role = Role::from_byte(arguments.role).ok_or(Refusal::FieldInvalid)?;
    let [successor, exchange, ledger, sysvar] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let signer = key_of(official(successor, sysvar)?);
    let mut exchange = own_mut(exchange, context.program_id)?;
    let exchange = Exchange::load_mut(&mut exchange).map_err(engine)?;
    check_ledger(exchange, ledger)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    if role::pending(exchange, role).map_err(engine)?.successor != signer {
        return Err(Refusal::NotAuthorized.into());
    }
    role::accept(exchange, &mut ledger, now()?, role).map_err(engine)
}
