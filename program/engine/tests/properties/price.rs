//! The price board: validity table, readings and index, and the prices that follow it.

use crate::{
    cases,
    support::{
        World,
        listing::{self, DECIMALS},
        random::Random,
        world::{key, order},
    },
};
use proptest::prelude::*;
use quantdesk_engine::{
    EngineError, Lots, MarketIndex, Now, PicoPrice, Ppm, Result, Side, Slot, TickValue, Ticks, UnixSeconds,
    book::OrderKind,
    risk::price::{self, Action, Book, SourcePrice, Validity},
    state::{CashEventKind, MarketRow, PriceCondition},
};

const NOW: i64 = 1_000_000;

fn now() -> Now {
    Now { slot: Slot::new(7), unix_seconds: UnixSeconds::new(NOW) }
}

/// A row with a tick of 100 units, room up to 1,000 ticks, fresh for 60 s and dead after 600 s; confidence up to 1 %,
/// divergence up to 2 %.
fn row(sources: u8, least: u8) -> MarketRow {
    let mut parameters = listing::usual();
    parameters.tick_size = PicoPrice::new(100);
    parameters.lot_size = 10_000_000_000_000_000_000;
    (parameters.sources_len, parameters.sources_min) = (sources, least);
    parameters.row(key(1), MarketIndex::new(0), DECIMALS).unwrap()
}

fn reading(price: u64) -> SourcePrice {
    SourcePrice { price: PicoPrice::new(price), confidence: PicoPrice::ZERO, publish_time: UnixSeconds::new(NOW) }
}

fn at(price: u64, seconds_ago: i64) -> SourcePrice {
    SourcePrice { publish_time: UnixSeconds::new(NOW - seconds_ago), ..reading(price) }
}

fn update(row: &mut MarketRow, readings: &[SourcePrice]) -> Result<PriceCondition> {
    let readings: Vec<_> = readings.iter().map(|reading| Ok(*reading)).collect();
    row.update_price(&readings, now())
}

/// The index in ticks after these prices, each from one source.
fn index_of(prices: &[u64]) -> u32 {
    let mut row = row(prices.len() as u8, prices.len() as u8);
    assert_eq!(
        update(&mut row, &prices.iter().map(|price| reading(*price)).collect::<Vec<_>>()),
        Ok(PriceCondition::Good)
    );
    assert!(row.mark.is_zero(), "the readings alone move nothing else");
    row.index_price.get()
}

/// F5: every cell of the table, written out once more.
#[test]
fn inv_f5_the_table_of_validity_and_actions_cell_by_cell() {
    use {Action::*, Validity::*};
    let table = [
        (Fresh, [true, true, true, true, true, true, true]),
        (SoftStale, [false, true, true, false, false, false, false]),
        (Wide, [false, true, false, false, false, false, false]),
        (Diverged, [false, true, false, false, false, false, false]),
        (Dead, [false; 7]),
    ];
    let actions = [Place, Reduce, Liquidate, Fund, Trigger, Withdraw, Deleverage];
    for (validity, allowed) in table {
        for (action, allowed) in actions.into_iter().zip(allowed) {
            assert_eq!(validity.allows(action), allowed, "{validity:?} × {action:?}");
        }
    }
}

#[test]
fn the_worse_of_two_validities_is_the_later_one_in_the_table() {
    let all = [Validity::Fresh, Validity::SoftStale, Validity::Wide, Validity::Diverged, Validity::Dead];
    for (a, first) in all.into_iter().enumerate() {
        for (b, second) in all.into_iter().enumerate() {
            assert_eq!(first.worse(second), all[a.max(b)]);
        }
    }
}

#[test]
fn a_price_ages_from_fresh_over_soft_stale_to_dead_by_publish_time() {
    let mut row = row(1, 1);
    update(&mut row, &[at(10_000, 20)]).unwrap();
    for (later, validity) in [
        (0, Validity::Fresh),
        (40, Validity::Fresh),
        (41, Validity::SoftStale),
        (580, Validity::SoftStale),
        (581, Validity::Dead),
    ] {
        assert_eq!(row.validity(UnixSeconds::new(NOW + later)), validity, "{later} s later");
    }
}

