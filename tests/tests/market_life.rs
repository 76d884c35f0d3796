//! Life of a market through the compiled program: `SetMarketStatus`, `SettleMarket`, `SettleMarketPosition`,
//! `CloseMarket`, `SetMargin`.

use quantdesk_client::{
    Address, Refusal,
    engine::{
        EngineError, Generation, MarketIndex, Ppm, QuoteAtoms, Side, Ticks,
        book::Sides,
        risk::{
            funding,
            life::{
                self, ABANDONED_SECONDS, GRACE_SECONDS, MarginParameters, NOTICE_SECONDS, Pair, RAMP_SECONDS_MAX,
                RAMP_SECONDS_MIN,
            },
            listing::TierParameters,
        },
        state::{CashEvent, CashEventKind, LedgerHeader, MarketStatus},
    },
    instruction::{SYSTEM_PROGRAM, Target, Trader},
};
use quantdesk_sim::chain::PROGRAM;
use quantdesk_tests::{
    failing::{self, Native},
    read, refuses,
    scene::{self, LEDGER, MARK, PICO, PRICE, Party, Scene, ask, bid, edit_account, patch},
    snapshot::{Frame, Snapshot},
};
use solana_account::Account;
use solana_instruction::{AccountMeta, Instruction};
use std::mem::offset_of;

const SOL: MarketIndex = MarketIndex::new(0);
const NOTICE: i64 = NOTICE_SECONDS as i64;
const GRACE: i64 = GRACE_SECONDS as i64;

fn set_status(scene: &Scene, status: MarketStatus) -> Instruction {
    scene.desk.venue.set_market_status(scene.desk.admin, SOL, status)
}

fn settle(scene: &Scene) -> Instruction {
    scene.desk.venue.settle_market(&scene.market())
}

fn target(trader: &Trader) -> Target {
    Target { trader: trader.cell, generation: trader.generation }
}

/// Closes the first, who is long, against the second.
fn settle_pair(scene: &Scene, long: &Party, short: &Party) -> Instruction {
    scene.desk.venue.settle_market_position(&scene.market(), target(&long.trader), target(&short.trader))
}

fn close(scene: &Scene) -> Instruction {
    scene.desk.venue.close_market(scene.desk.admin, &scene.market())
}

fn update(scene: &Scene) -> Instruction {
    let market = &scene.desk.markets[0];
    scene.desk.venue.update_price(&market.address, market.index, &market.feeds)
}

#[track_caller]
fn send(scene: &mut Scene, instruction: Instruction) {
    let sent = scene.desk.chain.send(instruction);
    assert!(sent.is_ok(), "refused: {}", sent.unwrap_err());
    scene.desk.check().unwrap();
}

fn now(scene: &Scene) -> i64 {
    scene.desk.chain.unix_seconds()
}

fn last_event(scene: &Scene) -> CashEvent {
    *read::cash_events(&scene.desk).last().unwrap()
}

/// A market with a short of Alice and a long of Bob, reduce-only for long enough.
fn given_notice() -> Scene {
    let mut scene = Scene::new();
    scene.trade(1_000);
    let instruction = set_status(&scene, MarketStatus::ReduceOnly);
    send(&mut scene, instruction);
    let then = now(&scene) + NOTICE;
    scene.desk.chain.set_unix_seconds(then);
    scene
}

/// The same with a fresh price.
fn noticed() -> Scene {
    let mut scene = given_notice();
    scene.desk.settle_price(0, PRICE).unwrap();
    scene
}

/// The same, settled an hour ago.
fn settled() -> Scene {
    let mut scene = noticed();
    let instruction = settle(&scene);
    send(&mut scene, instruction);
    let then = now(&scene) + GRACE;
    scene.desk.chain.set_unix_seconds(then);
    scene
}

/// The same with nothing left in it.
fn emptied() -> Scene {
    let mut scene = settled();
    let instruction = settle_pair(&scene, &scene.bob, &scene.alice);
    send(&mut scene, instruction);
    scene
}

/// Only this row and one record of the ledger may differ.
fn row_and_event(scene: &Scene) -> Frame {
    let written = read::header(&scene.desk).events_written.get();
    let ledger = scene.desk.venue.ledger;
    Frame::new()
        .bytes(ledger, read::LedgerMap::events_written())
        .bytes(ledger, read::LedgerMap::row(0))
        .bytes(ledger, LEDGER.event(written))
}

