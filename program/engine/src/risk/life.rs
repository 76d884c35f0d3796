//! Life of a market: how its status changes, how it ends without anybody's consent being needed, and how its margin
//! parameters change.
//!
//! ```text
//! Active → ReduceOnly            the admin, at any time
//! ReduceOnly → Active            through the queue of changes; before the exchange is sealed the admin
//! ReduceOnly → Settled           anybody, after notice, at a fresh mark that has arrived where it should be
//! Active, ReduceOnly → Settled   anybody, once the price has been dead for a day
//! Settled → Closed               the admin, once nothing is left in the market
//! ```
//!
//! A settled market has one price for ever. Positions are closed at it in pairs, a long against a short, in any order;
//! since one price is one price, what somebody gets depends neither on when nor on against whom. No lot is closed
//! without one on the other side. So the position of a bankrupt account, which is never paired, has as many lots against
//! it as it has itself for as long as it is there: deleveraging finds counterparties to bear its shortfall, and those
//! who hold nothing in the market do not pay for winners that were faster.
//!
//! Margin tiers change at once for new risk. What positions already open have to keep does not rise on the day: the
//! maintenance share starts where no position needs more than before and goes to its new value in a straight line.

use super::{
    funding,
    listing::{TierParameters, margin_tiers},
    margin,
    position::{self, Fill},
    price::{Validity, release_residue},
    restart, shortfall,
};
use crate::{
    error::{EngineError, Result},
    math,
    money::Balance,
    state::{
        CashEvent, CashEventKind, Ledger, LedgerView, MarketHeader, MarketRow, MarketStatus, PriceCondition,
        row::TIERS_MAX,
    },
    units::{CellIndex, Lots, MarketIndex, Now, Ppm, QuoteAtoms, QuoteDelta, Side, Ticks, UnixSeconds},
};
use bytemuck::{Pod, Zeroable};

/// A market is reduce-only at least this long before it can be settled at a live price.
pub const NOTICE_SECONDS: u32 = 86_400;
/// A price is dead this long before a market is settled at its last mark.
pub const ABANDONED_SECONDS: u32 = 86_400;
/// Time for liquidations between the settlement of a market and that of its positions.
pub const GRACE_SECONDS: u32 = 3_600;
/// Shortest ramp of the maintenance share.
pub const RAMP_SECONDS_MIN: u32 = 86_400;
/// Longest ramp of the maintenance share.
pub const RAMP_SECONDS_MAX: u32 = 30 * 86_400;

/// New margin parameters of a listed market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MarginParameters {
    /// The market.
    pub market: MarketIndex,
    /// Tiers given.
    pub tiers_len: u8,
    pad: u8,
    /// Maintenance margin as a share of initial margin, at the end of the ramp.
    pub maintenance: Ppm,
    /// Length of the ramp.
    pub ramp_seconds: u32,
    pad2: u32,
    /// Margin tiers; unused ones are zero.
    pub tiers: [TierParameters; TIERS_MAX],
}

const _: () = assert!(size_of::<MarginParameters>() == 112 && align_of::<MarginParameters>() == 8);

impl MarginParameters {
    /// Parameters for this market.
    pub const fn new(
        market: MarketIndex,
        maintenance: Ppm,
        ramp_seconds: u32,
        tiers: [TierParameters; TIERS_MAX],
        tiers_len: u8,
    ) -> Self {
        Self { market, tiers_len, pad: 0, maintenance, ramp_seconds, pad2: 0, tiers }
    }

    /// Whether padding is zero, and with it the tiers not given.
    pub fn is_padded(&self) -> bool {
        let unused = self.tiers.iter().skip(usize::from(self.tiers_len));
        self.pad == 0
            && self.pad2 == 0
            && self.tiers.iter().all(TierParameters::is_padded)
            && unused.copied().all(|tier| tier == TierParameters::zeroed())
    }

    fn tiers(&self) -> Result<&[TierParameters]> {
        self.tiers.get(..usize::from(self.tiers_len)).ok_or(EngineError::ListingTiersInvalid)
    }
}

/// Makes a live market active (1) or reduce-only (2). Fails with `MarketNotFound`, or with `MarketStatusInvalid` for
/// any other status, for the one it has, and for a market that is settled or closed.
pub fn set_status(ledger: &mut Ledger<'_>, now: Now, market: MarketIndex, status: u8) -> Result<()> {
    let row = ledger.row_mut(market)?;
    let next = match (row.status(), status) {
        (Some(MarketStatus::ReduceOnly), 1) => MarketStatus::Active,
        (Some(MarketStatus::Active), 2) => MarketStatus::ReduceOnly,
        _ => return Err(EngineError::MarketStatusInvalid),
    };
    enter(ledger, now, market, next)
}