#[test]
fn a_row_without_a_price_is_dead() {
    assert_eq!(row(1, 1).validity(now().unix_seconds), Validity::Dead);
    assert_eq!(row(1, 1).require(Action::Reduce, now().unix_seconds), Err(EngineError::PriceNotValidForAction));
}

#[test]
fn the_index_is_the_median_rounded_to_the_nearest_tick() {
    assert_eq!(index_of(&[10_049]), 100);
    assert_eq!(index_of(&[10_050]), 101);
    assert_eq!(index_of(&[10_000, 10_100]), 101, "the mean of two, halves up");
    assert_eq!(index_of(&[10_000, 10_099]), 100, "the mean of two, floored first");
    assert_eq!(index_of(&[10_100, 9_900, 10_000]), 100);
    assert_eq!(index_of(&[10_080, 10_000, 9_900, 10_040]), 100, "the mean of the middle two");
}

#[test]
fn a_price_outside_the_range_of_ticks_is_refused() {
    for price in [1, 49, 100_050, u64::MAX - 49, u64::MAX] {
        let mut changed = row(1, 1);
        assert_eq!(update(&mut changed, &[reading(price)]), Err(EngineError::OraclePriceOutOfRange), "{price}");
        assert_eq!(changed, row(1, 1));
    }
    for (price, ticks) in [(50, 1), (100_049, 1_000)] {
        let mut row = row(1, 1);
        update(&mut row, &[reading(price)]).unwrap();
        assert_eq!(row.index_price, Ticks::new(ticks));
    }
}

#[test]
fn each_reason_to_refuse_a_source_has_its_own_error() {
    let mut used = row(1, 1);
    update(&mut used, &[at(10_000, 30)]).unwrap();
    for (reading, error) in [
        (Ok(reading(0)), EngineError::OraclePriceInvalid),
        (Ok(at(10_000, -11)), EngineError::OracleFromFuture),
        (Ok(at(10_000, 31)), EngineError::OracleRegressed),
        (Err(EngineError::OracleSamplesTooFew), EngineError::OracleSamplesTooFew),
    ] {
        let mut row = used;
        assert_eq!(row.update_price(&[reading], now()), Err(error));
        assert_eq!(row, used, "nothing changed: {error:?}");
    }
    let mut unused = row(1, 1);
    assert_eq!(update(&mut unused, &[at(10_000, 61)]), Err(EngineError::OracleStale));
    assert_eq!(unused.update_price(&[], now()), Err(EngineError::OracleStale));
}

#[test]
fn the_edges_of_age_and_clock_skew_are_accepted() {
    for seconds_ago in [60, 0, -10] {
        assert_eq!(update(&mut row(1, 1), &[at(10_000, seconds_ago)]), Ok(PriceCondition::Good), "{seconds_ago}");
    }
}

#[test]
fn a_source_may_repeat_its_publish_time_but_not_go_behind_it() {
    let mut row = row(2, 1);
    update(&mut row, &[at(10_000, 5), at(10_000, 9)]).unwrap();
    assert_eq!(update(&mut row, &[at(10_000, 5), at(10_000, 9)]), Ok(PriceCondition::Good));
    assert_eq!(row.publish_time, UnixSeconds::new(NOW - 9), "the board is as old as the oldest source");
    assert_eq!(update(&mut row, &[at(10_000, 6), at(10_000, 10)]), Err(EngineError::OracleRegressed));
    assert_eq!(update(&mut row, &[at(10_000, 6), at(10_000, 9)]), Ok(PriceCondition::Good), "one source is enough");
    assert_eq!(row.source_times[0], UnixSeconds::new(NOW - 5), "the refused one keeps its time");
}

#[test]
fn the_first_invalid_source_gives_the_error() {
    let mut row = row(3, 2);
    let readings = [Ok(reading(10_000)), Ok(at(10_000, -60)), Ok(reading(0))];
    assert_eq!(row.update_price(&readings, now()), Err(EngineError::OracleFromFuture));
    let readings = [Err(EngineError::OracleSamplesTooFew), Ok(at(10_000, -60)), Ok(reading(10_000))];
    assert_eq!(row.update_price(&readings, now()), Err(EngineError::OracleSamplesTooFew));
}

