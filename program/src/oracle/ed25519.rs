//! Signatures that the runtime has verified: the transaction's ed25519 instructions, as the instructions sysvar shows
//! them.
//!
//! An ed25519 instruction names, for each of its signatures, where key and message are; a transaction in which one of
//! them does not fit does not run. Whoever reads it must follow the same offsets to the same bytes, which is why every
//! part of a signature has to lie in the instruction itself.
//!
//! Layout: `solana-ed25519-program` 3.0.

use crate::{
    Refusal,
    account::transaction::{INSTRUCTIONS, instruction},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::Address;
use quantdesk_engine::state::Key;

/// The runtime's program that verifies ed25519 signatures.
pub const PROGRAM: Address = Address::from_str_const("Ed25519SigVerify111111111111111111111111111");

/// Number of signatures and a byte that nothing reads.
const HEAD: usize = 2;
/// Stands for the ed25519 instruction itself wherever one names an instruction.
const THIS_INSTRUCTION: u16 = u16::MAX;

/// Where one signature, its key and its message are: `u16` numbers in little endian.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Offsets {
    /// Of the signature's 64 bytes.
    pub signature: [u8; 2],
    /// Instruction that holds them.
    pub signature_instruction: [u8; 2],
    /// Of the key's 32 bytes.
    pub key: [u8; 2],
    /// Instruction that holds them.
    pub key_instruction: [u8; 2],
    /// Of the message.
    pub message: [u8; 2],
    /// Bytes of the message.
    pub message_length: [u8; 2],
    /// Instruction that holds it.
    pub message_instruction: [u8; 2],
}

const _: () = assert!(size_of::<Offsets>() == 14 && align_of::<Offsets>() == 1);

/// An ed25519 instruction that has run in this transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signatures<'a> {
    /// Its place in the transaction.
    index: u16,
    /// Its data.
    data: &'a [u8],
}

/// One verified signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// Who signed.
    pub key: &'a [u8; 32],
    /// Where the message starts in the instruction's data.
    pub start: usize,
    /// What was signed.
    pub message: &'a [u8],
}

/// The `distance`-th ed25519 instruction before the running one, counted backwards from 1, if all between are ed25519
/// instructions too. `None` if there is no such, or if `program` is not what the transaction itself runs now.
///
/// `sysvar` are the bytes of the instructions sysvar, which the runtime writes.
pub fn preceding<'a>(sysvar: &'a [u8], program: &[u8; 32], distance: u16) -> Option<Signatures<'a>> {
    let mut index = u16::from_le_bytes(*sysvar.last_chunk()?);
    // WHY: in a call by another program the running instruction is that program's, whose neighbours mean nothing here.
    if instruction(sysvar, index)?.0 != program {
        return None;
    }
    let mut data = None;
    for _ in 0..distance {
        index = index.checked_sub(1)?;
        let (verifier, verified) = instruction(sysvar, index)?;
        if verifier != PROGRAM.as_array() {
            return None;
        }
        data = Some(verified);
    }
    data.map(|data| Signatures { index, data })
}

impl<'a> Signatures<'a> {
    /// How many signatures it verified.
    pub fn count(&self) -> u8 {
        self.data.first().copied().unwrap_or(0)
    }

    /// The last `length` bytes, and the instruction without them. `None` if it is shorter.
    pub fn split_tail(self, length: usize) -> Option<(Self, &'a [u8])> {
        let (data, tail) = self.data.split_at_checked(self.data.len().checked_sub(length)?)?;
        Some((Self { data, ..self }, tail))
    }

    /// The signature at `place`. Fails with `OracleWrongType` if it does not lie within the data, with
    /// `OracleNotVerified` if a part of it lies in another instruction.
    pub fn get(&self, place: u8) -> Result<Signed<'a>, Refusal> {
        let shape = Refusal::OracleWrongType;
        let at = HEAD.wrapping_add(usize::from(place).wrapping_mul(size_of::<Offsets>()));
        let offsets: &[u8; size_of::<Offsets>()] = self.data.get(at..).and_then(<[u8]>::first_chunk).ok_or(shape)?;
        let offsets: &Offsets = bytemuck::cast_ref(offsets);
        let instructions = [offsets.signature_instruction, offsets.key_instruction, offsets.message_instruction];
        for instruction in instructions.map(u16::from_le_bytes) {
            if instruction != self.index && instruction != THIS_INSTRUCTION {
                return Err(Refusal::OracleNotVerified);
            }
        }
        let from = |offset: [u8; 2]| self.data.get(usize::from(u16::from_le_bytes(offset))..);
        from(offsets.signature).and_then(<[u8]>::first_chunk::<64>).ok_or(shape)?;
        let key = from(offsets.key).and_then(<[u8]>::first_chunk).ok_or(shape)?;
        let length = usize::from(u16::from_le_bytes(offsets.message_length));
        let message = from(offsets.message).and_then(|bytes| bytes.get(..length)).ok_or(shape)?;
        Ok(Signed { key, start: usize::from(u16::from_le_bytes(offsets.message)), message })
    }
}

/// Fails with `OracleWrongAccount` unless this is the address of the instructions sysvar.
#[inline(always)]
pub(super) fn check_sysvar(address: &Key) -> Result<(), Refusal> {
    if address.matches(INSTRUCTIONS.as_array()) { Ok(()) } else { Err(Refusal::OracleWrongAccount) }
}
