//! Recorded trades as they happened: every one becomes a market order of its side and size, and what was paid drives the
//! oracles.
//!
//! * Prints of one slot are one moment of the chain. The index of that moment is the kline's, where a kline file covers
//!   it, else the volume-weighted mean of the symbol's prints in the slot.
//! * Sizes are rounded to lots, the nearest number, at least one. Nothing is skipped.
//! * Takers deposit what an order needs before they send it, so that the order meets the book and not a margin check.

use super::{
    Options, Outcome, bets,
    driver::Driver,
    outcome::Story,
    survey::{self, Survey, Symbol},
};
use crate::{
    actors::{maker::Style, taker},
    chain::SlotTime,
    desk::DeskConfig,
    floor::{Floor, MarginCall, Role, dollars},
    input::{
        klines::KlineSeries,
        trades::{Side as TradeSide, Trade, TradeStream},
    },
    report::{self, integer},
};
use anyhow::{Context, Result, bail, ensure};
use quantdesk_client::engine::Side;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{iter::Peekable, path::PathBuf};

/// Time between two looks at the klines and two chart points.
const TICK_MILLIS: i64 = 5_000;
/// Without klines nothing happens between prints: of a longer pause only its end is walked through.
const PAUSE_MILLIS: i64 = 60_000;

const TAKERS: u32 = 12;
const TAKER_DEPOSIT: u64 = 1_000_000_000_000;
/// What a maker starts with, per atom of its first level: its whole depth is a small part of it.
const MAKER_DEPOSIT_FACTOR: u64 = 200;
const FIRST_LEVEL_MIN: u64 = 25_000_000_000;
/// All makers' first levels, as a part of the largest trade: a side holds some forty of them.
const LARGEST_TRADE_DIVISOR: u128 = 20;
/// Makers that share what the takers leave.
const MAKERS: u128 = 4;
const INVENTORY_MIN: u128 = 1_000_000_000_000;

/// Without caution: recorded trades are to be filled.
const BASE: Style =
    Style { levels: 0, half_spread: 0, step: 0, requote: 0, skew: 0, size: 0, inventory: 0, caution: 0 };
/// Makers of each market; distances in ppm.
const STYLES: [(&str, Style); 3] = [
    ("tight", Style { levels: 4, half_spread: 200, step: 150, requote: 150, skew: 200, ..BASE }),
    ("middle", Style { levels: 4, half_spread: 400, step: 300, requote: 300, skew: 300, ..BASE }),
    ("deep", Style { levels: 5, half_spread: 1_000, step: 1_000, requote: 800, skew: 500, ..BASE }),
];
/// The one that quotes every market on the same collateral.
const EVERYWHERE: Style = Style { levels: 3, half_spread: 300, step: 250, requote: 250, skew: 200, ..BASE };

/// High enough that no jump of one slot wipes out an account. Leveraged traders are not called but liquidated.
const CALL: MarginCall = MarginCall { roles: &[Role::Maker, Role::Taker], below: 400, target: 800 };
/// Traders with one leveraged bet each.
const BETS: u32 = 90;
/// Part of the recorded time in which bets are made, in percent.
const BETTING_PERCENT: i64 = 80;
/// Collateral of the liquidators, the backstop last.
const LIQUIDATORS: [u64; 3] = [300_000_000_000, 300_000_000_000, 2_000_000_000_000];
/// Stakes in the pool.
const STAKES: [u64; 4] = [100_000_000_000, 60_000_000_000, 25_000_000_000, 15_000_000_000];

/// A replay under way.
struct Replay {
    driver: Driver,
    symbols: Vec<String>,
    klines: Vec<Option<KlineSeries>>,
    takers: Vec<usize>,
    rng: ChaCha8Rng,
    next_tick: i64,
    sent: u64,
}

/// Replays trade files, with index prices out of kline files (`PATH` or `SYMBOL=PATH`) where given.
pub fn run(options: &Options, trades: &[PathBuf], klines: &[String]) -> Result<Outcome> {
    let klines = merge(klines.iter().map(|argument| KlineSeries::open(argument)).collect::<Result<_>>()?)?;
    let survey = Survey::of(trades)?;
    let mut replay = open(options, &survey, klines)?;
    let started_unix = replay.driver.floor.desk.chain.unix_seconds();
    let bar = options.bar(survey.trades, "trades");
    let mut stream = TradeStream::open(trades)?.peekable();
    while let Some(millis) = next_millis(&mut stream)? {
        bar.inc(replay.slot(&mut stream, millis)?);
    }
    bar.finish_and_clear();
    ensure!(replay.sent == survey.trades, "{} trades read, {} sent", survey.trades, replay.sent);
    let story = Story {
        title: format!("Replay of {} trades", integer(survey.trades)),
        inputs: inputs(trades, &replay.klines),
        notes: notes(&replay, &survey),
        seed: options.seed,
        started_unix,
    };
    super::outcome::close(replay.driver, story)
}