#[test]
fn wide_sources_keep_the_price_and_mark_the_board() {
    let mut row = row(2, 2);
    update(&mut row, &[at(10_000, 9), at(10_000, 9)]).unwrap();
    let narrow = SourcePrice { confidence: PicoPrice::new(200), ..reading(20_000) };
    let wide = SourcePrice { confidence: PicoPrice::new(201), ..reading(20_000) };
    assert_eq!(update(&mut row, &[narrow, wide]), Ok(PriceCondition::Wide));
    assert_eq!((row.index_price.get(), row.publish_time.get()), (100, NOW - 9), "price and age are the old ones");
    assert_eq!(row.validity(now().unix_seconds), Validity::Wide);
    assert_eq!(row.source_times[1].get(), NOW, "a wide reading still moves its source's time");
    assert_eq!(update(&mut row, &[narrow, narrow]), Ok(PriceCondition::Good));
    assert_eq!((row.index_price.get(), row.validity(now().unix_seconds)), (200, Validity::Fresh));
}

#[test]
fn a_wide_source_does_not_move_the_median_of_enough_narrow_ones() {
    let mut row = row(3, 2);
    let wide = SourcePrice { confidence: PicoPrice::new(9_000), ..reading(50_000) };
    assert_eq!(update(&mut row, &[reading(10_000), wide, reading(10_100)]), Ok(PriceCondition::Good));
    assert_eq!(row.index_price, Ticks::new(101));
}

#[test]
fn sources_two_percent_apart_agree_and_an_atom_more_diverges() {
    let mut row = row(2, 2);
    assert_eq!(update(&mut row, &[reading(9_900), reading(10_100)]), Ok(PriceCondition::Good));
    assert_eq!(update(&mut row, &[reading(9_900), reading(10_101)]), Ok(PriceCondition::Diverged));
    assert_eq!(row.index_price, Ticks::new(100), "the price stays");
    assert_eq!(row.validity(now().unix_seconds), Validity::Diverged);
    assert_eq!(row.validity(UnixSeconds::new(NOW + 601)), Validity::Dead, "and grows old");
}

#[test]
fn only_as_many_readings_as_a_market_has_places_are_looked_at() {
    let mut row = row(4, 4);
    let mut readings = vec![Ok(reading(10_000)); 4];
    readings.push(Err(EngineError::OracleStale));
    assert_eq!(row.update_price(&readings, now()), Ok(PriceCondition::Good));
}

// What follows the index.

/// A market with fine ticks around 100,000: the staircase is 0.2% a second for up to five seconds, the stable price
/// 0.05%, the basis at most 2%.
fn fine_ticks() -> World {
    let mut parameters = listing::usual();
    parameters.tick_size = PicoPrice::new(10_000_000);
    parameters.lot_size = 100_000_000_000;
    parameters.tick_value = TickValue::new(1);
    parameters.price_max = Ticks::new(4_000_000);
    World::new(&[parameters], 16)
}

/// One update at this index and with this book.
fn step(world: &mut World, index: u32, book: &Book) -> MarketRow {
    let row = world.view().rows[0];
    let price = PicoPrice::new(row.tick_size.get() * u64::from(index));
    let source = SourcePrice { price, confidence: PicoPrice::ZERO, publish_time: world.now.unix_seconds };
    let readings = vec![Ok(source); usize::from(row.sources_len)];
    let updated = world.ledger(|ledger, now| price::update(ledger, MarketIndex::new(0), &readings, book, now));
    assert_eq!(updated, Ok(PriceCondition::Good));
    world.view().rows[0]
}

fn book(bid: u32, ask: u32, last: u32) -> Book {
    Book { bid: Ticks::new(bid), ask: Ticks::new(ask), last: Ticks::new(last), deleveraging: false }
}

const NO_BOOK: Book = Book { bid: Ticks::ZERO, ask: Ticks::ZERO, last: Ticks::ZERO, deleveraging: false };

/// (index, mark, stable, low, high)
fn prices(row: &MarketRow) -> [u32; 5] {
    [row.index_price, row.mark, row.stable, row.low, row.high].map(Ticks::get)
}

#[test]
fn the_first_price_of_a_market_is_taken_as_it_is() {
    let mut world = fine_ticks();
    let row = step(&mut world, 100_000, &book(50_000, 150_000, 7));
    assert_eq!(prices(&row), [100_000; 5]);
    assert_eq!((row.basis, row.is_lagging()), (0, false));
    assert_eq!((row.mark_at, row.stable_at), (world.now.unix_seconds, world.now.unix_seconds));
}

