//! `PlaceOrder`, accepted: what rests, what fills, at which price, for which fee, and what is written down.

use quantdesk_client::engine::{
    CellIndex, Side, UnixSeconds,
    book::SelfTrade,
    state::{TradeEvent, TradeEventKind},
};
use quantdesk_tests::{
    read::{self, LedgerMap, MarketMap, book, lots, trade_events},
    scene::{self, CAPITAL, LEDGER, MARK, MARKET, Party, Scene, ask, bid, party_of},
    snapshot::{Frame, Snapshot},
};

/// Records since the first `seen`, which follow them without a gap.
#[track_caller]
fn new_events(scene: &Scene, seen: u64) -> Vec<TradeEvent> {
    let events: Vec<_> = trade_events(&scene.desk, 0).into_iter().filter(|it| it.sequence.get() > seen).collect();
    for (event, number) in events.iter().zip(seen + 1..) {
        let now = read::now(&scene.desk.chain);
        assert_eq!((event.sequence.get(), event.unix_seconds, event.slot), (number, now.unix_seconds, now.slot));
    }
    assert_eq!(read::market_header(&scene.desk, 0).events_written.get(), seen + events.len() as u64);
    events
}

fn kinds(events: &[TradeEvent]) -> Vec<TradeEventKind> {
    events.iter().map(|event| event.kind().unwrap()).collect()
}

/// What resting an order may change, besides `more`.
fn resting_frame(scene: &Scene, party: &Party, side: Side, more: Frame) -> Frame {
    let (ledger, market) = (scene.desk.venue.ledger, scene.market());
    let header = read::market_header(&scene.desk, 0);
    let (node, _) = read::handles(&scene.desk, &party.trader, 0)[0];
    let (cell, _) = read::position(&scene.desk, &party.trader, 0).unwrap();
    more.bytes(market, MarketMap::header())
        .bytes(market, MARKET.entries(side, header.side_len(side)))
        .bytes(market, MARKET.node(node))
        .bytes(market, MARKET.event(header.events_written.get()))
        .bytes(ledger, LEDGER.cell(cell))
}

#[test]
fn rests_on_either_side() {
    for (side, ticket) in [(Side::Bid, bid(MARK - 7, 30)), (Side::Ask, ask(MARK + 7, 30))] {
        let mut scene = Scene::new();
        let alice = scene.alice;
        let before = Snapshot::of(&scene.desk.chain);
        let order = ticket.client_id(99).expires_at(UnixSeconds::new(scene.desk.chain.unix_seconds() + 60)).build();
        scene.accept(&alice, &order);
        assert_eq!(book(&scene.desk, 0, side), [(order.price.get(), 30)]);
        assert_eq!(book(&scene.desk, 0, side.opposite()), []);

        let market = scene.desk.market_view(0).unwrap();
        let (_, node) = market.orders(side).next().unwrap();
        let (cell, position) = read::position(&scene.desk, &alice.trader, 0).unwrap();
        assert_eq!((node.sequence.get(), node.client_id, node.expires_at), (1, 99, order.expires_at));
        assert_eq!((node.position, node.side(), node.is_reduce_only()), (cell, side, false));
        assert_eq!((position.orders, position.open_lots(side).get()), (1, 30));
        assert_eq!(position.open_lots(side.opposite()).get(), 0);
        assert!(position.base.is_zero() && position.quote.is_zero());

        let events = new_events(&scene, 0);
        let mut expected = TradeEvent::new(TradeEventKind::Placed, side);
        (expected.sequence, expected.unix_seconds) = (node.sequence, events[0].unix_seconds);
        (expected.slot, expected.order, expected.client_id) = (events[0].slot, node.sequence, 99);
        (expected.lots, expected.price, expected.maker) = (order.lots, order.price, alice.trader.cell);
        assert_eq!(events, [expected]);
        // A first order also opens the position cell.
        let ledger = scene.desk.venue.ledger;
        let opened = Frame::new().bytes(ledger, LedgerMap::free_list()).bytes(ledger, LEDGER.cell(alice.trader.cell));
        before.only(&scene.desk.chain, &resting_frame(&scene, &alice, side, opened));
        // Cash does not move: margin is reserved by the order's existence.
        assert_eq!(read::cash(&scene.desk, &alice.trader), CAPITAL as i64);

        let before = Snapshot::of(&scene.desk.chain);
        scene.accept(&alice, &ticket.build());
        let older = MARKET.node(quantdesk_client::engine::NodeIndex::new(0));
        let linked = Frame::new().bytes(scene.market(), older);
        before.only(&scene.desk.chain, &resting_frame(&scene, &alice, side, linked));
    }
}

