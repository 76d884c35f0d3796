//! Attacks by traders and strangers. Each ends in an exact refusal with nothing changed, or in the attacker's loss.
//! Numbers are those of the attack catalogue. Attacks on accounts and administration: `attacks_on_accounts.rs`.

use quantdesk_client::{
    engine::{
        EngineError, Side, UnixSeconds,
        book::{SelfTrade, Sides},
        risk::margin,
        state::TradeEventKind,
    },
    instruction::Trader,
};
use quantdesk_sim::desk::MarketSpec;
use quantdesk_tests::{
    read::{self, book, handles, lots},
    refused, refused_at, refuses,
    scene::{CAPITAL, MARK, PICO, POCKET, PRICE, Party, SIDE, Scene, ask, bid, party, party_of},
    snapshot::Snapshot,
};

/// What a party could take home: free cash and what it has outside. Unrealised profit is nobody's yet.
fn wealth(scene: &Scene, party: &Party) -> i64 {
    let ledger = scene.desk.ledger_view().unwrap();
    let trader = ledger.trader(party.trader.cell).unwrap();
    let now = read::now(&scene.desk.chain).unix_seconds;
    let (free, _) = margin::withdrawable(&ledger, trader, now).unwrap();
    (free.get() + scene.desk.chain.tokens(&party.tokens).unwrap()) as i64
}

/// What a party would have after closing everything at the mark.
fn equity(scene: &Scene, party: &Party) -> i64 {
    let ledger = scene.desk.ledger_view().unwrap();
    let trader = ledger.trader(party.trader.cell).unwrap();
    margin::maintenance(&ledger, trader, read::now(&scene.desk.chain).unix_seconds).unwrap().equity.get()
}

/// 40.
#[test]
fn attack_wash_trading_strictly_loses() {
    // Down to one lot at one tick, where every fee rounds.
    for (price, size) in [(MARK, 10), (MARK + 1, 1), (MARK, 1), (180_001, 3), (219_999, 7)] {
        let mut scene = Scene::new();
        let (alice, bob) = (scene.alice, scene.bob);
        let before = equity(&scene, &alice) + equity(&scene, &bob);
        for _ in 0..5 {
            let (there, back) = if price > MARK { (alice, bob) } else { (bob, alice) };
            scene.accept(&there, &ask(price.max(MARK), size).build());
            scene.accept(&back, &bid(price.max(MARK), size).immediate_or_cancel().build());
            scene.accept(&there, &bid(price.min(MARK), size).build());
            scene.accept(&back, &ask(price.min(MARK), size).immediate_or_cancel().build());
            let after = equity(&scene, &alice) + equity(&scene, &bob);
            assert_eq!((lots(&scene.desk, &alice.trader, 0), lots(&scene.desk, &bob.trader, 0)), (0, 0));
            assert!(after < before);
        }
        let after = equity(&scene, &alice) + equity(&scene, &bob);
        assert_eq!(before - after, read::money(&scene.desk).1, "the exchange earned all of it");
    }
}

/// 41.
#[test]
fn attack_splitting_orders_never_saves_a_fee() {
    let mut whole = Scene::new();
    whole.trade(97);
    let mut split = Scene::new();
    for _ in 0..97 {
        split.trade(1);
    }
    for party in [whole.alice, whole.bob] {
        assert_eq!(lots(&whole.desk, &party.trader, 0), lots(&split.desk, &party.trader, 0));
        assert!(equity(&split, &party) <= equity(&whole, &party));
    }
    assert!(read::money(&split.desk).1 >= read::money(&whole.desk).1);
}

/// 39, 7.
#[test]
fn attack_self_trade_across_sub_accounts_moves_nothing() {
    for policy in [SelfTrade::CancelMaker, SelfTrade::CancelTaker, SelfTrade::CancelBoth, SelfTrade::Decrement] {
        let mut scene = Scene::new();
        let alice = scene.alice;
        let sibling = party_of(&mut scene.desk, alice.trader.authority, 7);
        let last = read::market_header(&scene.desk, 0).last_trade_price;
        scene.accept(&alice, &ask(180_000, 50).build());
        scene.accept(&sibling, &bid(220_000, 50).self_trade(policy).immediate_or_cancel().build());
        for party in [alice, sibling] {
            assert_eq!((lots(&scene.desk, &party.trader, 0), equity(&scene, &party)), (0, CAPITAL as i64));
        }
        assert_eq!(read::market_header(&scene.desk, 0).last_trade_price, last);
        let filled = TradeEventKind::Filled;
        assert!(read::trade_events(&scene.desk, 0).iter().all(|event| event.kind() != Some(filled)));
    }
}

