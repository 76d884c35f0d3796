//! Life of a market: every transition from every status, settlement in any order, closing, and the ramp of margin.

use super::{
    cases,
    support::{World, listing, random::Random, world::order},
};
use proptest::prelude::*;
use quantdesk_engine::{
    CellIndex, EngineError, FundingIndex, MarketIndex, PositionLots, Ppm, QuoteAtoms, Result, Side, Ticks, UnixSeconds,
    book::{NewOrder, OrderKind, Sides},
    invariant::Violation,
    pool,
    risk::{
        life::{
            self, ABANDONED_SECONDS, GRACE_SECONDS, MarginParameters, NOTICE_SECONDS, Pair, RAMP_SECONDS_MAX,
            RAMP_SECONDS_MIN,
        },
        listing::{ListingParameters, TierParameters},
        margin,
        price::Validity,
        shortfall,
    },
    state::{CashEvent, CashEventKind, MarketRow, MarketStatus, PriceCondition, row::TIERS_MAX},
};

const MARKET: MarketIndex = MarketIndex::new(0);
const MARK: u32 = listing::USUAL_MARK;
const CAPITAL: u64 = 10_000_000;

fn row(world: &World) -> MarketRow {
    world.view().rows[0]
}

fn set_status(world: &mut World, status: u8) -> Result<()> {
    world.ledger(|ledger, now| life::set_status(ledger, now, MARKET, status))
}

fn settle(world: &mut World) -> Result<()> {
    world.trading(0, |trading| life::settle_market(&mut trading.ledger, trading.now, trading.market.header))
}

/// Closes the first, who is long, against the second.
fn settle_pair(world: &mut World, long: CellIndex, short: CellIndex) -> Result<()> {
    let pair = Pair { long, short };
    world.trading(0, |trading| life::settle_positions(&mut trading.ledger, trading.now, trading.market.header, pair))
}

fn deleverage(world: &mut World, target: CellIndex) -> Result<bool> {
    world.trading(0, |trading| trading.deleverage(target, u16::MAX))
}

fn absorb(world: &mut World, target: CellIndex) -> Result<()> {
    world.ledger(|ledger, now| shortfall::absorb_shortfall(ledger, now, target, MARKET))
}

fn close(world: &mut World) -> Result<()> {
    world.trading(0, |trading| life::close_market(&mut trading.ledger, trading.now, trading.market.header))
}

fn set_margin(world: &mut World, parameters: &MarginParameters) -> Result<()> {
    world.ledger(|ledger, now| life::set_margin(ledger, now, parameters))
}

/// Changes the row as nothing in the engine would at that moment.
fn edit(world: &mut World, edit: impl FnOnce(&mut MarketRow)) {
    let edited = world.ledger(|ledger, _| {
        edit(&mut ledger.rows[0]);
        Ok(())
    });
    edited.unwrap();
}

/// The call fails with this error and changes nothing.
#[track_caller]
fn refuses<R: core::fmt::Debug>(world: &mut World, error: EngineError, call: impl FnOnce(&mut World) -> Result<R>) {
    let before: Vec<_> = world.accounts().map(<[u64]>::to_vec).collect();
    assert_eq!(call(world).map(|_| ()), Err(error));
    assert!(world.accounts().eq(before.iter().map(Vec::as_slice)), "{error} changed something");
}

/// The newest records of the ledger, oldest first.
fn last_events<const N: usize>(world: &World) -> [CashEvent; N] {
    let view = world.view();
    let all: Vec<_> = quantdesk_engine::slab::ring::iter(view.events, view.header.events_written).copied().collect();
    *all.last_chunk().unwrap()
}

fn last_event(world: &World) -> CashEvent {
    let view = world.view();
    *quantdesk_engine::slab::ring::iter(view.events, view.header.events_written).last().unwrap()
}

fn ioc(side: Side, price: u32, lots: u64) -> NewOrder {
    order(side, OrderKind::ImmediateOrCancel, price, lots)
}

fn reducing(order: NewOrder) -> NewOrder {
    NewOrder { reduce_only: true, ..order }
}

/// The first sells, the second buys.
#[track_caller]
fn trade(world: &mut World, seller: CellIndex, buyer: CellIndex, price: u32, lots: u64) {
    world.place(0, seller, &order(Side::Ask, OrderKind::Limit, price, lots)).unwrap();
    world.place(0, buyer, &ioc(Side::Bid, price, lots)).unwrap();
}

/// A market at 100 with a short of ten lots and a long of ten.
fn open_market() -> (World, [CellIndex; 2]) {
    let mut world = World::new(&[listing::usual()], 16);
    world.set_price(0, MARK);
    let traders = [world.funded(1, CAPITAL), world.funded(2, CAPITAL)];
    trade(&mut world, traders[0], traders[1], MARK, 10);
    (world, traders)
}

