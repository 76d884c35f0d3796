//! The running transaction, as the instructions sysvar shows it.
//!
//! Layout: `solana-instructions-sysvar` 3.0 (`serialize_instructions`).

use crate::error::Refusal;
use pinocchio::{AccountView, Address, error::ProgramError, sysvars::instructions::INSTRUCTIONS_ID};

/// The sysvar that shows all instructions of the running transaction.
pub const INSTRUCTIONS: Address = INSTRUCTIONS_ID;

/// First bytes of a System instruction that uses up a durable nonce: `AdvanceNonceAccount` as a `u32`.
const ADVANCE_NONCE: [u8; 4] = 4u32.to_le_bytes();

/// Bytes of a `u16`.
const SHORT: usize = 2;
/// Address and flags of one account of an instruction.
const ACCOUNT_META: usize = 33;

/// Fails with `WrongInstructionsSysvar` unless the account is the instructions sysvar, or with `DurableNonce` if the
/// transaction has a durable nonce: it was signed who knows when, and whoever holds it chooses when it lands.
///
/// The runtime takes a nonce in place of a recent blockhash only if the first instruction advances it
/// (`solana-nonce-account`, `get_durable_nonce`), also for a transaction whose administration is a call by another program.
#[inline(never)]
pub fn refuse_durable_nonce(sysvar: &AccountView) -> Result<(), ProgramError> {
    if sysvar.address() != &INSTRUCTIONS {
        return Err(Refusal::WrongInstructionsSysvar.into());
    }
    let bytes = sysvar.try_borrow().map_err(|_| Refusal::AccountTwice)?;
    let (program, data) = instruction(&bytes, 0).ok_or(Refusal::WrongInstructionsSysvar)?;
    let advances = program == pinocchio_system::ID.as_array() && data.starts_with(&ADVANCE_NONCE);
    if advances { Err(Refusal::DurableNonce.into()) } else { Ok(()) }
}

/// Program and data of the transaction's instruction at `index`. `sysvar` are the bytes of the instructions sysvar, which
/// the runtime writes.
pub fn instruction(sysvar: &[u8], index: u16) -> Option<(&[u8; 32], &[u8])> {
    if index >= short(sysvar, 0)? {
        return None;
    }
    // Sums of a few 16-bit numbers: none overflows.
    let start = short(sysvar, SHORT.wrapping_add(usize::from(index).wrapping_mul(SHORT)))?;
    let accounts = usize::from(short(sysvar, usize::from(start))?).wrapping_mul(ACCOUNT_META);
    let tail = sysvar.get(usize::from(start).wrapping_add(SHORT).wrapping_add(accounts)..)?;
    let (program, tail) = tail.split_first_chunk()?;
    let (length, tail) = tail.split_first_chunk()?;
    Some((program, tail.get(..usize::from(u16::from_le_bytes(*length)))?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|number| u16::from_le_bytes(*number))
}
