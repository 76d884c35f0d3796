//! Orders pegged to the index: what they trade at, when they do not, and what a stranger can do about them.

mod attacks;

#[allow(dead_code, reason = "every test binary uses its part")]
#[path = "../support/mod.rs"]
mod support;

use quantdesk_engine::{
    CellIndex, EngineError, Lots, NodeIndex, Ppm, QuoteAtoms, Result, Sequence, Side, TickValue, Ticks, UnixSeconds,
    account,
    book::{NewOrder, OrderHandle, OrderKind, Placed, Quote, Replacement, SelfTrade, Sides},
    risk::{
        listing::{ListingParameters, TierParameters},
        margin,
    },
    slab::ring,
    state::{IndexEntry, TradeEvent, TradeEventKind},
};
use support::{World, listing, world::order};

const BID: Side = Side::Bid;
const ASK: Side = Side::Ask;
/// Index and mark at the start; a tick of a lot is worth 100 atoms. Through the mark by more than 78 ticks is stale.
const MARK: u32 = 10_000;
const RICH: u64 = 100_000_000_000;

/// A market with fine prices and 20 times leverage.
fn market() -> ListingParameters {
    let mut listing = listing::usual();
    listing.tick_size = quantdesk_engine::PicoPrice::new(1_000_000_000);
    listing.tick_value = TickValue::new(100);
    listing.price_max = Ticks::new(40_000);
    listing.lots_max = Lots::new(2_000);
    listing.position_max = Lots::new(4_000);
    listing.open_interest_max = Lots::new(40_000);
    listing.band = Ppm::new(400_000);
    listing.side_capacity = 8;
    listing.events_capacity = 1_024;
    let tiers = [(1_000_000_000, 50_000), (u64::MAX, 100_000)];
    for (place, (notional, rate)) in listing.tiers.iter_mut().zip(tiers) {
        *place = TierParameters::new(QuoteAtoms::new(notional), Ppm::new(rate));
    }
    listing.tiers_len = 2;
    (listing.risk.step, listing.risk.liquidation_fee) = (Ppm::new(2_000), Ppm::new(5_000));
    listing.risk.interest_scale_lower = Lots::new(39_000);
    listing.risk.interest_scale_upper = Lots::new(40_000);
    listing
}

fn world() -> World {
    let mut world = World::new(&[market()], 64);
    world.set_price(0, MARK);
    world
}

/// So many ticks from the index, but no worse than `limit`.
fn pegged(side: Side, offset: i32, limit: u32, lots: u64) -> NewOrder {
    NewOrder { peg_offset: offset, ..order(side, OrderKind::Pegged, limit, lots) }
}

fn limit(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::Limit, price, lots)
}

fn taking(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::ImmediateOrCancel, price, lots)
}

fn post_only(side: Side, price: u32) -> NewOrder {
    order(side, OrderKind::PostOnly, price, 1)
}

fn until(order: NewOrder, world: &World, seconds: i64) -> NewOrder {
    NewOrder { expires_at: UnixSeconds::new(world.now.unix_seconds.get() + seconds), ..order }
}

/// Places an order, and checks all invariants.
fn place(world: &mut World, trader: CellIndex, order: &NewOrder) -> Placed {
    let placed = world.place(0, trader, order).unwrap_or_else(|error| panic!("{error:?}: {order:?}"));
    assert_eq!(world.check(), Ok(()));
    placed
}

fn rest(world: &mut World, trader: CellIndex, order: &NewOrder) -> (NodeIndex, Sequence) {
    place(world, trader, order).resting.expect("it rests")
}

/// Distance, limit and lots of a side's pegged orders, best first.
fn pegs(world: &World, side: Side) -> Vec<(i32, u32, u64)> {
    let market = world.market(0);
    let nodes = market.pegged(side).iter().rev().map(|entry| market.node(entry.node).unwrap());
    nodes.map(|node| (node.peg_offset().unwrap(), node.price.get(), node.lots.get())).collect()
}

fn offsets(world: &World, side: Side) -> Vec<i32> {
    pegs(world, side).into_iter().map(|peg| peg.0).collect()
}

/// Records since there were `seen`.
fn events_since(world: &World, seen: u64) -> Vec<TradeEvent> {
    let market = world.market(0);
    let all = ring::iter(market.events, market.header.events_written);
    all.filter(|event| event.sequence.get() > seen).copied().collect()
}

