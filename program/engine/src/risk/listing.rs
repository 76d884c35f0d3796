//! Listing a market: bounds that everything later relies on, proved once.

use super::{
    funding::{FUNDING_PERIOD_SECONDS, FUNDING_SECONDS_MAX},
    price::SCALE_ONE,
};
use crate::{
    error::{EngineError, Result},
    math,
    state::{Key, Ledger, MarginTier, MarketRow, OracleSource, exchange::MARKET_SOURCES_MAX, row::TIERS_MAX},
    units::{Lots, MarketIndex, Now, PicoPrice, Ppm, QuoteAtoms, SignedPpm, TickValue, Ticks},
};
use bytemuck::{Pod, Zeroable};

/// Exclusive bound of `price_max × position_max × tick_value` in quote atoms.
pub const NOTIONAL_BOUND: u64 = 1 << 62;
/// Lowest initial margin rate: leverage 200.
pub const RATE_MIN: Ppm = Ppm::new(5_000);
/// Highest initial margin rate: no leverage.
pub const RATE_MAX: Ppm = Ppm::new(1_000_000);
/// Bounds of the maintenance share of initial margin.
pub const MAINTENANCE_MIN: Ppm = Ppm::new(250_000);
/// Bounds of the maintenance share of initial margin.
pub const MAINTENANCE_MAX: Ppm = Ppm::new(900_000);
/// Highest taker fee.
pub const TAKER_FEE_MAX: Ppm = Ppm::new(20_000);
/// Steepest staircase: a twentieth a second.
pub const STEP_MAX: Ppm = Ppm::new(50_000);
/// Most seconds of the staircase in one update.
pub const STEP_SECONDS_MAX: u32 = 60;
/// Bounds of the mark's distance from the index.
pub const BASIS_MIN: Ppm = Ppm::new(100);
/// Bounds of the mark's distance from the index.
pub const BASIS_MAX: Ppm = Ppm::new(50_000);
/// Highest funding of a day.
pub const FUNDING_CAP_MAX: Ppm = Ppm::new(200_000);
/// Highest liquidation fee.
pub const LIQUIDATION_FEE_MAX: Ppm = Ppm::new(50_000);
/// Highest discount of a takeover.
pub const TAKEOVER_DISCOUNT_MAX: Ppm = Ppm::new(100_000);
/// Largest buffer that a liquidation restores.
pub const LIQUIDATION_BUFFER_MAX: Ppm = Ppm::new(500_000);
/// Bounds of the factor by open interest.
pub const INTEREST_SCALE_MIN: Ppm = Ppm::new(1_000_000);
/// Bounds of the factor by open interest.
pub const INTEREST_SCALE_MAX: Ppm = Ppm::new(10_000_000);
/// Inclusive bound of `price_max × tick_value` in quote atoms, which keeps the funding of an update below 2^59.
pub const LOT_VALUE_MAX: u64 = 1 << 32;
/// Bounds of the price band.
pub const BAND_MIN: Ppm = Ppm::new(1_000);
/// Bounds of the price band.
pub const BAND_MAX: Ppm = Ppm::new(500_000);
/// Highest confidence and divergence limits.
pub const WIDTH_MAX: Ppm = Ppm::new(100_000);
/// Longest age at which a price counts as fresh.
pub const FRESH_SECONDS_MAX: u32 = 300;
/// Longest age at which a price is not dead.
pub const DEAD_SECONDS_MAX: u32 = 86_400;
/// Most slots that a taker waits: some ten seconds.
pub const TAKER_DELAY_MAX: u8 = 25;

/// One margin tier as asked for; the deduction follows from the tiers before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TierParameters {
    /// Largest notional of the tier; `u64::MAX` in the last one.
    pub notional_max: QuoteAtoms,
    /// Initial margin rate of the notional inside the tier.
    pub rate: Ppm,
    pad: u32,
}

