//! Cells of the ledger's arena: 128 bytes each, a trader or a trader's position in one market.
//!
//! A trader's positions form a singly linked list, and so do a position's triggers; its resting orders form a doubly
//! linked one through the market's order nodes.

use super::{access::AccessCell, header::Key, trigger::TriggerCell};
use crate::{
    access::FEE_UNLIMITED,
    money::Balance,
    slab::free_list::{NIL, Slot},
    units::{
        CellIndex, FundingIndex, Generation, Lots, MarketIndex, NodeIndex, PositionLots, Ppm, QuoteAtoms, QuoteDelta,
        Side, Ticks, UnixSeconds,
    },
};
use bytemuck::{Pod, Zeroable};

/// Bytes per cell.
pub const CELL_SIZE: usize = 128;

const KIND_FREE: u8 = 0;
const KIND_TRADER: u8 = 1;
const KIND_POSITION: u8 = 2;
const KIND_WITHDRAWAL: u8 = 3;
pub(super) const KIND_TRIGGER: u8 = 4;
pub(super) const KIND_ACCESS: u8 = 5;

/// One cell of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct Cell([u64; 16]);

/// A released cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct FreeCell {
    kind: u8,
    pad: [u8; 3],
    next: u32,
    rest: [u64; 15],
}

/// A trading account: one owner's sub-account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TraderCell {
    kind: u8,
    pad: u8,
    /// The owner's number for this account; a label, not enforced to be unique.
    pub sub_account: u16,
    /// Incarnation of the cell; instructions name it, so that none can hit a later account in the same cell.
    pub generation: Generation,
    /// Who deposits, trades and withdraws.
    pub owner: Key,
    /// Its delegate and the targets of its withdrawals, or nil.
    pub access: CellIndex,
    /// Largest taker fee of a market in which its orders are accepted; 2^32 - 1 for any.
    pub fee_max: Ppm,
    /// Cash that came in from outside the account's trading less what went out, modulo 2^64: deposits, transfers, stake,
    /// withdrawals, gifts to the pool, tips put aside for keepers.
    pub paid_in: QuoteDelta,
    reserved: [u8; 16],
    /// Free collateral in quote atoms. Negative while losses are covered by unrealised profit.
    pub cash: Balance,
    /// First of the position cells.
    pub first_position: CellIndex,
    /// Number of position cells.
    pub positions: u16,
    pub(crate) bankrupt: u8,
    pad2: u8,
    /// Atoms of the pool in this account: it was bankrupt and has to give them back before anything else.
    pub absorbed: QuoteAtoms,
    /// Its waiting withdrawal, or nil.
    pub withdrawal: CellIndex,
    /// Seconds without a heartbeat after which anybody may cancel its orders; 0 for never.
    pub deadman_seconds: u32,
    /// Time of the last heartbeat, in seconds since 1970 modulo 2^32.
    pub heartbeat_at: u32,
    /// Incarnation of the referrer; zero without one.
    pub referrer_generation: Generation,
    /// Taking volume as it counted on [`Self::volume_day`], in quote atoms; see `risk::tier`.
    pub volume: QuoteAtoms,
    /// Day of the last fill of a taking order, modulo 2^16.
    pub volume_day: u16,
    /// Largest fee of a builder that the owner agrees to, in ppm of the value filled.
    pub builder_max: u16,
    /// Who brought this trader, if there is a [`Self::referrer_generation`].
    pub referrer: CellIndex,
}

/// A withdrawal that waits in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct WithdrawalCell {
    kind: u8,
    pad: [u8; 3],
    /// Whose it is.
    pub trader: CellIndex,
    /// Next in the queue.
    pub next: CellIndex,
    pad2: u32,
    /// Token account that is paid.
    pub target: Key,
    /// How much.
    pub atoms: QuoteAtoms,
    /// When it was asked for.
    pub requested_at: UnixSeconds,
    reserved: [u8; 64],
}

