//! `math` and `units` against big integers.

use crate::cases;
use num_bigint::BigInt;
use proptest::prelude::*;
use quantdesk_engine::{
    EngineError, Lots, PositionLots, Ppm, QuoteAtoms, QuoteDelta, Result, Side, TickValue, Ticks, UnixSeconds,
    math::{self, Wide},
};

/// Numbers of every size, with the edges of 32 and 64 bits and single bits among them.
pub fn number() -> impl Strategy<Value = u64> {
    let edge = prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(1 << 63),
        Just((1 << 63) - 1),
        Just(u64::from(u32::MAX)),
        Just(1 << 32),
        Just(0xffff_ffff_0000_0000),
        Just(0x8000_0000_ffff_ffff),
    ];
    let sized = (any::<u64>(), 0u32..64).prop_map(|(bits, shift)| bits >> shift);
    let near = (edge.clone(), -3i64..=3).prop_map(|(edge, off)| edge.wrapping_add_signed(off));
    prop_oneof![3 => sized, 1 => any::<u64>(), 1 => near, 1 => edge]
}

fn big(value: u64) -> BigInt {
    BigInt::from(value)
}

fn wide(value: Wide) -> BigInt {
    (big(value.high) << 64) + value.low
}

/// Two numbers whose product is about as large as the paths for small products allow.
fn about_64_bits() -> impl Strategy<Value = (u64, u64)> {
    (any::<u64>(), any::<u64>(), 0u32..=64).prop_map(|(a, b, bits)| {
        let half = |value: u64, bits: u32| value.checked_shr(64 - bits).unwrap_or(0);
        (half(a | 1 << 63, bits), half(b | 1 << 63, 65 - bits.max(1)))
    })
}

/// A result as 64 bits, or `Overflow`.
fn narrow(value: &BigInt) -> Result<u64> {
    u64::try_from(value.clone()).map_err(|_| EngineError::Overflow)
}

