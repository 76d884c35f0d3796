//! Every checked invariant, once, by its id in `SPEC.md`. Run by tests and the simulator, and by anybody
//! over live account bytes; none of them changes anything or allocates.

mod ladder;

pub use ladder::ladders;

use crate::{
    access::WITHDRAW_DELAY_MAX,
    book::OrderKind,
    error::EngineError,
    money::Balance,
    outflow,
    risk::{funding, listing::TAKER_DELAY_MAX, margin},
    slab::{
        free_list::{NIL, Slot},
        ring,
    },
    state::{
        Cell, Delayed, IndexEntry, LedgerView, MarketRow, MarketStatus, MarketView, OrderNode, PositionCell, Source,
        TraderCell, TriggerCell, annex::DELAYED_MAX, market::Deleverage,
    },
    units::{
        CellIndex, Lots, NodeIndex, PositionLots, QuoteAtoms, Sequence, Side, Slot as ChainSlot, Ticks, UnixSeconds,
    },
};
use bytemuck::Zeroable;

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

/// Everything about a ledger with its markets, in the order of their rows, and the tokens in its vault. A closed market
/// has a row but no account, so it is left out of `markets`.
pub fn check_all(ledger: &LedgerView<'_>, markets: &[MarketView<'_>], vault_tokens: u64) -> Check {
    conservation(ledger, vault_tokens)?;
    modes(ledger)?;
    arena(ledger.cells, ledger.header.cells)?;
    queue(ledger)?;
    access(ledger)?;
    pool(ledger)?;
    positions(ledger)?;
    let listed = ledger.rows.get(..usize::from(ledger.header.markets_len)).unwrap_or(&[]);
    let live = || listed.iter().filter(|row| row.status() != Some(MarketStatus::Closed));
    require(count(markets.iter()) == count(live()), "S1", "one account per market not closed", count(live()))?;
    for (row, market) in live().zip(markets) {
        require(row.index == market.header.index, "S1", "accounts in the order of rows", row.index.get())?;
    }
    for row in listed {
        zero_sum(ledger, row)?;
        board(row)?;
        funding_residue(ledger, row)?;
    }
    solvency(ledger)?;
    bankruptcies(ledger)?;
    ledger.traders().try_for_each(|(_, trader)| requirements(ledger, trader))?;
    for market in markets {
        book(ledger, market)?;
        pegged(ledger, market)?;
        ladders(ledger, market)?;
        reservations(ledger, market)?;
        triggers(ledger, market)?;
        deleveraging(ledger, market)?;
        waiting(ledger, market)?;
    }
    events(ledger, markets)
}

/// M1: the buckets add up to the total, and the vault holds at least the total.
pub fn conservation(ledger: &LedgerView<'_>, vault_tokens: u64) -> Check {
    let header = ledger.header;
    let fixed = [header.pool, header.fees, header.withdraw_queue];
    let pots = ledger.rows.iter().map(|row| row.funding_pot);
    let fixed = fixed.into_iter().chain(pots).map(|bucket| i128::from(bucket.get().get()));
    let cash = ledger.traders().map(|(_, trader)| i128::from(trader.cash.get().get()));
    let quote = ledger.all_positions().map(|(_, position)| i128::from(position.quote.get().get()));
    let tips = ledger.all_triggers().map(|(_, trigger)| i128::from(trigger.tip.get().get()));
    let sum = sum(fixed.chain(cash).chain(quote).chain(tips));
    let total = i128::from(header.total.get().get());
    require(sum == total, "M1", "sum of buckets equals the total", sum)?;
    require(i128::from(vault_tokens) >= total, "M1", "vault holds at least the total", i128::from(vault_tokens))?;
    require(header.fees.get().get() >= 0, "M5", "fees are never negative", header.fees.get().get())
}

/// H1: a halting lasts no longer than it may, and orders look at the later end of all restrictions.
pub fn modes(ledger: &LedgerView<'_>) -> Check {
    let modes = &ledger.header.modes;
    require(modes.is_well_formed(), "H1", "modes end in their time", modes.restricted_until().get())
}