/// How a market's prices may move, and what funding, liquidation and the pool may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RiskParameters {
    /// Staircase: the mark moves by at most this share of itself a second.
    pub step: Ppm,
    /// Most seconds of the staircase that one update may make up for.
    pub step_seconds: u32,
    /// The stable price moves by at most this share of itself a second.
    pub stable_step: Ppm,
    /// The mark is at most this far from the index, by the book's influence.
    pub basis_max: Ppm,
    /// Premium of the mark that costs no funding.
    pub funding_dead_zone: Ppm,
    /// Funding of a day is at most this share of the index.
    pub funding_cap: Ppm,
    /// Fee on what a liquidation closes.
    pub liquidation_fee: Ppm,
    /// Furthest from the mark at which a failing position is closed, through the book or by a take-over.
    pub takeover_discount: Ppm,
    /// How far above maintenance margin a liquidation restores an account, as a share of it.
    pub liquidation_buffer: Ppm,
    /// Initial margin is multiplied by this at and above [`Self::interest_scale_upper`].
    pub interest_scale_max: Ppm,
    /// Open interest up to which initial margin is not scaled.
    pub interest_scale_lower: Lots,
    /// Open interest from which it is scaled in full.
    pub interest_scale_upper: Lots,
    /// What the pool pays for this market in a day.
    pub pool_budget: QuoteAtoms,
    /// What a keeper gets for one liquidation, at most.
    pub liquidation_tip_max: QuoteAtoms,
}

/// Everything that defines a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ListingParameters {
    /// Name for people, padded with zeros.
    pub symbol: [u8; 16],
    /// Quote units per base unit in one tick, × 10^12.
    pub tick_size: PicoPrice,
    /// Base units in one lot, × 10^12.
    pub lot_size: u64,
    /// Smallest order.
    pub lots_min: Lots,
    /// Largest order.
    pub lots_max: Lots,
    /// Largest position including open orders.
    pub position_max: Lots,
    /// Cap on open interest.
    pub open_interest_max: Lots,
    /// Quote atoms per lot per tick; `tick_size × lot_size` in atoms, exactly.
    pub tick_value: TickValue,
    /// Largest price.
    pub price_max: Ticks,
    /// How far through the mark an order may reach.
    pub band: Ppm,
    /// Taker fee.
    pub taker_fee: Ppm,
    /// Maker fee; negative for a rebate.
    pub maker_fee: SignedPpm,
    /// Maintenance margin as a share of initial margin.
    pub maintenance: Ppm,
    /// Widest confidence interval accepted of a source.
    pub confidence_max: Ppm,
    /// Largest distance between the sources' extremes, relative to the median.
    pub divergence_max: Ppm,
    /// Age up to which a price is fresh.
    pub fresh_seconds: u32,
    /// Age beyond which a price is dead.
    pub dead_seconds: u32,
    /// Orders a side can hold.
    pub side_capacity: u32,
    /// Records in the event ring; a power of two.
    pub events_capacity: u32,
    /// Fewest valid sources an update needs.
    pub sources_min: u8,
    /// Sources given.
    pub sources_len: u8,
    /// Tiers given.
    pub tiers_len: u8,
    /// Slots that a taker waits; zero for none.
    pub taker_delay: u8,
    pad: [u8; 4],
    /// Margin tiers; unused ones are zero.
    pub tiers: [TierParameters; TIERS_MAX],
    /// Oracle sources; unused ones are zero.
    pub sources: [OracleSource; MARKET_SOURCES_MAX],
    /// Price movement, funding, liquidation, pool.
    pub risk: RiskParameters,
}

const _: () = assert!(size_of::<RiskParameters>() == 72);
const _: () = assert!(size_of::<ListingParameters>() == 704 && align_of::<ListingParameters>() == 8);

impl TierParameters {
    /// A tier.
    pub const fn new(notional_max: QuoteAtoms, rate: Ppm) -> Self {
        Self { notional_max, rate, pad: 0 }
    }

    /// Whether padding is zero.
    pub const fn is_padded(&self) -> bool {
        self.pad == 0
    }
}

impl ListingParameters {
    /// Sources given.
    pub fn sources(&self) -> &[OracleSource] {
        self.sources.get(..usize::from(self.sources_len)).unwrap_or(&[])
    }