fn ceil_div(dividend: &BigInt, divisor: &BigInt) -> BigInt {
    (dividend + divisor - 1) / divisor
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn wide_mul_is_the_exact_product(a in number(), b in number()) {
        prop_assert_eq!(wide(math::wide_mul(a, b)), big(a) * b);
    }

    #[test]
    fn mul_is_exact_or_overflow(a in number(), b in number()) {
        prop_assert_eq!(math::mul(a, b), narrow(&(big(a) * b)));
    }

    #[test]
    fn wide_div_rem_is_exact_or_says_why(high in number(), low in number(), divisor in number()) {
        let dividend = Wide { high, low };
        let expected = if divisor == 0 {
            Err(EngineError::DivisionByZero)
        } else {
            narrow(&(wide(dividend) / divisor)).map(|quotient| {
                (quotient, u64::try_from(wide(dividend) % divisor).unwrap())
            })
        };
        prop_assert_eq!(math::wide_div_rem(dividend, divisor), expected);
    }

    /// The quotient digits of algorithm D are corrected twice only for divisors with the top bit set and small halves.
    #[test]
    fn wide_div_rem_is_exact_just_below_the_overflow(divisor in number(), below in 0u64..4, low in number()) {
        prop_assume!(divisor > below);
        let dividend = Wide { high: divisor - 1 - below.min(divisor - 1), low };
        let (quotient, remainder) = math::wide_div_rem(dividend, divisor).unwrap();
        prop_assert!(remainder < divisor);
        prop_assert_eq!(big(quotient) * divisor + remainder, wide(dividend));
    }

    #[test]
    fn mul_div_rounds_as_it_says(a in number(), b in number(), divisor in number()) {
        if divisor == 0 {
            prop_assert_eq!(math::mul_div_floor(a, b, divisor), Err(EngineError::DivisionByZero));
            prop_assert_eq!(math::mul_div_ceil(a, b, divisor), Err(EngineError::DivisionByZero));
        } else {
            let product = big(a) * b;
            prop_assert_eq!(math::mul_div_floor(a, b, divisor), narrow(&(&product / divisor)));
            prop_assert_eq!(math::mul_div_ceil(a, b, divisor), narrow(&ceil_div(&product, &big(divisor))));
        }
    }

    #[test]
    fn ppm_rounds_as_it_says(value in number(), rate in any::<u32>(), shift in 0u32..16) {
        let rate = rate >> shift;
        let product = big(value) * rate;
        let million = big(math::PPM);
        prop_assert_eq!(math::ppm_floor(value, rate), narrow(&(&product / &million)));
        prop_assert_eq!(math::ppm_ceil(value, rate), narrow(&ceil_div(&product, &million)));
        prop_assert_eq!(QuoteAtoms::new(value).ppm_ceil(Ppm::new(rate)).map(QuoteAtoms::get), math::ppm_ceil(value, rate));
    }

    /// Where a short path ends and the long one begins, both are exact.
    #[test]
    fn products_of_about_64_bits_are_exact((a, b) in about_64_bits(), divisor in number()) {
        prop_assert_eq!(math::mul(a, b), narrow(&(big(a) * b)));
        let million = big(math::PPM);
        for (value, rate) in [(a, b), (b, a)] {
            if let Ok(rate) = u32::try_from(rate) {
                prop_assert_eq!(math::ppm_floor(value, rate), narrow(&(big(value) * rate / &million)));
                prop_assert_eq!(math::ppm_ceil(value, rate), narrow(&ceil_div(&(big(value) * rate), &million)));
            }
            if let (Ok(signed), true) = (i64::try_from(value), rate <= divisor && divisor > 0) {
                let share = math::signed_share_floor(-signed, rate, divisor).unwrap();
                prop_assert_eq!(BigInt::from(share), -ceil_div(&(big(value) * rate), &big(divisor)));
            }
        }
    }

    #[test]
    fn signed_share_is_floored(value in any::<i64>(), a in number(), b in number()) {
        let (numerator, denominator) = (a.min(b), a.max(b));
        let expected = if denominator == 0 {
            Err(EngineError::DivisionByZero)
        } else {
            let product = BigInt::from(value) * numerator;
            let quotient = &product / denominator;
            let inexact = &quotient * denominator != product;
            let floor = if inexact && value < 0 { quotient - 1 } else { quotient };
            i64::try_from(floor).map_err(|_| EngineError::Overflow)
        };
        prop_assert_eq!(math::signed_share_floor(value, numerator, denominator), expected);
    }

    #[test]
    fn a_notional_is_exact_or_overflow(ticks in any::<u32>(), lots in number(), tick_value in any::<u32>()) {
        let exact = big(lots) * ticks * tick_value;
        let notional = Ticks::new(ticks).notional(Lots::new(lots), TickValue::new(tick_value));
        prop_assert_eq!(notional.map(QuoteAtoms::get), narrow(&exact));
    }

    /// The unchecked forms are exact wherever the bound holds that a listing proves.
    #[test]
    fn bounded_values_are_exact_below_two_to_the_63(ticks in any::<u32>(), base in any::<i64>(), tick_value in any::<u32>(), shift in 0u32..64) {
        let (base, tick_value) = (base >> shift, TickValue::new(tick_value >> (shift / 2)));
        let exact = BigInt::from(base) * ticks * tick_value.get();
        if let Some(fits) = i64::try_from(exact).ok().filter(|value| *value != i64::MIN) {
            let value = Ticks::new(ticks).bounded_value(PositionLots::new(base), tick_value);
            prop_assert_eq!(value.get(), fits);
            let notional = Ticks::new(ticks).bounded_notional(PositionLots::new(base).magnitude(), tick_value);
            prop_assert_eq!(notional.get(), fits.unsigned_abs());
            prop_assert_eq!(Ticks::new(ticks).notional(PositionLots::new(base).magnitude(), tick_value), Ok(notional));
        }
    }

    #[test]
    fn lots_change_by_signed_amounts_or_overflow(lots in number(), change in any::<i64>()) {
        let exact = i128::from(lots) + i128::from(change);
        let changed = Lots::new(lots).changed_by(change).map(Lots::get);
        prop_assert_eq!(changed, u64::try_from(exact).map_err(|_| EngineError::Overflow));
    }

    #[test]
    fn signs_and_parts_are_what_they_say(base in any::<i64>(), lots in number(), other in any::<i64>()) {
        let position = PositionLots::new(base);
        prop_assert_eq!(i128::from(position.long().get()), i128::from(base).max(0));
        prop_assert_eq!(i128::from(position.closable_by(Side::Ask).get()), i128::from(base).max(0));
        prop_assert_eq!(i128::from(position.closable_by(Side::Bid).get()), (-i128::from(base)).max(0));
        let signed = |side| Lots::new(lots).signed(side).map(|signed| i128::from(signed.get())).ok();
        let fits = i64::try_from(lots).is_ok();
        prop_assert_eq!(signed(Side::Bid), fits.then_some(i128::from(lots)));
        prop_assert_eq!(signed(Side::Ask), fits.then_some(-i128::from(lots)));
        prop_assert_eq!(i128::from(QuoteDelta::new(base).positive_part().get()), i128::from(base).max(0));
        let since = UnixSeconds::new(base).since(UnixSeconds::new(other));
        prop_assert_eq!(i128::from(since), (i128::from(base) - i128::from(other)).max(0));
    }
}
