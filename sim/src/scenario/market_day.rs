//! The built-in day: three markets through calm, trend, crash, rebound and aftermath.

use super::{Options, Outcome, bets, driver::Driver, outcome::Story};
use crate::{
    actors::{crowd::Crowd, maker::Style},
    chain::SlotTime,
    desk::{DeskConfig, MarketSpec},
    floor::{Floor, MarginCall, Role},
    path::{DAY_SECONDS, Phase, PricePath},
};
use anyhow::Result;
use std::ops::Range;

const STEP_SECONDS: u32 = 2;
/// A chart point every n-th step.
const SAMPLE_STEPS: usize = 3;
/// Steps over which a trend is measured: a minute.
const TREND_STEPS: usize = 30;

const MAKER_DEPOSIT: u64 = 5_000_000_000_000;
const INVENTORY: u64 = 2_000_000_000_000;
const FIRST_LEVEL: u64 = 25_000_000_000;

/// Makers of each market; distances in ppm.
const STYLES: [(&str, Style); 3] = [
    ("tight", Style { levels: 4, half_spread: 200, step: 150, requote: 150, skew: 300, ..BASE }),
    ("middle", Style { levels: 4, half_spread: 400, step: 300, requote: 300, skew: 400, ..BASE }),
    ("deep", Style { levels: 5, half_spread: 1_000, step: 1_000, requote: 800, skew: 800, ..BASE }),
];
/// The one that quotes every market on the same collateral.
const EVERYWHERE: Style = Style { levels: 3, half_spread: 300, step: 250, requote: 250, skew: 300, ..BASE };
const BASE: Style = Style {
    levels: 0,
    half_spread: 0,
    step: 0,
    requote: 0,
    skew: 0,
    size: FIRST_LEVEL,
    inventory: INVENTORY,
    caution: CAUTION,
};
/// A quiet minute's way: steps of half a basis point back and forth.
const CAUTION: u64 = 2_500;

/// Takers: role, how many, and what each starts with in atoms.
const TAKERS: [(Role, u32, u64); 3] =
    [(Role::Taker, 18, 250_000_000_000), (Role::TrendFollower, 5, 60_000_000_000), (Role::DipBuyer, 5, 60_000_000_000)];

/// Makers stay; everybody else is liquidated.
const CALL: MarginCall = MarginCall { roles: &[Role::Maker], below: 125, target: 220 };
/// Traders with one leveraged bet each.
const BETS: u32 = 90;
/// Collateral of the liquidators, the backstop last.
const LIQUIDATORS: [u64; 3] = [300_000_000_000, 300_000_000_000, 2_000_000_000_000];
/// While the crash was steepest, keepers and liquidators were away: from and to, in thousandths of the day.
const OUTAGE: Range<usize> = 657..669;
/// Part of their usual sizes that makers quote from the crash's first minute to the rebound, in ppm.
const THIN: u64 = 100_000;
const USUAL: u64 = 1_000_000;
/// Stakes in the pool.
const STAKES: [u64; 4] = [100_000_000_000, 60_000_000_000, 25_000_000_000, 15_000_000_000];

/// Runs the day.
pub fn run(options: &Options) -> Result<Outcome> {
    run_for(options, DAY_SECONDS)
}

