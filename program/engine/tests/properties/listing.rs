//! Listing parameters: each bound from both sides, with its exact error.

use crate::support::{World, listing, listing::DECIMALS, world::key};
use quantdesk_engine::{
    EngineError, Lots, MarketIndex, PicoPrice, Ppm, QuoteAtoms, Result, SignedPpm, TickValue, Ticks,
    risk::listing::{self as rules, ListingParameters, TierParameters},
};

const SIZES: EngineError = EngineError::ListingParametersInvalid;
const BOUND: EngineError = EngineError::ListingBoundExceeded;
const FEES: EngineError = EngineError::ListingFeesInvalid;
const ORACLE: EngineError = EngineError::ListingOracleInvalid;
const TIERS: EngineError = EngineError::ListingTiersInvalid;

fn verdict(change: impl FnOnce(&mut ListingParameters)) -> Result<()> {
    let mut parameters = listing::usual();
    change(&mut parameters);
    parameters.row(key(1), MarketIndex::new(0), DECIMALS).map(|_| ())
}

fn set_tiers(parameters: &mut ListingParameters, given: &[(u64, u32)]) {
    parameters.tiers_len = given.len() as u8;
    for (place, (notional_max, rate)) in parameters.tiers.iter_mut().zip(given) {
        *place = TierParameters::new(QuoteAtoms::new(*notional_max), Ppm::new(*rate));
    }
}

#[test]
fn the_markets_of_the_tests_are_listable() {
    for parameters in listing::all() {
        assert!(parameters.row(key(1), MarketIndex::new(0), DECIMALS).is_ok());
    }
}

#[test]
fn sizes_are_positive_and_ordered() {
    assert_eq!(verdict(|p| p.lots_min = Lots::ZERO), Err(SIZES));
    assert_eq!(verdict(|p| p.lots_min = p.lots_max), Ok(()));
    assert_eq!(verdict(|p| p.lots_min = Lots::new(p.lots_max.get() + 1)), Err(SIZES));
    assert_eq!(verdict(|p| p.lots_max = p.position_max), Ok(()));
    assert_eq!(verdict(|p| p.lots_max = Lots::new(p.position_max.get() + 1)), Err(SIZES));
    assert_eq!(verdict(|p| p.open_interest_max = Lots::ZERO), Err(SIZES));
    assert_eq!(verdict(|p| p.open_interest_max = Lots::new(1)), Ok(()));
    assert_eq!(verdict(|p| p.price_max = Ticks::ZERO), Err(SIZES));
    assert_eq!(verdict(|p| p.price_max = Ticks::new(1)), Ok(()));
}

#[test]
fn the_band_lies_between_its_bounds() {
    for (band, expected) in [(999, Err(SIZES)), (1_000, Ok(())), (500_000, Ok(())), (500_001, Err(SIZES))] {
        assert_eq!(verdict(|p| p.band = Ppm::new(band)), expected, "{band}");
    }
}

#[test]
fn a_tick_of_a_lot_is_exactly_its_value_in_atoms() {
    assert_eq!(verdict(|p| p.tick_value = TickValue::new(999)), Err(SIZES));
    assert_eq!(verdict(|p| p.tick_value = TickValue::ZERO), Err(SIZES));
    assert_eq!(verdict(|p| (p.tick_value, p.lot_size) = (TickValue::ZERO, 0)), Err(SIZES));
    assert_eq!(verdict(|p| p.tick_size = PicoPrice::new(p.tick_size.get() + 1)), Err(SIZES));
    // The product must not be taken modulo 2^64.
    assert_eq!(verdict(|p| (p.tick_size, p.lot_size) = (PicoPrice::new(1 << 63), 1 << 63)), Err(SIZES));
    assert_eq!(verdict(|p| (p.tick_value, p.lot_size) = (TickValue::new(2_000), p.lot_size * 2)), Ok(()));
}

