//! A ring of fixed-size records with gapless numbers: the audit trail of an account.

use crate::{
    error::{EngineError, Result},
    units::Sequence,
};
use bytemuck::Pod;

/// A record that carries its own number.
pub trait Record: Pod {
    /// The record's number; the first one ever written is 1, an unwritten slot holds 0.
    fn sequence(&self) -> Sequence;
    /// Sets the number.
    fn set_sequence(&mut self, sequence: Sequence);
}

/// Writes `record` as number `written + 1` over the oldest one. The ring's length is a power of two. Fails with
/// `Corrupt` for an empty ring.
#[inline(always)]
pub fn append<T: Record>(ring: &mut [T], written: &mut Sequence, mut record: T) -> Result<()> {
    let slot = slot_of(ring.len(), *written);
    *written = Sequence::new(written.get().wrapping_add(1));
    record.set_sequence(*written);
    *ring.get_mut(slot).ok_or(EngineError::Corrupt)? = record;
    Ok(())
}

/// Records still in the ring, oldest first, given how many were ever written.
pub fn iter<T: Record>(ring: &[T], written: Sequence) -> impl Iterator<Item = &T> {
    let oldest = written.get().saturating_sub(u64::try_from(ring.len()).unwrap_or(u64::MAX));
    (oldest..written.get()).filter_map(move |number| ring.get(slot_of(ring.len(), Sequence::new(number))))
}

/// Slot of the record after `written` ones, for a ring whose length is a power of two.
#[inline(always)]
fn slot_of(len: usize, written: Sequence) -> usize {
    let mask = len.wrapping_sub(1);
    usize::try_from(written.get()).unwrap_or(usize::MAX) & mask
}
