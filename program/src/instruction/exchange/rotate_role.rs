//! `RotateRole`: proposes a new key for a role, which becomes its holder by `AcceptRole`; or, naming the present holder,
//! withdraws what is proposed.
//!
//! Accounts
//! 0. `[signer]` holder of the role, or admin; to withdraw: guardian or admin, see [`role::may_rotate`]
//! 1. `[writable]` exchange
//! 2. `[writable]` ledger
//! 3. `[]` instructions sysvar
//!
//! Fails with `FieldInvalid` for a role that does not exist or a key of zero, with `NotAuthorized`, `WrongLedger`,
//! `DurableNonce`, `RotationPending`, `RotationNotPending` and the account errors.

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
    state::{Exchange, Key, Ledger},
};

/// Arguments, 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RotateRole {
    /// A [`Role`].
    pub role: u8,
    pad: [u8; 7],
    /// Who shall hold it; the present holder to withdraw what is proposed.
    pub successor: Key,
}

const _: () = assert!(size_of::<RotateRole>() == 40);

impl RotateRole {
    /// Arguments for this role.
    pub const fn new(role: Role, successor: Key) -> Self {
        Self { role: role.byte(), pad: [0; 7], successor }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: RotateRole = context.arguments()?;
    expect(arguments.pad == [0; 7] && !arguments.successor.is_zero())?;
    let role = Role::from_byte(arguments.role).ok_or(Refusal::FieldInvalid)?;
    let [official_account, exchange, ledger, sysvar] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let signer = key_of(official(official_account, sysvar)?);
    let mut exchange = own_mut(exchange, context.program_id)?;
    let exchange = Exchange::load_mut(&mut exchange).map_err(engine)?;
    if !role::may_rotate(exchange, role, &arguments.successor, &signer) {
        return Err(Refusal::NotAuthorized.into());
    }
    check_ledger(exchange, ledger)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    role::rotate(exchange, &mut ledger, now()?, role, arguments.successor).map_err(engine)
}
