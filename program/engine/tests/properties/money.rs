//! Double entry.

use crate::{cases, math::number};
use proptest::prelude::*;
use quantdesk_engine::{
    EngineError,
    money::{self, Balance, TOTAL_MAX},
    units::{QuoteAtoms, QuoteDelta},
};

fn balance(value: i64) -> Balance {
    bytemuck::cast(value)
}

fn read(balance: Balance) -> i128 {
    balance.get().get().into()
}

/// What a bucket holds, if that is representable.
fn fits(value: i128) -> bool {
    i64::try_from(value).is_ok()
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn inv_m2_post_moves_exactly_and_conserves(from in any::<i64>(), to in any::<i64>(), atoms in number()) {
        let (mut source, mut target) = (balance(from), balance(to));
        let after = (i128::from(from) - i128::from(atoms), i128::from(to) + i128::from(atoms));
        match money::post(&mut source, &mut target, QuoteAtoms::new(atoms)) {
            Ok(()) => prop_assert_eq!((read(source), read(target)), after),
            Err(error) => {
                prop_assert_eq!(error, EngineError::Overflow);
                prop_assert!(!fits(after.0) || !fits(after.1));
            }
        }
    }

    #[test]
    fn inv_m2_post_signed_moves_exactly_and_conserves(from in any::<i64>(), to in any::<i64>(), amount in any::<i64>()) {
        let (mut source, mut target) = (balance(from), balance(to));
        let after = (i128::from(from) - i128::from(amount), i128::from(to) + i128::from(amount));
        match money::post_signed(&mut source, &mut target, QuoteDelta::new(amount)) {
            Ok(()) => prop_assert_eq!((read(source), read(target)), after),
            Err(error) => {
                prop_assert_eq!(error, EngineError::Overflow);
                prop_assert!(!fits(after.0) || !fits(after.1));
            }
        }
    }

    #[test]
    fn a_deposit_raises_total_and_bucket_alike(total in 0..=TOTAL_MAX, cash in any::<i64>(), atoms in number()) {
        let (mut sum, mut bucket) = (balance(total), balance(cash));
        let after = i128::from(total) + i128::from(atoms);
        match money::receive(&mut sum, &mut bucket, QuoteAtoms::new(atoms)) {
            Ok(()) => {
                prop_assert!(after <= i128::from(TOTAL_MAX));
                prop_assert_eq!((read(sum), read(bucket)), (after, i128::from(cash) + i128::from(atoms)));
            }
            Err(EngineError::DepositTooLarge) => prop_assert!(after > i128::from(TOTAL_MAX)),
            Err(error) => {
                prop_assert_eq!(error, EngineError::Overflow);
                prop_assert!(!fits(i128::from(cash) + i128::from(atoms)));
            }
        }
    }

    #[test]
    fn a_payment_never_takes_a_bucket_below_zero(total in 0..=TOTAL_MAX, cash in any::<i64>(), atoms in number()) {
        let (mut sum, mut bucket) = (balance(total), balance(cash));
        let rest = i128::from(cash) - i128::from(atoms);
        match money::pay_out(&mut sum, &mut bucket, QuoteAtoms::new(atoms)) {
            Ok(()) => {
                prop_assert!(rest >= 0);
                prop_assert_eq!((read(sum), read(bucket)), (i128::from(total) - i128::from(atoms), rest));
            }
            Err(error) => {
                prop_assert_eq!(error, EngineError::WithdrawExceedsAvailable);
                prop_assert!(rest < 0);
                prop_assert_eq!((read(sum), read(bucket)), (i128::from(total), i128::from(cash)));
            }
        }
    }

    #[test]
    fn inv_m7_receive_then_pay_out_restores_both(total in 0..TOTAL_MAX, cash in 0i64..TOTAL_MAX, atoms in number()) {
        let (mut sum, mut bucket) = (balance(total), balance(cash));
        if money::receive(&mut sum, &mut bucket, QuoteAtoms::new(atoms)).is_ok() {
            money::pay_out(&mut sum, &mut bucket, QuoteAtoms::new(atoms)).unwrap();
            prop_assert_eq!((sum, bucket), (balance(total), balance(cash)));
        }
    }
}

#[test]
fn a_ledger_can_be_filled_to_the_last_atom_and_no_further() {
    let (mut total, mut bucket) = (balance(0), balance(-5));
    let all = QuoteAtoms::new(TOTAL_MAX.unsigned_abs());
    assert_eq!(money::receive(&mut total, &mut bucket, all), Ok(()));
    assert_eq!((read(total), read(bucket)), (i128::from(TOTAL_MAX), i128::from(TOTAL_MAX) - 5));
    let one = QuoteAtoms::new(1);
    assert_eq!(money::receive(&mut total, &mut bucket, one), Err(EngineError::DepositTooLarge));
    assert_eq!(money::pay_out(&mut total, &mut bucket, one), Ok(()));
    assert_eq!(money::receive(&mut total, &mut bucket, one), Ok(()));
}
