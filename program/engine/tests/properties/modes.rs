//! Modes: what a guardian can do to users, whatever it calls and whenever, and what a chain that stood still costs them.

use crate::{
    cases,
    support::{World, listing, world::order},
};
use proptest::prelude::*;
use quantdesk_engine::{
    EngineError, Lots, MarketIndex, Now, Side, Slot, Ticks, UnixSeconds,
    book::OrderKind,
    governance::{
        guard::{self, Tightening},
        mode::{Act, CLOSE_ONLY_SECONDS_MAX, HALT_SECONDS_MAX, Mode, Modes, QUIET_SECONDS},
    },
    risk::{life, restart},
    state::CashEventKind,
};

const START: i64 = 1_700_000_000;

fn at(seconds: i64) -> UnixSeconds {
    UnixSeconds::new(seconds)
}

/// A time to wait, then a mode for a time.
fn call() -> impl Strategy<Value = (i64, Mode, u32)> {
    let waits =
        prop_oneof![0i64..5, 0i64..30_000, Just(21_599), Just(21_600), Just(86_399), Just(86_400), 80_000i64..120_000,];
    let seconds = prop_oneof![Just(0u32), 1u32..100, 1u32..=21_600, Just(21_600), 0u32..700_000, Just(604_800)];
    (waits, prop::sample::select(Mode::ALL.to_vec()), seconds)
}

/// Seconds of the intervals that lie between two times.
fn within(intervals: &[(i64, i64)], from: i64, to: i64) -> i64 {
    intervals.iter().map(|(start, end)| (*end.min(&to) - *start.max(&from)).max(0)).sum()
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// Whoever has the guardian's key, and calls whatever whenever: of any day money out, or reducing, is refused for at most
    /// six hours; no call ends anything early or makes it less strict; everything ends by itself within a week.
    #[test]
    fn inv_h1_exits_are_refused_for_a_bounded_time(calls in prop::collection::vec(call(), 1..60)) {
        let (mut modes, mut now) = (Modes::default(), START);
        let (mut no_money, mut no_exit) = (Vec::new(), Vec::new());
        for (wait, mode, seconds) in calls {
            for (refused, act) in [(&mut no_money, Act::PayOut), (&mut no_exit, Act::Reduce)] {
                // What is refused now is refused until this ends, or until the next call.
                if !modes.mode(at(now)).allows(act) {
                    let ends = (now..=now + wait).find(|time| modes.mode(at(*time)).allows(act));
                    refused.push((now, ends.unwrap_or(now + wait)));
                }
            }
            now += wait;
            let before = modes;
            match modes.set(mode, seconds, at(now)) {
                Ok(until) => {
                    prop_assert!(mode != Mode::Active && seconds > 0);
                    prop_assert!(until > at(now) && until <= at(now + i64::from(seconds)));
                }
                Err(_) => modes = before,
            }
            prop_assert!(modes.is_well_formed());
            prop_assert!(modes.restricted_until() <= at(now + i64::from(CLOSE_ONLY_SECONDS_MAX)).max(before.restricted_until()));
            for time in [0, 1, 99, 3_600, 21_599, 21_600, 86_400, 604_799, 604_800].map(|later| at(now + later)) {
                prop_assert!(modes.mode(time) >= before.mode(time), "{mode:?} for {seconds} s loosened");
                prop_assert_eq!(modes.require(Act::Open, time).is_ok(), modes.mode(time) == Mode::Active);
                let free = modes.restricted_until() <= time;
                prop_assert_eq!(free, modes.mode(time) == Mode::Active);
            }
        }
        for refused in [no_money, no_exit] {
            let day = i64::from(QUIET_SECONDS);
            for edge in refused.iter().flat_map(|(start, end)| [*start, *end]) {
                for from in [edge, edge - day] {
                    let seconds = within(&refused, from, from + day);
                    prop_assert!(seconds <= i64::from(HALT_SECONDS_MAX), "{} s of a day from {}", seconds, from);
                }
            }
        }
    }
}

