//! Every checked invariant, once, by its id in `SPEC.md`. Run by tests and the simulator, and by anybody
//! over live account bytes; none of them changes anything or allocates.

use crate::{
    error::EngineError,
    risk::margin,
    slab::{
        free_list::{NIL, Slot},
        ring,
    },
    state::{Cell, IndexEntry, LedgerView, MarketView, OrderNode, PositionCell, TraderCell},
    units::{CellIndex, Lots, NodeIndex, QuoteAtoms, Sequence, Side, Ticks},
};

/// A broken invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Id in `SPEC.md`.
    pub id: &'static str,
    /// What it says.
    pub rule: &'static str,
    /// Where: a cell, node or market index, or an amount, as the rule implies.
    pub place: i128,
}

impl core::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{} broken: {} (at {})", self.id, self.rule, self.place)
    }
}

impl core::error::Error for Violation {}

/// Result of a check.
pub type Check = core::result::Result<(), Violation>;

impl From<EngineError> for Violation {
    fn from(error: EngineError) -> Self {
        Self { id: "S1", rule: "account bytes can be followed", place: i128::from(error.code()) }
    }
}

fn require(holds: bool, id: &'static str, rule: &'static str, place: impl Into<i128>) -> Check {
    if holds { Ok(()) } else { Err(Violation { id, rule, place: place.into() }) }
}

/// Everything about a ledger with all its markets, in the order of their rows, and the tokens in its vault.
pub fn check_all(ledger: &LedgerView<'_>, markets: &[MarketView<'_>], vault_tokens: u64) -> Check {
    conservation(ledger, vault_tokens)?;
    arena(ledger.cells, ledger.header.cells)?;
    positions(ledger)?;
    let listed = usize::from(ledger.header.markets_len);
    require(markets.len() == listed, "S1", "one account per market row", i128::from(ledger.header.markets_len))?;
    for market in markets {
        zero_sum(ledger, market)?;
        book(ledger, market)?;
        reservations(ledger, market)?;
    }
    events(ledger, markets)
}

/// M1: the buckets add up to the total, and the vault holds at least the total.
pub fn conservation(ledger: &LedgerView<'_>, vault_tokens: u64) -> Check {
    let header = ledger.header;
    let fixed = [header.pool, header.fees, header.withdraw_queue, header.residue];
    let fixed = fixed.iter().map(|bucket| i128::from(bucket.get().get()));
    let cash = ledger.traders().map(|(_, trader)| i128::from(trader.cash.get().get()));
    let quote = ledger.all_positions().map(|(_, position)| i128::from(position.quote.get().get()));
    let sum = sum(fixed.chain(cash).chain(quote));
    let total = i128::from(header.total.get().get());
    require(sum == total, "M1", "sum of buckets equals the total", sum)?;
    require(i128::from(vault_tokens) >= total, "M1", "vault holds at least the total", i128::from(vault_tokens))?;
    require(header.fees.get().get() >= 0, "M5", "fees are never negative", header.fees.get().get())
}

/// P1, P2: signed positions of a market add up to zero, and its open interest is the sum of the long ones.
pub fn zero_sum(ledger: &LedgerView<'_>, market: &MarketView<'_>) -> Check {
    let index = market.header.index;
    let held = || ledger.all_positions().filter(move |(_, position)| position.market == index);
    let net = sum(held().map(|(_, position)| i128::from(position.base.get())));
    require(net == 0, "P1", "positions of a market add up to zero", net)?;
    let long = sum(held().map(|(_, position)| i128::from(position.base.long().get())));
    let interest = ledger.row(index)?.open_interest;
    require(long == i128::from(interest.get()), "P2", "open interest is the sum of long positions", long)
}

/// P3: a trader's list holds one position per market, each naming the trader; every position is on its trader's list.
pub fn positions(ledger: &LedgerView<'_>) -> Check {
    let mut listed = 0i128;
    let mut traders = 0i128;
    for (cell, trader) in ledger.traders() {
        traders = traders.saturating_add(1);
        let mut seen = 0u32;
        let mut count = 0u16;
        for (_, position) in ledger.positions(trader) {
            let bit = 1u32.checked_shl(u32::from(position.market.get())).unwrap_or(0);
            require(seen & bit == 0 && bit != 0, "P3", "one position per trader and market", cell.get())?;
            require(position.trader == cell, "P3", "a position names its trader", cell.get())?;
            let flat = position.base.is_zero();
            require(!flat || position.quote.is_zero(), "P3", "a flat position holds no quote", cell.get())?;
            seen |= bit;
            count = count.saturating_add(1);
        }
        require(count == trader.positions, "P3", "a trader counts its positions", cell.get())?;
        require(trader.generation <= ledger.header.generation, "B5", "generations were given out", cell.get())?;
        listed = listed.saturating_add(i128::from(count));
    }
    let all = count(ledger.all_positions());
    require(all == listed, "P3", "every position is on a list", all)?;
    require(traders == i128::from(ledger.header.traders), "P3", "the ledger counts its traders", traders)
}

