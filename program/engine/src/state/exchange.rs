//! The exchange account: cold configuration of one risk group. Read by `UpdatePrice`, written by administration.

use super::header::{AccountHeader, Key};
use crate::{
    error::{EngineError, Result},
    governance::{Delays, queue::ChangeQueue, role::Rotations},
    math, slab,
    units::MarketIndex,
};
use bytemuck::{Pod, Zeroable};

/// `"QDXCHNGE"`.
pub const EXCHANGE_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"QDXCHNGE");
/// Oracle sources of all markets of an exchange together.
pub const EXCHANGE_SOURCES_MAX: usize = 64;
/// Oracle sources of one market.
pub const MARKET_SOURCES_MAX: usize = 4;
/// Markets of one exchange.
pub const MARKETS_MAX: usize = 32;
/// Marks an unused place in [`Exchange::market_sources`].
const NO_SOURCE: u8 = u8::MAX;

/// Accounts `UpdatePrice` takes for one source at most.
pub const SOURCE_ACCOUNTS_MAX: usize = 3;
/// Oracles that a Switchboard queue has room for.
pub const QUEUE_ORACLES_MAX: usize = 30;

/// Where a source's price comes from. The kind fixes the program that must own the account, or who must have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SourceKind {
    /// Pyth `PriceUpdateV2`, posted through the receiver program.
    Pyth = 1,
    /// Pyth `PriceUpdateV2`, posted through the "pro-compatible" receiver program.
    PythPro = 2,
    /// Switchboard On-Demand pull feed.
    Switchboard = 3,
    /// Switchboard quote: signed by oracles of a queue, carried by the transaction itself.
    SwitchboardQuote = 4,
    /// Pyth Lazer message: signed by a publisher that Pyth trusts, carried by the transaction itself.
    PythLazer = 5,
}

/// Identity of one oracle source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OracleSource {
    /// A [`SourceKind`].
    pub kind: u8,
    /// Fewest samples a Switchboard result, or signatures a quote, must rest on; 0 for Pyth.
    pub samples_min: u8,
    pad: [u8; 6],
    /// Address of the Switchboard pull feed; zero for all others.
    pub account: Key,
    /// Pyth feed id, Switchboard feed hash or id, or the number of a Lazer feed in the first four bytes.
    pub feed: Key,
    /// Switchboard queue; zero for Pyth.
    pub queue: Key,
}

/// The exchange account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Exchange {
    /// Header; the bump is that of the account's address.
    pub header: AccountHeader,
    /// Number in the address seeds.
    pub id: u64,
    /// Proposes changes.
    pub admin: Key,
    /// The ledger of this exchange.
    pub ledger: Key,
    /// The token account that holds all collateral.
    pub vault: Key,
    /// The collateral's mint, fixed at creation.
    pub mint: Key,
    market_sources: [[u8; MARKET_SOURCES_MAX]; MARKETS_MAX],
    sources_len: u32,
    pad: u32,
    sources: [OracleSource; EXCHANGE_SOURCES_MAX],
    /// Pauses and tightens.
    pub guardian: Key,
    /// Proposes listings.
    pub lister: Key,
    /// Collects fees.
    pub fee_collector: Key,
    /// How long what loosens waits, and what is critical.
    pub delays: Delays,
    /// Keys proposed for the roles.
    pub rotations: Rotations,
    /// Changes that wait.
    pub changes: ChangeQueue,
}

/// Bytes of the exchange account: the most that one instruction can create.
pub const EXCHANGE_SIZE: usize = 10_240;
const _: () = assert!(size_of::<OracleSource>() == 104 && align_of::<OracleSource>() == 8);
const _: () = assert!(size_of::<Exchange>() == EXCHANGE_SIZE && align_of::<Exchange>() == 8);

impl SourceKind {
    /// Decodes a stored byte.
    #[inline(always)]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Pyth),
            2 => Some(Self::PythPro),
            3 => Some(Self::Switchboard),
            4 => Some(Self::SwitchboardQuote),
            5 => Some(Self::PythLazer),
            _ => None,
        }
    }

    /// Accounts `UpdatePrice` takes for a source of this kind: the oracle's own, or those that prove a signature.
    #[inline(always)]
    pub const fn accounts(self) -> usize {
        match self {
            Self::Pyth | Self::PythPro | Self::Switchboard => 1,
            Self::PythLazer => 2,
            Self::SwitchboardQuote => SOURCE_ACCOUNTS_MAX,
        }
    }
}

impl OracleSource {
    /// A Pyth feed.
    pub fn pyth(feed: Key) -> Self {
        Self { kind: 1, feed, ..Self::zeroed() }
    }

    /// A feed of Pyth Pro.
    pub fn pyth_pro(feed: Key) -> Self {
        Self { kind: 2, feed, ..Self::zeroed() }
    }

    /// A Switchboard pull feed.
    pub fn switchboard(account: Key, feed: Key, queue: Key, samples_min: u8) -> Self {
        Self { kind: 3, samples_min, account, feed, queue, ..Self::zeroed() }
    }

    /// A feed in quotes signed by at least `samples_min` oracles of `queue`.
    pub fn switchboard_quote(feed: Key, queue: Key, samples_min: u8) -> Self {
        Self { kind: 4, samples_min, feed, queue, ..Self::zeroed() }
    }

    /// A feed in Pyth Lazer messages, by its number.
    pub fn pyth_lazer(feed: u32) -> Self {
        let mut key = [0; 32];
        for (place, byte) in key.iter_mut().zip(feed.to_le_bytes()) {
            *place = byte;
        }
        Self { kind: 5, feed: Key::new(&key), ..Self::zeroed() }
    }

