//! The price board: how sources become an index, how long it is good, and what may run on it.

use crate::{
    error::{EngineError, Result},
    math,
    state::{MarketRow, PriceCondition, exchange::MARKET_SOURCES_MAX},
    units::{Now, PicoPrice, Ppm, Ticks, UnixSeconds},
};

/// A publish time may lie this far ahead of the chain's clock, which can lag.
pub const CLOCK_SKEW_SECONDS: i64 = 10;

/// One source's price as its parser read it, checked for identity but not yet for age or width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePrice {
    /// Price.
    pub price: PicoPrice,
    /// Half-width of the confidence interval, in the same unit.
    pub confidence: PicoPrice,
    /// When it was observed.
    pub publish_time: UnixSeconds,
}

/// Quality of a market's price at a moment, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Validity {
    /// Young enough for everything.
    Fresh = 0,
    /// Too old for new risk, young enough to act on.
    SoftStale = 1,
    /// The last update found confidence intervals too wide.
    Wide = 2,
    /// The last update found sources too far apart.
    Diverged = 3,
    /// Too old for anything.
    Dead = 4,
}

/// What someone wants to do on a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Action {
    /// An order that may add risk.
    Place = 0,
    /// An order that can only reduce.
    Reduce = 1,
    /// A liquidation.
    Liquidate = 2,
    /// Accruing funding.
    Fund = 3,
    /// Executing a conditional order.
    Trigger = 4,
    /// Withdrawing while exposed to the price.
    Withdraw = 5,
    /// Auto-deleveraging.
    Deleverage = 6,
}

/// Rows: validity. Columns: Place, Reduce, Liquidate, Fund, Trigger, Withdraw, Deleverage. Cancelling and withdrawing
/// without exposure are always allowed and not in the table.
const ALLOWED: [[bool; 7]; 5] = [
    [true, true, true, true, true, true, true],
    [false, true, true, false, false, false, false],
    [false, true, false, false, false, false, false],
    [false, true, false, false, false, false, false],
    [false, false, false, false, false, false, false],
];

impl Validity {
    /// Whether `action` may run on a price of this quality.
    #[inline(always)]
    pub fn allows(self, action: Action) -> bool {
        if matches!(self, Self::Fresh) {
            // WHY: the first row of the table is all true; every order takes this path.
            return true;
        }
        #[expect(clippy::as_conversions, reason = "discriminants of fieldless repr(u8) enums")]
        let (row, column) = (self as usize, action as usize);
        ALLOWED.get(row).and_then(|actions| actions.get(column)).copied().unwrap_or(false)
    }

    /// The worse of two.
    #[inline(always)]
    pub fn worse(self, other: Self) -> Self {
        if self < other { other } else { self }
    }
}

impl MarketRow {
    /// Quality of the board's price now.
    #[inline(always)]
    pub fn validity(&self, now: UnixSeconds) -> Validity {
        if now <= self.fresh_until { Validity::Fresh } else { self.validity_when_not_fresh(now) }
    }

    #[cold]
    #[inline(never)]
    fn validity_when_not_fresh(&self, now: UnixSeconds) -> Validity {
        if now.since(self.publish_time) > u64::from(self.dead_seconds) {
            return Validity::Dead;
        }
        match self.condition() {
            PriceCondition::Good => Validity::SoftStale,
            PriceCondition::Wide => Validity::Wide,
            PriceCondition::Diverged => Validity::Diverged,
        }
    }

    /// Fails with `PriceNotValidForAction` unless `action` may run on the board's price now.
    #[inline(always)]
    pub fn require(&self, action: Action, now: UnixSeconds) -> Result<()> {
        if self.validity(now).allows(action) { Ok(()) } else { Err(EngineError::PriceNotValidForAction) }
    }