#[test]
fn the_table_is_what_is_published() {
    let table = Mode::ALL.map(|mode| [Act::Open, Act::Reduce, Act::PayOut].map(|act| mode.allows(act)));
    let published = [[true, true, true], [false, true, true], [false, false, true], [false, false, false]];
    assert_eq!(table, published);
    assert_eq!((0..4).map(Mode::from_byte).collect::<Vec<_>>(), Mode::ALL.map(Some));
    assert!((4..=255).all(|byte| Mode::from_byte(byte).is_none()));
}

#[test]
fn a_halting_may_be_renewed_and_is_over_after_six_hours() {
    let mut modes = Modes::default();
    let mut set = |mode, seconds, now| modes.set(mode, seconds, at(START + now)).map(|until| until.get() - START);
    assert_eq!(set(Mode::WithdrawOnly, 3_600, 0), Ok(3_600));
    assert_eq!(set(Mode::WithdrawOnly, 3_599, 1), Err(EngineError::NotTightening), "the same");
    assert_eq!(set(Mode::WithdrawOnly, 3_598, 1), Err(EngineError::NotTightening), "shorter");
    assert_eq!(set(Mode::Halted, 3_598, 1), Err(EngineError::NotTightening), "stricter, but shorter");
    assert_eq!(set(Mode::Halted, 3_599, 1), Ok(3_600), "stricter");
    assert_eq!(set(Mode::WithdrawOnly, 7_200, 2), Err(EngineError::NotTightening), "longer, but less strict");
    assert_eq!(set(Mode::Halted, 7_200, 2), Ok(7_202), "longer");
    // It ends, and is taken up again in its six hours, in a milder mode; then it is over for a day.
    assert_eq!(set(Mode::WithdrawOnly, 21_600, 8_000), Ok(21_600), "no longer than six hours from its start");
    assert_eq!(set(Mode::WithdrawOnly, 21_600, 8_001), Err(EngineError::NotTightening), "it has no more");
    assert_eq!(set(Mode::Halted, 1, 21_600), Err(EngineError::HaltTooSoon));
    assert_eq!(set(Mode::Halted, 1, 107_999), Err(EngineError::HaltTooSoon));
    assert_eq!(set(Mode::CloseOnly, 604_800, 108_000), Ok(712_800));
    assert_eq!(set(Mode::Halted, 21_600, 108_000), Ok(129_600), "a day later");
    for (mode, seconds) in
        [(Mode::Active, 1), (Mode::CloseOnly, 0), (Mode::CloseOnly, 604_801), (Mode::Halted, 0), (Mode::Halted, 21_601)]
    {
        assert_eq!(set(mode, seconds, 108_001), Err(EngineError::ModeInvalid), "{mode:?} for {seconds} s");
    }
    assert_eq!(modes.mode(at(START + 129_599)), Mode::Halted);
    assert_eq!(modes.mode(at(START + 129_600)), Mode::CloseOnly);
    assert_eq!(modes.mode(at(START + 712_800)), Mode::Active);
}

#[test]
fn caps_are_lowered_to_what_a_listing_may_have() {
    let mut world = World::new(&[listing::usual()], 8);
    let row = world.view().rows[0];
    let market = MarketIndex::new(0);
    let mut lower = |wanted| world.ledger(|ledger, now| guard::tighten(ledger, now, &wanted));
    let position = |lots: u64| Tightening::PositionMax { market, lots: Lots::new(lots) };
    let interest = |lots: u64| Tightening::InterestMax { market, lots: Lots::new(lots) };
    let (held, open, least) = (row.position_max.get(), row.open_interest_max.get(), row.lots_max.get());
    assert!(least < held && open > 1);
    for same_or_more in [position(held), position(held + 1), interest(open), interest(u64::MAX)] {
        assert_eq!(lower(same_or_more), Err(EngineError::NotTightening));
    }
    assert_eq!(lower(position(least - 1)), Err(EngineError::ListingParametersInvalid));
    assert_eq!(lower(interest(0)), Err(EngineError::ListingParametersInvalid));
    assert_eq!(lower(position(least)), Ok(()));
    assert_eq!(lower(interest(1)), Ok(()));
    assert_eq!(lower(interest(1)), Err(EngineError::NotTightening));
    let unlisted = Tightening::InterestMax { market: MarketIndex::new(1), lots: Lots::new(1) };
    assert_eq!(lower(unlisted), Err(EngineError::MarketNotFound));
    let changed = world.view().rows[0];
    assert_eq!((changed.position_max.get(), changed.open_interest_max.get()), (least, 1));
    let events: Vec<_> = world.view().events.iter().map(|event| (event.kind(), event.amount, event.balance)).collect();
    assert!(events.contains(&(Some(CashEventKind::PositionMaxLowered), least as i64, held as i64)));
    assert!(events.contains(&(Some(CashEventKind::InterestMaxLowered), 1, open as i64)));
    world.set_status(0, 3);
    let over = world.ledger(|ledger, now| guard::tighten(ledger, now, &position(1)));
    assert_eq!(over, Err(EngineError::MarketStatusInvalid));
}

