//! Attacks on orders under way: who lands first, and what never happened. Numbers are those of the attack
//! catalogue.

use quantdesk_client::engine::{EngineError, Lots, Sequence, Side, Ticks, book::Sides};
use quantdesk_tests::{
    read::{self, book, handles, lots},
    refused_at, refuses,
    scene::{MARK, PRICE, Scene, ask, bid},
    snapshot::Snapshot,
};

/// 43: whatever gets in first, an order does what its kind says: post-only never takes, immediate never rests, fill-or-kill
/// is never filled in part, and a guarded one does not meet another book than its signer saw.
#[test]
fn attack_winning_the_race_against_an_orders_kind() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let quote = scene.order(&bob, &bid(MARK + 2, 9).post_only().build());
    let immediate = scene.order(&bob, &bid(MARK + 2, 9).immediate_or_cancel().build());
    let whole = scene.order(&bob, &bid(MARK + 2, 9).fill_or_kill().build());

    scene.accept(&alice, &ask(MARK + 2, 8).build());
    refuses(&mut scene.desk.chain, quote, EngineError::PostOnlyWouldCross);
    refuses(&mut scene.desk.chain, whole, EngineError::FillOrKillUnfilled);

    let (market, seen) = (scene.market(), read::market_header(&scene.desk, 0).events_written.get());
    let guarded = bid(MARK + 2, 8).book_sequence_max(seen);
    let guarded = scene.desk.venue.place_ticket(&bob.trader, &market, &guarded);
    let amended = scene.desk.venue.amend_order(
        &alice.trader,
        &market,
        handles(&scene.desk, &alice.trader, 0)[0],
        Ticks::new(MARK + 2),
        Lots::new(7),
    );
    scene.desk.chain.send(amended).unwrap();
    refuses(&mut scene.desk.chain, guarded, EngineError::BookMoved);

    let cancel = scene.desk.venue.cancel_all(&alice.trader, &market, Sides::Both, u8::MAX);
    scene.desk.chain.send(cancel).unwrap();
    scene.desk.chain.send(immediate).unwrap();
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 0);
    assert_eq!([book(&scene.desk, 0, Side::Bid), book(&scene.desk, 0, Side::Ask)], [vec![], vec![]]);
}

/// 74: what a transaction did before it failed is in no trail: who reads records out of accounts, and not out of logs, cannot
/// be shown a fill that did not happen.
#[test]
fn attack_records_of_a_failed_transaction() {
    let mut scene = Scene::new();
    let (alice, bob, market) = (scene.alice, scene.bob, scene.market());
    scene.accept(&alice, &ask(MARK, 9).build());
    let (node, sequence) = handles(&scene.desk, &alice.trader, 0)[0];
    let before = Snapshot::of(&scene.desk.chain);
    let trail = read::trade_events(&scene.desk, 0);
    let fill = scene.order(&bob, &bid(MARK, 9).immediate_or_cancel().build());
    let gone = Sequence::new(sequence.get() + 1);
    let fails = scene.desk.venue.cancel_order(&bob.trader, &market, node, gone);
    refused_at(scene.desk.chain.send_all(&[fill.clone(), fails]), 1, EngineError::OrderNotFound);
    before.unchanged(&scene.desk.chain);
    assert_eq!(read::trade_events(&scene.desk, 0), trail);
    scene.desk.chain.send(fill).unwrap();
    assert_eq!(read::trade_events(&scene.desk, 0).len(), trail.len() + 1, "and the one that did has the next number");
}

/// 72: who buys all the room that a block has for writes of an exchange keeps prices, cancels and liquidations out for as long as
/// he pays. What stands still meanwhile is not his to take: once the price is old nothing trades, and cancels need none.
#[test]
fn attack_starving_an_exchange_of_its_updates() {
    let mut scene = Scene::new();
    let (alice, bob, market) = (scene.alice, scene.bob, scene.market());
    scene.accept(&alice, &ask(MARK, 50).build());
    let taking = scene.order(&bob, &bid(MARK, 50).immediate_or_cancel().build());
    scene.wait(i64::from(read::row(&scene.desk, 0).fresh_seconds) + 1);
    refuses(&mut scene.desk.chain, taking.clone(), EngineError::PriceNotValidForAction);

    // The world's price is a twentieth higher. Whoever gets in first, the maker or the update, there is nothing to take.
    let mut updated = scene.clone();
    let cancel = scene.desk.venue.cancel_all(&alice.trader, &market, Sides::Both, u8::MAX);
    scene.desk.chain.send(cancel).unwrap();
    scene.desk.set_price(0, PRICE + PRICE / 20).unwrap();
    scene.desk.chain.send(taking.clone()).unwrap();
    assert_eq!((lots(&scene.desk, &bob.trader, 0), lots(&scene.desk, &alice.trader, 0)), (0, 0));
    scene.desk.check().unwrap();

    // If the update comes first, the mark moves by its step and no more, so that a maker who is late loses no more than that.
    let before = read::row(&updated.desk, 0).mark.get();
    updated.desk.set_price(0, PRICE + PRICE / 20).unwrap();
    let row = read::row(&updated.desk, 0);
    let step = u64::from(before) * u64::from(row.risk.step.get()) * u64::from(row.risk.step_seconds) / 1_000_000 + 1;
    assert!(u64::from(row.mark.get() - before) <= step && row.mark < row.index_price);
    updated.desk.chain.send(taking).unwrap();
    updated.desk.check().unwrap();
}
