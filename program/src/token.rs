//! The only calls to the token program, and the only reading of its accounts. Classic SPL Token alone: Token-2022's
//! transfer fees, hooks and permanent delegates would break the double entry.

use crate::{
    account::{key_of, pda, writable},
    error::Refusal,
};
use pinocchio::{
    AccountView, Address,
    cpi::{Seed, Signer},
    error::ProgramError,
};
use pinocchio_token::{
    instructions::Transfer,
    state::{Account, Mint},
};
use quantdesk_engine::state::{Key, LedgerHeader};

/// Fails with `WrongTokenProgram` unless the account is the classic SPL Token program.
pub fn check_program(account: &AccountView) -> Result<(), ProgramError> {
    if account.address() == &pinocchio_token::ID { Ok(()) } else { Err(Refusal::WrongTokenProgram.into()) }
}

/// What the program needs to know of a token account.
pub struct TokenAccount {
    /// Mint.
    pub mint: Key,
    /// Who may transfer out of it.
    pub owner: Key,
    /// Tokens in it.
    pub amount: u64,
    /// Whether anybody else could move or close it.
    pub shared: bool,
}

/// Reads a token account. Fails with `TokenAccountInvalid` unless it is an initialised, unfrozen classic one, or with
/// `AccountTwice` if it is borrowed.
pub fn read(account: &AccountView) -> Result<TokenAccount, ProgramError> {
    if account.data_len() != Account::LEN || !account.owned_by(&pinocchio_token::ID) {
        return Err(Refusal::TokenAccountInvalid.into());
    }
    let token = Account::from_account_view(account).map_err(|_| Refusal::AccountTwice)?;
    if !token.is_initialized() || token.is_frozen() {
        return Err(Refusal::TokenAccountInvalid.into());
    }
    Ok(TokenAccount {
        mint: key_of(token.mint()),
        owner: key_of(token.owner()),
        amount: token.amount(),
        shared: token.has_delegate() || token.has_close_authority(),
    })
}

/// Decimals of a classic mint. Fails with `WrongMint` unless it is an initialised one.
pub fn mint_decimals(account: &AccountView) -> Result<u8, ProgramError> {
    if account.data_len() != Mint::LEN || !account.owned_by(&pinocchio_token::ID) {
        return Err(Refusal::WrongMint.into());
    }
    let mint = Mint::from_account_view(account).map_err(|_| Refusal::AccountTwice)?;
    if mint.is_initialized() { Ok(mint.decimals()) } else { Err(Refusal::WrongMint.into()) }
}

/// Checks the accounts of a token movement against the ledger: the vault is the ledger's and writable, the trader's
/// account holds the collateral's mint. Returns the trader's account.
pub fn check_movement(
    header: &LedgerHeader,
    vault: &AccountView,
    outside: &AccountView,
    token_program: &AccountView,
) -> Result<TokenAccount, ProgramError> {
    check_ends(header, vault, outside, token_program)?;
    let outside = read(outside)?;
    if outside.mint == header.mint { Ok(outside) } else { Err(Refusal::WrongMint.into()) }
}

/// Checks the ends of a token movement, but not what kind of account the one outside is: the vault is the ledger's, both
/// are writable and not the same.
pub fn check_ends(
    header: &LedgerHeader,
    vault: &AccountView,
    outside: &AccountView,
    token_program: &AccountView,
) -> Result<(), ProgramError> {
    check_program(token_program)?;
    writable(vault)?;
    writable(outside)?;
    if !header.vault.matches(vault.address().as_array()) {
        return Err(Refusal::WrongVault.into());
    }
    // The vault on both ends would move nothing and still be booked.
    if header.vault.matches(outside.address().as_array()) {
        return Err(Refusal::AccountTwice.into());
    }
    Ok(())
}

/// Whether the account can be sent the collateral, and is `owner`'s.
pub fn can_receive(header: &LedgerHeader, account: &AccountView, owner: &Key) -> bool {
    read(account).is_ok_and(|token| token.mint == header.mint && token.owner == *owner)
}

/// Moves tokens into the vault and checks that it grew by exactly that much. Fails with `VaultMismatch`.
pub fn deposit(source: &AccountView, vault: &AccountView, owner: &AccountView, atoms: u64) -> Result<(), ProgramError> {
    let before = read(vault)?.amount;
    Transfer::new(source, vault, owner, atoms).invoke()?;
    let after = read(vault)?.amount;
    if before.checked_add(atoms) == Some(after) { Ok(()) } else { Err(Refusal::VaultMismatch.into()) }
}

/// A payment out of the vault.
pub struct Payout<'a> {
    /// Vault.
    pub vault: &'a AccountView,
    /// Receiving token account.
    pub target: &'a AccountView,
    /// Vault authority.
    pub authority: &'a AccountView,
    /// The ledger whose vault it is.
    pub ledger: &'a Address,
    /// Bump of the vault authority.
    pub bump: u8,
    /// How much.
    pub atoms: u64,
}

/// Moves tokens, maybe none, out of the vault and checks that it shrank by exactly that much. Fails with `WrongAddress` if
/// `authority` is not the vault authority, with `VaultMismatch`.
pub fn withdraw(payout: &Payout<'_>) -> Result<(), ProgramError> {
    let before = read(payout.vault)?;
    if !before.owner.matches(payout.authority.address().as_array()) {
        return Err(Refusal::WrongAddress.into());
    }
    let bump = [payout.bump];
    let ledger = payout.ledger.as_array().as_slice();
    let seeds = [Seed::from(pda::VAULT_SEED), Seed::from(ledger), Seed::from(bump.as_slice())];
    Transfer::new(payout.vault, payout.target, payout.authority, payout.atoms)
        .invoke_signed(&[Signer::from(&seeds)])?;
    let after = read(payout.vault)?.amount;
    if before.amount.checked_sub(payout.atoms) == Some(after) { Ok(()) } else { Err(Refusal::VaultMismatch.into()) }
}
