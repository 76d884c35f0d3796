//! Funding: what accrues on which board, and that what is paid is received.

use crate::{
    cases,
    support::{World, listing, random::Random, world::order},
};
use bytemuck::Zeroable;
use proptest::prelude::*;
use quantdesk_engine::{
    CellIndex, FundingIndex, Lots, MarketIndex, PicoPrice, PositionLots, Ppm, Side, TickValue, Ticks, UnixSeconds,
    book::OrderKind,
    risk::{
        funding::{self, FUNDING_INDEX_MAX, FUNDING_PERIOD_SECONDS},
        listing::ListingParameters,
        price::{self, Book, SourcePrice},
    },
    state::{CashEventKind, MarketRow, PositionCell, PriceCondition},
};

const SCALE: i64 = 1 << funding::FUNDING_SCALE_BITS;
const INDEX: u32 = 100_000;

/// Fine ticks, a dead zone of 0.05%, a cap of 4% a day, fresh for a minute; mark and stable price stand still, so that a
/// test chooses the board.
fn still() -> ListingParameters {
    let mut parameters = listing::usual();
    parameters.tick_size = PicoPrice::new(70_000_000);
    parameters.lot_size = 100_000_000_000;
    parameters.tick_value = TickValue::new(7);
    parameters.price_max = Ticks::new(4_000_000);
    parameters
}

fn world() -> World {
    let mut world = World::new(&[still()], 32);
    world.set_price(0, INDEX);
    world
        .ledger(|ledger, _| {
            let risk = &mut ledger.rows[0].risk;
            (risk.step, risk.step_seconds, risk.stable_step) = (Ppm::ZERO, u32::MAX, Ppm::ZERO);
            Ok(())
        })
        .unwrap();
    world
}

fn set_mark(world: &mut World, mark: u32) {
    world
        .ledger(|ledger, _| {
            ledger.rows[0].mark = Ticks::new(mark);
            Ok(())
        })
        .unwrap();
}

fn row(world: &World) -> MarketRow {
    world.view().rows[0]
}

fn index_after(world: &mut World, seconds: i64) -> i64 {
    world.pass(seconds);
    assert_eq!(world.move_price(0, INDEX), Ok(PriceCondition::Good));
    row(world).funding_index.get()
}

#[test]
fn a_premium_that_lasts_a_day_is_paid_in_full() {
    // 1.5% less the dead zone of 50 ticks, in atoms of a lot.
    for (mark, paid) in [(101_500, 1_450 * 7), (98_500, -1_450 * 7)] {
        let mut world = world();
        set_mark(&mut world, mark);
        for _ in 0..FUNDING_PERIOD_SECONDS / 60 {
            index_after(&mut world, 60);
        }
        assert_eq!((row(&world).funding_index.get(), row(&world).funding_remainder), (paid * SCALE, 0));
    }
}

#[test]
fn the_dead_zone_is_free_and_the_cap_is_a_share_of_the_lower_price() {
    for (mark, ticks) in [
        (100_000, 0),
        (100_050, 0),
        (100_051, 1),
        (99_950, 0),
        (99_949, -1),
        (104_049, 3_999),
        (104_050, 4_000),
        (104_051, 4_000),
        (4_000_000, 4_000),
        // Of the mark, where that is lower: 4% of 96,114 is 3,844.56, of 96,120 it is 3,844.8.
        (96_120, -3_830),
        (96_106, -3_844),
        (96_105, -3_844),
        (50_000, -2_000),
        (24, 0),
        (25, -1),
    ] {
        let mut world = world();
        set_mark(&mut world, mark);
        let index = index_after(&mut world, 60);
        let dividend = ticks * 7 * SCALE * 60;
        assert_eq!(index, dividend.div_euclid(86_400), "mark {mark}");
        assert_eq!(row(&world).funding_remainder, dividend.rem_euclid(86_400), "mark {mark}");
    }
}

