//! `CancelOrders`, `CancelByClientId` and `DropExpired`: several orders or one that is known by something else, of which
//! any may be gone.

use quantdesk_client::{
    Refusal,
    engine::{
        EngineError, Generation, NodeIndex, Sequence, Side, UnixSeconds,
        book::OrderHandle,
        state::{MarketRow, TradeEventKind},
    },
    error::ProgramError,
    instruction::Trader,
};
use quantdesk_tests::{
    failing::{Native, foreign_market, trade_events_since, trading_frame, written},
    read::{book, handles},
    refuses,
    scene::{MARK, Party, SIDE, Scene, ask, bid, party_of, patch_row},
    snapshot::Snapshot,
};
use solana_instruction::Instruction;
use std::mem::offset_of;

type Name = (NodeIndex, Sequence);

fn cancel(scene: &Scene, party: &Party, orders: &[Name]) -> Instruction {
    scene.desk.venue.cancel_orders(&party.trader, &scene.market(), orders)
}

fn by_client_id(scene: &Scene, party: &Party, client_id: u64) -> Instruction {
    scene.desk.venue.cancel_by_client_id(&party.trader, &scene.market(), client_id)
}

fn drop_expired(scene: &Scene, orders: &[Name]) -> Instruction {
    scene.desk.venue.drop_expired(&scene.market(), orders)
}

fn named(orders: &[Name]) -> impl Iterator<Item = OrderHandle> {
    orders.iter().map(|(node, sequence)| OrderHandle::new(*node, *sequence))
}

/// Alice's bids of 1, 2 and 3 lots below the mark, oldest first, and Bob's.
fn quoted() -> (Scene, [Name; 3]) {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    for lots in 1..=3 {
        scene.accept(&alice, &bid(MARK - lots as u32, lots).client_id(10 + lots).build());
    }
    scene.accept(&bob, &bid(MARK - 9, 9).client_id(11).build());
    let [newest, middle, oldest] = handles(&scene.desk, &alice.trader, 0)[..] else { panic!("three orders") };
    (scene, [oldest, middle, newest])
}

// ---- CancelOrders

#[test]
fn cancels_in_the_order_given_and_skips_what_is_gone() {
    let (mut scene, [oldest, middle, newest]) = quoted();
    let (alice, bob) = (scene.alice, scene.bob);
    // The best order, of one lot, is filled before the batch arrives.
    scene.accept(&bob, &ask(MARK - 1, 1).immediate_or_cancel().build());
    let of_bob = handles(&scene.desk, &bob.trader, 0)[0];
    let batch =
        [newest, oldest, of_bob, (NodeIndex::NIL, oldest.1), (NodeIndex::new(15), Sequence::ZERO), middle, newest];
    let (before, since) = (Snapshot::of(&scene.desk.chain), written(&scene));
    let mut native = Native::of(&scene.desk, 0);
    assert_eq!(native.trading(|it| it.cancel_orders(alice.trader.cell, named(&batch))), Ok(2));
    scene.desk.chain.send(cancel(&scene, &alice, &batch)).unwrap();
    native.assert_same(&scene.desk);
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK - 9, 9)]);
    let events: Vec<_> =
        trade_events_since(&scene, since.0).iter().map(|it| (it.kind().unwrap(), it.order, it.lots.get())).collect();
    assert_eq!(events, [(TradeEventKind::Cancelled, newest.1, 3), (TradeEventKind::Cancelled, middle.1, 2)]);
    before.only(&scene.desk.chain, &trading_frame(&scene, &[alice], since));
    scene.desk.check().unwrap();
    // None is left: that is what was wanted.
    let before = Snapshot::of(&scene.desk.chain);
    scene.desk.chain.send(cancel(&scene, &alice, &batch)).unwrap();
    before.unchanged(&scene.desk.chain);
}

#[test]
fn sixteen_orders_in_one_instruction_and_no_more() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    for step in 1..=SIDE {
        scene.accept(&alice, &bid(MARK - step, 1).build());
        scene.accept(&alice, &ask(MARK + step, 1).build());
    }
    let mut batch = handles(&scene.desk, &alice.trader, 0);
    assert_eq!(batch.len(), 16);
    let instruction = cancel(&scene, &alice, &batch);
    assert_eq!(instruction.data.len(), 8 + 8 + 16 * 16);
    batch.push(batch[0]);
    for surplus in [batch.clone(), batch.repeat(2), Vec::new()] {
        let instruction = cancel(&scene, &alice, &surplus);
        refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
    }
    scene.desk.chain.send(instruction).unwrap();
    assert_eq!((book(&scene.desk, 0, Side::Bid), book(&scene.desk, 0, Side::Ask)), (vec![], vec![]));
    scene.desk.check().unwrap();
}

