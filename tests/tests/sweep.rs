//! `Sweep`: what it finds, what it keeps, where it goes on, and what it leaves alone.

use quantdesk_client::{
    Refusal,
    engine::{
        EngineError, Side,
        risk::scan,
        state::{LedgerHeader, ledger::Watched},
    },
};
use quantdesk_tests::{
    failing::{self, party_with, walk},
    read, refuses,
    scene::{Party, Scene},
    snapshot::{Frame, Snapshot},
};
use std::mem::offset_of;

/// Ten accounts, each a little richer than the one before, long 0.1 SOL bought at $200, and the price at $193.
fn ten() -> (Scene, Vec<Party>) {
    let mut scene = Scene::new();
    let bob = scene.bob;
    let all: Vec<_> = (0..10u64)
        .map(|number| {
            let party = party_with(&mut scene.desk, 1_020_000 + number * 10_000);
            failing::open(&mut scene, Side::Bid, &party, &bob, 100);
            party
        })
        .collect();
    walk(&mut scene, 193_000);
    (scene, all)
}

fn watch(scene: &Scene) -> Vec<Watched> {
    read::header(&scene.desk).watch.into_iter().filter(|it| !it.generation.is_zero()).collect()
}

#[test]
fn keeps_the_worst_and_touches_nothing_else() {
    let (mut scene, all) = ten();
    let before = Snapshot::of(&scene.desk.chain);
    scene.desk.chain.send(scene.desk.venue.sweep(48)).unwrap();
    let kept = watch(&scene);
    let worst: Vec<_> = all.iter().take(8).map(|it| (it.trader.cell.get(), it.trader.generation)).collect();
    assert_eq!(kept.iter().map(|it| (it.trader, it.generation)).collect::<Vec<_>>(), worst);
    // Equity as a share of 482,500: 1,010,000 less 700,000 of loss, in millionths.
    assert_eq!(u64::from(kept[0].health.get()), 310_000 * 1_000_000 / 482_500);
    assert_eq!(i64::from(kept[0].seen_at), scene.desk.chain.unix_seconds());
    assert!(kept.is_sorted_by_key(|it| it.health));
    let ledger = scene.desk.venue.ledger;
    let start = offset_of!(LedgerHeader, sweep_cursor);
    before.only(&scene.desk.chain, &Frame::new().bytes(ledger, start..start + 4 + 8 * 16));
    scene.desk.check().unwrap();
    // A scan of the bytes off chain finds all ten.
    let view = scene.desk.ledger_view().unwrap();
    let found: Vec<_> = scan::scan(&view, read::now(&scene.desk.chain).unix_seconds).map(|it| it.trader).collect();
    assert_eq!(found, all.iter().map(|it| it.trader.cell).collect::<Vec<_>>());
}

#[test]
fn small_steps_go_round_and_end_alike() {
    let (mut scene, _) = ten();
    let mut whole = scene.clone();
    whole.desk.chain.send(whole.desk.venue.sweep(u16::MAX)).unwrap();
    let end = read::header(&scene.desk).cells.high_water();
    for step in 1..=end {
        scene.desk.chain.send(scene.desk.venue.sweep(1)).unwrap();
        assert_eq!(read::header(&scene.desk).sweep_cursor.get(), step);
        // The same instruction again must not count as the same transaction.
        scene.desk.chain.next_slot();
    }
    let members = |scene: &Scene| watch(scene).iter().map(|it| it.trader).collect::<Vec<_>>();
    assert_eq!(members(&scene), members(&whole));
    scene.desk.chain.send(scene.desk.venue.sweep(5)).unwrap();
    assert_eq!(read::header(&scene.desk).sweep_cursor.get(), 5, "from the beginning");
}

#[test]
fn who_recovers_or_is_gone_leaves_the_list() {
    let (mut scene, all) = ten();
    scene.desk.chain.send(scene.desk.venue.sweep(48)).unwrap();
    assert_eq!(watch(&scene).len(), 8);
    let rescue = all[0];
    let (tokens, trader) = (scene.desk.fund(&rescue.trader.authority, 1_000_000).unwrap(), rescue.trader);
    let deposit = scene.desk.venue.deposit(&trader, tokens, quantdesk_client::engine::QuoteAtoms::new(1_000_000));
    scene.desk.chain.send(deposit).unwrap();
    scene.desk.chain.send(scene.desk.venue.sweep(1)).unwrap();
    assert_eq!(watch(&scene).len(), 7, "looked at again, wherever the cursor is");
    assert!(watch(&scene).iter().all(|it| it.trader != trader.cell.get()));
    walk(&mut scene, 200_000);
    scene.desk.chain.send(scene.desk.venue.sweep(1)).unwrap();
    assert_eq!(watch(&scene), []);
}

/// Nobody is put on the list at a price that nobody may act on.
#[test]
fn finds_nobody_at_a_dead_price() {
    let (mut scene, _) = ten();
    scene.wait(700);
    scene.desk.chain.send(scene.desk.venue.sweep(48)).unwrap();
    assert_eq!(watch(&scene), []);
}

#[test]
fn refuses_what_is_no_ledger() {
    let mut scene = Scene::new();
    let sweep = scene.desk.venue.sweep(9);
    for (address, error) in [
        (scene.market(), EngineError::AccountType.into()),
        (scene.desk.venue.exchange, quantdesk_client::error::ProgramError::from(EngineError::AccountType)),
        (scene.desk.venue.vault, Refusal::WrongOwner.into()),
    ] {
        let mut instruction = sweep.clone();
        instruction.accounts[0].pubkey = address;
        refuses(&mut scene.desk.chain, instruction, error);
    }
    let instruction = scene.desk.venue.sweep(0);
    refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
}