#[test]
fn a_second_is_accrued_once() {
    let mut world = world();
    set_mark(&mut world, 101_000);
    let index = index_after(&mut world, 9);
    assert!(index > 0);
    let before = row(&world);
    for _ in 0..10 {
        assert_eq!(index_after(&mut world, 0), index);
    }
    assert_eq!(row(&world), before);
}

#[test]
fn the_old_board_holds_for_the_time_that_has_passed() {
    let mut world = world();
    world.pass(30);
    world.move_price(0, 99_000).unwrap();
    assert_eq!(row(&world).funding_index.get(), 0, "the board had no premium while these seconds passed");
    assert_eq!((row(&world).mark.get(), row(&world).index_price.get()), (INDEX, 99_000));
    world.pass(30);
    world.move_price(0, INDEX).unwrap();
    // 1,000 ticks less 0.05% of 99,000.
    let dividend = (1_000 - 49) * 7 * SCALE * 30;
    assert_eq!(row(&world).funding_index.get(), dividend / 86_400);
}

#[test]
fn attack_an_outage_is_not_charged_for() {
    // Fresh for 60 seconds: whatever comes later, those count.
    let in_time = |seconds: i64| {
        let mut world = world();
        set_mark(&mut world, 101_000);
        index_after(&mut world, seconds)
    };
    let minute = 950 * 7 * SCALE * 60 / 86_400;
    assert_eq!(in_time(60), minute);
    for seconds in [61, 300, 86_400, 1 << 32] {
        assert_eq!(in_time(seconds), minute, "{seconds} s");
    }
    // A price from ten seconds ahead that is fresh for 300 is fresh for 310, of which 300 count.
    let mut world = world();
    set_mark(&mut world, 101_000);
    world
        .ledger(|ledger, _| {
            ledger.rows[0].fresh_seconds = 300;
            Ok(())
        })
        .unwrap();
    let ahead = SourcePrice {
        price: PicoPrice::new(70_000_000 * u64::from(INDEX)),
        confidence: PicoPrice::ZERO,
        publish_time: UnixSeconds::new(world.now.unix_seconds.get() + 10),
    };
    world.update_price(0, &[Ok(ahead)]).unwrap();
    assert_eq!(index_after(&mut world, 310), 950 * 7 * SCALE * 300 / 86_400);
}

#[test]
fn nothing_accrues_on_a_board_that_is_not_fresh() {
    let mut world = world();
    set_mark(&mut world, 101_000);
    world.pass(10);
    let price = PicoPrice::new(70_000_000 * u64::from(INDEX));
    let wide = SourcePrice { price, confidence: price, publish_time: world.now.unix_seconds };
    assert_eq!(world.update_price(0, &[Ok(wide)]), Ok(PriceCondition::Wide));
    let ten_seconds = 950 * 7 * SCALE * 10 / 86_400;
    assert_eq!(row(&world).funding_index.get(), ten_seconds, "up to then it was");
    world.pass(20);
    let wide = SourcePrice { publish_time: world.now.unix_seconds, ..wide };
    assert_eq!(world.update_price(0, &[Ok(wide)]), Ok(PriceCondition::Wide));
    assert_eq!(index_after(&mut world, 20), ten_seconds);
    // And from the good update on it is again.
    assert_eq!(index_after(&mut world, 10), 950 * 7 * SCALE * 20 / 86_400);
}

/// While a bankrupt position is on its way to its counterparties, what they owe must not change under the plan.
#[test]
fn nothing_accrues_while_the_market_is_being_deleveraged() {
    let mut world = world();
    set_mark(&mut world, 101_000);
    world.pass(10);
    let price = PicoPrice::new(70_000_000 * u64::from(INDEX));
    let source = SourcePrice { price, confidence: PicoPrice::ZERO, publish_time: world.now.unix_seconds };
    let book = Book { deleveraging: true, ..Book::default() };
    let updated = world.ledger(|ledger, now| price::update(ledger, MarketIndex::new(0), &[Ok(source)], &book, now));
    assert_eq!(updated, Ok(PriceCondition::Good));
    assert_eq!(row(&world).funding_index.get(), 0);
    // Nor is that time made up for.
    assert_eq!(index_after(&mut world, 10), 950 * 7 * SCALE * 10 / 86_400);
}