#[test]
fn inv_f2_the_mark_climbs_by_a_step_a_second_and_waits_for_none_beyond_five() {
    let mut world = fine_ticks();
    step(&mut world, 100_000, &NO_BOOK);
    for (seconds, mark, stable) in [
        (1, 100_200, 100_050),
        (0, 100_200, 100_050),
        (2, 100_600, 100_150),
        (5, 101_606, 100_400),
        (3_600, 102_622, 110_000),
    ] {
        world.pass(seconds);
        let row = step(&mut world, 110_000, &NO_BOOK);
        assert_eq!(prices(&row), [110_000, mark, stable, mark.min(stable), 110_000], "{seconds} s later");
        assert!(row.is_lagging());
    }
    // Down again: the limit is a share of where the mark is.
    world.pass(5);
    assert_eq!(step(&mut world, 50_000, &NO_BOOK).mark.get(), 102_622 - 1_026);
    for _ in 0..71 {
        world.pass(5);
        step(&mut world, 50_000, &NO_BOOK);
    }
    let row = world.view().rows[0];
    assert_eq!((row.mark.get(), row.is_lagging()), (50_000, false));
}

#[test]
fn a_price_of_too_few_ticks_for_a_step_moves_by_one_tick_after_all_the_seconds() {
    let mut world = fine_ticks();
    step(&mut world, 99, &NO_BOOK);
    // 0.2% of 99 ticks for four seconds is less than a tick; the fifth makes up for it although that is less, too.
    for (seconds, mark) in [(1, 99), (1, 99), (2, 99), (1, 98), (4, 98), (1, 97)] {
        world.pass(seconds);
        assert_eq!(step(&mut world, 90, &NO_BOOK).mark.get(), mark);
    }
    // The stable price the same after ten minutes: a price of one tick may move.
    let mut world = fine_ticks();
    step(&mut world, 1, &NO_BOOK);
    world.pass(599);
    assert_eq!(step(&mut world, 500, &NO_BOOK).stable.get(), 1);
    world.pass(1);
    assert_eq!(step(&mut world, 500, &NO_BOOK).stable.get(), 2);
}

#[test]
fn the_mark_is_the_median_of_index_index_with_basis_and_book() {
    // (basis in ticks, bid, ask, last, mark)
    for (basis, bid, ask, last, mark) in [
        (0, 99_990, 100_010, 100_000, 100_000),
        (100, 100_100, 100_200, 0, 100_100),
        (100, 100_040, 100_060, 100_055, 100_055),
        (100, 100_040, 100_060, 200_000, 100_060),
        (100, 100_040, 100_060, 1, 100_040),
        (100, 99_000, 99_500, 99_200, 100_000),
        (-100, 99_000, 99_500, 99_200, 99_900),
        (-100, 100_100, 100_200, 100_150, 100_000),
        (0, 100_100, 100_200, 100_150, 100_000),
        (5_000, 105_000, 105_100, 105_050, 102_000),
        (-5_000, 95_000, 95_100, 95_050, 98_000),
        (100, 0, 100_060, 100_055, 100_000),
        (100, 100_040, 0, 100_055, 100_000),
    ] {
        let mut world = fine_ticks();
        step(&mut world, 100_000, &NO_BOOK);
        world
            .ledger(|ledger, now| {
                let row = &mut ledger.rows[0];
                row.basis = basis << price::BASIS_SCALE_BITS;
                // Time enough to get there, none for the basis to change.
                row.updated_at = UnixSeconds::new(now.unix_seconds.get() + 60);
                (row.risk.step, row.risk.step_seconds) = (Ppm::new(50_000), 60);
                Ok(())
            })
            .unwrap();
        world.pass(60);
        let row = step(&mut world, 100_000, &book(bid, ask, last));
        assert_eq!(row.mark.get(), mark, "basis {basis}, book {bid}/{ask}, last {last}");
        assert!(!row.is_lagging());
    }
}

