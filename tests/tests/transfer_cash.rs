//! `TransferCash`: between the accounts of one owner, what is free, and nothing else.

use quantdesk_client::{
    Refusal,
    engine::{EngineError, Generation, Ppm, QuoteAtoms, state::CashEventKind, state::ledger::Policy},
    instruction::Trader,
};
use quantdesk_sim::desk::POLICY;
use quantdesk_tests::{
    read,
    read::LedgerMap,
    refuses,
    scene::{self, CAPITAL, LEDGER, Party, Scene, bid},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;

/// A scene in which Bob has another account.
fn family() -> (Scene, Party) {
    let mut scene = Scene::new();
    let owner = scene.bob.trader.authority;
    let sibling = scene::party_of(&mut scene.desk, owner, 1);
    (scene, sibling)
}

fn transfer(scene: &Scene, from: &Trader, to: &Trader, atoms: u64) -> Instruction {
    scene.desk.venue.transfer_cash(from, to, QuoteAtoms::new(atoms))
}

#[test]
fn moves_cash_and_nothing_else() {
    let (mut scene, sibling) = family();
    let bob = scene.bob;
    let (before, money) = (Snapshot::of(&scene.desk.chain), read::money(&scene.desk));
    scene.desk.chain.send(transfer(&scene, &bob.trader, &sibling.trader, 7)).unwrap();
    let ledger = scene.desk.venue.ledger;
    let written = read::header(&scene.desk).events_written.get();
    let cash = |party: &Party| LEDGER.cell(party.trader.cell).start + 72..LEDGER.cell(party.trader.cell).start + 80;
    let paid_in = |party: &Party| LEDGER.cell(party.trader.cell).start + 48..LEDGER.cell(party.trader.cell).start + 56;
    let frame = Frame::new()
        .bytes(ledger, cash(&bob))
        .bytes(ledger, cash(&sibling))
        .bytes(ledger, paid_in(&bob))
        .bytes(ledger, paid_in(&sibling))
        .bytes(ledger, LedgerMap::events_written())
        .bytes(ledger, LEDGER.event(written - 1))
        .bytes(ledger, LEDGER.event(written));
    before.only(&scene.desk.chain, &frame);
    assert_eq!(read::money(&scene.desk), money);
    let capital = CAPITAL as i64;
    assert_eq!(read::cash(&scene.desk, &bob.trader), capital - 7);
    assert_eq!(read::cash(&scene.desk, &sibling.trader), capital + 7);
    let events = read::cash_events(&scene.desk);
    let [gave, got] = events[events.len() - 2..] else { panic!("two records") };
    for (event, party, amount, balance) in [(gave, bob, -7, capital - 7), (got, sibling, 7, capital + 7)] {
        assert_eq!((event.kind(), event.amount), (Some(CashEventKind::CashTransferred), amount));
        assert_eq!((event.trader, event.generation), (party.trader.cell, party.trader.generation));
        assert_eq!(event.balance, balance);
    }
    scene.desk.check().unwrap();
}

#[test]
fn amounts_of_zero_and_too_much() {
    let (mut scene, sibling) = family();
    let bob = scene.bob;
    let instruction = transfer(&scene, &bob.trader, &sibling.trader, 0);
    refuses(&mut scene.desk.chain, instruction, EngineError::AmountZero);
    for atoms in [CAPITAL + 1, i64::MAX as u64, 1 << 63, u64::MAX] {
        let instruction = transfer(&scene, &bob.trader, &sibling.trader, atoms);
        refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    }
    scene.desk.chain.send(transfer(&scene, &bob.trader, &sibling.trader, CAPITAL)).unwrap();
    let instruction = transfer(&scene, &bob.trader, &sibling.trader, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
}

#[test]
fn only_between_accounts_of_one_owner() {
    let (mut scene, sibling) = family();
    let (alice, bob) = (scene.alice, scene.bob);
    for target in [bob, alice] {
        let instruction = transfer(&scene, &bob.trader, &target.trader, 1);
        refuses(&mut scene.desk.chain, instruction, EngineError::TransferInvalid);
    }
    // Out of somebody else's, whoever signs.
    for target in [sibling, alice, bob] {
        let thief = Trader { authority: bob.trader.authority, ..alice.trader };
        let instruction = transfer(&scene, &thief, &target.trader, 1);
        refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    }
    let mut unsigned = transfer(&scene, &bob.trader, &sibling.trader, 1);
    unsigned.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, unsigned, Refusal::SignatureMissing);
    let mut readonly = transfer(&scene, &bob.trader, &sibling.trader, 1);
    readonly.accounts[1].is_writable = false;
    refuses(&mut scene.desk.chain, readonly, Refusal::NotWritable);
    // A delegate trades, and no more.
    let delegated = scene::delegate(&mut scene.desk, &bob.trader, alice.trader.authority);
    let instruction = transfer(&scene, &delegated, &sibling.trader, 1);
    refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    // Other incarnations, at either end.
    let older = |trader: &Trader| Trader { generation: Generation::new(trader.generation.get() + 1), ..*trader };
    for (from, to) in [(older(&bob.trader), sibling.trader), (bob.trader, older(&sibling.trader))] {
        let instruction = transfer(&scene, &from, &to, 1);
        refuses(&mut scene.desk.chain, instruction, EngineError::TraderNotFound);
    }
}

#[test]
fn attack_margin_of_positions_cannot_be_moved_to_a_sibling() {
    let (mut scene, sibling) = family();
    let (alice, bob) = (scene.alice, scene.bob);
    // 10 SOL at 200: $2,000, margin $100; Bob paid $1 in fees.
    scene.trade(10_000);
    let free = CAPITAL - 1_000_000 - 100_000_000;
    let instruction = transfer(&scene, &bob.trader, &sibling.trader, free + 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    scene.accept(&bob, &bid(100_000, 5_000).build());
    let instruction = transfer(&scene, &bob.trader, &sibling.trader, free - 50_000_000 + 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    scene.desk.chain.send(transfer(&scene, &bob.trader, &sibling.trader, free - 50_000_000)).unwrap();
    let instruction = transfer(&scene, &bob.trader, &sibling.trader, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawExceedsAvailable);
    scene.desk.check().unwrap();
    // Exposed to a price that is not fresh, nothing moves; into the account it may.
    scene.wait(31);
    let instruction = transfer(&scene, &bob.trader, &sibling.trader, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::PriceNotValidForAction);
    scene.desk.chain.send(transfer(&scene, &sibling.trader, &bob.trader, 1)).unwrap();
    assert_ne!(alice.trader.cell, bob.trader.cell);
}

#[test]
fn attack_nothing_leaves_or_enters_a_bankrupt_account() {
    let (mut scene, sibling) = family();
    let bob = scene.bob;
    scene::mark_bankrupt(&mut scene.desk, &bob.trader);
    for (from, to) in [(bob, sibling), (sibling, bob)] {
        let instruction = transfer(&scene, &from.trader, &to.trader, 1);
        refuses(&mut scene.desk.chain, instruction, EngineError::AccountBankrupt);
    }
}

#[test]
fn no_token_moves_so_no_limiter_applies() {
    let mut scene =
        Scene::with_policy(Policy { outflow_rate: Ppm::new(1_000), outflow_floor: QuoteAtoms::ZERO, ..POLICY });
    let bob = scene.bob;
    let sibling = scene::party_of(&mut scene.desk, bob.trader.authority, 1);
    scene.desk.chain.send(scene.withdraw(&bob, CAPITAL / 2)).unwrap();
    assert_eq!(read::header(&scene.desk).queue_len, 1);
    scene.desk.chain.send(transfer(&scene, &sibling.trader, &bob.trader, CAPITAL)).unwrap();
    scene.desk.check().unwrap();
    // The sibling's money does not leave sooner that way.
    let instruction = scene.withdraw(&bob, 1);
    refuses(&mut scene.desk.chain, instruction, EngineError::WithdrawalWaiting);
}