#[test]
fn lengths_and_padding_of_the_list() {
    let (mut scene, orders) = quoted();
    let alice = scene.alice;
    let good = [cancel(&scene, &alice, &orders), drop_expired(&scene, &orders)];
    for (instruction, count) in good.into_iter().zip([12, 8]) {
        for wrong in [0, 1, 2, 4, 16, 17, 255] {
            let mut instruction = instruction.clone();
            instruction.data[count] = wrong;
            refuses(&mut scene.desk.chain, instruction, Refusal::DataLength);
        }
        for change in [-16, -1, 1, 16] {
            let mut instruction = instruction.clone();
            instruction.data.resize(instruction.data.len().saturating_add_signed(change), 0);
            refuses(&mut scene.desk.chain, instruction, Refusal::DataLength);
        }
        // The last one's padding, too.
        for handle in 0..3 {
            let mut instruction = instruction.clone();
            instruction.data[16 + handle * 16 + 7] = 1;
            refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
        }
    }
}

#[test]
fn attack_nobody_cancels_for_another() {
    let (mut scene, orders) = quoted();
    let (alice, bob) = (scene.alice, scene.bob);
    let sibling = party_of(&mut scene.desk, alice.trader.authority, 1);
    // Skipped, as they are not the trader's.
    for party in [bob, sibling] {
        let before = Snapshot::of(&scene.desk.chain);
        scene.desk.chain.send(cancel(&scene, &party, &orders)).unwrap();
        before.unchanged(&scene.desk.chain);
    }
    let foreign = foreign_market(&mut scene);
    let with = |trader: Trader| Party { trader, ..alice };
    let thief = with(Trader { authority: bob.trader.authority, ..alice.trader });
    let stale = with(Trader { generation: Generation::new(77), ..alice.trader });
    let cases: [(Party, ProgramError); 2] =
        [(thief, Refusal::NotAuthorized.into()), (stale, EngineError::TraderNotFound.into())];
    for (party, error) in cases {
        for instruction in [cancel(&scene, &party, &orders), by_client_id(&scene, &party, 11)] {
            refuses(&mut scene.desk.chain, instruction, error);
        }
    }
    for mut instruction in [cancel(&scene, &alice, &orders), by_client_id(&scene, &alice, 11)] {
        instruction.accounts[1].pubkey = foreign;
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongLedger);
    }
}

// ---- CancelByClientId

#[test]
fn cancels_the_traders_order_with_this_id() {
    let (mut scene, [oldest, _, newest]) = quoted();
    let (alice, bob) = (scene.alice, scene.bob);
    let (before, since) = (Snapshot::of(&scene.desk.chain), written(&scene));
    let mut native = Native::of(&scene.desk, 0);
    native.trading(|it| it.cancel_by_client_id(alice.trader.cell, 12)).unwrap();
    scene.desk.chain.send(by_client_id(&scene, &alice, 12)).unwrap();
    native.assert_same(&scene.desk);
    assert_eq!(handles(&scene.desk, &alice.trader, 0), [newest, oldest]);
    assert_eq!(trade_events_since(&scene, since.0).len(), 1);
    before.only(&scene.desk.chain, &trading_frame(&scene, &[alice], since));
    for client_id in [0, 12, 14, u64::MAX] {
        let instruction = by_client_id(&scene, &alice, client_id);
        refuses(&mut scene.desk.chain, instruction, EngineError::OrderNotFound);
    }
    // Bob has the same id as Alice, and his is his.
    scene.desk.chain.send(by_client_id(&scene, &bob, 11)).unwrap();
    assert_eq!(handles(&scene.desk, &alice.trader, 0), [newest, oldest]);
    assert_eq!(handles(&scene.desk, &bob.trader, 0), []);
    scene.desk.check().unwrap();
}

