//! A chain that stood still: its clock has jumped, its slots have not.

use quantdesk_client::engine::{
    EngineError, Lots, Side, Ticks,
    risk::restart::STILL_SECONDS_MIN,
    state::{CashEventKind, MarketRow},
};
use quantdesk_tests::{
    read, refuses,
    scene::{MARK, PRICE, Scene, ask, bid, patch_row},
};
use std::mem::offset_of;

const HOURS: i64 = 5 * 3_600;

/// Alice is short and Bob long one SOL, and the mark stands above the index, so that longs pay.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.trade(1_000);
    let mark = MARK + 900;
    for offset in [offset_of!(MarketRow, mark), offset_of!(MarketRow, high)] {
        patch_row(&mut scene.desk, 0, offset, &mark.to_le_bytes());
    }
    scene
}

/// The clock jumps, without a slot.
fn stand_still(scene: &mut Scene, seconds: i64) {
    let then = scene.desk.chain.unix_seconds() + seconds;
    scene.desk.chain.set_unix_seconds(then);
}

/// Records of standstills.
fn resumed(scene: &Scene) -> Vec<i64> {
    let events = read::cash_events(&scene.desk);
    events.iter().filter(|it| it.kind() == Some(CashEventKind::ChainResumed)).map(|it| it.amount).collect()
}

/// Funding index after a time in which the chain lived, one in which it stood still, and a new price.
fn funding_after(lived: i64, still: i64) -> i64 {
    let mut scene = scene();
    scene.wait(lived);
    stand_still(&mut scene, still);
    scene.desk.set_price(0, PRICE).unwrap();
    scene.desk.check().unwrap();
    read::row(&scene.desk, 0).funding_index.get()
}

#[test]
fn no_funding_for_the_time_that_the_chain_stood_still() {
    assert_eq!(funding_after(0, HOURS), 0);
    // A slot of this chain takes a fifth of a second; it may take a whole one.
    assert_eq!(funding_after(4, HOURS), funding_after(20, 0));
    assert_eq!(funding_after(20, HOURS), funding_after(30, 0), "the price was fresh for thirty seconds");
    assert!(funding_after(20, 0) > 0);
}

#[test]
fn a_gap_within_the_bound_changes_nothing() {
    let bound = i64::from(STILL_SECONDS_MIN);
    assert_eq!(funding_after(0, 20), funding_after(20, 0));
    assert_eq!(funding_after(0, bound), funding_after(bound, 0), "until the price was not fresh any more");
    assert_eq!(funding_after(0, bound + 1), 0);
    let mut scene = scene();
    stand_still(&mut scene, bound);
    scene.desk.set_price(0, PRICE).unwrap();
    assert_eq!(resumed(&scene), [0; 0]);
    stand_still(&mut scene, bound + 1);
    scene.desk.set_price(0, PRICE).unwrap();
    assert_eq!(resumed(&scene), [bound + 1]);
}

/// The first minutes after hours of standstill.
#[test]
fn after_hours_risk_waits_for_a_new_price_and_exits_do_not() {
    let mut scene = Scene::new();
    scene.trade(1_000);
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(MARK - 5, 400).build());
    scene.accept(&alice, &bid(MARK - 9, 4).build());
    // Just long enough that the price is stale and not dead; then much longer.
    for (still, exit) in [(400, true), (HOURS, false)] {
        let mut scene = scene.clone();
        stand_still(&mut scene, still);
        scene.desk.chain.next_slot();
        for party in [alice, bob] {
            let order = scene.order(&party, &bid(MARK - 9, 5).build());
            refuses(&mut scene.desk.chain, order, EngineError::PriceNotValidForAction);
        }
        // What was published before it stopped is too old by its own date.
        let old =
            scene.desk.venue.update_price(&scene.market(), scene.desk.markets[0].index, &scene.desk.markets[0].feeds);
        refuses(&mut scene.desk.chain, old, EngineError::OracleStale);
        let out = scene.order(&bob, &ask(MARK - 5, 400).reduce_only().immediate_or_cancel().build());
        if exit {
            scene.desk.chain.send(out).unwrap();
            assert_eq!(read::lots(&scene.desk, &bob.trader, 0), 600);
        } else {
            refuses(&mut scene.desk.chain, out, EngineError::PriceNotValidForAction);
        }
        let (node, sequence) = read::handles(&scene.desk, &alice.trader, 0)[0];
        let cancel = scene.desk.venue.cancel_order(&alice.trader, &scene.market(), node, sequence);
        scene.desk.chain.send(cancel).unwrap();
        let deposit = scene.deposit(&bob, 5);
        scene.desk.chain.send(deposit).unwrap();

        // A new price, at which everything goes on; the standstill is on record, for as long as it took.
        scene.desk.set_price(0, PRICE).unwrap();
        assert_eq!(resumed(&scene), [still - 1]);
        scene.accept(&alice, &bid(MARK - 3, 7).build());
        scene.accept(&bob, &ask(MARK - 3, 7).immediate_or_cancel().build());
        let before = read::row(&scene.desk, 0).funding_index;
        scene.wait(20);
        scene.desk.set_price(0, PRICE).unwrap();
        assert_eq!(read::row(&scene.desk, 0).funding_index, before, "no premium, no funding");
        assert_eq!(resumed(&scene).len(), 1);
        scene.desk.check().unwrap();
    }
}

/// A market does not count as abandoned because the chain was away for longer than its patience.
#[test]
fn nobody_settles_a_market_on_the_way_back() {
    let mut scene = Scene::new();
    scene.trade(1_000);
    stand_still(&mut scene, 100_000);
    scene.desk.chain.next_slot();
    let settle = scene.desk.venue.settle_market(&scene.market());
    refuses(&mut scene.desk.chain, settle.clone(), EngineError::NoticeNotOver);
    scene.desk.set_price(0, PRICE).unwrap();
    refuses(&mut scene.desk.chain, settle.clone(), EngineError::NoticeNotOver);
    // While it lives, it counts.
    scene.wait(87_002);
    scene.desk.chain.send(settle).unwrap();
}

/// A stop that was passed during the standstill fires at a price from after it only.
#[test]
fn triggers_wait_for_a_new_price() {
    let mut scene = Scene::new();
    scene.trade(1_000);
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(MARK - 5, 400).build());
    let stop = quantdesk_client::trigger::TriggerTicket::stop(Side::Ask, Ticks::new(MARK)).lots(Lots::new(5)).build();
    let market = scene.market();
    let place =
        scene.desk.venue.place_trigger(&bob.trader, &market, &stop, quantdesk_client::engine::UnixSeconds::ZERO);
    scene.desk.chain.send(place).unwrap();
    stand_still(&mut scene, 400);
    let handle = read::triggers(&scene.desk, &bob.trader, 0)[0].0;
    let fire = scene.desk.venue.execute_triggers(&alice.trader, &market, &[handle]);
    refuses(&mut scene.desk.chain, fire.clone(), EngineError::NoTriggerDue);
    scene.desk.set_price(0, PRICE).unwrap();
    scene.desk.chain.send(fire).unwrap();
}
