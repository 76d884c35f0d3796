//! Parsers of oracle accounts: is this the account of the configured source, and which price does it hold?
//!
//! * [`pyth`] — `PriceUpdateV2` of both receiver programs.
//! * [`switchboard`] — On-Demand pull feeds.
//!
//! Both overlay the account with a struct of byte arrays, which fits at any alignment, and return prices in 1e-12
//! quote units. Age, width and distance are the engine's part (`risk::price`).

use crate::Refusal;
use quantdesk_engine::{
    EngineError, PicoPrice, Result, UnixSeconds,
    math::{self, Wide},
    risk::price::SourcePrice,
    state::{Key, OracleSource, SourceKind},
};

pub mod pyth;
pub mod switchboard;

/// An account that was passed as a source's.
#[derive(Clone, Copy, Debug)]
pub struct OracleAccount<'a> {
    /// Its address.
    pub address: Key,
    /// The program that owns it.
    pub owner: Key,
    /// Its bytes.
    pub data: &'a [u8],
}

/// The price of `source` in `account`.
///
/// The outer error says that this is not the account of the source and refuses the instruction: `OracleWrongOwner`,
/// `OracleWrongAccount`, `OracleWrongType`, `OracleWrongFeed`, `OracleWrongQueue`, `OracleNotVerified` or
/// `OracleWritable`. The inner one says that it is, but that its price does not count: `OraclePriceInvalid`,
/// `OracleSamplesTooFew`, or `OracleStale` if the price has no date.
#[inline(always)]
pub fn read(source: &OracleSource, account: &OracleAccount<'_>) -> core::result::Result<Result<SourcePrice>, Refusal> {
    match SourceKind::from_byte(source.kind) {
        Some(SourceKind::Pyth) => pyth::read(source, account, &pyth::RECEIVER),
        Some(SourceKind::PythPro) => pyth::read(source, account, &pyth::RECEIVER_PRO),
        Some(SourceKind::Switchboard) => switchboard::read(source, account),
        // A listing takes known kinds only.
        None => Err(Refusal::OracleWrongType),
    }
}

/// `⌊price / divisor⌋ ± ⌈confidence / divisor⌉`. Fails with `OraclePriceInvalid` if the price is zero or one of them
/// needs more than 64 bits.
#[inline(always)]
fn in_pico(price: Wide, confidence: Wide, divisor: u64, publish_time: UnixSeconds) -> Result<SourcePrice> {
    let (Ok((price, _)), Ok((confidence, rest))) =
        (math::wide_div_rem(price, divisor), math::wide_div_rem(confidence, divisor))
    else {
        return Err(EngineError::OraclePriceInvalid);
    };
    let rounded_up = confidence.checked_add(u64::from(rest != 0));
    match (price, rounded_up) {
        (1.., Some(confidence)) => {
            Ok(SourcePrice { price: PicoPrice::new(price), confidence: PicoPrice::new(confidence), publish_time })
        }
        _ => Err(EngineError::OraclePriceInvalid),
    }
}
