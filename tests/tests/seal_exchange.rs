//! `SealExchange`: before it markets come at once and cash does not; after it the other way round, for ever.

use quantdesk_client::{
    Refusal,
    engine::{
        EngineError, QuoteAtoms,
        state::{CashEvent, CashEventKind, LedgerHeader, market::market_size},
    },
    instruction::Trader,
};
use quantdesk_sim::{chain::PROGRAM, desk::Desk};
use quantdesk_tests::{
    read::{self, LedgerMap},
    refused_at, refuses,
    scene::{self, LEDGER, Scene, small_desk},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

fn seal(desk: &Desk) -> Instruction {
    desk.venue.seal_exchange(desk.admin)
}

/// A trader without cash, and the deposit it would like to make.
fn hopeful(desk: &mut Desk) -> (Trader, Instruction) {
    let owner = desk.name(b"owner");
    let tokens = desk.fund(&owner, 1_000).unwrap();
    desk.chain.send(desk.venue.open_trader(owner, 0)).unwrap();
    let trader = scene::find(desk, &owner, 0).unwrap();
    (trader, desk.venue.deposit(&trader, tokens, QuoteAtoms::new(1_000)))
}

#[test]
fn seals_once() {
    let mut desk = small_desk();
    desk.list(&scene::sol()).unwrap();
    let before = Snapshot::of(&desk.chain);
    let instruction = seal(&desk);
    desk.chain.send(instruction.clone()).unwrap();
    let place = offset_of!(LedgerHeader, sealed);
    let frame = Frame::new()
        .bytes(desk.venue.ledger, place..place + 1)
        .bytes(desk.venue.ledger, LedgerMap::events_written())
        .bytes(desk.venue.ledger, LEDGER.event(3));
    before.only(&desk.chain, &frame);
    assert_eq!(read::header(&desk).sealed, 1);
    let mut event = CashEvent::new(CashEventKind::ExchangeSealed);
    let now = read::now(&desk.chain);
    (event.sequence, event.slot, event.unix_seconds) = (read::header(&desk).events_written, now.slot, now.unix_seconds);
    event.amount = 1;
    assert_eq!(read::cash_events(&desk)[2], event);
    refuses(&mut desk.chain, instruction, EngineError::ExchangeSealed);
    desk.check().unwrap();
}

#[test]
fn only_the_admin_seals_its_own_exchange() {
    let mut desk = small_desk();
    let mut instruction = seal(&desk);
    instruction.accounts[0].is_signer = false;
    refuses(&mut desk.chain, instruction, Refusal::SignatureMissing);
    let stranger = desk.name(b"stranger");
    let instruction = desk.venue.seal_exchange(stranger);
    refuses(&mut desk.chain, instruction, Refusal::NotAuthorized);
    let admin = desk.admin;
    let (other, ()) = scene::beside(&mut desk, 2, admin, |_| ());
    let mut instruction = seal(&desk);
    instruction.accounts[2].pubkey = other.venue.ledger;
    refuses(&mut desk.chain, instruction, Refusal::WrongLedger);
}

/// An admin who could change everything at once must not have anybody's money meanwhile.
#[test]
fn attack_depositing_into_an_unsealed_exchange() {
    let mut desk = small_desk();
    let market = desk.list(&scene::sol()).unwrap();
    desk.set_price(market, scene::PRICE).unwrap();
    let (_, deposit) = hopeful(&mut desk);
    refuses(&mut desk.chain, deposit.clone(), EngineError::ExchangeNotSealed);
    // In one transaction with the seal it comes after it or not at all.
    let before = Snapshot::of(&desk.chain);
    refused_at(desk.chain.send_all(&[deposit.clone(), seal(&desk)]), 0, EngineError::ExchangeNotSealed);
    before.unchanged(&desk.chain);
    desk.chain.send_all(&[seal(&desk), deposit]).unwrap();
    assert_eq!(read::header(&desk).total.get().get(), 1_000);
    desk.check().unwrap();
}

/// 78: a market of the attacker's own feed, listed at once with a stolen key, in an exchange that holds cash.
#[test]
fn attack_listing_at_once_in_a_sealed_exchange() {
    let mut scene = Scene::new();
    let parameters = scene.desk.markets[0].parameters;
    let fresh = scene.desk.name(b"market");
    let size = market_size(parameters.side_capacity, parameters.events_capacity);
    scene.desk.chain.create_account(fresh, size, PROGRAM).unwrap();
    let list = scene.desk.venue.list_market(scene.desk.admin, fresh, &parameters);
    refuses(&mut scene.desk.chain, list, EngineError::ExchangeSealed);
}