/// Ends trading in a market at its mark, for ever. Fails with `MarketNotFound`, `MarketStatusInvalid` if that was done,
/// `DeleverageRunning`, or with `NoticeNotOver` unless the market has been reduce-only for [`NOTICE_SECONDS`] and its
/// mark is fresh and not lagging, or its price has been dead for [`ABANDONED_SECONDS`].
pub fn settle_market(ledger: &mut Ledger<'_>, now: Now, market: &MarketHeader) -> Result<()> {
    let row = ledger.row_mut(market.index)?;
    if !row.accepts_reducing() {
        return Err(EngineError::MarketStatusInvalid);
    }
    require_still(market)?;
    if !is_noticed(row, now.unix_seconds) && !is_abandoned(row, now)? {
        return Err(EngineError::NoticeNotOver);
    }
    let passed = restart::since_update(row, now);
    funding::accrue(row, now.unix_seconds, passed.lived);
    // A market without a price never had a position, so any price will do.
    let price = if row.mark.is_zero() { Ticks::new(1) } else { row.mark };
    fix_price(row, price, now);
    enter(ledger, now, market.index, MarketStatus::Settled)
}

/// Notice was given, and the price is one that could be traded at.
fn is_noticed(row: &MarketRow, now: UnixSeconds) -> bool {
    row.status() == Some(MarketStatus::ReduceOnly)
        && now.since(row.status_at) >= u64::from(NOTICE_SECONDS)
        && row.validity(now) == Validity::Fresh
        && !row.is_lagging()
}

/// Nobody could bring a price for so long that there will be none. A market that never had one counts from its listing:
/// nobody may end it before its first price had time to come. Time for which the chain stood still does not count: nobody
/// could have brought one.
fn is_abandoned(row: &MarketRow, now: Now) -> Result<bool> {
    let last = if row.mark.is_zero() { row.status_at } else { row.publish_time };
    let patience = row.dead_seconds.checked_add(ABANDONED_SECONDS).ok_or(EngineError::Overflow)?;
    let waited = now.unix_seconds.since(last).saturating_sub(restart::since_update(row, now).still);
    Ok(waited > u64::from(patience))
}

/// One price for ever: fresh for every purpose, and no premium that funding could accrue on.
fn fix_price(row: &mut MarketRow, price: Ticks, now: Now) {
    (row.index_price, row.mark, row.stable) = (price, price, price);
    (row.low, row.high) = (price, price);
    row.basis = 0;
    row.lagging = 0;
    #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
    {
        row.condition = PriceCondition::Good as u8;
    }
    row.fresh_until = UnixSeconds::MAX;
    row.updated_at = now.unix_seconds;
    row.updated_slot = now.slot;
}

/// Two accounts whose positions in a settled market are closed against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Holds a long position.
    pub long: CellIndex,
    /// Holds a short one.
    pub short: CellIndex,
}

/// Closes a long and a short position in a settled market against each other at its price, as many lots as both have.
///
/// Fails with `MarketNotFound`, `MarketStatusInvalid` unless it is settled, `DeleverageRunning`, `NoticeNotOver` for
/// [`GRACE_SECONDS`] after that, `TraderNotFound`, `NothingToClose` if the one is not long or the other not short, or
/// with `AccountBankrupt` if either account is worth less than nothing: its position is what the pool and deleveraging
/// have to work with.
pub fn settle_positions(ledger: &mut Ledger<'_>, now: Now, market: &MarketHeader, pair: Pair) -> Result<()> {
    let row = ledger.row(market.index)?;
    if row.status() != Some(MarketStatus::Settled) {
        return Err(EngineError::MarketStatusInvalid);
    }
    require_still(market)?;
    if now.unix_seconds.since(row.status_at) < u64::from(GRACE_SECONDS) {
        return Err(EngineError::NoticeNotOver);
    }
    let view = ledger.view();
    let (long, held_long) = closable(&view, market.index, pair.long, Side::Ask)?;
    let (short, held_short) = closable(&view, market.index, pair.short, Side::Bid)?;
    require_equity(&view, now.unix_seconds, pair.long)?;
    require_equity(&view, now.unix_seconds, pair.short)?;
    let lots = held_long.min(held_short);
    close_at_price(ledger, market.index, [(long, Side::Ask), (short, Side::Bid)], lots)?;
    for (trader, held) in [(pair.long, Side::Bid), (pair.short, Side::Ask)] {
        let mut event = CashEvent::new(CashEventKind::PositionSettled);
        event.market = market.index;
        event.amount = lots.signed(held)?.get();
        ledger.record(now, trader, event)?;
    }
    shortfall::resolve(ledger, now, pair.long)?;
    shortfall::resolve(ledger, now, pair.short)
}