/// Lets notice pass and settles at this price.
#[track_caller]
fn settle_at(world: &mut World, price: u32) {
    set_status(world, 2).unwrap();
    world.pass(i64::from(NOTICE_SECONDS));
    world.set_price(0, price);
    settle(world).unwrap();
    world.check().unwrap();
}

/// The same market in each of its statuses, with notice over where there is one.
fn in_status(status: MarketStatus) -> (World, [CellIndex; 2]) {
    let (mut world, traders) = open_market();
    if status == MarketStatus::Active {
        world.pass(i64::from(NOTICE_SECONDS));
        world.set_price(0, MARK);
        return (world, traders);
    }
    set_status(&mut world, 2).unwrap();
    world.pass(i64::from(NOTICE_SECONDS));
    world.set_price(0, MARK);
    if status == MarketStatus::ReduceOnly {
        return (world, traders);
    }
    settle(&mut world).unwrap();
    world.pass(i64::from(GRACE_SECONDS));
    if status == MarketStatus::Closed {
        settle_pair(&mut world, traders[1], traders[0]).unwrap();
        close(&mut world).unwrap();
    }
    (world, traders)
}

fn tiers(given: &[(u64, u32)]) -> ([TierParameters; TIERS_MAX], u8) {
    let mut tiers = [TierParameters::new(QuoteAtoms::ZERO, Ppm::ZERO); TIERS_MAX];
    for (place, (notional_max, rate)) in tiers.iter_mut().zip(given) {
        *place = TierParameters::new(QuoteAtoms::new(*notional_max), Ppm::new(*rate));
    }
    (tiers, given.len() as u8)
}

fn margin_of(given: &[(u64, u32)], maintenance: u32, ramp_seconds: u32) -> MarginParameters {
    let (tiers, tiers_len) = tiers(given);
    MarginParameters::new(MARKET, Ppm::new(maintenance), ramp_seconds, tiers, tiers_len)
}

/// The usual listing's tiers with another maintenance share.
fn share_of(maintenance: u32) -> MarginParameters {
    margin_of(&[(1_000_000, 50_000), (u64::MAX, 100_000)], maintenance, RAMP_SECONDS_MIN)
}

type Call = fn(&mut World, &[CellIndex; 2]) -> Result<()>;

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

#[test]
fn a_pair_is_a_long_and_a_short_with_size() {
    let (mut world, [short, long]) = in_status(MarketStatus::Settled);
    let idle = world.funded(3, 5);
    let error = EngineError::NothingToClose;
    let wrong = [(short, long), (long, long), (short, short), (idle, short), (long, idle), (idle, idle)];
    for (first, second) in wrong {
        refuses(&mut world, error, |world| settle_pair(world, first, second));
    }
    for nobody in [CellIndex::new(15), CellIndex::NIL] {
        refuses(&mut world, EngineError::TraderNotFound, |world| settle_pair(world, nobody, short));
        refuses(&mut world, EngineError::TraderNotFound, |world| settle_pair(world, long, nobody));
    }
    settle_pair(&mut world, long, short).unwrap();
    refuses(&mut world, error, |world| settle_pair(world, long, short));
}

#[test]
fn a_pair_closes_as_many_lots_as_both_have() {
    let mut world = World::new(&[listing::usual()], 16);
    world.set_price(0, MARK);
    let [short, first, second] = [1, 2, 3].map(|owner| world.funded(owner, CAPITAL));
    trade(&mut world, short, first, MARK, 4);
    trade(&mut world, short, second, MARK + 1, 3);
    settle_at(&mut world, MARK + 7);
    world.pass(i64::from(GRACE_SECONDS));
    let before = world.cash(short);
    settle_pair(&mut world, first, short).unwrap();
    world.check().unwrap();
    assert_eq!([short, first, second].map(|trader| world.base(0, trader)), [-3, 0, 3]);
    let [one, two]: [CashEvent; 2] = last_events(&world);
    assert_eq!([one.amount, two.amount], [4, -4]);
    assert_eq!(row(&world).open_interest.get(), 3);
    // Four of seven lots sold for 703,000 atoms in all, bought for 428,000: the part of what is left is rounded down.
    assert_eq!(world.cash(short) - before, 703_000 * 4 / 7 - 428_000);
    refuses(&mut world, EngineError::NothingToClose, |world| settle_pair(world, first, short));
    settle_pair(&mut world, second, short).unwrap();
    assert_eq!(world.cash(short) - before, 703_000 - 7 * 107_000);
    assert!(row(&world).open_interest.is_zero());
    close(&mut world).unwrap();
    world.check().unwrap();
}

