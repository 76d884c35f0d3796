//! Creating, extending and changing an exchange.

pub mod cancel_change;
pub mod close_market;
pub mod collect_fees;
pub mod create_exchange;
pub mod execute_change;
pub mod grow_ledger;
pub mod list_market;
pub mod propose_change;
pub mod seal_exchange;
pub mod set_margin;
pub mod set_market_status;

use super::{Context, now};
use crate::{
    account::{own, own_mut, signer},
    error::{Refusal, engine},
};
use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};
use quantdesk_engine::{
    Now, Result as EngineResult,
    state::{Exchange, Ledger},
};

/// Fails with `NotAuthorized` unless `signer` is the exchange's admin, or with `WrongLedger` if the exchange's ledger is
/// another one.
fn check_admin(exchange: &Exchange, signer: &Address, ledger: &AccountView) -> Result<(), ProgramError> {
    if !exchange.admin.matches(signer.as_array()) {
        return Err(Refusal::NotAuthorized.into());
    }
    if exchange.ledger.matches(ledger.address().as_array()) { Ok(()) } else { Err(Refusal::WrongLedger.into()) }
}

/// Fails with `WrongLedger` unless the ledger is the exchange's.
fn check_ledger(exchange: &Exchange, ledger: &AccountView) -> Result<(), ProgramError> {
    if exchange.ledger.matches(ledger.address().as_array()) { Ok(()) } else { Err(Refusal::WrongLedger.into()) }
}

/// Opens the three accounts `[admin (signer), exchange, ledger (writable)]` and runs `act` on the ledger.
///
/// Fails with `AccountsCount`, `SignatureMissing`, `NotWritable`, `WrongOwner`, `NotAuthorized`, `WrongLedger`, the engine's
/// account errors, or as `act` does.
fn as_admin(context: &mut Context<'_>, act: impl FnOnce(&mut Ledger<'_>, Now) -> EngineResult<()>) -> ProgramResult {
    let [admin, exchange, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let admin = signer(admin)?;
    let exchange = own(exchange, context.program_id)?;
    check_admin(Exchange::load(&exchange).map_err(engine)?, admin, ledger)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    act(&mut ledger, now()?).map_err(engine)
}
