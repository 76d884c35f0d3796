//! The price board: how sources become an index, how the mark and the stable price follow it, how long they are good,
//! and what may run on them.
//!
//! | price | is | decides |
//! |---|---|---|
//! | index | median of the sources | funding, and where the others go |
//! | mark | median of index, index with the book's smoothed basis, and book; by the staircase | equity, maintenance, band |
//! | stable | the index, slowly | with the others `low` and `high`: initial margin, withdrawals |
//!
//! The staircase bounds by how much one update moves the mark, whatever the sources did and however long ago the last
//! one was (F2). A listing proves that maintenance margin is larger than that step with funding and fees.

use super::{funding, life, restart};
use crate::{
    error::{EngineError, Result},
    math::{self, PPM},
    money,
    state::{
        CashEvent, CashEventKind, Ledger, MarketRow, MarketStatus, MarketView, PriceCondition,
        exchange::MARKET_SOURCES_MAX,
    },
    units::{CellIndex, FundingIndex, Lots, MarketIndex, Now, PicoPrice, Ppm, Side, Ticks, UnixSeconds},
};

/// A publish time may lie this far ahead of the chain's clock, which can lag.
pub const CLOCK_SKEW_SECONDS: i64 = 10;
/// Time constant of the basis: an update after this many seconds takes it half the way to the book's.
pub const BASIS_SECONDS: u64 = 150;
/// Most seconds that one update of the basis or of the stable price makes up for.
pub const SMOOTHING_SECONDS_MAX: u64 = 600;
/// [`MarketRow::margin_scale`] of a market with little open interest.
pub const SCALE_ONE: Ppm = Ppm::new(1_000_000);
/// Binary digits of the basis behind the point.
pub const BASIS_SCALE_BITS: u32 = 16;

/// What the book says about the price; zero where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Book {
    /// Best bid.
    pub bid: Ticks,
    /// Best ask.
    pub ask: Ticks,
    /// Price of the last fill.
    pub last: Ticks,
    /// Whether the market is being deleveraged: what its positions owe stands still with them.
    pub deleveraging: bool,
}

impl Book {
    /// The market's book now. A side whose best order has expired, and so trades with nobody, says nothing.
    #[inline(always)]
    pub fn of(market: &MarketView<'_>, now: UnixSeconds) -> Self {
        Self {
            bid: best(market, Side::Bid, now),
            ask: best(market, Side::Ask, now),
            last: market.header.last_trade_price,
            deleveraging: market.header.deleverage.is_running(),
        }
    }

    /// Best bid and ask if both sides are quoted.
    #[inline(always)]
    const fn quotes(&self) -> Option<(u32, u32)> {
        if self.bid.is_zero() || self.ask.is_zero() { None } else { Some((self.bid.get(), self.ask.get())) }
    }
}

#[inline(always)]
fn best(market: &MarketView<'_>, side: Side, now: UnixSeconds) -> Ticks {
    let Some(entry) = market.entries(side).last() else {
        return Ticks::ZERO;
    };
    match market.node(entry.node) {
        Some(node) if node.expires_at.is_zero() || now <= node.expires_at => entry.price(side),
        _ => Ticks::ZERO,
    }
}

/// Takes one reading per configured source, in order, and the book, and moves the market's board: first the funding of
/// the time that the old board held, then the prices, then what margin depends on besides. What settlements of funding
/// left over goes to the pool once nobody holds a position. Records `PriceUpdated` if anything did, `PoolFunded`, and
/// `ChainResumed` if the chain stood still meanwhile.
///
/// Fails with `MarketNotFound`, with `MarketStatusInvalid` in a market that is over, or as
/// [`MarketRow::update_price`].
#[inline(always)]
pub fn update(
    ledger: &mut Ledger<'_>,
    market: MarketIndex,
    readings: &[Result<SourcePrice>],
    book: &Book,
    now: Now,
) -> Result<PriceCondition> {
    let row = ledger.row_mut(market)?;
    if !matches!(row.status(), Some(MarketStatus::Active | MarketStatus::ReduceOnly)) {
        return Err(EngineError::MarketStatusInvalid);
    }
    let board = row.board();
    let passed = restart::since_update(row, now);
    let elapsed = passed.lived.min(SMOOTHING_SECONDS_MAX);
    if !book.deleveraging {
        funding::accrue(row, now.unix_seconds, passed.lived);
    }
    let condition = row.update_price(readings, now)?;
    if matches!(condition, PriceCondition::Good) {
        row.follow_index(book, elapsed, now.unix_seconds)?;
    }
    row.update_margin(now.unix_seconds)?;
    let (changed, event) = (board != row.board(), row.price_event());
    let settled = row.open_interest.is_zero() && !row.funding_pot.is_zero();
    if passed.still > 0 {
        restart::record(ledger, market, passed.still, now)?;
    }
    if settled {
        release_residue(ledger, market, now)?;
    }
    // WHY: anybody may call this at any time; records of nothing would push others out of the ring.
    if changed {
        ledger.record(now, CellIndex::NIL, event)?;
    }
    Ok(condition)
}

