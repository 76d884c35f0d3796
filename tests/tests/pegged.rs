//! Orders pegged to the index through the program: what rests, which bytes change, what they trade at after `UpdatePrice`,
//! and what is refused.

use quantdesk_client::{
    Refusal,
    engine::{
        CellIndex, EngineError, Lots, Side, Ticks, UnixSeconds,
        book::{NewOrder, Quote, Replacement, Sides},
        state::{
            IndexEntry, MarketHeader, TradeEvent, TradeEventKind,
            annex::{Annex, PEGGED_MAX},
        },
    },
};
use quantdesk_sim::chain::Executed;
use quantdesk_tests::{
    failing::{Native, trade_events_since, written},
    read::{self, MarketMap, handles},
    refused, refuses,
    scene::{LEDGER, MARK, MARKET, PICO, PRICE, Party, Scene, ask, bid, party},
    snapshot::{Frame, Snapshot},
};
use std::{mem::offset_of, ops::Range};

/// Where the lengths of the pegged index stand in the header.
const LENGTHS: Range<usize> = 192..200;

/// Place of a pegged entry in the market's account.
fn entry(side: Side, place: usize) -> Range<usize> {
    let array = match side {
        Side::Bid => offset_of!(Annex, pegged_bids),
        Side::Ask => offset_of!(Annex, pegged_asks),
    };
    let start = size_of::<MarketHeader>() + array + place * size_of::<IndexEntry>();
    start..start + size_of::<IndexEntry>()
}

/// Program and engine do the same, to the byte.
#[track_caller]
fn place(scene: &mut Scene, party: &Party, order: &NewOrder) -> Executed {
    let mut native = Native::of(&scene.desk, 0);
    native.trading(|it| it.place_order(party.trader.cell, order)).unwrap();
    let sent = scene.place(party, order).unwrap();
    native.assert_same(&scene.desk);
    scene.desk.check().unwrap();
    sent
}

/// Distances of a side, best first.
fn offsets(scene: &Scene, side: Side) -> Vec<i32> {
    let market = scene.desk.market_view(0).unwrap();
    market.pegged(side).iter().rev().map(|entry| IndexEntry::peg_offset_of(side, entry.key)).collect()
}

fn kinds(events: &[TradeEvent]) -> Vec<(TradeEventKind, u32, u64)> {
    events.iter().map(|event| (event.kind().unwrap(), event.price.get(), event.lots.get())).collect()
}

#[test]
fn rests_at_a_distance_and_changes_its_own_bytes_only() {
    for (side, ticket) in [(Side::Bid, bid(MARK + 50, 30).pegged(-7)), (Side::Ask, ask(MARK - 50, 30).pegged(7))] {
        let mut scene = Scene::new();
        let alice = scene.alice;
        scene.accept(&alice, &bid(MARK - 900, 1).build());
        let before = Snapshot::of(&scene.desk.chain);
        let expiry = UnixSeconds::new(scene.desk.chain.unix_seconds() + 60);
        let order = ticket.client_id(99).expires_at(expiry).build();
        place(&mut scene, &alice, &order);
        assert_eq!(offsets(&scene, side), [order.peg_offset]);
        assert_eq!(read::book(&scene.desk, 0, side.opposite()).len() + read::book(&scene.desk, 0, side).len(), 1);

        let (node, sequence) = handles(&scene.desk, &alice.trader, 0)[0];
        let market = scene.desk.market_view(0).unwrap();
        let resting = market.node(node).unwrap();
        assert_eq!((resting.sequence, resting.client_id, resting.expires_at), (sequence, 99, expiry));
        assert_eq!((resting.side(), resting.price, resting.peg_offset()), (side, order.price, Some(order.peg_offset)));
        let (cell, position) = read::position(&scene.desk, &alice.trader, 0).unwrap();
        let reserved = [position.open_bid_notional, position.open_ask_notional].map(|atoms| atoms.get());
        let other = u64::from(MARK - 900);
        assert_eq!(reserved.iter().sum::<u64>(), other + 30 * u64::from(order.price.get()), "at its limit");

        let event = *read::trade_events(&scene.desk, 0).last().unwrap();
        let mut expected = TradeEvent::new(TradeEventKind::PegPlaced, side);
        let now = read::now(&scene.desk.chain);
        (expected.sequence, expected.unix_seconds, expected.slot) = (event.sequence, now.unix_seconds, now.slot);
        (expected.order, expected.client_id, expected.maker) = (sequence, 99, alice.trader.cell);
        (expected.lots, expected.price) = (order.lots, order.price);
        expected.taker = CellIndex::new(order.peg_offset as u32);
        assert_eq!((event, event.peg_offset()), (expected, Some(order.peg_offset)));

        let (older, market) = (handles(&scene.desk, &alice.trader, 0)[1].0, scene.market());
        let frame = Frame::new()
            .bytes(market, MarketMap::header())
            .bytes(market, LENGTHS)
            .bytes(market, entry(side, 0))
            .bytes(market, MARKET.node(node))
            .bytes(market, MARKET.node(older))
            .bytes(market, MARKET.event(2))
            .bytes(scene.desk.venue.ledger, LEDGER.cell(cell));
        before.only(&scene.desk.chain, &frame);
    }
}