fn notes(replay: &Replay, survey: &Survey) -> Vec<String> {
    let tally = &replay.driver.floor.journal.tally;
    let recorded = survey.symbols.iter().map(|symbol| symbol.value).sum();
    vec![
        format!("{} of {} trades replayed", integer(replay.sent), integer(survey.trades)),
        format!("they were worth {}, their fills {}; sizes are whole lots", usd(recorded), usd(tally.volume)),
    ]
}

fn usd(atoms: u128) -> String {
    report::usd(dollars(i128::try_from(atoms).unwrap_or(i128::MAX)))
}

fn inputs(trades: &[PathBuf], klines: &[Option<KlineSeries>]) -> Vec<String> {
    let files = trades.iter().map(|path| path.display().to_string());
    let series = klines.iter().flatten().map(|series| format!("klines of {}", series.symbol));
    files.chain(series).collect()
}

/// One series per symbol, in order of time.
fn merge(mut series: Vec<KlineSeries>) -> Result<Vec<KlineSeries>> {
    series.sort_by_key(KlineSeries::start_unix_millis);
    let mut merged: Vec<KlineSeries> = Vec::new();
    for next in series {
        match merged.iter_mut().find(|known| known.symbol == next.symbol) {
            Some(known) if known.end_unix_millis() > next.start_unix_millis() => {
                bail!("two kline files of {} overlap in time", next.symbol)
            }
            Some(known) => known.klines.extend(next.klines),
            None => merged.push(next),
        }
    }
    Ok(merged)
}

/// Time of the next print.
fn next_millis(stream: &mut Peekable<TradeStream>) -> Result<Option<i64>> {
    match stream.peek() {
        Some(Ok(trade)) => Ok(Some(trade.unix_micros.div_euclid(1_000))),
        Some(Err(_)) => stream.next().transpose().map(|_| None),
        None => Ok(None),
    }
}

fn open(options: &Options, survey: &Survey, klines: Vec<KlineSeries>) -> Result<Replay> {
    let first_millis = survey.first_micros.div_euclid(1_000);
    let slot_time = SlotTime { millis: options.slot_millis };
    let config = DeskConfig {
        unix_millis: first_millis.div_euclid(1_000) * 1_000,
        slot_time,
        policy: super::POLICY,
        ..DeskConfig::default()
    };
    let mut floor = Floor::new(config, options.seed)?;
    let mut symbols: Vec<String> = survey.symbols.iter().map(|symbol| symbol.name.clone()).collect();
    let mut series: Vec<_> = symbols.iter().map(|_| None).collect();
    for klines in klines {
        if let Some(at) = symbols.iter().position(|symbol| *symbol == klines.symbol) {
            series[at] = Some(klines);
        } else {
            symbols.push(klines.symbol.clone());
            series.push(Some(klines));
        }
    }
    for (market, symbol) in symbols.iter().enumerate() {
        let printed = survey.symbols.get(market).map_or(0, |symbol| symbol.price_max);
        let klines = series[market].iter().flat_map(|series: &KlineSeries| &series.klines);
        let highest = klines.map(|kline| kline.high).fold(printed, u64::max);
        floor.list(&survey::spec(symbol, highest))?;
    }
    let mut driver = Driver::new(floor, CALL);
    employ(&mut driver, survey, &symbols)?;
    let takers = (1..=TAKERS).map(|number| driver.floor.open(Role::Taker, format!("taker {number}"), TAKER_DEPOSIT));
    let takers = takers.collect::<Result<_>>()?;
    driver.protect(&LIQUIDATORS, &STAKES)?;
    let start = first_millis.div_euclid(1_000);
    let betting = (survey.last_micros.div_euclid(1_000_000) - start) * BETTING_PERCENT / 100;
    // Symbols without trades may have no price.
    bets::enlist(&mut driver, options.seed, BETS, survey.symbols.len(), start..start + betting.max(1))?;
    let rng = ChaCha8Rng::seed_from_u64(options.seed);
    Ok(Replay { driver, symbols, klines: series, takers, rng, next_tick: first_millis, sent: 0 })
}

/// Makers deep enough for the largest trade of their market.
fn employ(driver: &mut Driver, survey: &Survey, symbols: &[String]) -> Result<()> {
    let unknown = Symbol::default();
    let mut everywhere = fitted(EVERYWHERE, &unknown);
    for (market, name) in symbols.iter().enumerate() {
        let symbol = survey.symbols.get(market).unwrap_or(&unknown);
        for (kind, style) in STYLES {
            let style = fitted(style, symbol);
            driver.employ(format!("{name} {kind}"), style, &[market], style.size * MAKER_DEPOSIT_FACTOR)?;
        }
        let style = fitted(EVERYWHERE, symbol);
        everywhere = if style.size > everywhere.size { style } else { everywhere };
    }
    let markets: Vec<_> = (0..symbols.len()).collect();
    driver.employ("cross-margin".into(), everywhere, &markets, everywhere.size * MAKER_DEPOSIT_FACTOR)
}

