//! The checks themselves: every kind of damage to the bytes of a busy world is found, by the right invariant.

#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use quantdesk_engine::{
    CellIndex, FundingIndex, Generation, Lots, MarketIndex, NodeIndex, PositionLots, QuoteAtoms, Sequence, Side, Ticks,
    book::{NewOrder, OrderKind},
    state::{Cell, Ledger, LedgerHeader, Market, MarketHeader, PositionCell, TraderCell},
};
use support::{World, listing, world::order};

/// Where the arrays of the market's account lie: 6 entries a side, 12 nodes.
const ENTRY: usize = 16;
const NODE: usize = 64;
const BIDS: usize = size_of::<MarketHeader>();
const ASKS: usize = BIDS + 6 * ENTRY;
const NODES: usize = ASKS + 6 * ENTRY;

/// Two traders with positions against each other and three orders each; a third with cash; a released cell and node.
fn busy() -> World {
    let mut world = World::new(&[listing::usual()], 12);
    world.set_price(0, 100);
    let (long, short) = (world.funded(1, 10_000_000), world.funded(2, 10_000_000));
    let gone = world.open(3, 0).unwrap();
    world.funded(3, 5);
    for (side, prices) in [(Side::Bid, [97, 98, 99]), (Side::Ask, [101, 102, 103])] {
        let trader = if side == Side::Bid { long } else { short };
        for price in prices {
            world.place(0, trader, &order(side, OrderKind::Limit, price, 4)).unwrap();
        }
    }
    let taking = |side, price| NewOrder { match_limit: 2, ..order(side, OrderKind::Market, price, 3) };
    world.place(0, long, &taking(Side::Bid, 101)).unwrap();
    world.place(0, short, &taking(Side::Ask, 99)).unwrap();
    let placed = world.place(0, long, &order(Side::Bid, OrderKind::PostOnly, 96, 1)).unwrap();
    let (handle, sequence) = placed.resting.unwrap();
    world.cancel(0, long, handle, sequence).unwrap();
    world.close(gone).unwrap();
    assert_eq!(world.check(), Ok(()));
    world
}

/// Which invariant says what about the damage.
fn found(world: &World) -> (&'static str, &'static str) {
    world.check().map_or_else(|violation| (violation.id, violation.rule), |()| ("none", "nothing found"))
}