#[test]
fn the_whole_life_of_a_market() {
    let mut scene = Scene::new();
    scene.trade(1_000);
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(MARK - 10, 5).build());
    let before = Snapshot::of(&scene.desk.chain);
    let instruction = set_status(&scene, MarketStatus::ReduceOnly);
    send(&mut scene, instruction);
    before.only(&scene.desk.chain, &row_and_event(&scene));
    assert_eq!(read::row(&scene.desk, 0).status(), Some(MarketStatus::ReduceOnly));

    let announced = now(&scene);
    scene.desk.settle_price(0, PRICE + PICO).unwrap();
    scene.desk.chain.set_unix_seconds(announced + NOTICE - 1);
    scene.desk.set_price(0, PRICE + PICO).unwrap();
    let instruction = settle(&scene);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::NoticeNotOver);
    scene.desk.chain.set_unix_seconds(announced + NOTICE);
    let before = Snapshot::of(&scene.desk.chain);
    send(&mut scene, instruction.clone());
    before.only(&scene.desk.chain, &row_and_event(&scene));
    let row = read::row(&scene.desk, 0);
    assert_eq!((row.status(), row.mark), (Some(MarketStatus::Settled), Ticks::new(MARK + 1_000)));
    let event = last_event(&scene);
    assert_eq!((event.kind(), event.amount), (Some(CashEventKind::MarketStatusChanged), 3));
    refuses(&mut scene.desk.chain, instruction, EngineError::MarketStatusInvalid);

    nothing_trades(&mut scene);
    let expected = [alice, bob].map(|party| value(&scene, &party));
    let instruction = settle_pair(&scene, &bob, &alice);
    scene.desk.chain.set_unix_seconds(announced + NOTICE + GRACE - 1);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::NoticeNotOver);
    scene.desk.chain.set_unix_seconds(announced + NOTICE + GRACE);
    refuses_closing(&mut scene);
    let since = failing::written(&scene);
    let before = Snapshot::of(&scene.desk.chain);
    let mut native = Native::of(&scene.desk, 0);
    let pair = Pair { long: bob.trader.cell, short: alice.trader.cell };
    native.trading(|it| life::settle_positions(&mut it.ledger, it.now, it.market.header, pair)).unwrap();
    send(&mut scene, instruction.clone());
    native.assert_same(&scene.desk);
    before.only(&scene.desk.chain, &failing::trading_frame(&scene, &[alice, bob], since));
    for (party, expected) in [alice, bob].into_iter().zip(expected) {
        assert_eq!((read::cash(&scene.desk, &party.trader), read::lots(&scene.desk, &party.trader, 0)), (expected, 0));
    }
    let events = failing::cash_events_since(&scene, since.1);
    assert_eq!(events.len(), 2);
    for (event, (party, lots)) in events.iter().zip([(bob, 1_000), (alice, -1_000)]) {
        let cash = read::cash(&scene.desk, &party.trader);
        assert_eq!((event.kind(), event.amount, event.balance), (Some(CashEventKind::PositionSettled), lots, cash));
        assert_eq!((event.trader, event.generation), (party.trader.cell, party.trader.generation));
    }
    refuses(&mut scene.desk.chain, instruction, EngineError::NothingToClose);
    // Alice's bid is still there.
    refuses_closing(&mut scene);
    let instruction = scene.desk.venue.cancel_all(&alice.trader, &scene.market(), Sides::Both, 9);
    send(&mut scene, instruction);
    closes(&mut scene);
    for party in [alice, bob] {
        let atoms = read::cash(&scene.desk, &party.trader);
        let instruction = scene.withdraw(&party, atoms.unsigned_abs());
        send(&mut scene, instruction);
        let instruction = scene.desk.venue.close_trader(&party.trader);
        send(&mut scene, instruction);
    }
}

/// What a party's account will hold once its position is settled.
fn value(scene: &Scene, party: &Party) -> i64 {
    let row = read::row(&scene.desk, 0);
    let (_, position) = read::position(&scene.desk, &party.trader, 0).unwrap();
    let due = funding::due(&row, &position).unwrap().get();
    let value = position.base.get() * i64::from(row.mark.get()) * i64::from(row.tick_value.get());
    read::cash(&scene.desk, &party.trader) + position.quote.get().get() + value - due
}

#[track_caller]
fn nothing_trades(scene: &mut Scene) {
    let (alice, bob) = (scene.alice, scene.bob);
    let orders = [
        (alice, bid(MARK + 1_000, 5).reduce_only().build()),
        (bob, ask(MARK + 1_000, 5).reduce_only().build()),
        (bob, bid(MARK, 5).build()),
    ];
    for (party, order) in orders {
        let instruction = scene.order(&party, &order);
        refuses(&mut scene.desk.chain, instruction, EngineError::MarketNotActive);
    }
    scene.desk.publish(0, PRICE, 0).unwrap();
    let instruction = update(scene);
    refuses(&mut scene.desk.chain, instruction, EngineError::MarketStatusInvalid);
}

