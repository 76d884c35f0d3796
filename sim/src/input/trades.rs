//! Trade prints: one streaming reader per file, and a merge of several files by time.
//!
//! Columns: `exchange,symbol,timestamp,local_timestamp,id,side,price,amount`, timestamps in
//! microseconds. `exchange` and `local_timestamp` are not used. The merge holds no more than
//! [`LATE_MICROS_MAX`] of each file in memory, so a month of prints streams as well as an hour.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    path::{Path, PathBuf},
};

use super::{Rows, positive, positive_price};

const HEADER: &str = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount";
const COLUMNS: usize = 8;

/// 1973 to 2286 in microseconds: catches files in seconds, milliseconds or nanoseconds.
const MICROS_PLAUSIBLE: std::ops::Range<i64> = 100_000_000_000_000..10_000_000_000_000_000;

/// How far a row may lag behind the newest row of its own file. Venues print in order of arrival,
/// and their own timestamps may step back a little within it.
pub const LATE_MICROS_MAX: i64 = 60_000_000;

/// What the taker did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Took asks.
    Buy,
    /// Took bids.
    Sell,
}

/// One print.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trade {
    /// The venue's own time.
    pub unix_micros: i64,
    /// As the venue writes it.
    pub symbol: String,
    /// As the venue writes it.
    pub id: String,
    /// Of the taker.
    pub side: Side,
    /// Quote units per base unit, scaled by [`super::SCALE`].
    pub price: u64,
    /// Base units, scaled by [`super::SCALE`]. Wide: some coins trade in hundreds of millions.
    pub amount: u128,
}

/// The trades of one file, in the order of its rows.
pub struct TradeReader {
    rows: Rows,
}

impl TradeReader {
    /// Checks the header.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut rows = Rows::open(path)?;
        if !rows.advance()? {
            return Err(rows.fault(format!("empty file, expected header {HEADER}")));
        }
        if !rows.record.iter().eq(HEADER.split(',')) {
            return Err(rows.fault(format!("expected header {HEADER}")));
        }
        Ok(Self { rows })
    }

    fn read(&mut self) -> anyhow::Result<Option<Trade>> {
        if !self.rows.advance()? {
            return Ok(None);
        }
        let fields = self.rows.fields::<COLUMNS>()?;
        trade(fields).map(Some).map_err(|what| self.rows.fault(what))
    }
}

