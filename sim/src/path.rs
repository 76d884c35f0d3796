//! Index prices over time: the built-in market day, or recorded data sampled to the same shape.
//!
//! The built-in day follows 10 October 2025 in five phases (calm, trend, crash, rebound,
//! aftermath). Its figures were measured from the recordings named at each constant; the seed adds
//! correlated noise around them. Only + − × ÷ and √ are used on floats, which IEEE 754 fixes to the
//! bit, so a seed gives the same path on every machine.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::input::{SCALE, klines::KlineSeries, trades::Trade};

/// Length of the built-in day at real speed. Other lengths stretch or compress all of it.
pub const DAY_SECONDS: u32 = 10_800;
/// 10 October 2025, 20:50 UTC: the crash begins here, whatever the length of the day.
pub const CRASH_UNIX: i64 = 1_760_129_400;

const MINUTE_SECONDS: f64 = 60.0;
const DAY_MINUTES: f64 = DAY_SECONDS as f64 / MINUTE_SECONDS;

/// One market of the built-in day.
struct Coin {
    symbol: &'static str,
    /// 00:00 UTC.
    start: f64,
    /// Mean of 20:40 to 20:50.
    before_crash: f64,
    /// Fall from there to the low, as a share.
    depth: f64,
    /// Share of that fall regained by 22:00.
    regained: f64,
    /// Noise relative to BTC's: five-minute returns from 00:00 to 14:50.
    volatility: f64,
}

/// BTC from `BTCUSD_PERP-1m-2025-10-10.csv`, an index of several venues: mean close of
/// 20:40–20:50 116,927.36, low 102,497.49 at 21:20, close of 21:59 113,671.18. (The BTC prints of
/// `gemini_trades` stop from 20:54 to 21:08 and from 21:14 to 21:20, and so miss the low: 107,000.)
/// ETH and SOL from `gemini_trades`: volume-weighted mean of 20:40–20:50 4,015.68 and 207.33, lowest
/// print 3,681.00 at 21:14:37 and 172.10 at 21:29:09, volume-weighted mean of 21:59–22:01
/// 4,025.14 and 198.33. All three lows are put at the index's, 30 minutes into the crash.
const COINS: [Coin; 3] = [
    Coin {
        symbol: "BTC",
        start: 121_700.0,
        before_crash: 116_927.36,
        depth: 0.123_4,
        regained: 0.774,
        volatility: 1.0,
    },
    Coin { symbol: "ETH", start: 4_370.0, before_crash: 4_015.68, depth: 0.083_3, regained: 1.028, volatility: 1.6 },
    Coin { symbol: "SOL", start: 221.0, before_crash: 207.33, depth: 0.169_9, regained: 0.745, volatility: 1.9 },
];

/// The fall as (minute after 20:50, share of the depth), from the closes of the BTC index.
const FALL: [(f64, f64); 9] = [
    (0.0, 0.0),
    (4.0, 0.117),
    (10.0, 0.184),
    (20.0, 0.174),
    (24.0, 0.371),
    (26.0, 0.396),
    (28.0, 0.647),
    (29.0, 0.516),
    (30.0, 1.0),
];

/// The rebound as (minute after the low, share of what was regained by 22:00), likewise.
const REBOUND: [(f64, f64); 6] = [(0.0, 0.0), (2.0, 0.444), (10.0, 0.638), (15.0, 0.805), (30.0, 0.99), (40.0, 1.0)];

/// Loading of each market on the common factor: five-minute returns from 00:00 to 14:50 correlate
/// by 0.83 (BTC, ETH), 0.74 (BTC, SOL) and 0.75 (ETH, SOL); 0.88² = 0.77.
const FACTOR_LOADING: f64 = 0.88;
/// Noise returns to the measured shape with this time constant: BTC's distance from [`FALL`] has a
/// deviation of 33 bps with changes of 24 bps a minute, which is what 4 minutes give.
const REVERSION_MINUTES: f64 = 4.0;

/// A part of the built-in day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Quiet, at the price of the morning.
    Calm,
    /// A steady fall to the level before the crash.
    Trend,
    /// Half an hour down to the low.
    Crash,
    /// Forty minutes of recovery.
    Rebound,
    /// Sideways, more restless than before.
    Aftermath,
}

