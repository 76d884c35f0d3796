//! `CancelOrder` and `CancelAll`: always possible for the trader, never for anybody else.

use quantdesk_client::{
    Refusal,
    engine::{
        CellIndex, EngineError, Generation, NodeIndex, Sequence, Side,
        book::Sides,
        state::{MarketRow, TradeEvent, TradeEventKind},
    },
    instruction::Trader,
};
use quantdesk_tests::{
    read::{self, MarketMap, book, handles},
    refuses,
    scene::{self, LEDGER, MARK, MARKET, PRICE, Party, Scene, ask, bid, party_of, patch_row},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

fn cancel(scene: &Scene, party: &Party, handle: (NodeIndex, Sequence)) -> Instruction {
    scene.desk.venue.cancel_order(&party.trader, &scene.market(), handle.0, handle.1)
}

fn cancel_all(scene: &Scene, party: &Party, sides: Sides, limit: u8) -> Instruction {
    scene.desk.venue.cancel_all(&party.trader, &scene.market(), sides, limit)
}

#[test]
fn takes_one_order_off_the_book() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    for (number, price) in [(1, MARK - 3), (2, MARK - 1), (3, MARK - 2)] {
        scene.accept(&alice, &bid(price, number).client_id(10 + number).build());
    }
    // The middle of the trader's list and the best of the book.
    let [newest, middle, oldest] = handles(&scene.desk, &alice.trader, 0)[..] else { panic!("three orders") };
    let before = Snapshot::of(&scene.desk.chain);
    scene.desk.chain.send(cancel(&scene, &alice, middle)).unwrap();
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK - 2, 3), (MARK - 3, 1)]);
    assert_eq!(handles(&scene.desk, &alice.trader, 0), [newest, oldest]);
    let (cell, position) = read::position(&scene.desk, &alice.trader, 0).unwrap();
    assert_eq!((position.orders, position.open_bid_lots.get()), (2, 4));

    let event = *read::trade_events(&scene.desk, 0).last().unwrap();
    let mut expected = TradeEvent::new(TradeEventKind::Cancelled, Side::Bid);
    let now = read::now(&scene.desk.chain);
    (expected.sequence, expected.unix_seconds, expected.slot) = (Sequence::new(4), now.unix_seconds, now.slot);
    (expected.order, expected.client_id, expected.maker) = (middle.1, 12, alice.trader.cell);
    (expected.lots, expected.price) = (event.lots, event.price);
    assert_eq!((event, event.lots.get(), event.price.get()), (expected, 2, MARK - 1));

    let market = scene.market();
    let mut frame = Frame::new()
        .bytes(market, MarketMap::header())
        .bytes(market, MARKET.entries(Side::Bid, 3))
        .bytes(market, MARKET.event(4))
        .bytes(scene.desk.venue.ledger, LEDGER.cell(cell));
    for (node, _) in [newest, middle, oldest] {
        frame = frame.bytes(market, MARKET.node(node));
    }
    before.only(&scene.desk.chain, &frame);
    // The released node is zero but for its link, and the index place behind the last entry is zero again.
    let bytes = scene.desk.chain.bytes(&market).unwrap();
    assert_eq!(bytes[MARKET.entries(Side::Bid, 3)][32..], [0; 16]);
    assert_eq!(bytes[MARKET.node(middle.0)].iter().filter(|byte| **byte != 0).count(), 4);
    scene.desk.check().unwrap();
}

#[test]
fn first_and_last_of_a_list() {
    for place in 0..3 {
        let mut scene = Scene::new();
        let alice = scene.alice;
        for price in [MARK + 1, MARK + 2, MARK + 3] {
            scene.accept(&alice, &ask(price, 1).build());
        }
        let mut expected = handles(&scene.desk, &alice.trader, 0);
        scene.desk.chain.send(cancel(&scene, &alice, expected.remove(place))).unwrap();
        assert_eq!(handles(&scene.desk, &alice.trader, 0), expected);
        scene.desk.check().unwrap();
    }
}

