//! Switchboard quotes: prices that oracles of a queue sign, together with the hash of a recent slot, and that whoever
//! updates the market carries in an ed25519 instruction.
//!
//! Layout: `oracle_quote` and `QueueAccountData` of switchboard-on-demand 0.13.0. The instruction's data are head,
//! offsets, keys and signatures of the ed25519 program; one message that all signed; and a tail that nobody signed:
//! the place of each signer in the queue, the slot, a version, `"SBOD"`. Everything in the tail is therefore only a
//! claim, checked against the queue and against the chain's own slot hashes.

use super::{
    Moment, OracleAccount,
    ed25519::{self, Signatures},
    in_pico,
    switchboard::{PICO_PER_UNIT, PROGRAM, SLOTS_PER_SECOND, Scaled},
};
use crate::Refusal;
use bytemuck::{Pod, Zeroable};
use pinocchio::Address;
use quantdesk_engine::{
    EngineError, Now, Result, UnixSeconds,
    math::Wide,
    risk::price::SourcePrice,
    state::{Key, OracleSource, exchange::QUEUE_ORACLES_MAX},
};

/// The sysvar with the hashes of the last 512 slots that had a block.
pub const SLOT_HASHES: Address = Address::from_str_const("SysvarS1otHashes111111111111111111111111111");

/// First eight bytes of SHA-256 of `account:QueueAccountData`.
const DISCRIMINATOR: u64 = u64::from_le_bytes([217, 194, 55, 127, 184, 83, 138, 1]);
/// Last bytes of every quote.
const TAG: [u8; 4] = *b"SBOD";
/// Bytes of the tail besides one for each signer: slot, version, tag.
const TAIL: usize = 13;

/// The queue's account; fields that are not read are left out.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Queue {
    /// Account type.
    pub discriminator: [u8; 8],
    oracles: [u8; 4192],
    /// Key with which each oracle signs quotes; zero if it has none.
    pub signing_keys: [[u8; 32]; QUEUE_ORACLES_MAX],
    settings: [u8; 1120],
}

/// One price in the signed message.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct QuotedFeed {
    /// Feed id.
    pub id: [u8; 32],
    /// Price in 1e-18 quote units.
    pub value: Scaled,
    /// Oracles that must have signed for it to count.
    pub samples_min: u8,
}

/// An entry of the slot hashes; they are sorted by slot, newest first, and skip slots without a block.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct SlotHash {
    /// `u64` in little endian.
    pub slot: [u8; 8],
    /// Hash of its block.
    pub hash: [u8; 32],
}

const _: () = assert!(size_of::<Queue>() == 6280 && align_of::<Queue>() == 1);
const _: () = assert!(size_of::<QuotedFeed>() == 49 && align_of::<QuotedFeed>() == 1);
const _: () = assert!(size_of::<SlotHash>() == 40 && align_of::<SlotHash>() == 1);

/// A quote taken apart.
struct Quote<'a> {
    signatures: Signatures<'a>,
    /// Hash of the slot for which the oracles signed.
    hash: &'a [u8; 32],
    feeds: &'a [QuotedFeed],
    /// Claimed place of each signer in the queue.
    oracles: &'a [u8],
    /// Claimed slot.
    slot: u64,
}

/// The price of a quoted source; errors as in [`super::read_quote`].
pub(super) fn read(
    source: &OracleSource,
    accounts: &[OracleAccount<'_>; 3],
    moment: &Moment<'_>,
) -> core::result::Result<Result<SourcePrice>, Refusal> {
    let [instructions, queue, slot_hashes] = accounts;
    ed25519::check_sysvar(&instructions.address)?;
    if queue.address != source.queue {
        return Err(Refusal::OracleWrongQueue);
    }
    if !slot_hashes.address.matches(SLOT_HASHES.as_array()) {
        return Err(Refusal::OracleWrongAccount);
    }
    let untrusted = Ok(Err(EngineError::OracleNotTrusted));
    let Some(queue) = queue_in(queue) else { return untrusted };
    let Some(signatures) = moment.signatures(instructions.data) else { return untrusted };
    let quote = Quote::parse(signatures)?;
    if !quote.is_signed_by(queue)? {
        return untrusted;
    }
    let feed = quote.feeds.iter().find(|feed| source.feed.matches(&feed.id)).ok_or(Refusal::OracleWrongFeed)?;
    Ok(price(&quote, feed, source.samples_min, slot_hashes.data, moment.now))
}

/// The queue, if its program still keeps one at this address.
fn queue_in<'a>(account: &OracleAccount<'a>) -> Option<&'a Queue> {
    let queue: &Queue = bytemuck::try_from_bytes(account.data).ok()?;
    let genuine = account.owner.matches(PROGRAM.as_array()) && u64::from_le_bytes(queue.discriminator) == DISCRIMINATOR;
    genuine.then_some(queue)
}