/// B4: cells are either in use or on the free list, which ends and is as long as it says.
pub fn arena(cells: &[Cell], list: crate::slab::free_list::FreeList) -> Check {
    free_list(cells, list)
}

fn free_list<T: Slot>(slots: &[T], list: crate::slab::free_list::FreeList) -> Check {
    let mut next = list.head();
    for _ in 0..list.released() {
        let slot = slots.get(crate::math::to_usize(next));
        let link = slot.and_then(Slot::next_free);
        require(next < list.high_water() && link.is_some(), "B4", "the free list links free slots", next)?;
        next = link.unwrap_or(NIL);
    }
    require(next == NIL, "B4", "the free list ends where it says", next)?;
    let high_water = crate::math::to_usize(list.high_water());
    let below = slots.get(..high_water).unwrap_or(&[]);
    let free = count(below.iter().filter(|slot| slot.next_free().is_some()));
    require(free == i128::from(list.released()), "B4", "every free slot is on the list", free)?;
    let above = slots.get(high_water..).unwrap_or(&[]);
    let untouched = above.iter().all(|slot| bytemuck::bytes_of(slot).iter().all(|byte| *byte == 0));
    require(untouched, "B4", "slots above the high-water mark are untouched", list.high_water())
}

/// B1, B2, B4, B5: sorted and uncrossed, entries and nodes agree, orders belong to live traders, nodes are conserved.
pub fn book(ledger: &LedgerView<'_>, market: &MarketView<'_>) -> Check {
    for side in [Side::Bid, Side::Ask] {
        sorted(market, side)?;
        for entry in market.entries(side) {
            order(ledger, market, side, entry)?;
        }
    }
    if let (Some(bid), Some(ask)) = (market.best_price(Side::Bid), market.best_price(Side::Ask)) {
        require(bid < ask, "B1", "the book is not crossed", bid.get())?;
    }
    free_list(market.nodes, market.header.nodes)?;
    let resting = count(market.entries(Side::Bid).iter()).saturating_add(count(market.entries(Side::Ask).iter()));
    let in_use = i128::from(market.header.nodes.in_use());
    require(resting == in_use, "B4", "every order node in use is on one side", in_use)
}

fn sorted(market: &MarketView<'_>, side: Side) -> Check {
    let entries = market.entries(side);
    for (worse, better) in entries.iter().zip(entries.iter().skip(1)) {
        let ascending = worse.key < better.key || (worse.key == better.key && worse.sequence > better.sequence);
        require(ascending, "B1", "price, then time", better.node.get())?;
    }
    Ok(())
}

fn order(ledger: &LedgerView<'_>, market: &MarketView<'_>, side: Side, entry: &IndexEntry) -> Check {
    let place = entry.node.get();
    let Some(node) = market.node(entry.node) else {
        return require(false, "B2", "an entry names a live node", place);
    };
    let same = node.sequence == entry.sequence && node.side() == side && node.price == entry.price(side);
    require(same, "B2", "entry and node agree", place)?;
    require(node.sequence <= market.header.orders_placed, "B5", "order numbers were given out", place)?;
    let row = ledger.row(market.header.index)?;
    let sized = !node.lots.is_zero() && node.lots <= row.lots_max;
    require(sized, "B2", "an order has lots, and no more than the largest order", place)?;
    require(!node.price.is_zero() && node.price <= row.price_max, "B2", "an order's price is in range", place)?;
    let position = ledger.position(node.position)?;
    require(position.market == market.header.index, "B2", "an order belongs to a position in its market", place)?;
    let owner = ledger.trader(position.trader)?.owner;
    require(owner.tag() == node.owner_tag, "B2", "an order's owner tag is its owner's", place)
}

