//! A staker's account: its shares of the protection pool.

use super::header::{AccountHeader, Key};
use crate::{
    error::{EngineError, Result},
    slab,
    units::UnixSeconds,
};
use bytemuck::{Pod, Zeroable};

/// `"QDPOOLST"`.
pub const STAKE_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"QDPOOLST");
/// Bytes of a stake account.
pub const STAKE_SIZE: usize = 128;

/// One owner's stake in the pool of one ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PoolStake {
    /// Header; the bump is that of the account's address.
    pub header: AccountHeader,
    /// The ledger whose pool it is.
    pub ledger: Key,
    /// Whose stake it is.
    pub owner: Key,
    /// Shares, of the time that [`Self::epoch`] names.
    pub shares: u64,
    /// The pool's epoch that the shares are of; shares of an earlier one are worth nothing.
    pub epoch: u32,
    pad: u32,
    /// Shares asked for; zero if none. They bear losses until they are paid.
    pub requested: u64,
    /// When they were asked for.
    pub requested_at: UnixSeconds,
    reserved: [u8; 16],
}

const _: () = assert!(size_of::<PoolStake>() == STAKE_SIZE && align_of::<PoolStake>() == 8);

impl PoolStake {
    /// No shares yet.
    pub fn new(ledger: Key, owner: Key, bump: u8) -> Self {
        Self { header: AccountHeader::new(STAKE_DISCRIMINATOR, bump), ledger, owner, ..Self::zeroed() }
    }

    /// The stake in these bytes. Fails with `AccountSize`, `AccountType` or `AccountVersion`.
    pub fn load(bytes: &[u8]) -> Result<&Self> {
        let (stake, rest): (&Self, _) = slab::take_one(bytes)?;
        stake.check(rest)?;
        Ok(stake)
    }

    /// The stake in these bytes. Fails with `AccountSize`, `AccountType` or `AccountVersion`.
    pub fn load_mut(bytes: &mut [u8]) -> Result<&mut Self> {
        let (stake, rest): (&mut Self, _) = slab::take_one_mut(bytes)?;
        stake.check(rest)?;
        Ok(stake)
    }

    const fn check(&self, rest: &[u8]) -> Result<()> {
        if rest.is_empty() { self.header.check(STAKE_DISCRIMINATOR) } else { Err(EngineError::AccountSize) }
    }
}

/// Turns blank bytes into an empty stake. Fails with `AccountSize`, or with `AccountNotBlank` if they are in use.
pub fn create(bytes: &mut [u8], ledger: Key, owner: Key, bump: u8) -> Result<()> {
    let (stake, rest): (&mut PoolStake, _) = slab::take_one_mut(bytes)?;
    if !rest.is_empty() {
        return Err(EngineError::AccountSize);
    }
    if !stake.header.is_blank() {
        return Err(EngineError::AccountNotBlank);
    }
    *stake = PoolStake::new(ledger, owner, bump);
    Ok(())
}
