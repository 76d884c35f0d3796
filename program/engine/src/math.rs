//! Checked and wide arithmetic on plain integers: the only place where a product may exceed 64 bits.
//!
//! Written for a VM without a 64×64→128 multiply and without 128-bit division, and for a compiler backend that cannot
//! call the usual helpers for them (`u64::checked_mul` and `u128` products do not link there). Wide values are pairs
//! of 64-bit halves. Every division says in its name which way it rounds.

use crate::error::{EngineError, Result};

/// One million: the denominator of a [`crate::Ppm`].
pub const PPM: u64 = 1_000_000;

const LOW_HALF: u64 = 0xffff_ffff;

/// Widens without loss.
#[inline(always)]
#[expect(clippy::as_conversions, reason = "u32 to u64 cannot lose; `From` is not const")]
pub const fn to_u64(value: u32) -> u64 {
    value as u64
}

/// A slice index from a stored 32-bit number; lossless on the 64-bit hosts and the VM.
#[inline(always)]
#[expect(clippy::as_conversions, reason = "usize has at least 32 bits on every supported target")]
pub const fn to_usize(value: u32) -> usize {
    value as usize
}

/// A stored 32-bit number from a slice index. Fails with `Overflow`.
#[inline(always)]
pub fn to_u32(value: usize) -> Result<u32> {
    u32::try_from(value).map_err(|_| EngineError::Overflow)
}

/// A 128-bit product or dividend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wide {
    /// Upper 64 bits (first, so that the derived order is the numeric one).
    pub high: u64,
    /// Lower 64 bits.
    pub low: u64,
}

/// Full product of two 64-bit numbers from four 32-bit ones.
///
/// No intermediate can overflow: each partial product is below 2^64 − 2^33 + 2, and at most two 32-bit carries join it.
#[inline(always)]
pub const fn wide_mul(a: u64, b: u64) -> Wide {
    let (a_high, a_low) = (a >> 32, a & LOW_HALF);
    let (b_high, b_low) = (b >> 32, b & LOW_HALF);
    let low = a_low.wrapping_mul(b_low);
    let first = a_high.wrapping_mul(b_low).wrapping_add(low >> 32);
    let second = a_low.wrapping_mul(b_high).wrapping_add(first & LOW_HALF);
    Wide {
        high: a_high.wrapping_mul(b_high).wrapping_add(first >> 32).wrapping_add(second >> 32),
        low: (second << 32) | (low & LOW_HALF),
    }
}

/// Product. Fails with `Overflow` above 64 bits.
#[inline(always)]
pub const fn mul(a: u64, b: u64) -> Result<u64> {
    if (a | b) >> 32 == 0 { Ok(a.wrapping_mul(b)) } else { mul_large(a, b) }
}

/// WHY: out of line, or the compiler computes the wide product before it looks whether it is needed.
#[cold]
#[inline(never)]
const fn mul_large(a: u64, b: u64) -> Result<u64> {
    let product = wide_mul(a, b);
    if product.high == 0 { Ok(product.low) } else { Err(EngineError::Overflow) }
}

/// Quotient and remainder of a 128-bit dividend. Fails with `DivisionByZero`, or `Overflow` if the quotient needs more
/// than 64 bits. Source: Knuth, TAOCP vol. 2, 4.3.1, algorithm D, for two 32-bit quotient digits.
#[inline(always)]
pub const fn wide_div_rem(dividend: Wide, divisor: u64) -> Result<(u64, u64)> {
    if dividend.high == 0 {
        return match (dividend.low.checked_div(divisor), dividend.low.checked_rem(divisor)) {
            (Some(quotient), Some(remainder)) => Ok((quotient, remainder)),
            _ => Err(EngineError::DivisionByZero),
        };
    }
    if divisor == 0 {
        return Err(EngineError::DivisionByZero);
    }
    if dividend.high >= divisor {
        return Err(EngineError::Overflow);
    }
    let shift = divisor.leading_zeros();
    let divisor = divisor << shift;
    let high = if shift == 0 {
        dividend.high
    } else {
        // `wrapping_sub`: shift is 1..=63 here, so 64 − shift is in 1..=63.
        (dividend.high << shift) | (dividend.low >> 64u32.wrapping_sub(shift))
    };
    let low = dividend.low << shift;
    let (first, rest) = quotient_digit(high, low >> 32, divisor);
    let (second, rest) = quotient_digit(rest, low & LOW_HALF, divisor);
    Ok(((first << 32) | second, rest >> shift))
}

