//! A market that allows a leverage, with everything else as its solvency envelope demands.

use crate::desk::MarketSpec;
use quantdesk_client::engine::{Lots, Ppm, QuoteAtoms, risk::listing::RiskParameters};

/// What of the leverage's reciprocal is asked for as initial margin, in percent: room for fees and the spread.
const MARGIN_PERCENT: u32 = 95;
/// Maintenance margin is half of it, as listed.
const MAINTENANCE_DIVISOR: u32 = 2;
/// Seconds of the staircase that an update makes up for.
const STEP_SECONDS: u32 = 3;
/// Fastest staircase, in ppm a second.
const STEP_MAX: u32 = 10_000;
/// Taker fee as listed.
const TAKER_FEE: u32 = 500;
/// Funding of a day at most, and its part of the longest time that is accrued.
const FUNDING_CAP: u32 = 40_000;
const FUNDING_PART: u32 = (FUNDING_CAP * 300).div_ceil(86_400);

/// A market with this leverage at most.
pub fn spec(level: u32) -> MarketSpec {
    let rate = 1_000_000 / level * MARGIN_PERCENT / 100;
    let maintenance = rate / MAINTENANCE_DIVISOR;
    let liquidation_fee = (maintenance / 8).min(5_000);
    let costs = FUNDING_PART + liquidation_fee + TAKER_FEE;
    // The envelope: step + costs + costs on what the step moves ≤ maintenance.
    let room = u64::from(maintenance.saturating_sub(costs + 1));
    let step = u32::try_from(room * 1_000_000 / u64::from(1_000_000 + costs)).unwrap_or(0);
    let tiers = [(2_000_000_000_000, 100), (10_000_000_000_000, 150), (u64::MAX, 200)];
    let usual = MarketSpec::sol();
    MarketSpec {
        symbol: format!("CRASH-{level}X"),
        tiers: tiers.map(|(most, percent)| (most, (rate * percent / 100).min(1_000_000))).into(),
        risk: RiskParameters {
            step: Ppm::new((step / STEP_SECONDS).clamp(1, STEP_MAX)),
            step_seconds: STEP_SECONDS,
            stable_step: Ppm::new(300),
            basis_max: Ppm::new(5_000),
            funding_dead_zone: Ppm::new(500),
            funding_cap: Ppm::new(FUNDING_CAP),
            liquidation_fee: Ppm::new(liquidation_fee),
            takeover_discount: Ppm::new((maintenance / 6).min(10_000)),
            liquidation_buffer: Ppm::new(100_000),
            interest_scale_max: Ppm::new(1_000_000),
            interest_scale_lower: Lots::new(usual.position_max),
            interest_scale_upper: Lots::new(usual.position_max * 4),
            pool_budget: QuoteAtoms::new(super::POOL_BUDGET),
            liquidation_tip_max: QuoteAtoms::new(50_000_000),
        },
        ..usual
    }
}