#[test]
fn the_basis_forgets_half_in_150_seconds_and_all_but_a_fifth_in_ten_minutes() {
    let ticks = |basis: i64| basis >> price::BASIS_SCALE_BITS;
    let quoted = book(100_900, 101_100, 101_000);
    let mut world = fine_ticks();
    step(&mut world, 100_000, &NO_BOOK);
    world.pass(150);
    assert_eq!(ticks(step(&mut world, 100_000, &quoted).basis), 500);
    assert_eq!(ticks(step(&mut world, 100_000, &quoted).basis), 500, "nothing more within the second");
    world.pass(600);
    assert_eq!(ticks(step(&mut world, 100_000, &quoted).basis), 900, "500 + 500 · 600 / 750");
    world.pass(100_000);
    assert_eq!(ticks(step(&mut world, 100_000, &quoted).basis), 980, "ten minutes of it count");
    // One side alone is no quote: the basis fades.
    world.pass(150);
    let half = step(&mut world, 100_000, &book(100_900, 0, 101_000)).basis;
    assert_eq!(ticks(half), 490);
    // A book far away counts as one at the largest basis.
    world.pass(150);
    assert_eq!(ticks(step(&mut world, 100_000, &book(1, 4_000_000, 9)).basis), 1_245);
}

/// The basis must not be weighted by time that an earlier update has counted already, also where the mark does not move
/// and so keeps its time: else repeating an update in one second would carry the basis all the way.
#[test]
fn attack_repeating_an_update_within_a_second_changes_nothing() {
    let mut world = fine_ticks();
    step(&mut world, 99, &NO_BOOK);
    world.pass(2);
    let quoted = book(97, 105, 103);
    let once = step(&mut world, 99, &quoted);
    assert_ne!(once.basis, 0);
    for _ in 0..20 {
        assert_eq!(step(&mut world, 99, &quoted), once);
    }
    // The same where the mark lags behind the index by less than a tick's worth of time.
    world.pass(1);
    let lagging = step(&mut world, 90, &quoted);
    assert!(lagging.is_lagging() && lagging.mark_at < lagging.updated_at);
    for _ in 0..20 {
        assert_eq!(step(&mut world, 90, &quoted), lagging);
    }
}

#[test]
fn an_expired_order_at_the_top_of_the_book_quotes_nothing() {
    let mut world = World::new(&[listing::usual()], 16);
    world.set_price(0, 100);
    let trader = world.funded(1, 1_000_000_000);
    let mut bid = order(Side::Bid, OrderKind::Limit, 98, 1);
    bid.expires_at = UnixSeconds::new(world.now.unix_seconds.get() + 5);
    world.place(0, trader, &bid).unwrap();
    world.place(0, trader, &order(Side::Ask, OrderKind::Limit, 104, 1)).unwrap();
    let quotes = |world: &World, later: i64| {
        let of = Book::of(&world.market(0), UnixSeconds::new(world.now.unix_seconds.get() + later));
        (of.bid.get(), of.ask.get(), of.last.get())
    };
    assert_eq!(quotes(&world, 5), (98, 104, 0));
    assert_eq!(quotes(&world, 6), (0, 104, 0));
    let buyer = world.funded(2, 1_000_000_000);
    world.place(0, buyer, &order(Side::Bid, OrderKind::ImmediateOrCancel, 104, 1)).unwrap();
    assert_eq!(quotes(&world, 0), (98, 0, 104));
    assert_eq!(quotes(&world, 6), (0, 0, 104));
}

#[test]
fn wide_and_diverged_updates_move_no_price() {
    let mut world = fine_ticks();
    step(&mut world, 100_000, &NO_BOOK);
    world.pass(1);
    let before = step(&mut world, 101_000, &NO_BOOK);
    world.pass(10);
    let source = SourcePrice {
        price: PicoPrice::new(before.tick_size.get() * 102_000),
        confidence: PicoPrice::new(before.tick_size.get() * 2_000),
        publish_time: world.now.unix_seconds,
    };
    assert_eq!(world.update_price(0, &[Ok(source)]), Ok(PriceCondition::Wide));
    let after = world.view().rows[0];
    assert_eq!(prices(&after), prices(&before));
    assert_eq!((after.mark_at, after.stable_at, after.basis), (before.mark_at, before.stable_at, before.basis));
    assert!(after.is_lagging() && after.updated_at == world.now.unix_seconds);
}