/// One 32-bit quotient digit of `(high · 2^32 + next) / divisor` for a normalised divisor (top bit set) and
/// `high < divisor`; returns the digit and the remainder.
const fn quotient_digit(high: u64, next: u64, divisor: u64) -> (u64, u64) {
    let (divisor_high, divisor_low) = (divisor >> 32, divisor & LOW_HALF);
    // The top bit of `divisor` is set, so `divisor_high` is never zero.
    let mut digit = match high.checked_div(divisor_high) {
        Some(digit) => digit,
        None => 0,
    };
    let mut rest = high.wrapping_sub(digit.wrapping_mul(divisor_high));
    // The estimate is at most two too large.
    while digit >> 32 != 0 || digit.wrapping_mul(divisor_low) > ((rest << 32) | next) {
        digit = digit.wrapping_sub(1);
        rest = rest.wrapping_add(divisor_high);
        if rest >> 32 != 0 {
            break;
        }
    }
    // Exact modulo 2^64; the true remainder is below `divisor`.
    let remainder = (high << 32).wrapping_add(next).wrapping_sub(digit.wrapping_mul(divisor));
    (digit, remainder)
}

/// Quotient and remainder of `a × b / divisor`. Fails as [`wide_div_rem`].
#[inline(always)]
const fn mul_div_rem(a: u64, b: u64, divisor: u64) -> Result<(u64, u64)> {
    // WHY: a million quote units by sixteen million lots is the common case, and its product fits 64 bits.
    let product = if (a >> 40) | (b >> 24) == 0 { Wide { high: 0, low: a.wrapping_mul(b) } } else { wide_mul(a, b) };
    wide_div_rem(product, divisor)
}

/// `⌊a × b / divisor⌋`. Fails with `DivisionByZero` or `Overflow`.
#[inline(always)]
pub const fn mul_div_floor(a: u64, b: u64, divisor: u64) -> Result<u64> {
    match mul_div_rem(a, b, divisor) {
        Ok((quotient, _)) => Ok(quotient),
        Err(error) => Err(error),
    }
}

/// `⌈a × b / divisor⌉`. Fails with `DivisionByZero` or `Overflow`.
#[inline(always)]
pub const fn mul_div_ceil(a: u64, b: u64, divisor: u64) -> Result<u64> {
    match mul_div_rem(a, b, divisor) {
        Ok((quotient, 0)) => Ok(quotient),
        Ok((quotient, _)) => match quotient.checked_add(1) {
            Some(quotient) => Ok(quotient),
            None => Err(EngineError::Overflow),
        },
        Err(error) => Err(error),
    }
}

/// `⌊value × rate / 10^6⌋`. Fails with `Overflow`.
///
/// `value = q·10^6 + r` gives `q·rate + ⌊r·rate / 10^6⌋` exactly; `r·rate` stays below 2^52.
#[inline(always)]
pub const fn ppm_floor(value: u64, rate: u32) -> Result<u64> {
    ppm(value, rate, 0)
}

/// `⌈value × rate / 10^6⌉`. Fails with `Overflow`.
#[inline(always)]
pub const fn ppm_ceil(value: u64, rate: u32) -> Result<u64> {
    // WHY: adding one less than the divisor turns the inner floor into a ceiling.
    ppm(value, rate, PPM.wrapping_sub(1))
}

#[inline(always)]
const fn ppm(value: u64, rate: u32, rounding: u64) -> Result<u64> {
    let rate = to_u64(rate);
    if (value >> 43) | (rate >> 21) == 0 {
        // Below 2^64 even with the rounding.
        return Ok(value.wrapping_mul(rate).wrapping_add(rounding) / PPM);
    }
    ppm_large(value, rate, rounding)
}

#[inline(never)]
const fn ppm_large(value: u64, rate: u64, rounding: u64) -> Result<u64> {
    let whole = match mul(value / PPM, rate) {
        Ok(whole) => whole,
        Err(error) => return Err(error),
    };
    // r < 10^6 < 2^20 and rate < 2^32: no overflow.
    let part = (value % PPM).wrapping_mul(rate).wrapping_add(rounding) / PPM;
    match whole.checked_add(part) {
        Some(sum) => Ok(sum),
        None => Err(EngineError::Overflow),
    }
}

/// `⌊value × numerator / denominator⌋` for a signed value and `numerator ≤ denominator`, rounded towards −∞.
/// Fails with `DivisionByZero` or `Overflow`.
///
/// WHY: out of line, or the compiler computes the wide product before it looks whether it is needed.
#[inline(never)]
pub fn signed_share_floor(value: i64, numerator: u64, denominator: u64) -> Result<i64> {
    let (quotient, remainder) = mul_div_rem(value.unsigned_abs(), numerator, denominator)?;
    if value >= 0 {
        return i64::try_from(quotient).map_err(|_| EngineError::Overflow);
    }
    // The quotient is at most |value|, so adding one for the rounding fits.
    let away = quotient.wrapping_add(u64::from(remainder != 0));
    0i64.checked_sub_unsigned(away).ok_or(EngineError::Overflow)
}