#[track_caller]
fn refuses_closing(scene: &mut Scene) {
    let instruction = close(scene);
    refuses(&mut scene.desk.chain, instruction, EngineError::MarketNotEmpty);
}

/// Closes the market: its rent is the admin's, its account gone, its row closed, funding's residue the pool's.
#[track_caller]
fn closes(scene: &mut Scene) {
    let (market, admin) = (scene.market(), scene.desk.admin);
    let before = Snapshot::of(&scene.desk.chain);
    let (pool, residue) = (read::header(&scene.desk).pool, read::row(&scene.desk, 0).funding_pot);
    let instruction = close(scene);
    send(scene, instruction);
    assert!(scene.desk.chain.account(&market).is_none_or(|account| account == Account::default()));
    let lamports = scene.desk.chain.account(&admin).unwrap().lamports;
    assert_eq!(lamports, before.lamports(&admin) + before.lamports(&market));
    assert!(before.lamports(&market) > 0);
    let row = read::row(&scene.desk, 0);
    assert_eq!(row.status(), Some(MarketStatus::Closed));
    assert!(row.funding_pot.is_zero());
    let gained = read::header(&scene.desk).pool.get().get() - pool.get().get();
    assert_eq!(gained, residue.get().get());
    let event = last_event(scene);
    assert_eq!((event.kind(), event.amount), (Some(CashEventKind::MarketStatusChanged), 4));
    let mut frame = row_and_event(scene).whole(market).lamports(admin);
    if gained > 0 {
        let pool = offset_of!(quantdesk_client::engine::state::LedgerHeader, pool);
        let written = read::header(&scene.desk).events_written.get();
        let ledger = scene.desk.venue.ledger;
        frame = frame.bytes(ledger, pool..pool + 8).bytes(ledger, LEDGER.event(written - 1));
    }
    before.only(&scene.desk.chain, &frame);
}

#[test]
fn only_the_admin_changes_a_status() {
    let mut scene = Scene::new();
    let mut instruction = set_status(&scene, MarketStatus::ReduceOnly);
    instruction.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::SignatureMissing);
    let owner = scene.alice.trader.authority;
    let instruction = scene.desk.venue.set_market_status(owner, SOL, MarketStatus::ReduceOnly);
    refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    let mut instruction = set_status(&scene, MarketStatus::ReduceOnly);
    instruction.accounts[2].is_writable = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::NotWritable);
}

#[test]
fn a_status_is_one_of_two_and_changes() {
    let mut scene = Scene::new();
    for (offset, byte, error) in [
        (10, 0, EngineError::MarketStatusInvalid.into()),
        (10, 1, EngineError::MarketStatusInvalid.into()),
        (10, 3, EngineError::MarketStatusInvalid.into()),
        (10, 4, EngineError::MarketStatusInvalid.into()),
        (10, 255, EngineError::MarketStatusInvalid.into()),
        (8, 1, quantdesk_client::error::ProgramError::from(EngineError::MarketNotFound)),
        (9, 1, EngineError::MarketNotFound.into()),
        (11, 1, Refusal::FieldInvalid.into()),
        (15, 1, Refusal::FieldInvalid.into()),
    ] {
        let mut instruction = set_status(&scene, MarketStatus::ReduceOnly);
        instruction.data[offset] = byte;
        refuses(&mut scene.desk.chain, instruction, error);
    }
    let (down, up) = (set_status(&scene, MarketStatus::ReduceOnly), set_status(&scene, MarketStatus::Active));
    send(&mut scene, down.clone());
    let (alice, bob, ledger) = (scene.alice, scene.bob, scene.desk.venue.ledger);
    let order = scene.order(&alice, &bid(MARK, 5).build());
    refuses(&mut scene.desk.chain, order, EngineError::MarketNotActive);
    scene.wait(1);
    refuses(&mut scene.desk.chain, down, EngineError::MarketStatusInvalid);
    // On a sealed exchange that takes a proposal and a day.
    refuses(&mut scene.desk.chain, up.clone(), EngineError::ChangeNotTightening);
    patch(&mut scene.desk.chain, ledger, offset_of!(LedgerHeader, sealed), &[0]);
    send(&mut scene, up);
    patch(&mut scene.desk.chain, ledger, offset_of!(LedgerHeader, sealed), &[1]);
    scene.accept(&bob, &bid(MARK - 1, 5).build());
}

