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

/// What the pool gets of an amount: a tenth, up.
const fn pooled(atoms: u64) -> u64 {
    atoms.div_ceil(10)
}

fn collect(scene: &Scene, target: Address, atoms: u64) -> Instruction {
    scene.desk.venue.collect_fees(scene.desk.admin, target, QuoteAtoms::new(atoms))
}

#[test]
fn pays_out_what_was_earned() {
    let (mut scene, target) = earned();
    for (atoms, left) in [(101, FEES - 101), (FEES as u64 - 101, 0)] {
        let (before, (total, _, vault)) = (Snapshot::of(&scene.desk.chain), read::money(&scene.desk));
        let held = scene.desk.chain.tokens(&target).unwrap();
        let pool = read::header(&scene.desk).pool.get().get();
        scene.desk.chain.send(collect(&scene, target, atoms)).unwrap();
        let paid = atoms - pooled(atoms);
        assert_eq!(read::money(&scene.desk), (total - paid as i64, left, vault - paid));
        assert_eq!(scene.desk.chain.tokens(&target).unwrap(), held + paid);
        assert_eq!(read::header(&scene.desk).pool.get().get(), pool + pooled(atoms) as i64);
        let venue = scene.desk.venue;
        let written = read::header(&scene.desk).events_written.get();
        let frame = Frame::new()
            .tokens(target)
            .tokens(venue.vault)
            .bytes(venue.ledger, read::LedgerMap::total())
            .bytes(venue.ledger, read::LedgerMap::fees())
            .bytes(venue.ledger, read::LedgerMap::pool())
            .bytes(venue.ledger, read::LedgerMap::outflow())
            .bytes(venue.ledger, read::LedgerMap::events_written())
            .bytes(venue.ledger, LEDGER.event(written - 1))
            .bytes(venue.ledger, LEDGER.event(written));
        before.only(&scene.desk.chain, &frame);
        let events = read::cash_events(&scene.desk);
        let records = events[events.len() - 2..].iter().map(|event| (event.kind().unwrap(), event.amount));
        let expected = [(CashEventKind::FeesCollected, paid as i64), (CashEventKind::PoolFunded, pooled(atoms) as i64)];
        assert!(records.eq(expected));
        assert!(events[events.len() - 2..].iter().all(|event| event.trader.is_nil()));
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
fn an_atom_of_which_the_pool_gets_all_moves_no_token() {
    let (mut scene, target) = earned();
    let (total, fees, vault) = read::money(&scene.desk);
    scene.desk.chain.send(collect(&scene, target, 1)).unwrap();
    assert_eq!(read::money(&scene.desk), (total, fees - 1, vault));
    assert_eq!(scene.desk.chain.tokens(&target).unwrap(), 5);
    assert_eq!(read::header(&scene.desk).pool.get().get(), 1);
    scene.desk.check().unwrap();
}

/// What rounding and virtual shares leave in the pool is nobody's, and goes with the last fees: once nobody is there.
#[test]
fn an_exchange_can_be_left_empty() {
    let mut scene = Scene::new();
    let admin = scene.desk.admin;
    let target = scene.desk.fund(&admin, 0).unwrap();
    let (alice, bob) = (scene.alice, scene.bob);
    let fund = scene.desk.venue.fund_pool(&alice.trader, QuoteAtoms::new(777));
    scene.desk.chain.send(fund).unwrap();
    for person in [&alice, &bob] {
        let cash = read::cash(&scene.desk, &person.trader) as u64;
        let leave = scene.desk.venue.withdraw(&person.trader, person.tokens, QuoteAtoms::new(cash));
        scene.desk.chain.send(leave).unwrap();
        let instruction = collect(&scene, target, 777);
        refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    }
    for person in [&alice, &bob] {
        let instruction = collect(&scene, target, 777);
        refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
        scene.desk.chain.send(scene.desk.venue.close_trader(&person.trader)).unwrap();
    }
    let traders = read::header(&scene.desk).traders;
    assert_eq!(traders, 0, "the scene has two accounts");
    scene.desk.chain.send(collect(&scene, target, 777)).unwrap();
    assert_eq!(read::money(&scene.desk), (0, 0, 0));
    assert_eq!(scene.desk.chain.tokens(&target).unwrap(), 777);
    scene.desk.check().unwrap();
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