/// A settled market in which the first, long or short ten lots, lacks this many atoms against the second.
fn with_a_loser(side: Side, missing: u64) -> (World, [CellIndex; 2]) {
    let mut world = World::new(&[listing::usual()], 16);
    world.set_price(0, MARK);
    // Just enough for ten lots of 100,000 atoms at 5%.
    let (poor, rich) = (world.funded(1, 51_000), world.funded(2, CAPITAL));
    let ticks = match side {
        Side::Bid => {
            trade(&mut world, rich, poor, MARK, 10);
            MARK - 10
        }
        Side::Ask => {
            trade(&mut world, poor, rich, MARK, 10);
            MARK + 10
        }
    };
    settle_at(&mut world, ticks);
    world.pass(i64::from(GRACE_SECONDS));
    // Each tick costs 10,000 atoms.
    let lacking = 10 * 10_000 - world.cash(poor).unsigned_abs();
    world.deposit(poor, lacking - missing).unwrap();
    (world, [poor, rich])
}

/// The account that holds this side comes first.
fn settle_on(world: &mut World, side: Side, holder: CellIndex, other: CellIndex) -> Result<()> {
    match side {
        Side::Bid => settle_pair(world, holder, other),
        Side::Ask => settle_pair(world, other, holder),
    }
}

#[test]
fn an_account_without_equity_keeps_its_position() {
    for side in [Side::Bid, Side::Ask] {
        let (mut world, [poor, rich]) = with_a_loser(side, 1);
        refuses(&mut world, EngineError::AccountBankrupt, |world| settle_on(world, side, poor, rich));
        // Marked or not.
        absorb(&mut world, poor).unwrap();
        refuses(&mut world, EngineError::AccountBankrupt, |world| settle_on(world, side, poor, rich));
        // Exactly zero is not less than nothing.
        world.deposit(poor, 1).unwrap();
        settle_on(&mut world, side, poor, rich).unwrap();
        assert_eq!(world.cash(poor), 0);
        assert!(!world.trader(poor).is_bankrupt());
        world.check().unwrap();
    }
}

#[test]
fn a_pair_ends_a_bankruptcy_and_the_pool_gets_back_what_it_paid() {
    for side in [Side::Bid, Side::Ask] {
        let (mut world, [poor, rich]) = with_a_loser(side, 20);
        let giver = world.funded(3, 7);
        world.ledger(|ledger, now| pool::fund(ledger, now, giver, QuoteAtoms::new(7))).unwrap();
        absorb(&mut world, poor).unwrap();
        assert_eq!((world.trader(poor).absorbed.get(), world.view().header.bankrupts), (7, 1));
        refuses(&mut world, EngineError::AccountBankrupt, |world| settle_on(world, side, poor, rich));
        world.deposit(poor, 13 + 10).unwrap();
        settle_on(&mut world, side, poor, rich).unwrap();
        world.check().unwrap();
        assert_eq!((world.cash(poor), world.view().header.pool.get().get()), (3, 7));
        assert_eq!((world.trader(poor).is_bankrupt(), world.view().header.bankrupts), (false, 0));
        let kinds = last_events::<4>(&world).map(|event| (event.kind().unwrap(), event.trader == poor));
        let (settled, other) = (CashEventKind::PositionSettled, side == Side::Bid);
        let ends = [(CashEventKind::ShortfallRepaid, true), (CashEventKind::Resolved, true)];
        assert_eq!(kinds, [(settled, other), (settled, !other), ends[0], ends[1]]);
    }
}

/// Winners that are paid before a bankrupt loser is dealt with would leave nobody to bear what it lacks but those who
/// hold nothing: the vault would be short.
#[test]
fn attack_winner_settles_before_the_bankrupt_loser() {
    for side in [Side::Bid, Side::Ask] {
        let mut world = World::new(&[listing::usual()], 32);
        world.set_price(0, MARK);
        let loser = world.funded(1, 51_000);
        let winners = [2, 3].map(|owner| world.funded(owner, CAPITAL));
        let others = [4, 5].map(|owner| world.funded(owner, CAPITAL));
        let flat = world.funded(6, CAPITAL);
        let deal = |world: &mut World, holder, winner, lots| match side {
            Side::Bid => trade(world, winner, holder, MARK, lots),
            Side::Ask => trade(world, holder, winner, MARK, lots),
        };
        deal(&mut world, loser, winners[0], 10);
        deal(&mut world, others[0], winners[0], 5);
        deal(&mut world, others[1], winners[1], 8);
        settle_at(&mut world, if side == Side::Bid { MARK - 20 } else { MARK + 20 });
        world.pass(i64::from(GRACE_SECONDS));
        let worth = |world: &World, trader| {
            let view = world.view();
            margin::maintenance(&view, view.trader(trader).unwrap(), world.now.unix_seconds).unwrap().equity.get()
        };
        let shortfall = -worth(&world, loser);
        assert!(shortfall > 0);
        let before: i64 = winners.iter().map(|winner| worth(&world, *winner)).sum();
        // Every pair that can be settled is, the winners as far as they come.
        for winner in winners {
            refuses(&mut world, EngineError::AccountBankrupt, |world| settle_on(world, side, loser, winner));
            for other in others {
                let _ = settle_on(&mut world, side, other, winner);
                world.check().unwrap();
            }
        }
        assert_eq!(others.map(|other| world.base(0, other)), [0, 0]);
        let against: i64 = winners.iter().map(|winner| world.base(0, *winner)).sum();
        assert_eq!((world.base(0, loser).abs(), against), (10, -world.base(0, loser)));
        refuses(&mut world.clone(), EngineError::MarketNotEmpty, close);

        assert_eq!(deleverage(&mut world, loser), Ok(true));
        world.check().unwrap();
        assert_eq!((world.base(0, loser), world.cash(loser), world.view().header.bankrupts), (0, 0, 0));
        let after: i64 = winners.iter().map(|winner| worth(&world, *winner)).sum();
        assert_eq!(before - after, shortfall, "who won from it bears all of it");
        assert_eq!(world.cash(flat), i64::try_from(CAPITAL).unwrap(), "R6: no position, no loss");
        assert!(row(&world).open_interest.is_zero());
        close(&mut world).unwrap();
        // The vault has it: everybody leaves with all of it, and fees are what stays.
        for trader in winners.into_iter().chain(others).chain([flat]) {
            let cash = u64::try_from(world.cash(trader)).unwrap();
            world.withdraw(trader, cash).unwrap();
        }
        world.check().unwrap();
        let header = *world.view().header;
        assert_eq!(header.total.get().get(), header.fees.get().get() + header.pool.get().get());
    }
}

