//! Every transition from every status.

use super::*;

#[test]
fn every_call_in_every_status() {
    use EngineError::{MarketNotActive, MarketNotEmpty, MarketStatusInvalid, NoticeNotOver};
    let (yes, no) = (Ok(()), Err(MarketStatusInvalid));
    let idle = Err(MarketNotActive);
    let table: [(&str, Call, [Result<()>; 4]); 16] = [
        ("to 0", |world, _| set_status(world, 0), [no, no, no, no]),
        ("to 1", |world, _| set_status(world, 1), [no, yes, no, no]),
        ("to 2", |world, _| set_status(world, 2), [yes, no, no, no]),
        ("to 3", |world, _| set_status(world, 3), [no, no, no, no]),
        ("to 4", |world, _| set_status(world, 4), [no, no, no, no]),
        ("to 255", |world, _| set_status(world, 255), [no, no, no, no]),
        ("settle", |world, _| settle(world), [Err(NoticeNotOver), yes, no, no]),
        ("settle a pair", |world, traders| settle_pair(world, traders[1], traders[0]), [no, no, yes, no]),
        ("close", |world, _| close(world), [no, no, Err(MarketNotEmpty), no]),
        ("margin", |world, _| set_margin(world, &share_of(550_000)), [yes, yes, no, no]),
        ("price", |world, _| world.move_price(0, MARK + 1).map(|_| ()), [yes, yes, no, no]),
        (
            "order",
            |world, traders| world.place(0, traders[0], &order(Side::Ask, OrderKind::Limit, MARK, 1)).map(|_| ()),
            [yes, idle, idle, idle],
        ),
        (
            "reduce-only order",
            |world, traders| {
                let order = reducing(order(Side::Bid, OrderKind::Limit, MARK, 1));
                world.place(0, traders[0], &order).map(|_| ())
            },
            [yes, yes, idle, idle],
        ),
        ("cancel", |world, traders| world.cancel_all(0, traders[0], Sides::Both, 9).map(|_| ()), [yes; 4]),
        ("deposit", |world, traders| world.deposit(traders[0], 1), [yes; 4]),
        ("withdraw", |world, traders| world.withdraw(traders[0], 1), [yes; 4]),
    ];
    let statuses = [MarketStatus::Active, MarketStatus::ReduceOnly, MarketStatus::Settled, MarketStatus::Closed];
    for (place, status) in statuses.into_iter().enumerate() {
        let (world, traders) = in_status(status);
        assert_eq!(row(&world).status(), Some(status));
        world.check().unwrap();
        for (name, call, expected) in &table {
            let mut world = world.clone();
            match expected[place] {
                Ok(()) => assert_eq!(call(&mut world, &traders), Ok(()), "{name}, {status:?}"),
                Err(error) => refuses(&mut world, error, |world| call(world, &traders)),
            }
            world.check().unwrap_or_else(|violation| panic!("{name}, {status:?}: {violation}"));
        }
    }
}

#[test]
fn markets_that_are_not_listed_have_no_life() {
    let (mut world, _) = open_market();
    let other = MarketIndex::new(1);
    let error = EngineError::MarketNotFound;
    refuses(&mut world, error, |world| world.ledger(|ledger, now| life::set_status(ledger, now, other, 2)));
    let mut parameters = share_of(550_000);
    parameters.market = other;
    refuses(&mut world, error, |world| set_margin(world, &parameters));
}

#[test]
fn a_change_of_status_is_dated_and_recorded() {
    let (mut world, _) = open_market();
    world.pass(77);
    set_status(&mut world, 2).unwrap();
    let event = last_event(&world);
    assert_eq!(row(&world).status_at, world.now.unix_seconds);
    assert_eq!(event.kind(), Some(CashEventKind::MarketStatusChanged));
    assert_eq!((event.market, event.amount, event.balance), (MARKET, 2, i64::from(MARK)));
    assert_eq!((event.trader, event.unix_seconds), (CellIndex::NIL, world.now.unix_seconds));
}

#[test]
fn settling_takes_a_day_of_notice() {
    let (mut world, _) = open_market();
    refuses(&mut world, EngineError::NoticeNotOver, settle);
    set_status(&mut world, 2).unwrap();
    world.pass(i64::from(NOTICE_SECONDS) - 1);
    world.set_price(0, MARK + 5);
    refuses(&mut world, EngineError::NoticeNotOver, settle);
    world.pass(1);
    settle(&mut world).unwrap();
    world.check().unwrap();
    let settled = row(&world);
    let price = Ticks::new(MARK + 5);
    assert_eq!([settled.index_price, settled.mark, settled.stable, settled.low, settled.high], [price; 5]);
    assert_eq!((settled.status(), settled.status_at), (Some(MarketStatus::Settled), world.now.unix_seconds));
    assert_eq!(settled.condition(), PriceCondition::Good);
    for seconds in [0, 1 << 31, i64::MAX] {
        assert_eq!(settled.validity(UnixSeconds::new(seconds)), Validity::Fresh, "at {seconds}");
    }
    let event = last_event(&world);
    assert_eq!((event.amount, event.balance), (3, i64::from(MARK + 5)));
}