fn seen(world: &World) -> u64 {
    world.market(0).header.events_written.get()
}

/// What a taker met: kind, price, lots.
fn met(world: &mut World, taker: CellIndex, order: &NewOrder) -> Vec<(TradeEventKind, u32, u64)> {
    let before = seen(world);
    place(world, taker, order);
    let events = events_since(world, before);
    events.iter().map(|event| (event.kind().unwrap(), event.price.get(), event.lots.get())).collect()
}

fn refused(world: &mut World, trader: CellIndex, order: &NewOrder, error: EngineError) {
    assert_eq!(world.place(0, trader, order), Err(error), "{order:?}");
}

fn equity(world: &World, trader: CellIndex) -> i64 {
    let view = world.view();
    margin::maintenance(&view, view.trader(trader).unwrap(), world.now.unix_seconds).unwrap().equity.get()
}

/// A maker and a taker who can afford anything.
fn pair(world: &mut World) -> (CellIndex, CellIndex) {
    (world.funded(1, RICH), world.funded(2, RICH))
}

#[test]
fn a_pegged_order_follows_the_index_and_is_not_touched_by_it() {
    for (side, offset, bound) in [(BID, -5, 10_100), (ASK, 5, 9_900)] {
        let mut world = world();
        let (maker, taker) = pair(&mut world);
        rest(&mut world, maker, &pegged(side, offset, bound, 10));
        let bytes = world.market_bytes(0).to_vec();
        for index in [MARK + 40, MARK - 40, MARK] {
            world.set_price(0, index);
            assert_eq!(world.market_bytes(0), bytes, "an update writes nothing to the market");
            let mut copy = world.clone();
            let price = index.checked_add_signed(offset).unwrap();
            let found = met(&mut copy, taker, &taking(side.opposite(), if side == BID { 9_000 } else { 11_000 }, 10));
            assert_eq!(found, [(TradeEventKind::Filled, price, 10)]);
            assert_eq!(copy.market(0).header.last_trade_price.get(), price);
            assert!(pegs(&copy, side).is_empty() && copy.market(0).header.is_plain(side));
            assert!(copy.market_bytes(0)[256..].iter().take(11_648).all(|byte| *byte == 0), "nothing is left of it");
        }
    }
}

#[test]
fn what_is_recorded_when_a_pegged_order_rests() {
    for (side, offset, bound) in [(BID, -1, 10_000), (ASK, 300, 9_999), (BID, 78, 10_078)] {
        let mut world = world();
        let maker = world.funded(1, RICH);
        let order = NewOrder { client_id: 9, ..pegged(side, offset, bound, 3) };
        let (_, sequence) = rest(&mut world, maker, &order);
        let event = events_since(&world, 0)[0];
        assert_eq!((event.kind(), event.side(), event.order), (Some(TradeEventKind::PegPlaced), side, sequence));
        assert_eq!((event.price, event.lots, event.client_id, event.maker), (order.price, order.lots, 9, maker));
        assert_eq!(event.peg_offset(), Some(offset));
        let position = world.position(0, maker).unwrap();
        let reserved = [position.open_bid_notional, position.open_ask_notional].map(|atoms| atoms.get());
        assert_eq!(reserved.iter().sum::<u64>(), u64::from(bound) * 3 * 100, "reserved at the limit");
    }
}

#[test]
fn beyond_its_limit_it_is_not_for_sale_and_dropped_by_who_meets_it() {
    let mut world = world();
    let (maker, taker) = pair(&mut world);
    rest(&mut world, maker, &pegged(BID, -5, 10_000, 10));
    rest(&mut world, maker, &pegged(BID, -20, 10_100, 10));
    rest(&mut world, maker, &limit(BID, 9_990, 10));
    world.set_price(0, 10_010);
    // 10,005 is beyond 10,000. It is not held there: the next one is at 9,990 by its distance, and so is the book's.
    let found = met(&mut world, taker, &taking(ASK, 9_000, 15));
    let dropped = (TradeEventKind::PegDropped, 10_000, 10);
    assert_eq!(found, [dropped, (TradeEventKind::Filled, 9_990, 10), (TradeEventKind::Filled, 9_990, 5)]);
    assert!(pegs(&world, BID).is_empty());
    // Nobody met it while the price was against it, so it is for sale when the index comes back.
    rest(&mut world, maker, &pegged(BID, -5, 10_010, 10));
    world.set_price(0, 10_020);
    assert_eq!(met(&mut world, taker, &taking(ASK, 10_016, 1)), [(TradeEventKind::RemainderDropped, 10_016, 1)]);
    world.set_price(0, 10_000);
    assert_eq!(met(&mut world, taker, &taking(ASK, 9_995, 1)), [(TradeEventKind::Filled, 9_995, 1)]);
}

