//! The plain data of a run, and the two recorders that keep it small while the run goes on:
//! [`Trace`] for series and [`InstructionMeter`] for compute units.
//!
//! Figures are in quote units (dollars) and base units as floats: they are for reading. Exact
//! values that others compare are integers or hashes: `vault_final_atoms`, `state_hash`.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// One run: everything that summary, page and JSON file show.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct RunRecord {
    /// Heading of summary and page.
    pub title: String,
    /// What the run's random choices came from.
    pub seed: u64,
    /// Where the prices came from: file names, or the built-in day.
    pub inputs: Vec<String>,
    /// Sentences on the run, such as how much of the input was replayed.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Simulated time, as all times here.
    pub started_unix: i64,
    /// Simulated time.
    pub ended_unix: i64,
    /// Hex digest over the final account bytes: equal for equal seed, inputs and program.
    pub state_hash: String,
    /// Hex digest of the program's file.
    pub program_sha256: String,
    /// What the scenario shows besides what every run does.
    #[serde(default)]
    pub exhibits: Vec<Exhibit>,
    /// Prices, depth and events by market.
    pub markets: Vec<MarketSeries>,
    /// Equity over time by actor.
    pub actors: Vec<ActorSeries>,
    /// Equity, shortfall and pool over time.
    #[serde(default)]
    pub solvency: Vec<SolvencyPoint>,
    /// What each rung of the liquidation ladder did.
    #[serde(default)]
    pub ladder: Vec<LadderRung>,
    /// Compute units by instruction.
    pub instructions: Vec<InstructionStats>,
    /// What the program refused, by name.
    #[serde(default)]
    pub refusals: Vec<Refusal>,
    /// Sums over the run.
    pub totals: Totals,
    /// What moved between the buckets of the ledger.
    pub money: Vec<MoneyFlow>,
    /// Where each actor ended.
    pub balances: Vec<FinalBalance>,
    /// What held, and how often it was tested.
    pub checks: Vec<Check>,
    /// Tokens in the vault at the end, exact.
    pub vault_final_atoms: u64,
    /// What of the pool belonged to no share when everybody had left.
    pub ownerless_atoms: u64,
    /// Real time that the run took.
    pub wall_seconds: f64,
}

/// Something that a scenario alone has to show.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Exhibit {
    /// Rows of text.
    Table {
        /// Heading.
        title: String,
        /// Of the columns.
        head: Vec<String>,
        /// One letter per column: `l` for words, `r` for figures.
        alignment: String,
        /// As long as the head.
        rows: Vec<Vec<String>>,
    },
    /// Amounts in quote units over time.
    Lines {
        /// Heading.
        title: String,
        /// Name and points of each.
        lines: Vec<(String, Vec<EquityPoint>)>,
    },
    /// How often a figure was in which range.
    Histogram {
        /// Heading.
        title: String,
        /// Lower end of the first range; what is below is counted in it, what is beyond the last one in that.
        from: f64,
        /// Width of every range.
        width: f64,
        /// Unit of the figure.
        unit: String,
        /// Name and shares in percent of each series.
        series: Vec<(String, Vec<f64>)>,
    },
}

/// One market over the run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct MarketSeries {
    /// Name shown, like `BTC-PERP`.
    pub symbol: String,
    /// In order of time.
    pub points: Vec<PricePoint>,
    /// In order of time.
    pub events: Vec<ChartEvent>,
}

/// A market at one moment.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct PricePoint {
    /// Simulated time.
    pub unix_seconds: i64,
    /// None before the first.
    pub last_trade: Option<f64>,
    /// Price from the oracles.
    pub index: f64,
    /// Price that margin is computed with.
    pub mark: f64,
    /// None while no bid rests.
    pub best_bid: Option<f64>,
    /// None while no ask rests.
    pub best_ask: Option<f64>,
    /// Resting orders of a side, in quote units.
    pub bid_depth: f64,
    /// Likewise of the asks.
    pub ask_depth: f64,
}

/// Something worth a marker in the price chart. Events of kind `phase` are drawn as a line
/// across it, with their label.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ChartEvent {
    /// Simulated time.
    pub unix_seconds: i64,
    /// Where the marker goes; of no meaning for a phase.
    pub price: f64,
    /// `phase` is drawn as a dashed line with its label, any other as a marker.
    pub kind: String,
    /// What the list of events says of it, or the name of the phase.
    pub label: String,
}

