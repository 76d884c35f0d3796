//! The first of two passes over the trade files: every row is checked before anything runs, and what markets and makers
//! must hold is measured.

use crate::{
    desk::{MarketSpec, QUOTE_DECIMALS},
    input::{
        SCALE,
        trades::{Side, Trade, TradeStream},
    },
};
use anyhow::{Result, ensure};
use std::path::PathBuf;

/// Price × amount, both scaled by [`SCALE`], in one quote atom.
const SCALED_PER_ATOM: u128 = SCALE as u128 * (SCALE / 10u64.pow(QUOTE_DECIMALS as u32)) as u128;
/// Pico price of a tick × pico size of a lot that make one quote atom.
const TICK_TIMES_LOT: u64 = SCALE * 10u64.pow(12 - QUOTE_DECIMALS as u32);
/// Ticks in the highest price seen, about; between this and its tenfold.
const TICKS_MIN: u64 = 316_228;
/// Room above the highest price seen.
const PRICE_ROOM: u64 = 10;
/// `price_max × position_max` stays below this, as a listing requires.
const NOTIONAL_BOUND: u64 = 1 << 62;
/// Bytes of a market's symbol.
const SYMBOL_MAX: usize = 16;

/// All trades.
#[derive(Debug, Default)]
pub struct Survey {
    pub symbols: Vec<Symbol>,
    pub trades: u64,
    pub first_micros: i64,
    pub last_micros: i64,
}

/// One symbol's trades; prices in 1e-12 quote units, values in atoms.
#[derive(Debug, Default)]
pub struct Symbol {
    pub name: String,
    pub trades: u64,
    pub price_max: u64,
    pub largest: u128,
    pub value: u128,
    /// Largest value that all buys up to a moment were above the sells, or the other way round.
    pub drift_max: u128,
    drift: i128,
}

impl Survey {
    /// Reads all files.
    pub fn of(paths: &[PathBuf]) -> Result<Self> {
        for path in paths {
            let piped = path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
            ensure!(!piped, "{}: is not a regular file, but is read twice", path.display());
        }
        let mut survey = Self::default();
        for trade in TradeStream::open(paths)? {
            survey.count(&trade?);
        }
        let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        ensure!(survey.trades > 0, "{}: no trades", names.join(", "));
        Ok(survey)
    }

    fn count(&mut self, trade: &Trade) {
        if self.trades == 0 {
            self.first_micros = trade.unix_micros;
        }
        self.last_micros = trade.unix_micros;
        self.trades += 1;
        let at = self.symbols.iter().position(|symbol| symbol.name == trade.symbol).unwrap_or(self.symbols.len());
        if at == self.symbols.len() {
            self.symbols.push(Symbol { name: trade.symbol.clone(), ..Symbol::default() });
        }
        self.symbols[at].count(trade);
    }
}

impl Symbol {
    fn count(&mut self, trade: &Trade) {
        // Saturated, as all sums here: they only size collateral and depth.
        let value = u128::from(trade.price).saturating_mul(trade.amount) / SCALED_PER_ATOM;
        let signed = i128::try_from(value).unwrap_or(i128::MAX);
        self.drift = match trade.side {
            Side::Buy => self.drift.saturating_add(signed),
            Side::Sell => self.drift.saturating_sub(signed),
        };
        self.trades += 1;
        self.price_max = self.price_max.max(trade.price);
        self.largest = self.largest.max(value);
        self.value = self.value.saturating_add(value);
        self.drift_max = self.drift_max.max(self.drift.unsigned_abs());
    }
}

/// The market to list for a symbol whose highest price is `price_max`: a known one where its prices fit, else with a tick
/// of about a millionth of the price and a lot that makes a tick of a lot one quote atom.
pub fn spec(symbol: &str, price_max: u64) -> MarketSpec {
    let base = ["USDT", "USDC", "USD"].iter().find_map(|quote| symbol.strip_suffix(quote)).unwrap_or(symbol);
    let known = match base {
        "BTC" => Some(MarketSpec::btc()),
        "ETH" => Some(MarketSpec::eth()),
        "SOL" => Some(MarketSpec::sol()),
        _ => None,
    };
    let fits = |spec: &MarketSpec| {
        let ticks = price_max / spec.tick_size;
        ticks >= TICKS_MIN / 100 && ticks < u64::from(spec.price_max) / 2
    };
    let name: String = format!("{symbol}-PERP").chars().take(SYMBOL_MAX).collect();
    match known.filter(fits) {
        Some(spec) => MarketSpec { symbol: name, ..spec },
        None => derived(name, price_max),
    }
}

fn derived(symbol: String, price_max: u64) -> MarketSpec {
    let mut tick_size = 1u64;
    while price_max / tick_size >= TICKS_MIN * 10 {
        tick_size *= 10;
    }
    let highest = (price_max / tick_size).saturating_mul(PRICE_ROOM);
    let ticks_max = u32::try_from(highest).unwrap_or(u32::MAX).max(1_000_000);
    let known = MarketSpec::sol();
    MarketSpec {
        symbol,
        tick_size,
        lot_size: TICK_TIMES_LOT / tick_size,
        price_max: ticks_max,
        position_max: known.position_max.min((NOTIONAL_BOUND - 1) / u64::from(ticks_max)),
        ..known
    }
}

/// An amount of base units, scaled by [`SCALE`], in lots: the nearest number, at least one.
pub fn lots(amount: u128, lot_size: u64) -> u64 {
    let lot = u128::from(lot_size);
    u64::try_from(amount.saturating_add(lot / 2) / lot).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_symbol_keeps_its_market_and_an_unknown_one_gets_a_fitting_one() {
        let bitcoin = spec("BTCUSD", 122_590 * SCALE);
        assert_eq!((bitcoin.symbol.as_str(), bitcoin.tick_size), ("BTCUSD-PERP", MarketSpec::btc().tick_size));
        for (symbol, price) in
            [("XRPUSD", 3 * SCALE), ("PEPEUSDT", 8_200_000), ("BTCUSD", 17_000_000 * SCALE), ("SHIB", 7), ("SOLUSD", 1)]
        {
            let spec = spec(symbol, price);
            assert_eq!(spec.tick_size as u128 * spec.lot_size as u128, u128::from(TICK_TIMES_LOT), "{symbol}");
            let ticks = price / spec.tick_size;
            assert!(ticks < TICKS_MIN * 10 && (ticks >= TICKS_MIN || spec.tick_size == 1), "{symbol}: {ticks}");
            assert!(u64::from(spec.price_max) > ticks, "{symbol}");
            assert!(u128::from(spec.price_max) * u128::from(spec.position_max) < u128::from(NOTIONAL_BOUND));
        }
    }

    #[test]
    fn amounts_become_the_nearest_lots_and_never_none() {
        assert_eq!([1, 14, 15, 16, 24, 25].map(|amount| lots(amount, 10)), [1, 1, 2, 2, 2, 3]);
        assert_eq!(lots(u128::MAX, 1), u64::MAX);
    }
}
