//! Listing parameters: each bound from both sides, with its exact error.

use crate::support::{World, listing, listing::DECIMALS, random::Random, world::key};
use bytemuck::Zeroable;
use quantdesk_engine::{
    EngineError, Lots, MarketIndex, PicoPrice, PositionLots, Ppm, QuoteAtoms, Result, SignedPpm, TickValue, Ticks,
    risk::{
        funding::{self, FUNDING_PERIOD_SECONDS, FUNDING_SECONDS_MAX},
        listing::{self as rules, ListingParameters, RiskParameters, TierParameters},
        margin,
    },
    state::{MarketRow, PositionCell},
};

const SIZES: EngineError = EngineError::ListingParametersInvalid;
const BOUND: EngineError = EngineError::ListingBoundExceeded;
const FEES: EngineError = EngineError::ListingFeesInvalid;
const ORACLE: EngineError = EngineError::ListingOracleInvalid;
const TIERS: EngineError = EngineError::ListingTiersInvalid;
const RISK: EngineError = EngineError::ListingRiskInvalid;
const ENVELOPE: EngineError = EngineError::ListingEnvelopeExceeded;

fn verdict(change: impl FnOnce(&mut ListingParameters)) -> Result<()> {
    let mut parameters = listing::usual();
    change(&mut parameters);
    parameters.row(key(1), MarketIndex::new(0), DECIMALS).map(|_| ())
}

