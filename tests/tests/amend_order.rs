//! `AmendOrder`: what keeps its place, what is placed anew, what is refused, and which bytes change.

use quantdesk_client::{
    Refusal,
    engine::{
        EngineError, Generation, Lots, NodeIndex, Sequence, Side, Ticks, UnixSeconds,
        book::OrderHandle,
        state::{MarketRow, TradeEvent, TradeEventKind},
    },
    error::ProgramError,
    instruction::Trader,
};
use quantdesk_tests::{
    failing::{Failing, Native, foreign_market, open, party_with, target, trading_frame, written},
    read::{self, MarketMap, book, handles},
    refuses,
    scene::{self, LEDGER, MARK, MARKET, PRICE, Party, Scene, ask, bid, patch_row},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

type Name = (NodeIndex, Sequence);

fn amend(scene: &Scene, party: &Party, order: Name, price: u32, lots: u64) -> Instruction {
    let (price, lots) = (Ticks::new(price), Lots::new(lots));
    scene.desk.venue.amend_order(&party.trader, &scene.market(), order, price, lots)
}

/// Alice's bid of 9 at the mark less one, and Bob's of 5 behind it.
fn queue() -> (Scene, Name) {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(MARK - 1, 9).client_id(7).build());
    scene.accept(&bob, &bid(MARK - 1, 5).build());
    let order = handles(&scene.desk, &alice.trader, 0)[0];
    (scene, order)
}

/// Program and engine do the same, to the byte.
#[track_caller]
fn same_as_the_engine(scene: &mut Scene, party: &Party, order: Name, price: u32, lots: u64) {
    let mut native = Native::of(&scene.desk, 0);
    let handle = OrderHandle::new(order.0, order.1);
    native.trading(|it| it.amend_order(party.trader.cell, handle, Ticks::new(price), Lots::new(lots))).unwrap();
    scene.desk.chain.send(amend(scene, party, order, price, lots)).unwrap();
    native.assert_same(&scene.desk);
    scene.desk.check().unwrap();
}

#[test]
fn fewer_lots_change_the_order_and_what_it_reserves_and_nothing_else() {
    let (mut scene, order) = queue();
    let alice = scene.alice;
    let before = Snapshot::of(&scene.desk.chain);
    same_as_the_engine(&mut scene, &alice, order, MARK - 1, 4);
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK - 1, 4), (MARK - 1, 5)]);
    assert_eq!(handles(&scene.desk, &alice.trader, 0), [order]);
    let (cell, position) = read::position(&scene.desk, &alice.trader, 0).unwrap();
    assert_eq!((position.orders, position.open_bid_lots.get()), (1, 4));
    assert_eq!(position.open_bid_notional.get(), 4 * u64::from(MARK - 1));

    let mut expected = TradeEvent::new(TradeEventKind::Amended, Side::Bid);
    let now = read::now(&scene.desk.chain);
    (expected.sequence, expected.unix_seconds, expected.slot) = (Sequence::new(3), now.unix_seconds, now.slot);
    (expected.order, expected.client_id, expected.maker) = (order.1, 7, alice.trader.cell);
    (expected.lots, expected.price) = (Lots::new(4), Ticks::new(MARK - 1));
    assert_eq!(read::trade_events(&scene.desk, 0).last(), Some(&expected));

    let market = scene.market();
    let frame = Frame::new()
        .bytes(market, MarketMap::header())
        .bytes(market, MARKET.node(order.0))
        .bytes(market, MARKET.event(3))
        .bytes(scene.desk.venue.ledger, LEDGER.cell(cell));
    before.only(&scene.desk.chain, &frame);
}

#[test]
fn the_same_lots_and_price_change_nothing() {
    let (mut scene, order) = queue();
    let alice = scene.alice;
    let before = Snapshot::of(&scene.desk.chain);
    scene.desk.chain.send(amend(&scene, &alice, order, MARK - 1, 9)).unwrap();
    before.unchanged(&scene.desk.chain);
}