/// One actor over the run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ActorSeries {
    /// Unique.
    pub name: String,
    /// Actors of one role share a chart.
    pub role: String,
    /// In order of time.
    pub points: Vec<EquityPoint>,
}

/// Time and equity in quote units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct EquityPoint(pub i64, pub f64);

/// What the venue's customers own, owe and are insured for at one moment, in quote units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct SolvencyPoint {
    /// Simulated time.
    pub unix_seconds: i64,
    /// Of all accounts together.
    pub equity: f64,
    /// What accounts below zero lack.
    pub shortfall: f64,
    /// The protection pool.
    pub pool: f64,
}

/// One rung of the liquidation ladder over the run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct LadderRung {
    /// What it does.
    pub name: String,
    /// Accounts it was needed for.
    pub accounts: u64,
    /// Steps.
    pub steps: u64,
    /// Quote units: fees, or what the pool paid.
    pub amount: f64,
    /// What the amount is; empty if there is none.
    pub meaning: String,
}

/// Compute units of one instruction over all its transactions that landed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct InstructionStats {
    /// As in the program.
    pub name: String,
    /// Times it ran.
    pub count: u64,
    /// Of `count`: refused by the program, often as intended.
    pub failed: u64,
    /// Median compute units.
    pub p50: u64,
    /// Compute units that 95% do not exceed.
    pub p95: u64,
    /// Compute units that 99% do not exceed.
    pub p99: u64,
    /// Most compute units.
    pub max: u64,
    /// Sum over `count`.
    pub total_compute_units: u64,
}

/// How often the program refused an instruction for one reason.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Refusal {
    /// As in [`InstructionStats`].
    pub instruction: String,
    /// Name of the error, as in the specification.
    pub error: String,
    /// How often.
    pub times: u64,
}

/// Sums over the run; amounts in quote units.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Totals {
    /// That reached a block.
    pub transactions: u64,
    /// Of those, refused by the program.
    pub failed_transactions: u64,
    /// Simulated.
    pub slots: u64,
    /// Matches of a taker with one maker.
    pub fills: u64,
    /// Quote units, each fill counted once.
    pub volume: f64,
    /// Before rebates.
    pub fees_taker: f64,
    /// Paid out of the taker fees.
    pub rebates_maker: f64,
}

/// Quote units moved between two buckets of the ledger during the run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct MoneyFlow {
    /// Bucket that paid.
    pub source: String,
    /// Bucket that received.
    pub target: String,
    /// Why, in a few words.
    pub reason: String,
    /// Sum over the run.
    pub amount: f64,
}

/// An actor's account at the end, in quote units.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct FinalBalance {
    /// Name.
    pub actor: String,
    /// As in [`ActorSeries`].
    pub role: String,
    /// Over the run.
    pub deposited: f64,
    /// Over the run.
    pub withdrawn: f64,
    /// Equity at the end + withdrawn − deposited.
    pub pnl: f64,
    /// Paid; negative if rebates prevail.
    pub fees: f64,
}

/// An invariant and how often it was tested during the run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Check {
    /// As in the specification: `M1`.
    pub id: String,
    /// What must hold.
    pub description: String,
    /// How often it was tested.
    pub times: u64,
    /// Every time.
    pub passed: bool,
}

impl RunRecord {
    /// The same record with every series short enough for a chart.
    pub fn thinned(&self) -> Self {
        let mut record = self.clone();
        for market in &mut record.markets {
            market.points = thinned(&market.points, PricePoint::POINTS_MAX);
        }
        for actor in &mut record.actors {
            actor.points = thinned(&actor.points, EquityPoint::POINTS_MAX);
        }
        record.solvency = thinned(&record.solvency, SolvencyPoint::POINTS_MAX);
        record
    }

    /// The verdict on the run.
    pub fn all_checks_passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

/// A point of a series whose extremes must survive thinning.
pub trait Sample: Copy {
    /// Points kept of a series: more than its chart has pixels to show.
    const POINTS_MAX: usize;

    /// Simulated time.
    fn unix_seconds(&self) -> i64;
    /// The values drawn, least and greatest of which are kept per bucket of time.
    fn values(&self) -> impl IntoIterator<Item = f64>;
}

impl Sample for PricePoint {
    const POINTS_MAX: usize = 1_500;