#[test]
fn a_limit_that_is_met_exactly_is_kept() {
    for (side, offset, bound, index) in [(BID, -5, 10_005, 10_010), (ASK, 5, 9_995, 9_990)] {
        let mut world = world();
        let (maker, taker) = pair(&mut world);
        rest(&mut world, maker, &pegged(side, offset, bound, 4));
        world.set_price(0, index);
        let found = met(&mut world, taker, &taking(side.opposite(), bound, 4));
        assert_eq!(found, [(TradeEventKind::Filled, bound, 4)]);
    }
}

#[test]
fn price_then_time_among_the_book_and_what_is_pegged() {
    let mut world = world();
    let (maker, taker) = pair(&mut world);
    let mut sequences = Vec::new();
    let orders = [
        pegged(BID, -10, 10_000, 1),
        limit(BID, 9_990, 1),
        pegged(BID, -10, 9_990, 1),
        limit(BID, 9_991, 1),
        pegged(BID, -8, 10_000, 1),
        limit(BID, 9_989, 1),
        pegged(BID, -9, 10_000, 1),
    ];
    for order in orders {
        sequences.push(rest(&mut world, maker, &order).1.get());
    }
    let before = seen(&world);
    place(&mut world, taker, &taking(ASK, 9_000, 7));
    let filled: Vec<u64> = events_since(&world, before).iter().map(|event| event.order.get()).collect();
    let expected = [4, 3, 6, 0, 1, 2, 5].map(|place: usize| sequences[place]);
    assert_eq!(filled, expected);
}

#[test]
fn orders_without_a_price_are_out_of_reach_with_all_behind_them() {
    for (side, near, far, index, edge) in
        [(BID, -100, -8_000, 8_000, 1), (ASK, 100, 30_000, 10_001, 40_000), (BID, -100, -8_000, 100, 1)]
    {
        let mut world = world();
        let (maker, taker) = pair(&mut world);
        let bound = if side == BID { 9_900 } else { 10_100 };
        rest(&mut world, maker, &pegged(side, near, bound, 1));
        rest(&mut world, maker, &pegged(side, far, bound, 1));
        world.set_price(0, index);
        // As far as anybody may go.
        let band = index * 2 / 5;
        let worst = if side == BID { index - band } else { (index + band).min(edge) };
        let found = met(&mut world, taker, &taking(side.opposite(), worst, 5));
        let price = index.checked_add_signed(near).filter(|price| *price > 0);
        match price {
            Some(price) => assert_eq!(found[0], (TradeEventKind::Filled, price, 1)),
            None => assert_eq!(found, [(TradeEventKind::RemainderDropped, worst, 5)]),
        }
        assert_eq!(pegs(&world, side).len(), if price.is_some() { 1 } else { 2 });
        assert_eq!(found.last().unwrap().0, TradeEventKind::RemainderDropped, "and nothing stands in the way");
    }
}

