//! Growing an account in place, which is the program's one use of `unsafe` beside the entry point, and removing one.

use crate::error::{Refusal, engine};
use pinocchio::{AccountView, ProgramResult};
use quantdesk_engine::EngineError;

/// What the runtime lets an account grow by within one instruction.
pub const GROWTH_MAX: usize = 10 << 10;

/// Appends zero bytes up to `size`. To be called once per instruction and account. Fails with `CapacityInvalid` unless
/// the account grows, by at most [`GROWTH_MAX`], or with `AccountTwice` if it is borrowed.
#[allow(unsafe_code, clippy::as_conversions, reason = "usize and u64 are the same size on the VM")]
pub fn grow(account: &mut AccountView, size: usize) -> ProgramResult {
    let before = account.data_len();
    let added = size.checked_sub(before).filter(|added| *added > 0 && *added <= GROWTH_MAX);
    let added = added.ok_or(engine(EngineError::CapacityInvalid))?;
    account.check_borrow_mut().map_err(|_| Refusal::AccountTwice)?;
    // SAFETY: the loader reserves GROWTH_MAX bytes behind the data of every account; this is the only growth in the
    // instruction, so `before` is the original length and the range lies in that reserve. Nothing borrows the account,
    // as just checked. The length field is the runtime's own place to report a new length.
    unsafe {
        zero(account.data_mut_ptr().add(before), added);
        (*account.account_mut_ptr()).data_len = size as u64;
    }
    Ok(())
}

/// Gives an account's lamports to `heir` and the account back to the System program, without data.
pub fn remove(account: &mut AccountView, heir: &mut AccountView) -> ProgramResult {
    let lamports = heir.lamports().checked_add(account.lamports()).ok_or(engine(EngineError::Overflow))?;
    heir.set_lamports(lamports);
    account.close()
}

/// # Safety
/// `start..start + len` must be writable.
#[cfg(target_os = "solana")]
#[allow(unsafe_code, clippy::as_conversions, reason = "usize and u64 are the same size on the VM")]
unsafe fn zero(start: *mut u8, len: usize) {
    // SAFETY: passed on to the caller.
    unsafe { solana_define_syscall::definitions::sol_memset_(start, 0, len as u64) }
}

/// # Safety
/// `start..start + len` must be writable.
#[cfg(not(target_os = "solana"))]
#[allow(unsafe_code)]
unsafe fn zero(start: *mut u8, len: usize) {
    // SAFETY: passed on to the caller.
    unsafe { start.write_bytes(0, len) }
}