/// A board updated at slot 1,000, and a time after it.
fn passed(seconds: i64, slots: u64) -> restart::Passed {
    let mut world = World::new(&[listing::usual()], 8);
    world.now = Now { slot: Slot::new(1_000), unix_seconds: at(START) };
    world.set_price(0, 100);
    let now = Now { slot: Slot::new(1_000 + slots), unix_seconds: at(START + seconds) };
    restart::since_update(&world.view().rows[0], now)
}

#[test]
fn the_chain_stood_still_if_its_clock_ran_ahead_of_its_slots() {
    let alive = |lived| restart::Passed { lived, still: 0 };
    assert_eq!(passed(0, 0), alive(0));
    assert_eq!(passed(310, 0), alive(310), "within the bound");
    assert_eq!(passed(311, 0), restart::Passed { lived: 0, still: 311 });
    assert_eq!(passed(321, 10), restart::Passed { lived: 10, still: 311 });
    assert_eq!(passed(320, 10), alive(320));
    assert_eq!(passed(100_000, 99_690), alive(100_000), "no update for long, with slots as slow as they may be");
    assert_eq!(passed(100_000, 250_000), alive(100_000));
    let mut world = World::new(&[listing::usual()], 8);
    world.now = Now { slot: Slot::new(5), unix_seconds: at(START) };
    assert_eq!(restart::since_update(&world.view().rows[0], world.now), alive(START as u64), "never updated");
    world.set_price(0, 100);
    let resumed = |world: &World| {
        world.view().events.iter().filter(|event| event.kind() == Some(CashEventKind::ChainResumed)).count()
    };
    assert_eq!(resumed(&world), 0);
    world.now = Now { slot: Slot::new(5), unix_seconds: at(START + 400) };
    world.set_price(0, 100);
    assert_eq!(resumed(&world), 1);
}

/// The mark stands above the index when the chain stops; for the time it stood still nobody pays.
#[test]
fn no_funding_for_a_time_in_which_the_chain_stood_still() {
    let accrued = |seconds: i64, slots: u64| {
        let mut world = World::new(&[listing::usual()], 8);
        world.now = Now { slot: Slot::new(1_000), unix_seconds: at(START) };
        world.set_price(0, 100);
        let lifted = world.ledger(|ledger, _| {
            ledger.rows[0].mark = Ticks::new(110);
            Ok(())
        });
        assert_eq!(lifted, Ok(()));
        world.now = Now { slot: Slot::new(1_000 + slots), unix_seconds: at(START + seconds) };
        world.move_price(0, 100).unwrap();
        world.view().rows[0].funding_index.get()
    };
    let (fresh, alive) = (listing::usual().fresh_seconds, accrued(10, 25));
    assert!(fresh >= 10 && alive > 0);
    assert_eq!(accrued(10_000, 0), 0, "it stopped at once");
    assert_eq!(accrued(10_000, 10), alive, "as if there had been the ten seconds that ten slots took at most");
    assert_eq!(accrued(10_000, 9_990), accrued(i64::from(fresh), 9_990), "only nobody updated the board");
    assert_eq!(accrued(i64::from(fresh), 0), accrued(i64::from(fresh), 750), "a gap within the bound changes nothing");
}