    /// What a market is listed with if this is its row, but for its account, its sources and the slots that takers wait.
    /// Its caps are those approved: what tightens them leaves them as they are.
    fn of(row: &MarketRow) -> Self {
        let mut tiers = [TierParameters::zeroed(); TIERS_MAX];
        for (place, tier) in tiers.iter_mut().zip(row.tiers()) {
            *place = TierParameters::new(tier.notional_max, tier.rate);
        }
        Self {
            symbol: row.symbol,
            tick_size: row.tick_size,
            lot_size: row.lot_size,
            lots_min: row.lots_min,
            lots_max: row.lots_max,
            position_max: row.position_max.max(row.position_approved),
            open_interest_max: row.open_interest_max.max(row.interest_approved),
            tick_value: row.tick_value,
            price_max: row.price_max,
            band: row.band,
            taker_fee: row.taker_fee,
            maker_fee: row.maker_fee,
            maintenance: row.maintenance,
            confidence_max: row.confidence_max,
            divergence_max: row.divergence_max,
            fresh_seconds: row.fresh_seconds,
            dead_seconds: row.dead_seconds,
            sources_min: row.sources_min,
            sources_len: row.sources_len,
            tiers_len: row.tiers_len,
            tiers,
            risk: row.risk,
            ..Self::zeroed()
        }
    }

    /// Whether padding is zero, and with it the tiers and sources not given.
    pub fn is_padded(&self) -> bool {
        let (tiers, sources) = (usize::from(self.tiers_len), usize::from(self.sources_len));
        self.pad == [0; 4]
            && self.tiers.iter().all(TierParameters::is_padded)
            && self.tiers.iter().skip(tiers).all(|tier| *tier == TierParameters::zeroed())
            && self.sources.iter().all(OracleSource::is_padded)
            && self.sources.iter().skip(sources).all(|source| *source == OracleSource::zeroed())
    }

    /// Proves the bounds and makes the market's row. Fails with `ListingParametersInvalid`, `ListingBoundExceeded`,
    /// `ListingFeesInvalid`, `ListingOracleInvalid`, `ListingTiersInvalid`, `ListingRiskInvalid` or
    /// `ListingEnvelopeExceeded`.
    pub fn row(&self, market: Key, index: MarketIndex, mint_decimals: u8) -> Result<MarketRow> {
        self.check_sizes(mint_decimals)?;
        self.check_bound()?;
        self.check_fees()?;
        self.check_oracle()?;
        let given = self.tiers.get(..usize::from(self.tiers_len)).ok_or(EngineError::ListingTiersInvalid)?;
        let tiers = margin_tiers(given, self.maintenance, self.taker_fee)?;
        self.risk.check()?;
        self.risk.check_envelope(&tiers, self.maintenance, self.taker_fee)?;
        Ok(MarketRow {
            market,
            index,
            status: 1,
            tiers_len: self.tiers_len,
            sources_min: self.sources_min,
            sources_len: self.sources_len,
            tick_size: self.tick_size,
            lot_size: self.lot_size,
            tick_value: self.tick_value,
            price_max: self.price_max,
            lots_min: self.lots_min,
            lots_max: self.lots_max,
            position_max: self.position_max,
            open_interest_max: self.open_interest_max,
            position_approved: self.position_max,
            interest_approved: self.open_interest_max,
            band: self.band,
            taker_fee: self.taker_fee,
            maker_fee: self.maker_fee,
            maintenance: self.maintenance,
            confidence_max: self.confidence_max,
            divergence_max: self.divergence_max,
            fresh_seconds: self.fresh_seconds,
            dead_seconds: self.dead_seconds,
            tiers,
            symbol: self.symbol,
            risk: self.risk,
            margin_scale: SCALE_ONE,
            maintenance_now: self.maintenance,
            ..MarketRow::zeroed()
        })
    }

    fn check_sizes(&self, mint_decimals: u8) -> Result<()> {
        let error = EngineError::ListingParametersInvalid;
        let ordered = !self.lots_min.is_zero()
            && self.lots_min <= self.lots_max
            && self.lots_max <= self.position_max
            && !self.open_interest_max.is_zero()
            && !self.price_max.is_zero()
            && self.band >= BAND_MIN
            && self.band <= BAND_MAX
            && self.taker_delay <= TAKER_DELAY_MAX;
        // tick_size × lot_size / 10^24 quote units are one tick of one lot; in atoms that must be tick_value exactly, or
        // the oracle's price and the book's would not be the same price.
        let scale = 24u32.checked_sub(u32::from(mint_decimals)).ok_or(error)?;
        let mut atoms = 1u64;
        for _ in 0..scale {
            atoms = math::mul(atoms, 10).map_err(|_| error)?;
        }
        let tick = math::wide_mul(self.tick_size.get(), self.lot_size);
        let exact = !self.tick_value.is_zero() && tick == math::wide_mul(u64::from(self.tick_value.get()), atoms);
        if ordered && exact { Ok(()) } else { Err(error) }
    }