#[test]
fn settling_waits_for_a_deleveraging_under_way() {
    let (mut world, [short, long]) = in_status(MarketStatus::ReduceOnly);
    let phase = core::mem::offset_of!(quantdesk_engine::state::MarketHeader, deleverage);
    let running = |world: &mut World, phase_byte: u8| world.market_bytes(0)[phase] = phase_byte;
    running(&mut world, 1);
    refuses(&mut world, EngineError::DeleverageRunning, settle);
    running(&mut world, 0);
    settle(&mut world).unwrap();
    world.pass(i64::from(GRACE_SECONDS));
    running(&mut world, 1);
    refuses(&mut world, EngineError::DeleverageRunning, |world| settle_pair(world, long, short));
    running(&mut world, 0);
    settle_pair(&mut world, long, short).unwrap();
}

/// A settled market after random trades, with funding that nobody has settled, which leaves atoms to round.
fn traded(seed: i64, owners: u64, trades: u32) -> (World, Vec<CellIndex>) {
    let mut random = Random::new(seed.unsigned_abs());
    let mut world = World::new(&[listing::usual()], 64);
    world.set_price(0, MARK);
    let traders: Vec<_> = (1..=owners).map(|owner| world.funded(owner, CAPITAL)).collect();
    for _ in 0..trades {
        let (seller, buyer) = (random.pick(&traders), random.pick(&traders));
        let price = random.range(95, 105) as u32;
        let lots = random.range(1, 6) as u64;
        let _ = world.place(0, seller, &order(Side::Ask, OrderKind::Limit, price, lots));
        let _ = world.place(0, buyer, &ioc(Side::Bid, price, lots));
    }
    traders.iter().for_each(|trader| {
        world.cancel_all(0, *trader, Sides::Both, 255).unwrap();
    });
    edit(&mut world, |row| row.funding_index = FundingIndex::new(random.range(-9 << 20, 9 << 20)));
    settle_at(&mut world, random.range(80, 120) as u32);
    world.pass(i64::from(GRACE_SECONDS));
    (world, traders)
}

/// Every long with every short.
fn pairs(world: &World, traders: &[CellIndex]) -> Vec<(CellIndex, CellIndex)> {
    let (longs, shorts): (Vec<_>, Vec<_>) = {
        let open = traders.iter().copied().filter(|trader| world.base(0, *trader) != 0);
        open.partition(|trader| world.base(0, *trader) > 0)
    };
    longs.iter().flat_map(|long| shorts.iter().map(|short| (*long, *short))).collect()
}

/// What everybody has once the market is closed: cash, the residue of funding and the pool.
type Outcome = (Vec<i64>, i64, i64);

fn outcome(mut world: World, traders: &[CellIndex]) -> Outcome {
    assert!(traders.iter().all(|trader| world.base(0, *trader) == 0) && row(&world).open_interest.is_zero());
    let residue = row(&world).funding_pot.get().get();
    assert!((0..=traders.len() as i64).contains(&residue), "{residue} atoms of rounding");
    close(&mut world).unwrap();
    world.check().unwrap();
    let cash = traders.iter().map(|trader| world.cash(*trader)).collect();
    (cash, residue, world.view().header.pool.get().get())
}

/// The outcomes of all ways to pair.
fn outcomes(world: &World, traders: &[CellIndex], found: &mut Vec<Outcome>) {
    let pairs = pairs(world, traders);
    if pairs.is_empty() {
        found.push(outcome(world.clone(), traders));
    }
    for (long, short) in pairs {
        let mut next = world.clone();
        settle_pair(&mut next, long, short).unwrap();
        next.check().unwrap();
        outcomes(&next, traders, found);
    }
}