#[test]
fn a_market_that_is_over_takes_no_price() {
    let mut world = fine_ticks();
    step(&mut world, 100_000, &NO_BOOK);
    for (status, expected) in [
        (1, Ok(PriceCondition::Good)),
        (2, Ok(PriceCondition::Good)),
        (3, Err(EngineError::MarketStatusInvalid)),
        (4, Err(EngineError::MarketStatusInvalid)),
    ] {
        world.set_status(0, status);
        let before = world.view().rows[0];
        assert_eq!(world.move_price(0, 100_000), expected, "status {status}");
        assert_eq!(world.view().rows[0], before);
    }
    let nowhere = world.ledger(|ledger, now| price::update(ledger, MarketIndex::new(1), &[], &NO_BOOK, now));
    assert_eq!(nowhere, Err(EngineError::MarketNotFound));
}

#[test]
fn an_update_is_recorded_if_index_mark_condition_or_funding_changed() {
    let mut world = fine_ticks();
    let written = |world: &World| world.view().header.events_written.get();
    let start = written(&world);
    step(&mut world, 100_000, &NO_BOOK);
    assert_eq!(written(&world), start + 1);
    world.pass(1);
    step(&mut world, 100_000, &NO_BOOK);
    assert_eq!(written(&world), start + 1, "a younger price is no other price");
    for recorded in 2..=4 {
        // The index, then the mark alone.
        world.pass(1);
        let row = step(&mut world, 101_000, &NO_BOOK);
        let view = world.view();
        let event = view.events[((start + recorded - 1) % 16) as usize];
        assert_eq!((written(&world), event.kind()), (start + recorded, Some(CashEventKind::PriceUpdated)));
        assert_eq!((event.amount, event.balance), (101_000, i64::from(row.mark.get())));
        assert_eq!((event.market, event.funding_index), (row.index, row.funding_index));
        assert!(event.trader.is_nil());
    }
    // Mark and index stand still, but the premium between them costs.
    world
        .ledger(|ledger, _| {
            let row = &mut ledger.rows[0];
            (row.mark, row.risk.step) = (Ticks::new(99_000), Ppm::ZERO);
            Ok(())
        })
        .unwrap();
    world.pass(1);
    let before = world.view().rows[0];
    let after = step(&mut world, 101_000, &NO_BOOK);
    assert_eq!(
        (before.index_price, before.mark, before.condition()),
        (after.index_price, after.mark, after.condition())
    );
    assert_ne!(before.funding_index, after.funding_index);
    assert_eq!(written(&world), start + 5);
}

#[test]
fn initial_margin_is_scaled_by_open_interest_between_its_bounds() {
    let mut row = row(1, 1);
    (row.risk.interest_scale_lower, row.risk.interest_scale_upper) = (Lots::new(10), Lots::new(13));
    row.risk.interest_scale_max = Ppm::new(2_000_000);
    for (interest, scale) in
        [(0, 1_000_000), (10, 1_000_000), (11, 1_333_333), (12, 1_666_666), (13, 2_000_000), (u64::MAX, 2_000_000)]
    {
        row.open_interest = Lots::new(interest);
        row.update_margin(now().unix_seconds).unwrap();
        assert_eq!(row.margin_scale, Ppm::new(scale), "{interest} lots");
    }
    // Also where the product needs more than 64 bits.
    (row.risk.interest_scale_lower, row.risk.interest_scale_upper) = (Lots::ZERO, Lots::new(u64::MAX));
    (row.open_interest, row.risk.interest_scale_max) = (Lots::new(u64::MAX / 2), Ppm::new(10_000_000));
    row.update_margin(now().unix_seconds).unwrap();
    assert_eq!(row.margin_scale, Ppm::new(5_499_999));
}