/// The same day, squeezed or stretched to `seconds`.
pub fn run_for(options: &Options, seconds: u32) -> Result<Outcome> {
    let path = PricePath::crash_day(options.seed, seconds, STEP_SECONDS)?;
    let mut driver = open(options, &path)?;
    let takers = takers(&mut driver.floor)?;
    let mut crowd = Crowd::new(options.seed, takers);
    let bar = options.bar(path.steps() as u64, "steps");
    for step in 0..path.steps() {
        run_step(&mut driver, &path, step, &mut crowd)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let story = Story {
        title: "Market day: calm, trend, crash, rebound, aftermath".into(),
        inputs: vec!["the built-in day, after 10 October 2025".into()],
        notes: Vec::new(),
        seed: options.seed,
        started_unix: path.unix_seconds(0),
    };
    super::outcome::close(driver, story)
}

fn open(options: &Options, path: &PricePath) -> Result<Driver> {
    let slot_time = SlotTime { millis: options.slot_millis };
    let config = DeskConfig {
        unix_millis: path.unix_seconds(0) * 1_000,
        slot_time,
        policy: super::POLICY,
        ..DeskConfig::default()
    };
    let mut floor = Floor::new(config, options.seed)?;
    for market in &path.markets {
        let spec = match market.symbol.as_str() {
            "BTC" => MarketSpec::btc(),
            "ETH" => MarketSpec::eth(),
            _ => MarketSpec::sol(),
        };
        floor.list(&spec)?;
    }
    let mut driver = Driver::new(floor, CALL);
    let markets: Vec<_> = (0..path.markets.len()).collect();
    for market in &markets {
        for (name, style) in STYLES {
            let name = format!("{} {name}", path.markets[*market].symbol);
            driver.employ(name, style, &[*market], MAKER_DEPOSIT)?;
        }
    }
    driver.employ("cross-margin".into(), EVERYWHERE, &markets, MAKER_DEPOSIT)?;
    driver.protect(&LIQUIDATORS, &STAKES)?;
    let (start, end) = (path.unix_seconds(0), path.unix_seconds(path.steps()));
    // All bets are made before the crash, which begins in the middle.
    bets::enlist(&mut driver, options.seed, BETS, markets.len(), start..start + (end - start) * 45 / 100)?;
    Ok(driver)
}

fn takers(floor: &mut Floor) -> Result<Vec<usize>> {
    let mut accounts = Vec::new();
    for (role, count, atoms) in TAKERS {
        for number in 1..=count {
            accounts.push(floor.open(role, format!("{} {number}", role.name()), atoms)?);
        }
    }
    Ok(accounts)
}

fn run_step(driver: &mut Driver, path: &PricePath, step: usize, crowd: &mut Crowd) -> Result<()> {
    let start_millis = path.unix_seconds(step) * 1_000;
    driver.floor.desk.chain.advance_to(start_millis);
    for (market, path) in path.markets.iter().enumerate() {
        driver.keeper.observe(market, path.prices[step]);
    }
    let of_day = step * 1_000 / path.steps().max(1);
    driver.watch.away = OUTAGE.contains(&of_day);
    driver.makers.quote_share(if phase(path, step) == Some(Phase::Crash) { THIN } else { USUAL });
    driver.follow(true)?;
    driver.bet()?;
    if let Some((_, phase)) = path.phases.iter().find(|(first, _)| *first == step) {
        for market in 0..path.markets.len() {
            driver.floor.mark_event(market, "phase", phase.name().into())?;
        }
    }
    if step.is_multiple_of(SAMPLE_STEPS) {
        driver.sample()?;
    }
    for intent in crowd.intents(path.flow(step), STEP_SECONDS) {
        driver.floor.desk.chain.advance_to(start_millis + intent.offset_millis);
        crowd.act(&mut driver.floor, intent, trend(path, intent.market, step))?;
        driver.makers.requote(&mut driver.floor, intent.market)?;
    }
    Ok(())
}

fn phase(path: &PricePath, step: usize) -> Option<Phase> {
    path.phases.iter().rev().find(|(first, _)| *first <= step).map(|(_, phase)| *phase)
}

/// Change over the last minute in ppm.
fn trend(path: &PricePath, market: usize, step: usize) -> i64 {
    let prices = &path.markets[market].prices;
    let (now, before) = (i128::from(prices[step]), i128::from(prices[step.saturating_sub(TREND_STEPS)]));
    i64::try_from((now - before) * 1_000_000 / before.max(1)).unwrap_or(0)
}