#[test]
fn reducing_goes_on_while_a_market_is_reduce_only() {
    let mut scene = noticed();
    let (alice, bob) = (scene.alice, scene.bob);
    scene.accept(&alice, &bid(MARK, 400).reduce_only().build());
    scene.accept(&bob, &ask(MARK, 400).reduce_only().immediate_or_cancel().build());
    assert_eq!([alice, bob].map(|party| read::lots(&scene.desk, &party.trader, 0)), [-600, 600]);
}

#[test]
fn settling_needs_a_fresh_mark_that_has_arrived() {
    let mut scene = noticed();
    // Older than the 30 seconds of freshness.
    let then = now(&scene) + 31;
    scene.desk.chain.set_unix_seconds(then);
    let instruction = settle(&scene);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::NoticeNotOver);
    // A jump that one update's staircase does not cover.
    scene.desk.set_price(0, PRICE + PRICE / 20).unwrap();
    assert!(read::row(&scene.desk, 0).is_lagging());
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::NoticeNotOver);
    scene.desk.settle_price(0, PRICE + PRICE / 20).unwrap();
    send(&mut scene, instruction);
    assert_eq!(read::row(&scene.desk, 0).mark.get(), MARK + MARK / 20);
}

#[test]
fn a_dead_oracle_strands_nobody() {
    let mut scene = Scene::new();
    scene.trade(1_000);
    let last = read::row(&scene.desk, 0).publish_time.get();
    let dead = i64::from(read::row(&scene.desk, 0).dead_seconds) + i64::from(ABANDONED_SECONDS);
    // The chain lives all the time; while it stands still, nobody could bring a price (`restart.rs`).
    scene.desk.chain.advance_to((last + dead) * 1_000);
    let (alice, bob) = (scene.alice, scene.bob);
    let withdrawal = scene.withdraw(&bob, 1);
    refuses(&mut scene.desk.chain, withdrawal.clone(), EngineError::PriceNotValidForAction);
    let instruction = settle(&scene);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::NoticeNotOver);
    scene.desk.chain.advance_to((last + dead + 1) * 1_000);
    // Nobody signs, and nobody was asked.
    assert!(instruction.accounts.iter().all(|account| !account.is_signer));
    send(&mut scene, instruction);
    assert_eq!(read::row(&scene.desk, 0).mark.get(), MARK);
    // The price is good for ever, so nothing waits for an oracle again.
    send(&mut scene, withdrawal);
    scene.desk.chain.set_unix_seconds(last + dead + 1 + GRACE + 100_000_000);
    let expected = [alice, bob].map(|party| value(&scene, &party));
    let instruction = settle_pair(&scene, &bob, &alice);
    send(&mut scene, instruction);
    for (party, expected) in [alice, bob].into_iter().zip(expected) {
        assert_eq!(read::cash(&scene.desk, &party.trader), expected);
        let instruction = scene.withdraw(&party, expected.unsigned_abs());
        send(&mut scene, instruction);
    }
    closes(&mut scene);
}

#[test]
fn nobody_ends_a_market_before_its_first_price() {
    let (mut scene, market) = Scene::with_bitcoin();
    let listed = now(&scene);
    let address = scene.desk.markets[market].address;
    let instruction = scene.desk.venue.settle_market(&address);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::NoticeNotOver);
    let dead = i64::from(read::row(&scene.desk, market).dead_seconds) + i64::from(ABANDONED_SECONDS);
    scene.desk.chain.set_unix_seconds(listed + dead);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::NoticeNotOver);
    scene.desk.chain.set_unix_seconds(listed + dead + 1);
    send(&mut scene, instruction);
    assert_eq!(read::row(&scene.desk, market).mark, Ticks::new(1));
    let instruction = scene.desk.venue.close_market(scene.desk.admin, &address);
    send(&mut scene, instruction);
    assert_eq!(read::row(&scene.desk, market).status(), Some(MarketStatus::Closed));
}

/// A settled market in which Alice is short 1,000 lots against Bob's 600 and Carol's 400.
fn settled_with_carol() -> (Scene, Party) {
    let mut scene = Scene::new();
    let carol = scene::party(&mut scene.desk, 0);
    let (alice, bob) = (scene.alice, scene.bob);
    for (buyer, price, lots) in [(bob, MARK, 600), (carol, MARK + 7, 400)] {
        scene.accept(&alice, &ask(price, lots).build());
        scene.accept(&buyer, &bid(price, lots).immediate_or_cancel().build());
    }
    let instruction = set_status(&scene, MarketStatus::ReduceOnly);
    send(&mut scene, instruction);
    let then = now(&scene) + NOTICE;
    scene.desk.chain.set_unix_seconds(then);
    scene.desk.settle_price(0, PRICE + PICO).unwrap();
    let instruction = settle(&scene);
    send(&mut scene, instruction);
    let then = now(&scene) + GRACE;
    scene.desk.chain.set_unix_seconds(then);
    (scene, carol)
}