/// M1b: what all accounts are worth at mark, with what they owe each other of funding and all other buckets, is the total
/// exactly.
pub fn solvency(ledger: &LedgerView<'_>) -> Check {
    let header = ledger.header;
    let fixed = [header.pool, header.fees, header.withdraw_queue];
    let pots = ledger.rows.iter().map(|row| row.funding_pot);
    let mut sum = sum(fixed.into_iter().chain(pots).map(|bucket| i128::from(bucket.get().get())));
    for (_, trader) in ledger.traders() {
        // Equity does not depend on the time; only how valid it is does.
        let equity = margin::maintenance(ledger, trader, UnixSeconds::ZERO)?.equity;
        sum = sum.saturating_add(i128::from(equity.get()));
    }
    for (_, position) in ledger.all_positions() {
        let due = funding::due(ledger.row(position.market)?, position)?;
        sum = sum.saturating_add(i128::from(due.get()));
    }
    for (_, trigger) in ledger.all_triggers() {
        sum = sum.saturating_add(i128::from(trigger.tip.get().get()));
    }
    let total = i128::from(header.total.get().get());
    require(sum == total, "M1b", "what everybody is worth at mark is the total", sum)
}

/// F2: the prudent prices are the lowest and the highest of the board; there are all prices or none; what margin is
/// multiplied with is within its bounds.
pub fn board(row: &MarketRow) -> Check {
    let place = row.index.get();
    let (lowest, highest) =
        (row.index_price.min(row.mark).min(row.stable), row.index_price.max(row.mark).max(row.stable));
    let prudent = row.low == lowest && row.high == highest;
    require(prudent, "F2", "the prudent prices are the lowest and the highest", place)?;
    let priced = !lowest.is_zero() || highest.is_zero();
    require(priced && highest <= row.price_max, "F2", "a market has all prices, in range, or none", place)?;
    let scaled = row.margin_scale >= margin::UNSCALED && row.margin_scale <= row.risk.interest_scale_max;
    require(scaled, "F2", "initial margin is scaled within its bounds", place)?;
    let ramped = !row.maintenance_now.is_zero() && row.maintenance_now <= row.maintenance;
    require(ramped, "F2", "maintenance margin is on its way up", place)
}

/// F3: what was paid of funding and what is due to be covers what is owed to others; rounding leaves a residue, never a
/// hole. The remainder of the last division is one.
pub fn funding_residue(ledger: &LedgerView<'_>, row: &MarketRow) -> Check {
    let mut residue = i128::from(row.funding_pot.get().get());
    for (_, position) in ledger.all_positions().filter(|(_, position)| position.market == row.index) {
        residue = residue.saturating_add(i128::from(funding::due(row, position)?.get()));
    }
    require(residue >= 0, "F3", "funding paid and due covers funding owed", residue)?;
    let period = i64::try_from(funding::FUNDING_PERIOD_SECONDS).unwrap_or(i64::MAX);
    let remainder = (0..period).contains(&row.funding_remainder);
    require(remainder, "F3", "the remainder is one of a division by a day", row.funding_remainder)
}

/// R4: bankrupt accounts are marked and counted, and only they hold atoms of the pool.
pub fn bankruptcies(ledger: &LedgerView<'_>) -> Check {
    for (cell, trader) in ledger.traders() {
        let known = trader.is_bankrupt() || trader.absorbed.is_zero();
        require(known, "R4", "only a bankrupt account holds atoms of the pool", cell.get())?;
    }
    let marked = count(ledger.traders().filter(|(_, trader)| trader.is_bankrupt()));
    require(marked == i128::from(ledger.header.bankrupts), "R4", "the ledger counts bankrupt accounts", marked)
}