#[test]
fn trades_where_update_price_has_taken_the_index() {
    for (side, offset, limit) in [(Side::Bid, -7, MARK + 2_000), (Side::Ask, 7, MARK - 2_000)] {
        let mut scene = Scene::new();
        let (alice, bob) = (scene.alice, scene.bob);
        let (peg, take) = match side {
            Side::Bid => (bid(limit, 30), ask(MARK - 5_000, 10)),
            Side::Ask => (ask(limit, 30), bid(MARK + 5_000, 10)),
        };
        place(&mut scene, &alice, &peg.pegged(offset).build());
        for ticks in [MARK, MARK + 1_000, MARK - 1_000] {
            scene.wait(1);
            let before = Snapshot::of(&scene.desk.chain);
            let market = scene.market();
            scene.desk.settle_price(0, u64::from(ticks) * (PICO / 1_000)).unwrap();
            assert_eq!(before.bytes(&market), scene.desk.chain.bytes(&market).unwrap(), "an update moves no order");
            let seen = written(&scene).0;
            place(&mut scene, &bob, &take.immediate_or_cancel().build());
            let filled = (TradeEventKind::Filled, ticks.checked_add_signed(offset).unwrap(), 10);
            assert_eq!(kinds(&trade_events_since(&scene, seen)), [filled]);
        }
        assert!(offsets(&scene, side).is_empty() && handles(&scene.desk, &alice.trader, 0).is_empty());
    }
}

#[test]
fn the_best_price_first_wherever_it_rests() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    for ticket in [bid(MARK - 5, 1), bid(MARK, 2).pegged(-5), bid(MARK, 3).pegged(-4), bid(MARK - 4, 4)] {
        place(&mut scene, &alice, &ticket.build());
    }
    let seen = written(&scene).0;
    place(&mut scene, &bob, &ask(MARK - 5, 10).immediate_or_cancel().build());
    let filled: Vec<u64> = trade_events_since(&scene, seen).iter().map(|event| event.lots.get()).collect();
    assert_eq!(filled, [3, 4, 1, 2]);
}

#[test]
fn cancelled_in_every_way_and_never_amended() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let (market, venue) = (scene.market(), scene.desk.venue);
    let rest = |scene: &mut Scene| {
        place(scene, &alice, &bid(MARK, 5).pegged(-3).client_id(8).build());
        handles(&scene.desk, &alice.trader, 0)[0]
    };
    let order = rest(&mut scene);
    let amend = venue.amend_order(&alice.trader, &market, order, Ticks::new(MARK), Lots::new(4));
    refuses(&mut scene.desk.chain, amend, EngineError::OrderNotAmendable);
    let bob = scene.bob;
    let others = venue.cancel_order(&bob.trader, &market, order.0, order.1);
    refuses(&mut scene.desk.chain, others, EngineError::OrderNotFound);
    let nothing = Replacement { sequence: 1, sides: Some(Sides::Bids), expires_at: UnixSeconds::ZERO, quotes: &[] };
    let mut next = order;
    for way in 0..4 {
        let cancel = match way {
            0 => venue.cancel_order(&alice.trader, &market, next.0, next.1),
            1 => venue.cancel_orders(&alice.trader, &market, &[next]),
            2 => venue.cancel_by_client_id(&alice.trader, &market, 8),
            _ => venue.cancel_all(&alice.trader, &market, Sides::Bids, 1),
        };
        scene.desk.chain.send(cancel).unwrap();
        scene.desk.check().unwrap();
        assert!(offsets(&scene, Side::Bid).is_empty());
        next = rest(&mut scene);
    }
    let replace = venue.replace_quotes(&alice.trader, &market, &nothing, UnixSeconds::ZERO);
    scene.desk.chain.send(replace).unwrap();
    scene.desk.check().unwrap();
    assert!(offsets(&scene, Side::Bid).is_empty());
}

