//! The checks themselves: every kind of damage to the bytes of a busy world is found, by the right invariant.

#[allow(dead_code, reason = "every test binary uses its part")]
mod support;

use quantdesk_engine::{
    CellIndex, FundingIndex, Generation, Lots, MarketIndex, NodeIndex, PositionLots, Ppm, QuoteAtoms, Sequence, Side,
    Slot, Ticks, UnixSeconds,
    account::Withdrawal,
    book::{NewLadder, NewLadderSide, NewOrder, NewTrigger, OrderKind},
    governance::{
        guard::{self, Tightening},
        mode::Mode,
    },
    state::{
        Cell, Condition, Ladder, LadderLevel, Ledger, LedgerHeader, Market, MarketHeader, MarketRow, PositionCell,
        Reference, TraderCell, TriggerCell, WithdrawalCell, annex::ANNEX_SIZE, ledger::Policy, market::Deleverage,
    },
};
use support::{
    World, listing,
    world::{GENEROUS, order},
};

/// Where the arrays of the market's account lie: 6 entries a side, 12 nodes.
const ENTRY: usize = 16;
const NODE: usize = 64;
const BIDS: usize = size_of::<MarketHeader>() + ANNEX_SIZE;
const ASKS: usize = BIDS + 6 * ENTRY;
const NODES: usize = ASKS + 6 * ENTRY;
/// The mark of a bankrupt account in its cell.
const BANKRUPT: usize = 86;

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

/// A busy world with a trigger that waits for the newest bid, its cell the last one.
fn guarded() -> World {
    let mut world = busy();
    let long = CellIndex::new(0);
    let bid = NewOrder { client_id: 5, ..order(Side::Bid, OrderKind::PostOnly, 96, 1) };
    world.place(0, long, &bid).unwrap();
    let stop = NewTrigger {
        condition: Condition::Below,
        reference: Reference::Mark,
        side: Side::Ask,
        reduce_only: true,
        price: Ticks::new(90),
        distance: Ticks::ZERO,
        limit: Ticks::ZERO,
        slippage: Ppm::new(1_000),
        lots: Lots::ZERO,
        share: Ppm::ZERO,
        tip: QuoteAtoms::new(9),
        client_id: 1,
        parent: 5,
        group: 0,
        expires_at: UnixSeconds::ZERO,
        interval: 0,
        slices: 0,
    };
    world.trading(0, |trading| trading.place_trigger(long, &stop)).unwrap();
    assert_eq!(world.check(), Ok(()));
    world
}

fn trigger_damage(damage: impl FnOnce(&mut TriggerCell)) -> (&'static str, &'static str) {
    let mut world = guarded();
    let done = world.ledger(|ledger, _| {
        damage(ledger.cells.iter_mut().find_map(Cell::trigger_mut).unwrap());
        Ok(())
    });
    done.unwrap();
    found(&world)
}