#[test]
fn attack_more_lots_go_to_the_end_of_the_queue() {
    let (mut scene, order) = queue();
    let alice = scene.alice;
    let (before, since) = (Snapshot::of(&scene.desk.chain), written(&scene));
    same_as_the_engine(&mut scene, &alice, order, MARK - 1, 10);
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK - 1, 5), (MARK - 1, 10)]);
    let events = read::trade_events(&scene.desk, 0);
    let kinds: Vec<_> = events[2..].iter().map(|it| (it.kind().unwrap(), it.lots.get(), it.client_id)).collect();
    assert_eq!(kinds, [(TradeEventKind::Cancelled, 9, 7), (TradeEventKind::Placed, 10, 7)]);
    before.only(&scene.desk.chain, &trading_frame(&scene, &[alice], since));
    let again = amend(&scene, &alice, order, MARK - 1, 1);
    refuses(&mut scene.desk.chain, again, EngineError::OrderNotFound);
}

#[test]
fn another_price_is_a_post_only_order_of_the_same_kind() {
    let (mut scene, order) = queue();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&bob, &ask(MARK + 5, 1).build());
    for price in [MARK + 5, MARK + 6] {
        let taking = amend(&scene, &alice, order, price, 9);
        refuses(&mut scene.desk.chain, taking, EngineError::PostOnlyWouldCross);
    }
    same_as_the_engine(&mut scene, &alice, order, MARK + 4, 3);
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK + 4, 3), (MARK - 1, 5)]);
    // Reduce-only with an end, and it stays so.
    scene.trade(10);
    let until = UnixSeconds::new(scene.desk.chain.unix_seconds() + 60);
    let held = read::lots(&scene.desk, &alice.trader, 0);
    let (order, price) = if held > 0 { (ask(MARK + 9, 2), MARK + 8) } else { (bid(MARK - 9, 2), MARK - 8) };
    scene.accept(&alice, &order.reduce_only().expires_at(until).build());
    let order = handles(&scene.desk, &alice.trader, 0)[0];
    same_as_the_engine(&mut scene, &alice, order, price, 3);
    let market = scene.desk.market_view(0).unwrap();
    let node = market.node(handles(&scene.desk, &alice.trader, 0)[0].0).unwrap();
    assert_eq!((node.is_reduce_only(), node.expires_at, node.price.get(), node.lots.get()), (true, until, price, 3));
}

#[test]
fn what_a_new_order_may_not_be() {
    let (mut scene, order) = queue();
    let alice = scene.alice;
    let cases = [
        (MARK - 1, 0, EngineError::OrderLotsOutOfRange),
        (MARK - 2, 0, EngineError::OrderLotsOutOfRange),
        (MARK - 2, 10_000_000_001, EngineError::OrderLotsOutOfRange),
        (0, 9, EngineError::OrderPriceOutOfRange),
        (4_000_001, 9, EngineError::OrderPriceOutOfRange),
        (MARK + MARK / 10 + 1, 9, EngineError::OrderOutsideBand),
        (MARK - 2, 1_000_000, EngineError::BelowInitialMargin),
    ];
    for (price, lots, error) in cases {
        let instruction = amend(&scene, &alice, order, price, lots);
        refuses(&mut scene.desk.chain, instruction, error);
    }
}

#[test]
fn fewer_lots_than_the_smallest_order() {
    let (mut scene, order) = queue();
    let alice = scene.alice;
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, lots_min), &4u64.to_le_bytes());
    for lots in [1, 3] {
        let instruction = amend(&scene, &alice, order, MARK - 1, lots);
        refuses(&mut scene.desk.chain, instruction, EngineError::OrderLotsOutOfRange);
    }
    scene.desk.chain.send(amend(&scene, &alice, order, MARK - 1, 4)).unwrap();
}

/// L2 for amending down; everything else needs what an order needs.
#[test]
fn fewer_lots_whatever_the_market_and_the_price_are() {
    let (mut scene, order) = queue();
    let alice = scene.alice;
    let mut lots = 9;
    let mut less = |scene: &mut Scene, error: EngineError| {
        let instruction = amend(scene, &alice, order, MARK - 2, 1);
        refuses(&mut scene.desk.chain, instruction, error);
        lots -= 1;
        scene.desk.chain.send(amend(scene, &alice, order, MARK - 1, lots)).unwrap();
    };
    for status in [2, 3] {
        patch_row(&mut scene.desk, 0, offset_of!(MarketRow, index) + 2, &[status]);
        less(&mut scene, EngineError::MarketNotActive);
    }
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, index) + 2, &[1]);
    scene.wait(1_000_000);
    less(&mut scene, EngineError::PriceNotValidForAction);
    scene.desk.settle_price(0, PRICE / 2).unwrap();
    less(&mut scene, EngineError::OrderOutsideBand);
    scene.desk.check().unwrap();
}

