//! A free list over an array of equal slots: allocation and release in constant time, nothing moved.
//!
//! Invariant B4: every slot below the high-water mark is either in use or on the list, exactly once; the list is
//! acyclic; released slots are zero but for the link.

use crate::error::{EngineError, Result};
use bytemuck::{Pod, Zeroable};

/// End of the list.
pub const NIL: u32 = u32::MAX;

/// A value that can stand in a free list.
pub trait Slot: Pod {
    /// A released slot that links to `next`.
    fn released(next: u32) -> Self;
    /// The link of a released slot; `None` if the slot is in use.
    fn next_free(&self) -> Option<u32>;
}

/// Head of a free list, stored in an account header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FreeList {
    head: u32,
    /// Slots ever used: those at and above it have never been allocated and are zero.
    high_water: u32,
    free: u32,
    capacity: u32,
}

impl FreeList {
    /// An empty list over `capacity` untouched slots.
    pub const fn new(capacity: u32) -> Self {
        Self { head: NIL, high_water: 0, free: 0, capacity }
    }

    /// Number of slots, in use or not.
    #[inline(always)]
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Slots ever allocated; all in use lie below.
    #[inline(always)]
    pub const fn high_water(&self) -> u32 {
        self.high_water
    }

    /// First released slot, or [`NIL`].
    pub const fn head(&self) -> u32 {
        self.head
    }

    /// Released slots on the list.
    pub const fn released(&self) -> u32 {
        self.free
    }

    /// Slots in use.
    pub const fn in_use(&self) -> u32 {
        self.high_water.wrapping_sub(self.free)
    }

    /// Adds slots at the end. Fails with `Overflow`.
    pub fn grow(&mut self, slots: u32) -> Result<()> {
        self.capacity = self.capacity.checked_add(slots).ok_or(EngineError::Overflow)?;
        Ok(())
    }

    /// Takes a slot, the last released one first; the caller overwrites it whole. `None` when all are in use. Fails
    /// with `Corrupt` if the list points at a slot in use.
    #[inline(always)]
    pub fn allocate<T: Slot>(&mut self, slots: &[T]) -> Result<Option<u32>> {
        if self.head != NIL {
            let index = self.head;
            let slot = slots.get(crate::math::to_usize(index)).ok_or(EngineError::Corrupt)?;
            self.head = slot.next_free().ok_or(EngineError::Corrupt)?;
            self.free = self.free.checked_sub(1).ok_or(EngineError::Corrupt)?;
            return Ok(Some(index));
        }
        if self.high_water >= self.capacity {
            return Ok(None);
        }
        let index = self.high_water;
        self.high_water = index.wrapping_add(1);
        Ok(Some(index))
    }

    /// Gives a slot back and zeroes it. Fails with `Corrupt` if it is not in use.
    #[inline(always)]
    pub fn release<T: Slot>(&mut self, slots: &mut [T], index: u32) -> Result<()> {
        let slot = slots.get_mut(crate::math::to_usize(index)).ok_or(EngineError::Corrupt)?;
        if slot.next_free().is_some() {
            return Err(EngineError::Corrupt);
        }
        *slot = T::released(self.head);
        self.head = index;
        self.free = self.free.wrapping_add(1);
        Ok(())
    }
}