#[test]
fn what_a_new_pegged_order_must_be() {
    let mut world = world();
    let (maker, other) = pair(&mut world);
    let not_for_sale = EngineError::PegNotForSale;
    for (order, error) in [
        (pegged(BID, -5, 9_994, 1), not_for_sale),
        (pegged(ASK, 5, 10_006, 1), not_for_sale),
        (pegged(BID, -10_000, 10_000, 1), not_for_sale),
        (pegged(BID, i32::MIN, 10_000, 1), not_for_sale),
        (pegged(BID, i32::MAX, 10_000, 1), not_for_sale),
        (pegged(ASK, 30_001, 10_000, 1), not_for_sale),
        (pegged(ASK, -10_000, 10_000, 1), not_for_sale),
        (pegged(ASK, i32::MIN, 10_000, 1), not_for_sale),
        (pegged(ASK, i32::MAX, 10_000, 1), not_for_sale),
        (pegged(BID, 79, 14_000, 1), not_for_sale),
        (pegged(ASK, -79, 6_000, 1), not_for_sale),
        (pegged(BID, -5, 0, 1), EngineError::OrderPriceOutOfRange),
        (pegged(BID, -5, 40_001, 1), EngineError::OrderPriceOutOfRange),
        (pegged(BID, -5, 14_001, 1), EngineError::OrderOutsideBand),
        (pegged(ASK, 5, 5_999, 1), EngineError::OrderOutsideBand),
        (pegged(BID, -5, 10_000, 0), EngineError::OrderLotsOutOfRange),
        (until(pegged(BID, -5, 10_000, 1), &world, 0), EngineError::OrderExpired),
        (NewOrder { match_limit: 0, ..pegged(BID, -5, 10_000, 1) }, EngineError::MatchLimitOutOfRange),
        (NewOrder { reduce_only: true, ..pegged(BID, -5, 10_000, 1) }, EngineError::ReduceOnlyNothingToReduce),
    ] {
        refused(&mut world, maker, &order, error);
    }
    for order in [pegged(BID, 78, 10_078, 1), pegged(ASK, 30_000, 6_000, 1), pegged(BID, -9_999, 1, 1)] {
        place(&mut world, maker, &order);
    }
    // At 10,078 stands a bid now, whoever's.
    for trader in [maker, other] {
        refused(&mut world, trader, &pegged(ASK, 78, 9_000, 1), EngineError::PostOnlyWouldCross);
        refused(&mut world, trader, &post_only(ASK, 10_078), EngineError::PostOnlyWouldCross);
    }
    place(&mut world, other, &pegged(ASK, 79, 9_000, 1));
    refused(&mut world, maker, &post_only(BID, 10_079), EngineError::PostOnlyWouldCross);
    world.set_status(0, 2);
    refused(&mut world, maker, &pegged(BID, -5, 10_000, 1), EngineError::MarketNotActive);
}

/// The largest number stands for prices above it.
#[test]
fn no_limit_reaches_as_far_as_prices_that_have_no_number() {
    let mut listing = market();
    (listing.price_max, listing.tick_value, listing.lot_size) = (Ticks::MAX, TickValue::new(1), 1_000_000_000);
    listing.lots_max = Lots::new(20);
    let mut world = World::new(&[listing], 16);
    world.set_price(0, u32::MAX - 1);
    let (maker, taker) = (world.funded(1, 1 << 50), world.funded(2, 1 << 50));
    refused(&mut world, maker, &pegged(BID, 0, u32::MAX, 1), EngineError::OrderPriceOutOfRange);
    rest(&mut world, maker, &pegged(BID, 0, u32::MAX - 1, 1));
    world.set_price(0, u32::MAX);
    let found = met(&mut world, taker, &taking(ASK, u32::MAX - 9, 1));
    assert_eq!(found[0], (TradeEventKind::PegDropped, u32::MAX - 1, 1));
}

#[test]
fn what_has_expired_is_dropped_where_it_stands_in_the_way() {
    let mut world = world();
    let (maker, other) = pair(&mut world);
    let short = |order| until(order, &world, 5);
    let orders = [short(pegged(ASK, 1, 9_000, 1)), short(limit(ASK, 10_002, 2)), short(pegged(ASK, 3, 9_000, 3))];
    for order in orders {
        rest(&mut world, other, &order);
    }
    world.pass(6);
    world.set_price(0, MARK);
    // A limit of two leaves one in the way: what is new is dropped.
    let stopped = NewOrder { match_limit: 2, ..pegged(BID, 3, 10_100, 7) };
    let expired = |price, lots| (TradeEventKind::Expired, price, lots);
    let mut copy = world.clone();
    let found = met(&mut copy, maker, &stopped);
    assert_eq!(found, [expired(9_000, 1), expired(10_002, 2), (TradeEventKind::RemainderDropped, 10_100, 7)]);
    assert!(pegs(&copy, BID).is_empty());
    let found = met(&mut world, maker, &pegged(BID, 3, 10_100, 7));
    let placed = (TradeEventKind::PegPlaced, 10_100, 7);
    assert_eq!(found, [expired(9_000, 1), expired(10_002, 2), expired(9_000, 3), placed]);
    // One that expires itself is no more for sale than others, and anybody may drop it.
    let short = until(pegged(BID, -3, 10_100, 4), &world, 5);
    let (node, sequence) = rest(&mut world, maker, &short);
    world.pass(6);
    let handles = [OrderHandle::new(node, sequence)].into_iter();
    assert_eq!(world.trading(0, |trading| trading.drop_expired(handles)), Ok(1));
    assert_eq!((world.check(), pegs(&world, BID)), (Ok(()), vec![(3, 10_100, 7)]));
}