#[test]
fn damage_to_triggers_is_found() {
    let rule = |rule: &'static str| ("T1", rule);
    assert_eq!(trigger_damage(|it| it.position = CellIndex::new(1)), rule("a trigger names its position"));
    assert_eq!(trigger_damage(|it| it.number = Sequence::new(99)), rule("trigger numbers were given out"));
    assert_eq!(trigger_damage(|it| it.parent = 0), rule("a trigger's terms go together"));
    assert_eq!(trigger_damage(|it| it.slices = 2), rule("a trigger's terms go together"));
    let armed = |it: &mut TriggerCell| (it.lots, it.parent) = (Lots::new(1), 77);
    assert_eq!(trigger_damage(armed), rule("what is armed waits for an order that rests, or for none"));
    let mut world = guarded();
    let unmarked = world.ledger(|ledger, _| {
        first_position(ledger).first_trigger = CellIndex::NIL;
        Ok(())
    });
    unmarked.unwrap();
    assert_eq!(found(&world), rule("every trigger is on a list"));
    let mut world = guarded();
    let triggers = core::mem::offset_of!(MarketHeader, triggers);
    world.market_bytes(0)[triggers] = 2;
    assert_eq!(found(&world), rule("a market counts its triggers"));
    let mut world = guarded();
    // The newest order is in the node that was released last.
    let node = world.market(0).nodes.iter().position(|node| node.client_id == 5).unwrap();
    world.market_bytes(0)[NODES + node * NODE + 57] = 0;
    assert_eq!(found(&world), rule("an order that is waited for knows"));
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
        |header: &mut LedgerHeader| header.withdraw_queue = bytemuck::cast(1i64),
        |header: &mut LedgerHeader| header.total = bytemuck::cast(header.total.get().get() - 1),
        |header: &mut LedgerHeader| header.fees = bytemuck::cast(header.fees.get().get() + 1),
    ] {
        assert_eq!(header_damage(bucket), sum);
    }
    assert_eq!(ledger_damage(|ledger| ledger.rows[0].funding_pot = bytemuck::cast(1i64)), sum);
    assert_eq!(ledger_damage(|ledger| ledger.rows[31].funding_pot = bytemuck::cast(-1i64)), sum);
    let mut world = busy();
    world.vault -= 1;
    assert_eq!(found(&world), ("M1", "vault holds at least the total"));
    world.vault += 2;
    assert_eq!(found(&world), ("none", "nothing found"), "a donation changes nothing");
}