    fn unix_seconds(&self) -> i64 {
        self.unix_seconds
    }

    fn values(&self) -> impl IntoIterator<Item = f64> {
        let last = self.last_trade.unwrap_or(self.mark);
        let bid = self.best_bid.unwrap_or(self.mark);
        let ask = self.best_ask.unwrap_or(self.mark);
        [self.index, self.mark, last, bid, ask, self.bid_depth, self.ask_depth]
    }
}

impl Sample for EquityPoint {
    // Half as wide a chart, and there may be hundreds of actors.
    const POINTS_MAX: usize = 500;

    fn unix_seconds(&self) -> i64 {
        self.0
    }

    fn values(&self) -> impl IntoIterator<Item = f64> {
        [self.1]
    }
}

impl Sample for SolvencyPoint {
    const POINTS_MAX: usize = 1_000;

    fn unix_seconds(&self) -> i64 {
        self.unix_seconds
    }

    fn values(&self) -> impl IntoIterator<Item = f64> {
        [self.equity, self.shortfall, self.pool]
    }
}

/// At most `limit` points in the order of time: the first, the last, and of each equal span of
/// time those where a value is least or greatest.
pub fn thinned<T: Sample>(points: &[T], limit: usize) -> Vec<T> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    if points.len() <= limit {
        return points.to_vec();
    }
    let extremes = 2 * first.values().into_iter().count();
    let buckets = (limit.saturating_sub(2) / extremes).max(1) as i64;
    let span = (last.unix_seconds() - first.unix_seconds()).max(0) + 1;
    let bucket = |point: &T| (point.unix_seconds() - first.unix_seconds()) * buckets / span;
    let mut kept = vec![0, points.len() - 1];
    let mut offset = 0;
    for bucket in points.chunk_by(|left, right| bucket(left) == bucket(right)) {
        kept.extend(extreme_positions(bucket).into_iter().map(|at| offset + at));
        offset += bucket.len();
    }
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|at| points[at]).collect()
}

/// For each value, where it is least and where it is greatest.
fn extreme_positions<T: Sample>(bucket: &[T]) -> Vec<usize> {
    let mut extremes: Vec<[(usize, f64); 2]> = Vec::new();
    for (at, point) in bucket.iter().enumerate() {
        for (series, value) in point.values().into_iter().enumerate() {
            match extremes.get_mut(series) {
                Some([least, greatest]) => {
                    if value < least.1 {
                        *least = (at, value);
                    }
                    if value > greatest.1 {
                        *greatest = (at, value);
                    }
                }
                None => extremes.push([(at, value); 2]),
            }
        }
    }
    extremes.into_iter().flatten().map(|(at, _)| at).collect()
}

/// Records a series of any length in bounded memory.
#[derive(Clone, Debug)]
pub struct Trace<T> {
    points: Vec<T>,
}

impl<T> Default for Trace<T> {
    fn default() -> Self {
        Self { points: Vec::new() }
    }
}

impl<T: Sample> Trace<T> {
    /// Room before thinning, so that each point is thinned few times.
    const ROOM: usize = 8 * T::POINTS_MAX;

    /// In order of time.
    pub fn push(&mut self, point: T) {
        if self.points.len() == Self::ROOM {
            self.points = thinned(&self.points, Self::ROOM / 2);
        }
        self.points.push(point);
    }

    /// The series, short enough for a chart.
    pub fn finish(self) -> Vec<T> {
        thinned(&self.points, T::POINTS_MAX)
    }
}

/// Compute units by instruction: exact counts, sums and maxima, percentiles to 0.1%.
#[derive(Clone, Debug)]
pub struct InstructionMeter {
    rows: BTreeMap<&'static str, Meter>,
    empty: Histogram<u64>,
}

#[derive(Clone, Debug)]
struct Meter {
    histogram: Histogram<u64>,
    failed: u64,
    max: u64,
    total: u64,
}

impl InstructionMeter {
    /// Nothing recorded yet.
    pub fn new() -> anyhow::Result<Self> {
        const TRANSACTION_COMPUTE_UNITS_MAX: u64 = 1_400_000;
        const SIGNIFICANT_DIGITS: u8 = 3;
        Ok(Self {
            rows: BTreeMap::new(),
            empty: Histogram::new_with_max(TRANSACTION_COMPUTE_UNITS_MAX, SIGNIFICANT_DIGITS)?,
        })
    }

