//! Creating, extending and changing an exchange.

pub mod close_market;
pub mod collect_fees;
pub mod create_exchange;
pub mod grow_ledger;
pub mod list_market;
pub mod set_margin;
pub mod set_market_status;

use crate::error::Refusal;
use pinocchio::{AccountView, Address, error::ProgramError};
use quantdesk_engine::state::Exchange;

/// Fails with `NotAuthorized` unless `signer` is the exchange's admin, or with `WrongLedger` if the exchange's ledger is
/// another one.
fn check_admin(exchange: &Exchange, signer: &Address, ledger: &AccountView) -> Result<(), ProgramError> {
    if !exchange.admin.matches(signer.as_array()) {
        return Err(Refusal::NotAuthorized.into());
    }
    if exchange.ledger.matches(ledger.address().as_array()) { Ok(()) } else { Err(Refusal::WrongLedger.into()) }
}