#[test]
fn inv_h1_modes_that_contradict_themselves_are_found() {
    // Restricted until 60 seconds from now; halted since now.
    let damaged = |place: usize, bytes: &[u8]| {
        let mut world = busy();
        let halt = Tightening::Mode { mode: Mode::Halted, seconds: 60 };
        world.ledger(|ledger, now| guard::tighten(ledger, now, &halt)).unwrap();
        assert_eq!(world.check(), Ok(()));
        let damaged = world.ledger(|ledger, _| {
            bytemuck::bytes_of_mut(&mut ledger.header.modes)[place..place + bytes.len()].copy_from_slice(bytes);
            Ok(())
        });
        assert_eq!(damaged, Ok(()));
        found(&world)
    };
    let broken = ("H1", "modes end in their time");
    for (place, number) in [(0, 0i64), (0, i64::MAX), (8, i64::MAX), (16, i64::MAX), (16, 0), (24, 0), (24, i64::MAX)] {
        assert_eq!(damaged(place, &number.to_le_bytes()), broken, "{place}: {number}");
    }
    assert_eq!([0, 1, 4, 255].map(|mode| damaged(32, &[mode])), [broken; 4]);
    assert_eq!(damaged(39, &[1]), broken);
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
fn inv_m6_a_negative_pool_and_shares_of_nothing_are_found() {
    let damage = |header: &mut LedgerHeader| {
        let fees = header.fees.get().get();
        (header.pool, header.fees) = (bytemuck::cast(-1i64), bytemuck::cast(fees + 1));
    };
    assert_eq!(header_damage(damage), ("M6", "the pool is never negative"));
    assert_eq!(header_damage(|header| header.pool_shares = 1), ("M6", "an empty pool has no shares"));
}

/// The busy world, in which the first two traders' withdrawals wait.
fn queued() -> World {
    let mut world = busy();
    let (rate, floor) = (Ppm::new(1_000), QuoteAtoms::ZERO);
    world.set_policy(Policy { outflow_rate: rate, outflow_floor: floor, ..GENEROUS });
    for trader in [0, 1] {
        let waits = world.withdraw_or_queue(CellIndex::new(trader), 1_000_000);
        assert_eq!(waits, Ok(Withdrawal::Queued));
        world.pass(10);
    }
    assert_eq!(world.check(), Ok(()));
    world
}

fn queue_damage(damage: impl FnOnce(&mut Ledger<'_>, CellIndex, CellIndex)) -> (&'static str, &'static str) {
    let mut world = queued();
    let done = world.ledger(|ledger, _| {
        let (first, last) = (ledger.header.queue_first, ledger.header.queue_last);
        damage(ledger, first, last);
        Ok(())
    });
    done.unwrap();
    found(&world)
}

fn waiting<'a>(ledger: &'a mut Ledger<'_>, cell: CellIndex) -> &'a mut WithdrawalCell {
    ledger.cells[cell.as_usize()].withdrawal_mut().unwrap()
}

#[test]
fn inv_e2_a_queue_that_is_no_list_is_found() {
    let length = ("E2", "the queue is as long as it says");
    assert_eq!(queue_damage(|ledger, _, _| ledger.header.queue_len = 3), length);
    assert_eq!(queue_damage(|ledger, _, _| ledger.header.queue_first = CellIndex::NIL), length);
    assert_eq!(queue_damage(|ledger, first, _| waiting(ledger, first).next = CellIndex::NIL), length);
    let end = ("E2", "the queue ends where it says");
    assert_eq!(queue_damage(|ledger, _, _| ledger.header.queue_len = 1), end);
    assert_eq!(queue_damage(|ledger, first, _| ledger.header.queue_last = first), end);
    assert_eq!(queue_damage(|ledger, _, _| ledger.header.queue_last = CellIndex::NIL), end);
    assert_eq!(queue_damage(|ledger, first, last| waiting(ledger, last).next = first), end);
    assert_eq!(header_damage(|header| header.queue_first = CellIndex::new(0)), end);
    assert_eq!(header_damage(|header| header.queue_last = CellIndex::new(0)), end);
    let order = ("E2", "withdrawals wait in the order of asking");
    assert_eq!(queue_damage(|ledger, _, last| waiting(ledger, last).requested_at = UnixSeconds::ZERO), order);
}

#[test]
fn inv_e2_withdrawals_that_are_not_their_traders_are_found() {
    let names = ("E2", "a withdrawal and its trader name each other");
    let forget = |ledger: &mut Ledger<'_>, _, _| ledger.cells[0].trader_mut().unwrap().withdrawal = CellIndex::NIL;
    assert_eq!(queue_damage(forget), names);
    assert_eq!(queue_damage(|ledger, first, _| waiting(ledger, first).trader = CellIndex::new(1)), names);
    let claimed = ("E2", "every trader's withdrawal is in the queue");
    let claim = |ledger: &mut Ledger<'_>, first, _| {
        let idle = ledger.cells.iter_mut().filter_map(Cell::trader_mut).last().unwrap();
        assert!(idle.withdrawal.is_nil());
        idle.withdrawal = first;
    };
    assert_eq!(queue_damage(claim), claimed);
    let stray = |ledger: &mut Ledger<'_>, _, last: CellIndex| {
        let index = ledger.header.cells.allocate(ledger.cells).unwrap().unwrap();
        ledger.cells[index as usize] = ledger.cells[last.as_usize()];
    };
    assert_eq!(queue_damage(stray), ("E2", "every withdrawal is in the queue"));
    let unknown = |ledger: &mut Ledger<'_>, first: CellIndex, _| {
        bytemuck::bytes_of_mut(&mut ledger.cells[first.as_usize()])[0] = 9;
    };
    assert_eq!(queue_damage(unknown), ("B4", "every cell in use is of a known kind"));
}