/// A trader's position and open orders in one market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PositionCell {
    kind: u8,
    pad: u8,
    /// The market.
    pub market: MarketIndex,
    /// The trader's cell.
    pub trader: CellIndex,
    /// Next position of the trader.
    pub next: CellIndex,
    /// Newest resting order, in the market's order nodes.
    pub first_order: NodeIndex,
    /// Resting orders.
    pub orders: u32,
    pad2: u32,
    /// Signed size.
    pub base: PositionLots,
    /// What the open size has cost (negative for a long) or brought in; moves to cash as the position is reduced.
    pub quote: Balance,
    /// Market's funding index at the last settlement.
    pub funding_index: FundingIndex,
    /// Lots of the resting bids.
    pub open_bid_lots: Lots,
    /// Lots of the resting asks.
    pub open_ask_lots: Lots,
    /// Value of the resting bids at their prices.
    pub open_bid_notional: QuoteAtoms,
    /// Value of the resting asks at their prices.
    pub open_ask_notional: QuoteAtoms,
    /// Profit and loss moved to cash so far. Informational; decides nothing and wraps.
    pub realised: QuoteDelta,
    /// Fees paid less rebates received so far. Informational; decides nothing and wraps.
    pub fees_paid: QuoteDelta,
    /// Funding paid less received so far. Informational; decides nothing and wraps.
    pub funding_paid: QuoteDelta,
    /// No resting bid is above this price; zero without bids.
    pub bid_bound: Ticks,
    /// No resting ask is below this price; zero without asks.
    pub ask_bound: Ticks,
    /// The maker's own number of the last time it replaced its quotes, or set its ladder, in this market.
    pub quote_sequence: u64,
    /// Newest of its triggers.
    pub first_trigger: CellIndex,
    /// How often it was closed or changed its direction, modulo 2^32.
    pub turns: u32,
}

const _: () = assert!(size_of::<Cell>() == CELL_SIZE && align_of::<Cell>() == 8);
const _: () = assert!(size_of::<FreeCell>() == CELL_SIZE);
const _: () = assert!(size_of::<TraderCell>() == CELL_SIZE && align_of::<TraderCell>() == 8);
const _: () = assert!(size_of::<PositionCell>() == CELL_SIZE && align_of::<PositionCell>() == 8);
const _: () = assert!(size_of::<WithdrawalCell>() == CELL_SIZE && align_of::<WithdrawalCell>() == 8);
const _: () = assert!(core::mem::offset_of!(TraderCell, owner) == 8);
const _: () = assert!(core::mem::offset_of!(TraderCell, cash) == 72);

impl Cell {
    #[inline(always)]
    const fn kind(&self) -> u8 {
        // WHY: the kind is the first byte in memory on a little-endian machine, the only kind Solana runs on.
        let [first, ..] = self.0;
        first.to_le_bytes()[0]
    }

    /// The trader in this cell, if it holds one.
    #[inline(always)]
    pub fn trader(&self) -> Option<&TraderCell> {
        if self.kind() == KIND_TRADER { Some(bytemuck::cast_ref(self)) } else { None }
    }

    /// The trader in this cell, if it holds one.
    #[inline(always)]
    pub fn trader_mut(&mut self) -> Option<&mut TraderCell> {
        if self.kind() == KIND_TRADER { Some(bytemuck::cast_mut(self)) } else { None }
    }

    /// The withdrawal in this cell, if it holds one.
    #[inline(always)]
    pub fn withdrawal(&self) -> Option<&WithdrawalCell> {
        if self.kind() == KIND_WITHDRAWAL { Some(bytemuck::cast_ref(self)) } else { None }
    }

    /// The withdrawal in this cell, if it holds one.
    #[inline(always)]
    pub fn withdrawal_mut(&mut self) -> Option<&mut WithdrawalCell> {
        if self.kind() == KIND_WITHDRAWAL { Some(bytemuck::cast_mut(self)) } else { None }
    }

    /// The trigger in this cell, if it holds one.
    #[inline(always)]
    pub fn trigger(&self) -> Option<&TriggerCell> {
        if self.kind() == KIND_TRIGGER { Some(bytemuck::cast_ref(self)) } else { None }
    }

    /// The trigger in this cell, if it holds one.
    #[inline(always)]
    pub fn trigger_mut(&mut self) -> Option<&mut TriggerCell> {
        if self.kind() == KIND_TRIGGER { Some(bytemuck::cast_mut(self)) } else { None }
    }

    /// The access cell in this cell, if it holds one.
    #[inline(always)]
    pub fn access(&self) -> Option<&AccessCell> {
        if self.kind() == KIND_ACCESS { Some(bytemuck::cast_ref(self)) } else { None }
    }

    /// The position in this cell, if it holds one.
    #[inline(always)]
    pub fn position(&self) -> Option<&PositionCell> {
        if self.kind() == KIND_POSITION { Some(bytemuck::cast_ref(self)) } else { None }
    }

    /// The position in this cell, if it holds one.
    #[inline(always)]
    pub fn position_mut(&mut self) -> Option<&mut PositionCell> {
        if self.kind() == KIND_POSITION { Some(bytemuck::cast_mut(self)) } else { None }
    }
}

