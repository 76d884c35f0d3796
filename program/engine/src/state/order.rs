//! A resting order: its entry in the sorted index and its node.

use crate::{
    slab::free_list::Slot,
    units::{CellIndex, Lots, NodeIndex, Sequence, Side, Ticks, UnixSeconds},
};
use bytemuck::{Pod, Zeroable};

/// Entry of a side's sorted index. Entries are ordered worst to best: by `key` ascending, then newest to oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct IndexEntry {
    /// Price turned so that larger is better on either side: the price of a bid, its bitwise complement for an ask. Of an order
    /// pegged to the index, its distance turned likewise; see [`Self::peg_key_of`].
    pub key: u32,
    /// The order's node.
    pub node: NodeIndex,
    /// The order's number; smaller is older.
    pub sequence: Sequence,
}

/// The rest of a resting order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OrderNode {
    /// Number of the order in its market; 0 in a released node.
    pub sequence: Sequence,
    /// The trader's own id; 0 for none.
    pub client_id: u64,
    /// Lots left.
    pub lots: Lots,
    /// Last second at which the order may be filled; 0 for no end.
    pub expires_at: UnixSeconds,
    /// First eight bytes of the owner's key, a filter for self-trade prevention.
    pub owner_tag: u64,
    /// Price.
    pub price: Ticks,
    /// The maker's position cell in the ledger.
    pub position: CellIndex,
    /// Next older order of the position. In a released node: next released node.
    pub next: NodeIndex,
    /// Next newer order of the position.
    pub previous: NodeIndex,
    side: u8,
    flags: u8,
    source: u8,
    pad: u8,
    /// Where it stands in the annex; zero for an order in the book.
    pub place: u32,
}

/// Where an order trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Source {
    /// In the book, at its price.
    Book = 0,
    /// At a distance from the index, but not beyond its price; `place` is the key of its entry.
    Pegged = 1,
    /// As one side of a ladder, but not beyond its price; `place` is the ladder's number.
    Ladder = 2,
    /// Not yet: a taker that waits; `place` is where in the ring.
    Delayed = 3,
}

const FLAG_REDUCE_ONLY: u8 = 0b01;
/// Triggers wait for its fills.
const FLAG_PARENT: u8 = 0b10;
/// Sign bit of a distance from the index.
const SIGN: u32 = 1 << 31;

const _: () = assert!(size_of::<IndexEntry>() == 16 && align_of::<IndexEntry>() == 8);
const _: () = assert!(size_of::<OrderNode>() == 64 && align_of::<OrderNode>() == 8);

impl IndexEntry {
    /// Key of a price on a side.
    #[inline(always)]
    pub const fn key_of(side: Side, price: Ticks) -> u32 {
        match side {
            Side::Bid => price.get(),
            Side::Ask => !price.get(),
        }
    }

    /// Price of this entry, given its side.
    #[inline(always)]
    pub const fn price(&self, side: Side) -> Ticks {
        match side {
            Side::Bid => Ticks::new(self.key),
            Side::Ask => Ticks::new(!self.key),
        }
    }

    /// Key of a distance from the index on a side. The sign bit is turned, so that keys are in the order of distances.
    #[inline(always)]
    pub const fn peg_key_of(side: Side, offset: i32) -> u32 {
        let biased = offset.cast_unsigned() ^ SIGN;
        match side {
            Side::Bid => biased,
            Side::Ask => !biased,
        }
    }

    /// Distance from the index that this key stands for on a side.
    #[inline(always)]
    pub const fn peg_offset_of(side: Side, key: u32) -> i32 {
        let biased = match side {
            Side::Bid => key,
            Side::Ask => !key,
        };
        (biased ^ SIGN).cast_signed()
    }
}

impl OrderNode {
    /// A node without links; the book sets them.
    #[inline(always)]
    pub fn new(side: Side, price: Ticks, lots: Lots, position: CellIndex) -> Self {
        Self {
            lots,
            price,
            position,
            next: NodeIndex::NIL,
            previous: NodeIndex::NIL,
            side: side.byte(),
            ..Self::zeroed()
        }
    }

    /// Side of the book it rests on.
    #[inline(always)]
    pub const fn side(&self) -> Side {
        if self.side == Side::Bid.byte() { Side::Bid } else { Side::Ask }
    }

    /// Whether it may only reduce the maker's position.
    #[inline(always)]
    pub const fn is_reduce_only(&self) -> bool {
        self.flags & FLAG_REDUCE_ONLY != 0
    }

    /// Marks it reduce-only or not.
    #[inline(always)]
    pub const fn set_reduce_only(&mut self, reduce_only: bool) {
        self.flags = if reduce_only { FLAG_REDUCE_ONLY } else { 0 };
    }

    /// Where it trades.
    #[inline(always)]
    pub const fn source(&self) -> Source {
        match self.source {
            0 => Source::Book,
            1 => Source::Pegged,
            2 => Source::Ladder,
            _ => Source::Delayed,
        }
    }

    /// Distance from the index in ticks, if it is pegged.
    pub const fn peg_offset(&self) -> Option<i32> {
        match self.source() {
            Source::Pegged => Some(IndexEntry::peg_offset_of(self.side(), self.place)),
            Source::Book | Source::Ladder | Source::Delayed => None,
        }
    }

    /// Whether it is in the book.
    #[inline(always)]
    pub const fn is_in_book(&self) -> bool {
        self.source == 0
    }

    /// Whether it is a taker that waits.
    #[inline(always)]
    pub const fn is_waiting(&self) -> bool {
        self.source == 3
    }

    /// Says where it trades, and its place in the annex.
    pub const fn set_source(&mut self, source: Source, place: u32) {
        self.source = match source {
            Source::Book => 0,
            Source::Pegged => 1,
            Source::Ladder => 2,
            Source::Delayed => 3,
        };
        self.place = place;
    }

    /// Whether it is neither reduce-only nor waited for.
    #[inline(always)]
    pub const fn is_plain(&self) -> bool {
        self.flags == 0
    }

    /// Whether triggers of its owner may wait for its fills.
    #[inline(always)]
    pub const fn is_parent(&self) -> bool {
        self.flags & FLAG_PARENT != 0
    }

    /// Says whether triggers wait for its fills.
    #[inline(always)]
    pub const fn set_parent(&mut self, parent: bool) {
        self.flags = if parent { self.flags | FLAG_PARENT } else { self.flags & !FLAG_PARENT };
    }

    /// Whether it may no longer be filled at this time.
    #[inline(always)]
    pub const fn is_expired(&self, now: UnixSeconds) -> bool {
        !self.expires_at.is_zero() && now.get() > self.expires_at.get()
    }
}

impl Slot for OrderNode {
    #[inline(always)]
    fn released(next: u32) -> Self {
        Self { next: NodeIndex::new(next), ..Self::zeroed() }
    }

    #[inline(always)]
    fn next_free(&self) -> Option<u32> {
        if self.sequence.is_zero() { Some(self.next.get()) } else { None }
    }
}
