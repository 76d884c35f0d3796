//! One-minute (or any other) klines in Binance's format, and the index price they stand for.
//!
//! Both shapes that Binance publishes are read: with and without a header row, with times in
//! milliseconds or (since 2025) microseconds, told apart by their magnitude.

use std::path::Path;

use super::{Rows, decimal, positive_price};

const HEADER: &str =
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore";
const COLUMNS: usize = 12;

/// 1973 to 2286 in milliseconds; a thousand times that is microseconds.
const MILLIS_PLAUSIBLE: std::ops::Range<i64> = 100_000_000_000..10_000_000_000_000;

/// Prices are scaled by [`super::SCALE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kline {
    /// First millisecond of the kline.
    pub open_unix_millis: i64,
    /// First millisecond after the kline.
    pub end_unix_millis: i64,
    /// First price.
    pub open: u64,
    /// Highest price.
    pub high: u64,
    /// Lowest price.
    pub low: u64,
    /// Last price.
    pub close: u64,
    /// Base units, scaled by [`super::SCALE`]. Zero in files of index prices.
    pub volume: u128,
}

/// The klines of one market, in order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KlineSeries {
    /// From the file name or the argument.
    pub symbol: String,
    /// Never empty, never overlapping.
    pub klines: Vec<Kline>,
}

impl KlineSeries {
    /// Reads `PATH` or `SYMBOL=PATH`. Without a symbol, the leading letters and digits of the file
    /// name are it: `BTCUSD_PERP-1m-2025-10-10.csv` is BTCUSD.
    pub fn open(argument: &str) -> anyhow::Result<Self> {
        let explicit = argument.split_once('=').filter(|(symbol, _)| is_symbol(symbol));
        let (symbol, path) = explicit.unwrap_or_else(|| (symbol_of(argument), argument));
        let mut rows = Rows::open(Path::new(path))?;
        if symbol.is_empty() {
            return Err(rows.fault("the file name has no symbol: say SYMBOL=PATH"));
        }
        let klines = read(&mut rows)?;
        Ok(Self { symbol: symbol.into(), klines })
    }

    /// First millisecond covered.
    pub fn start_unix_millis(&self) -> i64 {
        self.klines.first().map_or(0, |first| first.open_unix_millis)
    }

    /// First millisecond no longer covered.
    pub fn end_unix_millis(&self) -> i64 {
        self.klines.last().map_or(0, |last| last.end_unix_millis)
    }

    /// The index price at a time: along the kline that covers it, or the last close in a gap and
    /// after the end. None before the first kline.
    pub fn index_at(&self, unix_millis: i64) -> Option<u64> {
        let after = self.klines.partition_point(|kline| kline.open_unix_millis <= unix_millis);
        let kline = self.klines.get(after.checked_sub(1)?)?;
        Some(kline.price_at(unix_millis))
    }
}

impl Kline {
    /// The four known prices in the order assumed: a rising kline dips first, a falling one
    /// peaks first. That is the order with the shortest way, and the same on every run.
    pub fn waypoints(&self) -> [u64; 4] {
        if self.close >= self.open {
            [self.open, self.low, self.high, self.close]
        } else {
            [self.open, self.high, self.low, self.close]
        }
    }

    /// Straight lines between the waypoints, a third of the kline each.
    fn price_at(&self, unix_millis: i64) -> u64 {
        let length = i128::from(self.end_unix_millis - self.open_unix_millis);
        let elapsed = i128::from(unix_millis - self.open_unix_millis).clamp(0, length);
        let thirds = elapsed * 3;
        let [open, first, second, close] = self.waypoints();
        let (from, to) = match thirds / length {
            0 => (open, first),
            1 => (first, second),
            2 => (second, close),
            _ => return close,
        };
        let (from, to) = (i128::from(from), i128::from(to));
        let price = from + (to - from) * (thirds % length) / length;
        u64::try_from(price).unwrap_or(self.close)
    }
}

fn is_symbol(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn symbol_of(path: &str) -> &str {
    let name = Path::new(path).file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.split(|letter: char| !letter.is_ascii_alphanumeric()).next()).unwrap_or("")
}

fn read(rows: &mut Rows) -> anyhow::Result<Vec<Kline>> {
    let mut klines: Vec<Kline> = Vec::new();
    while rows.advance()? {
        let fields = rows.fields::<COLUMNS>()?;
        if klines.is_empty() && rows.row == 1 && !fields[0].bytes().any(|byte| byte.is_ascii_digit()) {
            if !fields.into_iter().eq(HEADER.split(',')) {
                return Err(rows.fault(format!("expected header {HEADER}")));
            }
            continue;
        }
        let kline = kline(fields).map_err(|what| rows.fault(what))?;
        if klines.last().is_some_and(|last| kline.open_unix_millis < last.end_unix_millis) {
            return Err(rows.fault(format!("open_time {} overlaps the row before", fields[0])));
        }
        klines.push(kline);
    }
    if klines.is_empty() {
        return Err(rows.fault("no klines"));
    }
    Ok(klines)
}