/// 39: the mark is the oracles', and unrealised profit cannot be taken out.
#[test]
fn attack_off_market_trades_between_accomplices_extract_nothing() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let carol = party(&mut scene.desk, 0);
    let coalition = [alice, bob, carol];
    let total = |scene: &Scene| coalition.iter().map(|party| wealth(scene, party)).sum::<i64>();
    let before = total(&scene);
    for round in 0..6u64 {
        // Alice buys far above the mark from Bob, who takes his profit from Carol at the mark.
        scene.accept(&bob, &ask(220_000, 1_000 + round).build());
        scene.accept(&alice, &bid(220_000, 1_000 + round).immediate_or_cancel().build());
        assert_eq!(read::row(&scene.desk, 0).mark.get(), MARK);
        scene.accept(&carol, &ask(MARK, 1_000 + round).build());
        scene.accept(&bob, &bid(MARK, 1_000 + round).immediate_or_cancel().build());
        for party in coalition {
            let free = wealth(&scene, &party) - scene.desk.chain.tokens(&party.tokens).unwrap() as i64;
            scene.desk.chain.send(scene.withdraw(&party, free as u64)).unwrap();
            assert!(equity(&scene, &party) >= 0, "nobody is left with a debt");
        }
        scene.desk.check().unwrap();
        assert!(total(&scene) < before);
        for party in coalition {
            let outside = scene.desk.chain.tokens(&party.tokens).unwrap();
            scene.desk.chain.send(scene.deposit(&party, outside - POCKET / 2)).unwrap();
        }
    }
    let (owed, _, vault) = read::money(&scene.desk);
    assert_eq!(owed, vault as i64);
}

/// 48.
#[test]
fn attack_withdrawing_an_unrealised_gain_in_one_transaction() {
    let mut scene = Scene::new();
    let bob = scene.bob;
    scene.trade(10_000);
    let free = wealth(&scene, &bob) as u64 - POCKET;
    scene.wait(5);
    scene.desk.publish(0, PRICE / 100 * 109, 0).unwrap();
    let market = &scene.desk.markets[0];
    let up = scene.desk.venue.update_price(&market.address, market.index, &market.feeds);
    // The index is 9% higher, the mark by one step of the staircase; margin is reckoned at the higher price. Nothing of
    // the gain can be taken.
    let after = {
        let mut scene = scene.clone();
        scene.desk.chain.send(up.clone()).unwrap();
        let row = read::row(&scene.desk, 0);
        assert_eq!((row.index_price.get(), row.mark.get()), (218_000, 201_300));
        assert_eq!(equity(&scene, &bob), CAPITAL as i64 - 1_000_000 + 13_000_000, "$13 at the mark, less the fee");
        wealth(&scene, &bob) as u64 - POCKET
    };
    assert_eq!(after, free - 9_000_000, "ten SOL at $218 need $9 more than at $200");
    let before = Snapshot::of(&scene.desk.chain);
    for atoms in [free + 180_000_000, free + 1, free, after + 1] {
        let sent = scene.desk.chain.send_all(&[up.clone(), scene.withdraw(&bob, atoms)]);
        refused_at(sent, 1, EngineError::WithdrawExceedsAvailable);
        before.unchanged(&scene.desk.chain);
    }
    scene.desk.chain.send_all(&[up, scene.withdraw(&bob, after)]).unwrap();
    scene.desk.check().unwrap();
}