    /// Number of a Lazer feed. `None` if the feed is no such number.
    #[inline(always)]
    pub fn lazer_feed(&self) -> Option<u32> {
        let number = u32::try_from(self.feed.tag()).ok()?;
        (Self::pyth_lazer(number).feed == self.feed).then_some(number)
    }

    /// Whether padding is zero.
    pub fn is_padded(&self) -> bool {
        self.pad == [0; 6]
    }

    /// Whether the identity is complete, of a known kind, and holds nothing that kind has no use for.
    pub fn is_valid(&self) -> bool {
        let Some(kind) = SourceKind::from_byte(self.kind) else { return false };
        let (account, queue) = (!self.account.is_zero(), !self.queue.is_zero());
        let named = match kind {
            SourceKind::Pyth | SourceKind::PythPro => !account && !queue && self.samples_min == 0,
            SourceKind::PythLazer => !account && !queue && self.samples_min == 0 && self.lazer_feed().is_some(),
            SourceKind::Switchboard => account && queue && self.samples_min > 0,
            SourceKind::SwitchboardQuote => {
                !account && queue && self.samples_min > 0 && usize::from(self.samples_min) <= QUEUE_ORACLES_MAX
            }
        };
        named && !self.feed.is_zero()
    }
}

impl Exchange {
    /// The exchange in these bytes. Fails with `AccountSize`, `AccountType` or `AccountVersion`.
    #[inline(always)]
    pub fn load(bytes: &[u8]) -> Result<&Self> {
        let (exchange, rest): (&Self, _) = slab::take_one(bytes)?;
        if !rest.is_empty() {
            return Err(EngineError::AccountSize);
        }
        exchange.header.check(EXCHANGE_DISCRIMINATOR)?;
        Ok(exchange)
    }

    /// The exchange in these bytes. Fails with `AccountSize`, `AccountType` or `AccountVersion`.
    #[inline(always)]
    pub fn load_mut(bytes: &mut [u8]) -> Result<&mut Self> {
        let (exchange, rest): (&mut Self, _) = slab::take_one_mut(bytes)?;
        if !rest.is_empty() {
            return Err(EngineError::AccountSize);
        }
        exchange.header.check(EXCHANGE_DISCRIMINATOR)?;
        Ok(exchange)
    }

    /// Marks every market as having no source; for a new exchange.
    pub fn clear_sources(&mut self) {
        self.market_sources = [[NO_SOURCE; MARKET_SOURCES_MAX]; MARKETS_MAX];
        self.sources_len = 0;
    }

    /// The source at `place` of `market`, if it has one.
    #[inline(always)]
    pub fn source(&self, market: MarketIndex, place: usize) -> Option<&OracleSource> {
        let index = *self.market_sources.get(usize::from(market.get()))?.get(place)?;
        self.sources.get(usize::from(index))
    }

    /// Accounts `UpdatePrice` takes for all sources of `market` together.
    #[inline(always)]
    pub fn source_accounts(&self, market: MarketIndex) -> usize {
        let Some(places) = self.market_sources.get(usize::from(market.get())) else { return 0 };
        let mut accounts = 0usize;
        for place in places {
            let source = self.sources.get(usize::from(*place));
            let kind = source.and_then(|source| SourceKind::from_byte(source.kind));
            accounts = accounts.saturating_add(kind.map_or(0, SourceKind::accounts));
        }
        accounts
    }

    /// Whether a market's sources may become these. Fails with `ListingOracleInvalid` if one is incomplete or repeated, or no
    /// room would be left.
    pub fn check_sources(&self, market: MarketIndex, sources: &[OracleSource]) -> Result<()> {
        self.room_for(market, sources).map(drop)
    }

    /// Places of [`Self::sources`] that a market's new sources may take, as bits. Fails as [`Self::check_sources`].
    fn room_for(&self, market: MarketIndex, sources: &[OracleSource]) -> Result<u64> {
        let error = EngineError::ListingOracleInvalid;
        if sources.is_empty() || sources.len() > MARKET_SOURCES_MAX {
            return Err(error);
        }
        for (place, source) in sources.iter().enumerate() {
            let repeated = sources.iter().take(place).any(|other| other == source);
            if !source.is_valid() || repeated {
                return Err(error);
            }
        }
        let free = self.free_sources(market);
        let known = usize::from(market.get()) < MARKETS_MAX;
        if known && sources.len() <= math::to_usize(free.count_ones()) { Ok(free) } else { Err(error) }
    }

    /// Places of [`Self::sources`] that no other market uses, as bits.
    fn free_sources(&self, market: MarketIndex) -> u64 {
        let mut free = u64::MAX;
        for (places, _) in self.market_sources.iter().zip(0u16..).filter(|(_, other)| *other != market.get()) {
            for place in places {
                // 255, for none, is no bit.
                free &= !1u64.checked_shl(u32::from(*place)).unwrap_or(0);
            }
        }
        free
    }

    /// Gives a market these sources in place of those it had. Each takes the first place that is free. Fails as
    /// [`Self::check_sources`].
    pub fn set_sources(&mut self, market: MarketIndex, sources: &[OracleSource]) -> Result<()> {
        let error = EngineError::ListingOracleInvalid;
        let mut free = self.room_for(market, sources)?;
        let places = self.market_sources.get_mut(usize::from(market.get())).ok_or(error)?;
        *places = [NO_SOURCE; MARKET_SOURCES_MAX];
        for (place, source) in places.iter_mut().zip(sources) {
            let index = free.trailing_zeros();
            *self.sources.get_mut(math::to_usize(index)).ok_or(error)? = *source;
            *place = u8::try_from(index).map_err(|_| error)?;
            // Drops the lowest bit.
            free &= free.wrapping_sub(1);
            self.sources_len = self.sources_len.max(index.wrapping_add(1));
        }
        Ok(())
    }
}