#[test]
fn refused_where_it_means_nothing_or_is_not_for_sale() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&bob, &ask(MARK + 10, 5).build());
    scene.accept(&bob, &ask(MARK, 5).pegged(12).build());
    let distance_of_others = NewOrder { peg_offset: 1, ..bid(MARK, 1).build() };
    let through = MARK as i32 / 128 + 1;
    for (order, error) in [
        (bid(MARK, 1).pegged(1), EngineError::PegNotForSale),
        (ask(MARK, 1).pegged(-1), EngineError::PegNotForSale),
        (bid(MARK, 1).pegged(-(MARK as i32)), EngineError::PegNotForSale),
        (ask(MARK, 1).pegged(i32::MAX), EngineError::PegNotForSale),
        (bid(MARK + 9_000, 1).pegged(through), EngineError::PegNotForSale),
        (bid(MARK + 9_000, 1).pegged(10), EngineError::PostOnlyWouldCross),
        (bid(0, 1).pegged(-1), EngineError::OrderPriceOutOfRange),
        (bid(MARK + 90_000, 1).pegged(-1), EngineError::OrderOutsideBand),
        (bid(MARK, 0).pegged(-1), EngineError::OrderLotsOutOfRange),
        (bid(MARK, 1).pegged(-1).reduce_only(), EngineError::ReduceOnlyNothingToReduce),
        (bid(MARK, 9_000_000).pegged(-1), EngineError::BelowInitialMargin),
    ] {
        let instruction = scene.order(&alice, &order.build());
        refuses(&mut scene.desk.chain, instruction, error);
    }
    let instruction = scene.order(&alice, &distance_of_others);
    refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
    // What is for sale beside the book is not crossed by quotes either.
    let quotes = [Quote::new(Side::Bid, Ticks::new(MARK + 12), Lots::new(1))];
    let wanted = Replacement { sequence: 1, sides: None, expires_at: UnixSeconds::ZERO, quotes: &quotes };
    let crossing = scene.desk.venue.replace_quotes(&alice.trader, &scene.market(), &wanted, UnixSeconds::ZERO);
    refuses(&mut scene.desk.chain, crossing, EngineError::PostOnlyWouldCross);
}

/// 1, 2: whoever moves the index, nobody is filled beyond his limit or far through the mark.
#[test]
fn attack_pegged_index_jumps_through_the_limit_and_through_the_mark() {
    // A limit that the index passes; a mark that is far behind it.
    for (limit, price) in [(MARK + 500, PRICE / 1_000 * 1_005), (MARK + 9_000, PRICE / 1_000 * 1_020)] {
        let mut scene = Scene::new();
        let (alice, bob) = (scene.alice, scene.bob);
        place(&mut scene, &alice, &bid(limit, 30).pegged(-7).build());
        scene.wait(1);
        scene.desk.set_price(0, price).unwrap();
        let seen = written(&scene).0;
        place(&mut scene, &bob, &ask(MARK - 5_000, 30).immediate_or_cancel().build());
        let found = kinds(&trade_events_since(&scene, seen));
        let rest = (TradeEventKind::RemainderDropped, MARK - 5_000, 30);
        assert_eq!(found, [(TradeEventKind::PegDropped, limit, 30), rest]);
        assert_eq!(read::lots(&scene.desk, &alice.trader, 0), 0);
    }
}

/// 4, 5: all places of a side taken by orders that then expire: a better one gets in, and who meets them all can pay for it
/// in one transaction.
#[test]
fn attack_pegged_side_full_of_expired_orders() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let carol = party(&mut scene.desk, 0);
    let soon = UnixSeconds::new(scene.desk.chain.unix_seconds() + 30);
    let squat = bid(MARK, 1).pegged(-10).expires_at(soon).build();
    for _ in 0..PEGGED_MAX {
        scene.place(&alice, &squat).unwrap();
        scene.desk.chain.advance_to(scene.desk.chain.unix_millis() + 10);
    }
    refused(scene.place(&bob, &bid(MARK, 1).pegged(-10).build()), EngineError::BookFull);
    place(&mut scene, &bob, &bid(MARK, 5).pegged(-9).build());
    assert_eq!((offsets(&scene, Side::Bid).len(), offsets(&scene, Side::Bid)[0]), (PEGGED_MAX, -9));
    scene.wait(31);
    scene.desk.set_price(0, PRICE).unwrap();
    let sent = place(&mut scene, &carol, &ask(MARK - 11, 10).match_limit(255).immediate_or_cancel().build());
    assert_eq!(read::lots(&scene.desk, &carol.trader, 0), -5);
    assert!(offsets(&scene, Side::Bid).is_empty());
    assert!(sent.compute_units < 200_000, "{}", sent.compute_units);
}
