//! Pyth `PriceUpdateV2`, as the receiver programs post it.
//!
//! Layout: Borsh, after pyth-solana-receiver-sdk 2.0.0 (`price_update.rs`) and pythnet-sdk 3.0.0 (`messages.rs`).
//! `publish_time` dates the price even while the feed pauses: Pyth then repeats the last price with its own time.

use super::{OracleAccount, in_pico};
use crate::Refusal;
use bytemuck::{Pod, Zeroable};
use pinocchio::Address;
use quantdesk_engine::{
    EngineError, Result, UnixSeconds,
    math::{self, Wide},
    risk::price::SourcePrice,
    state::{Key, OracleSource},
};

/// The receiver program.
pub const RECEIVER: Address = Address::from_str_const("rec5EKMGg6MxZYaMdyBfgwp4d5rB9T1VQH5pJv5LtFJ");
/// The receiver program with the interface of Pyth Pro.
pub const RECEIVER_PRO: Address = Address::from_str_const("rec2HHDDnjLfj4kE7VyEtFA1HPGQLK33259532cRyHp");

/// First eight bytes of SHA-256 of `account:PriceUpdateV2`.
const DISCRIMINATOR: u64 = u64::from_le_bytes([0x22, 0xf1, 0x23, 0x63, 0x9d, 0x7e, 0xf4, 0xcd]);
/// Tag of `VerificationLevel::Full`. `Partial`, tag 0, has one more byte, which shifts all that follows.
const FULL: u8 = 1;
/// Price units of 1e-12 are 10^12 to a quote unit.
const PICO_DIGITS: i32 = 12;

/// A fully verified `PriceUpdateV2`, numbers in little endian.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct PriceUpdate {
    /// Account type.
    pub discriminator: [u8; 8],
    /// Who may replace or close it; anyone, for a genuine update needs no trust in who posted it.
    pub write_authority: [u8; 32],
    /// `VerificationLevel`.
    pub verification_level: u8,
    /// Feed id.
    pub feed_id: [u8; 32],
    /// `i64`, in `10^exponent` quote units.
    pub price: [u8; 8],
    /// `u64`, half-width in the same unit.
    pub conf: [u8; 8],
    /// `i32`.
    pub exponent: [u8; 4],
    /// `i64`, Unix seconds.
    pub publish_time: [u8; 8],
    /// `i64`, Unix seconds of the update before.
    pub prev_publish_time: [u8; 8],
    /// `i64`.
    pub ema_price: [u8; 8],
    /// `u64`.
    pub ema_conf: [u8; 8],
    /// `u64`.
    pub posted_slot: [u8; 8],
    /// Room for the longer `Partial`; may hold a byte of an earlier update.
    unused: u8,
}

const _: () = assert!(size_of::<PriceUpdate>() == 134 && align_of::<PriceUpdate>() == 1);

/// The price of a Pyth source in `account`; errors as in [`super::read`].
pub(super) fn read(
    source: &OracleSource,
    account: &OracleAccount<'_>,
    receiver: &Address,
) -> core::result::Result<Result<SourcePrice>, Refusal> {
    if account.owner != Key::new(receiver.as_array()) {
        return Err(Refusal::OracleWrongOwner);
    }
    let update: &PriceUpdate = bytemuck::try_from_bytes(account.data).map_err(|_| Refusal::OracleWrongType)?;
    if u64::from_le_bytes(update.discriminator) != DISCRIMINATOR {
        return Err(Refusal::OracleWrongType);
    }
    if update.verification_level != FULL {
        return Err(Refusal::OracleNotVerified);
    }
    if Key::new(&update.feed_id) != source.feed {
        return Err(Refusal::OracleWrongFeed);
    }
    Ok(price(update))
}

fn price(update: &PriceUpdate) -> Result<SourcePrice> {
    let publish_time = UnixSeconds::new(i64::from_le_bytes(update.publish_time));
    let (price, conf) = (i64::from_le_bytes(update.price), u64::from_le_bytes(update.conf));
    from_decimal(price, conf, i32::from_le_bytes(update.exponent), publish_time)
}

/// `price · 10^(exponent + 12) ± conf · 10^(exponent + 12)`. Fails with `OraclePriceInvalid`.
#[inline(always)]
pub(super) fn from_decimal(price: i64, conf: u64, exponent: i32, publish_time: UnixSeconds) -> Result<SourcePrice> {
    let invalid = EngineError::OraclePriceInvalid;
    let price = u64::try_from(price).map_err(|_| invalid)?;
    let digits = exponent.saturating_add(PICO_DIGITS);
    let power = *POWERS_OF_TEN.get(math::to_usize(digits.unsigned_abs())).ok_or(invalid)?;
    if digits < 0 {
        let narrow = |low| Wide { high: 0, low };
        in_pico(narrow(price), narrow(conf), power, publish_time)
    } else {
        in_pico(math::wide_mul(price, power), math::wide_mul(conf, power), 1, publish_time)
    }
}

/// All that fit 64 bits, so that exponents from −31 to 7 are read. Feeds have −12 to 0.
const POWERS_OF_TEN: [u64; 20] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
    1_000_000_000_000,
    10_000_000_000_000,
    100_000_000_000_000,
    1_000_000_000_000_000,
    10_000_000_000_000_000,
    100_000_000_000_000_000,
    1_000_000_000_000_000_000,
    10_000_000_000_000_000_000,
];