#[test]
fn an_index_that_would_become_too_large_stays() {
    for (mark, start) in [(101_000, FUNDING_INDEX_MAX), (99_000, -FUNDING_INDEX_MAX)] {
        let mut world = world();
        set_mark(&mut world, mark);
        world
            .ledger(|ledger, _| {
                let row = &mut ledger.rows[0];
                (row.funding_index, row.funding_remainder) = (FundingIndex::new(start), 77);
                Ok(())
            })
            .unwrap();
        assert_eq!(index_after(&mut world, 60), start);
        assert_eq!(row(&world).funding_remainder, 77);
        // Away from the bound it moves.
        set_mark(&mut world, 2 * INDEX - mark);
        assert!(index_after(&mut world, 60).abs() < FUNDING_INDEX_MAX);
    }
}

/// Buyer and seller trade `lots` at `price`.
fn trade(world: &mut World, buyer: CellIndex, seller: CellIndex, price: u32, lots: u64) {
    world.place(0, seller, &order(Side::Ask, OrderKind::Limit, price, lots)).unwrap();
    world.place(0, buyer, &order(Side::Bid, OrderKind::FillOrKill, price, lots)).unwrap();
}

/// What a trader's position owes.
fn due(world: &World, trader: CellIndex) -> i64 {
    world.position(0, trader).map_or(0, |position| funding::due(&row(world), &position).unwrap().get())
}

const RICH: u64 = 1_000_000_000_000;

#[test]
fn a_position_is_settled_before_its_size_changes() {
    let mut world = world();
    let (long, short) = (world.funded(1, RICH), world.funded(2, RICH));
    trade(&mut world, long, short, INDEX, 10);
    set_mark(&mut world, 101_000);
    index_after(&mut world, 60);
    let owed = (10 * 950 * 7 * 60i64).div_euclid(86_400) + 1;
    assert_eq!((due(&world, long), due(&world, short)), (owed, 1 - owed), "the payer rounded up, the receiver down");
    let (cash_long, cash_short) = (world.cash(long), world.cash(short));
    trade(&mut world, long, short, 101_000, 10);
    let fee = (10 * 101_000 * 7 * 450i64) / 1_000_000 + 1;
    let rebate = (10 * 101_000 * 7 * 150i64) / 1_000_000;
    assert_eq!(world.cash(long), cash_long - owed - fee, "for ten lots, not for twenty");
    assert_eq!(world.cash(short), cash_short + owed - 1 + rebate);
    assert_eq!((due(&world, long), due(&world, short)), (0, 0));
    let position = world.position(0, long).unwrap();
    assert_eq!((position.funding_paid.get(), position.funding_index), (owed, row(&world).funding_index));
    assert_eq!(row(&world).funding_pot.get().get(), 1);
    assert_eq!(world.check(), Ok(()));
}

#[test]
fn who_comes_later_pays_from_then_on() {
    let mut world = world();
    let (early, late, short) = (world.funded(1, RICH), world.funded(2, RICH), world.funded(3, RICH));
    trade(&mut world, early, short, INDEX, 10);
    set_mark(&mut world, 101_000);
    index_after(&mut world, 60);
    trade(&mut world, late, short, 101_000, 10);
    assert_eq!(due(&world, late), 0);
    index_after(&mut world, 60);
    assert_eq!(due(&world, early), (10 * 950 * 7 * 120i64).div_euclid(86_400) + 1);
    assert_eq!(due(&world, late), (10 * 950 * 7 * 60i64).div_euclid(86_400) + 1);
    assert_eq!(due(&world, short), -(20 * 950 * 7 * 60i64).div_euclid(86_400), "settled when the second came");
}