#[test]
fn inv_e2_amounts_that_are_not_in_the_bucket_are_found() {
    let none = ("E2", "a waiting withdrawal is for something");
    assert_eq!(queue_damage(|ledger, first, _| waiting(ledger, first).atoms = QuoteAtoms::ZERO), none);
    let sum = ("E2", "the queue holds what withdrawals wait for");
    assert_eq!(queue_damage(|ledger, first, _| waiting(ledger, first).atoms = QuoteAtoms::new(1_000_001)), sum);
    let moved = |header: &mut LedgerHeader| {
        let fees = header.fees.get().get();
        (header.withdraw_queue, header.fees) = (bytemuck::cast(1i64), bytemuck::cast(fees - 1));
    };
    assert_eq!(header_damage(moved), sum);
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
    let referrer = |trader: &mut TraderCell| trader.referrer_generation = Generation::new(99);
    assert_eq!(trader_damage(referrer), ("B5", "generations were given out"));
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
    assert_eq!(market_damage(node(16, 0)), ("B2", "an order has lots, and no more than a position could"));
    assert_eq!(market_damage(node(16, 41)), ("B2", "an order has lots, and no more than a position could"));
    assert_eq!(market_damage(node(32, 9)), ("B2", "an order's owner tag is its owner's"));
    assert_eq!(market_damage(|bytes| bytes[BIDS + 4] = 99), ("B2", "an entry names a live node"));
    assert_eq!(market_damage(node(44, 200)), ("S1", "account bytes can be followed"));
}

/// Where the bids pegged to the index lie.
const PEGGED_BIDS: usize = size_of::<MarketHeader>() + 5_504 + 2_048;
/// How many there are, in the header.
const PEGGED_BIDS_LEN: usize = 192;

#[test]
fn inv_b1_b2_b4_damage_to_pegged_orders_is_found() {
    let mut world = busy();
    let maker = world.funded(7, 10_000_000);
    for offset in [-2, -4, -4] {
        let order = NewOrder { peg_offset: offset, ..order(Side::Bid, OrderKind::Pegged, 100, 1) };
        world.place(0, maker, &order).unwrap();
    }
    let damage = |world: &World, damage: &dyn Fn(&mut [u8])| {
        let mut copy = world.clone();
        damage(copy.market_bytes(0));
        found(&copy)
    };
    assert_eq!(damage(&world, &|_| ()), ("none", "nothing found"));
    let ask = NewOrder { peg_offset: 1, ..order(Side::Ask, OrderKind::Pegged, 98, 1) };
    world.place(0, maker, &ask).unwrap();
    let crossing =
        |bytes: &mut [u8]| bytes[PEGGED_BIDS + 2 * ENTRY..][..4].copy_from_slice(&0x8000_0001u32.to_le_bytes());
    assert_eq!(damage(&world, &crossing), ("B1", "pegged orders do not cross"));
    for first in [0, 1] {
        let swapped = |bytes: &mut [u8]| swap_entries(bytes, PEGGED_BIDS + first * ENTRY);
        assert_eq!(damage(&world, &swapped), ("B1", "price, then time"));
    }
    let agree = ("B2", "entry and node agree");
    let node = |offset: usize, value: u8| {
        move |bytes: &mut [u8]| bytes[NODES + NODE * usize::from(bytes[PEGGED_BIDS + 4]) + offset] = value
    };
    for (offset, value) in [(0, 77), (56, 1), (58, 2), (60, 9)] {
        assert_eq!(damage(&world, &node(offset, value)), agree);
    }
    assert_eq!(damage(&world, &node(16, 0)), ("B2", "an order has lots, and no more than a position could"));
    assert_eq!(damage(&world, &node(32, 9)), ("B2", "an order's owner tag is its owner's"));
    assert_eq!(damage(&world, &node(58, 0)), ("B4", "every order node in use is on one side"));
    assert_eq!(damage(&world, &|bytes| bytes[PEGGED_BIDS + 4] = 99), ("B2", "an entry names a live node"));
    assert_eq!(damage(&world, &|bytes| bytes[PEGGED_BIDS_LEN] = 129), ("B4", "pegged orders fit into their array"));
    assert_eq!(damage(&world, &|bytes| bytes[PEGGED_BIDS_LEN] = 4), ("B1", "price, then time"));
    let unused = ("B4", "unused entries of pegged orders are zero");
    assert_eq!(damage(&world, &|bytes| bytes[PEGGED_BIDS + 3 * ENTRY] = 1), unused);
    let lost = |bytes: &mut [u8]| {
        bytes[PEGGED_BIDS_LEN] = 2;
        bytes[PEGGED_BIDS + 2 * ENTRY..][..ENTRY].fill(0);
    };
    assert_eq!(damage(&world, &lost), ("B4", "every pegged order's node has an entry"));
}