impl Phase {
    /// In order of time.
    pub const ALL: [Self; 5] = [Self::Calm, Self::Trend, Self::Crash, Self::Rebound, Self::Aftermath];

    /// As charts show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Trend => "trend",
            Self::Crash => "crash",
            Self::Rebound => "rebound",
            Self::Aftermath => "aftermath",
        }
    }

    /// First minute. The real trend took six hours and the calm before it fifteen.
    const fn start_minute(self) -> f64 {
        match self {
            Self::Calm => 0.0,
            Self::Trend => 30.0,
            Self::Crash => 90.0,
            Self::Rebound => 120.0,
            Self::Aftermath => 160.0,
        }
    }

    fn at_minute(minute: f64) -> Self {
        let started = Self::ALL.into_iter().rev();
        let mut started = started.filter(|phase| phase.start_minute() <= minute);
        started.next().unwrap_or(Self::Calm)
    }

    /// Deviation of BTC's one-minute change. Calm, trend and aftermath: closes of the index from
    /// 00:00, 14:50 and 22:00. Crash and rebound: what is left around [`FALL`] and [`REBOUND`].
    const fn noise(self) -> f64 {
        match self {
            Self::Calm => 0.000_41,
            Self::Trend => 0.000_97,
            Self::Crash => 0.002_4,
            Self::Rebound => 0.005_2,
            Self::Aftermath => 0.002_15,
        }
    }

    /// Prints per minute of the three `gemini_trades` files (minutes without a print left out):
    /// 15.9, 66.3, 317.8, 153.0, 80.6. Sells by number of prints: 58% in the crash, 49% in trend
    /// and rebound; in calm and aftermath 51% and 50% by value, which is used there.
    const fn flow(self) -> Flow {
        let (intensity, sell_share) = match self {
            Self::Calm => (1.0, 0.51),
            Self::Trend => (4.2, 0.49),
            Self::Crash => (20.0, 0.58),
            Self::Rebound => (9.6, 0.49),
            Self::Aftermath => (5.1, 0.50),
        };
        Flow { intensity, sell_share }
    }
}

/// How takers behave at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flow {
    /// Orders per second as a multiple of a calm market's.
    pub intensity: f64,
    /// Share of the taking orders that sell.
    pub sell_share: f64,
}

/// The index price of one market at each step, scaled by [`SCALE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketPath {
    /// Like `BTC`, or as the recording writes it.
    pub symbol: String,
    /// One per step.
    pub prices: Vec<u64>,
}

/// The index prices of all markets on one grid of time.
#[derive(Clone, Debug, PartialEq)]
pub struct PricePath {
    /// Time of step 0.
    pub start_unix: i64,
    /// Time between two steps.
    pub step_seconds: u32,
    /// All with the same number of steps.
    pub markets: Vec<MarketPath>,
    /// First step of each phase; empty for recorded data.
    pub phases: Vec<(usize, Phase)>,
    flows: Vec<Flow>,
}

impl PricePath {
    /// The built-in day. At [`DAY_SECONDS`] it runs at the speed of the real one.
    pub fn crash_day(seed: u64, duration_seconds: u32, step_seconds: u32) -> anyhow::Result<Self> {
        let steps = step_count(i64::from(duration_seconds), step_seconds)?;
        let step_minutes = f64::from(step_seconds) / f64::from(duration_seconds.max(1)) * DAY_MINUTES;
        let mut noise = Noise::new(seed, step_minutes);
        let mut markets = COINS.map(|coin| MarketPath::empty(coin.symbol));
        let mut phases: Vec<(usize, Phase)> = Vec::new();
        let mut flows = Vec::with_capacity(steps);
        for step in 0..steps {
            let minute = step as f64 * step_minutes;
            let phase = Phase::at_minute(minute);
            if phases.last().is_none_or(|(_, last)| *last != phase) {
                phases.push((step, phase));
            }
            flows.push(phase.flow());
            let deviations = noise.advance(phase.noise());
            for ((coin, deviation), market) in COINS.iter().zip(deviations).zip(&mut markets) {
                let price = coin.level(phase, minute) * (1.0 + deviation * coin.volatility);
                market.prices.push(scaled(price));
            }
        }
        Ok(Self {
            start_unix: CRASH_UNIX - i64::from(duration_seconds / 2),
            step_seconds,
            markets: markets.into(),
            phases,
            flows,
        })
    }