/// The trader's position in the market and how many lots `side` closes of it. Fails with `TraderNotFound`, or with
/// `NothingToClose` if that is none.
fn closable(ledger: &LedgerView<'_>, market: MarketIndex, trader: CellIndex, side: Side) -> Result<(CellIndex, Lots)> {
    let mut held = ledger.positions(ledger.trader(trader)?);
    let (cell, position) = held.find(|(_, position)| position.market == market).ok_or(EngineError::NothingToClose)?;
    let lots = position.base.closable_by(side);
    if lots.is_zero() { Err(EngineError::NothingToClose) } else { Ok((cell, lots)) }
}

/// Fails with `AccountBankrupt` if the account is worth less than nothing.
fn require_equity(ledger: &LedgerView<'_>, now: UnixSeconds, trader: CellIndex) -> Result<()> {
    let health = margin::maintenance(ledger, ledger.trader(trader)?, now)?;
    if health.equity < QuoteDelta::ZERO { Err(EngineError::AccountBankrupt) } else { Ok(()) }
}

/// Trades lots that both have between two positions at the market's price, each on its side, without fees. What either
/// is worth stays the same to the atom, so neither the order nor the choice of pairs makes a difference to anybody.
fn close_at_price(
    ledger: &mut Ledger<'_>,
    market: MarketIndex,
    sides: [(CellIndex, Side); 2],
    lots: Lots,
) -> Result<()> {
    let row = ledger.rows.get_mut(usize::from(market.get())).ok_or(EngineError::MarketNotFound)?;
    let (price, tick_value) = (row.mark, row.tick_value);
    let fill = Fill { price, tick_value, lots, quote: price.bounded_notional(lots, tick_value) };
    let mut transit = Balance::ZERO;
    let mut interest = 0i64;
    for (cell, side) in sides {
        let (position, trader) = position::with_trader(ledger.cells, cell)?;
        funding::settle(row, position, trader)?;
        let change = position::settle(position, trader, &fill.execution(side, lots), &mut transit)?;
        interest = interest.checked_add(change).ok_or(EngineError::Overflow)?;
    }
    row.open_interest = row.open_interest.changed_by(interest)?;
    if transit.is_zero() { Ok(()) } else { Err(EngineError::Corrupt) }
}

/// Closes a settled market in which nothing is left; its account may go. What rounding left of funding goes to the
/// pool. Fails with `MarketNotFound`, `MarketStatusInvalid` unless it is settled, or `MarketNotEmpty`.
pub fn close_market(ledger: &mut Ledger<'_>, now: Now, market: &MarketHeader) -> Result<()> {
    let row = ledger.row_mut(market.index)?;
    if row.status() != Some(MarketStatus::Settled) {
        return Err(EngineError::MarketStatusInvalid);
    }
    // Open interest is what is held long (P2), and as much is held short (P1): without it nobody holds anything, so that
    // no list of positions, however long, has to be read.
    if !row.open_interest.is_zero() || market.nodes.in_use() > 0 || market.triggers > 0 {
        return Err(EngineError::MarketNotEmpty);
    }
    release_residue(ledger, market.index, now)?;
    enter(ledger, now, market.index, MarketStatus::Closed)
}

/// Sets the status and writes the record.
fn enter(ledger: &mut Ledger<'_>, now: Now, market: MarketIndex, status: MarketStatus) -> Result<()> {
    let row = ledger.row_mut(market)?;
    #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
    {
        row.status = status as u8;
    }
    row.status_at = now.unix_seconds;
    let mut event = CashEvent::new(CashEventKind::MarketStatusChanged);
    event.market = market;
    event.amount = i64::from(row.status);
    event.balance = i64::from(row.mark.get());
    ledger.record(now, CellIndex::NIL, event)
}

/// Fails with `DeleverageRunning` while the market's positions have to stand still.
fn require_still(market: &MarketHeader) -> Result<()> {
    if market.deleverage.is_running() { Err(EngineError::DeleverageRunning) } else { Ok(()) }
}

