//! `Heartbeat` and `EnforceDeadman`: who sets the switch, when it has run out, which orders go.

use quantdesk_client::{
    Refusal,
    engine::{
        EngineError, Generation, Side,
        state::{MarketRow, TradeEventKind, TraderCell},
    },
    error::ProgramError,
    instruction::{Target, Trader},
};
use quantdesk_tests::{
    failing::{Native, foreign_market, target, trade_events_since, trading_frame, written},
    read::{self, book, handles},
    refuses,
    scene::{self, LEDGER, MARK, Party, Scene, ask, bid, patch_row},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

fn heartbeat(scene: &Scene, party: &Party, seconds: u32) -> Instruction {
    scene.desk.venue.heartbeat(&party.trader, seconds)
}

fn enforce(scene: &Scene, party: &Party, limit: u8) -> Instruction {
    scene.desk.venue.enforce_deadman(&scene.market(), target(party), limit)
}

/// What a trader's switch is set to, and when.
fn switch(scene: &Scene, party: &Party) -> (u32, i64) {
    let ledger = scene.desk.ledger_view().unwrap();
    let cell = ledger.trader(party.trader.cell).unwrap();
    (cell.deadman_seconds, cell.heartbeat_at.into())
}

#[test]
fn a_heartbeat_sets_the_switch_and_nothing_else() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    let cell = LEDGER.cell(alice.trader.cell).start;
    let place = offset_of!(TraderCell, deadman_seconds);
    assert_eq!((place, offset_of!(TraderCell, heartbeat_at)), (100, 104));
    for seconds in [5, 60, 86_400, 0, 5] {
        scene.wait(1);
        let before = Snapshot::of(&scene.desk.chain);
        scene.desk.chain.send(heartbeat(&scene, &alice, seconds)).unwrap();
        assert_eq!(switch(&scene, &alice), (seconds, scene.desk.chain.unix_seconds()));
        let ledger = scene.desk.venue.ledger;
        before.only(&scene.desk.chain, &Frame::new().bytes(ledger, cell + place..cell + place + 8));
    }
    scene.desk.check().unwrap();
}

#[test]
fn times_out_of_bounds_and_signers_without_a_right() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    for seconds in [1, 4, 86_401, u32::MAX] {
        let instruction = heartbeat(&scene, &alice, seconds);
        refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
    }
    let with = |trader: Trader| Party { trader, ..alice };
    let thief = with(Trader { authority: bob.trader.authority, ..alice.trader });
    let stale = with(Trader { generation: Generation::new(77), ..alice.trader });
    let cases: [(Party, ProgramError); 2] =
        [(thief, Refusal::NotAuthorized.into()), (stale, EngineError::TraderNotFound.into())];
    for (party, error) in cases {
        let instruction = heartbeat(&scene, &party, 5);
        refuses(&mut scene.desk.chain, instruction, error);
    }
    let mut unsigned = heartbeat(&scene, &alice, 5);
    unsigned.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, unsigned, Refusal::SignatureMissing);
    // Who may trade may say that somebody is there.
    assert_eq!(scene::delegate(&mut scene.desk, &alice.trader, bob.trader.authority), thief.trader);
    scene.desk.chain.send(heartbeat(&scene, &thief, 5)).unwrap();
    assert_eq!(switch(&scene, &alice).0, 5);
    assert_eq!(switch(&scene, &bob).0, 0);
}

#[test]
fn the_switch_has_run_out_after_its_last_second() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    scene.accept(&alice, &bid(MARK - 1, 1).build());
    let (alive, dead) = (EngineError::HeartbeatAlive, enforce(&scene, &alice, 255));
    // Off.
    scene.wait(1_000);
    refuses(&mut scene.desk.chain, dead.clone(), alive);
    scene.desk.chain.send(heartbeat(&scene, &alice, 7)).unwrap();
    scene.wait(7);
    refuses(&mut scene.desk.chain, dead.clone(), alive);
    // Once more in time.
    scene.desk.chain.send(heartbeat(&scene, &alice, 5)).unwrap();
    scene.wait(5);
    refuses(&mut scene.desk.chain, dead.clone(), alive);
    scene.wait(1);
    // Off again, though late.
    let mut other = scene.clone();
    other.desk.chain.send(heartbeat(&other, &alice, 0)).unwrap();
    other.wait(1_000);
    refuses(&mut other.desk.chain, dead.clone(), alive);
    scene.desk.chain.send(dead.clone()).unwrap();
    assert_eq!(book(&scene.desk, 0, Side::Bid), []);
    refuses(&mut scene.desk.chain, dead, EngineError::NothingToClose);
}