/// What settlements of funding left in the market's pot, by rounding against both sides, goes to the pool. To be called
/// when nobody holds a position.
#[inline(never)]
pub fn release_residue(ledger: &mut Ledger<'_>, market: MarketIndex, now: Now) -> Result<()> {
    let pot = ledger.row(market)?.funding_pot.get();
    if pot.get() <= 0 {
        return Ok(());
    }
    let row = ledger.rows.get_mut(usize::from(market.get())).ok_or(EngineError::MarketNotFound)?;
    money::post(&mut row.funding_pot, &mut ledger.header.pool, pot.magnitude())?;
    let mut event = CashEvent::new(CashEventKind::PoolFunded);
    event.market = market;
    event.amount = pot.get();
    ledger.record(now, CellIndex::NIL, event)
}

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

    /// Takes one reading per configured source, in order, and moves the index. The prices that follow it are moved by
    /// [`update`].
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
        if now.unix_seconds > self.updated_at {
            self.updated_at = now.unix_seconds;
        }
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
        self.publish_time = narrow.oldest();
        Ok(())
    }

    /// Moves the mark and the stable price after the index has moved; `elapsed` is the time since the last update, which
    /// the book's basis is smoothed over. The first price of a market is taken as it is.
    #[inline(always)]
    fn follow_index(&mut self, book: &Book, elapsed: u64, now: UnixSeconds) -> Result<()> {
        if self.mark.is_zero() {
            (self.mark, self.stable) = (self.index_price, self.index_price);
            (self.mark_at, self.stable_at) = (now, now);
        } else {
            self.smooth_basis(book, elapsed)?;
            self.move_mark(self.target_mark(book)?, now);
            self.move_stable(now);
        }
        self.low = self.index_price.min(self.mark).min(self.stable);
        self.high = self.index_price.max(self.mark).max(self.stable);
        Ok(())
    }

    /// Takes the basis towards that of the book's middle, or, without quotes on both sides, towards zero.
    ///
    /// ROUND: the step is floored, so the average never passes the sample.
    #[inline(always)]
    fn smooth_basis(&mut self, book: &Book, elapsed: u64) -> Result<()> {
        // BOUND: prices are below 2^32, so twice the middle is below 2^33, samples below 2^49 and their distance from
        // the basis, which lies among them, below 2^50; times 600 that is below 2^60.
        let sample = match book.quotes() {
            Some((bid, ask)) => {
                let twice = u64::from(bid).wrapping_add(u64::from(ask)).cast_signed();
                let half_ticks = twice.wrapping_sub(i64::from(self.index_price.get()).wrapping_mul(2));
                let reach = i64::from(self.basis_reach()?).wrapping_mul(2);
                half_ticks.clamp(reach.wrapping_neg(), reach).wrapping_mul(1 << (BASIS_SCALE_BITS - 1))
            }
            None => 0,
        };
        let distance = sample.wrapping_sub(self.basis);
        if distance == 0 || elapsed == 0 {
            return Ok(());
        }
        let weighted = distance.unsigned_abs().wrapping_mul(elapsed);
        let step = weighted.checked_div(elapsed.wrapping_add(BASIS_SECONDS)).ok_or(EngineError::DivisionByZero)?;
        let step = step.cast_signed();
        self.basis = self.basis.wrapping_add(if distance < 0 { step.wrapping_neg() } else { step });
        Ok(())
    }

    /// Furthest that the book may take the mark from the index, in ticks.
    #[inline(always)]
    fn basis_reach(&self) -> Result<u32> {
        let reach = math::ppm_floor(u64::from(self.index_price.get()), self.risk.basis_max.get())?;
        u32::try_from(reach).map_err(|_| EngineError::Overflow)
    }

    /// Where the mark would be without the staircase: the median of the index, the index with the basis, and the book,
    /// within reach of the index.
    ///
    /// ROUND: the basis towards zero, so that less than a tick of it is nothing.
    #[inline(always)]
    fn target_mark(&self, book: &Book) -> Result<Ticks> {
        let index = self.index_price.get();
        let Some((bid, ask)) = book.quotes() else {
            // The third price is the index, and so is the median.
            return Ok(self.index_price);
        };
        let last = if book.last.is_zero() { index } else { book.last.get() };
        let basis = u32::try_from(self.basis.unsigned_abs() >> BASIS_SCALE_BITS).unwrap_or(u32::MAX);
        let with_basis = if self.basis < 0 { index.saturating_sub(basis) } else { index.saturating_add(basis) };
        let median = median_of_three(index, with_basis, median_of_three(bid, ask, last));
        let reach = self.basis_reach()?;
        let lowest = index.saturating_sub(reach).max(1);
        let highest = index.saturating_add(reach).min(self.price_max.get());
        Ok(Ticks::new(median.max(lowest).min(highest)))
    }

    /// The staircase: takes the mark towards `target`, by at most a step for each second that the last movement lies
    /// back, of which not more than `step_seconds` count.
    #[inline(always)]
    fn move_mark(&mut self, target: Ticks, now: UnixSeconds) {
        let seconds_max = u64::from(self.risk.step_seconds);
        let moved = towards(self.mark, target, self.risk.step, now.since(self.mark_at), seconds_max);
        if moved != self.mark || moved == target {
            (self.mark, self.mark_at) = (moved, now);
        }
        self.lagging = u8::from(moved != target);
    }

    /// Takes the stable price towards the index, by its own, smaller step.
    #[inline(always)]
    fn move_stable(&mut self, now: UnixSeconds) {
        let elapsed = now.since(self.stable_at);
        let moved = towards(self.stable, self.index_price, self.risk.stable_step, elapsed, SMOOTHING_SECONDS_MAX);
        if moved != self.stable || moved == self.index_price {
            (self.stable, self.stable_at) = (moved, now);
        }
    }

    /// Brings up to date what margin depends on besides prices: the scale by open interest and the ramp of the
    /// maintenance share.
    pub fn update_margin(&mut self, now: UnixSeconds) -> Result<()> {
        self.margin_scale = self.scale_of(self.open_interest)?;
        self.maintenance_now = life::maintenance_at(self, now)?;
        Ok(())
    }

    /// Factor of initial margin at this open interest: one up to the lower bound, from there rising to the largest at
    /// the upper one.
    ///
    /// ROUND: down, by less than a millionth.
    #[inline(always)]
    fn scale_of(&self, interest: Lots) -> Result<Ppm> {
        let (lower, upper) = (self.risk.interest_scale_lower, self.risk.interest_scale_upper);
        if interest <= lower {
            return Ok(SCALE_ONE);
        }
        if interest >= upper {
            return Ok(self.risk.interest_scale_max);
        }
        let room = u64::from(self.risk.interest_scale_max.get()).saturating_sub(PPM);
        let (above, span) = (interest.checked_sub(lower)?, upper.checked_sub(lower)?);
        let scale = math::mul_div_floor(room, above.get(), span.get())?.wrapping_add(PPM);
        u32::try_from(scale).map(Ppm::new).map_err(|_| EngineError::Overflow)
    }

    /// What an event tells about the board.
    #[inline(always)]
    fn board(&self) -> (Ticks, Ticks, u8, FundingIndex) {
        (self.index_price, self.mark, self.condition, self.funding_index)
    }

    #[inline(always)]
    fn price_event(&self) -> CashEvent {
        let mut event = CashEvent::new(CashEventKind::PriceUpdated);
        event.market = self.index;
        event.amount = i64::from(self.index_price.get());
        event.balance = i64::from(self.mark.get());
        event.funding_index = self.funding_index;
        event
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

/// `from`, moved towards `to` by at most the share `step` of itself for each of `seconds`, of which at most `seconds_max`
/// count.
///
/// ROUND: the limit down. Where all the seconds that count do not make up for a tick, it is one tick, or a low price
/// could never move.
#[inline(always)]
fn towards(from: Ticks, to: Ticks, step: Ppm, seconds: u64, seconds_max: u64) -> Ticks {
    if from == to {
        return to;
    }
    let counted = seconds.min(seconds_max);
    // BOUND: a price is below 2^32, and a listing proves step ≤ 50,000 < 2^16 and at most 600 < 2^10 seconds.
    let share = u64::from(step.get()).wrapping_mul(counted);
    let mut limit = u64::from(from.get()).wrapping_mul(share) / PPM;
    if limit == 0 && seconds >= seconds_max {
        limit = 1;
    }
    let distance = from.get().abs_diff(to.get());
    match u32::try_from(limit) {
        Ok(limit) if limit < distance => {
            Ticks::new(if to > from { from.get().wrapping_add(limit) } else { from.get().wrapping_sub(limit) })
        }
        _ => to,
    }
}

/// The middle one.
#[inline(always)]
fn median_of_three(a: u32, b: u32, c: u32) -> u32 {
    a.min(b).max(a.max(b).min(c))
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
