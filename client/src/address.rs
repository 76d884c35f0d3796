//! Addresses derived from the program.

use quantdesk_program::account::pda::{EXCHANGE_SEED, SESSION_SEED, STAKE_SEED, VAULT_SEED};
use solana_address::Address;

/// Exchange number `id`.
pub fn exchange(program: &Address, id: u64) -> Address {
    Address::find_program_address(&[EXCHANGE_SEED, &id.to_le_bytes()], program).0
}

/// Authority over the vault of `ledger`: the owner to give the vault's token account.
pub fn vault_authority(program: &Address, ledger: &Address) -> Address {
    Address::find_program_address(&[VAULT_SEED, ledger.as_array()], program).0
}

/// Stake of `owner` in the pool of `ledger`.
pub fn stake(program: &Address, ledger: &Address, owner: &Address) -> Address {
    Address::find_program_address(&[STAKE_SEED, ledger.as_array(), owner.as_array()], program).0
}

/// Session of `key` in `ledger`.
pub fn session(program: &Address, ledger: &Address, key: &Address) -> Address {
    Address::find_program_address(&[SESSION_SEED, ledger.as_array(), key.as_array()], program).0
}
