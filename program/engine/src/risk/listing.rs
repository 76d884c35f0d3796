//! Listing a market: bounds that everything later relies on, proved once.

use crate::{
    error::{EngineError, Result},
    math,
    state::{Key, MarginTier, MarketRow, OracleSource, exchange::MARKET_SOURCES_MAX, row::TIERS_MAX},
    units::{Lots, MarketIndex, PicoPrice, Ppm, QuoteAtoms, SignedPpm, TickValue, Ticks},
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
    pad: [u8; 5],
    /// Margin tiers; unused ones are zero.
    pub tiers: [TierParameters; TIERS_MAX],
    /// Oracle sources; unused ones are zero.
    pub sources: [OracleSource; MARKET_SOURCES_MAX],
}

const _: () = assert!(size_of::<ListingParameters>() == 632 && align_of::<ListingParameters>() == 8);

impl TierParameters {
    /// A tier.
    pub const fn new(notional_max: QuoteAtoms, rate: Ppm) -> Self {
        Self { notional_max, rate, pad: 0 }
    }
}

impl ListingParameters {
    /// Sources given.
    pub fn sources(&self) -> &[OracleSource] {
        self.sources.get(..usize::from(self.sources_len)).unwrap_or(&[])
    }

    /// Whether padding is zero, and with it the tiers and sources not given.
    pub fn is_padded(&self) -> bool {
        let (tiers, sources) = (usize::from(self.tiers_len), usize::from(self.sources_len));
        self.pad == [0; 5]
            && self.tiers.iter().all(|tier| tier.pad == 0)
            && self.tiers.iter().skip(tiers).all(|tier| *tier == TierParameters::zeroed())
            && self.sources.iter().all(OracleSource::is_padded)
            && self.sources.iter().skip(sources).all(|source| *source == OracleSource::zeroed())
    }

    /// Proves the bounds and makes the market's row. Fails with `ListingParametersInvalid`, `ListingBoundExceeded`,
    /// `ListingFeesInvalid`, `ListingOracleInvalid` or `ListingTiersInvalid`.
    pub fn row(&self, market: Key, index: MarketIndex, mint_decimals: u8) -> Result<MarketRow> {
        self.check_sizes(mint_decimals)?;
        self.check_bound()?;
        self.check_fees()?;
        self.check_oracle()?;
        let tiers = self.tiers()?;
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
            && self.band <= BAND_MAX;
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
    fn check_bound(&self) -> Result<()> {
        match self.price_max.notional(self.position_max, self.tick_value) {
            Ok(largest) if largest.get() < NOTIONAL_BOUND => Ok(()),
            _ => Err(EngineError::ListingBoundExceeded),
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

    /// Margin tiers with their deductions: `deduction(i+1) = deduction(i) + notional_max(i) × (rate(i+1) − rate(i))`.
    ///
    /// ROUND: each deduction is floored, so margin never falls at a boundary.
    fn tiers(&self) -> Result<[MarginTier; TIERS_MAX]> {
        let error = EngineError::ListingTiersInvalid;
        let given = self.tiers.get(..usize::from(self.tiers_len)).ok_or(error)?;
        let last = given.last().ok_or(error)?;
        let maintenance_bounded = self.maintenance >= MAINTENANCE_MIN && self.maintenance <= MAINTENANCE_MAX;
        if last.notional_max != QuoteAtoms::MAX || !maintenance_bounded {
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
        let first = given.first().ok_or(error)?;
        // The fee of closing a position must fit into its maintenance margin, and that of opening it between the two
        // margins: a fill, also a maker's, whose fee nothing reserves, may not lead from one below the other.
        let initial = u64::from(first.rate.get());
        let maintenance = math::ppm_floor(initial, self.maintenance.get())?;
        let fee = u64::from(self.taker_fee.get());
        if maintenance <= fee || initial.saturating_sub(maintenance) <= fee {
            return Err(error);
        }
        Ok(tiers)
    }
}

/// Adds a market to the ledger's table and returns its row. Fails with `MarketsFull` or as [`ListingParameters::row`].
pub fn list(ledger: &mut crate::state::Ledger<'_>, market: Key, parameters: &ListingParameters) -> Result<MarketIndex> {
    let index = MarketIndex::new(ledger.header.markets_len);
    let row = parameters.row(market, index, ledger.header.mint_decimals)?;
    let place = ledger.rows.get_mut(usize::from(index.get())).ok_or(EngineError::MarketsFull)?;
    *place = row;
    ledger.header.markets_len = index.get().wrapping_add(1);
    Ok(index)
}
