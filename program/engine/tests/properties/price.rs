//! The price board: validity table and updates.

use crate::{
    cases,
    support::{listing, listing::DECIMALS, world::key},
};
use proptest::prelude::*;
use quantdesk_engine::{
    EngineError, MarketIndex, Now, PicoPrice, Result, Slot, Ticks, UnixSeconds,
    risk::price::{Action, SourcePrice, Validity},
    state::{MarketRow, PriceCondition},
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

/// The mark in ticks after these prices, each from one source.
fn mark_of(prices: &[u64]) -> u32 {
    let mut row = row(prices.len() as u8, prices.len() as u8);
    assert_eq!(
        update(&mut row, &prices.iter().map(|price| reading(*price)).collect::<Vec<_>>()),
        Ok(PriceCondition::Good)
    );
    assert_eq!(row.index_price, row.mark);
    row.mark.get()
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
    assert_eq!(mark_of(&[10_049]), 100);
    assert_eq!(mark_of(&[10_050]), 101);
    assert_eq!(mark_of(&[10_000, 10_100]), 101, "the mean of two, halves up");
    assert_eq!(mark_of(&[10_000, 10_099]), 100, "the mean of two, floored first");
    assert_eq!(mark_of(&[10_100, 9_900, 10_000]), 100);
    assert_eq!(mark_of(&[10_080, 10_000, 9_900, 10_040]), 100, "the mean of the middle two");
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
        assert_eq!(row.mark, Ticks::new(ticks));
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
    assert_eq!((row.mark.get(), row.publish_time.get()), (100, NOW - 9), "price and age are the old ones");
    assert_eq!(row.validity(now().unix_seconds), Validity::Wide);
    assert_eq!(row.source_times[1].get(), NOW, "a wide reading still moves its source's time");
    assert_eq!(update(&mut row, &[narrow, narrow]), Ok(PriceCondition::Good));
    assert_eq!((row.mark.get(), row.validity(now().unix_seconds)), (200, Validity::Fresh));
}

#[test]
fn a_wide_source_does_not_move_the_median_of_enough_narrow_ones() {
    let mut row = row(3, 2);
    let wide = SourcePrice { confidence: PicoPrice::new(9_000), ..reading(50_000) };
    assert_eq!(update(&mut row, &[reading(10_000), wide, reading(10_100)]), Ok(PriceCondition::Good));
    assert_eq!(row.mark, Ticks::new(101));
}

#[test]
fn sources_two_percent_apart_agree_and_an_atom_more_diverges() {
    let mut row = row(2, 2);
    assert_eq!(update(&mut row, &[reading(9_900), reading(10_100)]), Ok(PriceCondition::Good));
    assert_eq!(update(&mut row, &[reading(9_900), reading(10_101)]), Ok(PriceCondition::Diverged));
    assert_eq!(row.mark, Ticks::new(100), "the price stays");
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
                prop_assert!(row.mark.get() >= nearest(*prices.iter().min().unwrap()));
                prop_assert!(row.mark.get() <= nearest(*prices.iter().max().unwrap()));
                let oldest = ages[..prices.len()].iter().max().unwrap();
                prop_assert_eq!(row.publish_time.get(), NOW - oldest);
            }
            PriceCondition::Diverged => {
                prop_assert!(spread > 0);
                prop_assert_eq!(row.mark, Ticks::ZERO);
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