/// The busy world with a ladder of the first trader: two levels of bids, one of them partly consumed, one level of asks.
fn ladder_damage(damage: impl FnOnce(&mut Ladder, &mut MarketHeader)) -> (&'static str, &'static str) {
    let mut world = busy();
    let maker = world.open(9, 0).unwrap();
    world.deposit(maker, 10_000_000).unwrap();
    let level = |distance, lots| LadderLevel::new(Ticks::new(distance), Lots::new(lots));
    let side = |limit, levels| NewLadderSide { limit: Ticks::new(limit), reserve: Lots::new(9), levels };
    let (bids, asks) = ([level(0, 2), level(5, 3)], [level(9, 4)]);
    let (quoter, mid) = (support::world::key(7), Ticks::new(100));
    let wanted = NewLadder { sequence: 1, quoter, mid, bids: side(100, &bids), asks: side(100, &asks) };
    world.trading(0, |trading| trading.set_ladder(maker, &wanted)).unwrap();
    world.place(0, CellIndex::new(1), &order(Side::Ask, OrderKind::ImmediateOrCancel, 100, 1)).unwrap();
    assert_eq!(world.check(), Ok(()));
    let bytes = world.market_bytes(0);
    let (header, rest) = bytes.split_at_mut(size_of::<MarketHeader>());
    damage(bytemuck::from_bytes_mut(&mut rest[..size_of::<Ladder>()]), bytemuck::from_bytes_mut(header));
    found(&world)
}