fn ledger_damage(damage: impl FnOnce(&mut Ledger<'_>)) -> (&'static str, &'static str) {
    let mut world = busy();
    let done = world.ledger(|ledger, _| {
        damage(ledger);
        Ok(())
    });
    done.unwrap();
    found(&world)
}

fn trader_damage(damage: impl FnOnce(&mut TraderCell)) -> (&'static str, &'static str) {
    ledger_damage(|ledger| damage(ledger.cells[0].trader_mut().unwrap()))
}

fn first_position<'a>(ledger: &'a mut Ledger<'_>) -> &'a mut PositionCell {
    ledger.cells.iter_mut().find_map(Cell::position_mut).unwrap()
}

fn position_damage(damage: impl FnOnce(&mut PositionCell)) -> (&'static str, &'static str) {
    ledger_damage(|ledger| damage(first_position(ledger)))
}

fn header_damage(damage: impl FnOnce(&mut LedgerHeader)) -> (&'static str, &'static str) {
    ledger_damage(|ledger| damage(ledger.header))
}

fn market_damage(damage: impl FnOnce(&mut [u8])) -> (&'static str, &'static str) {
    let mut world = busy();
    damage(world.market_bytes(0));
    found(&world)
}

fn view_damage(damage: impl FnOnce(&mut Market<'_>)) -> (&'static str, &'static str) {
    let mut world = busy();
    let done = world.trading(0, |trading| {
        damage(&mut trading.market);
        Ok(())
    });
    done.unwrap();
    found(&world)
}

fn swap_entries(bytes: &mut [u8], first: usize) {
    let (left, right) = bytes[first..first + 2 * ENTRY].split_at_mut(ENTRY);
    left.swap_with_slice(right);
}

#[test]
fn inv_m1_a_missing_or_extra_atom_anywhere_is_found() {
    let sum = ("M1", "sum of buckets equals the total");
    assert_eq!(trader_damage(|trader| trader.cash = bytemuck::cast(9_999_999i64)), sum);
    assert_eq!(position_damage(|position| position.quote = bytemuck::cast(1i64)), sum);
    for bucket in [
        |header: &mut LedgerHeader| header.pool = bytemuck::cast(1i64),
        |header: &mut LedgerHeader| header.residue = bytemuck::cast(-1i64),
        |header: &mut LedgerHeader| header.withdraw_queue = bytemuck::cast(1i64),
        |header: &mut LedgerHeader| header.total = bytemuck::cast(header.total.get().get() - 1),
        |header: &mut LedgerHeader| header.fees = bytemuck::cast(header.fees.get().get() + 1),
    ] {
        assert_eq!(header_damage(bucket), sum);
    }
    let mut world = busy();
    world.vault -= 1;
    assert_eq!(found(&world), ("M1", "vault holds at least the total"));
    world.vault += 2;
    assert_eq!(found(&world), ("none", "nothing found"), "a donation changes nothing");
}

#[test]
fn inv_m5_negative_fees_are_found() {
    let damage = |header: &mut LedgerHeader| {
        let fees = header.fees.get().get();
        (header.fees, header.pool) = (bytemuck::cast(-1i64), bytemuck::cast(fees + 1));
    };
    assert_eq!(header_damage(damage), ("M5", "fees are never negative"));
}

#[test]
fn inv_p1_p2_a_lot_too_many_is_found() {
    let grow = |position: &mut PositionCell| position.base = PositionLots::new(position.base.get() + 1);
    assert_eq!(position_damage(grow), ("P1", "positions of a market add up to zero"));
    let interest = |ledger: &mut Ledger<'_>| ledger.rows[0].open_interest = Lots::new(9);
    assert_eq!(ledger_damage(interest), ("P2", "open interest is the sum of long positions"));
}

#[test]
fn inv_p3_positions_that_are_not_where_they_belong_are_found() {
    let counts = ("P3", "a trader counts its positions");
    assert_eq!(trader_damage(|trader| trader.positions = 7), counts);
    assert_eq!(trader_damage(|trader| trader.first_position = CellIndex::NIL), counts);
    let names = ("P3", "a position names its trader");
    assert_eq!(position_damage(|position| position.trader = CellIndex::new(1)), names);
    assert_eq!(header_damage(|header| header.traders = 2), ("P3", "the ledger counts its traders"));
    let twice = |ledger: &mut Ledger<'_>| {
        let (market, trader) = (MarketIndex::new(0), CellIndex::new(0));
        let first = ledger.cells[0].trader().unwrap().first_position;
        let index = ledger.header.cells.allocate(ledger.cells).unwrap().unwrap();
        let cell = PositionCell::new(market, trader, first, FundingIndex::ZERO).into_cell();
        ledger.cells[index as usize] = cell;
        let trader = ledger.cells[0].trader_mut().unwrap();
        (trader.first_position, trader.positions) = (CellIndex::new(index), 2);
    };
    assert_eq!(ledger_damage(twice), ("P3", "one position per trader and market"));
    let stray = |ledger: &mut Ledger<'_>| {
        let index = ledger.header.cells.allocate(ledger.cells).unwrap().unwrap();
        let cell = PositionCell::new(MarketIndex::new(0), CellIndex::new(0), CellIndex::NIL, FundingIndex::ZERO);
        ledger.cells[index as usize] = cell.into_cell();
    };
    assert_eq!(ledger_damage(stray), ("P3", "every position is on a list"));
    let costly = |ledger: &mut Ledger<'_>| {
        let mut held = *first_position(ledger);
        (held.base, ledger.rows[0].open_interest) = (PositionLots::ZERO, Lots::ZERO);
        *first_position(ledger) = held;
    };
    assert_eq!(ledger_damage(costly), ("P3", "a flat position holds no quote"));
}

#[test]
fn inv_b5_a_generation_from_the_future_and_a_gap_in_a_ring_are_found() {
    assert_eq!(trader_damage(|trader| trader.generation = Generation::new(99)), ("B5", "generations were given out"));
    let gap = |ledger: &mut Ledger<'_>| ledger.events[1].sequence = Sequence::new(99);
    assert_eq!(ledger_damage(gap), ("B5", "events are gapless"));
    let skipped = |header: &mut LedgerHeader| header.events_written = Sequence::new(header.events_written.get() + 1);
    assert_eq!(header_damage(skipped), ("B5", "events are gapless"));
    assert_eq!(view_damage(|market| market.events[0].sequence = Sequence::ZERO), ("B5", "events are gapless"));
    let reused = |market: &mut Market<'_>| market.header.orders_placed = Sequence::new(2);
    assert_eq!(view_damage(reused), ("B5", "order numbers were given out"));
}

