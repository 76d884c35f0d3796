//! A market's row in the ledger: what margin and matching need of it without touching the market's own account.

use super::{exchange::MARKET_SOURCES_MAX, header::Key};
use crate::{
    money::Balance,
    outflow::Bucket,
    risk::listing::RiskParameters,
    units::{
        FundingIndex, Lots, MarketIndex, PicoPrice, Ppm, QuoteAtoms, SignedPpm, Slot, TickValue, Ticks, UnixSeconds,
    },
};
use bytemuck::{Pod, Zeroable};

/// Margin tiers of a market.
pub const TIERS_MAX: usize = 6;

/// Life of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MarketStatus {
    /// Trades.
    Active = 1,
    /// Accepts reduce-only orders and cancels.
    ReduceOnly = 2,
    /// Has its last price; positions are settled at it, in pairs.
    Settled = 3,
    /// Is over: no positions, no orders, no account.
    Closed = 4,
}

/// What the last price update found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum PriceCondition {
    /// Sources agree and are narrow.
    Good = 0,
    /// Enough sources, but their confidence intervals are too wide.
    Wide = 1,
    /// Sources are further apart than allowed.
    Diverged = 2,
}

/// One segment of the piecewise-linear initial margin: up to `notional_max`, margin is `rate · notional − deduction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MarginTier {
    /// Largest notional of the segment; the last tier's is `u64::MAX`.
    pub notional_max: QuoteAtoms,
    /// Keeps the curve continuous; computed when the market is listed.
    pub deduction: QuoteAtoms,
    /// Slope.
    pub rate: Ppm,
    pad: u32,
}

/// A market's row: 640 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MarketRow {
    /// Address of the market account; zero in an unused row.
    pub market: Key,
    /// Own place in the table.
    pub index: MarketIndex,
    pub(crate) status: u8,
    pub(crate) tiers_len: u8,
    pub(crate) condition: u8,
    /// Fewest valid sources an update needs.
    pub sources_min: u8,
    /// Sources configured in the exchange.
    pub sources_len: u8,
    /// Whether the last update's staircase stopped the mark short of where it should be.
    pub(crate) lagging: u8,
    /// Quote units per base unit in one tick, × 10^12.
    pub tick_size: PicoPrice,
    /// Base units in one lot, × 10^12.
    pub lot_size: u64,
    /// Quote atoms per lot per tick.
    pub tick_value: TickValue,
    /// Largest price of an order and of the index.
    pub price_max: Ticks,
    /// Smallest order.
    pub lots_min: Lots,
    /// Largest order.
    pub lots_max: Lots,
    /// Largest position including open orders, on either side; at most [`Self::position_approved`].
    pub position_max: Lots,
    /// Cap on open interest.
    pub open_interest_max: Lots,
    /// Lots held long, which equal the lots held short.
    pub open_interest: Lots,
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
    /// Price board: the index.
    pub index_price: Ticks,
    /// Price board: the mark.
    pub mark: Ticks,
    /// Last second at which the board's price is fresh: derived from the publish time, the fresh age and the condition
    /// at every update, so that an order looks at one number.
    pub(crate) fresh_until: UnixSeconds,
    /// Oldest publish time among the sources of the last update.
    pub publish_time: UnixSeconds,
    /// When the board was last updated.
    pub updated_at: UnixSeconds,
    /// When the board was last updated.
    pub updated_slot: Slot,
    /// Newest publish time seen of each source.
    pub source_times: [UnixSeconds; MARKET_SOURCES_MAX],
    /// Cumulative funding per lot.
    pub funding_index: FundingIndex,
    pub(crate) tiers: [MarginTier; TIERS_MAX],
    /// Name for people, padded with zeros, such as `SOL-PERP`.
    pub symbol: [u8; 16],
    /// How prices move, what funding, liquidation and the pool may cost.
    pub risk: RiskParameters,
    /// Price board: follows the index slowly.
    pub stable: Ticks,
    /// Price board: lowest of index, mark and stable price; longs are worth this where prudence is due.
    pub low: Ticks,
    /// Price board: highest of them; shorts cost this where prudence is due.
    pub high: Ticks,
    /// Initial margin is multiplied by this, at least one: grows with open interest.
    pub margin_scale: Ppm,
    /// [`Self::maintenance`], or while it is being raised what it is on its way there.
    pub maintenance_now: Ppm,
    pub(crate) pad: u32,
    /// Moving average of the book's middle less the index, in ticks × 2^16.
    pub basis: i64,
    /// When the mark last moved, or could have.
    pub mark_at: UnixSeconds,
    /// When the stable price last moved, or could have.
    pub stable_at: UnixSeconds,
    /// What the last accruals of funding left undivided; see `risk::funding`.
    pub funding_remainder: i64,
    /// Funding paid and not yet received.
    pub funding_pot: Balance,
    pub(crate) pad3: u64,
    /// What the pool has paid for this market, against [`RiskParameters::pool_budget`] a day.
    pub pool_spent: Bucket,
    /// Maintenance share at the start of the ramp.
    pub ramp_from: Ppm,
    pub(crate) pad2: u32,
    /// Start of the ramp.
    pub ramp_start: UnixSeconds,
    /// End of the ramp.
    pub ramp_end: UnixSeconds,
    /// When the status last changed.
    pub status_at: UnixSeconds,
    /// The largest [`Self::position_max`] that was ever listed or approved; never smaller than a resting order.
    pub position_approved: Lots,
    /// The same of [`Self::open_interest_max`].
    pub interest_approved: Lots,
    pub(crate) reserved: [u8; 56],
}

/// Bytes per row.
pub const ROW_SIZE: usize = 640;
const _: () = assert!(size_of::<MarginTier>() == 24 && align_of::<MarginTier>() == 8);
const _: () = assert!(size_of::<MarketRow>() == ROW_SIZE && align_of::<MarketRow>() == 8);

impl MarginTier {
    /// A segment.
    pub const fn new(notional_max: QuoteAtoms, rate: Ppm, deduction: QuoteAtoms) -> Self {
        Self { notional_max, deduction, rate, pad: 0 }
    }
}

impl MarketRow {
    /// Margin tiers in use, ascending.
    #[inline(always)]
    pub fn tiers(&self) -> &[MarginTier] {
        self.tiers.get(..usize::from(self.tiers_len)).unwrap_or(&[])
    }

    /// Whether orders that may increase a position are accepted.
    #[inline(always)]
    pub const fn is_active(&self) -> bool {
        self.status == 1
    }

    /// Whether reduce-only orders are accepted.
    #[inline(always)]
    pub const fn accepts_reducing(&self) -> bool {
        self.status == 1 || self.status == 2
    }

    /// Whether the mark is still on its way to where the last update would have it.
    #[inline(always)]
    pub const fn is_lagging(&self) -> bool {
        self.lagging != 0
    }

    /// Life-cycle status; `None` in an unused row.
    pub const fn status(&self) -> Option<MarketStatus> {
        match self.status {
            1 => Some(MarketStatus::Active),
            2 => Some(MarketStatus::ReduceOnly),
            3 => Some(MarketStatus::Settled),
            4 => Some(MarketStatus::Closed),
            _ => None,
        }
    }

    /// What the last update found.
    #[inline(always)]
    pub const fn condition(&self) -> PriceCondition {
        match self.condition {
            0 => PriceCondition::Good,
            1 => PriceCondition::Wide,
            _ => PriceCondition::Diverged,
        }
    }
}