#[test]
fn the_order_of_pairs_makes_no_difference() {
    let mut most = 0;
    for seed in 0..6 {
        let (world, traders) = traded(seed, 4, 12);
        let mut found = Vec::new();
        outcomes(&world, &traders, &mut found);
        most = most.max(found.len());
        assert_eq!(found[0].1, found[0].2, "the residue is the pool's");
        assert!(found.iter().all(|outcome| *outcome == found[0]), "seed {seed}");
    }
    assert!(most > 3, "{most} ways at most");
}

#[test]
fn random_pairings_settle_everything() {
    for seed in 0..12 {
        let (world, traders) = traded(seed, 12, 60);
        let results: Vec<_> = (0..6)
            .map(|way| {
                let mut random = Random::new(1_000 + way);
                let mut world = world.clone();
                let mut left = traders.len();
                loop {
                    let pairs = pairs(&world, &traders);
                    if pairs.is_empty() {
                        break;
                    }
                    // Each pair closes one of the two.
                    left = left.checked_sub(1).unwrap();
                    let (long, short) = random.pick(&pairs);
                    settle_pair(&mut world, long, short).unwrap();
                    world.check().unwrap();
                }
                outcome(world, &traders)
            })
            .collect();
        assert!(results.iter().all(|result| *result == results[0]), "seed {seed}");
    }
}

#[test]
fn funding_accrues_up_to_the_settlement_and_not_after_it() {
    let (mut world, [short, long]) = open_market();
    set_status(&mut world, 2).unwrap();
    world.pass(i64::from(NOTICE_SECONDS));
    world.set_price(0, MARK);
    // The mark three ticks above the index for 48 seconds; dead zone and cap leave all three.
    edit(&mut world, |row| (row.mark, row.high) = (Ticks::new(MARK + 3), Ticks::new(MARK + 3)));
    world.pass(48);
    settle(&mut world).unwrap();
    let settled = row(&world);
    assert_eq!(settled.funding_index.get(), 3 * 48 * (1_000 << 20) / 86_400);
    let before = [short, long].map(|trader| world.cash(trader));
    world.pass(i64::from(GRACE_SECONDS) * 100);
    settle_pair(&mut world, long, short).unwrap();
    assert_eq!(row(&world).funding_index, settled.funding_index);
    // 10 lots × 3 ticks × 1,000 atoms, and 16.67 atoms of funding, each side rounded against itself.
    assert_eq!([short, long].map(|trader| world.cash(trader)), [before[0] - 30_000 + 16, before[1] + 30_000 - 17]);
    assert_eq!(row(&world).funding_pot.get().get(), 1);
    close(&mut world).unwrap();
    assert_eq!((world.view().header.pool.get().get(), row(&world).funding_pot.get().get()), (1, 0));
    let events: Vec<_> = {
        let view = world.view();
        let events = quantdesk_engine::slab::ring::iter(view.events, view.header.events_written);
        events.map(|event| (event.kind().unwrap(), event.amount, event.trader)).collect()
    };
    let nil = CellIndex::NIL;
    let expected = [(CashEventKind::PoolFunded, 1, nil), (CashEventKind::MarketStatusChanged, 4, nil)];
    assert_eq!(events[events.len() - 2..], expected);
    world.check().unwrap();
}

#[test]
fn a_market_closes_when_nothing_is_left_in_it() {
    let (mut world, [short, long]) = open_market();
    let third = world.funded(3, CAPITAL);
    trade(&mut world, short, third, MARK, 2);
    settle_at(&mut world, MARK);
    world.pass(i64::from(GRACE_SECONDS));
    refuses(&mut world, EngineError::MarketNotEmpty, close);
    settle_pair(&mut world, long, short).unwrap();
    refuses(&mut world, EngineError::MarketNotEmpty, close);
    settle_pair(&mut world, third, short).unwrap();
    close(&mut world).unwrap();
    world.check().unwrap();

    // Only an order left.
    let (mut world, [short, long]) = open_market();
    world.place(0, short, &order(Side::Ask, OrderKind::Limit, MARK + 1, 1)).unwrap();
    settle_at(&mut world, MARK);
    world.pass(i64::from(GRACE_SECONDS));
    settle_pair(&mut world, long, short).unwrap();
    world.check().unwrap();
    refuses(&mut world, EngineError::MarketNotEmpty, close);
    world.cancel_all(0, short, Sides::Both, 9).unwrap();
    close(&mut world).unwrap();
    world.check().unwrap();
    // Nothing keeps an account from leaving.
    let cash = world.cash(short).unsigned_abs();
    world.withdraw(short, cash).unwrap();
    world.close(short).unwrap();
    world.check().unwrap();
}