/// Changes margin tiers at once and the maintenance share over a ramp, so that no position open now requires more than
/// it does now when the ramp starts (but for an atom of rounding per tier). Fails as [`next_margin`].
pub fn set_margin(ledger: &mut Ledger<'_>, now: Now, parameters: &MarginParameters) -> Result<()> {
    let row = ledger.row_mut(parameters.market)?;
    *row = next_margin(row, now.unix_seconds, parameters)?;
    let mut event = CashEvent::new(CashEventKind::MarginChanged);
    event.market = parameters.market;
    event.amount = i64::from(row.maintenance.get());
    event.balance = i64::from(row.ramp_from.get());
    ledger.record(now, CellIndex::NIL, event)
}

/// A market's row with other margin parameters.
///
/// Fails with `MarketStatusInvalid` for a market that is settled or closed, `ListingRiskInvalid` for a ramp out of
/// bounds, and as a listing with these tiers would: `ListingTiersInvalid`, or `ListingEnvelopeExceeded`, which is about
/// the start of the ramp as well as its end.
pub fn next_margin(row: &MarketRow, now: UnixSeconds, parameters: &MarginParameters) -> Result<MarketRow> {
    if !row.accepts_reducing() {
        return Err(EngineError::MarketStatusInvalid);
    }
    if !(RAMP_SECONDS_MIN..=RAMP_SECONDS_MAX).contains(&parameters.ramp_seconds) {
        return Err(EngineError::ListingRiskInvalid);
    }
    let mut next = *row;
    next.tiers = margin_tiers(parameters.tiers()?, parameters.maintenance, row.taker_fee)?;
    next.tiers_len = parameters.tiers_len;
    next.maintenance = parameters.maintenance;
    next.ramp_from = ramp_start(row, &next, maintenance_at(row, now)?)?;
    // WHY: the least share there will be is the one that a price step and the fees have to fit into.
    next.risk.check_envelope(&next.tiers, next.ramp_from, next.taker_fee)?;
    next.ramp_start = now;
    next.ramp_end = now.plus(parameters.ramp_seconds)?;
    next.maintenance_now = maintenance_at(&next, now)?;
    Ok(next)
}

/// Largest maintenance share, at most the new one, at which the new tiers require nowhere more than the old ones at
/// `share`.
///
/// Both curves are straight lines between the boundaries of either, so their ratio is least at a boundary, near zero or
/// far beyond the last boundary; near zero and far out it is that of the rates.
///
/// ROUND: down, in favour of old positions.
fn ramp_start(old: &MarketRow, new: &MarketRow, share: Ppm) -> Result<Ppm> {
    let ends = [(old.tiers().first(), new.tiers().first()), (old.tiers().last(), new.tiers().last())];
    let mut least = u64::from(new.maintenance.get());
    for (before, after) in ends {
        let (before, after) = before.zip(after).ok_or(EngineError::Corrupt)?;
        let ratio = (u64::from(before.rate.get()), u64::from(after.rate.get()));
        least = least.min(math::mul_div_floor(u64::from(share.get()), ratio.0, ratio.1)?);
    }
    let boundaries = old.tiers().iter().chain(new.tiers()).map(|tier| tier.notional_max);
    for boundary in boundaries.filter(|boundary| *boundary != QuoteAtoms::MAX) {
        let (before, after) = (margin::tier(old, boundary)?, margin::tier(new, boundary)?);
        least = least.min(math::mul_div_floor(u64::from(share.get()), before.get(), after.get())?);
    }
    u32::try_from(least).map(Ppm::new).map_err(|_| EngineError::Overflow)
}

/// Maintenance share in force at `now`: the market's own, or on the way there in a straight line. It depends on nothing
/// else, so not on how often prices are updated.
///
/// ROUND: up, which is against the trader by less than a millionth of initial margin.
pub fn maintenance_at(row: &MarketRow, now: UnixSeconds) -> Result<Ppm> {
    let length = row.ramp_end.since(row.ramp_start);
    let passed = now.since(row.ramp_start);
    let rise = row.maintenance.get().saturating_sub(row.ramp_from.get());
    if passed >= length || rise == 0 {
        return Ok(row.maintenance);
    }
    let risen = math::mul_div_ceil(u64::from(rise), passed, length)?;
    let risen = u32::try_from(risen).map_err(|_| EngineError::Overflow)?;
    row.ramp_from.checked_add(Ppm::new(risen))
}