/// R5: a deleveraging closes no more than it set out to, nor than those it passed have; its position holds what is left.
pub fn deleveraging(ledger: &LedgerView<'_>, market: &MarketView<'_>) -> Check {
    let (state, place) = (&market.header.deleverage, market.header.index.get());
    if !state.is_running() {
        let idle = Deleverage { number: state.number, ..Deleverage::zeroed() };
        return require(*state == idle, "R5", "nothing is left of a deleveraging that is over", place);
    }
    let bounded = state.closed <= state.lots
        && state.profitable <= state.opposite
        && state.profitable_passed <= state.profitable
        && state.others_passed <= state.opposite.checked_sub(state.profitable)?;
    require(state.phase <= 2 && bounded, "R5", "a deleveraging stays within what it counted", place)?;
    let passed = state.profitable_passed.checked_add(state.others_passed)?;
    require(state.closed <= passed, "R5", "only who was passed has closed", place)?;
    let trader = ledger.trader(state.trader)?;
    require(trader.is_bankrupt(), "R5", "a bankrupt account is deleveraged", state.trader.get())?;
    let mut held = ledger.positions(trader).filter(|(_, position)| position.market == market.header.index);
    let base = held.next().map_or(PositionLots::ZERO, |(_, position)| position.base);
    let side = if state.closing_side() == Side::Ask { base.get() >= 0 } else { base.get() <= 0 };
    let left = base.magnitude() >= state.lots.checked_sub(state.closed)?;
    require(side && left, "R5", "the position holds what is still to be closed", state.trader.get())
}

/// P1, P2, P7: signed positions of a market add up to zero; its open interest is the sum of the long ones; a closed market
/// has nothing.
pub fn zero_sum(ledger: &LedgerView<'_>, row: &MarketRow) -> Check {
    let held = || ledger.all_positions().filter(move |(_, position)| position.market == row.index);
    let net = sum(held().map(|(_, position)| i128::from(position.base.get())));
    let long = sum(held().map(|(_, position)| i128::from(position.base.long().get())));
    require(net == 0, "P1", "positions of a market add up to zero", net)?;
    require(long == i128::from(row.open_interest.get()), "P2", "open interest is the sum of long positions", long)?;
    if row.status() != Some(MarketStatus::Closed) {
        return Ok(());
    }
    let empty = held().all(|(_, position)| position.is_empty()) && row.funding_pot.is_zero();
    require(empty, "P7", "a closed market holds nothing", row.index.get())
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
        let newest = trader.generation.max(trader.referrer_generation);
        require(newest <= ledger.header.generation, "B5", "generations were given out", cell.get())?;
        listed = listed.saturating_add(i128::from(count));
    }
    let all = count(ledger.all_positions());
    require(all == listed, "P3", "every position is on a list", all)?;
    require(traders == i128::from(ledger.header.traders), "P3", "the ledger counts its traders", traders)
}

/// B4: cells are either in use, as a trader, a position, a withdrawal, a trigger or an access cell, or on the free list, which ends and is as long as
/// it says.
pub fn arena(cells: &[Cell], list: crate::slab::free_list::FreeList) -> Check {
    free_list(cells, list)?;
    let known = |cell: &&Cell| {
        let account = cell.trader().is_some() || cell.position().is_some();
        account || cell.withdrawal().is_some() || cell.trigger().is_some() || cell.access().is_some()
    };
    let in_use = count(cells.iter().filter(known));
    require(in_use == i128::from(list.in_use()), "B4", "every cell in use is of a known kind", in_use)
}