#[test]
fn orders_go_newest_first_and_those_that_only_reduce_stay() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.trade(10);
    let (held, away) = (read::lots(&scene.desk, &alice.trader, 0), 9);
    let reducing = if held > 0 { ask(MARK + away, 2) } else { bid(MARK - away, 2) };
    scene.accept(&alice, &bid(MARK - 1, 1).build());
    scene.accept(&alice, &reducing.reduce_only().build());
    scene.accept(&alice, &ask(MARK + 1, 1).build());
    scene.accept(&bob, &bid(MARK - 2, 3).build());
    let [newest, spared, oldest] = handles(&scene.desk, &alice.trader, 0)[..] else { panic!("three orders") };
    scene.desk.chain.send(heartbeat(&scene, &alice, 5)).unwrap();
    // Whatever the price and the market's status.
    scene.wait(1_000_000);
    patch_row(&mut scene.desk, 0, offset_of!(MarketRow, index) + 2, &[2]);
    for (gone, left) in [(newest, vec![spared, oldest]), (oldest, vec![spared])] {
        let (before, since) = (Snapshot::of(&scene.desk.chain), written(&scene));
        let mut native = Native::of(&scene.desk, 0);
        assert_eq!(native.trading(|it| it.enforce_deadman(alice.trader.cell, 1)), Ok(1));
        scene.desk.chain.send(enforce(&scene, &alice, 1)).unwrap();
        native.assert_same(&scene.desk);
        assert_eq!(handles(&scene.desk, &alice.trader, 0), left);
        let [event] = trade_events_since(&scene, since.0)[..] else { panic!("one record") };
        assert_eq!((event.kind(), event.order), (Some(TradeEventKind::DeadmanCancelled), gone.1));
        assert_eq!((event.maker, event.taker.is_nil()), (alice.trader.cell, true));
        before.only(&scene.desk.chain, &trading_frame(&scene, &[alice], since));
    }
    let instruction = enforce(&scene, &alice, 255);
    refuses(&mut scene.desk.chain, instruction, EngineError::NothingToClose);
    assert_eq!(handles(&scene.desk, &bob.trader, 0).len(), 1);
    scene.desk.check().unwrap();
}

#[test]
fn refusals_in_order() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let foreign = foreign_market(&mut scene);
    let (venue, market) = (scene.desk.venue, scene.market());
    let nobody = Target { generation: Generation::new(77), ..target(&alice) };
    scene.accept(&bob, &bid(MARK - 1, 1).build());
    scene.desk.chain.send(heartbeat(&scene, &alice, 5)).unwrap();
    scene.wait(6);
    let cases: [(Instruction, ProgramError); 5] = [
        (venue.enforce_deadman(&foreign, nobody, 0), Refusal::FieldInvalid.into()),
        (venue.enforce_deadman(&foreign, nobody, 1), Refusal::WrongLedger.into()),
        (venue.enforce_deadman(&market, nobody, 1), EngineError::TraderNotFound.into()),
        (venue.enforce_deadman(&market, target(&bob), 1), EngineError::HeartbeatAlive.into()),
        // Never in this market.
        (venue.enforce_deadman(&market, target(&alice), 1), EngineError::NothingToClose.into()),
    ];
    for (instruction, error) in cases {
        refuses(&mut scene.desk.chain, instruction, error);
    }
    let mut named = enforce(&scene, &alice, 1);
    named.data[4..8].fill(0);
    refuses(&mut scene.desk.chain, named, Refusal::FieldInvalid);
}