#[test]
fn price_then_time() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    for (price, size) in [(MARK - 10, 1), (MARK - 5, 2), (MARK - 10, 3), (MARK - 20, 4), (MARK - 5, 5)] {
        scene.accept(&alice, &bid(price, size).build());
    }
    let expected = [(MARK - 5, 2), (MARK - 5, 5), (MARK - 10, 1), (MARK - 10, 3), (MARK - 20, 4)];
    assert_eq!(book(&scene.desk, 0, Side::Bid), expected);
    for (price, size) in [(MARK + 10, 1), (MARK + 5, 2), (MARK + 10, 3), (MARK + 5, 4)] {
        scene.accept(&bob, &ask(price, size).build());
    }
    let expected = [(MARK + 5, 2), (MARK + 5, 4), (MARK + 10, 1), (MARK + 10, 3)];
    assert_eq!(book(&scene.desk, 0, Side::Ask), expected);
    // And in that order they fill.
    scene.accept(&bob, &ask(MARK - 10, 8).immediate_or_cancel().build());
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK - 10, 3), (MARK - 20, 4)]);
}

#[test]
fn fills_at_the_makers_price_and_rests_the_remainder() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(200_001, 1).client_id(7).build());
    scene.accept(&alice, &ask(200_003, 3).build());
    let money = read::money(&scene.desk);
    scene.accept(&bob, &bid(200_002, 10).client_id(8).build());
    // One lot at 200,001: the taker pays ⌈100.0005⌉, the maker is given ⌊20.0001⌋.
    assert_eq!(read::cash(&scene.desk, &bob.trader), CAPITAL as i64 - 101);
    assert_eq!(read::cash(&scene.desk, &alice.trader), CAPITAL as i64 + 20);
    assert_eq!(read::money(&scene.desk), (money.0, 81, money.2));
    let (_, long) = read::position(&scene.desk, &bob.trader, 0).unwrap();
    assert_eq!((long.base.get(), long.quote.get().get(), long.fees_paid.get()), (1, -200_001, 101));
    assert_eq!((long.orders, long.open_bid_lots.get(), long.open_bid_notional.get()), (1, 9, 9 * 200_002));
    let (_, short) = read::position(&scene.desk, &alice.trader, 0).unwrap();
    assert_eq!((short.base.get(), short.quote.get().get(), short.fees_paid.get()), (-1, 200_001, -20));
    assert_eq!((short.orders, short.open_ask_lots.get(), short.open_ask_notional.get()), (1, 3, 3 * 200_003));
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(200_002, 9)]);
    assert_eq!(book(&scene.desk, 0, Side::Ask), [(200_003, 3)]);
    let header = read::market_header(&scene.desk, 0);
    assert_eq!(
        (header.last_trade_price.get(), header.last_trade_time),
        (200_001, read::now(&scene.desk.chain).unix_seconds)
    );
    assert_eq!(read::row(&scene.desk, 0).open_interest.get(), 1);

    let events = new_events(&scene, 2);
    assert_eq!(kinds(&events), [TradeEventKind::Filled, TradeEventKind::Placed]);
    let fill = events[0];
    assert_eq!((fill.price.get(), fill.lots.get(), fill.side()), (200_001, 1, Side::Ask));
    assert_eq!((fill.maker, fill.taker, fill.order.get()), (alice.trader.cell, bob.trader.cell, 1));
    assert_eq!((fill.taker_fee.get(), fill.maker_fee.get(), fill.client_id), (101, -20, 7));
    assert_eq!((events[1].lots.get(), events[1].order.get(), events[1].client_id), (9, 3, 8));
}

