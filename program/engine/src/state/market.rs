//! A market account: the order book and its event ring.
//!
//! ```text
//! ┌──────────────┬──────────┬─────────────────┬─────────────────┬────────────────────────────┬────────────────────┐
//! │ MarketHeader │ Annex    │ bids, sorted    │ asks, sorted    │ order nodes                │ ring of TradeEvent │
//! │ 256 B        │ 11,648 B │ capacity × 16 B │ capacity × 16 B │ (2 × capacity + 416) × 64 B │ events × 80 B      │
//! └──────────────┴──────────┴─────────────────┴─────────────────┴────────────────────────────┴────────────────────┘
//! ```

use super::{
    annex::{ANNEX_NODES, ANNEX_SIZE, Annex, PEGGED_MAX},
    event::TradeEvent,
    header::{AccountHeader, Key},
    ledger::ACCOUNT_SIZE_MAX,
    order::{IndexEntry, OrderNode},
};
use crate::{
    error::{EngineError, Result},
    math,
    slab::{self, free_list::FreeList, ring},
    units::{CellIndex, Lots, MarketIndex, NodeIndex, Now, QuoteAtoms, Sequence, Side, Ticks, UnixSeconds},
};
use bytemuck::{Pod, Zeroable};

/// `"QDMARKET"`.
pub const MARKET_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"QDMARKET");
/// Orders a side may hold at most, by configuration.
pub const SIDE_CAPACITY_MAX: u32 = 16_384;

/// Start of a market account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MarketHeader {
    /// Header.
    pub header: AccountHeader,
    /// The ledger this market settles in.
    pub ledger: Key,
    /// Row in the ledger.
    pub index: MarketIndex,
    pad: u16,
    /// Orders a side can hold.
    side_capacity: u32,
    events_capacity: u32,
    pub(crate) bids_len: u32,
    pub(crate) asks_len: u32,
    /// Price of the last fill; 0 before the first.
    pub last_trade_price: Ticks,
    /// Time of the last fill.
    pub last_trade_time: UnixSeconds,
    /// Number of the last order placed.
    pub orders_placed: Sequence,
    /// Trading events written.
    pub events_written: Sequence,
    /// Order nodes.
    pub nodes: FreeList,
    /// The deleveraging under way, if any.
    pub deleverage: Deleverage,
    pub(crate) pegged_bids_len: u32,
    pub(crate) pegged_asks_len: u32,
    /// Ladders in use, one bit each.
    pub ladders: u32,
    /// Slots that a taker waits; zero for none.
    pub taker_delay: u32,
    /// Where the ring of waiting takers starts.
    pub delayed_first: u32,
    /// Takers that wait.
    pub delayed_len: u32,
    reserved: [u8; 32],
    /// Triggers of positions in this market.
    pub triggers: u32,
    pad2: u32,
}

/// A bankrupt position on its way to its counterparties; see `risk::deleverage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Deleverage {
    pub(crate) phase: u8,
    pub(crate) side: u8,
    pub(crate) pad: [u8; 2],
    /// Whose position is closed.
    pub trader: CellIndex,
    /// Next cell to look at.
    pub cursor: CellIndex,
    /// A counterparty is in profit if it would gain by closing at this price.
    pub price: Ticks,
    /// Number of this deleveraging in the market, from 1.
    pub number: u64,
    /// Lots to close in all.
    pub lots: Lots,
    /// Atoms they change hands for in all.
    pub quote: QuoteAtoms,
    /// Lots of counterparties in profit.
    pub profitable: Lots,
    /// Lots of all counterparties.
    pub opposite: Lots,
    /// Lots of counterparties in profit that were passed.
    pub profitable_passed: Lots,
    /// Lots of the other counterparties that were passed.
    pub others_passed: Lots,
    /// Lots closed so far.
    pub closed: Lots,
}

const _: () = assert!(size_of::<Deleverage>() == 80 && align_of::<Deleverage>() == 8);

impl Deleverage {
    /// Whether one is under way.
    #[inline(always)]
    pub const fn is_running(&self) -> bool {
        self.phase != 0
    }
}

/// Bytes of a market's header.
pub const MARKET_HEADER_SIZE: usize = 256;
const _: () = assert!(size_of::<MarketHeader>() == MARKET_HEADER_SIZE && align_of::<MarketHeader>() == 8);

/// Mutable view over a market account.
#[derive(Debug)]
pub struct Market<'a> {
    /// Header.
    pub header: &'a mut MarketHeader,
    pub(crate) annex: &'a mut Annex,
    pub(crate) bids: &'a mut [IndexEntry],
    pub(crate) asks: &'a mut [IndexEntry],
    pub(crate) nodes: &'a mut [OrderNode],
    /// Ring of trading events.
    pub events: &'a mut [TradeEvent],
}

