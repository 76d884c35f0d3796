//! Pyth Lazer messages: prices of many feeds, signed by one publisher that Pyth's own program trusts, and carried in an
//! ed25519 instruction by whoever updates the market.
//!
//! Layout: `payload.rs` of pyth-lazer-protocol 0.47 and the account `Storage` of pyth-lazer-solana-contract 0.11. The
//! payload is the signed message; key and signature stand beside it in the ed25519 instruction. Its properties are
//! those somebody subscribed to: each has a number and then a value of that property's own length, so a number that is
//! not known here makes the rest unreadable.

use super::{Moment, OracleAccount, ed25519, pyth::from_decimal};
use crate::Refusal;
use bytemuck::{Pod, Zeroable};
use pinocchio::Address;
use quantdesk_engine::{EngineError, Result, UnixSeconds, risk::price::SourcePrice, state::OracleSource};

/// The Lazer program.
pub const PROGRAM: Address = Address::from_str_const("pytd2yyk641x7ak7mkaasSJVXh6YYZnC7wTmtgAyxPt");
/// The account in which it keeps whom to trust.
pub const STORAGE: Address = Address::from_str_const("3rdJbqfnagQ4yx9HXJViD4zc4xpiSqmFsKpPuSCQVyQL");

/// First eight bytes of SHA-256 of `account:Storage`.
const DISCRIMINATOR: u64 = u64::from_le_bytes([209, 117, 255, 185, 196, 175, 68, 9]);
/// First bytes of every payload.
const MAGIC: u32 = 0x93c7_d375;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// A key that may sign messages, numbers in little endian.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Signer {
    /// The key.
    pub key: [u8; 32],
    /// `i64`, Unix seconds from which on it is not trusted any more.
    pub expires_at: [u8; 8],
}

/// The storage account; fields that are not read are left out.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Storage {
    /// Account type.
    pub discriminator: [u8; 8],
    administration: [u8; 72],
    /// How many of the signers are in use.
    pub signers_len: u8,
    /// Signers of messages in this format.
    pub signers: [Signer; 5],
    others: [u8; 100],
}

const _: () = assert!(size_of::<Storage>() == 381 && align_of::<Storage>() == 1);

/// Numbers of the properties in a payload.
pub mod property {
    /// `i64` in `10^exponent` quote units; zero for none.
    pub const PRICE: u8 = 0;
    /// `i64`.
    pub const BEST_BID: u8 = 1;
    /// `i64`.
    pub const BEST_ASK: u8 = 2;
    /// `u16`.
    pub const PUBLISHERS: u8 = 3;
    /// `i16`.
    pub const EXPONENT: u8 = 4;
    /// `i64`, half-width in the price's unit; zero for none.
    pub const CONFIDENCE: u8 = 5;
    /// Optional `i64`.
    pub const FUNDING_RATE: u8 = 6;
    /// Optional `u64`.
    pub const FUNDING_TIME: u8 = 7;
    /// Optional `u64`.
    pub const FUNDING_INTERVAL: u8 = 8;
    /// `i16`.
    pub const MARKET_SESSION: u8 = 9;
    /// `i64`.
    pub const EMA_PRICE: u8 = 10;
    /// `i64`.
    pub const EMA_CONFIDENCE: u8 = 11;
    /// Optional `u64`, microseconds of Unix time at which the price was made.
    pub const UPDATED_AT: u8 = 12;
}

/// What a message says about one feed, as far as it matters.
#[derive(Clone, Copy, Default)]
struct Values {
    price: Option<i64>,
    exponent: Option<i16>,
    confidence: Option<i64>,
    updated_at: Option<u64>,
}

/// What is left of a payload.
struct Reader<'a>(&'a [u8]);

/// The price of a Lazer source; errors as in [`super::read_lazer`].
pub(super) fn read(
    source: &OracleSource,
    accounts: &[OracleAccount<'_>; 2],
    moment: &Moment<'_>,
) -> core::result::Result<Result<SourcePrice>, Refusal> {
    let [instructions, storage] = accounts;
    ed25519::check_sysvar(&instructions.address)?;
    if !storage.address.matches(STORAGE.as_array()) {
        return Err(Refusal::OracleWrongAccount);
    }
    let untrusted = Ok(Err(EngineError::OracleNotTrusted));
    let Some(storage) = storage_in(storage) else { return untrusted };
    let Some(signatures) = moment.signatures(instructions.data) else { return untrusted };
    if signatures.count() != 1 {
        return Err(Refusal::OracleWrongType);
    }
    let signed = signatures.get(0)?;
    if !storage.trusts(signed.key, moment.now.unix_seconds) {
        return untrusted;
    }
    find(signed.message, source).map(|values| values.and_then(Values::price))
}

/// The storage, if the Lazer program still keeps one at its address.
fn storage_in<'a>(account: &OracleAccount<'a>) -> Option<&'a Storage> {
    let storage: &Storage = bytemuck::try_from_bytes(account.data).ok()?;
    let genuine =
        account.owner.matches(PROGRAM.as_array()) && u64::from_le_bytes(storage.discriminator) == DISCRIMINATOR;
    genuine.then_some(storage)
}