/// While a market is deleveraged its positions stand still, and an order that becomes smaller moves none.
#[test]
fn fewer_lots_while_the_market_is_deleveraged() {
    let mut failing = Failing::new(Side::Bid, 1_000, 14_000_000);
    let (alice, bob) = (failing.scene.alice, failing.scene.bob);
    let weak = party_with(&mut failing.scene.desk, 10_150_000);
    open(&mut failing.scene, Side::Bid, &weak, &alice, 1_000);
    failing.walk(189_000);
    failing.scene.accept(&bob, &bid(180_000, 9).build());
    let order = handles(&failing.scene.desk, &bob.trader, 0)[0];
    let (venue, market) = (failing.scene.desk.venue, failing.scene.market());
    failing.scene.desk.chain.send(venue.deleverage(&market, target(&weak), 1)).unwrap();
    assert!(read::market_header(&failing.scene.desk, 0).deleverage.is_running());
    let anew = amend(&failing.scene, &bob, order, 180_001, 9);
    refuses(&mut failing.scene.desk.chain, anew, EngineError::DeleverageRunning);
    failing.scene.desk.chain.send(amend(&failing.scene, &bob, order, 180_000, 8)).unwrap();
    let name = handles(&failing.scene.desk, &bob.trader, 0);
    failing.scene.desk.chain.send(venue.cancel_orders(&bob.trader, &market, &name)).unwrap();
    assert_eq!(book(&failing.scene.desk, 0, Side::Bid), []);
    failing.scene.desk.check().unwrap();
}

#[test]
fn names_that_are_not_a_live_order_of_the_trader() {
    let (mut scene, order) = queue();
    let (alice, bob) = (scene.alice, scene.bob);
    let foreign = foreign_market(&mut scene);
    let not_found = EngineError::OrderNotFound;
    let strays = [
        (order.0, Sequence::new(order.1.get() + 1)),
        (order.0, Sequence::ZERO),
        (NodeIndex::new(9), Sequence::ZERO),
        (NodeIndex::new(16), order.1),
        (NodeIndex::NIL, order.1),
    ];
    for stray in strays {
        let instruction = amend(&scene, &alice, stray, MARK - 1, 1);
        refuses(&mut scene.desk.chain, instruction, not_found);
    }
    let instruction = amend(&scene, &bob, order, MARK - 1, 1);
    refuses(&mut scene.desk.chain, instruction, not_found);
    let with = |trader: Trader| Party { trader, ..alice };
    let thief = with(Trader { authority: bob.trader.authority, ..alice.trader });
    let stale = with(Trader { generation: Generation::new(77), ..alice.trader });
    let cases: [(Party, ProgramError); 2] =
        [(thief, Refusal::NotAuthorized.into()), (stale, EngineError::TraderNotFound.into())];
    for (party, error) in cases {
        let instruction = amend(&scene, &party, order, MARK - 1, 1);
        refuses(&mut scene.desk.chain, instruction, error);
    }
    let mut elsewhere = amend(&scene, &alice, order, MARK - 1, 1);
    elsewhere.accounts[1].pubkey = foreign;
    refuses(&mut scene.desk.chain, elsewhere, Refusal::WrongLedger);
    let mut padded = amend(&scene, &alice, order, MARK - 1, 1);
    padded.data[39] = 1;
    refuses(&mut scene.desk.chain, padded, Refusal::FieldInvalid);
}

#[test]
fn the_delegate_may_amend() {
    let (mut scene, order) = queue();
    let (alice, bob) = (scene.alice, scene.bob);
    let delegate = Party { trader: scene::delegate(&mut scene.desk, &alice.trader, bob.trader.authority), ..alice };
    scene.desk.chain.send(amend(&scene, &delegate, order, MARK - 1, 1)).unwrap();
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK - 1, 1), (MARK - 1, 5)]);
}
