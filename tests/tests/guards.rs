//! What an owner sets for the day a key is stolen: delegate, fee limit, withdraw delay and targets, through the program.

use quantdesk_client::{
    Address, Refusal,
    engine::{
        EngineError, Ppm, QuoteAtoms,
        book::Sides,
        state::{CashEventKind, ledger::Policy},
    },
    instruction::Trader,
};
use quantdesk_sim::desk::POLICY;
use quantdesk_tests::{
    read::{self, cash, handles},
    refuses,
    scene::{self, CAPITAL, MARK, PRICE, Party, Scene, ask, bid},
};

const HOUR: i64 = 3_600;

fn last(scene: &Scene) -> (Option<CashEventKind>, i64, i64) {
    let event = *read::cash_events(&scene.desk).last().unwrap();
    (event.kind(), event.amount, event.balance)
}

fn allow(scene: &mut Scene, trader: &Trader, target: &Address, allowed: bool) {
    scene.desk.chain.send(scene.desk.venue.allow_target(trader, target, allowed)).unwrap();
    scene.desk.check().unwrap();
}

fn delay(scene: &mut Scene, trader: &Trader, seconds: u32) {
    scene.desk.chain.send(scene.desk.venue.set_withdraw_delay(trader, seconds)).unwrap();
    scene.desk.check().unwrap();
}

/// Alice is guarded by an hour and may withdraw to her token account.
fn guarded(policy: Policy) -> Scene {
    let mut scene = Scene::with_policy(policy);
    let alice = scene.alice;
    allow(&mut scene, &alice.trader, &alice.tokens, true);
    delay(&mut scene, &alice.trader, HOUR as u32);
    scene
}

#[test]
fn a_delegate_comes_and_goes() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let used = read::header(&scene.desk).cells.in_use();
    let delegate = scene::delegate(&mut scene.desk, &alice.trader, bob.trader.authority);
    assert_eq!(last(&scene), (Some(CashEventKind::DelegateSet), 1, CAPITAL as i64));
    let as_delegate = Party { trader: delegate, ..alice };
    scene.accept(&as_delegate, &bid(MARK - 1, 1).build());
    scene.desk.chain.send(scene.desk.venue.heartbeat(&delegate, 60)).unwrap();
    scene.desk.chain.send(scene.desk.venue.set_delegate(&alice.trader, None)).unwrap();
    assert_eq!(last(&scene), (Some(CashEventKind::DelegateSet), 0, CAPITAL as i64));
    let cancel = scene.desk.venue.cancel_all(&delegate, &scene.market(), Sides::Both, 9);
    refuses(&mut scene.desk.chain, cancel, Refusal::NotAuthorized);
    assert_eq!(read::header(&scene.desk).cells.in_use(), used + 1, "her position's alone");
    scene.desk.check().unwrap();
}

/// What a delegate may not: cash, keys, limits.
#[test]
fn attack_a_delegate_reaching_for_cash_and_keys() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let sibling = scene::party_of(&mut scene.desk, alice.trader.authority, 1);
    let delegate = scene::delegate(&mut scene.desk, &alice.trader, bob.trader.authority);
    let (party, venue, one) = (Party { trader: delegate, tokens: bob.tokens }, scene.desk.venue, QuoteAtoms::new(1));
    scene.desk.chain.give_lamports(bob.trader.authority, 1 << 40).unwrap();
    let terms = scene.terms();
    for instruction in [
        scene.deposit(&party, 1),
        scene.withdraw(&party, 1),
        venue.transfer_cash(&delegate, &sibling.trader, one),
        venue.stake_pool(&delegate, one),
        venue.fund_pool(&delegate, one),
        venue.close_trader(&delegate),
        venue.set_builder_max(&delegate, 1),
        venue.set_delegate(&delegate, None),
        venue.open_session(&delegate, bob.tokens, &terms),
        venue.set_fee_max(&delegate, None),
        venue.set_withdraw_delay(&delegate, 0),
        venue.allow_target(&delegate, &bob.tokens, true),
    ] {
        refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    }
}

/// 80: a fee raised between signing and landing.
#[test]
fn orders_cost_no_more_than_their_owner_accepts() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let fee = read::row(&scene.desk, 0).taker_fee;
    let venue = scene.desk.venue;
    scene.desk.chain.send(venue.set_fee_max(&alice.trader, Some(fee))).unwrap();
    assert_eq!(last(&scene), (Some(CashEventKind::FeeMaxSet), fee.get().into(), CAPITAL as i64));
    scene.accept(&alice, &bid(MARK - 1, 1).build());
    let less = Ppm::new(fee.get() - 1);
    scene.desk.chain.send(venue.set_fee_max(&alice.trader, Some(less))).unwrap();
    for order in [bid(MARK - 1, 1), ask(MARK + 1, 1).post_only(), bid(MARK, 1).immediate_or_cancel()] {
        let instruction = scene.order(&alice, &order.build());
        refuses(&mut scene.desk.chain, instruction, EngineError::FeeTooHigh);
    }
    let (node, sequence) = handles(&scene.desk, &alice.trader, 0)[0];
    let cancel = venue.cancel_order(&alice.trader, &scene.market(), node, sequence);
    scene.desk.chain.send(cancel).unwrap();
    scene.desk.chain.send(venue.set_fee_max(&alice.trader, None)).unwrap();
    assert_eq!(last(&scene).1, i64::from(u32::MAX));
    scene.accept(&alice, &bid(MARK - 1, 1).build());
}