/// 48.
#[test]
fn attack_flash_deposit_trade_withdraw() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK, 50_000).build());
    scene.desk.chain.send(scene.withdraw(&bob, CAPITAL)).unwrap();
    let deposit = scene.deposit(&bob, POCKET + CAPITAL);
    let order = scene.order(&bob, &bid(MARK, 50_000).immediate_or_cancel().build());
    let before = Snapshot::of(&scene.desk.chain);
    // $10,000 need $500, and the fee of $5 is gone.
    let keep = 500_000_000 + 5_000_000;
    let borrowed = [deposit, order, scene.withdraw(&bob, POCKET + CAPITAL - keep + 1)];
    let sent = scene.desk.chain.send_all(&borrowed);
    refused_at(sent, 2, EngineError::WithdrawExceedsAvailable);
    before.unchanged(&scene.desk.chain);
    scene
        .desk
        .chain
        .send_all(&[borrowed[0].clone(), borrowed[1].clone(), scene.withdraw(&bob, POCKET + CAPITAL - keep)])
        .unwrap();
    scene.desk.check().unwrap();
}

/// 50.
#[test]
fn attack_open_orders_then_withdraw() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    scene.accept(&alice, &bid(MARK - 1, 100_000).build());
    let all = scene.withdraw(&alice, 1);
    refuses(&mut scene.desk.chain, all, EngineError::WithdrawExceedsAvailable);
    // Cancel and withdraw in one transaction is honest; placing again after it is not possible.
    let market = scene.market();
    let cancel = scene.desk.venue.cancel_all(&alice.trader, &market, Sides::Both, 9);
    let order = scene.order(&alice, &bid(MARK - 1, 1).build());
    let before = Snapshot::of(&scene.desk.chain);
    let sent = scene.desk.chain.send_all(&[cancel.clone(), scene.withdraw(&alice, CAPITAL), order]);
    refused_at(sent, 2, EngineError::BelowInitialMargin);
    before.unchanged(&scene.desk.chain);
    scene.desk.chain.send_all(&[cancel, scene.withdraw(&alice, CAPITAL)]).unwrap();
}

/// 45, 46: a fill reserves its loss beforehand, also when far orders of the same side stand beside it.
#[test]
fn attack_far_orders_do_not_hide_a_loss_through_the_mark() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(1, 1).build());
    let instruction = scene.order(&alice, &bid(220_000, 33_333).build());
    refuses(&mut scene.desk.chain, instruction, EngineError::BelowInitialMargin);
    scene.accept(&alice, &bid(220_000, 33_332).build());
    scene.accept(&bob, &ask(220_000, 33_332).immediate_or_cancel().build());
    let ledger = scene.desk.ledger_view().unwrap();
    for party in [alice, bob] {
        let now = read::now(&scene.desk.chain).unix_seconds;
        let margin = margin::initial(&ledger, ledger.trader(party.trader.cell).unwrap(), now).unwrap();
        assert!(margin.is_met(), "{margin:?}");
    }
}

/// 47.
#[test]
fn attack_many_small_fills_do_not_move_the_band() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    for step in 0..10 {
        let price = MARK + 2_000 * (step + 1);
        scene.accept(&alice, &ask(price, 1).build());
        scene.accept(&bob, &bid(price, 1).immediate_or_cancel().build());
        assert_eq!(read::row(&scene.desk, 0).mark.get(), MARK);
    }
    let instruction = scene.order(&bob, &bid(220_001, 1).build());
    refuses(&mut scene.desk.chain, instruction, EngineError::OrderOutsideBand);
}

/// 35, 34.
#[test]
fn attack_picking_the_older_of_two_prices() {
    let mut scene = Scene::new();
    scene.wait(20);
    let now = scene.desk.chain.unix_seconds();
    scene.desk.set_price(0, PRICE + PICO).unwrap();
    // A genuine update, young enough, but older than the one used.
    scene.desk.publish_at(0, PRICE - PICO, 0, now - 1).unwrap();
    let market = &scene.desk.markets[0];
    let older = scene.desk.venue.update_price(&market.address, market.index, &market.feeds);
    refuses(&mut scene.desk.chain, older.clone(), EngineError::OracleRegressed);
    // Within one transaction neither: newer first, then the older, then a trade on it.
    let order = scene.order(&scene.bob, &bid(MARK, 1).build());
    let before = Snapshot::of(&scene.desk.chain);
    let sent = scene.desk.chain.send_all(&[older, order]);
    refused(sent, EngineError::OracleRegressed);
    before.unchanged(&scene.desk.chain);
    scene.desk.publish_at(0, PRICE - PICO, 0, now + 11).unwrap();
    refused(scene.desk.update_price(0), EngineError::OracleFromFuture);
}