#[test]
fn any_order_of_pairs_gives_the_same() {
    let outcomes = [false, true].map(|reversed| {
        let (mut scene, carol) = settled_with_carol();
        let (alice, bob) = (scene.alice, scene.bob);
        let mut longs = [(bob, 600), (carol, 400)];
        if reversed {
            longs.reverse();
        }
        let expected = [alice, bob, carol].map(|party| value(&scene, &party));
        let mut left = 1_000;
        for (long, lots) in longs {
            refuses_closing(&mut scene);
            let instruction = settle_pair(&scene, &long, &alice);
            send(&mut scene, instruction.clone());
            left -= lots;
            let held = [alice, long].map(|party| read::lots(&scene.desk, &party.trader, 0));
            assert_eq!(held, [-left, 0]);
            assert_eq!(read::row(&scene.desk, 0).open_interest.get(), left.unsigned_abs());
            refuses(&mut scene.desk.chain, instruction, EngineError::NothingToClose);
        }
        let cash = [alice, bob, carol].map(|party| read::cash(&scene.desk, &party.trader));
        assert_eq!(cash, expected);
        closes(&mut scene);
        cash
    });
    assert_eq!(outcomes[0], outcomes[1]);
}

#[test]
fn settling_names_a_living_long_and_a_living_short() {
    let mut scene = settled();
    let (alice, bob) = (scene.alice, scene.bob);
    let dead = |party: Party| {
        let generation = Generation::new(party.trader.generation.get() + 1);
        Party { trader: Trader { generation, ..party.trader }, ..party }
    };
    for (long, short) in [(dead(bob), alice), (bob, dead(alice))] {
        let instruction = settle_pair(&scene, &long, &short);
        refuses(&mut scene.desk.chain, instruction, EngineError::TraderNotFound);
    }
    let carol = scene::party(&mut scene.desk, 0);
    for (long, short) in [(alice, bob), (bob, bob), (alice, alice), (carol, alice), (bob, carol)] {
        let instruction = settle_pair(&scene, &long, &short);
        refuses(&mut scene.desk.chain, instruction, EngineError::NothingToClose);
    }
    let mut live = Scene::new();
    live.trade(5);
    let instruction = settle_pair(&live, &live.bob, &live.alice);
    refuses(&mut live.desk.chain, instruction, EngineError::MarketStatusInvalid);
}

/// A settled market in which Alice, short 1,000 lots against Bob, is worth less than nothing.
fn settled_with_a_loser() -> Scene {
    let mut scene = given_notice();
    // Alice is short one SOL: the price may rise by what she has.
    let alice = scene.alice;
    let free = read::cash(&scene.desk, &alice.trader) - 10_000_000;
    let instruction = scene.withdraw(&alice, u64::try_from(free - 10_000_000).unwrap());
    scene.desk.settle_price(0, PRICE).unwrap();
    send(&mut scene, instruction);
    scene.desk.settle_price(0, PRICE + 25 * PICO).unwrap();
    let instruction = settle(&scene);
    send(&mut scene, instruction);
    let then = now(&scene) + GRACE;
    scene.desk.chain.set_unix_seconds(then);
    scene
}