    /// `price_max × position_max × tick_value < 2^62`: every notional, and the difference of any two, fits i64.
    /// `price_max × tick_value ≤ 2^32`: funding does.
    fn check_bound(&self) -> Result<()> {
        let error = EngineError::ListingBoundExceeded;
        let lot = self.price_max.notional(Lots::new(1), self.tick_value).map_err(|_| error)?;
        match self.price_max.notional(self.position_max, self.tick_value) {
            Ok(largest) if largest.get() < NOTIONAL_BOUND && lot.get() <= LOT_VALUE_MAX => Ok(()),
            _ => Err(error),
        }
    }

    fn check_fees(&self) -> Result<()> {
        let taker = i64::from(self.taker_fee.get());
        let maker = i64::from(self.maker_fee.get());
        let covered = self.taker_fee <= TAKER_FEE_MAX && maker.unsigned_abs() <= taker.unsigned_abs();
        if covered { Ok(()) } else { Err(EngineError::ListingFeesInvalid) }
    }

    fn check_oracle(&self) -> Result<()> {
        let bounded = |width: Ppm| !width.is_zero() && width <= WIDTH_MAX;
        let valid = usize::from(self.sources_len) <= MARKET_SOURCES_MAX
            && self.sources_min >= 1
            && self.sources_min <= self.sources_len
            && bounded(self.confidence_max)
            && bounded(self.divergence_max)
            && (1..=FRESH_SECONDS_MAX).contains(&self.fresh_seconds)
            && self.dead_seconds > self.fresh_seconds
            && self.dead_seconds <= DEAD_SECONDS_MAX;
        if valid { Ok(()) } else { Err(EngineError::ListingOracleInvalid) }
    }
}

impl RiskParameters {
    /// Each parameter within its bounds. Fails with `ListingRiskInvalid`.
    pub fn check(&self) -> Result<()> {
        let scale = (INTEREST_SCALE_MIN..=INTEREST_SCALE_MAX).contains(&self.interest_scale_max)
            && self.interest_scale_lower < self.interest_scale_upper;
        let prices = !self.step.is_zero()
            && self.step <= STEP_MAX
            && (1..=STEP_SECONDS_MAX).contains(&self.step_seconds)
            && !self.stable_step.is_zero()
            && self.stable_step <= self.step
            && (BASIS_MIN..=BASIS_MAX).contains(&self.basis_max);
        let funding = self.funding_dead_zone <= self.basis_max
            && !self.funding_cap.is_zero()
            && self.funding_cap <= FUNDING_CAP_MAX;
        let liquidation = self.liquidation_fee <= LIQUIDATION_FEE_MAX
            && !self.takeover_discount.is_zero()
            && self.takeover_discount <= TAKEOVER_DISCOUNT_MAX
            && self.liquidation_buffer <= LIQUIDATION_BUFFER_MAX;
        if scale && prices && funding && liquidation { Ok(()) } else { Err(EngineError::ListingRiskInvalid) }
    }

    /// The solvency envelope: an account at maintenance margin that the worst update of the board finds, the largest
    /// step of the mark against it and the most funding of one accrual, can still be closed and pay for it. With the
    /// step s, the funding f and the fees of closing φ as shares of the notional, the lowest maintenance rate is at
    /// least `s + f + φ + (f + φ) × s`: what is paid for may have grown by the step. Higher tiers only require more.
    ///
    /// ROUND: each term against the listing. Fails with `ListingEnvelopeExceeded`.
    pub fn check_envelope(&self, tiers: &[MarginTier; TIERS_MAX], maintenance: Ppm, taker_fee: Ppm) -> Result<()> {
        let [lowest, ..] = tiers;
        let rate = math::ppm_floor(u64::from(lowest.rate.get()), maintenance.get())?;
        let step = math::mul(u64::from(self.step.get()), u64::from(self.step_seconds))?;
        let cap = u64::from(self.funding_cap.get());
        let funding = math::mul_div_ceil(cap, FUNDING_SECONDS_MAX, FUNDING_PERIOD_SECONDS)?;
        let fees = u64::from(self.liquidation_fee.get()).saturating_add(u64::from(taker_fee.get()));
        let costs = funding.saturating_add(fees);
        let grown = math::mul_div_ceil(costs, step, math::PPM)?;
        let worst = step.saturating_add(costs).saturating_add(grown);
        if worst <= rate { Ok(()) } else { Err(EngineError::ListingEnvelopeExceeded) }
    }
}

