//! Recorded market data: trade prints and klines, read exactly.
//!
//! Prices and amounts become integers scaled by [`SCALE`]; no recorded figure passes through a
//! float. Every fault is one line `FILE:ROW: what`, where ROW is the line in the unpacked file
//! (so a header is row 1) and an editor opened at that line shows the offending text. A file that
//! cannot be opened has no row: `FILE: what`.

pub mod klines;
pub mod trades;

use std::{
    fs::File,
    io::{BufReader, Cursor, Read},
    path::Path,
};

use anyhow::{Context, anyhow, bail};
use csv::{ReaderBuilder, StringRecord, Trim};
use flate2::read::MultiGzDecoder;

/// Decimal places kept of every price and amount.
pub const DECIMALS: u32 = 12;
/// 1.0 in scaled integers.
pub const SCALE: u64 = 10u64.pow(DECIMALS);

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZIP_MAGIC: [u8; 2] = *b"PK";

/// The rows of one CSV file, plain or gzip, with the row number of the current one.
struct Rows {
    file: String,
    reader: csv::Reader<Box<dyn Read>>,
    record: StringRecord,
    row: u64,
}

impl Rows {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let file = path.display().to_string();
        let bytes = unpacked(path).with_context(|| file.clone());
        // One line, not a chain: the cause belongs to the same sentence.
        let bytes = bytes.map_err(|error| anyhow!("{error:#}"))?;
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(bytes);
        Ok(Self { file, reader, record: StringRecord::new(), row: 1 })
    }

    /// Moves to the next row. False at the end of the file.
    fn advance(&mut self) -> anyhow::Result<bool> {
        let more = self.reader.read_record(&mut self.record);
        let position = match &more {
            Ok(true) => self.record.position(),
            Ok(false) => None,
            Err(error) => error.position(),
        };
        self.row = position.unwrap_or(self.reader.position()).line();
        more.map_err(|error| self.fault(unreadable(&error)))
    }

    /// The current row as exactly `N` fields.
    fn fields<const N: usize>(&self) -> anyhow::Result<[&str; N]> {
        if self.record.len() != N {
            return Err(self.fault(format!("expected {N} columns, found {}", self.record.len())));
        }
        let mut fields = [""; N];
        for (field, text) in fields.iter_mut().zip(&self.record) {
            *field = text;
        }
        Ok(fields)
    }

    fn fault(&self, what: impl std::fmt::Display) -> anyhow::Error {
        anyhow!("{}:{}: {what}", self.file, self.row)
    }
}

/// The bytes of a file, unpacked if its first bytes are those of gzip, whatever its name is.
fn unpacked(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    let mut file = File::open(path).context("cannot be opened")?;
    let mut magic = Vec::with_capacity(GZIP_MAGIC.len());
    file.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut magic).context("cannot be read")?;
    let packed = magic == GZIP_MAGIC;
    if magic == ZIP_MAGIC {
        bail!("is a zip archive: unpack it first");
    }
    let bytes = Cursor::new(magic).chain(BufReader::new(file));
    Ok(if packed { Box::new(MultiGzDecoder::new(bytes)) } else { Box::new(bytes) })
}

fn unreadable(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => "the gzip data is truncated".into(),
        csv::ErrorKind::Io(io) => format!("cannot be read: {io}"),
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8 text".into(),
        _ => error.to_string(),
    }
}

/// A decimal above zero, scaled by [`SCALE`].
fn positive(name: &str, text: &str) -> Result<u128, String> {
    match decimal(name, text)? {
        0 => Err(format!("{name} {text} is not positive")),
        value => Ok(value),
    }
}

/// A decimal above zero that fits the 64 bits of a price: below 18.4 million.
fn positive_price(name: &str, text: &str) -> Result<u64, String> {
    u64::try_from(positive(name, text)?).map_err(|_| format!("{name} {text} is too large"))
}

/// A decimal of zero or more, scaled by [`SCALE`] without rounding. Exponents are read because
/// recorded files hold amounts like `8.2e-7`.
fn decimal(name: &str, text: &str) -> Result<u128, String> {
    let malformed = || format!("{name} {text:?} is not a decimal number");
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().map_err(|_| malformed())?),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = whole.trim_start_matches('-');
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    if negative {
        return Err(format!("{name} {text} is not positive"));
    }
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    // value = significant × 10^shift, in units of 10^-DECIMALS.
    let dropped = digits.len() as i64 - significant.len() as i64;
    let shift = DECIMALS as i64 + i64::from(exponent) - fraction.len() as i64 + dropped;
    let shift = u32::try_from(shift).map_err(|_| format!("{name} {text} has more than {DECIMALS} decimals"))?;
    significant
        .parse::<u128>()
        .ok()
        .zip(10u128.checked_pow(shift))
        .and_then(|(value, power)| value.checked_mul(power))
        .ok_or_else(|| format!("{name} {text} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, scaled) in [
            ("121758.75", 121_758_750_000_000_000),
            ("0.000000000001", 1),
            ("8.2e-7", 820_000),
            ("1E+3", 1_000_000_000_000_000),
            (".5", 500_000_000_000),
            ("7.", 7_000_000_000_000),
            ("1.00000000000000000", 1_000_000_000_000),
            ("000.100", 100_000_000_000),
            ("0.0", 0),
        ] {
            assert_eq!(decimal("price", text), Ok(scaled), "{text}");
        }
    }

    #[test]
    fn bad_decimals_say_why() {
        for (text, why) in [
            ("", "price \"\" is not a decimal number"),
            ("-", "price \"-\" is not a decimal number"),
            ("--1", "price --1 is not positive"),
            ("1,5", "price \"1,5\" is not a decimal number"),
            ("NaN", "price \"NaN\" is not a decimal number"),
            ("1e", "price \"1e\" is not a decimal number"),
            ("1.2.3", "price \"1.2.3\" is not a decimal number"),
            ("0.0000000000001", "price 0.0000000000001 has more than 12 decimals"),
            ("1e40", "price 1e40 is too large"),
            ("18446745", "price 18446745 is too large"),
            ("0", "price 0 is not positive"),
            ("-3.5", "price -3.5 is not positive"),
        ] {
            assert_eq!(positive_price("price", text), Err(why.into()), "{text}");
        }
    }

    #[test]
    fn a_missing_file_and_a_zip_are_one_clear_line() {
        let missing = Rows::open(Path::new("no/such.csv")).err().map(|e| e.to_string());
        assert_eq!(missing.as_deref(), Some("no/such.csv: cannot be opened: No such file or directory (os error 2)"));
        let path = scratch("archive.zip", b"PK\x03\x04rest");
        let zip = Rows::open(&path).err().map(|e| e.to_string());
        assert_eq!(zip, Some(format!("{}: is a zip archive: unpack it first", path.display())));
    }

    /// A file of the recorded day. It is never copied into the project: say where it is.
    pub(super) fn recording(name: &str) -> std::path::PathBuf {
        let folder = std::env::var_os("QUANTDESK_RECORDINGS").expect("QUANTDESK_RECORDINGS=folder");
        Path::new(&folder).join(name)
    }

    /// A file of the given bytes under the system's temporary folder.
    pub(super) fn scratch(name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("quantdesk-input-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("temporary folder");
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("temporary file");
        path
    }
}