#[test]
fn the_mint_has_five_to_twenty_four_decimals() {
    let scaled = |decimals: u8| {
        let mut parameters = listing::usual();
        // tick_size × lot_size = tick_value × 10^(24 − decimals), split so that both fit.
        let scale = 24u32.checked_sub(decimals.into());
        let half = scale.map_or(0, |scale| scale / 2);
        parameters.tick_size = PicoPrice::new(10u64.pow(half));
        parameters.lot_size = 10u64.pow(scale.map_or(0, |scale| scale - half)) * 1_000;
        parameters.row(key(1), MarketIndex::new(0), decimals).map(|_| ())
    };
    for (decimals, expected) in
        [(4, Err(SIZES)), (5, Ok(())), (6, Ok(())), (9, Ok(())), (24, Ok(())), (25, Err(SIZES)), (255, Err(SIZES))]
    {
        assert_eq!(scaled(decimals), expected, "{decimals} decimals");
    }
}

#[test]
fn the_largest_notional_stays_below_two_to_the_62() {
    let largest = |position_max: u64, price_max: u32| {
        verdict(|p| {
            (p.position_max, p.price_max) = (Lots::new(position_max), Ticks::new(price_max));
            (p.tick_value, p.lot_size) = (TickValue::new(1 << 10), (p.lot_size / 1_000) << 10);
        })
    };
    assert_eq!(largest((1 << 42) - 1, 1 << 10), Ok(()));
    assert_eq!(largest(1 << 42, 1 << 10), Err(BOUND));
    assert_eq!(largest(1 << 42, (1 << 10) - 1), Ok(()));
    assert_eq!(largest(u64::MAX, u32::MAX), Err(BOUND), "also where the product overflows");
}

#[test]
fn a_rebate_is_at_most_the_taker_fee() {
    let fees = |taker, maker| verdict(|p| (p.taker_fee, p.maker_fee) = (Ppm::new(taker), SignedPpm::new(maker)));
    for (taker, maker, expected) in [
        (450, -450, Ok(())),
        (450, -451, Err(FEES)),
        (450, 450, Ok(())),
        (450, 451, Err(FEES)),
        (0, 0, Ok(())),
        (0, -1, Err(FEES)),
        (20_000, 0, Ok(())),
        (20_001, 0, Err(FEES)),
        (450, i32::MIN, Err(FEES)),
    ] {
        assert_eq!(fees(taker, maker), expected, "taker {taker}, maker {maker}");
    }
}

#[test]
fn oracle_limits_lie_between_their_bounds() {
    for (width, expected) in [(0, Err(ORACLE)), (1, Ok(())), (100_000, Ok(())), (100_001, Err(ORACLE))] {
        assert_eq!(verdict(|p| p.confidence_max = Ppm::new(width)), expected);
        assert_eq!(verdict(|p| p.divergence_max = Ppm::new(width)), expected);
    }
    for (fresh, expected) in [(0, Err(ORACLE)), (1, Ok(())), (300, Ok(())), (301, Err(ORACLE))] {
        assert_eq!(verdict(|p| p.fresh_seconds = fresh), expected);
    }
    for (dead, expected) in [(60, Err(ORACLE)), (61, Ok(())), (86_400, Ok(())), (86_401, Err(ORACLE))] {
        assert_eq!(verdict(|p| p.dead_seconds = dead), expected);
    }
    for (len, min, expected) in
        [(0, 0, Err(ORACLE)), (1, 0, Err(ORACLE)), (1, 2, Err(ORACLE)), (4, 4, Ok(())), (5, 1, Err(ORACLE))]
    {
        assert_eq!(verdict(|p| (p.sources_len, p.sources_min) = (len, min)), expected, "{len} sources, {min} needed");
    }
}

