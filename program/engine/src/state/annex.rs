//! What a market holds besides its two sides: ladders, takers that wait, and orders pegged to the index.
//!
//! Each of them has an order node too, in its position's list, with the price and the lots it may come to: that is what
//! margin is reserved for and what cancelling, risk and expiry see. The annex says where and when it trades.

use super::{header::Key, order::IndexEntry};
use crate::{
    book::OrderKind,
    units::{CellIndex, Lots, NodeIndex, Sequence, Side, Slot, Ticks},
};
use bytemuck::{Pod, Zeroable};

/// Ladders of a market.
pub const LADDERS_MAX: usize = 16;
/// Levels of a ladder on a side.
pub const LEVELS_MAX: usize = 8;
/// Takers that may wait in a market.
pub const DELAYED_MAX: usize = 128;
/// Pegged orders of a side.
pub const PEGGED_MAX: usize = 128;
/// Order nodes that the annex can need: a pegged order and a waiting taker one each, a ladder one a side.
pub const ANNEX_NODES: u32 = 2 * 128 + 128 + 2 * 16;

/// One level of a ladder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct LadderLevel {
    /// Size; zero behind the last level.
    pub lots: Lots,
    /// Distance from the middle, away from the other side, in ticks; ascending.
    pub distance: Ticks,
    pad: u32,
}

/// One side of a ladder. Its levels are consumed from the first on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct LadderSide {
    /// Levels, nearest to the middle first.
    pub levels: [LadderLevel; LEVELS_MAX],
    /// Lots of the first level left that were consumed.
    pub used: Lots,
    /// Its reservation, or nil if it has none.
    pub node: NodeIndex,
    /// First level that is left.
    pub level: u32,
}

/// A maker's quotes relative to its own middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Ladder {
    /// Who may move it.
    pub quoter: Key,
    /// The maker's own number of the last move.
    pub sequence: u64,
    /// Order number since the last move.
    pub order: Sequence,
    /// The maker's middle.
    pub mid: Ticks,
    /// The maker's position cell.
    pub position: CellIndex,
    /// Bids.
    pub bids: LadderSide,
    /// Asks.
    pub asks: LadderSide,
}

/// A taker that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Delayed {
    /// When it came.
    pub slot: Slot,
    /// Its order.
    pub node: NodeIndex,
    pub(crate) kind: u8,
    /// Most resting orders it may still meet.
    pub match_limit: u8,
    pad: [u8; 2],
}

/// Ladders, waiting takers and pegged orders of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Annex {
    /// Ladders; which of them are in use is in the market's header.
    pub ladders: [Ladder; LADDERS_MAX],
    /// Ring of takers that wait; where it starts and its length are in the market's header.
    pub delayed: [Delayed; DELAYED_MAX],
    /// Bids pegged to the index, keyed by their distance from it, worst first.
    pub pegged_bids: [IndexEntry; PEGGED_MAX],
    /// The same of asks.
    pub pegged_asks: [IndexEntry; PEGGED_MAX],
}

/// Bytes of the annex.
pub const ANNEX_SIZE: usize = 11_648;
const _: () = assert!(size_of::<LadderLevel>() == 16 && size_of::<LadderSide>() == 144);
const _: () = assert!(size_of::<Ladder>() == 344 && align_of::<Ladder>() == 8);
const _: () = assert!(size_of::<Delayed>() == 16 && align_of::<Delayed>() == 8);
const _: () = assert!(size_of::<Annex>() == ANNEX_SIZE && align_of::<Annex>() == 8);

impl LadderLevel {
    /// A level.
    pub const fn new(distance: Ticks, lots: Lots) -> Self {
        Self { lots, distance, pad: 0 }
    }

    /// Whether its padding is zero.
    pub const fn is_padded(&self) -> bool {
        self.pad == 0
    }
}

impl Ladder {
    /// One side.
    #[inline(always)]
    pub const fn side(&self, side: Side) -> &LadderSide {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    /// One side.
    #[inline(always)]
    pub const fn side_mut(&mut self, side: Side) -> &mut LadderSide {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }
}

impl Delayed {
    /// The place of a taker that left before its time.
    pub(crate) const LEFT: Self = Self { slot: Slot::ZERO, node: NodeIndex::NIL, kind: 0, match_limit: 0, pad: [0; 2] };

    /// A taker whose order is one of this kind.
    pub(crate) const fn new(slot: Slot, node: NodeIndex, kind: OrderKind, match_limit: u8) -> Self {
        #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
        let kind = kind as u8;
        Self { slot, node, kind, match_limit, pad: [0; 2] }
    }

    /// Whether its padding is zero.
    pub fn is_padded(&self) -> bool {
        self.pad == [0; 2]
    }

    /// How it behaves when it runs; `None` for a byte that means nothing.
    pub const fn kind(&self) -> Option<OrderKind> {
        OrderKind::from_byte(self.kind)
    }
}

impl Annex {
    /// Where orders pegged to the index stand, worst first, used and unused.
    #[inline(always)]
    pub const fn pegged(&self, side: Side) -> &[IndexEntry; PEGGED_MAX] {
        match side {
            Side::Bid => &self.pegged_bids,
            Side::Ask => &self.pegged_asks,
        }
    }
}
