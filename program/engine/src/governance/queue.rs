//! The queue of changes in the exchange account: what was proposed and not yet executed, cancelled or removed, with all that
//! it says, so that anybody can read from the account what is going to happen.
//!
//! Numbers are gapless and never used again. Which payloads are in use follows from the entries, and from nothing else: none
//! can be lost, and none shared.

use crate::{
    error::{EngineError, Result},
    state::Key,
    units::{MarketIndex, UnixSeconds},
};
use bytemuck::{Pod, Zeroable};

/// Changes that can wait.
pub const CHANGES_MAX: usize = 16;
/// Of those, changes that consist of more than one number.
pub const PAYLOADS_MAX: usize = 3;
/// Bytes of a payload: those of the largest, a listing.
pub const PAYLOAD_SIZE: usize = 704;
/// How long a change can be executed once its delay has passed: a week.
pub const LAPSE_SECONDS: u32 = 604_800;

/// [`Change::payload`] of a change without.
pub const NO_PAYLOAD: u8 = u8::MAX;
/// [`Change::market`] of a change that is about no market that is listed.
pub const NO_MARKET: MarketIndex = MarketIndex::MAX;

/// A change that waits, 40 bytes. An unused one is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Change {
    /// Its number, from 1.
    pub number: u64,
    /// When it was proposed: its delay counts from here.
    pub proposed_at: UnixSeconds,
    /// Last second at which it can be executed: a week after its delay as it was when proposed.
    pub lapses_at: UnixSeconds,
    /// The value proposed for a parameter; else zero.
    pub value: i64,
    /// The market, or [`NO_MARKET`].
    pub market: MarketIndex,
    /// A [`Kind`](super::change::Kind).
    pub kind: u8,
    /// A [`Parameter`](super::parameter::Parameter), or zero.
    pub parameter: u8,
    /// Its place among the payloads, or [`NO_PAYLOAD`].
    pub payload: u8,
    /// A [`Proposer`](super::change::Proposer).
    pub proposer: u8,
    pub(super) pad: [u8; 2],
}

/// What a change says beyond its entry, 736 bytes. An unused one is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Payload {
    /// The account of the market to be listed; else zero.
    pub market: Key,
    /// The parameters, from the first byte on.
    parameters: [u64; PAYLOAD_SIZE / 8],
}

/// Everything that waits, 2,936 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ChangeQueue {
    /// Changes proposed so far, those that took effect at once included.
    pub proposed: u64,
    /// In no order.
    pub entries: [Change; CHANGES_MAX],
    /// In no order.
    pub payloads: [Payload; PAYLOADS_MAX],
    reserved: [u8; 80],
}

const _: () = assert!(size_of::<Change>() == 40 && align_of::<Change>() == 8);
const _: () = assert!(size_of::<Payload>() == 736 && align_of::<Payload>() == 8);
const _: () = assert!(size_of::<ChangeQueue>() == 2_936 && align_of::<ChangeQueue>() == 8);

impl Payload {
    /// The parameters' bytes, with what follows them.
    pub fn bytes(&self) -> &[u8; PAYLOAD_SIZE] {
        bytemuck::cast_ref(&self.parameters)
    }
}

impl Change {
    /// Whether nothing can be done with it any more but remove it.
    pub fn has_lapsed(&self, now: UnixSeconds) -> bool {
        now > self.lapses_at
    }
}

impl ChangeQueue {
    /// Gives out the next number.
    pub fn next_number(&mut self) -> Result<u64> {
        self.proposed = self.proposed.checked_add(1).ok_or(EngineError::Overflow)?;
        Ok(self.proposed)
    }

    /// The change with this number. Fails with `ChangeNotFound`.
    pub fn find(&self, number: u64) -> Result<&Change> {
        let mut waiting = self.entries.iter().filter(|entry| entry.number > 0);
        waiting.find(|entry| entry.number == number).ok_or(EngineError::ChangeNotFound)
    }

    /// The payload of a change that has one. Fails with `Corrupt` if it has none.
    pub fn payload(&self, change: &Change) -> Result<&Payload> {
        self.payloads.get(usize::from(change.payload)).ok_or(EngineError::Corrupt)
    }

    /// Adds a change without a payload. Fails with `ChangesFull`.
    pub fn add(&mut self, change: &Change) -> Result<()> {
        let entry = self.entries.iter_mut().find(|entry| entry.number == 0).ok_or(EngineError::ChangesFull)?;
        *entry = Change { payload: NO_PAYLOAD, ..*change };
        Ok(())
    }

    /// Adds a change with these parameters, and the account of a market to be listed. Fails with `ChangesFull` or
    /// `PayloadsFull`.
    pub fn add_with<T: Pod>(&mut self, change: &Change, market: &Key, wanted: &T) -> Result<()> {
        let entry = self.entries.iter().position(|entry| entry.number == 0).ok_or(EngineError::ChangesFull)?;
        let free = |place: &u8| self.entries.iter().all(|entry| entry.number == 0 || entry.payload != *place);
        let payload = (0u8..).take(PAYLOADS_MAX).find(free).ok_or(EngineError::PayloadsFull)?;
        let place = self.payloads.get_mut(usize::from(payload)).ok_or(EngineError::Corrupt)?;
        place.market = *market;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut place.parameters);
        let bytes = bytes.get_mut(..size_of::<T>()).ok_or(EngineError::Overflow)?;
        *bytemuck::try_from_bytes_mut(bytes).map_err(|_| EngineError::Overflow)? = *wanted;
        *self.entries.get_mut(entry).ok_or(EngineError::Corrupt)? = Change { payload, ..*change };
        Ok(())
    }

    /// Takes a change out, and leaves zeros behind it and its payload. Fails with `ChangeNotFound`.
    pub fn remove(&mut self, number: u64) -> Result<Change> {
        let change = *self.find(number)?;
        if let Some(payload) = self.payloads.get_mut(usize::from(change.payload)) {
            *payload = Payload::zeroed();
        }
        for entry in self.entries.iter_mut().filter(|entry| entry.number == number) {
            *entry = Change::zeroed();
        }
        Ok(change)
    }
}