    /// The span that all series cover, walked as [`KlineSeries::index_at`] says.
    pub fn from_klines(series: &[KlineSeries], step_seconds: u32) -> anyhow::Result<Self> {
        let starts = series.iter().map(KlineSeries::start_unix_millis);
        let start = starts.max().context("no kline files")?;
        let ends = series.iter().map(KlineSeries::end_unix_millis);
        let start_unix = (start + 999).div_euclid(1_000);
        let end_unix = ends.min().unwrap_or(start).div_euclid(1_000);
        ensure!(start_unix < end_unix, "the kline files have no time in common");
        let steps = step_count(end_unix - start_unix, step_seconds)?;
        let markets = (series.iter())
            .map(|series| MarketPath {
                symbol: series.symbol.clone(),
                prices: (0..steps)
                    .map(|step| start_unix + step as i64 * i64::from(step_seconds))
                    .filter_map(|unix| series.index_at(unix * 1_000))
                    .collect(),
            })
            .collect();
        Ok(Self::recorded(start_unix, step_seconds, markets))
    }

    /// The last print of each market at each step, from the second of the first print of all.
    pub fn from_trades(
        trades: impl IntoIterator<Item = anyhow::Result<Trade>>,
        step_seconds: u32,
    ) -> anyhow::Result<Self> {
        let mut prints: BTreeMap<String, Vec<(i64, u64)>> = BTreeMap::new();
        let mut span: Option<(i64, i64)> = None;
        for trade in trades {
            let trade = trade?;
            let unix = trade.unix_micros.div_euclid(1_000_000);
            let (start, _) = *span.get_or_insert((unix, unix));
            span = Some((start, unix));
            prints.entry(trade.symbol).or_default().push((unix, trade.price));
        }
        let (start_unix, end_unix) = span.context("no trades")?;
        let steps = step_count(end_unix - start_unix, step_seconds)?;
        let markets = (prints.into_iter())
            .map(|(symbol, prints)| {
                let price_at = |unix: i64| {
                    let after = prints.partition_point(|(at, _)| *at <= unix);
                    prints.get(after.saturating_sub(1)).map(|(_, price)| *price)
                };
                let unix = (0..steps).map(|step| start_unix + step as i64 * i64::from(step_seconds));
                let prices = unix.filter_map(price_at).collect();
                MarketPath { symbol, prices }
            })
            .collect();
        Ok(Self::recorded(start_unix, step_seconds, markets))
    }

    fn recorded(start_unix: i64, step_seconds: u32, markets: Vec<MarketPath>) -> Self {
        let flows = recorded_flows(&markets, step_seconds);
        Self { start_unix, step_seconds, markets, phases: Vec::new(), flows }
    }

    /// Number of prices of each market.
    pub fn steps(&self) -> usize {
        self.flows.len()
    }

    /// Time of a step.
    pub fn unix_seconds(&self, step: usize) -> i64 {
        self.start_unix + step as i64 * i64::from(self.step_seconds)
    }

    /// Beyond the last step the last flow goes on.
    pub fn flow(&self, step: usize) -> Flow {
        let flow = self.flows.get(step).or(self.flows.last());
        flow.copied().unwrap_or(Phase::Calm.flow())
    }
}

impl MarketPath {
    fn empty(symbol: &str) -> Self {
        Self { symbol: symbol.into(), prices: Vec::new() }
    }
}

impl Coin {
    /// The price without noise.
    fn level(&self, phase: Phase, minute: f64) -> f64 {
        let into = minute - phase.start_minute();
        let lost = match phase {
            Phase::Calm => return self.start,
            Phase::Trend => {
                let length = Phase::Crash.start_minute() - Phase::Trend.start_minute();
                return self.start + (self.before_crash - self.start) * into / length;
            }
            Phase::Crash => along(&FALL, into),
            Phase::Rebound => 1.0 - self.regained * along(&REBOUND, into),
            Phase::Aftermath => 1.0 - self.regained,
        };
        self.before_crash * (1.0 - self.depth * lost)
    }
}

