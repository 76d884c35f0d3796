//! The sorted index of a side, and that of its orders pegged to the index price: search, insert, remove.

use crate::{
    error::{EngineError, Result},
    math,
    slab::memory,
    state::{IndexEntry, Market, annex::PEGGED_MAX},
    units::{Sequence, Side},
};
use bytemuck::Zeroable;

/// Where a newcomer with this key goes: in front of its equals, which are older.
#[inline(always)]
fn place_of_newest(entries: &[IndexEntry], key: u32) -> usize {
    entries.partition_point(|entry| entry.key < key)
}

/// The same, looked for around `from`: a quote mostly moves past a few others.
#[inline(always)]
fn place_near(entries: &[IndexEntry], from: usize, key: u32) -> usize {
    let worse = |place: usize| entries.get(place).is_some_and(|entry| entry.key < key);
    let mut place = from;
    if worse(from) {
        for _ in 0..NEAR {
            place = place.wrapping_add(1);
            if !worse(place) {
                return place;
            }
        }
    } else {
        for _ in 0..NEAR {
            if place == 0 || worse(place.wrapping_sub(1)) {
                return place;
            }
            place = place.wrapping_sub(1);
        }
    }
    place_of_newest(entries, key)
}

/// Entries that are looked at one by one before the search by halves.
const NEAR: usize = 4;

/// First entry that is not worse than `(key, sequence)`.
#[inline(always)]
fn position_of(entries: &[IndexEntry], key: u32, sequence: Sequence) -> usize {
    entries.partition_point(|entry| entry.key < key || (entry.key == key && entry.sequence > sequence))
}

/// Entries, used and unused, and how many are used.
type Entries<'a> = (&'a mut [IndexEntry], &'a mut u32);

/// Puts the newest order's entry in its place. Fails with `BookFull`.
#[inline(always)]
fn insert((entries, len): Entries<'_>, entry: IndexEntry) -> Result<()> {
    let used = math::to_usize(*len);
    let place = place_of_newest(entries.get(..used).ok_or(EngineError::Corrupt)?, entry.key);
    memory::shift_up(entries, place, used);
    *entries.get_mut(place).ok_or(EngineError::BookFull)? = entry;
    *len = len.wrapping_add(1);
    Ok(())
}

/// Takes out the entry of the order with this key and sequence. Fails with `Corrupt` if there is none.
#[inline(always)]
fn remove((entries, len): Entries<'_>, key: u32, sequence: Sequence) -> Result<()> {
    let used = math::to_usize(*len);
    let place = position_of(entries.get(..used).ok_or(EngineError::Corrupt)?, key, sequence);
    let found = entries.get(place).ok_or(EngineError::Corrupt)?;
    if place >= used || found.sequence != sequence {
        return Err(EngineError::Corrupt);
    }
    memory::shift_down(entries, place, used);
    let last = used.wrapping_sub(1);
    *entries.get_mut(last).ok_or(EngineError::Corrupt)? = IndexEntry::zeroed();
    *len = math::to_u32(last)?;
    Ok(())
}

impl Market<'_> {
    /// Best entry of a side.
    #[inline(always)]
    pub(crate) fn best(&self, side: Side) -> Option<IndexEntry> {
        let last = self.side_len(side).checked_sub(1)?;
        match side {
            Side::Bid => self.bids.get(last).copied(),
            Side::Ask => self.asks.get(last).copied(),
        }
    }

    /// Worst entry of a side.
    #[inline(always)]
    pub(crate) fn worst(&self, side: Side) -> Option<IndexEntry> {
        if self.side_len(side) == 0 {
            return None;
        }
        match side {
            Side::Bid => self.bids.first().copied(),
            Side::Ask => self.asks.first().copied(),
        }
    }

    /// Puts the newest order's entry in its place. Fails with `BookFull`.
    #[inline(always)]
    pub(crate) fn insert(&mut self, side: Side, entry: IndexEntry) -> Result<()> {
        insert(self.side_mut(side), entry)
    }

    /// Takes out the best entry. Fails with `Corrupt` if the side is empty.
    #[inline(always)]
    pub(crate) fn remove_best(&mut self, side: Side) -> Result<()> {
        let (entries, len) = self.side_mut(side);
        let last = len.checked_sub(1).ok_or(EngineError::Corrupt)?;
        *entries.get_mut(math::to_usize(last)).ok_or(EngineError::Corrupt)? = IndexEntry::zeroed();
        *len = last;
        Ok(())
    }

    /// Takes out the entry of the order with this key and sequence. Fails with `Corrupt` if there is none.
    #[inline(always)]
    pub(crate) fn remove(&mut self, side: Side, key: u32, sequence: Sequence) -> Result<()> {
        remove(self.side_mut(side), key, sequence)
    }

    /// Entries of a side's orders pegged to the index, worst first.
    pub(crate) fn pegged(&self, side: Side) -> &[IndexEntry] {
        self.annex.pegged(side).get(..self.header.pegged_len(side).min(PEGGED_MAX)).unwrap_or(&[])
    }

    /// As [`Self::insert`], of an order pegged to the index.
    pub(crate) fn insert_pegged(&mut self, side: Side, entry: IndexEntry) -> Result<()> {
        insert(self.pegged_mut(side), entry)
    }

    /// As [`Self::remove`], of an order pegged to the index.
    pub(crate) fn remove_pegged(&mut self, side: Side, key: u32, sequence: Sequence) -> Result<()> {
        remove(self.pegged_mut(side), key, sequence)
    }

    /// Moves the entry of the order with this key and sequence to where the newest order with `entry`'s key goes, and makes
    /// it `entry`. Fails with `Corrupt` if there is none.
    #[inline(always)]
    pub(crate) fn relocate(&mut self, side: Side, key: u32, sequence: Sequence, entry: IndexEntry) -> Result<()> {
        let (entries, len) = self.side_mut(side);
        let used = entries.get_mut(..math::to_usize(*len)).ok_or(EngineError::Corrupt)?;
        let from = position_of(used, key, sequence);
        if used.get(from).is_none_or(|found| found.sequence != sequence) {
            return Err(EngineError::Corrupt);
        }
        let mut place = place_near(used, from, entry.key);
        if place <= from {
            memory::shift_up(used, place, from);
        } else {
            memory::shift_down(used, from, place);
            // It was one of those that are worse.
            place = place.wrapping_sub(1);
        }
        *used.get_mut(place).ok_or(EngineError::Corrupt)? = entry;
        Ok(())
    }

    #[inline(always)]
    fn side_mut(&mut self, side: Side) -> Entries<'_> {
        match side {
            Side::Bid => (self.bids, &mut self.header.bids_len),
            Side::Ask => (self.asks, &mut self.header.asks_len),
        }
    }

    fn pegged_mut(&mut self, side: Side) -> Entries<'_> {
        match side {
            Side::Bid => (&mut self.annex.pegged_bids, &mut self.header.pegged_bids_len),
            Side::Ask => (&mut self.annex.pegged_asks, &mut self.header.pegged_asks_len),
        }
    }
}