#[test]
fn closing_realises_to_the_atom() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.trade(3);
    let (a, b) = (read::cash(&scene.desk, &alice.trader), read::cash(&scene.desk, &bob.trader));
    // Bob sells one of his three at 201,000: cost share ⌊−200,000⌋, received 201,000, fee ⌈100.5⌉, rebate ⌊20.1⌋.
    scene.accept(&alice, &bid(201_000, 1).build());
    scene.accept(&bob, &ask(201_000, 1).immediate_or_cancel().build());
    assert_eq!(read::cash(&scene.desk, &bob.trader), b + 1_000 - 101);
    assert_eq!(read::cash(&scene.desk, &alice.trader), a - 1_000 + 20);
    assert_eq!((lots(&scene.desk, &alice.trader, 0), lots(&scene.desk, &bob.trader, 0)), (-2, 2));
    let (_, long) = read::position(&scene.desk, &bob.trader, 0).unwrap();
    assert_eq!((long.quote.get().get(), long.realised.get()), (-400_000, 1_000));
    // He sells five more: two close, three open a short.
    scene.accept(&alice, &bid(199_000, 5).build());
    scene.accept(&bob, &ask(199_000, 5).immediate_or_cancel().build());
    let (_, short) = read::position(&scene.desk, &bob.trader, 0).unwrap();
    assert_eq!((short.base.get(), short.quote.get().get(), short.realised.get()), (-3, 3 * 199_000, 1_000 - 2_000));
    assert_eq!(read::row(&scene.desk, 0).open_interest.get(), 3);
    // Money only changed hands; what is missing are the fees.
    let header = read::header(&scene.desk);
    assert_eq!(header.total.get().get(), 2 * CAPITAL as i64);
    scene.desk.check().unwrap();
}

#[test]
fn sweeps_levels_until_its_limit() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    for step in 0..4 {
        scene.accept(&alice, &ask(MARK + step, 2).build());
    }
    let before = Snapshot::of(&scene.desk.chain);
    scene.accept(&bob, &bid(MARK + 2, 100).immediate_or_cancel().build());
    assert_eq!(book(&scene.desk, 0, Side::Ask), [(MARK + 3, 2)]);
    assert_eq!(book(&scene.desk, 0, Side::Bid), []);
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 6);
    let events = new_events(&scene, 4);
    let filled = TradeEventKind::Filled;
    assert_eq!(kinds(&events), [filled, filled, filled, TradeEventKind::RemainderDropped]);
    let dropped = events[3];
    assert_eq!((dropped.lots.get(), dropped.order.get(), dropped.side()), (94, 0, Side::Bid));
    assert_eq!((dropped.maker, dropped.taker), (CellIndex::NIL, bob.trader.cell));
    // Nothing but the two traders, their positions, the row, the fees and the market.
    let (ledger, market) = (scene.desk.venue.ledger, scene.market());
    let mut frame = Frame::new()
        .bytes(ledger, LedgerMap::fees())
        .bytes(ledger, LedgerMap::free_list())
        .bytes(ledger, LedgerMap::row(0))
        .bytes(market, MarketMap::header())
        .bytes(market, MARKET.entries(Side::Ask, 4))
        .bytes(market, MARKET.node(quantdesk_client::engine::NodeIndex::new(0)).start..MARKET.event(1).start);
    for party in [alice, bob] {
        let (cell, _) = read::position(&scene.desk, &party.trader, 0).unwrap();
        frame = frame.bytes(ledger, LEDGER.cell(cell)).bytes(ledger, LEDGER.cell(party.trader.cell));
    }
    for event in 5..9 {
        frame = frame.bytes(market, MARKET.event(event));
    }
    before.only(&scene.desk.chain, &frame);
}

#[test]
fn a_market_order_drops_what_its_worst_price_leaves() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(MARK, 2).build());
    scene.accept(&alice, &bid(MARK - 100, 2).build());
    scene.accept(&bob, &ask(MARK - 50, 3).market().build());
    assert_eq!(lots(&scene.desk, &bob.trader, 0), -2);
    assert_eq!(kinds(&new_events(&scene, 2)), [TradeEventKind::Filled, TradeEventKind::RemainderDropped]);
    // On an empty side nothing fills, and that is no error.
    scene.accept(&bob, &bid(MARK, 3).market().build());
    assert_eq!(kinds(&new_events(&scene, 4)), [TradeEventKind::RemainderDropped]);
}