/// Straight lines between knots, flat after the last.
fn along(knots: &[(f64, f64)], at: f64) -> f64 {
    for pair in knots.windows(2) {
        if let [(from, low), (to, high)] = pair
            && at < *to
        {
            return low + (high - low) * (at - from) / (to - from);
        }
    }
    knots.last().map_or(0.0, |(_, value)| *value)
}

/// One mean-reverting deviation per market, of BTC's size, correlated through a common factor.
struct Noise {
    rng: ChaCha8Rng,
    deviations: [f64; COINS.len()],
    decay: f64,
    spread: f64,
}

impl Noise {
    fn new(seed: u64, step_minutes: f64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            deviations: [0.0; COINS.len()],
            decay: 1.0 / (1.0 + step_minutes / REVERSION_MINUTES),
            // WHY: steps longer than the time constant draw from the stationary spread.
            spread: step_minutes.min(REVERSION_MINUTES / 2.0).sqrt(),
        }
    }

    fn advance(&mut self, minute_deviation: f64) -> [f64; COINS.len()] {
        let common = normal(&mut self.rng);
        let own_loading = (1.0 - FACTOR_LOADING * FACTOR_LOADING).sqrt();
        for deviation in &mut self.deviations {
            let shock = FACTOR_LOADING * common + own_loading * normal(&mut self.rng);
            *deviation = *deviation * self.decay + shock * minute_deviation * self.spread;
        }
        self.deviations
    }
}