#[test]
fn the_address_of_a_market_is_listed_once() {
    let (mut world, _) = in_status(MarketStatus::Closed);
    let market = row(&world).market;
    refuses(&mut world, EngineError::AccountNotBlank, |world| {
        world.ledger(|ledger, now| {
            quantdesk_engine::risk::listing::list(ledger, now, market, &listing::usual()).map(|_| ())
        })
    });
}

#[test]
fn invariants_find_a_half_settled_pair_and_a_market_closed_too_early() {
    let rule = |world: &World| world.check().map_err(|Violation { id, .. }| id);
    let (world, [short, _]) = in_status(MarketStatus::Settled);
    let mut half = world.clone();
    let position = half.ledger(|ledger, _| {
        let view = ledger.view();
        let (position, _) = view.positions(view.trader(short)?).next().ok_or(EngineError::Corrupt)?;
        let cell = ledger.position_mut(position)?;
        cell.base = PositionLots::new(-9);
        Ok(position)
    });
    assert!(position.is_ok());
    assert_eq!(rule(&half), Err("P1"));

    let (mut early, traders) = in_status(MarketStatus::Settled);
    early.place(0, traders[0], &reducing(order(Side::Bid, OrderKind::Limit, MARK, 1))).unwrap_err();
    early.set_status(0, 4);
    assert_eq!(rule(&early), Err("P7"));
}

// The ramp.

/// What a position of this notional has to keep with this row's tiers at this share.
fn maintenance(row: &MarketRow, notional: u64, share: Ppm) -> u64 {
    margin::tier(row, QuoteAtoms::new(notional)).unwrap().ppm_ceil(share).unwrap().get()
}

fn at(row: &MarketRow, seconds: i64) -> u32 {
    life::maintenance_at(row, UnixSeconds::new(row.ramp_start.get() + seconds)).unwrap().get()
}

#[test]
fn a_higher_share_is_reached_in_a_straight_line() {
    let (mut world, _) = open_market();
    set_margin(&mut world, &share_of(600_000)).unwrap();
    let changed = row(&world);
    assert_eq!((changed.ramp_from.get(), changed.maintenance.get()), (500_000, 600_000));
    assert_eq!(changed.maintenance_now.get(), 500_000);
    assert_eq!(changed.ramp_start, world.now.unix_seconds);
    let event = last_event(&world);
    assert_eq!(event.kind(), Some(CashEventKind::MarginChanged));
    assert_eq!((event.market, event.amount, event.balance), (MARKET, 600_000, 500_000));
    let expected = [
        (-1, 500_000),
        (0, 500_000),
        // 1.16 a second, rounded up.
        (1, 500_002),
        (43_200, 550_000),
        (86_399, 599_999),
        (86_400, 600_000),
        (86_401, 600_000),
        (1 << 40, 600_000),
    ];
    for (seconds, share) in expected {
        assert_eq!(at(&changed, seconds), share, "after {seconds}");
    }
    world.check().unwrap();
}

#[test]
fn the_ramp_does_not_depend_on_how_often_prices_come() {
    let (mut world, _) = open_market();
    set_margin(&mut world, &share_of(777_777)).unwrap();
    let mut often = world.clone();
    for _ in 0..500 {
        often.pass(97);
        often.set_price(0, MARK);
        assert_eq!(
            row(&often).maintenance_now.get(),
            at(&row(&world), often.now.unix_seconds.get() - row(&world).ramp_start.get())
        );
    }
    let mut once = world.clone();
    once.pass(500 * 97);
    once.set_price(0, MARK);
    assert_eq!(row(&once).maintenance_now, row(&often).maintenance_now);
    assert!(row(&once).maintenance_now > row(&world).maintenance_now);
    once.pass(1_000_000);
    once.set_price(0, MARK);
    assert_eq!(row(&once).maintenance_now.get(), 777_777);
}

#[test]
fn new_tiers_are_for_new_risk_at_once() {
    let (mut world, [short, _]) = open_market();
    let before = row(&world);
    let initial =
        |world: &World| margin::position_initial(&row(world), &world.position(0, short).unwrap()).unwrap().get();
    let kept =
        |world: &World| margin::position_maintenance(&row(world), &world.position(0, short).unwrap()).unwrap().get();
    assert_eq!((initial(&world), kept(&world)), (50_000, 25_000));
    set_margin(&mut world, &margin_of(&[(1_000_000, 100_000), (u64::MAX, 200_000)], 500_000, RAMP_SECONDS_MAX))
        .unwrap();
    assert_eq!((initial(&world), kept(&world)), (100_000, 25_000));
    assert_eq!(row(&world).ramp_from.get(), 250_000);
    assert_eq!(row(&world).ramp_end.get() - before.updated_at.get(), i64::from(RAMP_SECONDS_MAX));
    world.pass(i64::from(RAMP_SECONDS_MAX));
    world.set_price(0, MARK);
    assert_eq!((initial(&world), kept(&world)), (100_000, 50_000));
    world.check().unwrap();
}