#[test]
fn handles_that_are_not_a_live_order_of_the_trader() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let sibling = party_of(&mut scene.desk, alice.trader.authority, 1);
    scene.accept(&alice, &bid(MARK - 1, 1).build());
    scene.accept(&bob, &bid(MARK - 2, 1).build());
    let (node, sequence) = handles(&scene.desk, &alice.trader, 0)[0];
    let not_found = EngineError::OrderNotFound;
    // Another number on the node, nodes without an order, beyond the arena, nil.
    for number in [0, sequence.get() + 1, u64::MAX] {
        let instruction = cancel(&scene, &alice, (node, Sequence::new(number)));
        refuses(&mut scene.desk.chain, instruction, not_found);
    }
    for index in [2, 15, 16, u32::MAX - 1, u32::MAX] {
        for number in [0, 1] {
            let instruction = cancel(&scene, &alice, (NodeIndex::new(index), Sequence::new(number)));
            refuses(&mut scene.desk.chain, instruction, not_found);
        }
    }
    // Somebody else's, and that of the owner's other account.
    let instruction = cancel(&scene, &bob, (node, sequence));
    refuses(&mut scene.desk.chain, instruction, not_found);
    let instruction = cancel(&scene, &sibling, (node, sequence));
    refuses(&mut scene.desk.chain, instruction, not_found);
    // Twice.
    let instruction = cancel(&scene, &alice, (node, sequence));
    scene.desk.chain.send(instruction.clone()).unwrap();
    refuses(&mut scene.desk.chain, instruction, not_found);
}

#[test]
fn all_of_a_side_newest_first_up_to_the_limit() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    for step in 1..=3 {
        scene.accept(&alice, &bid(MARK - step, 1).build());
        scene.accept(&alice, &ask(MARK + step, 1).build());
    }
    scene.accept(&bob, &bid(MARK - 9, 9).build());
    let before = Snapshot::of(&scene.desk.chain);
    scene.desk.chain.send(cancel_all(&scene, &alice, Sides::Asks, 2)).unwrap();
    assert_eq!(book(&scene.desk, 0, Side::Ask), [(MARK + 1, 1)]);
    assert_eq!(book(&scene.desk, 0, Side::Bid).len(), 4);
    let market = scene.market();
    let nodes = MARKET.node(NodeIndex::new(0)).start..MARKET.event(1).start;
    let (cell, _) = read::position(&scene.desk, &alice.trader, 0).unwrap();
    let frame = Frame::new()
        .bytes(market, MarketMap::header())
        .bytes(market, MARKET.entries(Side::Ask, 3))
        .bytes(market, nodes)
        .bytes(market, MARKET.event(8))
        .bytes(market, MARKET.event(9))
        .bytes(scene.desk.venue.ledger, LEDGER.cell(cell));
    before.only(&scene.desk.chain, &frame);
    scene.desk.chain.send(cancel_all(&scene, &alice, Sides::Bids, 255)).unwrap();
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK - 9, 9)]);
    scene.accept(&alice, &bid(MARK - 1, 1).build());
    scene.desk.chain.send(cancel_all(&scene, &alice, Sides::Both, 1)).unwrap();
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK - 9, 9)]);
    scene.desk.chain.send(cancel_all(&scene, &alice, Sides::Both, 2)).unwrap();
    assert_eq!(book(&scene.desk, 0, Side::Ask), []);
    scene.desk.check().unwrap();
}

#[test]
fn having_none_is_no_error_and_changes_nothing() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&bob, &bid(MARK - 1, 1).build());
    let before = Snapshot::of(&scene.desk.chain);
    // Without a position cell; then with one but without an order on that side.
    scene.desk.chain.send(cancel_all(&scene, &alice, Sides::Both, 1)).unwrap();
    scene.desk.chain.send(cancel_all(&scene, &bob, Sides::Asks, 255)).unwrap();
    before.unchanged(&scene.desk.chain);
}