#[test]
fn inv_b9_ladders_that_contradict_themselves_or_their_orders_are_found() {
    let orders = ("B9", "a side and its order name each other");
    let levels = ("B9", "levels ascend without a gap");
    let sizes = ("B9", "a level is as large as an order");
    let consumed = ("B9", "a level has what was consumed of it");
    let ladder = |damage: fn(&mut Ladder)| ladder_damage(|ladder, _| damage(ladder));
    assert_eq!(ladder_damage(|_, header| header.ladders = 0), ("B9", "a ladder not in use is zero"));
    assert_eq!(ladder_damage(|_, header| header.ladders = 3), ("B9", "somebody may move a ladder"));
    assert_eq!(ladder_damage(|_, header| header.ladders |= 1 << 16), ("B9", "there are no more ladders"));
    assert_eq!(ladder(|it| it.quoter = Default::default()), ("B9", "somebody may move a ladder"));
    assert_eq!(ladder(|it| it.order = Sequence::ZERO), ("B9", "a ladder's order number was given out"));
    assert_eq!(ladder(|it| it.order = Sequence::new(999)), ("B9", "a ladder's order number was given out"));
    assert_eq!(ladder(|it| it.position = CellIndex::new(999)), ("S1", "account bytes can be followed"));
    assert_eq!(ladder(|it| std::mem::swap(&mut it.bids.node, &mut it.asks.node)), orders);
    assert_eq!(ladder(|it| it.bids.node = NodeIndex::new(0)), orders);
    assert_eq!(ladder(|it| it.bids.node = NodeIndex::new(400)), ("B9", "a side names a live order"));
    assert_eq!(ladder(|it| it.bids.node = NodeIndex::NIL), ("B9", "a ladder without a side has nothing there"));
    assert_eq!(ladder(|it| it.bids.levels.swap(0, 1)), levels);
    assert_eq!(ladder(|it| it.bids.levels.swap(1, 2)), levels);
    assert_eq!(ladder(|it| it.asks.levels[0] = LadderLevel::default()), consumed);
    assert_eq!(ladder(|it| it.bids.levels[1].lots = Lots::new(41)), sizes);
    assert_eq!(ladder(|it| it.bids.levels[0].lots = Lots::ZERO), levels);
    assert_eq!(ladder(|it| it.bids.used = Lots::new(2)), consumed);
    assert_eq!(ladder(|it| it.bids.level = 3), consumed);
    assert_eq!(ladder(|it| (it.bids.level, it.bids.used) = (2, Lots::new(1))), consumed);
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

#[test]
fn inv_m1b_a_worth_that_no_bucket_has_is_found() {
    let worth = ("M1b", "what everybody is worth at mark is the total");
    let world = busy();
    let mut view_header = *world.view().header;
    view_header.pool = bytemuck::cast(1i64);
    let view = quantdesk_engine::state::LedgerView { header: &view_header, ..world.view() };
    let check = quantdesk_engine::invariant::solvency(&view).map_err(|violation| (violation.id, violation.rule));
    assert_eq!(check, Err(worth));
}

#[test]
fn inv_f2_a_board_that_contradicts_itself_is_found() {
    let damage = |damage: fn(&mut MarketRow)| ledger_damage(|ledger| damage(&mut ledger.rows[0]));
    let prudent = ("F2", "the prudent prices are the lowest and the highest");
    assert_eq!(damage(|row| row.low = Ticks::new(99)), prudent);
    assert_eq!(damage(|row| row.high = Ticks::new(101)), prudent);
    assert_eq!(damage(|row| row.stable = Ticks::new(101)), prudent);
    assert_eq!(damage(|row| row.index_price = Ticks::new(99)), prudent);
    let range = ("F2", "a market has all prices, in range, or none");
    assert_eq!(damage(|row| (row.stable, row.low) = (Ticks::ZERO, Ticks::ZERO)), range);
    assert_eq!(damage(|row| (row.stable, row.high) = (Ticks::new(1_001), Ticks::new(1_001))), range);
    let scaled = ("F2", "initial margin is scaled within its bounds");
    assert_eq!(damage(|row| row.margin_scale = Ppm::new(999_999)), scaled);
    assert_eq!(damage(|row| row.margin_scale = Ppm::new(2_000_001)), scaled);
    let ramped = ("F2", "maintenance margin is on its way up");
    assert_eq!(damage(|row| row.maintenance_now = Ppm::ZERO), ramped);
    assert_eq!(damage(|row| row.maintenance_now = Ppm::new(500_001)), ramped);
}

#[test]
fn inv_f3_a_hole_in_the_funding_pot_is_found() {
    let hole = ("F3", "funding paid and due covers funding owed");
    let taken = |ledger: &mut Ledger<'_>| {
        let fees = ledger.header.fees.get().get();
        (ledger.rows[0].funding_pot, ledger.header.fees) = (bytemuck::cast(-1i64), bytemuck::cast(fees + 1));
    };
    assert_eq!(ledger_damage(taken), hole);
    // One of two positions has been settled, and what it was paid came from nowhere.
    let settled = |ledger: &mut Ledger<'_>| {
        let index = FundingIndex::new(if first_position(ledger).base.get() > 0 { 1 << 30 } else { -(1 << 30) });
        ledger.rows[0].funding_index = index;
        first_position(ledger).funding_index = index;
    };
    assert_eq!(ledger_damage(settled), hole);
    let remainder = ("F3", "the remainder is one of a division by a day");
    assert_eq!(ledger_damage(|ledger| ledger.rows[0].funding_remainder = -1), remainder);
    assert_eq!(ledger_damage(|ledger| ledger.rows[0].funding_remainder = 86_400), remainder);
}

#[test]
fn inv_r4_bankrupts_that_are_not_counted_and_atoms_of_the_pool_elsewhere_are_found() {
    let counted = ("R4", "the ledger counts bankrupt accounts");
    assert_eq!(header_damage(|header| header.bankrupts = 1), counted);
    let marked = |trader: &mut TraderCell| bytemuck::bytes_of_mut(trader)[BANKRUPT] = 1;
    assert_eq!(trader_damage(marked), counted);
    let holds = ("R4", "only a bankrupt account holds atoms of the pool");
    assert_eq!(trader_damage(|trader| trader.absorbed = QuoteAtoms::new(1)), holds);
}