#[test]
fn cancelled_like_any_order() {
    let mut world = world();
    let (maker, other) = pair(&mut world);
    let first = rest(&mut world, maker, &pegged(BID, -5, 10_000, 1));
    assert_eq!(world.cancel(0, other, first.0, first.1), Err(EngineError::OrderNotFound));
    assert_eq!(world.cancel(0, maker, first.0, first.1), Ok(()));
    assert_eq!(world.cancel(0, maker, first.0, first.1), Err(EngineError::OrderNotFound));
    let named = NewOrder { client_id: 4, ..pegged(BID, -5, 10_000, 1) };
    rest(&mut world, maker, &named);
    refused(&mut world, maker, &named, EngineError::ClientIdInUse);
    refused(&mut world, maker, &NewOrder { client_id: 4, ..limit(BID, 9_000, 1) }, EngineError::ClientIdInUse);
    world.trading(0, |trading| trading.cancel_by_client_id(maker, 4)).unwrap();
    for offset in [-5, -3, -9, -5] {
        rest(&mut world, maker, &pegged(BID, offset, 10_000, 1));
    }
    rest(&mut world, maker, &pegged(ASK, 3, 10_000, 1));
    rest(&mut world, maker, &limit(BID, 9_000, 1));
    assert_eq!(offsets(&world, BID), [-3, -5, -5, -9]);
    assert_eq!(world.cancel_all(0, maker, Sides::Bids, 3), Ok(3));
    assert_eq!((world.check(), offsets(&world, BID)), (Ok(()), vec![-3, -5]));
    world.ledger(|ledger, now| account::heartbeat(ledger, now, maker, 5)).unwrap();
    world.pass(6);
    assert_eq!(world.trading(0, |trading| trading.enforce_deadman(maker, 255)), Ok(3));
    assert_eq!((world.check(), world.market(0).header.nodes.in_use()), (Ok(()), 0));
    let header = *world.market(0).header;
    assert!(header.is_plain(BID) && header.is_plain(ASK));
}

#[test]
fn it_can_be_cancelled_but_not_amended() {
    let mut world = world();
    let maker = world.funded(1, RICH);
    let (node, sequence) = rest(&mut world, maker, &pegged(BID, -5, 10_000, 4));
    for (price, lots) in [(10_000, 3), (10_000, 4), (9_000, 4), (10_000, 0)] {
        let handle = OrderHandle::new(node, sequence);
        let amended =
            world.trading(0, |trading| trading.amend_order(maker, handle, Ticks::new(price), Lots::new(lots)));
        assert_eq!(amended, Err(EngineError::OrderNotAmendable));
    }
}

#[test]
fn replacing_quotes_drops_those_of_its_sides_and_crosses_none() {
    let mut world = world();
    let (maker, other) = pair(&mut world);
    let replace = |world: &mut World, sequence: u64, sides: Option<Sides>, quotes: &[Quote]| -> Result<bool> {
        let wanted = Replacement { sequence, sides, expires_at: UnixSeconds::ZERO, quotes };
        let done = world.trading(0, |trading| trading.replace_quotes(maker, &wanted));
        assert_eq!(world.check(), Ok(()));
        done
    };
    let quote = |side, price| Quote::new(side, Ticks::new(price), Lots::new(1));
    rest(&mut world, other, &pegged(ASK, 10, 10_000, 1));
    rest(&mut world, maker, &pegged(BID, -5, 10_000, 1));
    rest(&mut world, maker, &pegged(ASK, 15, 10_000, 1));
    let crossing = Err(EngineError::PostOnlyWouldCross);
    assert_eq!(replace(&mut world, 1, None, &[quote(BID, 10_010)]), crossing);
    assert_eq!(replace(&mut world, 1, None, &[quote(ASK, 9_995)]), crossing, "its own, too");
    assert_eq!(replace(&mut world, 1, Some(Sides::Bids), &[quote(ASK, 9_995), quote(BID, 9_994)]), Ok(true));
    assert_eq!((offsets(&world, BID), offsets(&world, ASK)), (vec![], vec![10, 15]));
    assert_eq!(replace(&mut world, 2, Some(Sides::Both), &[]), Ok(true));
    assert_eq!((offsets(&world, BID), offsets(&world, ASK)), (vec![], vec![10]));
    // One that is not for sale is not in the way.
    world.set_price(0, 9_985);
    assert_eq!(replace(&mut world, 3, Some(Sides::Both), &[quote(BID, 9_995)]), Ok(true));
}