/// Read-only view over a market account.
#[derive(Clone, Copy, Debug)]
pub struct MarketView<'a> {
    /// Header.
    pub header: &'a MarketHeader,
    /// Ladders, waiting takers and pegged orders.
    pub annex: &'a Annex,
    /// Whole index of bids, used and unused.
    bids: &'a [IndexEntry],
    asks: &'a [IndexEntry],
    /// Order nodes.
    pub nodes: &'a [OrderNode],
    /// Ring of trading events.
    pub events: &'a [TradeEvent],
}

/// Bytes of a market with these capacities.
pub const fn market_size(side_capacity: u32, events_capacity: u32) -> usize {
    let side = math::to_usize(side_capacity);
    // Bounded counts times small sizes: far below 2^64.
    MARKET_HEADER_SIZE
        .wrapping_add(ANNEX_SIZE)
        .wrapping_add(math::to_usize(ANNEX_NODES).wrapping_mul(size_of::<OrderNode>()))
        .wrapping_add(side.wrapping_mul(2).wrapping_mul(size_of::<IndexEntry>().wrapping_add(size_of::<OrderNode>())))
        .wrapping_add(math::to_usize(events_capacity).wrapping_mul(size_of::<TradeEvent>()))
}

/// Order nodes of a market: one for every place in the book and in the annex.
#[inline(always)]
const fn nodes_of(side_capacity: u32) -> u32 {
    // A bounded capacity, or `market_size` fits no account.
    side_capacity.wrapping_mul(2).wrapping_add(ANNEX_NODES)
}

impl<'a> Market<'a> {
    /// Whether these bytes can become a market with these capacities. Fails with `CapacityInvalid` unless they are exactly
    /// as long as the capacities say and the ring's length is a power of two, with `AccountNotBlank` if they are in use.
    pub fn check_blank(bytes: &[u8], side_capacity: u32, events_capacity: u32) -> Result<()> {
        let fits = side_capacity > 0
            && side_capacity <= SIDE_CAPACITY_MAX
            && events_capacity.is_power_of_two()
            && bytes.len() <= ACCOUNT_SIZE_MAX
            && bytes.len() == market_size(side_capacity, events_capacity);
        if !fits {
            return Err(EngineError::CapacityInvalid);
        }
        let (header, _): (&MarketHeader, _) = slab::take_one(bytes)?;
        if header.header.is_blank() { Ok(()) } else { Err(EngineError::AccountNotBlank) }
    }

    /// Turns blank bytes into an empty market. Fails as [`Self::check_blank`].
    pub fn create(
        bytes: &'a mut [u8],
        ledger: Key,
        index: MarketIndex,
        side_capacity: u32,
        events_capacity: u32,
    ) -> Result<Self> {
        Self::check_blank(bytes, side_capacity, events_capacity)?;
        let (header, _): (&mut MarketHeader, _) = slab::take_one_mut(bytes)?;
        *header = MarketHeader {
            header: AccountHeader::new(MARKET_DISCRIMINATOR, 0),
            ledger,
            index,
            side_capacity,
            events_capacity,
            nodes: FreeList::new(nodes_of(side_capacity)),
            ..MarketHeader::zeroed()
        };
        Self::load(bytes)
    }

    /// The market in these bytes. Fails with `AccountSize`, `AccountType` or `AccountVersion`.
    #[inline(always)]
    pub fn load(bytes: &'a mut [u8]) -> Result<Self> {
        let len = bytes.len();
        let (header, rest): (&mut MarketHeader, _) = slab::take_one_mut(bytes)?;
        header.header.check(MARKET_DISCRIMINATOR)?;
        if len != market_size(header.side_capacity, header.events_capacity) {
            return Err(EngineError::AccountSize);
        }
        let side = math::to_usize(header.side_capacity);
        let (annex, rest) = slab::take_one_mut(rest)?;
        let (bids, rest) = slab::take_mut(rest, side)?;
        let (asks, rest) = slab::take_mut(rest, side)?;
        let (nodes, rest) = slab::take_mut(rest, math::to_usize(nodes_of(header.side_capacity)))?;
        let (events, _) = slab::take_mut(rest, math::to_usize(header.events_capacity))?;
        Ok(Self { header, annex, bids, asks, nodes, events })
    }