/// What the payload says about the source's feed. Refuses with `OracleWrongType` what is no payload and with
/// `OracleWrongFeed` one without the feed; fails with `OraclePriceInvalid` if it cannot be read up to there.
fn find(payload: &[u8], source: &OracleSource) -> core::result::Result<Result<Values>, Refusal> {
    let mut rest = Reader(payload);
    let feeds = rest.head().ok_or(Refusal::OracleWrongType)?;
    for _ in 0..feeds {
        let Some((feed, values)) = rest.feed() else {
            return Ok(Err(EngineError::OraclePriceInvalid));
        };
        if source.lazer_feed() == Some(feed) {
            return Ok(Ok(values));
        }
    }
    Err(Refusal::OracleWrongFeed)
}

impl Storage {
    /// Whether this key may sign now.
    fn trusts(&self, key: &[u8; 32], now: UnixSeconds) -> bool {
        let signers = self.signers.iter().take(usize::from(self.signers_len));
        signers.into_iter().any(|signer| signer.key == *key && i64::from_le_bytes(signer.expires_at) > now.get())
    }
}

impl Values {
    /// Fails with `OraclePriceInvalid`, or with `OracleStale` if the price has no date.
    ///
    /// WHY: whoever carries the message chose its properties. One that may be left out could be left out to hide that
    /// a price is old or that publishers are far apart, so all four are demanded.
    fn price(self) -> Result<SourcePrice> {
        let (Some(price), Some(exponent), Some(confidence)) = (self.price, self.exponent, self.confidence) else {
            return Err(EngineError::OraclePriceInvalid);
        };
        let micros = self.updated_at.ok_or(EngineError::OracleStale)?;
        let seconds = i64::try_from(micros / MICROS_PER_SECOND).map_err(|_| EngineError::OracleFromFuture)?;
        let confidence = u64::try_from(confidence).map_err(|_| EngineError::OraclePriceInvalid)?;
        from_decimal(price, confidence, i32::from(exponent), UnixSeconds::new(seconds))
    }
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| *byte)
    }

    /// Eight bytes after a byte that says whether they are there.
    fn optional(&mut self) -> Option<Option<u64>> {
        if self.byte()? == 0 { Some(None) } else { self.take().map(|bytes| Some(u64::from_le_bytes(*bytes))) }
    }

    /// A price, for which zero means none.
    fn price(&mut self) -> Option<Option<i64>> {
        let price = i64::from_le_bytes(*self.take()?);
        Some((price != 0).then_some(price))
    }

    /// What precedes the feeds: how many there are. `None` if this is no payload.
    fn head(&mut self) -> Option<u8> {
        if u32::from_le_bytes(*self.take()?) != MAGIC {
            return None;
        }
        let (_message_time, _channel) = (self.take::<8>()?, self.byte()?);
        self.byte()
    }

    /// Number and properties of the next feed. `None` if a property is unknown or the payload ends.
    fn feed(&mut self) -> Option<(u32, Values)> {
        let feed = u32::from_le_bytes(*self.take()?);
        let mut values = Values::default();
        for _ in 0..self.byte()? {
            match self.byte()? {
                property::PRICE => values.price = self.price()?,
                property::EXPONENT => values.exponent = Some(i16::from_le_bytes(*self.take()?)),
                property::CONFIDENCE => values.confidence = self.price()?,
                property::UPDATED_AT => values.updated_at = self.optional()?,
                property::BEST_BID | property::BEST_ASK | property::EMA_PRICE | property::EMA_CONFIDENCE => {
                    self.take::<8>()?;
                }
                property::PUBLISHERS | property::MARKET_SESSION => {
                    self.take::<2>()?;
                }
                property::FUNDING_RATE | property::FUNDING_TIME | property::FUNDING_INTERVAL => {
                    self.optional()?;
                }
                _ => return None,
            }
        }
        Some((feed, values))
    }
}
