//! Addresses derived from the program: exchange accounts, authorities over vaults, stake and session accounts.

use crate::error::{Refusal, engine};
use pinocchio::{
    AccountView, Address, ProgramResult,
    cpi::{Seed, Signer},
    error::ProgramError,
    sysvars::{Sysvar, rent::Rent},
};
use pinocchio_system::instructions::{Allocate, Assign, Transfer};
use quantdesk_engine::{EngineError, math};

/// First seed of an exchange address; the second is its id, little-endian.
pub const EXCHANGE_SEED: &[u8] = b"exchange";
/// First seed of a vault authority; the second is the ledger's address.
pub const VAULT_SEED: &[u8] = b"vault";
/// First seed of a stake account; the second is the ledger's address, the third its owner's.
pub const STAKE_SEED: &[u8] = b"stake";

/// First seed of a session account; the second is the ledger's address, the third the session's key.
pub const SESSION_SEED: &[u8] = b"session";

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

/// Creates the account at the address that `seeds`, the bump among them, derive, also if somebody has sent lamports
/// there: `CreateAccount` would refuse that. Fails with `AccountNotBlank` if it has data, or as the System program.
#[inline(always)]
pub fn create(
    payer: &AccountView,
    account: &AccountView,
    size: u32,
    seeds: &[Seed<'_>],
    program_id: &Address,
) -> ProgramResult {
    if account.data_len() > 0 {
        return Err(engine(EngineError::AccountNotBlank));
    }
    let rent = Rent::get()?.try_minimum_balance(math::to_usize(size))?;
    let missing = rent.saturating_sub(account.lamports());
    if missing > 0 {
        Transfer { from: payer, to: account, lamports: missing }.invoke()?;
    }
    let signer = [Signer::from(seeds)];
    Allocate { account, space: u64::from(size) }.invoke_signed(&signer)?;
    Assign { account, owner: program_id }.invoke_signed(&signer)
}