#[test]
fn a_lower_requirement_needs_no_ramp() {
    let (mut world, _) = open_market();
    set_margin(&mut world, &share_of(450_000)).unwrap();
    let lowered = row(&world);
    assert_eq!((lowered.ramp_from.get(), lowered.maintenance_now.get()), (450_000, 450_000));
    for seconds in [0, 1, 86_400] {
        assert_eq!(at(&lowered, seconds), 450_000);
    }
    // The same again changes nothing either.
    set_margin(&mut world, &share_of(450_000)).unwrap();
    assert_eq!(row(&world).maintenance_now.get(), 450_000);
}

#[test]
fn a_change_during_a_ramp_starts_from_what_is_in_force() {
    let (mut world, _) = open_market();
    set_margin(&mut world, &share_of(700_000)).unwrap();
    world.pass(43_200);
    // No price came since, yet half of the ramp is over.
    assert_eq!(row(&world).maintenance_now.get(), 500_000);
    let mut higher = world.clone();
    set_margin(&mut higher, &share_of(800_000)).unwrap();
    assert_eq!((row(&higher).ramp_from.get(), row(&higher).maintenance_now.get()), (600_000, 600_000));
    let mut lower = world.clone();
    set_margin(&mut lower, &share_of(550_000)).unwrap();
    assert_eq!((row(&lower).ramp_from.get(), row(&lower).maintenance_now.get()), (550_000, 550_000));
}

#[test]
fn the_envelope_holds_at_the_start_of_a_ramp_too() {
    let (mut world, _) = open_market();
    // Doubling the second tier alone would halve the share, and with it what the first tier keeps: 1.25% of a step of
    // 1% and fees of 0.545%.
    let second = margin_of(&[(1_000_000, 50_000), (u64::MAX, 200_000)], 500_000, RAMP_SECONDS_MIN);
    refuses(&mut world, EngineError::ListingEnvelopeExceeded, |world| set_margin(world, &second));
    // In two steps: both tiers up, and when that is over, the first one down again.
    set_margin(&mut world, &margin_of(&[(1_000_000, 100_000), (u64::MAX, 200_000)], 500_000, RAMP_SECONDS_MIN))
        .unwrap();
    refuses(&mut world, EngineError::ListingEnvelopeExceeded, |world| set_margin(world, &second));
    world.pass(i64::from(RAMP_SECONDS_MIN));
    set_margin(&mut world, &second).unwrap();
    assert_eq!(row(&world).maintenance_now.get(), 500_000);
}

#[test]
fn margin_obeys_the_bounds_of_a_listing() {
    let (mut world, _) = open_market();
    let good = share_of(600_000);
    let with = |edit: fn(&mut MarginParameters)| {
        let mut parameters = good;
        edit(&mut parameters);
        parameters
    };
    let day = RAMP_SECONDS_MIN;
    let refused = [
        (EngineError::ListingRiskInvalid, with(|it| it.ramp_seconds = RAMP_SECONDS_MIN - 1)),
        (EngineError::ListingRiskInvalid, with(|it| it.ramp_seconds = RAMP_SECONDS_MAX + 1)),
        (EngineError::ListingRiskInvalid, with(|it| it.ramp_seconds = 0)),
        (EngineError::ListingTiersInvalid, with(|it| it.maintenance = Ppm::new(249_999))),
        (EngineError::ListingTiersInvalid, with(|it| it.maintenance = Ppm::new(900_001))),
        (EngineError::ListingTiersInvalid, with(|it| it.tiers_len = 0)),
        (EngineError::ListingTiersInvalid, with(|it| it.tiers_len = 1)),
        (EngineError::ListingTiersInvalid, with(|it| it.tiers_len = 7)),
        (EngineError::ListingTiersInvalid, with(|it| it.tiers_len = u8::MAX)),
        (EngineError::ListingTiersInvalid, margin_of(&[(1_000_000, 50_000), (u64::MAX, 50_000)], 500_000, day)),
        (EngineError::ListingTiersInvalid, margin_of(&[(u64::MAX, 4_999)], 500_000, day)),
        (EngineError::ListingTiersInvalid, margin_of(&[(u64::MAX, 1_000_001)], 500_000, day)),
        // A step of 1%, funding of 0.014%, fees of 0.545% do not fit.
        (EngineError::ListingEnvelopeExceeded, margin_of(&[(u64::MAX, 30_000)], 500_000, day)),
    ];
    for (error, parameters) in refused {
        refuses(&mut world, error, |world| set_margin(world, &parameters));
    }
    for ramp_seconds in [RAMP_SECONDS_MIN, RAMP_SECONDS_MAX] {
        let mut parameters = good;
        parameters.ramp_seconds = ramp_seconds;
        set_margin(&mut world.clone(), &parameters).unwrap();
    }
}