#[test]
fn every_update_brings_the_margin_scale_and_the_ramp_up_to_date() {
    let mut world = fine_ticks();
    step(&mut world, 100_000, &NO_BOOK);
    let at = world.now.unix_seconds;
    world
        .ledger(|ledger, _| {
            let row = &mut ledger.rows[0];
            (row.ramp_from, row.ramp_start) = (Ppm::new(300_000), at);
            row.ramp_end = UnixSeconds::new(at.get() + 30);
            row.open_interest = row.risk.interest_scale_upper;
            Ok(())
        })
        .unwrap();
    for (seconds, share) in [(0, 300_000), (10, 366_667), (10, 433_334), (9, 493_334), (1, 500_000), (1, 500_000)] {
        world.pass(seconds);
        let row = step(&mut world, 100_000, &NO_BOOK);
        assert_eq!((row.maintenance_now.get(), row.margin_scale.get()), (share, 2_000_000));
        assert_eq!(row.maintenance.get(), 500_000);
    }
    // A wide update as well.
    world
        .ledger(|ledger, _| {
            ledger.rows[0].open_interest = Lots::ZERO;
            Ok(())
        })
        .unwrap();
    let row = world.view().rows[0];
    let price = PicoPrice::new(row.tick_size.get() * 100_000);
    let wide = SourcePrice { price, confidence: price, publish_time: world.now.unix_seconds };
    assert_eq!(world.update_price(0, &[Ok(wide)]), Ok(PriceCondition::Wide));
    assert_eq!(world.view().rows[0].margin_scale.get(), 1_000_000);
}

/// The board restated with whole numbers of any size.
struct Reference {
    index: i128,
    mark: i128,
    stable: i128,
    basis: i128,
    mark_at: i128,
    stable_at: i128,
    updated_at: i128,
}

fn median(mut prices: [i128; 3]) -> i128 {
    prices.sort_unstable();
    prices[1]
}

fn moved(from: i128, to: i128, step: i128, seconds: i128, seconds_max: i128) -> i128 {
    let full = from * step * seconds.min(seconds_max) / 1_000_000;
    let limit = if full == 0 && seconds >= seconds_max { 1 } else { full };
    to.clamp(from - limit, from + limit)
}

impl Reference {
    fn update(&mut self, row: &MarketRow, index: i128, book: &Book, now: i128) {
        let risk = &row.risk;
        let [bid, ask, last] = [book.bid, book.ask, book.last].map(|price| i128::from(price.get()));
        let quoted = bid > 0 && ask > 0;
        let reach = index * i128::from(risk.basis_max.get()) / 1_000_000;
        let sample = if quoted { ((bid + ask - 2 * index) << 15).clamp(-(reach << 16), reach << 16) } else { 0 };
        let seconds = (now - self.updated_at).min(600);
        self.basis += (sample - self.basis) * seconds / (seconds + 150);
        let third = if quoted { median([bid, ask, if last == 0 { index } else { last }]) } else { index };
        let target = median([index, index + self.basis / (1 << 16), third]);
        let target = target.clamp((index - reach).max(1), (index + reach).min(row.price_max.get().into()));
        let mark = moved(self.mark, target, risk.step.get().into(), now - self.mark_at, risk.step_seconds.into());
        if mark != self.mark || mark == target {
            (self.mark, self.mark_at) = (mark, now);
        }
        let stable = moved(self.stable, index, risk.stable_step.get().into(), now - self.stable_at, 600);
        if stable != self.stable || stable == index {
            (self.stable, self.stable_at) = (stable, now);
        }
        (self.index, self.updated_at) = (index, now);
    }
}

/// F2, and with it everything else that follows the index: random indexes, books and gaps, against the restatement.
#[test]
fn inv_f2_the_board_does_what_is_written_for_random_indexes_books_and_gaps() {
    let mut random = Random::new(9);
    for _ in 0..120 {
        let mut world = fine_ticks();
        world
            .ledger(|ledger, _| {
                let risk = &mut ledger.rows[0].risk;
                risk.step = Ppm::new(random.range(1, 50_000) as u32);
                risk.step_seconds = random.range(1, 60) as u32;
                risk.stable_step = Ppm::new(random.range(1, risk.step.get().into()) as u32);
                risk.basis_max = Ppm::new(random.range(100, 50_000) as u32);
                Ok(())
            })
            .unwrap();
        let scale = random.pick(&[3, 40, 900, 50_000, 4_000_000]);
        let start = random.range(1, scale) as u32;
        let row = step(&mut world, start, &NO_BOOK);
        let at = i128::from(world.now.unix_seconds.get());
        let price = i128::from(start);
        let mut reference = Reference {
            index: price,
            mark: price,
            stable: price,
            basis: 0,
            mark_at: at,
            stable_at: at,
            updated_at: at,
        };
        assert_eq!(row.mark.get(), start);
        walk(&mut world, &mut random, &mut reference, scale);
    }
}