/// E2: waiting withdrawals are one list in the order of asking, each is its trader's only one, and together they are what
/// the queue's bucket holds.
pub fn queue(ledger: &LedgerView<'_>) -> Check {
    let header = ledger.header;
    let (mut found, mut atoms, mut last) = (0i128, 0i128, CellIndex::NIL);
    let mut since = UnixSeconds::ZERO;
    for (cell, waiting) in outflow::waiting(ledger) {
        let place = cell.get();
        require(!waiting.atoms.is_zero(), "E2", "a waiting withdrawal is for something", place)?;
        require(waiting.requested_at >= since, "E2", "withdrawals wait in the order of asking", place)?;
        let trader = ledger.trader(waiting.trader)?;
        require(trader.withdrawal == cell, "E2", "a withdrawal and its trader name each other", place)?;
        found = found.saturating_add(1);
        atoms = atoms.saturating_add(i128::from(waiting.atoms.get()));
        (last, since) = (cell, waiting.requested_at);
    }
    require(found == i128::from(header.queue_len), "E2", "the queue is as long as it says", found)?;
    require(last == header.queue_last, "E2", "the queue ends where it says", header.queue_last.get())?;
    let after = ledger.cells.get(last.as_usize()).and_then(Cell::withdrawal).map(|waiting| waiting.next);
    let ends = after.unwrap_or(header.queue_first).is_nil();
    require(ends, "E2", "the queue ends where it says", last.get())?;
    let cells = count(ledger.cells.iter().filter(|cell| cell.withdrawal().is_some()));
    require(cells == found, "E2", "every withdrawal is in the queue", cells)?;
    let traders = count(ledger.traders().filter(|(_, trader)| !trader.withdrawal.is_nil()));
    require(traders == found, "E2", "every trader's withdrawal is in the queue", traders)?;
    let bucket = i128::from(header.withdraw_queue.get().get());
    require(atoms == bucket, "E2", "the queue holds what withdrawals wait for", bucket)
}

/// A5: every access cell and one trader name each other; it holds something, and its delay is within bounds.
pub fn access(ledger: &LedgerView<'_>) -> Check {
    let mut found = 0i128;
    for (cell, trader) in ledger.traders().filter(|(_, trader)| !trader.access.is_nil()) {
        let place = cell.get();
        let Some(access) = ledger.access(trader)? else {
            continue;
        };
        require(access.trader == cell, "A5", "an access cell and its trader name each other", place)?;
        require(!access.is_empty(), "A5", "an access cell holds something", place)?;
        let bounded = access.withdraw_delay <= WITHDRAW_DELAY_MAX;
        require(bounded, "A5", "a withdraw delay is within bounds", place)?;
        let changing = access.is_changing() && access.next_delay < access.withdraw_delay;
        let idle = !access.is_changing() && access.next_delay == 0;
        require(changing || idle, "A5", "only a shorter delay waits", place)?;
        found = found.saturating_add(1);
    }
    let cells = count(ledger.cells.iter().filter(|cell| cell.access().is_some()));
    require(cells == found, "A5", "every access cell is a trader's", cells)
}

/// M6: the pool is never negative, and its shares are shares of something.
pub fn pool(ledger: &LedgerView<'_>) -> Check {
    let (atoms, shares) = (ledger.header.pool.get().get(), ledger.header.pool_shares);
    require(atoms >= 0, "M6", "the pool is never negative", atoms)?;
    require(atoms > 0 || shares == 0, "M6", "an empty pool has no shares", i128::from(shares))
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
        let entries = market.entries(side);
        sorted(entries)?;
        for entry in entries {
            named(ledger, market, side, entry, Source::Book)?;
            let priced = market.node(entry.node).is_some_and(|node| node.price == entry.price(side));
            require(priced, "B2", "entry and node agree", entry.node.get())?;
        }
    }
    if let (Some(bid), Some(ask)) = (market.best_price(Side::Bid), market.best_price(Side::Ask)) {
        require(bid < ask, "B1", "the book is not crossed", bid.get())?;
    }
    free_list(market.nodes, market.header.nodes)?;
    let sides = [Side::Bid, Side::Ask];
    let resting = sum(sides.into_iter().map(|side| count(market.entries(side).iter())));
    let nodes = nodes_of(market, Source::Book);
    require(resting == nodes, "B4", "every order node in use is on one side", nodes)
}

