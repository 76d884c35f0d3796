//! Markets to test on: small enough that books fill and prices collide, odd enough that every rounding shows.

use bytemuck::Zeroable;
use quantdesk_engine::{
    Lots, PicoPrice, Ppm, QuoteAtoms, SignedPpm, TickValue, Ticks,
    risk::listing::{ListingParameters, RiskParameters, TierParameters},
    state::{Key, OracleSource},
};

/// Decimals of the collateral in all tests.
pub const DECIMALS: u8 = 6;
/// Mark at which [`usual`] is meant to trade.
pub const USUAL_MARK: u32 = 100;

fn tiers(given: &[(u64, u32)], parameters: &mut ListingParameters) {
    for (place, (notional_max, rate)) in parameters.tiers.iter_mut().zip(given) {
        *place = TierParameters::new(QuoteAtoms::new(*notional_max), Ppm::new(*rate));
    }
    parameters.tiers_len = given.len() as u8;
}

fn sources(given: u8, least: u8, parameters: &mut ListingParameters) {
    for (place, number) in parameters.sources.iter_mut().take(usize::from(given)).zip(1u8..) {
        *place = OracleSource::pyth(Key::new(&[number; 32]));
    }
    parameters.sources_len = given;
    parameters.sources_min = least;
}

/// A staircase of `step` ppm a second for five seconds, a stable price four times slower, funding of up to 4% a day,
/// this liquidation fee; initial margin doubles over the upper half of what open interest may be.
fn risk(step: u32, liquidation_fee: u32, listing: &ListingParameters) -> RiskParameters {
    RiskParameters {
        step: Ppm::new(step),
        step_seconds: 5,
        stable_step: Ppm::new(step.div_ceil(4)),
        basis_max: Ppm::new(20_000),
        funding_dead_zone: Ppm::new(500),
        funding_cap: Ppm::new(40_000),
        liquidation_fee: Ppm::new(liquidation_fee),
        takeover_discount: Ppm::new(10_000),
        liquidation_buffer: Ppm::new(100_000),
        interest_scale_max: Ppm::new(2_000_000),
        interest_scale_lower: Lots::new(listing.open_interest_max.get() / 2),
        interest_scale_upper: listing.open_interest_max,
        pool_budget: QuoteAtoms::new(1_000_000),
        liquidation_tip_max: QuoteAtoms::new(1_000),
    }
}

/// Prices that hardly move and next to no funding, so that the envelope leaves room for any margin.
pub fn calm(listing: &mut ListingParameters) {
    let risk = &mut listing.risk;
    (risk.step, risk.step_seconds, risk.stable_step) = (Ppm::new(1), 1, Ppm::new(1));
    (risk.funding_cap, risk.liquidation_fee) = (Ppm::new(1), Ppm::ZERO);
}

/// Mark around 100 ticks of 1,000 atoms per lot; two tiers; a maker rebate; one source; few places on the book.
pub fn usual() -> ListingParameters {
    let mut listing = ListingParameters::zeroed();
    listing.symbol = *b"USUAL-PERP\0\0\0\0\0\0";
    listing.tick_size = PicoPrice::new(10_000_000_000);
    listing.lot_size = 100_000_000_000;
    listing.tick_value = TickValue::new(1_000);
    listing.price_max = Ticks::new(1_000);
    listing.lots_min = Lots::new(1);
    listing.lots_max = Lots::new(20);
    listing.position_max = Lots::new(40);
    listing.open_interest_max = Lots::new(60);
    listing.band = Ppm::new(100_000);
    listing.taker_fee = Ppm::new(450);
    listing.maker_fee = SignedPpm::new(-150);
    listing.maintenance = Ppm::new(500_000);
    listing.confidence_max = Ppm::new(10_000);
    listing.divergence_max = Ppm::new(20_000);
    listing.fresh_seconds = 60;
    listing.dead_seconds = 600;
    listing.side_capacity = 6;
    listing.events_capacity = 64;
    tiers(&[(1_000_000, 50_000), (u64::MAX, 100_000)], &mut listing);
    sources(1, 1, &mut listing);
    listing.risk = risk(2_000, 5_000, &listing);
    listing
}

/// A lot is worth a handful of atoms: every fee and margin rounds. Both sides pay a fee; two of three sources needed.
pub fn dust() -> ListingParameters {
    let mut listing = usual();
    listing.symbol = *b"DUST-PERP\0\0\0\0\0\0\0";
    listing.tick_size = PicoPrice::new(100_000_000);
    listing.lot_size = 10_000_000_000;
    listing.tick_value = TickValue::new(1);
    listing.price_max = Ticks::new(200);
    listing.lots_min = Lots::new(2);
    listing.lots_max = Lots::new(9);
    listing.position_max = Lots::new(25);
    listing.open_interest_max = Lots::new(40);
    listing.band = Ppm::new(500_000);
    listing.taker_fee = Ppm::new(337);
    listing.maker_fee = SignedPpm::new(113);
    listing.maintenance = Ppm::new(333_333);
    listing.side_capacity = 4;
    tiers(&[(50, 33_333), (171, 77_777), (u64::MAX, 1_000_000)], &mut listing);
    sources(3, 2, &mut listing);
    listing.risk = risk(1_000, 2_000, &listing);
    listing
}

/// Fine ticks, many lots, five tiers, a rebate as large as the taker fee, high leverage.
pub fn fine() -> ListingParameters {
    let mut listing = usual();
    listing.symbol = *b"FINE-PERP\0\0\0\0\0\0\0";
    listing.tick_size = PicoPrice::new(700_000_000);
    listing.lot_size = 10_000_000_000;
    listing.tick_value = TickValue::new(7);
    listing.price_max = Ticks::new(200_000);
    listing.lots_min = Lots::new(5);
    listing.lots_max = Lots::new(1_000);
    listing.position_max = Lots::new(1_500);
    listing.open_interest_max = Lots::new(2_500);
    listing.band = Ppm::new(20_000);
    listing.taker_fee = Ppm::new(301);
    listing.maker_fee = SignedPpm::new(-301);
    listing.maintenance = Ppm::new(666_667);
    listing.side_capacity = 16;
    let five =
        [(35_000_001, 7_001), (70_000_003, 11_003), (150_000_007, 19_007), (300_000_011, 50_023), (u64::MAX, 99_991)];
    tiers(&five, &mut listing);
    sources(2, 1, &mut listing);
    listing.risk = risk(400, 1_000, &listing);
    listing
}

/// As large as a listing may be: the largest notional is just below 2^62 atoms, close to all the money there can be.
pub fn vast() -> ListingParameters {
    let mut listing = usual();
    listing.symbol = *b"VAST-PERP\0\0\0\0\0\0\0";
    listing.tick_size = PicoPrice::new(100_000_000);
    listing.lot_size = 10_000_000_000;
    listing.tick_value = TickValue::new(1);
    listing.price_max = Ticks::new(65_535);
    listing.lots_max = Lots::new(1 << 46);
    listing.position_max = Lots::new(1 << 46);
    listing.open_interest_max = Lots::new(3 << 46);
    listing.band = Ppm::new(500_000);
    tiers(&[(1 << 55, 5_000), (1 << 60, 20_001), (u64::MAX, 333_333)], &mut listing);
    listing.risk = risk(200, 500, &listing);
    listing
}

/// The same market, where takers wait so many slots.
pub fn delayed(mut listing: ListingParameters, slots: u8) -> ListingParameters {
    listing.taker_delay = slots;
    listing
}

/// The three markets of the differential test.
pub fn all() -> [ListingParameters; 3] {
    [usual(), dust(), fine()]
}