#[test]
fn fill_or_kill_and_post_only() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 2).post_only().build());
    scene.accept(&alice, &ask(MARK + 1, 2).post_only().build());
    scene.accept(&bob, &bid(MARK + 1, 4).fill_or_kill().build());
    assert_eq!((lots(&scene.desk, &bob.trader, 0), book(&scene.desk, 0, Side::Ask)), (4, vec![]));
    scene.accept(&alice, &ask(MARK, 1).post_only().build());
    scene.accept(&bob, &bid(MARK - 1, 1).post_only().build());
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK - 1, 1)]);
    // Touching an expired order is not taking it: it goes, and the newcomer rests.
    let soon = UnixSeconds::new(scene.desk.chain.unix_seconds() + 1);
    let carol = scene::party(&mut scene.desk, 0);
    scene.accept(&carol, &ask(MARK - 1_000, 1).immediate_or_cancel().build());
    scene.accept(&carol, &ask(MARK - 1, 1).expires_at(soon).post_only().build());
    scene.wait(2);
    scene.accept(&bob, &bid(MARK - 1, 1).post_only().build());
    let written = read::market_header(&scene.desk, 0).events_written.get();
    assert_eq!(kinds(&new_events(&scene, written - 2)), [TradeEventKind::Expired, TradeEventKind::Placed]);
}

#[test]
fn reduce_only_closes_up_to_the_position() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.trade(5);
    scene.accept(&alice, &bid(MARK, 20).build());
    scene.accept(&bob, &ask(MARK, 20).reduce_only().immediate_or_cancel().build());
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 0);
    assert_eq!(lots(&scene.desk, &alice.trader, 0), 0);
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK, 15)]);
}

#[test]
fn a_resting_reduce_only_order_shrinks_with_its_position() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.trade(5);
    // Bob, long 5, rests a reduce-only sale of 5 and one of 3; then sells 4 at once.
    scene.accept(&bob, &ask(MARK + 10, 5).reduce_only().build());
    scene.accept(&bob, &ask(MARK + 20, 3).reduce_only().build());
    scene.accept(&alice, &bid(MARK, 4).build());
    scene.accept(&bob, &ask(MARK, 4).immediate_or_cancel().build());
    let seen = read::market_header(&scene.desk, 0).events_written.get();
    scene.accept(&alice, &bid(MARK + 20, 6).immediate_or_cancel().build());
    // One lot of the first fills, what is left of it and the second are dropped.
    let events = new_events(&scene, seen);
    let dropped = TradeEventKind::ReduceOnlyDropped;
    assert_eq!(kinds(&events), [TradeEventKind::Filled, dropped, dropped, TradeEventKind::RemainderDropped]);
    assert_eq!(events.iter().map(|event| event.lots.get()).collect::<Vec<_>>(), [1, 4, 3, 5]);
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 0);
    assert_eq!(book(&scene.desk, 0, Side::Ask), []);
}

#[test]
fn self_trades_are_prevented_four_ways() {
    let cases = [
        (
            SelfTrade::CancelMaker,
            vec![(MARK, 4)],
            vec![],
            0,
            vec![TradeEventKind::SelfTradePrevented, TradeEventKind::Placed],
        ),
        (SelfTrade::CancelTaker, vec![], vec![(MARK, 10)], 0, vec![TradeEventKind::RemainderDropped]),
        (
            SelfTrade::CancelBoth,
            vec![],
            vec![],
            0,
            vec![TradeEventKind::SelfTradePrevented, TradeEventKind::RemainderDropped],
        ),
        (SelfTrade::Decrement, vec![], vec![(MARK, 6)], 0, vec![TradeEventKind::SelfTradePrevented]),
    ];
    for (policy, bids, asks, traded, expected) in cases {
        let mut scene = Scene::new();
        let alice = scene.alice;
        let sibling = party_of(&mut scene.desk, alice.trader.authority, 1);
        scene.accept(&alice, &ask(MARK, 10).build());
        scene.accept(&sibling, &bid(MARK, 4).self_trade(policy).build());
        assert_eq!(book(&scene.desk, 0, Side::Bid), bids, "{policy:?}");
        assert_eq!(book(&scene.desk, 0, Side::Ask), asks, "{policy:?}");
        assert_eq!(lots(&scene.desk, &alice.trader, 0), traded);
        assert_eq!(kinds(&new_events(&scene, 1)), expected, "{policy:?}");
        assert_eq!(read::money(&scene.desk).1, 0, "no fee without a trade");
    }
}