/// B1, B2, B4 of orders pegged to the index: sorted by their distance from it and not crossed, since one index moves both
/// sides; entries and nodes agree.
pub fn pegged(ledger: &LedgerView<'_>, market: &MarketView<'_>) -> Check {
    let best = |side| market.pegged(side).last().map(|entry| IndexEntry::peg_offset_of(side, entry.key));
    if let (Some(bid), Some(ask)) = (best(Side::Bid), best(Side::Ask)) {
        require(bid < ask, "B1", "pegged orders do not cross", bid)?;
    }
    let mut found = 0i128;
    for side in [Side::Bid, Side::Ask] {
        let (entries, all) = (market.pegged(side), market.annex.pegged(side));
        let len = market.header.pegged_len(side);
        require(entries.len() == len, "B4", "pegged orders fit into their array", i128::try_from(len).unwrap_or(0))?;
        sorted(entries)?;
        for entry in entries {
            named(ledger, market, side, entry, Source::Pegged)?;
            let placed = market.node(entry.node).is_some_and(|node| node.place == entry.key);
            require(placed, "B2", "entry and node agree", entry.node.get())?;
        }
        let unused = all.get(len..).unwrap_or(&[]).iter().all(|entry| *entry == IndexEntry::zeroed());
        require(unused, "B4", "unused entries of pegged orders are zero", side.byte())?;
        found = found.saturating_add(count(entries.iter()));
    }
    let nodes = nodes_of(market, Source::Pegged);
    require(found == nodes, "B4", "every pegged order's node has an entry", nodes)
}

/// Live nodes that trade there.
fn nodes_of(market: &MarketView<'_>, source: Source) -> i128 {
    let live = market.nodes.iter().filter(|node| !node.sequence.is_zero());
    count(live.filter(|node| node.source() == source))
}

fn sorted(entries: &[IndexEntry]) -> Check {
    for (worse, better) in entries.iter().zip(entries.iter().skip(1)) {
        let ascending = worse.key < better.key || (worse.key == better.key && worse.sequence > better.sequence);
        require(ascending, "B1", "price, then time", better.node.get())?;
    }
    Ok(())
}

