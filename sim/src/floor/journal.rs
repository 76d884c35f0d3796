//! What is written down about a run: transactions and their compute units, refusals by name, fills, series for charts.

use super::ladder::Ladder;
use crate::report::{ChartEvent, EquityPoint, InstructionMeter, PricePoint, SolvencyPoint, Trace};
use anyhow::Result;
use quantdesk_client::engine::{QuoteAtoms, state::TradeEvent};
use std::collections::BTreeMap;

/// Exact sums over a run, in atoms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Executed, refused or not.
    pub transactions: u64,
    /// Of those, refused by the program.
    pub refused: u64,
    /// Matches of a taker with one maker.
    pub fills: u64,
    /// Each fill counted once.
    pub volume: u128,
    /// Paid by takers.
    pub taker_fees: i128,
    /// Paid by makers; negative if rebates prevail.
    pub maker_fees: i128,
    /// Taking orders.
    pub orders: Orders,
}

/// What became of the taking orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Sent.
    pub sent: u64,
    /// Filled to the last lot.
    pub whole: u64,
    /// Filled in part.
    pub partial: u64,
    /// Met nothing.
    pub unfilled: u64,
    /// Refused by the program.
    pub refused: u64,
    /// Atoms wanted and not filled, refused orders included.
    pub missed: u128,
}

/// One market's pages.
#[derive(Default)]
pub struct MarketPages {
    /// Prices and depth.
    pub trace: Trace<PricePoint>,
    /// Markers of the price chart.
    pub events: Vec<ChartEvent>,
    /// Price of the last fill in quote units.
    pub last_trade: Option<f64>,
    /// Number of the last trading event read.
    pub events_read: u64,
}

/// The journal.
pub struct Journal {
    /// Compute units by instruction.
    pub meter: InstructionMeter,
    /// Refusals by instruction and error.
    pub refusals: BTreeMap<(&'static str, &'static str), u64>,
    /// Sums.
    pub tally: Tally,
    /// By market.
    pub markets: Vec<MarketPages>,
    /// Equity by account.
    pub equity: Vec<Trace<EquityPoint>>,
    /// Equity, shortfall and pool of the whole venue.
    pub solvency: Trace<SolvencyPoint>,
    /// The liquidation ladder.
    pub ladder: Ladder,
    /// The protection pool.
    pub pool: PoolTally,
    /// Number of the last cash event read.
    pub cash_events_read: u64,
}

/// What came into the protection pool and left it, losses apart, in atoms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolTally {
    /// By stakers.
    pub staked: i128,
    /// To stakers.
    pub unstaked: i128,
    /// Given: funding nobody was owed, the pool's part of fees.
    pub funded: i128,
}

impl Journal {
    /// An empty one.
    pub fn new() -> Result<Self> {
        Ok(Self {
            meter: InstructionMeter::new()?,
            refusals: BTreeMap::new(),
            tally: Tally::default(),
            markets: Vec::new(),
            equity: Vec::new(),
            solvency: Trace::default(),
            ladder: Ladder::default(),
            pool: PoolTally::default(),
            cash_events_read: 0,
        })
    }

    /// A transaction, with the name of the error if the program refused it.
    pub fn transaction(&mut self, instruction: &'static str, compute_units: u64, refusal: Option<&'static str>) {
        self.meter.record(instruction, compute_units, refusal.is_some());
        self.tally.transactions += 1;
        if let Some(error) = refusal {
            self.tally.refused += 1;
            *self.refusals.entry((instruction, error)).or_default() += 1;
        }
    }

    /// A fill as the audit trail tells it.
    pub fn fill(&mut self, event: &TradeEvent, notional: QuoteAtoms) {
        self.tally.fills += 1;
        self.tally.volume += u128::from(notional.get());
        self.tally.taker_fees += i128::from(event.taker_fee.get());
        self.tally.maker_fees += i128::from(event.maker_fee.get());
    }

    /// The end of a taking order that wanted `wanted` lots worth `worth` atoms.
    pub fn taken(&mut self, wanted: u64, filled: u64, refused: bool, worth: u128) {
        let orders = &mut self.tally.orders;
        orders.sent += 1;
        if refused {
            orders.refused += 1;
        } else if filled == wanted {
            orders.whole += 1;
        } else if filled > 0 {
            orders.partial += 1;
        } else {
            orders.unfilled += 1;
        }
        orders.missed += worth * u128::from(wanted - filled) / u128::from(wanted.max(1));
    }
}