#[test]
fn eviction_of_the_worst_by_a_strictly_better_one() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    for step in 0..scene::SIDE {
        scene.accept(&alice, &bid(MARK - 10 - step, 1).build());
    }
    scene.accept(&bob, &bid(MARK - 16, 2).build());
    let mut prices: Vec<u32> = book(&scene.desk, 0, Side::Bid).iter().map(|(price, _)| *price).collect();
    assert_eq!(prices.len(), scene::SIDE as usize);
    assert_eq!(prices.pop(), Some(MARK - 16));
    let events = new_events(&scene, u64::from(scene::SIDE));
    assert_eq!(kinds(&events), [TradeEventKind::Evicted, TradeEventKind::Placed]);
    assert_eq!((events[0].price.get(), events[0].lots.get(), events[0].maker), (MARK - 17, 1, alice.trader.cell));
    let (_, position) = read::position(&scene.desk, &alice.trader, 0).unwrap();
    assert_eq!((position.orders, position.open_bid_lots.get()), (scene::SIDE - 1, u64::from(scene::SIDE) - 1));
    // The full side does not stop the other one, nor takers.
    scene.accept(&bob, &ask(MARK + 1, 1).build());
    scene.accept(&bob, &ask(MARK - 10, 1).immediate_or_cancel().build());
    assert_eq!(lots(&scene.desk, &bob.trader, 0), -1);
}

#[test]
fn the_event_ring_wraps_without_a_gap() {
    let mut scene = Scene::new();
    let (alice, market) = (scene.alice, scene.market());
    let both = quantdesk_client::engine::book::Sides::Both;
    let cancel = scene.desk.venue.cancel_all(&alice.trader, &market, both, 255);
    let placed = scene.order(&alice, &bid(MARK - 1, 1).build());
    let pairs = u64::from(scene::TRADE_EVENTS) / 2 + 5;
    for _ in 0..pairs {
        scene.desk.chain.send_all(&[placed.clone(), cancel.clone()]).unwrap();
    }
    scene.desk.check().unwrap();
    let events = trade_events(&scene.desk, 0);
    assert_eq!(events.len(), scene::TRADE_EVENTS as usize);
    let numbers: Vec<u64> = events.iter().map(|event| event.sequence.get()).collect();
    assert_eq!(numbers, (2 * pairs - u64::from(scene::TRADE_EVENTS) + 1..=2 * pairs).collect::<Vec<_>>());
}

#[test]
fn a_delegate_trades_for_the_owner() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let delegate = scene.desk.name(b"delegate");
    let as_delegate = Party { trader: scene::delegate(&mut scene.desk, &alice.trader, delegate), ..alice };
    scene.accept(&as_delegate, &bid(MARK - 1, 1).build());
    let (node, sequence) = read::handles(&scene.desk, &alice.trader, 0)[0];
    let market = scene.market();
    scene.desk.chain.send(scene.desk.venue.cancel_order(&as_delegate.trader, &market, node, sequence)).unwrap();
    scene.accept(&alice, &bid(MARK - 1, 1).build());
}

#[test]
fn cross_margin_over_two_markets() {
    let (mut scene, bitcoin) = Scene::with_bitcoin();
    scene.desk.set_price(bitcoin, 100_000 * scene::PICO).unwrap();
    let bob = scene.bob;
    scene.trade(10_000);
    // One BTC lot is 0.00001 BTC, a tick $0.1: 2,000 lots at $100,000 are $2,000, with margin of $100 more.
    let order = bid(1_000_000, 2_000).build();
    scene.desk.place(&bob.trader, bitcoin, &order).unwrap();
    scene.desk.check().unwrap();
    let ledger = scene.desk.ledger_view().unwrap();
    let now = read::now(&scene.desk.chain).unix_seconds;
    let summary = quantdesk_client::view::summary(&ledger, &bob.trader, now).unwrap();
    assert_eq!(summary.initial_margin.get(), 200_000_000);
    assert_eq!(summary.equity.get(), CAPITAL as i64 - 1_000_000);
    assert_eq!(ledger.trader(bob.trader.cell).unwrap().positions, 2);
}