/// 32.
#[test]
fn attack_posting_an_old_price_anew() {
    let mut scene = Scene::new();
    scene.wait(3_600);
    let now = scene.desk.chain.unix_seconds();
    // Posted in this very slot; published 31 seconds ago.
    scene.desk.publish_at(0, PRICE * 2, 0, now - 31).unwrap();
    refused(scene.desk.update_price(0), EngineError::OracleStale);
    assert_eq!(read::row(&scene.desk, 0).mark.get(), MARK);
}

/// 37.
#[test]
fn attack_repeating_an_update_compounds_nothing() {
    let mut scene = Scene::new();
    scene.desk.publish(0, PRICE + PICO, 0).unwrap();
    let market = &scene.desk.markets[0];
    let update = scene.desk.venue.update_price(&market.address, market.index, &market.feeds);
    scene.desk.chain.send(update.clone()).unwrap();
    let row = read::row(&scene.desk, 0);
    scene.desk.chain.send_all(&vec![update; 8]).unwrap();
    assert_eq!(read::row(&scene.desk, 0), row);
}

/// 52: one position without a price stops everything that depends on it.
#[test]
fn attack_placing_while_another_position_has_no_price() {
    let (mut scene, bitcoin) = Scene::with_bitcoin();
    scene.desk.set_price(bitcoin, 100_000 * PICO).unwrap();
    let bob = scene.bob;
    scene.desk.place(&bob.trader, bitcoin, &bid(1_000_000, 1).build()).unwrap();
    scene.wait(1_000);
    scene.desk.set_price(0, PRICE).unwrap();
    for instruction in [scene.order(&bob, &bid(MARK, 1).build()), scene.withdraw(&bob, 1)] {
        refuses(&mut scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
    }
}

/// 23.
#[test]
fn attack_cancelling_a_reused_node_with_an_old_handle() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(MARK - 1, 1).build());
    let (node, sequence) = handles(&scene.desk, &alice.trader, 0)[0];
    let market = scene.market();
    let cancel = scene.desk.venue.cancel_order(&alice.trader, &market, node, sequence);
    scene.desk.chain.send(cancel.clone()).unwrap();
    // The node serves another of Alice's orders, then one of Bob's.
    for party in [alice, bob] {
        scene.accept(&party, &bid(MARK - 1, 1).build());
        assert_eq!(handles(&scene.desk, &party.trader, 0)[0].0, node);
        refuses(&mut scene.desk.chain, cancel.clone(), EngineError::OrderNotFound);
        let all = scene.desk.venue.cancel_all(&party.trader, &market, Sides::Both, 1);
        scene.desk.chain.send(all).unwrap();
    }
}

/// 21, 23.
#[test]
fn attack_instructions_for_an_earlier_incarnation() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let market = scene.market();
    scene.desk.chain.send(scene.withdraw(&alice, CAPITAL)).unwrap();
    let old = [
        scene.order(&alice, &bid(MARK, 1).build()),
        scene.desk.venue.cancel_all(&alice.trader, &market, Sides::Both, 9),
        scene.desk.venue.cancel_order(
            &alice.trader,
            &market,
            quantdesk_client::engine::NodeIndex::new(0),
            quantdesk_client::engine::Sequence::new(1),
        ),
        scene.deposit(&alice, 1),
        scene.withdraw(&alice, 1),
        scene.desk.venue.close_trader(&alice.trader),
    ];
    // Closed and opened again in the same transaction, by the same owner and by another one.
    let close = scene.desk.venue.close_trader(&alice.trader);
    for owner in [alice.trader.authority, bob.trader.authority] {
        for instruction in &old {
            let revive = scene.desk.venue.open_trader(owner, 0);
            let before = Snapshot::of(&scene.desk.chain);
            let sent = scene.desk.chain.send_all(&[close.clone(), revive, instruction.clone()]);
            refused_at(sent, 2, EngineError::TraderNotFound);
            before.unchanged(&scene.desk.chain);
        }
    }
}