#[test]
fn the_residue_goes_to_the_pool_once_nobody_holds_a_position() {
    let mut world = world();
    let (long, short) = (world.funded(1, RICH), world.funded(2, RICH));
    trade(&mut world, long, short, INDEX, 10);
    set_mark(&mut world, 101_000);
    index_after(&mut world, 60);
    trade(&mut world, short, long, 101_000, 10);
    assert_eq!((row(&world).funding_pot.get().get(), row(&world).open_interest), (1, Lots::ZERO));
    set_mark(&mut world, INDEX);
    index_after(&mut world, 0);
    let view = world.view();
    let header = view.header;
    assert_eq!((row(&world).funding_pot.get().get(), header.pool.get().get()), (0, 1));
    let funded = view.events.iter().find(|event| event.kind() == Some(CashEventKind::PoolFunded)).unwrap();
    assert_eq!((funded.amount, funded.market, funded.trader), (1, row(&world).index, CellIndex::NIL));
    assert_eq!(world.check(), Ok(()));
    let written = header.events_written;
    index_after(&mut world, 1);
    assert_eq!(world.view().header.events_written, written, "and once is enough");
}

/// F3: whatever is traded on whatever boards, what is owed and what is in the pot add up to less than an atom for each
/// settlement and never to less than nothing, and it ends in the pool.
#[test]
fn inv_f3_funding_is_paid_to_others_or_to_the_pool() {
    let mut random = Random::new(3);
    for _ in 0..25 {
        let mut world = world();
        let traders: Vec<_> = (0..5).map(|owner| world.funded(owner, RICH)).collect();
        for _ in 0..60 {
            let (buyer, seller) = (random.index(5), random.index(5));
            if buyer != seller {
                let lots = random.range(1, 12) as u64;
                let price = row(&world).mark.get();
                // Beyond the largest position it is refused, and the order it was to meet stays.
                let _ = world.place(0, traders[seller], &order(Side::Ask, OrderKind::Limit, price, lots));
                let _ = world.place(0, traders[buyer], &order(Side::Bid, OrderKind::ImmediateOrCancel, price, lots));
                for trader in &traders {
                    world.cancel_all(0, *trader, quantdesk_engine::book::Sides::Both, 255).unwrap();
                }
            }
            let mark = INDEX - 3_000 + random.below(6_000) as u32;
            set_mark(&mut world, mark);
            let seconds = random.range(0, 90);
            index_after(&mut world, seconds);
            owed_by_all(&world, &traders);
        }
        close_all(&mut world, &traders);
        owed_by_all(&world, &traders);
        let residue = row(&world).funding_pot.get().get();
        let pool = world.view().header.pool.get().get();
        index_after(&mut world, 1);
        assert_eq!(row(&world).funding_pot.get().get(), 0);
        assert_eq!(world.view().header.pool.get().get(), pool + residue);
        let paid: i64 =
            traders.iter().map(|trader| world.position(0, *trader).map_or(0, |cell| cell.funding_paid.get())).sum();
        assert_eq!(paid, pool + residue, "all that was paid and not received");
        assert!((0..1_000).contains(&paid), "less than an atom for each settlement");
        assert_eq!(world.check(), Ok(()));
    }
}

fn owed_by_all(world: &World, traders: &[CellIndex]) {
    let owed: i64 = traders.iter().map(|trader| due(world, *trader)).sum();
    let pot = row(world).funding_pot.get().get();
    assert!((0..=500).contains(&(owed + pot)), "owed {owed}, in the pot {pot}");
    assert_eq!(world.check(), Ok(()));
}