#[test]
fn sliding_goes_behind_what_is_for_sale() {
    let mut world = world();
    let (maker, other) = pair(&mut world);
    rest(&mut world, other, &pegged(ASK, 4, 10_000, 1));
    rest(&mut world, other, &pegged(ASK, 7, 9_000, 1));
    let slid = |world: &mut World| {
        let (node, _) = rest(world, maker, &order(BID, OrderKind::PostOnlySlide, 10_050, 1));
        let price = world.market(0).node(node).unwrap().price.get();
        world.cancel_all(0, maker, Sides::Both, 255).unwrap();
        price
    };
    assert_eq!(slid(&mut world), 10_003);
    world.set_price(0, 9_990);
    assert_eq!(slid(&mut world), 9_996, "the first is at 9,994, beyond its limit");
    assert_eq!(offsets(&world, ASK), [7], "and was met");
}

#[test]
fn every_self_trade_policy_meets_it() {
    for (policy, left, filled) in [
        (SelfTrade::CancelMaker, vec![], 1),
        (SelfTrade::CancelTaker, vec![(-5, 10_000, 10)], 0),
        (SelfTrade::CancelBoth, vec![], 0),
        (SelfTrade::Decrement, vec![(-5, 10_000, 6)], 0),
    ] {
        let mut world = world();
        let (maker, other) = pair(&mut world);
        let sub = world.open(1, 1).unwrap();
        world.deposit(sub, RICH).unwrap();
        rest(&mut world, maker, &pegged(BID, -5, 10_000, 10));
        rest(&mut world, other, &limit(BID, 9_990, 1));
        let order = NewOrder { self_trade: policy, ..taking(ASK, 9_990, 4) };
        let placed = place(&mut world, sub, &order);
        assert_eq!((placed.filled.get(), pegs(&world, BID)), (filled, left), "{policy:?}");
    }
}

#[test]
fn reduce_only_closes_what_there_is_and_is_dropped_then() {
    let mut world = world();
    let (maker, taker) = pair(&mut world);
    place(&mut world, maker, &limit(BID, MARK, 10));
    place(&mut world, taker, &taking(ASK, MARK, 10));
    let reduce = |offset, lots| NewOrder { reduce_only: true, ..pegged(ASK, offset, 9_000, lots) };
    rest(&mut world, maker, &reduce(5, 50));
    rest(&mut world, maker, &reduce(6, 8));
    assert_eq!(pegs(&world, ASK), [(5, 9_000, 10), (6, 9_000, 8)]);
    let found = met(&mut world, taker, &taking(BID, 10_005, 4));
    assert_eq!(found, [(TradeEventKind::Filled, 10_005, 4)]);
    place(&mut world, maker, &taking(ASK, 9_000, 1));
    let short = place(&mut world, taker, &limit(BID, 9_999, 4));
    place(&mut world, maker, &taking(ASK, 9_999, 4));
    assert!(short.resting.is_some() && world.base(0, maker) == 2);
    let found = met(&mut world, taker, &taking(BID, 10_006, 9));
    let dropped = |lots| (TradeEventKind::ReduceOnlyDropped, 9_000, lots);
    let nothing = (TradeEventKind::RemainderDropped, 10_006, 7);
    assert_eq!(found, [(TradeEventKind::Filled, 10_005, 2), dropped(4), dropped(8), nothing]);
    assert_eq!(world.base(0, maker), 0);
}

