//! Numbers out of account bytes, and where in them things stand.

use quantdesk_client::{Address, engine::*, instruction::Trader, view};
use quantdesk_sim::{chain::Chain, desk::Desk};
use state::{
    CashEvent, Exchange, IndexEntry, LedgerHeader, MarketHeader, OrderNode, PositionCell, TradeEvent,
    annex::{ANNEX_NODES, ANNEX_SIZE},
    cell::CELL_SIZE,
    ledger::ledger_size,
    row::ROW_SIZE,
};
use std::{
    mem::{offset_of, size_of},
    ops::Range,
};

/// The chain's time as the program reads it.
pub fn now(chain: &Chain) -> Now {
    Now { slot: Slot::new(chain.slot()), unix_seconds: UnixSeconds::new(chain.unix_seconds()) }
}

/// The exchange account.
#[track_caller]
pub fn exchange(chain: &Chain, address: &Address) -> Exchange {
    *Exchange::load(&chain.data(address).unwrap()).unwrap()
}

/// The ledger's header.
#[track_caller]
pub fn header(desk: &Desk) -> LedgerHeader {
    header_at(&desk.chain, &desk.venue.ledger)
}

/// The header of the ledger at this address.
#[track_caller]
pub fn header_at(chain: &Chain, address: &Address) -> LedgerHeader {
    *state::LedgerView::load(chain.bytes(address).unwrap()).unwrap().header
}

/// Atoms in the ledger's total, in the fees, and tokens in the vault.
#[track_caller]
pub fn money(desk: &Desk) -> (i64, i64, u64) {
    let header = header(desk);
    (header.total.get().get(), header.fees.get().get(), desk.chain.tokens(&desk.venue.vault).unwrap())
}

/// A trader's cash.
#[track_caller]
pub fn cash(desk: &Desk, trader: &Trader) -> i64 {
    desk.ledger_view().unwrap().trader(trader.cell).unwrap().cash.get().get()
}

/// A trader's signed lots in a market.
#[track_caller]
pub fn lots(desk: &Desk, trader: &Trader, market: usize) -> i64 {
    view::position_lots(&desk.ledger_view().unwrap(), trader, desk.markets[market].index).unwrap()
}

/// A trader's position cell in a market with its place, if it has one.
#[track_caller]
pub fn position(desk: &Desk, trader: &Trader, market: usize) -> Option<(CellIndex, PositionCell)> {
    let ledger = desk.ledger_view().unwrap();
    let found = ledger.positions(ledger.trader(trader.cell).unwrap());
    found.filter(|(_, position)| position.market == desk.markets[market].index).map(|(cell, it)| (cell, *it)).next()
}

/// A market's header.
#[track_caller]
pub fn market_header(desk: &Desk, market: usize) -> MarketHeader {
    *desk.market_view(market).unwrap().header
}

/// A market's row.
#[track_caller]
pub fn row(desk: &Desk, market: usize) -> state::MarketRow {
    *desk.ledger_view().unwrap().row(desk.markets[market].index).unwrap()
}

/// Cash events still in the ring, oldest first.
#[track_caller]
pub fn cash_events(desk: &Desk) -> Vec<CashEvent> {
    let ledger = desk.ledger_view().unwrap();
    slab::ring::iter(ledger.events, ledger.header.events_written).copied().collect()
}

/// Trading events still in the ring, oldest first.
#[track_caller]
pub fn trade_events(desk: &Desk, market: usize) -> Vec<TradeEvent> {
    let market = desk.market_view(market).unwrap();
    slab::ring::iter(market.events, market.header.events_written).copied().collect()
}

/// A side's resting orders, best first, as (price, lots).
#[track_caller]
pub fn book(desk: &Desk, market: usize, side: Side) -> Vec<(u32, u64)> {
    let market = desk.market_view(market).unwrap();
    market.orders(side).map(|(_, order)| (order.price.get(), order.lots.get())).collect()
}

/// A trader's resting orders, newest first, as handles.
#[track_caller]
pub fn handles(desk: &Desk, trader: &Trader, market: usize) -> Vec<(NodeIndex, Sequence)> {
    let (ledger, market) = (desk.ledger_view().unwrap(), desk.market_view(market).unwrap());
    view::own_orders(&ledger, &market, trader).unwrap().iter().map(|(node, order)| (*node, order.sequence)).collect()
}

/// A trader's triggers, newest first, with their handles.
#[track_caller]
pub fn triggers(desk: &Desk, trader: &Trader, market: usize) -> Vec<(book::TriggerHandle, state::TriggerCell)> {
    let ledger = desk.ledger_view().unwrap();
    let own = view::own_triggers(&ledger, desk.markets[market].index, trader).unwrap();
    own.into_iter().map(|(handle, trigger)| (handle, *trigger)).collect()
}