#[test]
fn inv_b4_damaged_free_lists_are_found() {
    let bytes = |index: usize, value: u8| {
        move |ledger: &mut Ledger<'_>| bytemuck::bytes_of_mut(&mut ledger.cells[index])[100] = value
    };
    assert_eq!(ledger_damage(bytes(11, 1)), ("B4", "slots above the high-water mark are untouched"));
    // Cell 2 is the one released. As a link to itself it is a cycle, as a link to a used cell it leads astray.
    for (link, rule) in [(2, "the free list ends where it says"), (0, "the free list ends where it says")] {
        let astray = |ledger: &mut Ledger<'_>| bytemuck::bytes_of_mut(&mut ledger.cells[2])[4] = link;
        let terminated = |ledger: &mut Ledger<'_>| {
            astray(ledger);
            bytemuck::bytes_of_mut(&mut ledger.cells[2])[5..8].fill(0);
        };
        assert_eq!(ledger_damage(terminated), ("B4", rule));
    }
    let misled = |header: &mut LedgerHeader| bytemuck::bytes_of_mut(&mut header.cells)[0] = 0;
    assert_eq!(header_damage(misled), ("B4", "the free list links free slots"));
    let lost = |ledger: &mut Ledger<'_>| {
        ledger.header.cells.allocate(ledger.cells).unwrap();
    };
    assert_eq!(ledger_damage(lost), ("B4", "every free slot is on the list"));
    let leaked = |market: &mut Market<'_>| {
        let nodes = [quantdesk_engine::state::OrderNode::new(Side::Bid, Ticks::new(1), Lots::new(1), CellIndex::NIL)];
        market.header.nodes = quantdesk_engine::slab::free_list::FreeList::new(12);
        market.header.nodes.allocate(&nodes).unwrap();
    };
    assert_eq!(view_damage(leaked), ("B4", "slots above the high-water mark are untouched"));
}

#[test]
fn inv_b1_an_unsorted_or_crossed_book_is_found() {
    assert_eq!(market_damage(|bytes| swap_entries(bytes, BIDS)), ("B1", "price, then time"));
    assert_eq!(market_damage(|bytes| swap_entries(bytes, ASKS)), ("B1", "price, then time"));
    // The best bid's price becomes 101 in entry and node: crossed, but otherwise consistent.
    let crossed = |bytes: &mut [u8]| {
        let entry = BIDS + 2 * ENTRY;
        let node = NODES + NODE * usize::from(bytes[entry + 4]);
        bytes[entry] = 101;
        bytes[node + 40] = 101;
    };
    assert_eq!(market_damage(crossed), ("B1", "the book is not crossed"));
}

#[test]
fn inv_b2_orders_that_contradict_their_entries_or_bounds_are_found() {
    let node = |offset: usize, value: u8| {
        move |bytes: &mut [u8]| {
            let entry = BIDS + 2 * ENTRY;
            bytes[NODES + NODE * usize::from(bytes[entry + 4]) + offset] = value;
        }
    };
    assert_eq!(market_damage(node(0, 77)), ("B2", "entry and node agree"));
    assert_eq!(market_damage(node(40, 98)), ("B2", "entry and node agree"));
    assert_eq!(market_damage(node(56, 1)), ("B2", "entry and node agree"));
    assert_eq!(market_damage(node(16, 0)), ("B2", "an order has lots, and no more than the largest order"));
    assert_eq!(market_damage(node(16, 21)), ("B2", "an order has lots, and no more than the largest order"));
    assert_eq!(market_damage(node(32, 9)), ("B2", "an order's owner tag is its owner's"));
    assert_eq!(market_damage(|bytes| bytes[BIDS + 4] = 99), ("B2", "an entry names a live node"));
    assert_eq!(market_damage(node(44, 200)), ("S1", "account bytes can be followed"));
}

#[test]
fn inv_p4_reservations_that_differ_from_the_orders_are_found() {
    let lots = ("P4", "open lots are those of the orders");
    assert_eq!(position_damage(|position| position.open_bid_lots = Lots::new(1)), lots);
    let notional = ("P4", "open notional is that of the orders");
    assert_eq!(position_damage(|position| position.open_bid_notional = QuoteAtoms::new(1)), notional);
    assert_eq!(position_damage(|position| position.open_ask_notional = QuoteAtoms::new(1)), notional);
    assert_eq!(position_damage(|position| position.orders = 2), ("P4", "a position counts its orders"));
    assert_eq!(position_damage(|position| position.orders = 4), ("P4", "a position's orders are live"));
    let nowhere = ("P4", "a position's orders are live");
    assert_eq!(position_damage(|position| position.first_order = NodeIndex::NIL), nowhere);
    let others = ("P4", "the list of orders is linked");
    assert_eq!(position_damage(|position| position.first_order = NodeIndex::new(0)), others);
    let beyond = ("P4", "no order is beyond its position's price bound");
    assert_eq!(position_damage(|position| position.bid_bound = Ticks::new(98)), beyond);
    let stale = ("P4", "a side without orders has no price bound");
    assert_eq!(position_damage(|position| position.ask_bound = Ticks::new(98)), stale);
}

#[test]
fn a_missing_market_account_is_found() {
    let world = busy();
    let check = quantdesk_engine::invariant::check_all(&world.view(), &[], world.vault);
    assert_eq!(check.map_err(|violation| violation.id), Err("S1"));
}