/// A winner cannot be paid before the bankrupt loser is dealt with, so the vault pays everybody else in full.
#[test]
fn attack_winner_settles_before_the_bankrupt_loser() {
    let mut scene = Scene::new();
    let (winner, solvent) = (scene.alice, scene.bob);
    let loser = failing::party_with(&mut scene.desk, 10_500_000);
    let flat = scene::party(&mut scene.desk, 0);
    // The winner is short 1.5 SOL: one against the loser.
    failing::open(&mut scene, Side::Bid, &loser, &winner, 1_000);
    failing::open(&mut scene, Side::Bid, &solvent, &winner, 500);
    let instruction = set_status(&scene, MarketStatus::ReduceOnly);
    send(&mut scene, instruction);
    let then = now(&scene) + NOTICE;
    scene.desk.chain.set_unix_seconds(then);
    failing::walk(&mut scene, 189_000);
    let instruction = settle(&scene);
    send(&mut scene, instruction);
    let then = now(&scene) + GRACE;
    scene.desk.chain.set_unix_seconds(then);
    let shortfall = -value(&scene, &loser);
    assert!(shortfall > 0);
    let expected = [winner, solvent, flat].map(|party| value_or_cash(&scene, &party));

    let instruction = settle_pair(&scene, &solvent, &winner);
    send(&mut scene, instruction);
    let instruction = settle_pair(&scene, &loser, &winner);
    refuses(&mut scene.desk.chain, instruction, EngineError::AccountBankrupt);
    assert_eq!([loser, winner].map(|party| read::lots(&scene.desk, &party.trader, 0)), [1_000, -1_000]);
    let instruction = scene.desk.venue.deleverage(&scene.market(), target(&loser.trader), 9_999);
    send(&mut scene, instruction);
    assert_eq!([loser, winner].map(|party| read::lots(&scene.desk, &party.trader, 0)), [0, 0]);
    assert_eq!((read::cash(&scene.desk, &loser.trader), read::header(&scene.desk).bankrupts), (0, 0));
    let [won, lost, none] = [winner, solvent, flat].map(|party| read::cash(&scene.desk, &party.trader));
    assert_eq!([won, lost, none], [expected[0] - shortfall, expected[1], expected[2]]);
    closes(&mut scene);
    for (party, atoms) in [(winner, won), (solvent, lost), (flat, none)] {
        let instruction = scene.withdraw(&party, atoms.unsigned_abs());
        send(&mut scene, instruction);
    }
    let header = read::header(&scene.desk);
    assert_eq!(header.total.get().get(), header.fees.get().get() + header.pool.get().get());
}

/// The same for a party that may have no position.
fn value_or_cash(scene: &Scene, party: &Party) -> i64 {
    let held = read::position(&scene.desk, &party.trader, 0).is_some();
    if held { value(scene, party) } else { read::cash(&scene.desk, &party.trader) }
}

#[test]
fn an_account_without_equity_is_not_settled() {
    let mut scene = settled_with_a_loser();
    let (alice, bob) = (scene.alice, scene.bob);
    let instruction = settle_pair(&scene, &bob, &alice);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::AccountBankrupt);
    let missing = -value(&scene, &alice);
    assert!(missing > 0);
    let deposit = scene.deposit(&alice, missing.unsigned_abs());
    send(&mut scene, deposit);
    send(&mut scene, instruction);
    assert_eq!(read::cash(&scene.desk, &alice.trader), 0);
}

#[test]
fn an_account_marked_bankrupt_that_has_equity_again_is_settled_and_resolved() {
    let mut scene = settled_with_a_loser();
    let (alice, bob) = (scene.alice, scene.bob);
    let absorb = scene.desk.venue.absorb_shortfall(SOL, target(&alice.trader));
    send(&mut scene, absorb);
    assert_eq!(read::header(&scene.desk).bankrupts, 1);
    let instruction = settle_pair(&scene, &bob, &alice);
    refuses(&mut scene.desk.chain, instruction.clone(), EngineError::AccountBankrupt);
    let missing = -value(&scene, &alice);
    let deposit = scene.deposit(&alice, missing.unsigned_abs() + 5);
    send(&mut scene, deposit);
    send(&mut scene, instruction);
    assert_eq!((read::cash(&scene.desk, &alice.trader), read::header(&scene.desk).bankrupts), (5, 0));
    assert_eq!(last_event(&scene).kind(), Some(CashEventKind::Resolved));
}

#[test]
fn only_the_admin_closes_and_only_a_settled_market_of_the_exchange() {
    let mut scene = emptied();
    let mut instruction = close(&scene);
    instruction.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::SignatureMissing);
    let mut instruction = close(&scene);
    instruction.accounts[0].is_writable = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::NotWritable);
    let mut instruction = close(&scene);
    instruction.accounts[3].is_writable = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::NotWritable);
    let bob = scene.bob.trader.authority;
    scene.desk.chain.give_lamports(bob, 1 << 40).unwrap();
    let instruction = scene.desk.venue.close_market(bob, &scene.market());
    refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);

    // A market of another exchange of the same admin, which is live and has the same row.
    let admin = scene.desk.admin;
    let (other, _) = scene::beside(&mut scene.desk, 2, admin, |desk| desk.list(&scene::sol()).unwrap());
    let foreign = other.markets[0].address;
    let instruction = scene.desk.venue.close_market(admin, &foreign);
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongLedger);
    let instruction = other.venue.close_market(admin, &scene.market());
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongLedger);
    let instruction = other.venue.close_market(admin, &foreign);
    refuses(&mut scene.desk.chain, instruction, EngineError::MarketStatusInvalid);
    closes(&mut scene);
}