#[test]
fn bytes_that_mean_nothing() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    scene.accept(&alice, &bid(MARK - 1, 1).build());
    let good = cancel_all(&scene, &alice, Sides::Both, 1);
    let mut case = |place: usize, value: u8| {
        let mut instruction = good.clone();
        instruction.data[place] = value;
        refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
    };
    (3..=255).for_each(|sides| case(12, sides));
    case(13, 0);
    case(14, 1);
    case(15, 1);
}

#[test]
fn works_whatever_the_market_and_the_price_are() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    for price in [MARK - 1, MARK - 2, MARK - 3, MARK - 4] {
        scene.accept(&alice, &bid(price, 20_000).build());
    }
    let newest = |scene: &Scene| handles(&scene.desk, &alice.trader, 0)[0];
    // L2: reduce-only market; dead price; far below margin.
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, index) + 2, &[2]);
    scene.desk.chain.send(cancel(&scene, &alice, newest(&scene))).unwrap();
    scene.wait(1_000_000);
    scene.desk.chain.send(cancel(&scene, &alice, newest(&scene))).unwrap();
    scene.desk.set_price(0, PRICE / 2).unwrap();
    scene.desk.chain.send(cancel(&scene, &alice, newest(&scene))).unwrap();
    scene.desk.chain.send(cancel_all(&scene, &alice, Sides::Both, 1)).unwrap();
    assert_eq!(book(&scene.desk, 0, Side::Bid), []);
    scene.desk.check().unwrap();
}

#[test]
fn who_may_cancel() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(MARK - 1, 1).build());
    let handle = handles(&scene.desk, &alice.trader, 0)[0];
    let with = |trader: Trader| Party { trader, ..alice };
    let thief = with(Trader { authority: bob.trader.authority, ..alice.trader });
    let stale = with(Trader { generation: Generation::new(77), ..alice.trader });
    let nobody = with(Trader { cell: CellIndex::NIL, ..alice.trader });
    let cases: [(Party, quantdesk_client::error::ProgramError); 3] = [
        (thief, Refusal::NotAuthorized.into()),
        (stale, EngineError::TraderNotFound.into()),
        (nobody, EngineError::TraderNotFound.into()),
    ];
    for (party, error) in cases {
        for instruction in [cancel(&scene, &party, handle), cancel_all(&scene, &party, Sides::Both, 9)] {
            refuses(&mut scene.desk.chain, instruction, error);
        }
    }
    for instruction in [cancel(&scene, &alice, handle), cancel_all(&scene, &alice, Sides::Both, 9)] {
        let mut unsigned = instruction.clone();
        unsigned.accounts[0].is_signer = false;
        refuses(&mut scene.desk.chain, unsigned, Refusal::SignatureMissing);
        for place in [1, 2] {
            let mut readonly = instruction.clone();
            readonly.accounts[place].is_writable = false;
            refuses(&mut scene.desk.chain, readonly, Refusal::NotWritable);
        }
    }
}

#[test]
fn only_in_its_own_market() {
    let (mut scene, bitcoin) = Scene::with_bitcoin();
    let alice = scene.alice;
    scene.desk.set_price(bitcoin, 100_000 * scene::PICO).unwrap();
    scene.accept(&alice, &bid(MARK - 1, 1).build());
    let handle = handles(&scene.desk, &alice.trader, 0)[0];
    let mut instruction = cancel(&scene, &alice, handle);
    instruction.accounts[1].pubkey = scene.desk.markets[bitcoin].address;
    refuses(&mut scene.desk.chain, instruction, EngineError::OrderNotFound);
    let before = Snapshot::of(&scene.desk.chain);
    let mut instruction = cancel_all(&scene, &alice, Sides::Both, 9);
    instruction.accounts[1].pubkey = scene.desk.markets[bitcoin].address;
    scene.desk.chain.send(instruction).unwrap();
    before.unchanged(&scene.desk.chain);
}