    /// Takes one reading per configured source, in order, and moves the board.
    ///
    /// A source counts if it is young, not older than its own last reading, not from the future and positive. With at
    /// least `sources_min` narrow ones the index becomes their median and the board's publish time that of the oldest
    /// of them. If there are enough only together with wide ones, or if the narrow ones are further apart than allowed,
    /// the price stays and the board says so.
    ///
    /// Fails with the first invalid source's error if too few count: `OracleStale`, `OracleRegressed`,
    /// `OracleFromFuture`, `OraclePriceInvalid`, or the parser's own; with `OraclePriceOutOfRange` if the median has no
    /// price in ticks.
    pub fn update_price(&mut self, readings: &[Result<SourcePrice>], now: Now) -> Result<PriceCondition> {
        let mut narrow = Readings::new();
        let mut counted = 0u8;
        let mut first_error = None;
        let mut times = self.source_times;
        for (reading, last) in readings.iter().zip(&mut times) {
            match self.check_source(reading, *last, now.unix_seconds) {
                Ok(source) => {
                    counted = counted.saturating_add(1);
                    *last = source.publish_time;
                    if is_narrow(&source, self.confidence_max) {
                        narrow.push(source)?;
                    }
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        if counted < self.sources_min {
            return Err(first_error.unwrap_or(EngineError::OracleStale));
        }
        let condition = if narrow.len < usize::from(self.sources_min) {
            PriceCondition::Wide
        } else if narrow.is_diverged(self.divergence_max)? {
            PriceCondition::Diverged
        } else {
            self.move_index(&narrow)?;
            PriceCondition::Good
        };
        self.source_times = times;
        #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
        {
            self.condition = condition as u8;
        }
        self.fresh_until = match condition {
            PriceCondition::Good => self.publish_time.plus(self.fresh_seconds)?,
            PriceCondition::Wide | PriceCondition::Diverged => UnixSeconds::ZERO,
        };
        self.updated_at = now.unix_seconds;
        self.updated_slot = now.slot;
        Ok(condition)
    }

    fn check_source(&self, reading: &Result<SourcePrice>, last: UnixSeconds, now: UnixSeconds) -> Result<SourcePrice> {
        let source = (*reading)?;
        if source.price.is_zero() {
            return Err(EngineError::OraclePriceInvalid);
        }
        if source.publish_time.get() > now.get().saturating_add(CLOCK_SKEW_SECONDS) {
            return Err(EngineError::OracleFromFuture);
        }
        if source.publish_time < last {
            return Err(EngineError::OracleRegressed);
        }
        if now.since(source.publish_time) > u64::from(self.fresh_seconds) {
            return Err(EngineError::OracleStale);
        }
        Ok(source)
    }

    fn move_index(&mut self, narrow: &Readings) -> Result<()> {
        let index = self.ticks_of(narrow.median()?)?;
        self.index_price = index;
        self.mark = index;
        self.publish_time = narrow.oldest();
        Ok(())
    }

    /// The price in ticks, rounded to the nearest. Fails with `OraclePriceOutOfRange`.
    pub fn ticks_of(&self, price: PicoPrice) -> Result<Ticks> {
        let tick = self.tick_size.get();
        let rounded = price.get().checked_add(tick / 2).ok_or(EngineError::OraclePriceOutOfRange)?;
        let ticks = rounded.checked_div(tick).ok_or(EngineError::DivisionByZero)?;
        match u32::try_from(ticks) {
            Ok(ticks) if ticks > 0 && ticks <= self.price_max.get() => Ok(Ticks::new(ticks)),
            _ => Err(EngineError::OraclePriceOutOfRange),
        }
    }
}

/// Whether the confidence interval is at most `confidence_max` of the price.
fn is_narrow(source: &SourcePrice, confidence_max: Ppm) -> bool {
    // A listing bounds the rate by a tenth, so the limit always fits 64 bits.
    math::ppm_floor(source.price.get(), confidence_max.get()).is_ok_and(|limit| source.confidence.get() <= limit)
}

/// The readings that count, sorted by price.
struct Readings {
    prices: [u64; MARKET_SOURCES_MAX],
    len: usize,
    oldest: UnixSeconds,
}

impl Readings {
    const fn new() -> Self {
        Self { prices: [0; MARKET_SOURCES_MAX], len: 0, oldest: UnixSeconds::MAX }
    }

    fn push(&mut self, source: SourcePrice) -> Result<()> {
        let mut price = source.price.get();
        for place in self.prices.iter_mut().take(self.len) {
            if *place > price {
                core::mem::swap(place, &mut price);
            }
        }
        *self.prices.get_mut(self.len).ok_or(EngineError::Corrupt)? = price;
        self.len = self.len.wrapping_add(1);
        if source.publish_time < self.oldest {
            self.oldest = source.publish_time;
        }
        Ok(())
    }

    const fn oldest(&self) -> UnixSeconds {
        self.oldest
    }

    fn sorted(&self) -> &[u64] {
        self.prices.get(..self.len).unwrap_or(&[])
    }

    /// Middle price; of an even number, the floor of the mean of the two middle ones.
    fn median(&self) -> Result<PicoPrice> {
        let prices = self.sorted();
        let upper = *prices.get(prices.len() / 2).ok_or(EngineError::OracleStale)?;
        if prices.len() % 2 == 1 {
            return Ok(PicoPrice::new(upper));
        }
        let below = (prices.len() / 2).wrapping_sub(1);
        let lower = *prices.get(below).ok_or(EngineError::OracleStale)?;
        // lower ≤ upper, so neither step overflows.
        Ok(PicoPrice::new(lower.wrapping_add(upper.wrapping_sub(lower) / 2)))
    }

    fn is_diverged(&self, divergence_max: Ppm) -> Result<bool> {
        let (Some(lowest), Some(highest)) = (self.sorted().first(), self.sorted().last()) else {
            return Ok(false);
        };
        let limit = math::ppm_floor(self.median()?.get(), divergence_max.get())?;
        Ok(highest.wrapping_sub(*lowest) > limit)
    }
}