/// Fails with `OracleSamplesTooFew`, `OracleFromFuture`, `OracleStale`, `OracleNotTrusted` or `OraclePriceInvalid`.
fn price(quote: &Quote<'_>, feed: &QuotedFeed, samples_min: u8, slot_hashes: &[u8], now: Now) -> Result<SourcePrice> {
    if quote.oracles.len() < usize::from(samples_min.max(feed.samples_min)) {
        return Err(EngineError::OracleSamplesTooFew);
    }
    let observed_at = observed_at(quote, slot_hashes, now)?;
    // WHY: a quote says nothing about how far its oracles are apart, so its width is unknown, which counts as none.
    let none = Wide { high: 0, low: 0 };
    // A negative number is a huge one here, and refused as such.
    in_pico(feed.value.wide(), none, PICO_PER_UNIT, observed_at)
}

/// When the oracles signed, or earlier: they signed for a slot, and its hash was not known before it.
///
/// Fails with `OracleFromFuture`, `OracleStale` if the slot is older than what the sysvar holds or had no block, and
/// `OracleNotTrusted` if its hash is another one.
fn observed_at(quote: &Quote<'_>, slot_hashes: &[u8], now: Now) -> Result<UnixSeconds> {
    let age = now.slot.get().checked_sub(quote.slot).ok_or(EngineError::OracleFromFuture)?;
    let hash = hash_of(slot_hashes, quote.slot).ok_or(EngineError::OracleStale)?;
    if hash != quote.hash {
        return Err(EngineError::OracleNotTrusted);
    }
    let seconds = age.div_ceil(SLOTS_PER_SECOND);
    now.unix_seconds.get().checked_sub_unsigned(seconds).map(UnixSeconds::new).ok_or(EngineError::OracleStale)
}

/// Searches the slot hashes, whose slots need not be consecutive.
fn hash_of(slot_hashes: &[u8], slot: u64) -> Option<&[u8; 32]> {
    let (count, entries) = slot_hashes.split_first_chunk()?;
    let entries: &[SlotHash] = bytemuck::try_cast_slice(entries).ok()?;
    let entries = entries.get(..usize::try_from(u64::from_le_bytes(*count)).ok()?)?;
    // Newest first: an entry stands before the one sought if its slot is higher.
    let found = entries.binary_search_by(|entry| slot.cmp(&u64::from_le_bytes(entry.slot)));
    entries.get(found.ok()?).map(|entry| &entry.hash)
}

impl<'a> Quote<'a> {
    /// Fails with `OracleWrongType` if these are not the data of a quote, with `OracleNotVerified` if a signature is
    /// not over this one message.
    fn parse(signatures: Signatures<'a>) -> core::result::Result<Self, Refusal> {
        let shape = Refusal::OracleWrongType;
        let count = signatures.count();
        let (signatures, tail) = signatures.split_tail(TAIL.wrapping_add(usize::from(count))).ok_or(shape)?;
        let (oracles, tail) = tail.split_at_checked(usize::from(count)).ok_or(shape)?;
        let (slot, tail) = tail.split_first_chunk().ok_or(shape)?;
        if !tail.ends_with(&TAG) {
            return Err(shape);
        }
        let first = signatures.get(0)?;
        for place in 1..count {
            let signed = signatures.get(place)?;
            if signed.start != first.start || signed.message.len() != first.message.len() {
                return Err(Refusal::OracleNotVerified);
            }
        }
        let (hash, feeds) = first.message.split_first_chunk().ok_or(shape)?;
        let feeds = bytemuck::try_cast_slice(feeds).map_err(|_| shape)?;
        Ok(Self { signatures, hash, feeds, oracles, slot: u64::from_le_bytes(*slot) })
    }

    /// Whether every signer is now the oracle it claims to be. Fails with `OracleNotVerified` if one oracle is counted
    /// twice, or if the queue has no such place.
    fn is_signed_by(&self, queue: &Queue) -> core::result::Result<bool, Refusal> {
        let mut seen = 0u32;
        let mut genuine = true;
        for (place, oracle) in (0..self.signatures.count()).zip(self.oracles) {
            let key = queue.signing_keys.get(usize::from(*oracle)).ok_or(Refusal::OracleNotVerified)?;
            // A place in the queue is below 30, so each has a bit of its own.
            let bit = 1u32.wrapping_shl(u32::from(*oracle));
            if seen & bit != 0 {
                return Err(Refusal::OracleNotVerified);
            }
            seen |= bit;
            let key = Key::new(key);
            genuine &= !key.is_zero() && key.matches(self.signatures.get(place)?.key);
        }
        Ok(genuine)
    }
}