/// 44.
#[test]
fn attack_match_limit_never_leaves_a_crossed_book() {
    for limit in 1..=5 {
        let mut scene = Scene::new();
        let (alice, bob) = (scene.alice, scene.bob);
        for step in 0..4 {
            scene.accept(&alice, &ask(MARK + step, 1).build());
        }
        scene.accept(&bob, &bid(MARK + 10, 9).match_limit(limit).build());
        let filled = u64::from(limit.min(4));
        assert_eq!(lots(&scene.desk, &bob.trader, 0), filled as i64);
        // Stopped by its limit it drops its remainder; done with the side it rests it.
        let rests = if limit < 4 { vec![] } else { vec![(MARK + 10, 5)] };
        assert_eq!(book(&scene.desk, 0, Side::Bid), rests);
        assert_eq!(book(&scene.desk, 0, Side::Ask).len() as u64, 4 - filled);
    }
}

/// 42: what expired is cleared at a bounded cost, and every attempt makes progress.
#[test]
fn attack_pile_of_expired_orders() {
    let mut scene = Scene::on(&MarketSpec { side_capacity: 256, ..MarketSpec::sol() });
    let (alice, bob) = (scene.alice, scene.bob);
    let carol = party(&mut scene.desk, 0);
    let soon = UnixSeconds::new(scene.desk.chain.unix_seconds() + 1);
    for _ in 0..128 {
        scene.place(&alice, &ask(MARK, 1).expires_at(soon).build()).unwrap();
        scene.place(&carol, &ask(MARK, 1).expires_at(soon).build()).unwrap();
    }
    scene.wait(2);
    let mut left = 256;
    for limit in [1, 50, 200] {
        let used = scene.place(&bob, &bid(MARK, 5).match_limit(limit).build()).unwrap();
        left -= u64::from(limit).min(left);
        assert_eq!(book(&scene.desk, 0, Side::Ask).len() as u64, left);
        assert_eq!(lots(&scene.desk, &bob.trader, 0), 0);
        assert!(used.compute_units < 200_000, "{} units", used.compute_units);
        scene.desk.check().unwrap();
    }
    // Five remain: they go, and the order rests.
    scene.accept(&bob, &bid(MARK, 5).build());
    assert_eq!((book(&scene.desk, 0, Side::Ask), book(&scene.desk, 0, Side::Bid)), (vec![], vec![(MARK, 5)]));
    for party in [alice, carol] {
        let (_, position) = read::position(&scene.desk, &party.trader, 0).unwrap();
        assert_eq!((position.orders, position.open_ask_lots.get()), (0, 0));
    }
}

/// 71: the largest sweep there is fits a transaction's default budget.
#[test]
fn attack_sweep_of_most_orders_stays_within_the_budget() {
    let mut scene = Scene::on(&MarketSpec { side_capacity: 256, ..MarketSpec::sol() });
    let (alice, bob) = (scene.alice, scene.bob);
    let carol = party(&mut scene.desk, 0);
    for step in 0..128 {
        scene.place(&alice, &ask(MARK + 2 * step, 1).build()).unwrap();
        scene.place(&carol, &ask(MARK + 2 * step + 1, 1).build()).unwrap();
    }
    let used = scene.place(&bob, &bid(220_000, 256).match_limit(255).build()).unwrap();
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 255);
    assert!(used.compute_units < 200_000, "{} units", used.compute_units);
    scene.desk.check().unwrap();
}

/// 42, 24: a full side costs its owner margin, and never keeps a better order out.
#[test]
fn attack_filling_the_book() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let carol = party(&mut scene.desk, 0);
    for _ in 0..SIDE {
        scene.accept(&alice, &bid(1, 1).build());
    }
    // As good as the pile is not better; one tick is.
    let instruction = scene.order(&bob, &bid(1, 1).build());
    refuses(&mut scene.desk.chain, instruction, EngineError::BookFull);
    for price in 2..2 + SIDE {
        scene.accept(&bob, &bid(price, 1).build());
    }
    assert!(handles(&scene.desk, &alice.trader, 0).is_empty());
    let (_, evicted) = read::position(&scene.desk, &alice.trader, 0).unwrap();
    assert_eq!((evicted.orders, evicted.open_bid_lots.get(), evicted.open_bid_notional.get()), (0, 0, 0));
    assert_eq!(wealth(&scene, &alice), (CAPITAL + POCKET) as i64, "her margin is free again");
    // A maker can be evicted by itself, too.
    scene.accept(&bob, &bid(100, 1).build());
    assert_eq!(handles(&scene.desk, &bob.trader, 0).len(), SIDE as usize);
    scene.accept(&carol, &ask(MARK, 1).build());
}