fn kline(fields: [&str; COLUMNS]) -> Result<Kline, String> {
    let [open_time, open, high, low, close, volume, close_time, ..] = fields;
    let kline = Kline {
        open_unix_millis: unix_millis("open_time", open_time)?,
        end_unix_millis: unix_millis("close_time", close_time)? + 1,
        open: positive_price("open", open)?,
        high: positive_price("high", high)?,
        low: positive_price("low", low)?,
        close: positive_price("close", close)?,
        volume: decimal("volume", volume)?,
    };
    if kline.end_unix_millis - 1 <= kline.open_unix_millis {
        return Err(format!("close_time {close_time} is not after open_time {open_time}"));
    }
    for (name, text, price) in [("open", open, kline.open), ("close", close, kline.close)] {
        if price < kline.low || price > kline.high {
            return Err(format!("{name} {text} is outside low {low} to high {high}"));
        }
    }
    Ok(kline)
}

fn unix_millis(name: &str, text: &str) -> Result<i64, String> {
    let time: i64 = text.parse().map_err(|_| format!("{name} {text:?} is not a whole number"))?;
    [time, time / 1_000]
        .into_iter()
        .find(|millis| MILLIS_PLAUSIBLE.contains(millis))
        .ok_or_else(|| format!("{name} {text} is neither in milliseconds nor in microseconds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{
        SCALE,
        tests::{recording, scratch},
    };

    const UP: &str = "1760054400000,100,130,90,120,0,1760054459999,0,60,0,0,0";
    const DOWN: &str = "1760054460000,120,126,96,102,1.5,1760054519999,0,60,0,0,0";

    fn open(name: &str, text: &str) -> Result<KlineSeries, String> {
        let path = scratch(name, text.as_bytes());
        let folder = format!("{}/", path.parent().expect("folder").display());
        KlineSeries::open(&path.display().to_string()).map_err(|error| format!("{error:#}").replace(&folder, ""))
    }

    #[test]
    fn reads_with_and_without_header_in_millis_and_micros() {
        let plain = open("BTCUSD_PERP-1m-2025-10-10.csv", &format!("{HEADER}\n{UP}\n{DOWN}\n")).expect("reads");
        assert_eq!(plain.symbol, "BTCUSD");
        assert_eq!(plain.klines.len(), 2);
        assert_eq!(plain.klines[1].volume, 1_500_000_000_000);
        let bare = open("ETHUSDT-1m.csv", &format!("{UP}\n{DOWN}\n")).expect("reads");
        assert_eq!((bare.symbol.as_str(), &bare.klines), ("ETHUSDT", &plain.klines));
        let micros = format!("{UP}\n{DOWN}\n").replace("00000,1", "00000000,1").replace("59999,", "59999999,");
        let micros = micros.replace("60000,1", "60000000,1").replace("19999,", "19999999,");
        assert_eq!(open("BTCUSD-1m.csv", &micros).expect("reads").klines, plain.klines);
        let path = scratch("spot.csv", UP.as_bytes());
        let named = KlineSeries::open(&format!("SOLUSD={}", path.display())).expect("reads");
        assert_eq!(named.symbol, "SOLUSD");
    }

    #[test]
    fn every_fault_names_file_and_row() {
        for (from, to, what) in [
            ("126", "119", "open 120 is outside low 96 to high 119"),
            ("102", "95", "close 95 is outside low 96 to high 126"),
            ("1760054460000", "1760054459000", "open_time 1760054459000 overlaps the row before"),
            ("1760054460000", "1760054460", "open_time 1760054460 is neither in milliseconds nor in microseconds"),
            ("1760054519999", "1760054460000", "close_time 1760054460000 is not after open_time 1760054460000"),
            (",0,0,0", "", "expected 12 columns, found 9"),
            ("1.5", "many", "volume \"many\" is not a decimal number"),
            ("96", "-1", "low -1 is not positive"),
        ] {
            let text = format!("{HEADER}\n{UP}\n{}\n", DOWN.replacen(from, to, 1));
            assert_eq!(open("A.csv", &text), Err(format!("A.csv:3: {what}")));
        }
        let header = HEADER.replace("open_time", "opened");
        assert_eq!(open("A.csv", &header), Err(format!("A.csv:1: expected header {HEADER}")));
        assert_eq!(open("A.csv", HEADER), Err("A.csv:1: no klines".into()));
        let nameless = Err("_.csv:1: the file name has no symbol: say SYMBOL=PATH".into());
        assert_eq!(open("_.csv", UP), nameless);
    }

    #[test]
    fn the_index_visits_every_waypoint_and_holds_in_gaps() {
        let text = format!("{UP}\n{DOWN}\n").replace("1760054460000", "1760054490000");
        let series = open("BTC.csv", &text).expect("reads");
        let start = series.start_unix_millis();
        let at = |seconds: i64| series.index_at(start + seconds * 1_000).map(|price| price / SCALE);
        assert_eq!(series.index_at(start - 1), None);
        assert_eq!([0, 10, 20, 40, 60, 89].map(at), [100, 95, 90, 130, 120, 120].map(Some));
        assert_eq!([90, 100, 110, 120, 500].map(at), [120, 126, 96, 102, 102].map(Some));
    }

    #[test]
    #[ignore = "needs the recordings of 10 October 2025"]
    fn the_recorded_day_falls_to_its_known_low() {
        let path = recording("BTCUSD_PERP-1m-2025-10-10.csv");
        let series = KlineSeries::open(&path.display().to_string()).expect("reads");
        assert_eq!((series.symbol.as_str(), series.klines.len()), ("BTCUSD", 1_440));
        let low = series.klines.iter().map(|kline| kline.low).min();
        assert_eq!(low, Some(102_497_485_134_030_000));
    }
}