#[test]
fn a_part_filled_keeps_its_place_and_its_reservation() {
    let mut world = world();
    let (maker, taker) = pair(&mut world);
    for lots in [10, 20] {
        rest(&mut world, maker, &pegged(BID, -5, 10_050, lots));
    }
    place(&mut world, taker, &taking(ASK, 9_995, 4));
    assert_eq!(pegs(&world, BID), [(-5, 10_050, 6), (-5, 10_050, 20)]);
    let position = world.position(0, maker).unwrap();
    assert_eq!((position.open_bid_lots.get(), position.open_bid_notional.get()), (26, 26 * 10_050 * 100));
    assert_eq!(position.quote.get().get(), -4 * 9_995 * 100, "bought at what it was for sale at");
}

#[test]
fn when_they_cross_a_taker_gets_the_better_price() {
    let mut world = world();
    let (maker, taker) = pair(&mut world);
    rest(&mut world, maker, &limit(ASK, 10_010, 5));
    rest(&mut world, maker, &pegged(BID, -1, 10_100, 5));
    rest(&mut world, taker, &pegged(ASK, 30, 9_900, 5));
    world.set_price(0, 10_020);
    // The bid is at 10,019 now, above the book's ask at 10,010. Nobody has to do anything about it.
    assert_eq!(met(&mut world, taker, &taking(ASK, 10_019, 1)), [(TradeEventKind::Filled, 10_019, 1)]);
    let third = world.funded(3, RICH);
    assert_eq!(met(&mut world, third, &taking(BID, 10_019, 1)), [(TradeEventKind::Filled, 10_010, 1)]);
    refused(&mut world, third, &post_only(BID, 10_010), EngineError::PostOnlyWouldCross);
    refused(&mut world, third, &post_only(ASK, 10_019), EngineError::PostOnlyWouldCross);
    refused(&mut world, third, &pegged(BID, -10, 10_100, 1), EngineError::PostOnlyWouldCross);
    place(&mut world, third, &pegged(ASK, 0, 10_000, 1));
}

/// What follows the index cannot show where it should be.
#[test]
fn the_mark_does_not_look_at_them() {
    let marks = [false, true].map(|with_pegs| {
        let mut world = world();
        let maker = world.funded(1, RICH);
        rest(&mut world, maker, &limit(BID, 10_050, 1));
        rest(&mut world, maker, &limit(ASK, 10_150, 1));
        if with_pegs {
            rest(&mut world, maker, &pegged(BID, 70, 10_100, 1));
            rest(&mut world, maker, &pegged(ASK, 71, 9_900, 1));
        }
        world.pass(30);
        world.move_price(0, MARK).unwrap();
        (world.view().rows[0].mark, world.view().rows[0].basis)
    });
    assert_eq!(marks[0], marks[1]);
    assert!(marks[0].0 > Ticks::new(MARK), "the book's middle is above the index");
}

#[test]
fn keys_are_in_the_order_of_distances() {
    let offsets = [i32::MIN, i32::MIN + 1, -40_000, -1, 0, 1, 40_000, i32::MAX - 1, i32::MAX];
    for pair in offsets.windows(2) {
        assert!(IndexEntry::peg_key_of(BID, pair[0]) < IndexEntry::peg_key_of(BID, pair[1]));
        assert!(IndexEntry::peg_key_of(ASK, pair[0]) > IndexEntry::peg_key_of(ASK, pair[1]));
    }
    for (side, offset) in offsets.into_iter().flat_map(|offset| [(BID, offset), (ASK, offset)]) {
        assert_eq!(IndexEntry::peg_offset_of(side, IndexEntry::peg_key_of(side, offset)), offset);
    }
}

#[test]
fn margin_is_reserved_for_the_worst_price_it_may_come_to() {
    let mut world = world();
    // 10 lots at 10,000: 500,000 of margin; filled at a limit of 10,050 they would lose 50,000 more.
    let poor = world.funded(1, 549_999);
    refused(&mut world, poor, &pegged(BID, -5, 10_050, 10), EngineError::BelowInitialMargin);
    rest(&mut world, poor, &pegged(BID, -5, 10_049, 10));
    refused(&mut world, poor, &pegged(BID, -500, 10_000, 1), EngineError::BelowInitialMargin);
}