fn walk(world: &mut World, random: &mut Random, reference: &mut Reference, scale: i64) {
    for _ in 0..60 {
        world.pass(random.pick(&[0, 0, 1, 1, 1, 2, 5, 30, 60, 599, 600, 5_000]));
        let near = |random: &mut Random, price: i128| (price as i64 + random.range(-9, 9)).clamp(1, scale) as u32;
        let index = if random.chance(20) { random.range(1, scale) as u32 } else { near(random, reference.index) };
        let side = |random: &mut Random| match random.below(4) {
            0 => 0,
            1 => random.range(1, 4_000_000) as u32,
            _ => near(random, reference.mark),
        };
        let (bid, ask, last) = (side(random), side(random), side(random));
        let book = book(bid.min(ask), bid.max(ask), last);
        let before = world.view().rows[0];
        let row = step(world, index, &book);
        reference.update(&row, index.into(), &book, world.now.unix_seconds.get().into());
        let expected = [reference.index, reference.mark, reference.stable];
        assert_eq!([row.index_price, row.mark, row.stable].map(|price| i128::from(price.get())), expected);
        assert_eq!(i128::from(row.basis), reference.basis);
        assert_eq!(row.low, row.index_price.min(row.mark).min(row.stable));
        assert_eq!(row.high, row.index_price.max(row.mark).max(row.stable));
        bounds(&before, &row);
    }
}

/// What the restatement is for.
fn bounds(before: &MarketRow, row: &MarketRow) {
    let (mark, index) = (u64::from(row.mark.get()), u64::from(row.index_price.get()));
    let step = u64::from(row.risk.step.get()) * u64::from(row.risk.step_seconds);
    let limit = (u64::from(before.mark.get()) * step / 1_000_000).max(1);
    assert!(u64::from(row.mark.get().abs_diff(before.mark.get())) <= limit, "a step is bounded");
    if !row.is_lagging() {
        let reach = index * u64::from(row.risk.basis_max.get()) / 1_000_000;
        assert!(mark.abs_diff(index) <= reach, "a mark that has arrived is near the index");
    }
    assert!((1..=4_000_000).contains(&mark));
}

proptest! {
    #![proptest_config(cases(1_000))]

    /// The board never takes a price outside the sources', nor a time of its own.
    #[test]
    fn a_good_update_lies_between_its_sources(prices in prop::collection::vec(100u64..90_000, 1..=4), ages in prop::collection::vec(0i64..=60, 4)) {
        let mut row = row(prices.len() as u8, prices.len() as u8);
        let readings: Vec<_> = prices.iter().zip(&ages).map(|(price, age)| at(*price, *age)).collect();
        let spread = prices.iter().max().unwrap() - prices.iter().min().unwrap();
        match update(&mut row, &readings).unwrap() {
            PriceCondition::Good => {
                let nearest = |price: u64| ((price + 50) / 100) as u32;
                prop_assert!(row.index_price.get() >= nearest(*prices.iter().min().unwrap()));
                prop_assert!(row.index_price.get() <= nearest(*prices.iter().max().unwrap()));
                let oldest = ages[..prices.len()].iter().max().unwrap();
                prop_assert_eq!(row.publish_time.get(), NOW - oldest);
            }
            PriceCondition::Diverged => {
                prop_assert!(spread > 0);
                prop_assert_eq!(row.index_price, Ticks::ZERO);
            }
            PriceCondition::Wide => prop_assert!(false, "no reading was wide"),
        }
        prop_assert_eq!(row.updated_at, now().unix_seconds);
    }

    #[test]
    fn ticks_of_rounds_to_the_nearest_tick(price in any::<u64>(), shift in 0u32..64) {
        let (row, price) = (row(1, 1), price >> shift);
        let nearest = (u128::from(price) + 50) / 100;
        match row.ticks_of(PicoPrice::new(price)) {
            Ok(ticks) => prop_assert_eq!(u128::from(ticks.get()), nearest),
            Err(error) => {
                prop_assert_eq!(error, EngineError::OraclePriceOutOfRange);
                prop_assert!(nearest == 0 || nearest > 1_000);
            }
        }
    }
}