/// After a gap of any length nobody may settle a market at a price that nobody could renew.
#[test]
fn a_market_is_not_abandoned_while_the_chain_stands_still() {
    let settled = |seconds: i64, slots: u64| {
        let mut world = World::new(&[listing::usual()], 8);
        world.now = Now { slot: Slot::new(1_000), unix_seconds: at(START) };
        world.set_price(0, 100);
        world.now = Now { slot: Slot::new(1_000 + slots), unix_seconds: at(START + seconds) };
        let header = *world.market(0).header;
        world.ledger(|ledger, now| life::settle_market(ledger, now, &header))
    };
    let long = i64::from(listing::usual().dead_seconds) + 86_401;
    assert_eq!(settled(long, 2 * long as u64), Ok(()));
    assert_eq!(settled(long, 10), Err(EngineError::NoticeNotOver));
    assert_eq!(settled(10 * long, 10), Err(EngineError::NoticeNotOver));
}

/// Every order, by what it is, in every mode; cancels and fewer lots always.
#[test]
fn orders_by_mode() {
    for mode in Mode::ALL {
        let mut world = World::new(&[listing::usual()], 32);
        world.set_price(0, 100);
        let [maker, taker] = [1, 2].map(|owner| world.funded(owner, 10_000_000));
        let handle = world.place(0, maker, &order(Side::Ask, OrderKind::PostOnly, 100, 9)).unwrap().resting.unwrap();
        world.place(0, taker, &order(Side::Bid, OrderKind::Limit, 100, 3)).unwrap();
        let bid = world.place(0, maker, &order(Side::Bid, OrderKind::PostOnly, 99, 5)).unwrap().resting.unwrap();
        if mode != Mode::Active {
            let wanted = Tightening::Mode { mode, seconds: 60 };
            world.ledger(|ledger, now| guard::tighten(ledger, now, &wanted)).unwrap();
        }
        let expected = |act: Act| if mode.allows(act) { Ok(()) } else { Err(EngineError::ModeForbids) };
        let place = |order: &_| world.clone().place(0, taker, order).map(|_| ());
        for kind in [OrderKind::Limit, OrderKind::Market, OrderKind::ImmediateOrCancel] {
            let opening = order(Side::Bid, kind, 100, 1);
            assert_eq!(place(&opening), expected(Act::Open), "{mode:?} {kind:?}");
            let reducing = order(Side::Ask, kind, 99, 1);
            assert_eq!(place(&reducing), expected(Act::Open), "without the flag it may add: {mode:?} {kind:?}");
            let reducing = quantdesk_engine::book::NewOrder { reduce_only: true, ..reducing };
            assert_eq!(place(&reducing), expected(Act::Reduce), "{mode:?} {kind:?}");
        }
        // A reducing taker fills a maker that gets larger by it: nobody could leave otherwise.
        if mode == Mode::CloseOnly {
            let out = order(Side::Ask, OrderKind::ImmediateOrCancel, 99, 3);
            let out = quantdesk_engine::book::NewOrder { reduce_only: true, ..out };
            assert_eq!(world.clone().place(0, taker, &out).unwrap().filled, Lots::new(3));
        }
        let named = |handle: (_, _)| quantdesk_engine::book::OrderHandle::new(handle.0, handle.1);
        let amend = |price: u32, lots: u64| {
            let amended = world
                .clone()
                .trading(0, |trading| trading.amend_order(maker, named(bid), Ticks::new(price), Lots::new(lots)));
            amended.map(|_| ())
        };
        assert_eq!(amend(99, 2), Ok(()), "fewer lots: {mode:?}");
        assert_eq!(amend(98, 5), expected(Act::Open), "another price: {mode:?}");
        assert_eq!(world.clone().withdraw(taker, 7), expected(Act::PayOut));
        assert_eq!(world.clone().deposit(taker, 7), Ok(()));
        assert_eq!(world.cancel(0, maker, handle.0, handle.1), Ok(()), "{mode:?}");
        // And it ends by itself.
        world.pass(60);
        world.set_price(0, 100);
        assert!(world.place(0, taker, &order(Side::Bid, OrderKind::Limit, 99, 1)).is_ok(), "{mode:?}");
        assert_eq!(world.check(), Ok(()));
    }
}