/// A thief with the owner's key: nothing leaves before the delay has passed, and the owner has the last word.
#[test]
fn attack_withdrawing_with_the_owners_key() {
    let mut scene = guarded(POLICY);
    let alice = scene.alice;
    let (owner, mint) = (alice.trader.authority, scene.desk.venue.mint);
    // Tokens go to the owner's accounts alone anyway; this one the thief has a hand on.
    let loot = scene.desk.name(b"loot");
    scene.desk.chain.create_token_account(loot, &mint, &owner, 0).unwrap();
    let as_thief = Party { tokens: loot, ..alice };
    let theft = scene.withdraw(&as_thief, 1);
    refuses(&mut scene.desk.chain, theft, EngineError::TargetNotAllowed);
    delay(&mut scene, &alice.trader, 0);
    assert_eq!(last(&scene), (Some(CashEventKind::WithdrawDelaySet), 0, CAPITAL as i64));
    allow(&mut scene, &alice.trader, &loot, true);
    assert_eq!(last(&scene), (Some(CashEventKind::TargetSet), HOUR, CAPITAL as i64));
    scene.wait(HOUR - 1);
    let theft = scene.withdraw(&as_thief, 1);
    refuses(&mut scene.desk.chain, theft, EngineError::TargetNotAllowed);
    // The owner sees it, takes everything back and out.
    allow(&mut scene, &alice.trader, &loot, false);
    assert_eq!(last(&scene), (Some(CashEventKind::TargetSet), -1, CAPITAL as i64));
    delay(&mut scene, &alice.trader, HOUR as u32);
    scene.wait(2);
    let theft = scene.withdraw(&as_thief, 1);
    refuses(&mut scene.desk.chain, theft, EngineError::TargetNotAllowed);
    let withdraw = scene.withdraw(&alice, CAPITAL);
    scene.desk.chain.send(withdraw).unwrap();
    scene.desk.chain.send(scene.desk.venue.close_trader(&alice.trader)).unwrap();
    scene.desk.check().unwrap();
}

#[test]
fn attack_ways_round_the_targets() {
    let mut scene = guarded(POLICY);
    let (alice, bob, venue) = (scene.alice, scene.bob, scene.desk.venue);
    scene.desk.chain.give_lamports(alice.trader.authority, 1 << 40).unwrap();
    let sibling = scene::party_of(&mut scene.desk, alice.trader.authority, 1);
    scene.desk.chain.send(venue.set_builder_max(&alice.trader, 1_000)).unwrap();
    let one = QuoteAtoms::new(1_000_000);
    let ways = [
        venue.transfer_cash(&alice.trader, &sibling.trader, one),
        venue.stake_pool(&alice.trader, one),
        venue.fund_pool(&alice.trader, one),
        venue.place_ticket(
            &alice.trader,
            &scene.market(),
            &bid(MARK - 1, 1).builder(bob.trader.cell, bob.trader.generation, 1),
        ),
    ];
    for way in &ways {
        refuses(&mut scene.desk.chain, way.clone(), EngineError::AccountGuarded);
    }
    refuses(&mut scene.desk.chain, venue.close_trader(&alice.trader), EngineError::TraderNotEmpty);
    // In comes what likes to, and when the guard has ended all of it is possible again.
    scene.desk.chain.send(venue.transfer_cash(&sibling.trader, &alice.trader, one)).unwrap();
    delay(&mut scene, &alice.trader, 0);
    scene.wait(HOUR);
    scene.desk.set_price(0, PRICE).unwrap();
    for way in ways {
        scene.desk.chain.send(way).unwrap();
    }
    scene.desk.check().unwrap();
}

/// Unstaked by a sub-account, what was staked before the guard is free; what was not cannot be staked.
#[test]
fn attack_a_waiting_withdrawal_to_a_target_struck_off() {
    let slow = Policy {
        outflow_rate: Ppm::new(1_000),
        outflow_floor: QuoteAtoms::new(1),
        queue_seconds: HOUR as u32,
        ..POLICY
    };
    for again in [false, true] {
        let mut scene = guarded(slow);
        let alice = scene.alice;
        let withdraw = scene.withdraw(&alice, CAPITAL);
        scene.desk.chain.send(withdraw).unwrap();
        assert_eq!(cash(&scene.desk, &alice.trader), 0);
        allow(&mut scene, &alice.trader, &alice.tokens, false);
        if again {
            allow(&mut scene, &alice.trader, &alice.tokens, true);
        }
        scene.wait(HOUR - i64::from(again));
        let process = scene.desk.venue.process_withdraw_queue(alice.tokens);
        if again {
            refuses(&mut scene.desk.chain, process.clone(), EngineError::QueueNotDue);
            scene.wait(1);
        }
        scene.desk.chain.send(process).unwrap();
        let (returned, paid) = (CAPITAL as i64, 0);
        // Named again it has waited as long as the withdrawal has.
        let expected = if again { paid } else { returned };
        assert_eq!(cash(&scene.desk, &alice.trader), expected);
        let kind = if again { CashEventKind::WithdrawalPaid } else { CashEventKind::WithdrawalReturned };
        assert_eq!(last(&scene).0, Some(kind));
        scene.desk.check().unwrap();
    }
}