/// P4: what a position reserves is what its resting orders add up to.
pub fn reservations(ledger: &LedgerView<'_>, market: &MarketView<'_>) -> Check {
    let index = market.header.index;
    let mut orders = 0i128;
    for (cell, position) in ledger.all_positions().filter(|(_, position)| position.market == index) {
        reservation(ledger, market, cell, position)?;
        orders = orders.saturating_add(i128::from(position.orders));
    }
    let in_use = i128::from(market.header.nodes.in_use());
    require(orders == in_use, "P4", "every resting order is on a position's list", in_use)
}

fn reservation(ledger: &LedgerView<'_>, market: &MarketView<'_>, cell: CellIndex, position: &PositionCell) -> Check {
    let tick_value = ledger.row(position.market)?.tick_value;
    let (mut lots, mut notional) = ([Lots::ZERO; 2], [QuoteAtoms::ZERO; 2]);
    let (mut next, mut newer) = (position.first_order, NodeIndex::NIL);
    for _ in 0..position.orders {
        let Some(node) = market.node(next) else {
            return require(false, "P4", "a position's orders are live", cell.get());
        };
        require(node.position == cell && node.previous == newer, "P4", "the list of orders is linked", cell.get())?;
        let bounded = match node.side() {
            Side::Bid => node.price <= position.bid_bound,
            Side::Ask => node.price >= position.ask_bound && !position.ask_bound.is_zero(),
        };
        require(bounded, "P4", "no order is beyond its position's price bound", cell.get())?;
        add(&mut lots, &mut notional, node, tick_value)?;
        (newer, next) = (next, node.next);
    }
    require(next.is_nil(), "P4", "a position counts its orders", cell.get())?;
    let unbounded = |lots: Lots, bound: Ticks| !lots.is_zero() || bound.is_zero();
    let [bids, asks] = lots;
    let none_left = unbounded(bids, position.bid_bound) && unbounded(asks, position.ask_bound);
    require(none_left, "P4", "a side without orders has no price bound", cell.get())?;
    let reserved_lots = [position.open_bid_lots, position.open_ask_lots];
    let reserved_notional = [position.open_bid_notional, position.open_ask_notional];
    require(lots == reserved_lots, "P4", "open lots are those of the orders", cell.get())?;
    require(notional == reserved_notional, "P4", "open notional is that of the orders", cell.get())
}

fn add(
    lots: &mut [Lots; 2],
    notional: &mut [QuoteAtoms; 2],
    node: &OrderNode,
    tick_value: crate::units::TickValue,
) -> Check {
    let value = node.price.notional(node.lots, tick_value)?;
    let side = usize::from(node.side().byte());
    if let (Some(lots), Some(notional)) = (lots.get_mut(side), notional.get_mut(side)) {
        *lots = lots.checked_add(node.lots)?;
        *notional = notional.checked_add(value)?;
    }
    Ok(())
}

/// B5: the records still in a ring carry gapless numbers up to the last one written.
pub fn events(ledger: &LedgerView<'_>, markets: &[MarketView<'_>]) -> Check {
    gapless(ledger.events, ledger.header.events_written)?;
    markets.iter().try_for_each(|market| gapless(market.events, market.header.events_written))
}

fn gapless<T: ring::Record>(records: &[T], written: Sequence) -> Check {
    let kept = u64::try_from(records.len()).unwrap_or(u64::MAX).min(written.get());
    let mut expected = written.get().saturating_sub(kept);
    for record in ring::iter(records, written) {
        expected = expected.saturating_add(1);
        require(record.sequence().get() == expected, "B5", "events are gapless", i128::from(expected))?;
    }
    Ok(())
}

/// R8: a position requires margin, and no less initially than for maintenance.
pub fn requirements(ledger: &LedgerView<'_>, trader: &TraderCell) -> Check {
    for (cell, position) in ledger.positions(trader).filter(|(_, position)| !position.base.is_zero()) {
        let row = ledger.row(position.market)?;
        let initial = margin::position_initial(row, position)?;
        let maintenance = margin::position_maintenance(row, position)?;
        let ordered = initial >= maintenance && !maintenance.is_zero();
        require(ordered || row.mark.is_zero(), "R8", "initial ≥ maintenance > 0", cell.get())?;
    }
    Ok(())
}

fn sum(values: impl Iterator<Item = i128>) -> i128 {
    values.fold(0, i128::saturating_add)
}

fn count<T>(items: impl Iterator<Item = T>) -> i128 {
    items.fold(0i128, |count, _| count.saturating_add(1))
}
