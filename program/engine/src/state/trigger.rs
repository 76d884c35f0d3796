//! Conditional orders: cells of the ledger's arena on a list of their position.

use super::cell::{CELL_SIZE, Cell, KIND_TRIGGER};
use crate::{
    money::Balance,
    units::{CellIndex, Lots, Ppm, Sequence, Side, Ticks, UnixSeconds},
};
use bytemuck::{Pod, Zeroable};

/// When a trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Condition {
    /// The reference is at or above the trigger price.
    Above = 0,
    /// The reference is at or below it.
    Below = 1,
    /// The reference has come back from its extreme by a distance: down for a sell, up for a buy.
    Trailing = 2,
    /// Its time has come, slice by slice.
    Twap = 3,
}

/// The price that a trigger watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reference {
    /// The mark.
    Mark = 0,
    /// The last fill of the market, while it is young and within the band around the mark.
    Last = 1,
    /// The index.
    Index = 2,
}

/// A conditional order, 128 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TriggerCell {
    kind: u8,
    condition: u8,
    reference: u8,
    side: u8,
    reduce_only: u8,
    pad: u8,
    /// Slices left, of a [`Condition::Twap`]; else 0.
    pub slices: u16,
    /// Position whose list it is on.
    pub position: CellIndex,
    /// Next older trigger of the position.
    pub next: CellIndex,
    /// Its number, of the same series as the market's orders.
    pub number: Sequence,
    /// The trader's own id, unique among the position's triggers; 0 for none.
    pub client_id: u64,
    /// Client id of the order that arms it, as long as that may still come or rests; else 0.
    pub parent: u64,
    /// Lots it still wants; 0 while it waits for its parent, or while [`Self::share`] decides.
    pub lots: Lots,
    /// What keepers get for executing it.
    pub tip: Balance,
    /// Last second at which it may fire; 0 for no end.
    pub expires_at: UnixSeconds,
    /// When the next slice is due.
    pub next_at: UnixSeconds,
    /// Trigger price; of a trailing one the extreme so far, 0 before there is one.
    pub price: Ticks,
    /// How far the reference comes back before a trailing one fires.
    pub distance: Ticks,
    /// Price of the limit order that it becomes; 0 if it takes at once.
    pub limit: Ticks,
    /// How far from the reference it may take.
    pub slippage: Ppm,
    /// Part of the position that it wants, until its first execution; 0 if lots are given.
    pub share: Ppm,
    /// Seconds between slices.
    pub interval: u32,
    /// One execution cancels the others of the same group of the position; 0 for none.
    pub group: u32,
    /// The position's count of turns when it became live.
    pub turns: u32,
    reserved: [u8; 24],
}

const _: () = assert!(size_of::<TriggerCell>() == CELL_SIZE && align_of::<TriggerCell>() == 8);

impl Condition {
    /// Decodes a byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Above,
            1 => Self::Below,
            2 => Self::Trailing,
            3 => Self::Twap,
            _ => return None,
        })
    }

    /// The stored byte.
    pub const fn byte(self) -> u8 {
        #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
        {
            self as u8
        }
    }
}

impl Reference {
    /// Decodes a byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Mark,
            1 => Self::Last,
            2 => Self::Index,
            _ => return None,
        })
    }

    /// The stored byte.
    pub const fn byte(self) -> u8 {
        #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
        {
            self as u8
        }
    }
}

impl TriggerCell {
    /// A trigger without sizes, prices and links.
    pub fn new(condition: Condition, reference: Reference, side: Side, reduce_only: bool) -> Self {
        Self {
            kind: KIND_TRIGGER,
            condition: condition.byte(),
            reference: reference.byte(),
            side: side.byte(),
            reduce_only: u8::from(reduce_only),
            position: CellIndex::NIL,
            next: CellIndex::NIL,
            ..Self::zeroed()
        }
    }

    /// As an arena cell.
    pub fn into_cell(self) -> Cell {
        bytemuck::cast(self)
    }

    /// When it fires; `None` for a byte that means nothing.
    pub const fn condition(&self) -> Option<Condition> {
        Condition::from_byte(self.condition)
    }

    /// What it watches; `None` for a byte that means nothing.
    pub const fn reference(&self) -> Option<Reference> {
        Reference::from_byte(self.reference)
    }

    /// Side of its order.
    #[inline(always)]
    pub const fn side(&self) -> Side {
        if self.side == Side::Bid.byte() { Side::Bid } else { Side::Ask }
    }

    /// Whether its order may only reduce the position.
    #[inline(always)]
    pub const fn is_reduce_only(&self) -> bool {
        self.reduce_only != 0
    }

    /// Whether it still waits for the first fill of its parent.
    #[inline(always)]
    pub const fn is_dormant(&self) -> bool {
        self.parent != 0 && self.lots.is_zero()
    }

    /// Whether it is a child of an order with this client id on this side.
    #[inline(always)]
    pub fn is_child_of(&self, parent: u64, side: Side) -> bool {
        self.parent == parent && self.side() != side
    }

    /// Whether the position that it was to reduce has been closed or turned since.
    #[inline(always)]
    pub const fn is_orphan(&self, turns: u32) -> bool {
        self.is_reduce_only() && !self.is_dormant() && self.turns != turns
    }

    /// Whether it may no longer fire at this time.
    #[inline(always)]
    pub const fn is_expired(&self, now: UnixSeconds) -> bool {
        !self.expires_at.is_zero() && now.get() > self.expires_at.get()
    }

    /// Whether its fields go together: something is wanted or waited for, of a share or a parent only to reduce; slices are
    /// of those that fire by time.
    pub fn is_sound(&self) -> bool {
        let timed = self.condition() == Some(Condition::Twap);
        let wants = !self.lots.is_zero() || !self.share.is_zero() || self.parent != 0;
        let adds = self.share.is_zero() && self.parent == 0;
        wants && (adds || self.is_reduce_only()) && timed == (self.slices > 0) && (!timed || self.interval > 0)
    }

    /// Whether its condition holds at a reference price and a time. A price once passed counts no more: it must hold now.
    pub fn is_due(&self, reference: Ticks, now: UnixSeconds) -> bool {
        let (reference, price) = (u64::from(reference.get()), u64::from(self.price.get()));
        let distance = u64::from(self.distance.get());
        match (self.condition(), self.side()) {
            (Some(Condition::Above), _) => reference >= price,
            (Some(Condition::Below), _) => reference <= price,
            // Sums of two u32 fit u64.
            (Some(Condition::Trailing), Side::Ask) => price > 0 && reference.wrapping_add(distance) <= price,
            (Some(Condition::Trailing), Side::Bid) => price > 0 && reference >= price.wrapping_add(distance),
            (Some(Condition::Twap), _) => now >= self.next_at,
            (None, _) => false,
        }
    }

    /// Whether a reference price is a new extreme of a trailing one.
    pub fn is_extreme(&self, reference: Ticks) -> bool {
        let further = match self.side() {
            Side::Ask => reference > self.price,
            Side::Bid => reference < self.price,
        };
        self.condition() == Some(Condition::Trailing) && (further || self.price.is_zero())
    }
}