impl Iterator for TradeReader {
    type Item = anyhow::Result<Trade>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn trade([_, symbol, timestamp, _, id, side, price, amount]: [&str; COLUMNS]) -> Result<Trade, String> {
    if symbol.is_empty() {
        return Err("symbol is empty".into());
    }
    let unix_micros = timestamp.parse().map_err(|_| format!("timestamp {timestamp:?} is not a whole number"))?;
    if !MICROS_PLAUSIBLE.contains(&unix_micros) {
        return Err(format!("timestamp {timestamp} is not in microseconds"));
    }
    let side = match side {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        _ => return Err(format!("side {side:?} is neither buy nor sell")),
    };
    Ok(Trade {
        unix_micros,
        symbol: symbol.into(),
        id: id.into(),
        side,
        price: positive_price("price", price)?,
        amount: positive("amount", amount)?,
    })
}

/// Several files as one stream, ordered by time, then by file as given, then by row.
pub struct TradeStream {
    files: Vec<Source>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    last_micros: i64,
}

struct Source {
    reader: TradeReader,
    /// Newest time read so far; `i64::MAX` once the file has ended.
    newest_micros: i64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    unix_micros: i64,
    file: usize,
    row: u64,
    trade: Trade,
}

impl TradeStream {
    /// Checks every header before the first trade is read.
    pub fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let files = paths
            .iter()
            .map(|path| Ok(Source { reader: TradeReader::open(path)?, newest_micros: i64::MIN }))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { files, waiting: BinaryHeap::new(), last_micros: i64::MIN })
    }

    /// Reads from the file that lags most until the oldest waiting trade can no longer be preceded.
    fn read(&mut self) -> anyhow::Result<Option<Trade>> {
        loop {
            let lagging = (self.files.iter().map(|source| source.newest_micros))
                .enumerate()
                .min_by_key(|(_, newest)| *newest)
                .filter(|(_, newest)| *newest != i64::MAX);
            let oldest = self.waiting.peek().map(|Reverse(first)| first.unix_micros);
            match (lagging, oldest) {
                (Some((file, newest)), oldest)
                    if oldest.is_none_or(|oldest| newest < oldest.saturating_add(LATE_MICROS_MAX)) =>
                {
                    self.read_row(file)?;
                }
                _ => {
                    let first = self.waiting.pop().map(|Reverse(first)| first.trade);
                    self.last_micros = first.as_ref().map_or(self.last_micros, |t| t.unix_micros);
                    return Ok(first);
                }
            }
        }
    }

    fn read_row(&mut self, file: usize) -> anyhow::Result<()> {
        let Some(source) = self.files.get_mut(file) else {
            return Ok(());
        };
        let Some(trade) = source.reader.read()? else {
            source.newest_micros = i64::MAX;
            return Ok(());
        };
        let rows = &source.reader.rows;
        if trade.unix_micros < self.last_micros {
            let late = LATE_MICROS_MAX / 1_000_000;
            return Err(rows.fault(format!(
                "timestamp {} is more than {late} seconds behind earlier rows: sort the file",
                trade.unix_micros
            )));
        }
        source.newest_micros = source.newest_micros.max(trade.unix_micros);
        self.waiting.push(Reverse(Waiting { unix_micros: trade.unix_micros, file, row: rows.row, trade }));
        Ok(())
    }
}

impl Iterator for TradeStream {
    type Item = anyhow::Result<Trade>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::input::tests::{recording, scratch};

    const GOOD: &str = "gemini,BTCUSD,1760054406843000,1760054406899497,17136,buy,121758.75,0.01428928";

    fn file(name: &str, rows: &[&str]) -> PathBuf {
        scratch(name, format!("{HEADER}\n{}\n", rows.join("\n")).as_bytes())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    }

    fn error_of(path: &Path) -> String {
        let all = TradeReader::open(path).and_then(|rows| rows.collect::<anyhow::Result<Vec<_>>>());
        let error = format!("{:#}", all.expect_err("a faulty file"));
        let folder = path.parent().expect("folder").display().to_string();
        error.replace(&format!("{folder}/"), "")
    }

    #[test]
    fn reads_plain_and_gzip_alike_whatever_the_name() {
        let text = format!("{HEADER}\r\n{GOOD}\r\n");
        let plain = scratch("plain.csv.gz", text.as_bytes());
        let packed = scratch("packed.csv", &gzip(text.as_bytes()));
        for path in [plain, packed] {
            let trades: Vec<_> = TradeReader::open(&path).expect("opens").collect();
            let [Ok(trade)] = trades.as_slice() else {
                panic!("one good trade expected");
            };
            assert_eq!(trade.price, 121_758_750_000_000_000);
            assert_eq!(trade.amount, 14_289_280_000);
            assert_eq!((trade.side, trade.unix_micros), (Side::Buy, 1_760_054_406_843_000));
            assert_eq!((trade.symbol.as_str(), trade.id.as_str()), ("BTCUSD", "17136"));
        }
    }

