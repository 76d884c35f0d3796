//! Modes, through the program: what reduces and what takes away, how a mode is set and how it ends. Every instruction in every mode
//! is `authority.rs`.

use quantdesk_client::{
    engine::{
        EngineError, Lots, MarketIndex, NodeIndex, QuoteAtoms, Sequence, Side, Ticks, UnixSeconds,
        book::{NewOrder, Replacement, Sides},
        governance::{
            guard::Tightening,
            mode::{HALT_SECONDS_MAX, Mode},
        },
        state::{CashEventKind, MarketHeader},
    },
    error::ProgramError,
    ladder::LadderTicket,
    trigger::TriggerTicket,
};
use quantdesk_tests::{
    read, refused, refuses,
    scene::{MARK, Party, Scene, ask, bid, patch},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

const fn mode_for(mode: Mode, seconds: u32) -> Tightening {
    Tightening::Mode { mode, seconds }
}

fn guard(scene: &Scene, wanted: &Tightening) -> Instruction {
    scene.desk.venue.guard(scene.desk.admin, wanted)
}

#[track_caller]
fn set(scene: &mut Scene, mode: Mode, seconds: u32) {
    if mode != Mode::Active {
        let instruction = guard(scene, &mode_for(mode, seconds));
        scene.desk.chain.send(instruction).unwrap();
    }
}

/// Reduce-only orders and triggers of Bob, who is long; and what takes away, which is never refused.
#[test]
fn what_reduces_and_what_takes_away() {
    for mode in Mode::ALL {
        let mut scene = Scene::new();
        scene.trade(1_000);
        let (alice, bob) = (scene.alice, scene.bob);
        scene.accept(&alice, &bid(MARK - 5, 50).build());
        scene.accept(&bob, &ask(MARK + 20, 9).client_id(4).build());
        let set_ladder = scene.set_ladder(&bob, &ladder(&bob).wanted(1));
        scene.desk.chain.send(set_ladder).unwrap();
        let own = read::handles(&scene.desk, &bob.trader, 0);
        let resting = *own.last().unwrap();
        set(&mut scene, mode, 60);
        let outcome = |instruction: Instruction| {
            let sent = scene.desk.chain.clone().send(instruction);
            sent.map(|_| ()).map_err(|failure| failure.error)
        };
        let forbidden = Err(Some(ProgramError::from(EngineError::ModeForbids)));
        let reducing = if mode >= Mode::WithdrawOnly { forbidden } else { Ok(()) };
        let opening = if mode == Mode::Active { Ok(()) } else { forbidden };

        let sell = |lots| ask(MARK - 5, lots);
        let order = |order: &NewOrder| outcome(scene.order(&bob, order));
        assert_eq!(order(&sell(7).reduce_only().immediate_or_cancel().build()), reducing, "{mode:?}");
        assert_eq!(order(&ask(MARK + 9, 7).reduce_only().build()), reducing, "{mode:?}");
        assert_eq!(order(&sell(7).immediate_or_cancel().build()), opening, "without the flag: {mode:?}");
        let stop = TriggerTicket::stop(Side::Ask, Ticks::new(MARK - 9)).lots(Lots::new(5));
        let (venue, market) = (&scene.desk.venue, scene.market());
        let trigger = |ticket: TriggerTicket| {
            outcome(venue.place_trigger(&bob.trader, &market, &ticket.build(), UnixSeconds::ZERO))
        };
        assert_eq!(trigger(stop), reducing, "{mode:?}");
        assert_eq!(trigger(stop.adding()), opening, "{mode:?}");

        let amended =
            |price, lots| venue.amend_order(&bob.trader, &market, resting, Ticks::new(price), Lots::new(lots));
        assert_eq!(outcome(amended(MARK + 20, 3)), Ok(()), "fewer lots: {mode:?}");
        assert_eq!(outcome(amended(MARK + 20, 12)), opening, "more lots: {mode:?}");
        assert_eq!(outcome(amended(MARK + 21, 9)), opening, "another price: {mode:?}");
        let (sides, expires_at) = (Some(Sides::Both), UnixSeconds::ZERO);
        let nothing = Replacement { sequence: 9, sides, expires_at, quotes: &[] };
        assert_eq!(
            outcome(venue.replace_quotes(&bob.trader, &market, &nothing, UnixSeconds::ZERO)),
            Ok(()),
            "{mode:?}"
        );
        let none = LadderTicket::new(&bob.trader.authority, MARK);
        assert_eq!(outcome(scene.set_ladder(&bob, &none.wanted(9))), Ok(()), "no levels: {mode:?}");
        assert_eq!(outcome(scene.set_ladder(&bob, &ladder(&bob).wanted(9))), opening, "{mode:?}");
        assert_eq!(outcome(scene.move_ladder(&bob, 9, MARK + 3)), Ok(()), "{mode:?}");
        assert_eq!(outcome(venue.cancel_order(&bob.trader, &market, resting.0, resting.1)), Ok(()), "{mode:?}");
        assert_eq!(outcome(venue.cancel_all(&bob.trader, &market, Sides::Both, 9)), Ok(()), "{mode:?}");
    }
}

/// A level a side, far from the mark.
fn ladder(party: &Party) -> LadderTicket {
    let ticket = LadderTicket::new(&party.trader.authority, MARK);
    ticket.side(Side::Bid, MARK, 5, &[(90, 5)]).side(Side::Ask, MARK, 5, &[(90, 5)])
}

/// Nobody could leave if a maker had to reduce, too.
#[test]
fn in_close_only_a_reducing_order_fills_a_maker_that_gets_larger_by_it() {
    let mut scene = Scene::new();
    scene.trade(1_000);
    let (alice, bob, carol) = (scene.alice, scene.bob, quantdesk_tests::scene::party(&mut scene.desk, 0));
    scene.accept(&carol, &bid(MARK, 600).build());
    let set_ladder = LadderTicket::new(&alice.trader.authority, MARK).side(Side::Bid, MARK, 900, &[(1, 900)]);
    let set_ladder = scene.set_ladder(&alice, &set_ladder.wanted(1));
    scene.desk.chain.send(set_ladder).unwrap();
    set(&mut scene, Mode::CloseOnly, 60);
    scene.accept(&bob, &ask(MARK - 5, 1_000).reduce_only().immediate_or_cancel().build());
    let held = [alice, bob, carol].map(|party| read::lots(&scene.desk, &party.trader, 0));
    assert_eq!(held, [-600, 0, 600], "the ladder filled 400, too");
}

/// One that waits has no way back but this: whoever runs it while it is forbidden drops it.
#[test]
fn a_waiting_taker_that_the_mode_forbids_is_dropped() {
    for mode in [Mode::CloseOnly, Mode::WithdrawOnly, Mode::Halted] {
        let mut scene = Scene::new();
        scene.trade(1_000);
        let (alice, bob) = (scene.alice, scene.bob);
        scene.accept(&alice, &ask(MARK + 1, 50).build());
        scene.accept(&alice, &bid(MARK - 1, 50).build());
        let (market, delay) = (scene.market(), offset_of!(MarketHeader, taker_delay));
        patch(&mut scene.desk.chain, market, delay, &1u32.to_le_bytes());
        scene.accept(&bob, &bid(MARK + 1, 7).immediate_or_cancel().build());
        scene.accept(&bob, &ask(MARK - 1, 7).reduce_only().immediate_or_cancel().build());
        set(&mut scene, mode, 60);
        scene.desk.chain.next_slot();
        let run = scene.desk.venue.run_delayed(&market, 9);
        scene.desk.chain.send(run).unwrap();
        scene.desk.check().unwrap();
        let sold = if mode == Mode::CloseOnly { 7 } else { 0 };
        assert_eq!(read::lots(&scene.desk, &bob.trader, 0), 1_000 - sold, "{mode:?}");
        assert_eq!(read::market_header(&scene.desk, 0).delayed_len, 0);
    }
}

#[test]
fn a_mode_ends_by_itself() {
    let mut scene = Scene::new();
    let (alice, atoms) = (scene.alice, 1_000);
    set(&mut scene, Mode::CloseOnly, 60);
    set(&mut scene, Mode::WithdrawOnly, 20);
    set(&mut scene, Mode::Halted, 20 + 1);
    let began = scene.desk.chain.unix_seconds();
    let modes = read::header(&scene.desk).modes;
    let at = |seconds: i64| modes.mode(UnixSeconds::new(began + seconds));
    assert_eq!(
        [0, 20, 21, 59, 60].map(at),
        [Mode::Halted, Mode::Halted, Mode::CloseOnly, Mode::CloseOnly, Mode::Active]
    );
    let events = read::cash_events(&scene.desk);
    let last = events.last().unwrap();
    assert_eq!((last.kind(), last.amount, last.balance), (Some(CashEventKind::ModeSet), 3, began + 21));
    let withdraw = scene.withdraw(&alice, atoms);
    refuses(&mut scene.desk.chain, withdraw.clone(), EngineError::ModeForbids);
    scene.wait(21);
    scene.desk.chain.send(withdraw).unwrap();
    scene.desk.set_price(0, quantdesk_tests::scene::PRICE).unwrap();
    let order = scene.order(&alice, &ask(MARK, 5).build());
    refuses(&mut scene.desk.chain, order.clone(), EngineError::ModeForbids);
    scene.wait(20);
    scene.desk.set_price(0, quantdesk_tests::scene::PRICE).unwrap();
    refuses(&mut scene.desk.chain, order.clone(), EngineError::ModeForbids);
    scene.wait(19);
    scene.desk.set_price(0, quantdesk_tests::scene::PRICE).unwrap();
    scene.desk.chain.send(order).unwrap();
    scene.desk.check().unwrap();
}

/// What is set can be made stricter or longer, and nothing else.
#[test]
fn nothing_ends_a_mode_early() {
    let mut scene = Scene::new();
    set(&mut scene, Mode::CloseOnly, 600);
    set(&mut scene, Mode::Halted, 300);
    for (mode, seconds, error) in [
        (Mode::Active, 0, EngineError::ModeInvalid),
        (Mode::Active, 1, EngineError::ModeInvalid),
        (Mode::CloseOnly, 599, EngineError::NotTightening),
        (Mode::CloseOnly, 600, EngineError::NotTightening),
        (Mode::CloseOnly, 604_801, EngineError::ModeInvalid),
        (Mode::WithdrawOnly, 300, EngineError::NotTightening),
        (Mode::WithdrawOnly, 21_600, EngineError::NotTightening),
        (Mode::Halted, 299, EngineError::NotTightening),
        (Mode::Halted, 300, EngineError::NotTightening),
        (Mode::Halted, 21_601, EngineError::ModeInvalid),
    ] {
        let instruction = guard(&scene, &mode_for(mode, seconds));
        refuses(&mut scene.desk.chain, instruction, error);
    }
    set(&mut scene, Mode::CloseOnly, 601);
    set(&mut scene, Mode::Halted, 301);
    set(&mut scene, Mode::Halted, HALT_SECONDS_MAX);
}

#[test]
fn caps_go_down_to_what_a_listing_may_have() {
    let mut scene = Scene::new();
    let market = scene.desk.markets[0].index;
    let row = read::row(&scene.desk, 0);
    let position = |lots: u64| Tightening::PositionMax { market, lots: Lots::new(lots) };
    let interest = |lots: u64| Tightening::InterestMax { market, lots: Lots::new(lots) };
    let (most, open, least) = (row.position_max.get(), row.open_interest_max.get(), row.lots_max.get());
    let unlisted = Tightening::InterestMax { market: MarketIndex::new(1), lots: Lots::new(1) };
    for (wanted, error) in [
        (position(most), EngineError::NotTightening),
        (position(u64::MAX), EngineError::NotTightening),
        (position(least - 1), EngineError::ListingParametersInvalid),
        (interest(open), EngineError::NotTightening),
        (interest(0), EngineError::ListingParametersInvalid),
        (unlisted, EngineError::MarketNotFound),
    ] {
        let instruction = guard(&scene, &wanted);
        refuses(&mut scene.desk.chain, instruction, error);
    }
    for wanted in [position(least), interest(1)] {
        let instruction = guard(&scene, &wanted);
        scene.desk.chain.send(instruction).unwrap();
    }
    let lowered = read::row(&scene.desk, 0);
    assert_eq!((lowered.position_max.get(), lowered.open_interest_max.get()), (least, 1));
    let [.., first, second] = read::cash_events(&scene.desk)[..] else { panic!() };
    let told = [first, second].map(|it| (it.kind(), it.market, it.amount, it.balance));
    let kinds = [CashEventKind::PositionMaxLowered, CashEventKind::InterestMaxLowered].map(Some);
    assert_eq!(told[0], (kinds[0], market, least as i64, most as i64));
    assert_eq!(told[1], (kinds[1], market, 1, open as i64));
    scene.desk.check().unwrap();
}

#[test]
fn an_amount_that_is_asked_for_in_a_halt_stays() {
    let mut scene = Scene::new();
    let alice = scene.alice;
    set(&mut scene, Mode::Halted, 60);
    let cash = read::cash(&scene.desk, &alice.trader);
    let instructions = [scene.withdraw(&alice, 5), scene.desk.venue.fund_pool(&alice.trader, QuoteAtoms::new(5))];
    for instruction in instructions {
        refused(scene.desk.chain.send(instruction), EngineError::ModeForbids);
    }
    assert_eq!(read::cash(&scene.desk, &alice.trader), cash);
    let cancel = scene.desk.venue.cancel_order(&alice.trader, &scene.market(), NodeIndex::new(0), Sequence::new(1));
    refuses(&mut scene.desk.chain, cancel, EngineError::OrderNotFound);
}
