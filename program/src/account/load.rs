//! Loaders of the program's own accounts.
//!
//! Order of checks: signature, writable, owner; then length, discriminator and version in the engine's `load`; then
//! relations between accounts. A failed borrow means that the same account stands in two places.

use crate::error::Refusal;
use pinocchio::{
    AccountView, Address,
    account::{Ref, RefMut},
    error::ProgramError,
};
use quantdesk_engine::state::Key;

/// Address as the engine's key type.
#[inline(always)]
pub fn key_of(address: &Address) -> Key {
    Key::new(address.as_array())
}

/// Address of an account that must have signed. Fails with `SignatureMissing`.
#[inline(always)]
pub fn signer(account: &AccountView) -> Result<&Address, ProgramError> {
    if account.is_signer() { Ok(account.address()) } else { Err(Refusal::SignatureMissing.into()) }
}

/// Fails with `NotWritable` unless the account may be written.
#[inline(always)]
pub fn writable(account: &AccountView) -> Result<(), ProgramError> {
    if account.is_writable() { Ok(()) } else { Err(Refusal::NotWritable.into()) }
}

/// Fails with `AccountTwice` if two accounts are the same.
#[inline(always)]
pub fn distinct(a: &AccountView, b: &AccountView) -> Result<(), ProgramError> {
    if a.address() == b.address() { Err(Refusal::AccountTwice.into()) } else { Ok(()) }
}

/// Fails with `AccountTwice` if any two accounts are the same. For instructions that run rarely.
#[inline(never)]
pub fn all_distinct(accounts: &[&AccountView]) -> Result<(), ProgramError> {
    let mut rest = accounts;
    while let [first, others @ ..] = rest {
        for other in others {
            distinct(first, other)?;
        }
        rest = others;
    }
    Ok(())
}

#[inline(always)]
fn check_owner(account: &AccountView, program_id: &Address) -> Result<(), ProgramError> {
    if account.owned_by(program_id) { Ok(()) } else { Err(Refusal::WrongOwner.into()) }
}

/// Bytes of an account of this program. Fails with `WrongOwner` or `AccountTwice`.
#[inline(always)]
pub fn own<'a>(account: &'a AccountView, program_id: &Address) -> Result<Ref<'a, [u8]>, ProgramError> {
    check_owner(account, program_id)?;
    account.try_borrow().map_err(|_| Refusal::AccountTwice.into())
}

/// Bytes of a writable account of this program. Fails with `NotWritable`, `WrongOwner` or `AccountTwice`.
#[inline(always)]
pub fn own_mut<'a>(account: &'a mut AccountView, program_id: &Address) -> Result<RefMut<'a, [u8]>, ProgramError> {
    writable(account)?;
    check_owner(account, program_id)?;
    account.try_borrow_mut().map_err(|_| Refusal::AccountTwice.into())
}