    /// One transaction's instruction.
    pub fn record(&mut self, name: &'static str, compute_units: u64, failed: bool) {
        let row = self.rows.entry(name).or_insert_with(|| Meter {
            histogram: self.empty.clone(),
            failed: 0,
            max: 0,
            total: 0,
        });
        // Nothing is cut off: the histogram reaches as far as a transaction may.
        row.histogram.saturating_record(compute_units);
        row.failed += u64::from(failed);
        row.max = row.max.max(compute_units);
        row.total += compute_units;
    }

    /// By name.
    pub fn stats(&self) -> Vec<InstructionStats> {
        let stats = |(name, row): (&&str, &Meter)| {
            // A percentile is the upper edge of its bin: never let it pass the maximum.
            let quantile = |share| row.histogram.value_at_quantile(share).min(row.max);
            InstructionStats {
                name: (*name).into(),
                count: row.histogram.len(),
                failed: row.failed,
                p50: quantile(0.50),
                p95: quantile(0.95),
                p99: quantile(0.99),
                max: row.max,
                total_compute_units: row.total,
            }
        };
        self.rows.iter().map(stats).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(seconds: i64) -> Vec<EquityPoint> {
        let value = |second: i64| match second {
            40_001 => -900.0,
            40_002 => 900.0,
            _ => (second % 97) as f64,
        };
        (0..seconds).map(|at| EquityPoint(at, value(at))).collect()
    }

    #[test]
    fn thinning_keeps_ends_extremes_and_order() {
        let points = day(86_400);
        let short = thinned(&points, 1_000);
        assert!(short.len() <= 1_000 && short.len() > 500, "{}", short.len());
        assert_eq!((short.first(), short.last()), (points.first(), points.last()));
        assert!(short.contains(&EquityPoint(40_001, -900.0)));
        assert!(short.contains(&EquityPoint(40_002, 900.0)));
        assert!(short.is_sorted_by(|left, right| left.0 < right.0));
        assert_eq!(thinned(&short, 1_000), short);
        assert!(thinned::<EquityPoint>(&[], 10).is_empty());
    }

    #[test]
    fn every_drawn_value_of_a_price_point_keeps_its_extremes() {
        let mut points: Vec<_> = (0..20_000)
            .map(|unix_seconds| PricePoint {
                unix_seconds,
                index: 100.0,
                mark: 100.0,
                bid_depth: 50.0,
                ask_depth: 50.0,
                ..PricePoint::default()
            })
            .collect();
        points[7_777].bid_depth = 0.0;
        points[7_778].index = 80.0;
        points[7_779].last_trade = Some(70.0);
        points[7_780].best_ask = Some(130.0);
        let short = thinned(&points, PricePoint::POINTS_MAX);
        assert!(short.len() <= PricePoint::POINTS_MAX);
        for at in 7_777..=7_780 {
            assert!(short.iter().any(|point| point.unix_seconds == at), "{at}");
        }
    }

    #[test]
    fn a_trace_is_bounded_and_keeps_extremes() {
        let mut trace = Trace::default();
        for point in day(200_000) {
            trace.push(point);
            assert!(trace.points.len() <= Trace::<EquityPoint>::ROOM);
        }
        let points = trace.finish();
        assert!(points.len() <= EquityPoint::POINTS_MAX);
        assert_eq!(points.iter().map(|point| point.1).fold(0.0, f64::min), -900.0);
        assert_eq!(points.last().map(|point| point.0), Some(199_999));
    }

    #[test]
    fn the_meter_counts_exactly() {
        let mut meter = InstructionMeter::new().expect("constant bounds");
        for units in 1..=1_000 {
            meter.record("place_order", units, units % 100 == 0);
        }
        meter.record("deposit", 1_399_999, false);
        let stats = meter.stats();
        let names: Vec<_> = stats.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["deposit", "place_order"]);
        assert_eq!((stats[0].p50, stats[0].max), (1_399_999, 1_399_999));
        let place = &stats[1];
        assert_eq!((place.count, place.failed, place.total_compute_units), (1_000, 10, 500_500));
        assert_eq!((place.p50, place.p95, place.p99, place.max), (500, 950, 990, 1_000));
    }
}