fn fitted(style: Style, symbol: &Symbol) -> Style {
    let size = u64::try_from(symbol.largest / LARGEST_TRADE_DIVISOR).unwrap_or(u64::MAX / MAKER_DEPOSIT_FACTOR);
    let inventory = (symbol.drift_max / MAKERS).max(INVENTORY_MIN);
    Style {
        size: size.clamp(FIRST_LEVEL_MIN, u64::MAX / MAKER_DEPOSIT_FACTOR),
        inventory: u64::try_from(inventory).unwrap_or(u64::MAX),
        ..style
    }
}

impl Replay {
    /// Everything up to and including the slot in which the next print, at `millis`, falls. Returns how many trades.
    fn slot(&mut self, stream: &mut Peekable<TradeStream>, millis: i64) -> Result<u64> {
        self.walk_to(millis)?;
        self.driver.floor.desk.chain.advance_to(millis);
        let now = self.driver.floor.desk.chain.unix_millis();
        let mut prints: Vec<(usize, Trade)> = Vec::new();
        while next_millis(stream)?.is_some_and(|millis| millis <= now) {
            let trade = stream.next().context("just seen")??;
            let market = self.symbols.iter().position(|symbol| *symbol == trade.symbol);
            prints.push((market.with_context(|| format!("the files changed: {} is new", trade.symbol))?, trade));
        }
        for market in 0..self.symbols.len() {
            let mean = mean_price(prints.iter().filter(|(at, _)| *at == market).map(|(_, trade)| trade));
            if let Some(price) = self.kline_price(market, now).or(mean) {
                self.driver.keeper.observe(market, price);
            }
        }
        self.driver.follow(true)?;
        if self.driver.keeper.knows_all() {
            self.driver.bet()?;
        }
        for (market, trade) in &prints {
            self.take(*market, trade)?;
        }
        Ok(prints.len() as u64)
    }

    /// Lets the time before a print pass: klines move the boards, charts get their points.
    fn walk_to(&mut self, millis: i64) -> Result<()> {
        let recorded = self.klines.iter().any(Option::is_some);
        if !recorded && millis - self.next_tick > PAUSE_MILLIS {
            self.next_tick = millis - PAUSE_MILLIS;
        }
        while self.next_tick < millis {
            self.driver.floor.desk.chain.advance_to(self.next_tick);
            let now = self.driver.floor.desk.chain.unix_millis();
            for market in 0..self.symbols.len() {
                if let Some(price) = self.kline_price(market, now) {
                    self.driver.keeper.observe(market, price);
                }
            }
            self.driver.follow(false)?;
            self.driver.sample()?;
            self.next_tick += TICK_MILLIS;
        }
        Ok(())
    }

    /// Index out of a kline file, while it covers the time.
    fn kline_price(&self, market: usize, millis: i64) -> Option<u64> {
        let series = self.klines[market].as_ref().filter(|series| millis < series.end_unix_millis())?;
        series.index_at(millis)
    }

    fn take(&mut self, market: usize, trade: &Trade) -> Result<()> {
        let floor = &mut self.driver.floor;
        let account = self.takers[self.rng.random_range(0..TAKERS) as usize];
        let lots = survey::lots(trade.amount, floor.row(market)?.lot_size);
        let side = match trade.side {
            TradeSide::Buy => Side::Bid,
            TradeSide::Sell => Side::Ask,
        };
        let taken = taker::take_funded(floor, account, market, side, lots)?;
        self.sent += 1;
        if taken.filled < lots {
            let what = if taken.refused { "refused" } else { "unfilled" };
            floor.mark_event(market, what, format!("trade {}: {} of {lots} lots", trade.id, taken.filled))?;
        }
        self.driver.makers.requote(&mut self.driver.floor, market)
    }
}

/// Volume-weighted mean, rounded down; `None` without trades.
fn mean_price<'a>(trades: impl Iterator<Item = &'a Trade> + Clone) -> Option<u64> {
    let volume = trades.clone().map(|trade| trade.amount).fold(0, u128::saturating_add);
    let first = trades.clone().next()?.price;
    // Sums of distances from the first price, which are small, so that the products fit.
    let mut above = 0u128;
    let mut below = 0u128;
    for trade in trades {
        let weighted = u128::from(trade.price.abs_diff(first)).saturating_mul(trade.amount);
        let sum = if trade.price >= first { &mut above } else { &mut below };
        *sum = sum.saturating_add(weighted);
    }
    let up = u64::try_from(above.saturating_sub(below) / volume.max(1)).unwrap_or(0);
    let down = u64::try_from(below.saturating_sub(above).div_ceil(volume.max(1))).unwrap_or(0);
    Some(first.saturating_add(up).saturating_sub(down))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_of_a_slot_weigh_by_their_size() {
        let trade = |price: u64, amount: u128| Trade {
            unix_micros: 0,
            symbol: String::new(),
            id: String::new(),
            side: TradeSide::Buy,
            price,
            amount,
        };
        let mean = |trades: &[Trade]| mean_price(trades.iter());
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[trade(100, 7)]), Some(100));
        assert_eq!(mean(&[trade(100, 3), trade(200, 1)]), Some(125));
        assert_eq!(mean(&[trade(200, 1), trade(100, 3)]), Some(125));
        assert_eq!(mean(&[trade(1, 3), trade(0, 1)]), Some(0));
    }
}