/// Longs sell to shorts until nobody holds anything.
fn close_all(world: &mut World, traders: &[CellIndex]) {
    loop {
        let long = traders.iter().find(|trader| world.base(0, **trader) > 0);
        let short = traders.iter().find(|trader| world.base(0, **trader) < 0);
        let (Some(long), Some(short)) = (long, short) else {
            return;
        };
        let lots = world.base(0, *long).unsigned_abs().min(world.base(0, *short).unsigned_abs()).min(20);
        let price = row(world).mark.get();
        trade(world, *short, *long, price, lots);
    }
}

/// A board that holds for a minute, at this time.
fn board(tick_value: u32, index: u32, mark: u32) -> (MarketRow, UnixSeconds) {
    let mut world = world();
    index_after(&mut world, 0);
    let mut row = row(&world);
    (row.tick_value, row.price_max) = (TickValue::new(tick_value), Ticks::new(u32::MAX / tick_value));
    (row.index_price, row.mark) = (Ticks::new(index), Ticks::new(mark));
    row.risk.funding_cap = Ppm::new(200_000);
    (row, world.now.unix_seconds)
}

proptest! {
    #![proptest_config(cases(500))]

    /// The integral over time does not depend on how often it is taken: neither index nor remainder.
    #[test]
    fn inv_f3_the_integral_is_exact_however_often_it_is_taken(
        tick_value in 1u32..1_000,
        index in 1u32..4_000_000,
        mark in 1u32..4_000_000,
        start in -1_000_000_000i64..1_000_000_000,
        remainder in 0i64..86_400,
        mut stops in prop::collection::vec(0i64..=60, 0..8),
    ) {
        let (mut row, at) = board(tick_value, index, mark);
        (row.funding_index, row.funding_remainder) = (FundingIndex::new(start), remainder);
        let mut at_once = row;
        funding::accrue(&mut at_once, UnixSeconds::new(at.get() + 60), 60);
        stops.sort_unstable();
        let mut in_parts = row;
        for stop in stops.into_iter().chain([60]) {
            funding::accrue(&mut in_parts, UnixSeconds::new(at.get() + stop), 60);
        }
        prop_assert_eq!(at_once, in_parts);
        let mut by_seconds = row;
        (1..=60).for_each(|second| funding::accrue(&mut by_seconds, UnixSeconds::new(at.get() + second), 1));
        prop_assert_eq!(at_once, by_seconds);

        // Restated with whole numbers of any size.
        let (tick_value, index, mark) = (i128::from(tick_value), i128::from(index), i128::from(mark));
        let cap = index.min(mark) * 200_000 / 1_000_000;
        let free = index * 500 / 1_000_000;
        let premium = if mark > index { (mark - index - free).max(0).min(cap) } else { -(index - mark - free).max(0).min(cap) };
        let before = i128::from(start) * 86_400 + i128::from(remainder);
        let after = before + premium * 60 * tick_value * i128::from(SCALE);
        prop_assert_eq!(i128::from(at_once.funding_index.get()), after.div_euclid(86_400));
        prop_assert_eq!(i128::from(at_once.funding_remainder), after.rem_euclid(86_400));
    }

    /// What a position owes is the exact product, up for the payer and down for the receiver.
    #[test]
    fn what_is_owed_is_rounded_against_both(base in any::<i64>(), shift in 2u32..63, change in any::<i64>(), change_shift in 2u32..63) {
        let (base, change) = (base >> shift, change >> change_shift);
        let (mut row, _) = board(1, 1, 1);
        row.funding_index = FundingIndex::new(change);
        let mut position = PositionCell::zeroed();
        position.base = PositionLots::new(base);
        let exact = i128::from(base) * i128::from(change);
        let up = -(-exact).div_euclid(i128::from(SCALE));
        match funding::due(&row, &position) {
            Ok(due) => prop_assert_eq!(i128::from(due.get()), up),
            Err(_) => prop_assert!(up.unsigned_abs() >= 1 << 63),
        }
    }
}