/// Nearly normal, unit variance, never beyond 6: twelve uniform draws.
fn normal(rng: &mut impl Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

/// To whole millionths first: a float has no more digits than that at these prices.
fn scaled(price: f64) -> u64 {
    const MILLIONTHS: u64 = 1_000_000;
    (price * MILLIONTHS as f64).round() as u64 * (SCALE / MILLIONTHS)
}

fn step_count(duration_seconds: i64, step_seconds: u32) -> anyhow::Result<usize> {
    ensure!(step_seconds > 0, "a step takes at least one second");
    let steps = duration_seconds / i64::from(step_seconds) + 1;
    usize::try_from(steps).context("the time span is negative")
}

/// Recorded data has no phases: the mean move of the last minute stands for them. The built-in
/// day's own figures lie near the line used: 4 bps a minute ↔ 1, 10 bps ↔ 4.2, 98 bps ↔ 20.
fn recorded_flows(markets: &[MarketPath], step_seconds: u32) -> Vec<Flow> {
    const BPS_PER_INTENSITY: f64 = 5.0;
    const BPS_OF_FULL_SELLING: f64 = 50.0;
    let Flow { intensity: intensity_max, sell_share: sell_share_max } = Phase::Crash.flow();
    let steps = markets.iter().map(|market| market.prices.len()).min();
    let minute = (60 / step_seconds as usize).max(1);
    (0..steps.unwrap_or(0))
        .map(|step| {
            let moves = markets.iter().map(|market| {
                let before = market.prices[step.saturating_sub(minute)] as f64;
                (market.prices[step] as f64 / before - 1.0) * 10_000.0
            });
            let bps = moves.sum::<f64>() / markets.len() as f64;
            let lean = (-bps / BPS_OF_FULL_SELLING).clamp(-1.0, 1.0);
            Flow {
                intensity: (1.0 + bps.abs() / BPS_PER_INTENSITY).min(intensity_max),
                sell_share: 0.5 + (sell_share_max - 0.5) * lean,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::trades::Side;

    /// Noise may deepen or soften the measured low by this much.
    const DEPTH_TOLERANCE: f64 = 0.02;

    #[test]
    fn a_seed_is_one_path_and_another_seed_another() {
        let day = |seed| PricePath::crash_day(seed, DAY_SECONDS, 5).expect("path");
        assert_eq!(day(7), day(7));
        assert_ne!(day(7).markets, day(8).markets);
        assert_eq!(day(7).steps(), 2_161);
        assert_eq!(day(7).markets[0].prices.len(), 2_161);
    }

    #[test]
    fn the_crash_is_as_deep_and_fast_as_the_measured_one() {
        for seed in 0..20 {
            let day = PricePath::crash_day(seed, DAY_SECONDS, 5).expect("path");
            for (coin, market) in COINS.iter().zip(&day.markets) {
                let dollars: Vec<f64> = market.prices.iter().map(|price| *price as f64 / SCALE as f64).collect();
                assert!((dollars[0] / coin.start - 1.0).abs() < 0.003, "{}", market.symbol);
                let low = dollars.iter().copied().fold(f64::INFINITY, f64::min);
                let depth = 1.0 - low / coin.before_crash;
                assert!((depth - coin.depth).abs() < DEPTH_TOLERANCE, "{} {seed}: {depth}", market.symbol);
                let step = dollars.iter().position(|price| *price == low).expect("a low");
                let minutes = (day.unix_seconds(step) - CRASH_UNIX) as f64 / MINUTE_SECONDS;
                assert!((24.0..36.0).contains(&minutes), "{} {seed}: {minutes}", market.symbol);
                let end = dollars[dollars.len() - 1] / coin.before_crash - 1.0;
                let expected = -coin.depth * (1.0 - coin.regained);
                assert!((end - expected).abs() < DEPTH_TOLERANCE, "{} {seed}: {end}", market.symbol);
            }
        }
    }

    #[test]
    fn phases_follow_each_other_and_the_crash_begins_at_its_hour() {
        for duration in [600, 3_600, DAY_SECONDS] {
            let day = PricePath::crash_day(1, duration, 1).expect("path");
            let names: Vec<_> = day.phases.iter().map(|(_, phase)| *phase).collect();
            assert_eq!(names, Phase::ALL);
            let (step, _) = day.phases[2];
            assert_eq!(day.unix_seconds(step), CRASH_UNIX);
            let flow = day.flow(step);
            assert!(flow.intensity > 10.0 && flow.sell_share > 0.5);
        }
        assert!(PricePath::crash_day(1, 600, 0).is_err());
    }

    #[test]
    fn markets_move_together() {
        let day = PricePath::crash_day(3, DAY_SECONDS, 1).expect("path");
        let calm = 30 * 60;
        let changes = |market: usize| -> Vec<f64> {
            let prices = &day.markets[market].prices[..calm];
            prices.windows(2).map(|pair| pair[1] as f64 / pair[0] as f64 - 1.0).collect()
        };
        let (btc, eth) = (changes(0), changes(1));
        let product = |left: &[f64], right: &[f64]| left.iter().zip(right).map(|(l, r)| l * r).sum::<f64>();
        let correlation = product(&btc, &eth) / (product(&btc, &btc) * product(&eth, &eth)).sqrt();
        assert!((0.70..0.85).contains(&correlation), "{correlation}");
    }

    #[test]
    fn trades_are_sampled_with_the_last_print_and_falls_raise_the_flow() {
        let trade = |second: i64, symbol: &str, price: u64| {
            Ok(Trade {
                unix_micros: (CRASH_UNIX + second) * 1_000_000,
                symbol: symbol.into(),
                id: String::new(),
                side: Side::Sell,
                price: price * SCALE,
                amount: 1,
            })
        };
        let prints = [trade(0, "BTC", 100), trade(3, "BTC", 90), trade(3, "ETH", 10), trade(4, "BTC", 95)];
        let path = PricePath::from_trades(prints, 2).expect("path");
        let prices = |market: usize| path.markets[market].prices.iter().map(|price| price / SCALE).collect::<Vec<_>>();
        assert_eq!((prices(0), prices(1)), (vec![100, 100, 95], vec![10, 10, 10]));
        assert_eq!(path.flow(0), Flow { intensity: 1.0, sell_share: 0.5 });
        assert_eq!(path.flow(9), Flow { intensity: 20.0, sell_share: 0.58 });
        assert!(PricePath::from_trades([], 1).is_err());
    }
}
