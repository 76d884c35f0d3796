//! Creating and extending an exchange.

pub mod collect_fees;
pub mod create_exchange;
pub mod grow_ledger;
pub mod list_market;

use crate::{account::key_of, error::Refusal};
use pinocchio::{AccountView, error::ProgramError};
use quantdesk_engine::state::{Exchange, Key};

/// Fails with `NotAuthorized` unless `signer` is the exchange's admin, or with `WrongLedger` if the exchange's ledger is
/// another one.
fn check_admin(exchange: &Exchange, signer: &Key, ledger: &AccountView) -> Result<(), ProgramError> {
    if exchange.admin != *signer {
        return Err(Refusal::NotAuthorized.into());
    }
    if exchange.ledger == key_of(ledger.address()) { Ok(()) } else { Err(Refusal::WrongLedger.into()) }
}
