//! `OpenTrader` and `CloseTrader`: cells, generations, and who may close what.

use quantdesk_client::{
    Refusal,
    engine::{
        CellIndex, EngineError, Generation,
        state::{CashEventKind, TraderCell},
    },
    instruction::Trader,
    view::key_of,
};
use quantdesk_sim::desk::{Desk, DeskConfig};
use quantdesk_tests::{
    read, refuses,
    scene::{self, CAPITAL, EVENTS, LEDGER, MARK, Scene, bid, find, patch},
    snapshot::{Frame, Snapshot},
};

#[test]
fn opens_an_empty_account() {
    let mut scene = Scene::new();
    let owner = scene.desk.name(b"owner");
    let before = Snapshot::of(&scene.desk.chain);
    let old = read::header(&scene.desk);
    scene.desk.chain.send(scene.desk.venue.open_trader(owner, 0xabcd)).unwrap();

    let trader = find(&scene.desk, &owner, 0xabcd).unwrap();
    assert_eq!((trader.cell.get(), trader.generation.get()), (2, 3));
    let cell = *scene.desk.ledger_view().unwrap().trader(trader.cell).unwrap();
    assert_eq!(cell, TraderCell::new(key_of(&owner), 0xabcd, Generation::new(3)));
    let new = read::header(&scene.desk);
    assert_eq!((new.traders, new.generation.get()), (old.traders + 1, old.generation.get() + 1));

    let event = *read::cash_events(&scene.desk).last().unwrap();
    assert_eq!((event.kind(), event.amount, event.balance), (Some(CashEventKind::TraderOpened), 0xabcd, 0));
    assert_eq!((event.trader, event.generation), (trader.cell, trader.generation));
    assert_eq!(event.sequence.get(), old.events_written.get() + 1);
    let ledger = scene.desk.venue.ledger;
    let frame = Frame::new()
        .bytes(ledger, read::LedgerMap::events_written())
        .bytes(ledger, read::LedgerMap::free_list())
        .bytes(ledger, read::LedgerMap::generation())
        .bytes(ledger, read::LedgerMap::traders())
        .bytes(ledger, LEDGER.event(event.sequence.get()))
        .bytes(ledger, LEDGER.cell(trader.cell));
    before.only(&scene.desk.chain, &frame);
    scene.desk.check().unwrap();
}

#[test]
fn an_owner_may_have_any_number() {
    let mut scene = Scene::new();
    let owner = scene.alice.trader.authority;
    for sub_account in [0, 0, 1, u16::MAX] {
        scene.desk.chain.send(scene.desk.venue.open_trader(owner, sub_account)).unwrap();
    }
    let ledger = scene.desk.ledger_view().unwrap();
    let generations: Vec<u32> = ledger.traders().map(|(_, trader)| trader.generation.get()).collect();
    assert_eq!(generations, [1, 2, 3, 4, 5, 6]);
    scene.desk.check().unwrap();
}

#[test]
fn events_stay_gapless_when_the_ring_wraps() {
    let mut desk = Desk::new(DeskConfig { cells: 32, events: 4, ..DeskConfig::default() }).unwrap();
    let owner = desk.name(b"owner");
    for count in 1..=20u64 {
        desk.chain.send(desk.venue.open_trader(owner, 0)).unwrap();
        let events = read::cash_events(&desk);
        let numbers: Vec<u64> = events.iter().map(|event| event.sequence.get()).collect();
        let last = count + 1;
        assert_eq!(numbers, (last.saturating_sub(3).max(1)..=last).collect::<Vec<_>>());
        desk.check().unwrap();
    }
}

#[test]
fn refuses_when_no_cell_is_left() {
    let mut desk = Desk::new(DeskConfig { cells: 1, events: EVENTS + 2, ..DeskConfig::default() });
    assert!(desk.is_err(), "the ring's length is a power of two");
    desk = Desk::new(DeskConfig { cells: 1, events: EVENTS, ..DeskConfig::default() });
    let mut desk = desk.unwrap();
    let owner = desk.name(b"owner");
    desk.chain.send(desk.venue.open_trader(owner, 0)).unwrap();
    let instruction = desk.venue.open_trader(owner, 1);
    refuses(&mut desk.chain, instruction, EngineError::LedgerFull);
}