/// Margin tiers with their deductions: `deduction(i+1) = deduction(i) + notional_max(i) × (rate(i+1) − rate(i))`.
///
/// ROUND: each deduction is floored, so margin never falls at a boundary. Fails with `ListingTiersInvalid`.
pub fn margin_tiers(given: &[TierParameters], maintenance: Ppm, taker_fee: Ppm) -> Result<[MarginTier; TIERS_MAX]> {
    let error = EngineError::ListingTiersInvalid;
    let (Some(first), Some(last)) = (given.first(), given.last()) else {
        return Err(error);
    };
    let maintenance_bounded = (MAINTENANCE_MIN..=MAINTENANCE_MAX).contains(&maintenance);
    if given.len() > TIERS_MAX || last.notional_max != QuoteAtoms::MAX || !maintenance_bounded {
        return Err(error);
    }
    let mut tiers = [MarginTier::zeroed(); TIERS_MAX];
    let mut below = TierParameters::zeroed();
    let mut deduction = QuoteAtoms::ZERO;
    for (place, tier) in tiers.iter_mut().zip(given) {
        let rising = tier.rate > below.rate && tier.notional_max > below.notional_max;
        if !rising || tier.rate < RATE_MIN || tier.rate > RATE_MAX {
            return Err(error);
        }
        let step = tier.rate.checked_sub(below.rate)?;
        deduction = deduction.checked_add(below.notional_max.ppm_floor(step)?)?;
        *place = MarginTier::new(tier.notional_max, tier.rate, deduction);
        below = *tier;
    }
    // The fee of closing a position must fit into its maintenance margin, and that of opening it between the two
    // margins: a fill, also a maker's, whose fee nothing reserves, may not lead from one below the other.
    let initial = u64::from(first.rate.get());
    let kept = math::ppm_floor(initial, maintenance.get())?;
    let fee = u64::from(taker_fee.get());
    if kept <= fee || initial.saturating_sub(kept) <= fee { Err(error) } else { Ok(tiers) }
}

/// Whether a row, after a change, still satisfies what a listing must; the envelope at the least share of maintenance
/// margin there will be, which during a ramp is that in force. Fails as [`ListingParameters::row`].
#[inline(never)]
pub fn check_row(row: &MarketRow, mint_decimals: u8) -> Result<()> {
    let listed = ListingParameters::of(row).row(row.market, row.index, mint_decimals)?;
    let least = row.maintenance_now.min(row.maintenance);
    row.risk.check_envelope(&listed.tiers, least, row.taker_fee)
}

/// What a market with these parameters will be, if it can be listed now. Fails with `AccountNotBlank` if the address was
/// that of a market before, with `MarketsFull`, or as [`ListingParameters::row`].
pub fn next_row(ledger: &Ledger<'_>, market: &Key, parameters: &ListingParameters) -> Result<MarketRow> {
    let index = MarketIndex::new(ledger.header.markets_len);
    let row = parameters.row(*market, index, ledger.header.mint_decimals)?;
    if ledger.rows.iter().take(usize::from(index.get())).any(|listed| listed.market == *market) {
        return Err(EngineError::AccountNotBlank);
    }
    if usize::from(index.get()) < ledger.rows.len() { Ok(row) } else { Err(EngineError::MarketsFull) }
}

/// Adds a market to the ledger's table and returns its row. Fails with `MarketsFull`, with `AccountNotBlank` if the
/// address was that of a market before, or as [`ListingParameters::row`].
pub fn list(ledger: &mut Ledger<'_>, now: Now, market: Key, parameters: &ListingParameters) -> Result<MarketIndex> {
    let mut row = next_row(ledger, &market, parameters)?;
    let index = row.index;
    row.status_at = now.unix_seconds;
    let place = ledger.rows.get_mut(usize::from(index.get())).ok_or(EngineError::MarketsFull)?;
    *place = row;
    ledger.header.markets_len = index.get().wrapping_add(1);
    Ok(index)
}