#[test]
fn markets_are_not_closed_before_they_are_settled() {
    let mut scene = noticed();
    let instruction = close(&scene);
    refuses(&mut scene.desk.chain, instruction, EngineError::MarketStatusInvalid);
}

/// Moves lamports from the chain's payer, as somebody would who wants to keep an account alive.
fn transfer(scene: &Scene, to: Address, lamports: u64) -> Instruction {
    let accounts = vec![AccountMeta::new(scene.desk.chain.payer(), true), AccountMeta::new(to, false)];
    let data = [2u32.to_le_bytes().as_slice(), &lamports.to_le_bytes()].concat();
    Instruction { program_id: SYSTEM_PROGRAM, accounts, data }
}

#[test]
fn a_closed_market_does_not_come_back() {
    let mut scene = emptied();
    let market = scene.market();
    let bytes = scene.desk.chain.data(&market).unwrap();
    let size = bytes.len();
    // Not within the transaction either, where an account without lamports still exists.
    let revive = [close(&scene), transfer(&scene, market, 1 << 40)];
    scene.desk.chain.send_all(&revive).unwrap();
    let account = scene.desk.chain.account(&market).unwrap();
    assert_eq!((account.data.len(), account.owner), (0, SYSTEM_PROGRAM));
    scene.desk.check().unwrap();
    let order = scene.order(&scene.alice, &bid(MARK, 1).build());
    refuses(&mut scene.desk.chain, order.clone(), Refusal::WrongOwner);
    let instruction = settle(&scene);
    refuses(&mut scene.desk.chain, instruction, Refusal::WrongOwner);

    // Its key's holder makes it an account of the program again: blank, and nobody's market.
    scene.desk.chain.create_account(market, size, PROGRAM).unwrap();
    for instruction in [order, settle(&scene), settle_pair(&scene, &scene.bob, &scene.alice), close(&scene)] {
        refuses(&mut scene.desk.chain, instruction, EngineError::AccountType);
    }
    // Even with the old bytes in the old place the row says no.
    edit_account(&mut scene.desk.chain, market, |account| account.data = bytes);
    let order = scene.order(&scene.alice, &bid(MARK, 1).build());
    refuses(&mut scene.desk.chain, order, EngineError::MarketNotActive);
    for instruction in [settle(&scene), settle_pair(&scene, &scene.bob, &scene.alice), close(&scene)] {
        refuses(&mut scene.desk.chain, instruction, EngineError::MarketStatusInvalid);
    }
}

#[test]
fn a_closed_market_is_not_listed_again() {
    let mut desk = scene::small_desk();
    let first = desk.list(&scene::sol()).unwrap();
    let (market, parameters) = (desk.markets[first].address, desk.markets[first].parameters);
    let size = desk.chain.data(&market).unwrap().len();
    let dead = i64::from(parameters.dead_seconds) + i64::from(ABANDONED_SECONDS);
    desk.chain.set_unix_seconds(desk.chain.unix_seconds() + dead + 1);
    for instruction in [desk.venue.settle_market(&market), desk.venue.close_market(desk.admin, &market)] {
        desk.chain.send(instruction).unwrap();
    }
    desk.chain.create_account(market, size, PROGRAM).unwrap();
    let list = desk.venue.list_market(desk.admin, market, &parameters);
    refuses(&mut desk.chain, list, EngineError::AccountNotBlank);
    // A market elsewhere gets a row of its own.
    let second = desk.list(&scene::sol()).unwrap();
    assert_eq!(read::row(&desk, second).index.get(), 1);
    assert_eq!(read::row(&desk, first).status(), Some(MarketStatus::Closed));
}

// SetMargin.

fn tier(notional: u64, rate: u32) -> TierParameters {
    TierParameters::new(QuoteAtoms::new(notional), Ppm::new(rate))
}

/// The listing's tiers and maintenance, but for what `edit` changes.
fn margin(scene: &Scene, edit: impl FnOnce(&mut MarginParameters)) -> Instruction {
    let listed = &scene.desk.markets[0].parameters;
    let (tiers, len) = (listed.tiers, listed.tiers_len);
    let mut parameters = MarginParameters::new(SOL, listed.maintenance, RAMP_SECONDS_MIN, tiers, len);
    edit(&mut parameters);
    scene.desk.venue.set_margin(scene.desk.admin, &parameters)
}