#[test]
fn opening_needs_the_owner_and_a_ledger_to_write() {
    let mut scene = Scene::new();
    let owner = scene.desk.name(b"owner");
    let mut instruction = scene.desk.venue.open_trader(owner, 0);
    instruction.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::SignatureMissing);
    let mut instruction = scene.desk.venue.open_trader(owner, 0);
    instruction.accounts[1].is_writable = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::NotWritable);
    for address in [scene.desk.venue.exchange, scene.market()] {
        let mut instruction = scene.desk.venue.open_trader(owner, 0);
        instruction.accounts[1].pubkey = address;
        refuses(&mut scene.desk.chain, instruction, EngineError::AccountType);
    }
    let mut instruction = scene.desk.venue.open_trader(owner, 0);
    instruction.accounts[1].pubkey = scene.desk.venue.vault;
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongOwner);
}

/// A scene with a third trader that has nothing.
fn empty_account() -> (Scene, Trader) {
    let mut scene = Scene::new();
    let owner = scene.desk.name(b"owner");
    let (trader, _) = scene.desk.open(owner, 0, 0).unwrap();
    (scene, trader)
}

#[test]
fn closes_an_empty_account_and_frees_its_cell() {
    let (mut scene, trader) = empty_account();
    let (before, old) = (Snapshot::of(&scene.desk.chain), read::header(&scene.desk));
    scene.desk.chain.send(scene.desk.venue.close_trader(&trader)).unwrap();
    let new = read::header(&scene.desk);
    assert_eq!((new.traders, new.cells.released()), (old.traders - 1, old.cells.released() + 1));
    assert_eq!((new.cells.head(), new.generation), (trader.cell.get(), old.generation));
    assert_eq!(find(&scene.desk, &trader.authority, 0), None);
    let event = *read::cash_events(&scene.desk).last().unwrap();
    assert_eq!((event.kind(), event.amount, event.balance), (Some(CashEventKind::TraderClosed), 0, 0));
    assert_eq!((event.trader, event.generation), (trader.cell, trader.generation));

    let ledger = scene.desk.venue.ledger;
    let cell = &scene.desk.chain.bytes(&ledger).unwrap()[LEDGER.cell(trader.cell)];
    assert_eq!((&cell[..8], &cell[8..]), ([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff].as_slice(), [0; 120].as_slice()));
    let frame = Frame::new()
        .bytes(ledger, read::LedgerMap::events_written())
        .bytes(ledger, read::LedgerMap::free_list())
        .bytes(ledger, read::LedgerMap::traders())
        .bytes(ledger, LEDGER.event(event.sequence.get()))
        .bytes(ledger, LEDGER.cell(trader.cell));
    before.only(&scene.desk.chain, &frame);
    scene.desk.check().unwrap();
}

#[test]
fn closing_frees_flat_positions_too() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    scene.accept(&alice, &bid(MARK - 5, 1).build());
    let market = scene.market();
    let sides = quantdesk_client::engine::book::Sides::Both;
    scene.desk.chain.send(scene.desk.venue.cancel_all(&alice.trader, &market, sides, 1)).unwrap();
    scene.desk.chain.send(scene.withdraw(&alice, CAPITAL)).unwrap();
    assert_eq!(read::header(&scene.desk).cells.in_use(), 3);
    scene.desk.chain.send(scene.desk.venue.close_trader(&alice.trader)).unwrap();
    assert_eq!(read::header(&scene.desk).cells.in_use(), 1);
    scene.desk.check().unwrap();
}

#[test]
fn a_reused_cell_is_another_incarnation() {
    let (mut scene, old) = empty_account();
    scene.desk.chain.send(scene.desk.venue.close_trader(&old)).unwrap();
    scene.desk.chain.send(scene.desk.venue.open_trader(old.authority, 0)).unwrap();
    let new = find(&scene.desk, &old.authority, 0).unwrap();
    assert_eq!((new.cell, new.generation.get()), (old.cell, old.generation.get() + 1));
    let instruction = scene.desk.venue.close_trader(&old);
    refuses(&mut scene.desk.chain, instruction, EngineError::TraderNotFound);
    scene.desk.chain.send(scene.desk.venue.close_trader(&new)).unwrap();
}