/// Where things stand in a ledger.
#[derive(Clone, Copy, Debug)]
pub struct LedgerMap {
    events: u32,
}

impl LedgerMap {
    /// A ledger with a ring of this length.
    pub const fn new(events: u32) -> Self {
        Self { events }
    }

    /// The total.
    pub const fn total() -> Range<usize> {
        let start = offset_of!(LedgerHeader, total);
        start..start + 8
    }

    /// The fees.
    pub const fn fees() -> Range<usize> {
        let start = offset_of!(LedgerHeader, fees);
        start..start + 8
    }

    /// The protection pool.
    pub const fn pool() -> Range<usize> {
        let start = offset_of!(LedgerHeader, pool);
        start..start + 8
    }

    /// Shares of the pool.
    pub const fn pool_shares() -> Range<usize> {
        let start = offset_of!(LedgerHeader, pool_shares);
        start..start + 8
    }

    /// What waiting withdrawals wait for.
    pub const fn withdraw_queue() -> Range<usize> {
        let start = offset_of!(LedgerHeader, withdraw_queue);
        start..start + 8
    }

    /// First, last and number of the waiting withdrawals.
    pub const fn queue() -> Range<usize> {
        let start = offset_of!(LedgerHeader, queue_first);
        start..start + 12
    }

    /// What the outflow limiter remembers.
    pub const fn outflow() -> Range<usize> {
        let start = offset_of!(LedgerHeader, outflow);
        start..start + 16
    }

    /// The number of events.
    pub const fn events_written() -> Range<usize> {
        let start = offset_of!(LedgerHeader, events_written);
        start..start + 8
    }

    /// Free list of the arena.
    pub const fn free_list() -> Range<usize> {
        let start = offset_of!(LedgerHeader, cells);
        start..start + 16
    }

    /// Last generation.
    pub const fn generation() -> Range<usize> {
        let start = offset_of!(LedgerHeader, generation);
        start..start + 4
    }

    /// Number of traders.
    pub const fn traders() -> Range<usize> {
        let start = offset_of!(LedgerHeader, traders);
        start..start + 4
    }

    /// Number of markets.
    pub const fn markets_len() -> Range<usize> {
        let start = offset_of!(LedgerHeader, markets_len);
        start..start + 2
    }

    /// A market's row.
    pub const fn row(market: usize) -> Range<usize> {
        let start = size_of::<LedgerHeader>() + market * ROW_SIZE;
        start..start + ROW_SIZE
    }

    /// The record with this number, from 1.
    pub const fn event(self, sequence: u64) -> Range<usize> {
        let slot = (sequence as usize - 1) % self.events as usize;
        let start = ledger_size(0, 0) + slot * size_of::<CashEvent>();
        start..start + size_of::<CashEvent>()
    }

    /// A cell.
    pub const fn cell(self, cell: CellIndex) -> Range<usize> {
        let start = ledger_size(self.events, 0) + cell.as_usize() * CELL_SIZE;
        start..start + CELL_SIZE
    }
}

/// Where things stand in a market.
#[derive(Clone, Copy, Debug)]
pub struct MarketMap {
    side: u32,
    events: u32,
}

impl MarketMap {
    /// A market with these capacities.
    pub const fn new(side: u32, events: u32) -> Self {
        Self { side, events }
    }

    /// The changing part of the header: lengths, last trade, counters, free list.
    pub const fn header() -> Range<usize> {
        let start = offset_of!(MarketHeader, last_trade_price) - 8;
        start..offset_of!(MarketHeader, nodes) + 16
    }

    /// The first `count` places of a side's index.
    pub const fn entries(self, side: Side, count: usize) -> Range<usize> {
        let before = match side {
            Side::Bid => 0,
            Side::Ask => self.side as usize,
        };
        let start = size_of::<MarketHeader>() + ANNEX_SIZE + before * size_of::<IndexEntry>();
        start..start + count * size_of::<IndexEntry>()
    }

    /// An order node.
    pub const fn node(self, node: NodeIndex) -> Range<usize> {
        let index = self.entries(Side::Ask, self.side as usize).end;
        let start = index + node.as_usize() * size_of::<OrderNode>();
        start..start + size_of::<OrderNode>()
    }

    /// The record with this number, from 1.
    pub const fn event(self, sequence: u64) -> Range<usize> {
        let nodes = self.node(NodeIndex::new(2 * self.side + ANNEX_NODES)).start;
        let start = nodes + ((sequence as usize - 1) % self.events as usize) * size_of::<TradeEvent>();
        start..start + size_of::<TradeEvent>()
    }
}
