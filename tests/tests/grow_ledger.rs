//! `GrowLedger`: new cells at the end, rent paid by the admin, everything else as it was.

use quantdesk_client::{
    Refusal,
    engine::{
        EngineError,
        state::{CashEventKind, cell::CELL_SIZE, ledger::ACCOUNT_SIZE_MAX, ledger::ledger_size},
    },
};
use quantdesk_sim::{
    chain::PROGRAM,
    desk::{Desk, DeskConfig},
};
use quantdesk_tests::{
    fails, read, refused, refuses,
    scene::{self, EVENTS, LEDGER, Scene, TOKEN_2022, find},
    snapshot::{Frame, Snapshot},
};
use solana_instruction::{Instruction, error::InstructionError};

/// Lamports that a byte of account data costs at mainnet's rate.
const RENT_PER_BYTE: u64 = 6_960;

fn grow(desk: &Desk, cells: u32) -> Instruction {
    desk.venue.grow_ledger(desk.admin, cells)
}

/// Bytes before the growth are the same but for the free list, the event count and the event's place; those after it
/// are zero.
#[track_caller]
fn assert_grown(desk: &Desk, before: &Snapshot, cells: usize) {
    let ledger = desk.venue.ledger;
    let (old, new) = (before.bytes(&ledger), desk.chain.bytes(&ledger).unwrap());
    assert_eq!(new.len(), old.len() + cells * CELL_SIZE);
    let event = LEDGER.event(read::header(desk).events_written.get());
    let allowed = [read::LedgerMap::free_list(), read::LedgerMap::events_written(), event];
    for (place, (old, new)) in old.iter().zip(new).enumerate() {
        assert!(old == new || allowed.iter().any(|range| range.contains(&place)), "byte {place}");
    }
    assert!(new[old.len()..].iter().all(|byte| *byte == 0));
    before.only(&desk.chain, &Frame::new().whole(ledger).lamports(desk.admin));
}

#[test]
fn grows_by_one_cell_and_by_most() {
    for cells in [1, 79, 80] {
        let mut scene = Scene::new();
        scene.trade(10);
        let (before, old) = (Snapshot::of(&scene.desk.chain), read::header(&scene.desk));
        scene.desk.chain.send(grow(&scene.desk, cells)).unwrap();
        assert_grown(&scene.desk, &before, cells as usize);
        let new = read::header(&scene.desk);
        assert_eq!(new.cells.capacity(), old.cells.capacity() + cells);
        assert_eq!((new.cells.in_use(), new.cells.head()), (old.cells.in_use(), old.cells.head()));
        assert_eq!(new.events_written.get(), old.events_written.get() + 1);
        let event = *read::cash_events(&scene.desk).last().unwrap();
        assert_eq!((event.kind(), event.amount), (Some(CashEventKind::LedgerGrown), i64::from(new.cells.capacity())));
        let after = Snapshot::of(&scene.desk.chain);
        let paid = before.lamports(&scene.desk.admin) - after.lamports(&scene.desk.admin);
        assert_eq!(paid, u64::from(cells) * CELL_SIZE as u64 * RENT_PER_BYTE);
        assert_eq!(after.lamports(&scene.desk.venue.ledger) - before.lamports(&scene.desk.venue.ledger), paid);
        scene.desk.check().unwrap();
    }
}

#[test]
fn lamports_already_there_pay_the_rent() {
    let mut scene = Scene::new();
    let cost = 10 * CELL_SIZE as u64 * RENT_PER_BYTE;
    for (surplus, paid) in [(cost + 1, 0), (cost, 0), (cost - 1, 1)] {
        let mut desk = scene.desk.clone();
        scene::edit_account(&mut desk.chain, scene.desk.venue.ledger, |account| account.lamports += surplus);
        let before = Snapshot::of(&desk.chain);
        desk.chain.send(grow(&desk, 10)).unwrap();
        let after = Snapshot::of(&desk.chain);
        assert_eq!(before.lamports(&desk.admin) - after.lamports(&desk.admin), paid);
    }
    scene.desk.chain.give_lamports(scene.desk.admin, cost - 1).unwrap();
    let instruction = grow(&scene.desk, 10);
    fails(&mut scene.desk.chain, instruction, InstructionError::Custom(1));
}