/// The busy world with the first trader's position half deleveraged.
fn deleveraging() -> World {
    let mut world = busy();
    let target = CellIndex::new(0);
    let broke = world.ledger(|ledger, _| {
        let target = ledger.trader_mut(target)?;
        let atoms = target.cash.get().get() + 1_000_000;
        target.cash = bytemuck::cast(-1_000_000i64);
        ledger.header.total = bytemuck::cast(ledger.header.total.get().get() - atoms);
        Ok(())
    });
    broke.unwrap();
    world.set_price(0, 100);
    assert_eq!(world.trading(0, |trading| trading.deleverage(target, 0)), Ok(false));
    while world.market(0).header.deleverage.opposite.is_zero() {
        assert_eq!(world.trading(0, |trading| trading.deleverage(target, 1)), Ok(false));
    }
    assert_eq!(world.check(), Ok(()));
    world
}

fn deleverage_damage(damage: impl FnOnce(&mut Deleverage)) -> (&'static str, &'static str) {
    let mut world = deleveraging();
    let done = world.trading(0, |trading| {
        damage(&mut trading.market.header.deleverage);
        Ok(())
    });
    done.unwrap();
    found(&world)
}

#[test]
fn inv_r5_a_deleveraging_that_contradicts_itself_is_found() {
    let one = |lots: Lots| Lots::new(lots.get() + 1);
    let bounds = ("R5", "a deleveraging stays within what it counted");
    assert_eq!(deleverage_damage(|state| state.closed = one(state.lots)), bounds);
    assert_eq!(deleverage_damage(|state| state.profitable = one(state.opposite)), bounds);
    assert_eq!(deleverage_damage(|state| state.profitable_passed = one(state.profitable)), bounds);
    assert_eq!(deleverage_damage(|state| state.others_passed = one(state.opposite)), bounds);
    assert_eq!(deleverage_damage(|state| bytemuck::bytes_of_mut(state)[0] = 3), bounds);
    assert_eq!(deleverage_damage(|state| state.closed = Lots::new(1)), ("R5", "only who was passed has closed"));
    let bankrupt = ("R5", "a bankrupt account is deleveraged");
    assert_eq!(deleverage_damage(|state| state.trader = CellIndex::new(1)), bankrupt);
    let holds = ("R5", "the position holds what is still to be closed");
    assert_eq!(deleverage_damage(|state| state.lots = one(state.lots)), holds);
    assert_eq!(deleverage_damage(|state| bytemuck::bytes_of_mut(state)[1] ^= 1), holds);
    let left = ("R5", "nothing is left of a deleveraging that is over");
    assert_eq!(deleverage_damage(|state| bytemuck::bytes_of_mut(state)[0] = 0), left);
    assert_eq!(view_damage(|market| market.header.deleverage.price = Ticks::new(1)), left);
}

#[test]
fn inv_r8_a_position_without_a_requirement_is_found() {
    let none = |ledger: &mut Ledger<'_>| {
        let row = &mut ledger.rows[0];
        let price = Ticks::ZERO;
        (row.index_price, row.mark, row.stable, row.low, row.high) = (price, price, price, price, price);
    };
    assert_eq!(ledger_damage(none), ("none", "nothing found"), "a market without a price asks for nothing");
    // Tiers are private; so are their bytes, but not their place: the first tier's rate becomes nothing.
    let free = |ledger: &mut Ledger<'_>| {
        let row = bytemuck::bytes_of_mut(&mut ledger.rows[0]);
        let rate = 50_000u32.to_le_bytes();
        let at = row.windows(4).position(|bytes| bytes == rate).unwrap();
        row[at..at + 4].fill(0);
    };
    assert_eq!(ledger_damage(free), ("R8", "initial ≥ maintenance > 0"));
}

