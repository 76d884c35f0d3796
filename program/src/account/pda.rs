//! Addresses derived from the program: the exchange account and the authority over a ledger's vault.

use crate::error::Refusal;
use pinocchio::{AccountView, Address, error::ProgramError};

/// First seed of an exchange address; the second is its id, little-endian.
pub const EXCHANGE_SEED: &[u8] = b"exchange";
/// First seed of a vault authority; the second is the ledger's address.
pub const VAULT_SEED: &[u8] = b"vault";

/// Canonical bump of the address that `seeds` derive, if it is the account's. Fails with `WrongAddress`.
pub fn check(account: &AccountView, seeds: &[&[u8]], program_id: &Address) -> Result<u8, ProgramError> {
    let (address, bump) = derive(seeds, program_id);
    if account.address() == &address { Ok(bump) } else { Err(Refusal::WrongAddress.into()) }
}

/// Derived address and canonical bump.
#[cfg(target_os = "solana")]
pub fn derive(seeds: &[&[u8]], program_id: &Address) -> (Address, u8) {
    Address::find_program_address(seeds, program_id)
}

/// On a host the client derives addresses; the program is only linked there for its types.
#[cfg(not(target_os = "solana"))]
pub fn derive(_seeds: &[&[u8]], program_id: &Address) -> (Address, u8) {
    (*program_id, 0)
}