/// 22.
#[test]
fn attack_reduce_only_cannot_flip() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.trade(5);
    scene.accept(&alice, &bid(MARK - 1, 1_000).build());
    // Resting twice over, then taking: at most what is held is ever sold.
    scene.accept(&bob, &ask(MARK + 1, 5).reduce_only().build());
    scene.accept(&bob, &ask(MARK + 2, 5).reduce_only().build());
    scene.accept(&bob, &ask(MARK - 1, 1_000).reduce_only().immediate_or_cancel().build());
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 0);
    let instruction = scene.order(&bob, &ask(MARK - 1, 1).reduce_only().build());
    refuses(&mut scene.desk.chain, instruction, EngineError::ReduceOnlyNothingToReduce);
    let carol = party(&mut scene.desk, 0);
    scene.accept(&carol, &bid(MARK + 2, 100).build());
    assert_eq!(lots(&scene.desk, &bob.trader, 0), 0, "resting reduce-only orders have nothing to sell");
    assert_eq!(lots(&scene.desk, &carol.trader, 0), 0);
    assert_eq!(book(&scene.desk, 0, Side::Ask), []);
}

/// 43: replacing an order gives up its place.
#[test]
fn attack_a_replaced_order_goes_to_the_end() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(MARK, 1).build());
    scene.accept(&bob, &bid(MARK, 2).build());
    let (node, sequence) = handles(&scene.desk, &alice.trader, 0)[0];
    let market = scene.market();
    let cancel = scene.desk.venue.cancel_order(&alice.trader, &market, node, sequence);
    let again = scene.order(&alice, &bid(MARK, 3).build());
    scene.desk.chain.send_all(&[cancel, again]).unwrap();
    assert_eq!(handles(&scene.desk, &alice.trader, 0)[0].0, node, "in the same node");
    assert_eq!(book(&scene.desk, 0, Side::Bid), [(MARK, 2), (MARK, 3)]);
}

/// 73: an order kept back does not run later than its signer wanted.
#[test]
fn attack_landing_a_signed_order_late() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let until = UnixSeconds::new(scene.desk.chain.unix_seconds() + 5);
    let market = scene.market();
    let order = bid(MARK, 1).build();
    let instruction = scene.desk.venue.place_order(&alice.trader, &market, &order, until);
    scene.wait(6);
    refuses(&mut scene.desk.chain, instruction, quantdesk_client::Refusal::InstructionExpired);
}

/// 65: no number a caller may name overflows anything or slips through.
#[test]
fn attack_extreme_numbers() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let market = scene.market();
    let extremes = [0, 1, u64::from(u32::MAX), 1 << 62, i64::MAX as u64, 1 << 63, u64::MAX];
    for lots in extremes {
        for price in [0, 1, MARK, 4_000_000, u32::MAX] {
            let instruction = scene.order(&alice, &ask(price, lots).build());
            let before = Snapshot::of(&scene.desk.chain);
            let sent = scene.desk.chain.clone().send(instruction);
            let error = sent.err().map(|failure| failure.error.expect("the program's own error"));
            let fine = (180_000..=4_000_000).contains(&price) && lots == 1;
            assert_eq!(error.is_none(), fine, "{price} {lots}: {error:?}");
            before.unchanged(&scene.desk.chain);
        }
    }
    for atoms in extremes.into_iter().filter(|atoms| *atoms > CAPITAL) {
        let instruction = scene.withdraw(&alice, atoms);
        refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    }
    let handle = (quantdesk_client::engine::NodeIndex::NIL, quantdesk_client::engine::Sequence::MAX);
    let instruction = scene.desk.venue.cancel_order(&alice.trader, &market, handle.0, handle.1);
    refuses(&mut scene.desk.chain, instruction, EngineError::OrderNotFound);
    let nil = Trader { cell: quantdesk_client::engine::CellIndex::NIL, ..alice.trader };
    let instruction = scene.desk.venue.close_trader(&nil);
    refuses(&mut scene.desk.chain, instruction, EngineError::TraderNotFound);
}