#[test]
fn an_account_with_anything_in_it_stays() {
    // Cash alone.
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice, scene.bob);
    let close = scene.desk.venue.close_trader(&bob.trader);
    refuses(&mut scene.desk.chain, close.clone(), EngineError::TraderNotEmpty);
    // One atom.
    scene.desk.chain.send(scene.withdraw(&bob, CAPITAL - 1)).unwrap();
    refuses(&mut scene.desk.chain, close.clone(), EngineError::TraderNotEmpty);
    // A position.
    scene.desk.chain.send(scene.deposit(&bob, 1_000_000)).unwrap();
    scene.trade(1);
    refuses(&mut scene.desk.chain, close, EngineError::TraderNotEmpty);
    let close = scene.desk.venue.close_trader(&alice.trader);
    refuses(&mut scene.desk.chain, close, EngineError::TraderNotEmpty);
}

#[test]
fn an_account_with_a_resting_order_stays() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    scene.accept(&alice, &bid(1, 1).build());
    // An order for one lot at one tick needs margin of the mark: take its cash away behind the program's back.
    let cell = LEDGER.cell(alice.trader.cell).start;
    patch(&mut scene.desk.chain, scene.desk.venue.ledger, cell + 72, &[0; 8]);
    assert_eq!(read::cash(&scene.desk, &alice.trader), 0);
    let close = scene.desk.venue.close_trader(&alice.trader);
    refuses(&mut scene.desk.chain, close, EngineError::TraderNotEmpty);
}

#[test]
fn nobody_else_closes() {
    let (mut scene, trader) = empty_account();
    let mut instruction = scene.desk.venue.close_trader(&trader);
    instruction.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::SignatureMissing);
    let thief = Trader { authority: scene.bob.trader.authority, ..trader };
    let instruction = scene.desk.venue.close_trader(&thief);
    refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    // Not even a delegate.
    assert_eq!(scene::delegate(&mut scene.desk, &trader, thief.authority), thief);
    let instruction = scene.desk.venue.close_trader(&thief);
    refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
}

#[test]
fn cells_that_are_no_live_trader_are_not_found() {
    let mut scene = Scene::new();
    scene.trade(1);
    let alice = scene.alice.trader;
    let (position, _) = read::position(&scene.desk, &alice, 0).unwrap();
    let capacity = read::header(&scene.desk).cells.capacity();
    // A position, cells never used, beyond the arena, nil.
    for cell in [position.get(), 4, capacity - 1, capacity, u32::MAX - 1, u32::MAX] {
        let instruction = scene.desk.venue.close_trader(&Trader { cell: CellIndex::new(cell), ..alice });
        refuses(&mut scene.desk.chain, instruction, EngineError::TraderNotFound);
    }
    for generation in [0, alice.generation.get() + 1, u32::MAX] {
        let generation = Generation::new(generation);
        let instruction = scene.desk.venue.close_trader(&Trader { generation, ..alice });
        refuses(&mut scene.desk.chain, instruction, EngineError::TraderNotFound);
    }
}

#[test]
fn a_position_cell_cannot_pose_as_a_trader() {
    // The market and trader numbers of a position stand where a trader keeps its generation.
    let mut scene = Scene::new();
    scene.trade(1);
    let (cell, position) = read::position(&scene.desk, &scene.alice.trader, 0).unwrap();
    for generation in [position.trader.get(), u32::from(position.market.get()), 0, 1] {
        let authority = scene.alice.trader.authority;
        let posing = Trader { authority, cell, generation: Generation::new(generation) };
        for instruction in [
            scene.desk.venue.close_trader(&posing),
            scene.withdraw(&scene::Party { trader: posing, tokens: scene.alice.tokens }, 1),
        ] {
            refuses(&mut scene.desk.chain, instruction, EngineError::TraderNotFound);
        }
    }
}
