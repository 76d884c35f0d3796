//! `PlaceOrders`: in order, all or none, each as if it came alone.

use quantdesk_client::{
    Refusal,
    engine::{EngineError, Side, UnixSeconds, book::NewOrder},
    instruction::{BookGuard, Trader},
};
use quantdesk_tests::{
    read, refuses,
    scene::{self, MARK, Party, Scene, ask, bid},
};
use solana_instruction::Instruction;

fn batch(scene: &Scene, party: &Party, orders: &[NewOrder]) -> Instruction {
    let (market, guard) = (scene.market(), BookGuard::default());
    scene.desk.venue.place_orders(&party.trader, &market, orders, UnixSeconds::ZERO, &guard)
}

fn resting(scene: &Scene, side: Side) -> Vec<(u32, u64, i64)> {
    let market = scene.desk.market_view(0).unwrap();
    market.orders(side).map(|(_, node)| (node.price.get(), node.lots.get(), node.expires_at.get())).collect()
}

#[test]
fn orders_are_placed_in_the_order_given() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 30).build());
    let orders = [
        bid(MARK, 20).immediate_or_cancel().build(),
        bid(MARK - 1, 5).post_only().client_id(7).build(),
        bid(MARK, 15).build(),
        ask(MARK + 1, 4).reduce_only().build(),
    ];
    let expires_at = UnixSeconds::new(scene.desk.chain.unix_seconds() + 60);
    let market = scene.market();
    let instruction = scene.desk.venue.place_orders(&bob.trader, &market, &orders, expires_at, &BookGuard::default());
    scene.desk.chain.send(instruction).unwrap();
    scene.desk.check().unwrap();
    assert_eq!(read::position(&scene.desk, &bob.trader, 0).unwrap().1.base.get(), 30);
    let end = expires_at.get();
    assert_eq!(resting(&scene, Side::Bid), [(MARK, 5, end), (MARK - 1, 5, end)]);
    assert_eq!(resting(&scene, Side::Ask), [(MARK + 1, 4, end)]);
}

#[test]
fn sixteen_orders_fit_and_none_or_more_do_not() {
    let mut scene = Scene::new();
    let bob = scene.bob;
    let orders: Vec<NewOrder> = (0..17)
        .map(|place| if place % 2 == 0 { bid(MARK - 1 - place, 1).build() } else { ask(MARK + place, 1).build() })
        .collect();
    for refused in [&orders[..0], &orders[..]] {
        let instruction = batch(&scene, &bob, refused);
        refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
    }
    let instruction = batch(&scene, &bob, &orders[..16]);
    scene.desk.chain.send(instruction).unwrap();
    scene.desk.check().unwrap();
    assert_eq!((resting(&scene, Side::Bid).len(), resting(&scene, Side::Ask).len()), (8, 8));
}

/// Whatever fails, fails them all, with its own code.
#[test]
fn attack_one_bad_order_leaves_no_trace_of_the_others() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 1_000).build());
    let good = bid(MARK, 10).build();
    let far = MARK + MARK / 10 + 1;
    let bad = [
        (bid(0, 1).build(), EngineError::OrderPriceOutOfRange),
        (bid(far, 1).build(), EngineError::OrderOutsideBand),
        (bid(MARK, 0).build(), EngineError::OrderLotsOutOfRange),
        (bid(MARK, 1).match_limit(0).build(), EngineError::MatchLimitOutOfRange),
        (bid(MARK, 1).post_only().build(), EngineError::PostOnlyWouldCross),
        (bid(MARK, 5_000).fill_or_kill().build(), EngineError::FillOrKillUnfilled),
        (bid(MARK, 1).reduce_only().build(), EngineError::ReduceOnlyNothingToReduce),
        (bid(MARK, 1_000_000).build(), EngineError::BelowInitialMargin),
    ];
    for (order, error) in bad {
        for orders in [vec![good, order], vec![order, good], vec![good, good, order, good]] {
            let instruction = batch(&scene, &bob, &orders);
            refuses(&mut scene.desk.chain, instruction, error);
        }
    }
    let named = bid(MARK - 2, 1).client_id(9).build();
    let instruction = batch(&scene, &bob, &[good, named, named]);
    refuses(&mut scene.desk.chain, instruction, EngineError::ClientIdInUse);
}

/// $1,000 carry 100 SOL. A batch that ends with nothing may not hold more on the way.
#[test]
fn attack_no_order_of_a_batch_borrows_margin_from_a_later_one() {
    let mut scene = Scene::new();
    let bob = scene.bob;
    let house = scene.desk.name(b"house");
    let (trader, tokens) = scene.desk.open(house, 0, 1_000_000_000_000).unwrap();
    let house = Party { trader, tokens };
    scene.accept(&house, &ask(MARK, 1_000_000).build());
    scene.accept(&house, &bid(MARK - 1, 1_000_000).build());
    let round = |lots: u64| {
        let sell = ask(MARK - 1, lots).immediate_or_cancel();
        [bid(MARK, lots).immediate_or_cancel().build(), sell.build()]
    };
    let instruction = batch(&scene, &bob, &round(110_000));
    refuses(&mut scene.desk.chain, instruction, EngineError::BelowInitialMargin);
    let instruction = batch(&scene, &bob, &round(90_000));
    scene.desk.chain.send(instruction).unwrap();
    scene.desk.check().unwrap();
    assert_eq!(read::position(&scene.desk, &bob.trader, 0).unwrap().1.base.get(), 0);
}

#[test]
fn guards_and_authority() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 10).build());
    let seen = scene.desk.market_view(0).unwrap().header.events_written.get();
    let (market, now) = (scene.market(), scene.desk.chain.unix_seconds());
    let orders = [bid(MARK - 1, 1).build()];
    let guarded = |scene: &Scene, trader: &Trader, valid_until: i64, book_sequence_max: u64| {
        let guard = BookGuard { valid_until: UnixSeconds::new(valid_until), book_sequence_max };
        scene.desk.venue.place_orders(trader, &market, &orders, UnixSeconds::ZERO, &guard)
    };
    let late = guarded(&scene, &bob.trader, now - 1, seen);
    refuses(&mut scene.desk.chain, late, Refusal::InstructionExpired);
    let moved = guarded(&scene, &bob.trader, now, seen);
    scene.desk.chain.send(moved.clone()).unwrap();
    refuses(&mut scene.desk.chain, moved, EngineError::BookMoved);
    let thief = Trader { authority: alice.trader.authority, ..bob.trader };
    let stolen = guarded(&scene, &thief, 0, 0);
    refuses(&mut scene.desk.chain, stolen, Refusal::NotAuthorized);
    scene::mark_bankrupt(&mut scene.desk, &bob.trader);
    let failing = guarded(&scene, &bob.trader, 0, 0);
    refuses(&mut scene.desk.chain, failing, EngineError::AccountBankrupt);
}