#[test]
fn going_back_to_active_ends_the_notice() {
    let (mut world, _) = open_market();
    set_status(&mut world, 2).unwrap();
    world.pass(i64::from(NOTICE_SECONDS) - 10);
    set_status(&mut world, 1).unwrap();
    set_status(&mut world, 2).unwrap();
    world.pass(i64::from(NOTICE_SECONDS) - 1);
    world.set_price(0, MARK);
    refuses(&mut world, EngineError::NoticeNotOver, settle);
    world.pass(1);
    settle(&mut world).unwrap();
}

#[test]
fn nothing_settles_at_a_mark_that_is_lagging_or_not_fresh() {
    let (world, _) = in_status(MarketStatus::ReduceOnly);
    // The staircase allows five seconds of 0.2%: one tick.
    let mut lagging = world.clone();
    lagging.pass(5);
    lagging.move_price(0, MARK + 9).unwrap();
    assert!(row(&lagging).is_lagging());
    refuses(&mut lagging, EngineError::NoticeNotOver, settle);

    let mut stale = world.clone();
    stale.pass(61);
    assert_eq!(row(&stale).validity(stale.now.unix_seconds), Validity::SoftStale);
    refuses(&mut stale, EngineError::NoticeNotOver, settle);
    stale.pass(-1);
    settle(&mut stale.clone()).unwrap();
    stale.pass(600);
    assert_eq!(row(&stale).validity(stale.now.unix_seconds), Validity::Dead);
    refuses(&mut stale, EngineError::NoticeNotOver, settle);

    for condition in [1, 2] {
        let mut unsure = world.clone();
        edit(&mut unsure, |row| bytemuck::bytes_of_mut(row)[36] = condition);
        edit(&mut unsure, |row| bytemuck::bytes_of_mut(row)[144..152].fill(0));
        assert_ne!(row(&unsure).validity(unsure.now.unix_seconds), Validity::Fresh);
        refuses(&mut unsure, EngineError::NoticeNotOver, settle);
    }
}

#[test]
fn a_dead_price_strands_nobody() {
    for status in [1, 2] {
        let (mut world, traders) = open_market();
        let dead = row(&world).dead_seconds;
        world.pass(7);
        if status == 2 {
            set_status(&mut world, 2).unwrap();
        }
        // From the last publish time, not from the change of status.
        world.pass(i64::from(dead + ABANDONED_SECONDS) - 7);
        refuses(&mut world, EngineError::NoticeNotOver, settle);
        world.pass(1);
        settle(&mut world).unwrap();
        assert_eq!(row(&world).mark.get(), MARK);
        world.pass(i64::from(GRACE_SECONDS));
        settle_pair(&mut world, traders[1], traders[0]).unwrap();
        world.check().unwrap();
        for trader in traders {
            let cash = world.cash(trader).unsigned_abs();
            world.withdraw(trader, cash).unwrap();
        }
        close(&mut world).unwrap();
        world.check().unwrap();
    }
}

#[test]
fn a_market_whose_sources_disagree_for_ever_is_dead_too() {
    let (mut world, _) = open_market();
    let dead = row(&world).dead_seconds;
    edit(&mut world, |row| bytemuck::bytes_of_mut(row)[36] = PriceCondition::Diverged as u8);
    edit(&mut world, |row| bytemuck::bytes_of_mut(row)[144..152].fill(0));
    world.pass(i64::from(dead + ABANDONED_SECONDS) + 1);
    settle(&mut world).unwrap();
    assert_eq!(row(&world).condition(), PriceCondition::Good);
}

#[test]
fn a_market_that_never_had_a_price_has_time_to_get_one() {
    let mut world = World::new(&[listing::usual()], 4);
    let dead = row(&world).dead_seconds;
    assert_eq!(row(&world).status_at, world.now.unix_seconds);
    refuses(&mut world, EngineError::NoticeNotOver, settle);
    world.pass(i64::from(dead + ABANDONED_SECONDS));
    refuses(&mut world, EngineError::NoticeNotOver, settle);
    world.pass(1);
    settle(&mut world).unwrap();
    assert_eq!(row(&world).mark, Ticks::new(1));
    world.check().unwrap();
    close(&mut world).unwrap();
    world.check().unwrap();
}

#[test]
fn positions_stand_still_for_an_hour() {
    let (mut world, [short, long]) = open_market();
    settle_at(&mut world, MARK + 10);
    refuses(&mut world, EngineError::NoticeNotOver, |world| settle_pair(world, long, short));
    world.pass(i64::from(GRACE_SECONDS) - 1);
    refuses(&mut world, EngineError::NoticeNotOver, |world| settle_pair(world, long, short));
    world.pass(1);
    let before = [long, short].map(|trader| world.cash(trader));
    settle_pair(&mut world, long, short).unwrap();
    // Ten lots at 100, settled at 110.
    let gain = 10 * 10 * 1_000;
    assert_eq!([long, short].map(|trader| world.cash(trader)), [before[0] + gain, before[1] - gain]);
    let events: [CashEvent; 2] = last_events(&world);
    for (event, (trader, lots)) in events.iter().zip([(long, 10), (short, -10)]) {
        assert_eq!(event.kind(), Some(CashEventKind::PositionSettled));
        assert_eq!((event.market, event.trader, event.amount), (MARKET, trader, lots));
        assert_eq!(event.balance, world.cash(trader));
        let position = world.position(0, trader).unwrap();
        assert_eq!((position.realised.get(), position.base.get()), (lots * 10 * 1_000, 0));
        assert!(position.quote.is_zero());
    }
    assert!(row(&world).open_interest.is_zero());
}
