//! `RunDelayed`, and orders in a market where takers wait.

use quantdesk_client::{
    Refusal,
    engine::{
        EngineError, Lots, Ticks, UnixSeconds,
        book::{NewOrder, Sides},
        state::TradeEventKind,
    },
    error::ProgramError,
    order::Ticket,
};
use quantdesk_sim::desk::MarketSpec;
use quantdesk_tests::{
    failing::{Native, foreign_market, target, trade_events_since, trading_frame, written},
    read::{self, handles},
    refuses,
    scene::{MARK, Party, Scene, ask, bid, party, sol},
    snapshot::Snapshot,
};
use solana_instruction::Instruction;

/// Slots that takers wait here.
const DELAY: u8 = 2;

fn scene() -> Scene {
    Scene::on(&MarketSpec { taker_delay: DELAY, ..sol() })
}

fn slots(scene: &mut Scene, slots: u8) {
    (0..slots).for_each(|_| scene.desk.chain.next_slot());
}

fn run(scene: &Scene, limit: u8) -> Instruction {
    scene.desk.venue.run_delayed(&scene.market(), limit)
}

fn waiting(scene: &Scene) -> u32 {
    scene.desk.market_view(0).unwrap().header.delayed_len
}

fn taking(ticket: Ticket) -> NewOrder {
    ticket.immediate_or_cancel().build()
}

/// Lots of a party.
fn lots(scene: &Scene, party: &Party) -> i64 {
    read::lots(&scene.desk, &party.trader, 0)
}

#[test]
fn a_market_is_listed_with_its_delay() {
    assert_eq!(scene().desk.market_view(0).unwrap().header.taker_delay, u32::from(DELAY));
    assert_eq!(Scene::new().desk.market_view(0).unwrap().header.taker_delay, 0);
}

#[test]
fn a_taker_waits_and_anybody_runs_it() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 10).build());
    scene.accept(&bob, &bid(MARK - 9, 1).build());
    // Queueing writes what a resting order writes.
    let (before, since) = (Snapshot::of(&scene.desk.chain), written(&scene));
    let mut native = Native::of(&scene.desk, 0);
    let order = taking(bid(MARK, 4));
    let placed = native.trading(|it| it.place_order(bob.trader.cell, &order)).unwrap();
    scene.accept(&bob, &order);
    native.assert_same(&scene.desk);
    before.only(&scene.desk.chain, &trading_frame(&scene, &[bob], since));
    let [event] = trade_events_since(&scene, since.0)[..] else { panic!("one record") };
    assert_eq!((event.kind(), event.maker), (Some(TradeEventKind::TakerQueued), bob.trader.cell));
    assert_eq!(handles(&scene.desk, &bob.trader, 0)[0], placed.waiting.unwrap());
    slots(&mut scene, DELAY - 1);
    let instruction = run(&scene, 255);
    refuses(&mut scene.desk.chain, instruction, EngineError::TakerNotDue);
    slots(&mut scene, 1);
    let (before, since) = (Snapshot::of(&scene.desk.chain), written(&scene));
    let mut native = Native::of(&scene.desk, 0);
    assert_eq!(native.trading(|it| it.run_delayed(255)), Ok(1));
    scene.desk.chain.send(run(&scene, 255)).unwrap();
    native.assert_same(&scene.desk);
    before.only(&scene.desk.chain, &trading_frame(&scene, &[alice, bob], since));
    assert_eq!((lots(&scene, &alice), lots(&scene, &bob), waiting(&scene)), (-4, 4, 0));
    scene.desk.check().unwrap();
    let instruction = run(&scene, 255);
    refuses(&mut scene.desk.chain, instruction, EngineError::TakerNotDue);
}

/// A price moves; the taker lands first, the maker's cancel in the same slot after it.
#[test]
fn attack_landing_first_picks_nobody_off() {
    let mut scene = scene();
    let (maker, sniper) = (scene.alice, scene.bob);
    scene.accept(&maker, &ask(MARK, 10).build());
    scene.accept(&sniper, &taking(bid(MARK + 100, 10)));
    let cancel = scene.desk.venue.cancel_all(&maker.trader, &scene.market(), Sides::Both, 9);
    scene.desk.chain.send(cancel).unwrap();
    scene.accept(&maker, &ask(MARK + 90, 10).post_only().build());
    slots(&mut scene, DELAY);
    scene.desk.chain.send(run(&scene, 1)).unwrap();
    // He gets the price that is right by then.
    let market = scene.desk.market_view(0).unwrap();
    assert_eq!((market.header.last_trade_price, lots(&scene, &sniper)), (Ticks::new(MARK + 90), 10));
}

#[test]
fn attack_the_owner_cannot_take_it_back() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 10).build());
    scene.accept(&bob, &bid(MARK, 4).client_id(7).immediate_or_cancel().build());
    let (venue, market) = (scene.desk.venue, scene.market());
    let [(node, sequence)] = handles(&scene.desk, &bob.trader, 0)[..] else { panic!("one order") };
    let refusals: [(Instruction, EngineError); 4] = [
        (venue.cancel_order(&bob.trader, &market, node, sequence), EngineError::OrderWaiting),
        (venue.cancel_by_client_id(&bob.trader, &market, 7), EngineError::OrderWaiting),
        (
            venue.amend_order(&bob.trader, &market, (node, sequence), Ticks::new(MARK - 1), Lots::new(1)),
            EngineError::OrderNotAmendable,
        ),
        (scene.withdraw(&bob, 1_000_000_000), EngineError::WithdrawExceedsAvailable),
    ];
    for (instruction, error) in refusals {
        refuses(&mut scene.desk.chain, instruction, error);
    }
    scene.desk.chain.send(venue.cancel_all(&bob.trader, &market, Sides::Both, 9)).unwrap();
    scene.desk.chain.send(venue.cancel_orders(&bob.trader, &market, &[(node, sequence)])).unwrap();
    scene.desk.chain.send(venue.heartbeat(&bob.trader, 5)).unwrap();
    scene.wait(6);
    let dead = venue.enforce_deadman(&market, target(&bob), 9);
    refuses(&mut scene.desk.chain, dead, EngineError::NothingToClose);
    assert_eq!(waiting(&scene), 1);
    scene.desk.chain.send(run(&scene, 1)).unwrap();
    assert_eq!(lots(&scene, &bob), 4);
}

