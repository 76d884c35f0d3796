//! Parsers of oracle prices: is this the configured source, and which price does it show?
//!
//! * [`pyth`] — accounts `PriceUpdateV2` of both receiver programs.
//! * [`switchboard`] — accounts of On-Demand pull feeds.
//! * [`quote`] — Switchboard quotes, signed by oracles.
//! * [`lazer`] — Pyth Lazer messages, signed by one publisher.
//! * [`ed25519`] — where the transaction carries those two.
//!
//! All overlay bytes with structs of byte arrays, which fit at any alignment, and return prices in 1e-12 quote units.
//! Age, width and distance are the engine's part (`risk::price`).
//!
//! What whoever sends the transaction got wrong is a [`Refusal`] of the whole instruction. What somebody else can change
//! — an oracle's authority, time, rotation of keys — leaves one source out and must not stop the others.

use crate::{Refusal, account::key_of};
use pinocchio::{AccountView, Address, account::Ref};
use quantdesk_engine::{
    EngineError, Now, PicoPrice, Result, UnixSeconds,
    math::{self, Wide},
    risk::price::SourcePrice,
    state::{Key, OracleSource, SourceKind},
};

pub mod ed25519;
pub mod lazer;
pub mod pyth;
pub mod quote;
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

/// When and where a signed source is read.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The chain's time.
    pub now: Now,
    /// Address of this program.
    pub program: &'a Address,
    /// Which ed25519 instruction is the source's, counted backwards from the running one: 1 is the one directly before.
    pub distance: u16,
}

/// Reads the sources of one `UpdatePrice` one after the other.
///
/// The first source that is signed belongs to the ed25519 instruction directly before the running instruction, the next
/// one to that before it, and so on, so none serves two sources.
#[derive(Debug)]
pub struct Sources<'a> {
    moment: Moment<'a>,
}

impl<'a> Sources<'a> {
    /// A reader for the running instruction of `program`.
    pub const fn new(program: &'a Address, now: Now) -> Self {
        Self { moment: Moment { now, program, distance: 0 } }
    }

    /// The price of the next source in its accounts, as many as its kind takes; errors as in [`read`], [`read_quote`]
    /// and [`read_lazer`], and `AccountsCount` or `AccountTwice`.
    #[inline(always)]
    pub fn read(
        &mut self,
        source: &OracleSource,
        accounts: &[AccountView],
    ) -> core::result::Result<Result<SourcePrice>, Refusal> {
        if let [account] = accounts {
            let data = bytes(account)?;
            return read(source, &OracleAccount::of(account, &data));
        }
        self.read_signed(source, accounts)
    }

    #[inline(never)]
    fn read_signed(
        &mut self,
        source: &OracleSource,
        accounts: &[AccountView],
    ) -> core::result::Result<Result<SourcePrice>, Refusal> {
        self.moment.distance = self.moment.distance.saturating_add(1);
        match accounts {
            [instructions, storage] => {
                let data = [bytes(instructions)?, bytes(storage)?];
                let [first, second] = &data;
                let accounts = [OracleAccount::of(instructions, first), OracleAccount::of(storage, second)];
                read_lazer(source, &accounts, &self.moment)
            }
            [instructions, queue, slot_hashes] => {
                let data = [bytes(instructions)?, bytes(queue)?, bytes(slot_hashes)?];
                let [first, second, third] = &data;
                let accounts = [
                    OracleAccount::of(instructions, first),
                    OracleAccount::of(queue, second),
                    OracleAccount::of(slot_hashes, third),
                ];
                read_quote(source, &accounts, &self.moment)
            }
            _ => Err(Refusal::AccountsCount),
        }
    }
}

impl<'a> OracleAccount<'a> {
    #[inline(always)]
    fn of(account: &AccountView, data: &'a [u8]) -> Self {
        Self { address: key_of(account.address()), owner: key_of(account.owner()), data }
    }
}

fn bytes(account: &AccountView) -> core::result::Result<Ref<'_, [u8]>, Refusal> {
    account.try_borrow().map_err(|_| Refusal::AccountTwice)
}

impl Moment<'_> {
    /// The ed25519 instruction of the source. `None` if there is none, or if it verified nothing: one without
    /// signatures stands for a source that is left out.
    fn signatures<'b>(&self, instructions: &'b [u8]) -> Option<ed25519::Signatures<'b>> {
        let signatures = ed25519::preceding(instructions, self.program.as_array(), self.distance)?;
        (signatures.count() > 0).then_some(signatures)
    }
}

/// The price of a source whose account holds it: Pyth, Pyth Pro, Switchboard pull feed.
///
/// The outer error says that this is not the account of the source and refuses the instruction: `OracleWrongOwner`,
/// `OracleWrongAccount`, `OracleWrongType`, `OracleWrongFeed` or `OracleNotVerified`. The inner one says that it is, but
/// that its price does not count: `OraclePriceInvalid`, `OracleSamplesTooFew`, `OracleNotTrusted` if the feed is not any
/// more what was listed, or `OracleStale` if the price has no date.
#[inline(always)]
pub fn read(source: &OracleSource, account: &OracleAccount<'_>) -> core::result::Result<Result<SourcePrice>, Refusal> {
    match SourceKind::from_byte(source.kind) {
        Some(SourceKind::Pyth) => pyth::read(source, account, &pyth::RECEIVER),
        Some(SourceKind::PythPro) => pyth::read(source, account, &pyth::RECEIVER_PRO),
        Some(SourceKind::Switchboard) => switchboard::read(source, account),
        // A listing takes known kinds only, and the others take more accounts.
        Some(SourceKind::SwitchboardQuote | SourceKind::PythLazer) | None => Err(Refusal::OracleWrongType),
    }
}

/// The price of a Switchboard quote. Accounts: instructions sysvar, queue, slot hashes sysvar.
///
/// The outer error says that accounts or instruction are not what the source needs: `OracleWrongAccount` (another
/// sysvar), `OracleWrongQueue`, `OracleWrongType` (no quote), `OracleNotVerified` (signatures that lie elsewhere, or of
/// one oracle twice), `OracleWrongFeed`. The inner one says that the price does not count: `OracleNotTrusted` (no quote,
/// no queue any more, a signer that is not the oracle it claims to be, a slot's hash that is another one),
/// `OracleSamplesTooFew`, `OracleStale`, `OracleFromFuture`, `OraclePriceInvalid`.
pub fn read_quote(
    source: &OracleSource,
    accounts: &[OracleAccount<'_>; 3],
    moment: &Moment<'_>,
) -> core::result::Result<Result<SourcePrice>, Refusal> {
    quote::read(source, accounts, moment)
}

/// The price of a Pyth Lazer message. Accounts: instructions sysvar, storage of the Lazer program.
///
/// The outer error says that accounts or instruction are not what the source needs: `OracleWrongAccount`,
/// `OracleWrongType` (no message, or more than one), `OracleNotVerified` (parts that lie elsewhere), `OracleWrongFeed`.
/// The inner one says that the price does not count: `OracleNotTrusted` (no message, no storage any more, a signer that
/// is not trusted or no longer), `OraclePriceInvalid` (price, exponent or confidence missing or out of range, an unknown
/// property), `OracleStale` (no date), `OracleFromFuture`.
pub fn read_lazer(
    source: &OracleSource,
    accounts: &[OracleAccount<'_>; 2],
    moment: &Moment<'_>,
) -> core::result::Result<Result<SourcePrice>, Refusal> {
    lazer::read(source, accounts, moment)
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