#[test]
fn margin_rises_for_new_risk_at_once_and_for_old_positions_slowly() {
    let mut scene = Scene::new();
    scene.trade(1_000);
    let view = |scene: &Scene| {
        let ledger = scene.desk.ledger_view().unwrap();
        let now = read::now(&scene.desk.chain).unix_seconds;
        let summary = quantdesk_client::view::summary(&ledger, &scene.bob.trader, now).unwrap();
        (summary.initial_margin.get(), summary.maintenance_margin.get())
    };
    assert_eq!(view(&scene), (10_000_000, 5_000_000));
    let instruction = margin(&scene, |it| {
        it.tiers.iter_mut().take(3).for_each(|tier| tier.rate = Ppm::new(tier.rate.get() / 4 * 5));
    });
    let before = Snapshot::of(&scene.desk.chain);
    send(&mut scene, instruction);
    before.only(&scene.desk.chain, &row_and_event(&scene));
    assert_eq!(view(&scene), (12_500_000, 5_000_000));
    let event = last_event(&scene);
    assert_eq!((event.kind(), event.market), (Some(CashEventKind::MarginChanged), SOL));
    assert_eq!((event.amount, event.balance), (500_000, 400_000));

    let start = now(&scene);
    for (seconds, expected) in [(43_200, 5_625_000), (86_399, 6_249_988), (86_400, 6_250_000), (90_000, 6_250_000)] {
        scene.desk.chain.set_unix_seconds(start + seconds);
        scene.desk.set_price(0, PRICE).unwrap();
        assert_eq!(view(&scene), (12_500_000, expected), "after {seconds}");
        scene.desk.check().unwrap();
    }
}

#[test]
fn margin_obeys_bounds_and_the_admin() {
    let mut scene = Scene::new();
    let owner = scene.alice.trader.authority;
    let mut instruction = margin(&scene, |_| ());
    instruction.accounts[0] = AccountMeta::new_readonly(owner, true);
    refuses(&mut scene.desk.chain, instruction, Refusal::NotAuthorized);
    let mut instruction = margin(&scene, |_| ());
    instruction.accounts[0].is_signer = false;
    refuses(&mut scene.desk.chain, instruction, Refusal::SignatureMissing);

    let refused: [(EngineError, fn(&mut MarginParameters)); 9] = [
        (EngineError::MarketNotFound, |it| it.market = MarketIndex::new(1)),
        (EngineError::ListingRiskInvalid, |it| it.ramp_seconds = RAMP_SECONDS_MIN - 1),
        (EngineError::ListingRiskInvalid, |it| it.ramp_seconds = RAMP_SECONDS_MAX + 1),
        (EngineError::ListingTiersInvalid, |it| it.maintenance = Ppm::new(249_999)),
        (EngineError::ListingTiersInvalid, |it| it.maintenance = Ppm::new(900_001)),
        (EngineError::ListingTiersInvalid, |it| it.tiers_len = 2),
        (EngineError::ListingTiersInvalid, |it| it.tiers[1].rate = it.tiers[0].rate),
        // What a price step and the fees need does not fit into a quarter of 4.8%, nor into half of 2%.
        (EngineError::ListingEnvelopeExceeded, |it| {
            (it.maintenance, it.tiers[0].rate) = (Ppm::new(250_000), Ppm::new(48_000));
        }),
        (EngineError::ListingEnvelopeExceeded, |it| it.tiers[0].rate = Ppm::new(20_000)),
    ];
    for (place, (error, edit)) in refused.into_iter().enumerate() {
        let mut instruction = margin(&scene, edit);
        if place == 5 {
            // Two tiers given, the third one blank: now the second has an end.
            instruction.data[8 + 48..8 + 64].fill(0);
        }
        refuses(&mut scene.desk.chain, instruction, error);
    }
    for place in [3, 12, 15, 28, 44, 64, 111] {
        let mut instruction = margin(&scene, |_| ());
        instruction.data[8 + place] = 1;
        refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
    }
    let instruction = margin(&scene, |it| (it.tiers[0], it.tiers_len) = (tier(u64::MAX, 60_000), 1));
    refuses(&mut scene.desk.chain, instruction, Refusal::FieldInvalid);
    send_edit(&mut scene, |it| it.maintenance = Ppm::new(625_000));

    let mut over = settled();
    let instruction = margin(&over, |_| ());
    refuses(&mut over.desk.chain, instruction, EngineError::MarketStatusInvalid);
}

#[track_caller]
fn send_edit(scene: &mut Scene, edit: impl FnOnce(&mut MarginParameters)) {
    let instruction = margin(scene, edit);
    send(scene, instruction);
}