/// What an entry names is an order that trades there.
fn named(ledger: &LedgerView<'_>, market: &MarketView<'_>, side: Side, entry: &IndexEntry, source: Source) -> Check {
    let place = entry.node.get();
    let Some(node) = market.node(entry.node) else {
        return require(false, "B2", "an entry names a live node", place);
    };
    let same = node.sequence == entry.sequence && node.side() == side && node.source() == source;
    require(same, "B2", "entry and node agree", place)?;
    require(node.sequence <= market.header.orders_placed, "B5", "order numbers were given out", place)?;
    let row = ledger.row(market.header.index)?;
    let sized = !node.lots.is_zero() && node.lots <= row.position_approved;
    require(sized, "B2", "an order has lots, and no more than a position could", place)?;
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

/// D1: takers that wait are in the order in which they came, each with an order that names its place, and wait only where
/// there is a delay; the rest of the ring is empty.
pub fn waiting(ledger: &LedgerView<'_>, market: &MarketView<'_>) -> Check {
    let header = market.header;
    let (first, len) = (crate::math::to_usize(header.delayed_first), crate::math::to_usize(header.delayed_len));
    let bounded = header.taker_delay <= u32::from(TAKER_DELAY_MAX)
        && first < DELAYED_MAX
        && len <= if header.taker_delay == 0 { 0 } else { DELAYED_MAX };
    require(bounded, "D1", "takers wait where there is a delay, as many as can", header.delayed_len)?;
    let (mut found, mut since) = (0i128, ChainSlot::ZERO);
    let places = (first..DELAYED_MAX).chain(0..first);
    for (behind, place) in places.enumerate() {
        let Some(entry) = market.annex.delayed.get(place) else { continue };
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        if behind >= len {
            require(*entry == Delayed::zeroed(), "D1", "a place where nobody waits is empty", place)?;
        } else if entry.node.is_nil() {
            require(*entry == Delayed::LEFT && behind > 0, "D1", "a place that was left is not the first", place)?;
        } else {
            require(entry.slot >= since, "D1", "takers wait in the order in which they came", place)?;
            waiter(ledger, market, entry, place)?;
            (found, since) = (found.saturating_add(1), entry.slot);
        }
    }
    let waiting = count(market.nodes.iter().filter(|node| !node.sequence.is_zero() && node.is_waiting()));
    require(waiting == found, "D1", "every order that waits is in the ring", waiting)
}

fn waiter(ledger: &LedgerView<'_>, market: &MarketView<'_>, entry: &Delayed, place: u32) -> Check {
    let takes = matches!(entry.kind(), Some(OrderKind::Limit | OrderKind::Market | OrderKind::ImmediateOrCancel));
    require(takes && entry.is_padded(), "D1", "what waits is an order that takes", place)?;
    let Some(node) = market.node(entry.node) else {
        return require(false, "D1", "a taker that waits names a live node", place);
    };
    require(node.is_waiting() && node.place == place, "D1", "an order that waits names its place", place)?;
    require(node.sequence <= market.header.orders_placed, "B5", "order numbers were given out", place)?;
    let row = ledger.row(market.header.index)?;
    let sized = !node.lots.is_zero() && node.lots <= row.position_approved;
    let priced = !node.price.is_zero() && node.price <= row.price_max;
    require(sized && priced, "D1", "an order that waits has lots and a price", place)?;
    let owner = ledger.trader(ledger.position(node.position)?.trader)?.owner;
    require(owner.tag() == node.owner_tag, "D1", "an order's owner tag is its owner's", place)
}

/// T1: a position's triggers are on its list, no more than may be, and counted by their market; each is of a known kind, has
/// a number that was given out and a tip that is not negative, and if it waits for an order that rests, the order knows.
pub fn triggers(ledger: &LedgerView<'_>, market: &MarketView<'_>) -> Check {
    let index = market.header.index;
    let mut listed = 0i128;
    for (cell, position) in ledger.all_positions().filter(|(_, position)| position.market == index) {
        for (place, trigger) in ledger.triggers(position) {
            require(trigger.position == cell, "T1", "a trigger names its position", place.get())?;
            require(
                trigger.number <= market.header.orders_placed,
                "T1",
                "trigger numbers were given out",
                place.get(),
            )?;
            let known = trigger.condition().is_some() && trigger.reference().is_some();
            require(known && trigger.is_sound(), "T1", "a trigger's terms go together", place.get())?;
            require(trigger.tip >= Balance::ZERO, "T1", "a tip is never negative", place.get())?;
            let parent = parent_of(market, position, trigger);
            let marked = parent.is_none_or(OrderNode::is_parent);
            require(marked, "T1", "an order that is waited for knows", place.get())?;
            let waits = trigger.parent == 0 || trigger.lots.is_zero() || parent.is_some();
            require(waits, "T1", "what is armed waits for an order that rests, or for none", place.get())?;
            listed = listed.saturating_add(1);
        }
    }
    let here = |trigger: &TriggerCell| {
        let position = ledger.position(trigger.position);
        position.is_ok_and(|position| position.market == index)
    };
    let all = count(ledger.all_triggers().filter(|(_, trigger)| here(trigger)));
    require(all == listed, "T1", "every trigger is on a list", all)?;
    require(listed == i128::from(market.header.triggers), "T1", "a market counts its triggers", listed)
}

/// The resting order that a trigger waits for.
fn parent_of<'a>(market: &MarketView<'a>, position: &PositionCell, trigger: &TriggerCell) -> Option<&'a OrderNode> {
    let mut next = position.first_order;
    for _ in 0..position.orders {
        let node = market.node(next)?;
        if trigger.parent != 0 && trigger.is_child_of(node.client_id, node.side()) {
            return Some(node);
        }
        next = node.next;
    }
    None
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