#[test]
fn tiers_rise_in_size_and_rate_and_end_without_a_bound() {
    let given = |tiers: &[(u64, u32)]| verdict(|p| set_tiers(p, tiers));
    assert_eq!(given(&[(u64::MAX, 5_000)]), Ok(()));
    assert_eq!(given(&[]), Err(TIERS));
    assert_eq!(given(&[(u64::MAX - 1, 5_000)]), Err(TIERS), "the last is unbounded");
    assert_eq!(given(&[(u64::MAX, 5_000), (u64::MAX, 6_000)]), Err(TIERS), "only the last is");
    assert_eq!(given(&[(0, 5_000), (u64::MAX, 6_000)]), Err(TIERS), "a tier has room");
    assert_eq!(given(&[(10, 5_000), (10, 6_000), (u64::MAX, 7_000)]), Err(TIERS));
    assert_eq!(given(&[(10, 5_000), (u64::MAX, 5_000)]), Err(TIERS), "rates rise");
    assert_eq!(given(&[(10, 6_000), (u64::MAX, 5_000)]), Err(TIERS));
    assert_eq!(given(&[(10, 5_000), (u64::MAX, 1_000_000)]), Ok(()));
    assert_eq!(given(&[(10, 5_000), (u64::MAX, 1_000_001)]), Err(TIERS));
    assert_eq!(given(&[(u64::MAX, 4_999)]), Err(TIERS));
    let six = [(1, 5_000), (2, 6_000), (3, 7_000), (4, 8_000), (5, 9_000), (u64::MAX, 10_000)];
    assert_eq!(given(&six), Ok(()));
    assert_eq!(verdict(|p| p.tiers_len = 7), Err(TIERS));
}

#[test]
fn maintenance_lies_between_its_bounds_and_covers_the_fee_of_closing() {
    for (share, expected) in [(249_999, Err(TIERS)), (250_000, Ok(())), (900_000, Ok(())), (900_001, Err(TIERS))] {
        assert_eq!(verdict(|p| p.maintenance = Ppm::new(share)), expected, "{share}");
    }
    let covered = |taker_fee| {
        verdict(|p| {
            (p.taker_fee, p.maker_fee, p.maintenance) = (Ppm::new(taker_fee), SignedPpm::ZERO, Ppm::new(500_000));
            set_tiers(p, &[(u64::MAX, 10_001)]);
        })
    };
    assert_eq!(covered(4_999), Ok(()));
    assert_eq!(covered(5_000), Err(TIERS));
}

/// A maker's fee is not reserved: it has to fit between the two margins.
#[test]
fn the_fee_of_opening_fits_between_initial_and_maintenance_margin() {
    let fits = |fee| {
        verdict(|p| {
            (p.taker_fee, p.maker_fee, p.maintenance) = (Ppm::new(fee), SignedPpm::ZERO, Ppm::new(900_000));
            set_tiers(p, &[(u64::MAX, 10_000)]);
        })
    };
    assert_eq!(fits(999), Ok(()));
    assert_eq!(fits(1_000), Err(TIERS));
}

#[test]
fn a_listed_row_says_what_was_asked_for() {
    let parameters = listing::fine();
    let row = parameters.row(key(5), MarketIndex::new(3), DECIMALS).unwrap();
    assert_eq!((row.market, row.index, row.symbol), (key(5), MarketIndex::new(3), parameters.symbol));
    assert_eq!(
        (row.tick_size, row.lot_size, row.tick_value),
        (parameters.tick_size, parameters.lot_size, TickValue::new(7))
    );
    assert_eq!((row.lots_min.get(), row.lots_max.get(), row.position_max.get()), (5, 1_000, 1_500));
    assert_eq!((row.open_interest_max.get(), row.price_max.get(), row.band.get()), (2_500, 200_000, 20_000));
    assert_eq!((row.taker_fee.get(), row.maker_fee.get(), row.maintenance.get()), (301, -301, 666_667));
    assert_eq!((row.fresh_seconds, row.dead_seconds, row.sources_len, row.sources_min), (60, 600, 2, 1));
    assert!(row.is_active() && row.open_interest.is_zero() && row.mark.is_zero());
    let rates: Vec<u32> = row.tiers().iter().map(|tier| tier.rate.get()).collect();
    assert_eq!(rates, [7_001, 11_003, 19_007, 50_023, 99_991]);
}

#[test]
fn a_ledger_lists_thirty_two_markets() {
    let mut world = World::new(&vec![listing::usual(); 32], 1);
    let refused = world.ledger(|ledger, _| rules::list(ledger, key(1), &listing::usual()));
    assert_eq!(refused, Err(EngineError::MarketsFull));
    assert_eq!(world.view().header.markets_len, 32);
    assert_eq!(world.check(), Ok(()));
}