impl Slot for Cell {
    #[inline(always)]
    fn released(next: u32) -> Self {
        bytemuck::cast(FreeCell { kind: KIND_FREE, pad: [0; 3], next, rest: [0; 15] })
    }

    #[inline(always)]
    fn next_free(&self) -> Option<u32> {
        let free: &FreeCell = bytemuck::cast_ref(self);
        if free.kind == KIND_FREE { Some(free.next) } else { None }
    }
}

impl TraderCell {
    /// A new account without cash, positions or orders.
    pub fn new(owner: Key, sub_account: u16, generation: Generation) -> Self {
        Self {
            kind: KIND_TRADER,
            sub_account,
            generation,
            owner,
            access: CellIndex::NIL,
            fee_max: FEE_UNLIMITED,
            first_position: CellIndex::NIL,
            withdrawal: CellIndex::NIL,
            ..Self::zeroed()
        }
    }

    /// Notes cash that came in from outside the account's trading. What a session may lose is reckoned against it, in
    /// differences, so it may wrap.
    #[inline(always)]
    pub const fn note_paid_in(&mut self, atoms: QuoteAtoms) {
        self.paid_in = QuoteDelta::new(self.paid_in.get().wrapping_add(atoms.get().cast_signed()));
    }

    /// Notes cash that went out for something else than trading.
    #[inline(always)]
    pub const fn note_paid_out(&mut self, atoms: QuoteAtoms) {
        self.paid_in = QuoteDelta::new(self.paid_in.get().wrapping_sub(atoms.get().cast_signed()));
    }

    /// Whether it was found bankrupt and is being wound up.
    #[inline(always)]
    pub const fn is_bankrupt(&self) -> bool {
        self.bankrupt != 0
    }

    /// Whether it names a referrer.
    #[inline(always)]
    pub const fn has_referrer(&self) -> bool {
        !self.referrer_generation.is_zero()
    }

    /// Whether its dead-man switch is on and has run out. A silence is told from a heartbeat in the future for 68 years.
    pub const fn is_silent(&self, now: UnixSeconds) -> bool {
        let silence = now.low_half().wrapping_sub(self.heartbeat_at).cast_signed();
        // A switch is set to at most a day.
        self.deadman_seconds > 0 && silence > self.deadman_seconds.cast_signed()
    }

    /// As an arena cell.
    pub fn into_cell(self) -> Cell {
        bytemuck::cast(self)
    }
}

impl WithdrawalCell {
    /// A withdrawal at the end of the queue.
    pub fn new(trader: CellIndex, target: Key, atoms: QuoteAtoms, requested_at: UnixSeconds) -> Self {
        let nil = CellIndex::NIL;
        Self { kind: KIND_WITHDRAWAL, trader, next: nil, target, atoms, requested_at, ..Self::zeroed() }
    }

    /// As an arena cell.
    pub fn into_cell(self) -> Cell {
        bytemuck::cast(self)
    }
}

impl PositionCell {
    /// An empty position of `trader` in `market`, linked in front of `next`.
    #[inline(always)]
    pub fn new(market: MarketIndex, trader: CellIndex, next: CellIndex, funding_index: FundingIndex) -> Self {
        Self {
            kind: KIND_POSITION,
            market,
            trader,
            next,
            first_order: NodeIndex::NIL,
            first_trigger: CellIndex::NIL,
            funding_index,
            ..Self::zeroed()
        }
    }

    /// As an arena cell.
    #[inline(always)]
    pub fn into_cell(self) -> Cell {
        bytemuck::cast(self)
    }

    /// Whether nothing is at risk: no size, no cost, no orders.
    #[inline(always)]
    pub const fn is_flat(&self) -> bool {
        self.base.is_zero() && self.quote.is_zero() && self.orders == 0
    }

    /// Whether nothing is open: neither anything at risk nor a trigger.
    #[inline(always)]
    pub const fn is_empty(&self) -> bool {
        self.is_flat() && self.first_trigger.is_nil()
    }

    /// Lots resting on `side`.
    #[inline(always)]
    pub const fn open_lots(&self, side: Side) -> Lots {
        match side {
            Side::Bid => self.open_bid_lots,
            Side::Ask => self.open_ask_lots,
        }
    }
}

/// An index that points nowhere equals the end of a free list, so that one value means "none" everywhere.
const _: () = assert!(CellIndex::NIL.get() == NIL && NodeIndex::NIL.get() == NIL);
