//! `CollectFees`: the fees bucket to the atom, and nothing but it.

use quantdesk_client::{
    Refusal,
    engine::{EngineError, QuoteAtoms, state::CashEventKind},
};
use quantdesk_tests::{
    read, refuses,
    scene::{self, LEDGER, MARK, Scene, TOKEN_2022, ask, bid, edit_token},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;

use quantdesk_client::Address;

/// A scene in which 10 lots were traded at the mark, and a token account of the admin. Of 2,000,000 atoms the taker paid
/// 500 ppm and the maker was given 100.
fn earned() -> (Scene, Address) {
    let mut scene = Scene::new();
    scene.trade(10);
    assert_eq!(read::money(&scene.desk).1, FEES);
    let admin = scene.desk.admin;
    let target = scene.desk.fund(&admin, 5).unwrap();
    (scene, target)
}

const FEES: i64 = 1_000 - 200;

fn collect(scene: &Scene, target: Address, atoms: u64) -> Instruction {
    scene.desk.venue.collect_fees(scene.desk.admin, target, QuoteAtoms::new(atoms))
}

#[test]
fn pays_out_what_was_earned() {
    let (mut scene, target) = earned();
    for (atoms, left) in [(1, FEES - 1), (FEES as u64 - 1, 0)] {
        let (before, (total, _, vault)) = (Snapshot::of(&scene.desk.chain), read::money(&scene.desk));
        let held = scene.desk.chain.tokens(&target).unwrap();
        scene.desk.chain.send(collect(&scene, target, atoms)).unwrap();
        assert_eq!(read::money(&scene.desk), (total - atoms as i64, left, vault - atoms));
        assert_eq!(scene.desk.chain.tokens(&target).unwrap(), held + atoms);
        let venue = scene.desk.venue;
        let written = read::header(&scene.desk).events_written.get();
        let frame = Frame::new()
            .tokens(target)
            .tokens(venue.vault)
            .bytes(venue.ledger, read::LedgerMap::total())
            .bytes(venue.ledger, read::LedgerMap::fees())
            .bytes(venue.ledger, read::LedgerMap::events_written())
            .bytes(venue.ledger, LEDGER.event(written));
        before.only(&scene.desk.chain, &frame);
        let event = *read::cash_events(&scene.desk).last().unwrap();
        assert_eq!((event.kind(), event.amount), (Some(CashEventKind::FeesCollected), atoms as i64));
        assert!(event.trader.is_nil());
        scene.desk.check().unwrap();
    }
}

#[test]
fn cannot_reach_anything_but_fees() {
    let (mut scene, target) = earned();
    for atoms in [FEES as u64 + 1, read::money(&scene.desk).2, 1 << 62, i64::MAX as u64, 1 << 63, u64::MAX] {
        let instruction = collect(&scene, target, atoms);
        refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    }
    let instruction = collect(&scene, target, 0);
    refuses(&mut scene.desk.chain, instruction, EngineError::AmountZero);
    // A donation is not a fee.
    edit_token(&mut scene.desk.chain, scene.desk.venue.vault, |vault| vault.amount += 1_000_000);
    let instruction = collect(&scene, target, FEES as u64 + 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
}

#[test]
fn nothing_was_earned_before_the_first_fill() {
    let mut scene = Scene::new();
    let admin = scene.desk.admin;
    let target = scene.desk.fund(&admin, 0).unwrap();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &ask(MARK + 1, 5).build());
    scene.accept(&bob, &bid(MARK, 5).build());
    let instruction = collect(&scene, target, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
}

#[test]
fn only_to_the_admin() {
    let (mut scene, target) = earned();
    let mut instruction = collect(&scene, target, 1);
    instruction.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::SignatureMissing);
    let alice = scene.alice;
    let instruction = scene.desk.venue.collect_fees(alice.trader.authority, alice.tokens, QuoteAtoms::new(1));
    refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    let instruction = collect(&scene, alice.tokens, 1);
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongTokenOwner);
    let instruction = collect(&scene, scene.desk.venue.vault, 1);
    refuses(&mut scene.desk.chain, instruction, Refusal::AccountTwice);
    // The admin's account of another mint.
    edit_token(&mut scene.desk.chain, target, |token| token.mint = [9; 32].into());
    let instruction = collect(&scene, target, 1);
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongMint);
}

#[test]
fn only_from_its_own_vault() {
    let (mut scene, target) = earned();
    let admin = scene.desk.admin;
    let (other, ()) = scene::beside(&mut scene.desk, 2, admin, |_| ());
    edit_token(&mut scene.desk.chain, other.venue.vault, |vault| vault.amount = 1_000);
    let authority = quantdesk_client::address::vault_authority(&other.venue.program, &other.venue.ledger);
    let cases = [
        (1, other.venue.exchange, Refusal::WrongLedger),
        (2, other.venue.ledger, Refusal::WrongLedger),
        (4, other.venue.vault, Refusal::WrongVault),
        (5, authority, Refusal::WrongAddress),
        (6, TOKEN_2022, Refusal::WrongTokenProgram),
    ];
    for (place, address, refusal) in cases {
        let mut instruction = collect(&scene, target, 1);
        instruction.accounts[place].pubkey = address;
        refuses(&mut scene.desk.chain, instruction, refusal);
    }
    for place in 2..5 {
        let mut instruction = collect(&scene, target, 1);
        instruction.accounts[place].is_writable = false;
        refuses(&mut scene.desk.chain, instruction, Refusal::NotWritable);
    }
}
