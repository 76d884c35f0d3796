//! Creating, extending and changing an exchange.
//!
//! Whatever the holder of a role signs takes the instructions sysvar as its last account, and is refused in a transaction
//! with a durable nonce.

pub mod accept_role;
pub mod cancel_change;
pub mod close_market;
pub mod collect_fees;
pub mod create_exchange;
pub mod execute_change;
pub mod grow_ledger;
pub mod guard;
pub mod list_market;
pub mod propose_change;
pub mod rotate_role;
pub mod seal_exchange;
pub mod set_margin;
pub mod set_market_status;

use super::{Context, now};
use crate::{
    account::{own, own_mut, refuse_durable_nonce, signer},
    error::{Refusal, engine},
};
use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};
use quantdesk_engine::{
    Now, Result as EngineResult,
    governance::role::Role,
    state::{Exchange, Ledger},
};

/// Address of the holder of a role, who must have signed, in a transaction that was not signed in advance: `sysvar` shows
/// it. Fails with `SignatureMissing`, `WrongInstructionsSysvar` or `DurableNonce`.
fn official<'a>(account: &'a AccountView, sysvar: &AccountView) -> Result<&'a Address, ProgramError> {
    let address = signer(account)?;
    refuse_durable_nonce(sysvar)?;
    Ok(address)
}

/// Fails with `NotAuthorized` unless `signer` is the exchange's admin, or with `WrongLedger` if the exchange's ledger is
/// another one.
fn check_admin(exchange: &Exchange, signer: &Address, ledger: &AccountView) -> Result<(), ProgramError> {
    check_holder(exchange, &[Role::Admin], signer, ledger)
}

/// Fails with `NotAuthorized` unless `signer` holds one of the roles, or with `WrongLedger` if the exchange's ledger is another
/// one.
fn check_holder(
    exchange: &Exchange,
    roles: &[Role],
    signer: &Address,
    ledger: &AccountView,
) -> Result<(), ProgramError> {
    let holds = roles.iter().any(|role| exchange.holder(*role).matches(signer.as_array()));
    if holds { check_ledger(exchange, ledger) } else { Err(Refusal::NotAuthorized.into()) }
}

/// Fails with `WrongLedger` if the exchange's ledger is another one.
fn check_ledger(exchange: &Exchange, ledger: &AccountView) -> Result<(), ProgramError> {
    if exchange.ledger.matches(ledger.address().as_array()) { Ok(()) } else { Err(Refusal::WrongLedger.into()) }
}

/// As [`as_holder`] for the admin.
fn as_admin(context: &mut Context<'_>, act: impl FnOnce(&mut Ledger<'_>, Now) -> EngineResult<()>) -> ProgramResult {
    as_holder(context, &[Role::Admin], act)
}

/// Opens the four accounts `[holder of one of the roles (signer), exchange, ledger (writable), instructions sysvar]` and
/// runs `act` on the ledger.
///
/// Fails with `AccountsCount`, `SignatureMissing`, `WrongInstructionsSysvar`, `DurableNonce`, `NotWritable`, `WrongOwner`,
/// `NotAuthorized`, `WrongLedger`, the engine's account errors, or as `act` does.
fn as_holder(
    context: &mut Context<'_>,
    roles: &[Role],
    act: impl FnOnce(&mut Ledger<'_>, Now) -> EngineResult<()>,
) -> ProgramResult {
    let [holder, exchange, ledger, sysvar] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let holder = official(holder, sysvar)?;
    let exchange = own(exchange, context.program_id)?;
    check_holder(Exchange::load(&exchange).map_err(engine)?, roles, holder, ledger)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    act(&mut ledger, now()?).map_err(engine)
}