    #[test]
    fn every_fault_names_file_and_row() {
        for (name, from, to, what) in [
            ("side", "buy", "hold", "side \"hold\" is neither buy nor sell"),
            ("price", "121758.75", "0", "price 0 is not positive"),
            ("negative", "121758.75", "-1.5", "price -1.5 is not positive"),
            ("text", "121758.75", "abc", "price \"abc\" is not a decimal number"),
            ("amount", "0.01428928", "0.0", "amount 0.0 is not positive"),
            ("none", "0.01428928", "", "amount \"\" is not a decimal number"),
            ("columns", ",0.01428928", "", "expected 8 columns, found 7"),
            ("symbol", "BTCUSD", "", "symbol is empty"),
            ("when", "1760054406843000", "noon", "timestamp \"noon\" is not a whole number"),
            ("millis", "1760054406843000", "1760054406843", "timestamp 1760054406843 is not in microseconds"),
        ] {
            let path = file(name, &[GOOD, &GOOD.replacen(from, to, 1)]);
            assert_eq!(error_of(&path), format!("{name}:3: {what}"));
        }
    }

    #[test]
    fn a_wrong_header_an_empty_file_and_a_cut_gzip_are_refused() {
        let swapped = HEADER.replace("price,amount", "amount,price");
        let path = scratch("swapped", swapped.as_bytes());
        assert_eq!(error_of(&path), format!("swapped:1: expected header {HEADER}"));
        let path = scratch("empty", b"");
        assert_eq!(error_of(&path), format!("empty:1: empty file, expected header {HEADER}"));
        let rows = [GOOD; 400].join("\n");
        let packed = gzip(format!("{HEADER}\n{rows}\n").as_bytes());
        let path = scratch("cut", &packed[..packed.len() - 9]);
        assert_eq!(error_of(&path), "cut:402: the gzip data is truncated");
        let path = scratch("latin1", &[HEADER.as_bytes(), b"\n\xff,\n"].concat());
        assert_eq!(error_of(&path), "latin1:2: the row is not UTF-8 text");
    }

    #[test]
    fn files_merge_by_time_then_file_then_row() {
        let row = |micros: i64, id: &str| format!("x,BTC,{micros},0,{id},sell,1,1");
        let base = 1_760_054_400_000_000;
        let first = file("first", &[&row(base + 5, "a1"), &row(base + 2, "a2"), &row(base + 9, "a3")]);
        let second = file("second", &[&row(base + 2, "b1"), &row(base + 2, "b2"), &row(base + 7, "b3")]);
        let order = |paths: &[PathBuf]| -> Vec<String> {
            let stream = TradeStream::open(paths).expect("opens");
            stream.map(|trade| trade.expect("good row").id).collect()
        };
        assert_eq!(order(&[first.clone(), second.clone()]), ["a2", "b1", "b2", "a1", "b3", "a3"]);
        assert_eq!(order(&[second, first]), ["b1", "b2", "a2", "a1", "b3", "a3"]);
        assert!(order(&[]).is_empty());
    }

    #[test]
    fn a_row_that_is_minutes_late_is_refused() {
        let row = |micros: i64| format!("x,BTC,{micros},0,1,sell,1,1");
        let base = 1_760_054_400_000_000;
        let rows = [base, base + 2 * LATE_MICROS_MAX, base - 1].map(row);
        let path = file("late", &rows.each_ref().map(String::as_str));
        let stream = TradeStream::open(&[path]).expect("opens");
        let error = stream.collect::<anyhow::Result<Vec<_>>>();
        let error = error.expect_err("late row").to_string();
        assert!(
            error.ends_with(
                "late:4: timestamp 1760054399999999 is more than 60 seconds behind earlier rows: sort the file"
            ),
            "{error}"
        );
    }

    #[test]
    #[ignore = "needs the recordings of 10 October 2025"]
    fn the_recorded_day_reads_whole_and_in_order() {
        let paths = ["BTC", "ETH", "SOL"].map(|coin| recording(&format!("gemini_trades_2025-10-10_{coin}USD.csv.gz")));
        let stream = TradeStream::open(&paths).expect("opens");
        let trades: Vec<_> = stream.collect::<anyhow::Result<_>>().expect("good rows");
        assert_eq!(trades.len(), 59_790);
        assert!(trades.is_sorted_by_key(|trade| trade.unix_micros));
    }
}
