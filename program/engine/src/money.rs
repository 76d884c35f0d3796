//! Double entry: the only code that changes a balance.
//!
//! A [`Balance`] is a bucket of the ledger: a trader's cash, a position's quote, the pool, the fees, the withdraw
//! queue, a market's pot, and the total that mirrors the vault. Its number is private to this module, so every change
//! anywhere in the engine is one of three calls: [`post`] between two buckets, [`receive`] when tokens arrive in the
//! vault, [`pay_out`] when they leave it. Hence invariants M1 and M2: `Σ buckets == total` at every moment.

use crate::{
    error::{EngineError, Result},
    units::{QuoteAtoms, QuoteDelta},
};
use bytemuck::{Pod, Zeroable};

/// Signed quote atoms in one bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(transparent)]
pub struct Balance(i64);

/// Largest total the ledger accepts: 2^62 atoms, so that no bucket can overflow by deposits.
pub const TOTAL_MAX: i64 = 1 << 62;

impl Balance {
    /// An empty bucket.
    pub const ZERO: Self = Self(0);

    /// Atoms in the bucket.
    #[inline(always)]
    pub const fn get(self) -> QuoteDelta {
        QuoteDelta::new(self.0)
    }

    /// Whether the bucket is empty.
    #[inline(always)]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// Moves `atoms` from `source` to `target`; both may go negative. Fails with `Overflow`.
#[inline(always)]
pub fn post(source: &mut Balance, target: &mut Balance, atoms: QuoteAtoms) -> Result<()> {
    source.0 = source.0.checked_sub_unsigned(atoms.get()).ok_or(EngineError::Overflow)?;
    target.0 = target.0.checked_add_unsigned(atoms.get()).ok_or(EngineError::Overflow)?;
    Ok(())
}

/// Moves a signed amount from `source` to `target`: a negative one flows back. Fails with `Overflow`.
#[inline(always)]
pub fn post_signed(source: &mut Balance, target: &mut Balance, amount: QuoteDelta) -> Result<()> {
    source.0 = source.0.checked_sub(amount.get()).ok_or(EngineError::Overflow)?;
    target.0 = target.0.checked_add(amount.get()).ok_or(EngineError::Overflow)?;
    Ok(())
}

/// Books tokens that arrived in the vault. Fails with `DepositTooLarge` above [`TOTAL_MAX`].
#[inline(always)]
pub fn receive(total: &mut Balance, target: &mut Balance, atoms: QuoteAtoms) -> Result<()> {
    let sum = total.0.checked_add_unsigned(atoms.get()).ok_or(EngineError::DepositTooLarge)?;
    if sum > TOTAL_MAX {
        return Err(EngineError::DepositTooLarge);
    }
    target.0 = target.0.checked_add_unsigned(atoms.get()).ok_or(EngineError::Overflow)?;
    total.0 = sum;
    Ok(())
}

/// Books tokens that leave the vault. Fails with `WithdrawExceedsAvailable` if the bucket holds less.
#[inline(always)]
pub fn pay_out(total: &mut Balance, source: &mut Balance, atoms: QuoteAtoms) -> Result<()> {
    let rest = source.0.checked_sub_unsigned(atoms.get()).ok_or(EngineError::WithdrawExceedsAvailable)?;
    if rest < 0 {
        return Err(EngineError::WithdrawExceedsAvailable);
    }
    total.0 = total.0.checked_sub_unsigned(atoms.get()).ok_or(EngineError::Overflow)?;
    source.0 = rest;
    Ok(())
}