#[test]
fn padding_of_margin_parameters_is_zero() {
    let good = share_of(600_000);
    assert!(good.is_padded());
    let paddings = [3..4, 12..16, 16 + 12..32, 32 + 12..48, 48..112];
    for place in paddings.into_iter().flatten() {
        let mut bytes = bytemuck::bytes_of(&good).to_vec();
        bytes[place] = 1;
        assert!(!bytemuck::pod_read_unaligned::<MarginParameters>(&bytes).is_padded(), "byte {place}");
    }
}

/// Rising boundaries and rates, the last open-ended.
fn curve() -> impl Strategy<Value = Vec<(u64, u32)>> {
    let boundary = prop_oneof![1u64..1_000, 1u64..1_000_000_000_000, 1u64..u64::MAX];
    prop::collection::vec((boundary, 5_000u32..=1_000_000), 1..=TIERS_MAX).prop_map(|mut tiers| {
        let mut rates: Vec<_> = tiers.iter().map(|(_, rate)| *rate).collect();
        tiers.sort_unstable();
        rates.sort_unstable();
        tiers.iter_mut().zip(rates).for_each(|(tier, rate)| tier.1 = rate);
        tiers.dedup_by_key(|tier| tier.0);
        tiers.dedup_by_key(|tier| tier.1);
        tiers.last_mut().unwrap().0 = u64::MAX;
        tiers
    })
}

/// A listing on which any curve fits: no step to speak of, no fees.
fn lenient(given: &[(u64, u32)], maintenance: u32) -> ListingParameters {
    let mut listing = listing::usual();
    (listing.tiers, listing.tiers_len) = tiers(given);
    listing.maintenance = Ppm::new(maintenance);
    (listing.taker_fee, listing.maker_fee) = (Ppm::ZERO, quantdesk_engine::SignedPpm::ZERO);
    (listing.risk.step, listing.risk.step_seconds, listing.risk.stable_step) = (Ppm::new(1), 1, Ppm::new(1));
    (listing.risk.liquidation_fee, listing.risk.funding_cap) = (Ppm::ZERO, Ppm::new(1));
    listing
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn no_position_needs_more_on_the_day_and_the_way_up_is_monotone(
        old in curve(),
        new in curve(),
        shares in (250_000u32..=900_000, 250_000u32..=900_000),
        ramp_seconds in RAMP_SECONDS_MIN..=RAMP_SECONDS_MAX,
        notionals in prop::collection::vec(prop_oneof![0u64..2_000, 0u64..2_000_000_000_000, 0u64..1 << 62], 40),
    ) {
        let mut world = World::new(&[lenient(&old, shares.0)], 4);
        let before = row(&world);
        let parameters = margin_of(&new, shares.1, ramp_seconds);
        match set_margin(&mut world, &parameters) {
            Ok(()) => {}
            // Curves so far apart that almost nothing would be kept at first.
            Err(error) => {
                prop_assert_eq!(error, EngineError::ListingEnvelopeExceeded);
                return Ok(());
            }
        }
        let after = row(&world);
        prop_assert!(after.ramp_from <= after.maintenance);
        prop_assert_eq!(after.maintenance_now, after.ramp_from);
        let boundaries = old.iter().chain(&new).map(|tier| tier.0);
        let near = boundaries.flat_map(|n| [n.saturating_sub(1), n, n.saturating_add(1)]).filter(|n| *n < 1 << 62);
        for notional in notionals.into_iter().chain(near) {
            let was = maintenance(&before, notional, before.maintenance_now);
            let is = maintenance(&after, notional, after.maintenance_now);
            prop_assert!(is <= was + old.len().max(new.len()) as u64, "{} at {}: {} was {}", after.ramp_from.get(), notional, is, was);
        }
        let mut last = 0;
        for step in 0..=50 {
            let share = at(&after, i64::from(ramp_seconds) * step / 50);
            prop_assert!(share >= last);
            last = share;
        }
        prop_assert_eq!(last, shares.1);
        // Largest: one more millionth would be too much somewhere, or there is no ramp.
        if after.ramp_from < after.maintenance {
            let more = u128::from(after.ramp_from.get()) + 1;
            let share = u128::from(before.maintenance_now.get());
            let value = |row: &MarketRow, notional| u128::from(margin::tier(row, QuoteAtoms::new(notional)).unwrap().get());
            let boundaries = old.iter().chain(&new).map(|tier| tier.0).filter(|n| *n < u64::MAX);
            let at_boundary = boundaries.clone().any(|n| value(&after, n) * more > value(&before, n) * share);
            let rates = |tiers: &[(u64, u32)]| [tiers[0].1, tiers[tiers.len() - 1].1].map(u128::from);
            let at_end = rates(&new).iter().zip(rates(&old)).any(|(new, old)| new * more > old * share);
            prop_assert!(at_boundary || at_end);
        }
    }
}