#[test]
fn attack_a_new_order_gets_past_nobody_and_pays_for_two() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let carol = party(&mut scene.desk, 0);
    scene.accept(&alice, &ask(MARK, 10).build());
    for _ in 0..3 {
        scene.accept(&bob, &taking(bid(MARK, 2)));
    }
    slots(&mut scene, DELAY);
    let mut native = Native::of(&scene.desk, 0);
    let order = taking(bid(MARK + 5, 9));
    native.trading(|it| it.place_order(carol.trader.cell, &order)).unwrap();
    scene.accept(&carol, &order);
    native.assert_same(&scene.desk);
    assert_eq!((lots(&scene, &bob), lots(&scene, &carol), waiting(&scene)), (4, 0, 2));
    slots(&mut scene, DELAY);
    scene.desk.chain.send(run(&scene, 255)).unwrap();
    assert_eq!((lots(&scene, &bob), lots(&scene, &carol)), (6, 4));
}

/// What may not run any more goes, and who comes after it runs in the same transaction.
#[test]
fn attack_an_order_that_may_not_run_blocks_nobody() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let carol = party(&mut scene.desk, 0);
    scene.accept(&alice, &ask(MARK, 10).build());
    let end = UnixSeconds::new(scene.desk.chain.unix_seconds() + 3);
    scene.accept(&bob, &bid(MARK, 2).immediate_or_cancel().expires_at(end).build());
    scene.accept(&carol, &taking(bid(MARK, 2)));
    scene.wait(5);
    let since = written(&scene);
    scene.desk.chain.send(run(&scene, 255)).unwrap();
    let kinds: Vec<_> = trade_events_since(&scene, since.0).iter().map(|event| event.kind().unwrap()).collect();
    assert_eq!(kinds, [TradeEventKind::TakerDropped, TradeEventKind::Filled]);
    assert_eq!((lots(&scene, &bob), lots(&scene, &carol)), (0, 2));
    scene.desk.check().unwrap();
}

/// The most that a run may meet, by accounts that are as costly as they come, fits a transaction many times over.
#[test]
fn runs_fit_a_transaction() {
    let mut scene = Scene::on(&MarketSpec { taker_delay: DELAY, side_capacity: 64, ..MarketSpec::sol() });
    let (alice, bob) = (scene.alice, scene.bob);
    for _ in 0..64 {
        scene.accept(&alice, &ask(MARK, 1).build());
    }
    scene.accept(&bob, &taking(bid(MARK, 64).match_limit(255)));
    slots(&mut scene, DELAY);
    let sent = scene.desk.chain.send(run(&scene, 1)).unwrap();
    assert_eq!(lots(&scene, &bob), 32, "a run of 32 steps");
    println!("32 makers: {} CU", sent.compute_units);
    // The order of somebody else goes on with it, eight steps at a time.
    let carol = party(&mut scene.desk, 0);
    let sent = scene.place(&carol, &bid(MARK - 9, 1).post_only().build()).unwrap();
    assert_eq!((lots(&scene, &bob), waiting(&scene)), (48, 1));
    println!("PlaceOrder that runs 16 steps of another's: {} CU", sent.compute_units);
    assert!(sent.compute_units < 60_000);
    scene.desk.chain.send(run(&scene, 1)).unwrap();
    assert_eq!((lots(&scene, &bob), waiting(&scene)), (64, 0));
}

#[test]
fn refusals_in_order() {
    let mut scene = scene();
    let (alice, bob) = (scene.alice, scene.bob);
    let foreign = foreign_market(&mut scene);
    let (venue, market) = (scene.desk.venue, scene.market());
    let cases: [(Instruction, ProgramError); 3] = [
        (venue.run_delayed(&foreign, 0), Refusal::FieldInvalid.into()),
        (venue.run_delayed(&foreign, 1), Refusal::WrongLedger.into()),
        (venue.run_delayed(&market, 1), EngineError::TakerNotDue.into()),
    ];
    for (instruction, error) in cases {
        refuses(&mut scene.desk.chain, instruction, error);
    }
    let mut named = venue.run_delayed(&market, 1);
    named.data[4..8].fill(0);
    refuses(&mut scene.desk.chain, named, Refusal::FieldInvalid);
    scene.accept(&alice, &ask(MARK, 10).build());
    let promising = scene.order(&bob, &bid(MARK, 1).fill_or_kill().build());
    refuses(&mut scene.desk.chain, promising, EngineError::OrderNotDelayable);
    let short = UnixSeconds::new(scene.desk.chain.unix_seconds() + 1);
    let ending = scene.order(&bob, &bid(MARK, 1).expires_at(short).build());
    refuses(&mut scene.desk.chain, ending, EngineError::OrderExpired);
}