#[test]
fn grows_twice_in_one_transaction() {
    let mut scene = Scene::new();
    let before = Snapshot::of(&scene.desk.chain);
    let both = [grow(&scene.desk, 80), grow(&scene.desk, 80)];
    scene.desk.chain.send_all(&both).unwrap();
    assert_eq!(read::header(&scene.desk).cells.capacity(), 48 + 160);
    let old = before.bytes(&scene.desk.venue.ledger);
    let new = scene.desk.chain.bytes(&scene.desk.venue.ledger).unwrap();
    assert_eq!(new.len(), old.len() + 160 * CELL_SIZE);
    assert_eq!(new[LEDGER.cell(scene.alice.trader.cell)], old[LEDGER.cell(scene.alice.trader.cell)]);
    scene.desk.check().unwrap();
}

#[test]
fn new_cells_take_traders_when_the_old_ones_are_full() {
    let mut desk = Desk::new(DeskConfig { cells: 2, events: EVENTS, ..DeskConfig::default() }).unwrap();
    let owner = desk.name(b"owner");
    for sub_account in 0..2 {
        desk.chain.send(desk.venue.open_trader(owner, sub_account)).unwrap();
    }
    let third = desk.venue.open_trader(owner, 2);
    refuses(&mut desk.chain, third.clone(), EngineError::LedgerFull);
    desk.chain.send(grow(&desk, 1)).unwrap();
    desk.chain.send(third).unwrap();
    assert_eq!(find(&desk, &owner, 2).unwrap().cell.get(), 2);
    desk.check().unwrap();
    // The account that grew into the new cells serves like the others.
    let fourth = desk.venue.open_trader(owner, 3);
    refuses(&mut desk.chain, fourth, EngineError::LedgerFull);
}

#[test]
fn refuses_no_cells_too_many_and_too_large() {
    let mut scene = Scene::new();
    for cells in [0, 81, 1 << 25, u32::MAX] {
        let instruction = grow(&scene.desk, cells);
        refuses(&mut scene.desk.chain, instruction, EngineError::CapacityInvalid);
    }
    // Two cells short of the largest account there can be.
    let most = (ACCOUNT_SIZE_MAX - ledger_size(EVENTS, 0)) / CELL_SIZE;
    let config = DeskConfig { cells: u32::try_from(most).unwrap() - 2, events: EVENTS, ..DeskConfig::default() };
    let mut desk = Desk::new(config).unwrap();
    desk.chain.give_lamports(desk.admin, 1 << 60).unwrap();
    let too_many = grow(&desk, 3);
    refuses(&mut desk.chain, too_many, EngineError::CapacityInvalid);
    desk.chain.send(grow(&desk, 2)).unwrap();
    assert_eq!(desk.chain.bytes(&desk.venue.ledger).unwrap().len(), ACCOUNT_SIZE_MAX);
    let one_more = grow(&desk, 1);
    refuses(&mut desk.chain, one_more, EngineError::CapacityInvalid);
}

#[test]
fn only_the_admin_grows_its_own_ledger() {
    let mut scene = Scene::new();
    let instruction = scene.desk.venue.grow_ledger(scene.alice.trader.authority, 1);
    refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    let mut instruction = grow(&scene.desk, 1);
    instruction.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::SignatureMissing);
    for place in [0, 2] {
        let mut instruction = grow(&scene.desk, 1);
        instruction.accounts[place].is_writable = false;
        refuses(&mut scene.desk.chain, instruction, Refusal::NotWritable);
    }
    let mut instruction = grow(&scene.desk, 1);
    instruction.accounts[3].pubkey = TOKEN_2022;
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongSystemProgram);

    let admin = scene.desk.admin;
    let (other, ()) = scene::beside(&mut scene.desk, 2, admin, |_| ());
    for (place, address) in [(1, other.venue.exchange), (2, other.venue.ledger)] {
        let mut instruction = grow(&scene.desk, 1);
        instruction.accounts[place].pubkey = address;
        refuses(&mut scene.desk.chain, instruction, Refusal::WrongLedger);
    }
}

#[test]
fn refuses_a_ledger_whose_length_is_wrong_already() {
    let scene = Scene::new();
    for extra in [1, 8, CELL_SIZE] {
        let mut chain = scene.desk.chain.clone();
        scene::edit_account(&mut chain, scene.desk.venue.ledger, |account| {
            account.data.resize(account.data.len() + extra, 0);
        });
        refused(chain.send(grow(&scene.desk, 1)), EngineError::AccountSize);
    }
    assert_eq!(scene.desk.chain.account(&scene.desk.venue.ledger).unwrap().owner, PROGRAM);
}