/// Where the ring of waiting takers and its header fields lie.
const DELAYED: usize = size_of::<MarketHeader>() + 5_504;
const TAKER_DELAY: usize = 204;
const DELAYED_FIRST: usize = 208;
const DELAYED_LEN: usize = 212;

/// Four takers that wait; the third one has left.
fn delayed() -> World {
    let mut world = World::new(&[listing::delayed(listing::usual(), 9)], 32);
    world.set_price(0, 100);
    let [maker, first, leaving, last] = [1, 2, 3, 4].map(|owner| world.funded(owner, 10_000_000));
    world.place(0, maker, &order(Side::Ask, OrderKind::PostOnly, 101, 9)).unwrap();
    for trader in [first, last, leaving, last] {
        world.place(0, trader, &order(Side::Bid, OrderKind::Limit, 101, 1)).unwrap().waiting.unwrap();
        world.now.slot = Slot::new(world.now.slot.get() + 1);
    }
    world.set_status(0, 3);
    world.trading(0, |trading| trading.cancel_for_risk(leaving, 1)).unwrap();
    world.set_status(0, 1);
    assert_eq!(world.check(), Ok(()));
    world
}

#[test]
fn inv_d1_damage_to_the_ring_of_waiting_takers_is_found() {
    let damaged = |damage: &dyn Fn(&mut [u8])| {
        let mut world = delayed();
        damage(world.market_bytes(0));
        found(&world)
    };
    let set = |place: usize, value: u8| damaged(&move |bytes: &mut [u8]| bytes[place] = value);
    let entry = |place: usize| DELAYED + place * 16;
    let header = ("D1", "takers wait where there is a delay, as many as can");
    assert_eq!([set(TAKER_DELAY, 0), set(TAKER_DELAY, 26)], [header; 2]);
    assert_eq!([set(DELAYED_FIRST, 128), set(DELAYED_LEN, 129)], [header; 2]);
    let empty = ("D1", "a place where nobody waits is empty");
    assert_eq!([set(entry(4), 1), set(entry(127) + 15, 1), set(DELAYED_LEN, 3)], [empty; 3]);
    let left = ("D1", "a place that was left is not the first");
    assert_eq!([set(entry(2), 1), set(entry(2) + 12, 1)], [left; 2]);
    assert_eq!(damaged(&|bytes| bytes[entry(0) + 8..entry(0) + 12].fill(255)), left);
    assert_eq!(set(entry(0), 9), ("D1", "takers wait in the order in which they came"));
    let taking = ("D1", "what waits is an order that takes");
    assert_eq!([3, 4, 5, 9].map(|kind| set(entry(0) + 12, kind)), [taking; 4]);
    assert_eq!([set(entry(0) + 13, 1), set(entry(0) + 14, 1), set(entry(0) + 15, 1)], [taking; 3]);
    assert_eq!(set(entry(0) + 8, 200), ("D1", "a taker that waits names a live node"));
    let swapped = damaged(&|bytes| {
        let nodes = [8, 9, 10, 11].map(|offset| (bytes[entry(0) + offset], bytes[entry(1) + offset]));
        for (offset, (first, second)) in (8..12).zip(nodes) {
            (bytes[entry(0) + offset], bytes[entry(1) + offset]) = (second, first);
        }
    });
    assert_eq!(swapped, ("D1", "an order that waits names its place"));
    // The maker's order is in node 0, the first taker's in node 1.
    let source = NODES + NODE + 58;
    assert_eq!(set(source, 1), ("B4", "every pegged order's node has an entry"));
    let lone = damaged(&|bytes| {
        bytes[entry(3)..entry(4)].fill(0);
        bytes[DELAYED_LEN] = 3;
    });
    assert_eq!(lone, ("D1", "every order that waits is in the ring"));
}