    /// The same, read-only.
    pub fn view(&self) -> MarketView<'_> {
        MarketView {
            header: self.header,
            annex: self.annex,
            bids: self.bids,
            asks: self.asks,
            nodes: self.nodes,
            events: self.events,
        }
    }

    /// Number of orders on a side.
    #[inline(always)]
    pub const fn side_len(&self, side: Side) -> usize {
        self.header.side_len(side)
    }

    /// The order node at `index`, if an order rests there.
    #[inline(always)]
    pub fn node(&self, index: NodeIndex) -> Option<&OrderNode> {
        self.nodes.get(index.as_usize()).filter(|node| !node.sequence.is_zero())
    }

    /// The order node at `index`. Fails with `Corrupt` if none rests there: such an index only comes from the book.
    #[inline(always)]
    pub(crate) fn node_mut(&mut self, index: NodeIndex) -> Result<&mut OrderNode> {
        let node = self.nodes.get_mut(index.as_usize()).ok_or(EngineError::Corrupt)?;
        if node.sequence.is_zero() { Err(EngineError::Corrupt) } else { Ok(node) }
    }

    /// Writes a trading event.
    #[inline(always)]
    pub(crate) fn record(&mut self, now: Now, mut event: TradeEvent) -> Result<()> {
        event.unix_seconds = now.unix_seconds;
        event.slot = now.slot;
        ring::append(self.events, &mut self.header.events_written, event)
    }
}

impl MarketHeader {
    /// Orders a side can hold.
    #[inline(always)]
    pub const fn side_capacity(&self) -> u32 {
        self.side_capacity
    }

    /// Number of orders of a side that are pegged to the index.
    #[inline(always)]
    pub const fn pegged_len(&self, side: Side) -> usize {
        math::to_usize(match side {
            Side::Bid => self.pegged_bids_len,
            Side::Ask => self.pegged_asks_len,
        })
    }

    /// Whether nothing but the book offers anything on a side.
    #[inline(always)]
    pub const fn is_plain(&self, side: Side) -> bool {
        let pegged = match side {
            Side::Bid => self.pegged_bids_len,
            Side::Ask => self.pegged_asks_len,
        };
        pegged | self.ladders == 0
    }

    /// Number of orders on a side.
    #[inline(always)]
    pub const fn side_len(&self, side: Side) -> usize {
        math::to_usize(match side {
            Side::Bid => self.bids_len,
            Side::Ask => self.asks_len,
        })
    }
}

impl<'a> MarketView<'a> {
    /// The market in these bytes. Fails with `AccountSize`, `AccountType` or `AccountVersion`.
    pub fn load(bytes: &'a [u8]) -> Result<Self> {
        let (header, rest): (&MarketHeader, _) = slab::take_one(bytes)?;
        header.header.check(MARKET_DISCRIMINATOR)?;
        if bytes.len() != market_size(header.side_capacity, header.events_capacity) {
            return Err(EngineError::AccountSize);
        }
        let side = math::to_usize(header.side_capacity);
        let (annex, rest) = slab::take_one(rest)?;
        let (bids, rest) = slab::take(rest, side)?;
        let (asks, rest) = slab::take(rest, side)?;
        let (nodes, rest) = slab::take(rest, math::to_usize(nodes_of(header.side_capacity)))?;
        let (events, _) = slab::take(rest, math::to_usize(header.events_capacity))?;
        Ok(Self { header, annex, bids, asks, nodes, events })
    }

    /// Entries of a side, worst first.
    pub fn entries(&self, side: Side) -> &'a [IndexEntry] {
        let entries = match side {
            Side::Bid => self.bids,
            Side::Ask => self.asks,
        };
        entries.get(..self.header.side_len(side)).unwrap_or(&[])
    }

    /// Entries of a side's orders pegged to the index, worst first.
    pub fn pegged(&self, side: Side) -> &'a [IndexEntry] {
        self.annex.pegged(side).get(..self.header.pegged_len(side).min(PEGGED_MAX)).unwrap_or(&[])
    }

    /// The order node at `index`, if an order rests there.
    pub fn node(&self, index: NodeIndex) -> Option<&'a OrderNode> {
        self.nodes.get(index.as_usize()).filter(|node| !node.sequence.is_zero())
    }

    /// Orders of a side, best first.
    pub fn orders(&self, side: Side) -> impl Iterator<Item = (NodeIndex, &'a OrderNode)> {
        let nodes = self.nodes;
        self.entries(side).iter().rev().filter_map(move |entry| Some((entry.node, nodes.get(entry.node.as_usize())?)))
    }

    /// Best price of a side.
    pub fn best_price(&self, side: Side) -> Option<Ticks> {
        self.entries(side).last().map(|entry| entry.price(side))
    }
}