/// L2, for both.
#[test]
fn cancelling_needs_no_price_and_no_market() {
    let (mut scene, [oldest, middle, _]) = quoted();
    let alice = scene.alice;
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, index) + 2, &[2]);
    scene.desk.chain.send(cancel(&scene, &alice, &[oldest])).unwrap();
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, index) + 2, &[3]);
    scene.desk.chain.send(cancel(&scene, &alice, &[middle])).unwrap();
    scene.wait(1_000_000);
    scene.desk.chain.send(by_client_id(&scene, &alice, 13)).unwrap();
    assert_eq!(handles(&scene.desk, &alice.trader, 0), []);
}

// ---- DropExpired

/// Orders of both that end after 3 and 6 seconds, and one that does not.
fn ending() -> (Scene, [Name; 3]) {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let after = |scene: &Scene, seconds| UnixSeconds::new(scene.desk.chain.unix_seconds() + seconds);
    let (soon, later) = (after(&scene, 3), after(&scene, 6));
    scene.accept(&alice, &bid(MARK - 1, 1).expires_at(soon).build());
    scene.accept(&bob, &ask(MARK + 1, 2).expires_at(later).build());
    scene.accept(&alice, &bid(MARK - 2, 3).build());
    let [endless, first] = handles(&scene.desk, &alice.trader, 0)[..] else { panic!("two orders") };
    let second = handles(&scene.desk, &bob.trader, 0)[0];
    (scene, [first, second, endless])
}

#[test]
fn anybody_drops_what_has_expired_and_nothing_else() {
    let (mut scene, orders) = ending();
    let (alice, bob) = (scene.alice, scene.bob);
    let none = EngineError::NothingToClose;
    let instruction = drop_expired(&scene, &orders);
    refuses(&mut scene.desk.chain, instruction.clone(), none);
    scene.wait(3);
    // In its last second it can be filled.
    refuses(&mut scene.desk.chain, instruction.clone(), none);
    scene.wait(1);
    let (before, since) = (Snapshot::of(&scene.desk.chain), written(&scene));
    let mut native = Native::of(&scene.desk, 0);
    assert_eq!(native.trading(|it| it.drop_expired(named(&orders))), Ok(1));
    scene.desk.chain.send(instruction.clone()).unwrap();
    native.assert_same(&scene.desk);
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK - 2, 3)]);
    assert_eq!(book(&scene.desk, 0, Side::Ask), [(MARK + 1, 2)]);
    let [event] = trade_events_since(&scene, since.0)[..] else { panic!("one record") };
    assert_eq!(
        (event.kind(), event.order, event.maker),
        (Some(TradeEventKind::Expired), orders[0].1, alice.trader.cell)
    );
    assert!(event.taker.is_nil());
    before.only(&scene.desk.chain, &trading_frame(&scene, &[alice], since));
    refuses(&mut scene.desk.chain, instruction.clone(), none);
    // Whatever the price and the market's status.
    scene.wait(1_000_000);
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, index) + 2, &[3]);
    scene.desk.chain.send(instruction).unwrap();
    assert_eq!(handles(&scene.desk, &bob.trader, 0), []);
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK - 2, 3)]);
}

#[test]
fn attack_a_hint_does_not_reach_a_later_order_in_the_node() {
    let (mut scene, [first, ..]) = ending();
    let alice = scene.alice;
    scene.desk.chain.send(cancel(&scene, &alice, &[first])).unwrap();
    let soon = UnixSeconds::new(scene.desk.chain.unix_seconds() + 3);
    scene.accept(&alice, &bid(MARK - 1, 1).expires_at(soon).build());
    let new = handles(&scene.desk, &alice.trader, 0)[0];
    assert_eq!(new.0, first.0);
    scene.wait(4);
    let stale = drop_expired(&scene, &[first]);
    refuses(&mut scene.desk.chain, stale, EngineError::NothingToClose);
    scene.desk.chain.send(drop_expired(&scene, &[new])).unwrap();
}

#[test]
fn dropping_is_about_no_trader_and_in_one_ledger() {
    let (mut scene, orders) = ending();
    let foreign = foreign_market(&mut scene);
    scene.wait(4);
    let mut named = drop_expired(&scene, &orders);
    named.data[4..8].fill(0);
    refuses(&mut scene.desk.chain, named, Refusal::FieldInvalid);
    let mut elsewhere = drop_expired(&scene, &orders);
    elsewhere.accounts[0].pubkey = foreign;
    refuses(&mut scene.desk.chain, elsewhere, Refusal::WrongLedger);
    for count in [0, 17] {
        let instruction = drop_expired(&scene, &vec![orders[0]; count]);
        refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
    }
}
