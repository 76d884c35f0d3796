//! Switchboard On-Demand pull feeds.
//!
//! Layout: `PullFeedAccountData` of switchboard-on-demand 0.13.0 (`on_demand/accounts/pull_feed.rs`) behind its
//! discriminator. That type holds 128-bit integers, which need an alignment that account data lack.

use super::{OracleAccount, in_pico};
use crate::Refusal;
use bytemuck::{Pod, Zeroable};
use pinocchio::Address;
use quantdesk_engine::{
    EngineError, Result, UnixSeconds,
    math::Wide,
    risk::price::SourcePrice,
    state::{Key, OracleSource},
};

/// The On-Demand program on mainnet.
pub const PROGRAM: Address = Address::from_str_const("SBondMDrcV3K4kxZR1HNVT7osZxAHVHgYXL5Ze1oMUv");

/// First eight bytes of SHA-256 of `account:PullFeedAccountData`.
const DISCRIMINATOR: u64 = u64::from_le_bytes([196, 27, 108, 196, 10, 215, 219, 40]);
/// Values are in 1e-18, prices in 1e-12 quote units.
pub(super) const PICO_PER_UNIT: u64 = 1_000_000;
/// Mainnet makes about 2.5 slots a second, so an age counted with this errs upwards.
pub(super) const SLOTS_PER_SECOND: u64 = 2;

/// A 128-bit two's complement number in 1e-18.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Scaled {
    low: [u8; 8],
    high: [u8; 8],
}

/// What one oracle last submitted, numbers in little endian.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Submission {
    /// Address of the oracle.
    pub oracle: [u8; 32],
    /// `u64`, slot it signed for.
    pub slot: [u8; 8],
    /// `u64`, slot in which that was written here.
    pub landed_at: [u8; 8],
    /// Value.
    pub value: Scaled,
}

/// The pull feed's account, numbers in little endian; fields that are not read are left out.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct PullFeed {
    /// Account type.
    pub discriminator: [u8; 8],
    /// Latest submission of each oracle.
    pub submissions: [Submission; 32],
    authority: [u8; 32],
    /// Queue whose oracles may submit.
    pub queue: [u8; 32],
    /// Hash of the jobs the oracles run.
    pub feed_hash: [u8; 32],
    settings: [u8; 61],
    /// Whether the authority may write values itself.
    pub permit_write_by_authority: u8,
    unread: [u8; 50],
    /// Median of the considered submissions: the value of one of them.
    pub value: Scaled,
    /// Their standard deviation.
    pub std_dev: Scaled,
    other_statistics: [u8; 64],
    /// How many were considered.
    pub num_samples: u8,
    /// Which one the value is of.
    pub submission_idx: u8,
    pad: [u8; 6],
    /// `u64`, slot that one was signed for.
    pub slot: [u8; 8],
    history: [u8; 576],
    /// `i64`, Unix seconds at which each submission was written here.
    pub submission_timestamps: [[u8; 8]; 32],
}

const _: () = assert!(size_of::<PullFeed>() == 3208 && align_of::<PullFeed>() == 1);

/// The price of a Switchboard source in `account`; errors as in [`super::read`].
pub(super) fn read(
    source: &OracleSource,
    account: &OracleAccount<'_>,
) -> core::result::Result<Result<SourcePrice>, Refusal> {
    if account.address != source.account {
        return Err(Refusal::OracleWrongAccount);
    }
    let untrusted = Ok(Err(EngineError::OracleNotTrusted));
    let Ok(feed) = bytemuck::try_from_bytes::<PullFeed>(account.data) else {
        return untrusted;
    };
    // WHY: the feed's authority can change all of these at any time, or close the account, and must not stop the
    // market's other sources.
    let trusted = account.owner == Key::new(PROGRAM.as_array())
        && u64::from_le_bytes(feed.discriminator) == DISCRIMINATOR
        && Key::new(&feed.feed_hash) == source.feed
        && Key::new(&feed.queue) == source.queue
        && feed.permit_write_by_authority == 0;
    if !trusted {
        return untrusted;
    }
    Ok(price(feed, source.samples_min))
}

/// Median ± standard deviation. Fails with `OracleSamplesTooFew`, `OracleStale` or `OraclePriceInvalid`.
fn price(feed: &PullFeed, samples_min: u8) -> Result<SourcePrice> {
    if feed.num_samples < samples_min {
        return Err(EngineError::OracleSamplesTooFew);
    }
    let observed_at = observed_at(feed).ok_or(EngineError::OracleStale)?;
    // A negative number is a huge one here, and refused as such.
    in_pico(feed.value.wide(), feed.std_dev.wide(), PICO_PER_UNIT, observed_at)
}

/// When the oracle observed the result's value, or earlier. `None` if the account does not tell.
///
/// WHY: `last_update_timestamp` dates the last write to the account, and anyone may bring one that leaves an older
/// result in place. `submission_timestamps` dates the write of the value itself. But submissions carry a slot and no
/// time, and a signature can be kept for many slots before it is written, to be used or not as the market moves.
/// Hence the time of writing less that delay. An entry that was replaced since says nothing about the result.
fn observed_at(feed: &PullFeed) -> Option<UnixSeconds> {
    let index = usize::from(feed.submission_idx);
    let submission = feed.submissions.get(index)?;
    let written_at = i64::from_le_bytes(*feed.submission_timestamps.get(index)?);
    if u64::from_le_bytes(submission.slot) != u64::from_le_bytes(feed.slot) {
        return None;
    }
    let delay = u64::from_le_bytes(submission.landed_at).checked_sub(u64::from_le_bytes(submission.slot))?;
    written_at.checked_sub_unsigned(delay.div_ceil(SLOTS_PER_SECOND)).map(UnixSeconds::new)
}

impl Scaled {
    #[inline(always)]
    pub(super) fn wide(self) -> Wide {
        Wide { high: u64::from_le_bytes(self.high), low: u64::from_le_bytes(self.low) }
    }
}