/// The same of a market whose prices hardly move, so that its margin may be as low as it likes.
fn calm_verdict(change: impl FnOnce(&mut ListingParameters)) -> Result<()> {
    verdict(|p| {
        listing::calm(p);
        change(p);
    })
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
fn a_taker_waits_no_longer_than_the_bound() {
    for (slots, expected) in [(0, Ok(())), (1, Ok(())), (25, Ok(())), (26, Err(SIZES)), (255, Err(SIZES))] {
        assert_eq!(verdict(|p| p.taker_delay = slots), expected, "{slots}");
    }
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

/// What funding is computed with: `risk/funding.rs` relies on it.
#[test]
fn a_lot_is_never_worth_more_than_two_to_the_32() {
    let worth = |price_max: u32, tick_value: u32| {
        verdict(|p| {
            (p.price_max, p.position_max, p.lots_max) = (Ticks::new(price_max), Lots::new(1), Lots::new(1));
            (p.tick_value, p.lot_size) = (TickValue::new(tick_value), p.lot_size / 1_000 * u64::from(tick_value));
        })
    };
    assert_eq!(worth(1 << 31, 2), Ok(()));
    assert_eq!(worth((1 << 31) + 1, 2), Err(BOUND));
    assert_eq!(worth(u32::MAX, 1), Ok(()));
    assert_eq!(worth(65_536, 65_536), Ok(()));
    assert_eq!(worth(65_536, 65_537), Err(BOUND));
    assert_eq!(worth(u32::MAX, u32::MAX), Err(BOUND));
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
        (20_000, 0, Err(ENVELOPE)),
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
    let given = |tiers: &[(u64, u32)]| calm_verdict(|p| set_tiers(p, tiers));
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
        assert_eq!(calm_verdict(|p| p.maintenance = Ppm::new(share)), expected, "{share}");
    }
    let covered = |taker_fee| {
        calm_verdict(|p| {
            (p.taker_fee, p.maker_fee, p.maintenance) = (Ppm::new(taker_fee), SignedPpm::ZERO, Ppm::new(500_000));
            set_tiers(p, &[(u64::MAX, 10_001)]);
        })
    };
    // The step and funding take two more millionths, and one for their growth.
    assert_eq!(covered(4_997), Ok(()));
    assert_eq!(covered(4_998), Err(ENVELOPE));
    assert_eq!(covered(4_999), Err(ENVELOPE));
    assert_eq!(covered(5_000), Err(TIERS));
}

/// A maker's fee is not reserved: it has to fit between the two margins.
#[test]
fn the_fee_of_opening_fits_between_initial_and_maintenance_margin() {
    let fits = |fee| {
        calm_verdict(|p| {
            (p.taker_fee, p.maker_fee, p.maintenance) = (Ppm::new(fee), SignedPpm::ZERO, Ppm::new(900_000));
            set_tiers(p, &[(u64::MAX, 10_000)]);
        })
    };
    assert_eq!(fits(999), Ok(()));
    assert_eq!(fits(1_000), Err(TIERS));
}

/// Each risk parameter from both sides of its bounds.
#[test]
fn risk_parameters_lie_between_their_bounds() {
    type Set = fn(&mut RiskParameters, u32);
    type Case = (&'static str, Set, &'static [(u32, bool)]);
    let cases: [Case; 11] = [
        (
            "step",
            |r, to| (r.step, r.stable_step) = (Ppm::new(to), Ppm::new(1)),
            &[(0, false), (1, true), (50_000, true), (50_001, false)],
        ),
        (
            "step_seconds",
            |r, to| r.step_seconds = to,
            &[(0, false), (1, true), (60, true), (61, false), (u32::MAX, false)],
        ),
        (
            "stable_step",
            |r, to| (r.step, r.stable_step) = (Ppm::new(70), Ppm::new(to)),
            &[(0, false), (1, true), (70, true), (71, false)],
        ),
        (
            "basis_max",
            |r, to| (r.basis_max, r.funding_dead_zone) = (Ppm::new(to), Ppm::ZERO),
            &[(99, false), (100, true), (50_000, true), (50_001, false)],
        ),
        (
            "dead_zone",
            |r, to| (r.basis_max, r.funding_dead_zone) = (Ppm::new(700), Ppm::new(to)),
            &[(0, true), (700, true), (701, false)],
        ),
        (
            "funding_cap",
            |r, to| r.funding_cap = Ppm::new(to),
            &[(0, false), (1, true), (200_000, true), (200_001, false)],
        ),
        ("liquidation_fee", |r, to| r.liquidation_fee = Ppm::new(to), &[(0, true), (50_000, true), (50_001, false)]),
        (
            "takeover_discount",
            |r, to| r.takeover_discount = Ppm::new(to),
            &[(0, false), (1, true), (100_000, true), (100_001, false)],
        ),
        (
            "liquidation_buffer",
            |r, to| r.liquidation_buffer = Ppm::new(to),
            &[(0, true), (500_000, true), (500_001, false)],
        ),
        (
            "interest_scale_max",
            |r, to| r.interest_scale_max = Ppm::new(to),
            &[(999_999, false), (1_000_000, true), (10_000_000, true), (10_000_001, false)],
        ),
        (
            "interest_scale_lower",
            |r, to| (r.interest_scale_lower, r.interest_scale_upper) = (Lots::new(to.into()), Lots::new(9)),
            &[(0, true), (8, true), (9, false), (10, false)],
        ),
    ];
    for (name, set, bounds) in cases {
        for (to, accepted) in bounds {
            let mut risk = listing::usual().risk;
            set(&mut risk, *to);
            assert_eq!(risk.check(), if *accepted { Ok(()) } else { Err(RISK) }, "{name} of {to}");
            // A listing asks for it.
            let listed = verdict(|p| p.risk = risk);
            assert_eq!(listed == Err(RISK), !accepted, "{name} of {to}: {listed:?}");
        }
    }
    assert_eq!(verdict(|p| p.risk.pool_budget = QuoteAtoms::MAX), Ok(()));
    assert_eq!(verdict(|p| p.risk.liquidation_tip_max = QuoteAtoms::MAX), Ok(()));
    assert_eq!(verdict(|p| (p.risk.pool_budget, p.risk.liquidation_tip_max) = Default::default()), Ok(()));
}

/// F2: to the millionth, restated with whole numbers, from each of its terms.
#[test]
fn inv_f2_the_worst_update_with_funding_and_fees_fits_into_maintenance_margin() {
    // 5% · 50% = 25,000. Steps of 10,000, funding ⌈40,000 · 300 / 86,400⌉ = 139, fees 5,000 + 450, growth 56.
    let spare = 25_000 - (10_000 + 139 + 5_450 + 56);
    assert_eq!(verdict(|_| ()), Ok(()));
    assert_eq!(verdict(|p| set_tiers(p, &[(u64::MAX, 50_000 - 2 * spare)])), Ok(()));
    assert_eq!(verdict(|p| set_tiers(p, &[(u64::MAX, 50_000 - 2 * spare - 1)])), Err(ENVELOPE));
    // A fee more than fits, with its growth: x + ⌈x · 1%⌉.
    let fee = |more: u32| verdict(|p| p.risk.liquidation_fee = Ppm::new(5_000 + more));
    let most = (0u32..)
        .take_while(|more| 10_000 + (5_589 + more) + ((5_589 + more) * 10_000).div_ceil(1_000_000) <= 25_000)
        .last();
    assert_eq!((fee(most.unwrap()), fee(most.unwrap() + 1)), (Ok(()), Err(ENVELOPE)));
    // Steeper, or over more seconds.
    assert_eq!(verdict(|p| p.risk.step_seconds = 9), Ok(()));
    assert_eq!(verdict(|p| p.risk.step_seconds = 10), Err(ENVELOPE));
    assert_eq!(verdict(|p| p.risk.step = Ppm::new(3_800)), Ok(()));
    assert_eq!(verdict(|p| p.risk.step = Ppm::new(4_000)), Err(ENVELOPE));
    // Less maintenance margin.
    assert_eq!(verdict(|p| p.maintenance = Ppm::new(313_000)), Ok(()));
    assert_eq!(verdict(|p| p.maintenance = Ppm::new(312_000)), Err(ENVELOPE));
    // Higher tiers are of no help: the lowest counts.
    assert_eq!(verdict(|p| set_tiers(p, &[(1_000, 30_000), (u64::MAX, 1_000_000)])), Err(ENVELOPE));
    let funding = |cap: u64| (cap * FUNDING_SECONDS_MAX).div_ceil(FUNDING_PERIOD_SECONDS);
    assert_eq!((funding(40_000), funding(200_000), funding(1)), (139, 695, 1));
}

/// Random risk and fees with the lowest first tier that the envelope leaves them, or a random one; random further tiers.
fn random_listing(random: &mut Random) -> ListingParameters {
    let mut p = listing::usual();
    (p.tick_size, p.lot_size, p.tick_value) = (PicoPrice::new(1_000_000_000), 1_000_000_000, TickValue::new(1));
    (p.price_max, p.position_max) = (Ticks::new(1 << 22), Lots::new(1 << 39));
    p.taker_fee = Ppm::new(random.below(20_001) as u32);
    p.maker_fee = SignedPpm::ZERO;
    p.maintenance = Ppm::new(random.range(250_000, 900_000) as u32);
    p.risk.step_seconds = random.range(1, 60) as u32;
    p.risk.step = Ppm::new(random.range(1, 300_000 / i64::from(p.risk.step_seconds)).min(50_000) as u32);
    p.risk.stable_step = Ppm::new(1);
    p.risk.funding_cap = Ppm::new(random.range(1, 200_000) as u32);
    p.risk.liquidation_fee = Ppm::new(random.below(50_001) as u32);
    let step = u64::from(p.risk.step.get()) * u64::from(p.risk.step_seconds);
    let funding = (u64::from(p.risk.funding_cap.get()) * 300).div_ceil(86_400);
    let costs = funding + u64::from(p.risk.liquidation_fee.get() + p.taker_fee.get());
    let worst = step + costs + (costs * step).div_ceil(1_000_000);
    let lowest = (worst * 1_000_000).div_ceil(u64::from(p.maintenance.get())).max(5_000);
    let mut tiers = vec![lowest as u32];
    while tiers.len() < 6 && random.chance(70) {
        let below = *tiers.last().unwrap();
        tiers.push(below + 1 + random.below(200_000) as u32);
    }
    let mut notional = 0;
    let tiers: Vec<_> = (1..=tiers.len())
        .zip(&tiers)
        .map(|(number, rate)| {
            notional += 1 + (random.next() >> random.range(10, 60));
            (if number == tiers.len() { u64::MAX } else { notional }, *rate)
        })
        .collect();
    set_tiers(&mut p, &tiers);
    p
}

/// F2, the law behind the envelope: in every market that can be listed, a position of any size that has just its
/// maintenance margin is hit by the worst update of the board, with the most funding, and can still pay for being closed.
/// But for an atom of rounding per charge, and of the funding index per 2^20 lots.
#[test]
fn inv_f2_a_position_at_maintenance_margin_survives_the_worst_update() {
    let mut random = Random::new(17);
    let mut listed = 0;
    for _ in 0..3_000 {
        let parameters = random_listing(&mut random);
        if parameters.row(key(1), MarketIndex::new(0), DECIMALS).is_err() {
            continue;
        }
        listed += 1;
        let step = u64::from(parameters.risk.step.get()) * u64::from(parameters.risk.step_seconds);
        // At a price whose step is a tick at least.
        let least = 1_000_000u64.div_ceil(step);
        if least >= 1 << 20 {
            continue;
        }
        let mark = random.range(least as i64, 1 << 20) as u32;
        let mut sizes: Vec<u64> = vec![1, 2, 1 << 39, random.below(1 << 39) + 1, random.below(1 << 20) + 1];
        for tier in parameters.tiers.iter().take(usize::from(parameters.tiers_len)) {
            let boundary = (tier.notional_max.get() / u64::from(mark)).clamp(1, 1 << 39);
            sizes.extend([boundary, (boundary + 1).min(1 << 39)]);
        }
        for long in [true, false] {
            let (before, after) = worst_update(&parameters, mark, long, &mut random);
            sizes.iter().for_each(|lots| survives(&before, &after, *lots, long));
        }
    }
    assert!(listed > 1_000, "{listed} of the listings were accepted");
}

/// The board before and after an update that does to one side what it can: all the seconds of the staircase, a premium
/// against it for as long as counts, and an index at the other end.
fn worst_update(parameters: &ListingParameters, mark: u32, long: bool, random: &mut Random) -> (MarketRow, MarketRow) {
    let mut parameters = *parameters;
    parameters.fresh_seconds = 300;
    let mut world = World::new(&[parameters], 1);
    let premium = u64::from(mark) * random.range(0, 500_000) as u64 / 1_000_000;
    let index = if long { (u64::from(mark) - premium).max(1) } else { u64::from(mark) + premium } as u32;
    world.set_price(0, index);
    world
        .ledger(|ledger, _| {
            ledger.rows[0].mark = Ticks::new(mark);
            Ok(())
        })
        .unwrap();
    let before = world.view().rows[0];
    world.pass(300);
    world.move_price(0, if long { 1 } else { 1 << 22 }).unwrap();
    (before, world.view().rows[0])
}

fn survives(before: &MarketRow, after: &MarketRow, lots: u64, long: bool) {
    let mut position = PositionCell::zeroed();
    position.base = PositionLots::new(if long { lots as i64 } else { -(lots as i64) });
    let base = i128::from(position.base.get());
    let margin = i128::from(margin::position_maintenance(before, &position).unwrap().get());
    let moved = base * (i128::from(after.mark.get()) - i128::from(before.mark.get()));
    let funding = i128::from(funding::due(after, &position).unwrap().get());
    let equity = margin + moved - funding;
    let notional = i128::from(lots) * i128::from(after.mark.get());
    let charge = |rate: Ppm| (notional * i128::from(rate.get()) + 999_999) / 1_000_000;
    let fees = charge(after.risk.liquidation_fee) + charge(after.taker_fee);
    let rounding = 3 + i128::from(lots >> 20);
    assert!(
        equity + rounding >= fees,
        "{lots} lots from {:?} to {:?}: {equity} left, fees of {fees}",
        before.mark,
        after.mark
    );
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
    assert_eq!((row.risk, row.maintenance_now, row.margin_scale.get()), (parameters.risk, row.maintenance, 1_000_000));
    let rates: Vec<u32> = row.tiers().iter().map(|tier| tier.rate.get()).collect();
    assert_eq!(rates, [7_001, 11_003, 19_007, 50_023, 99_991]);
}

#[test]
fn a_ledger_lists_thirty_two_markets() {
    let mut world = World::new(&vec![listing::usual(); 32], 1);
    let refused = world.ledger(|ledger, now| rules::list(ledger, now, key(1), &listing::usual()));
    assert_eq!(refused, Err(EngineError::MarketsFull));
    assert_eq!(world.view().header.markets_len, 32);
    assert_eq!(world.check(), Ok(()));
}
