//! A session's account: a key that may trade for an account, within a scope, for a time.

use super::header::{AccountHeader, Key};
use crate::{
    error::{EngineError, Result},
    slab,
    units::{CellIndex, Generation, QuoteAtoms, QuoteDelta, UnixSeconds},
};
use bytemuck::{Pod, Zeroable};

/// `"QDSESSIN"`.
pub const SESSION_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"QDSESSIN");
/// Bytes of a session account.
pub const SESSION_SIZE: usize = 192;

/// What a session may do, 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SessionTerms {
    /// Markets it may trade in: bit 0 the first.
    pub markets: u32,
    /// What it may do there: a sum of [`Action`](crate::session::Action)s.
    pub actions: u8,
    pad: [u8; 3],
    /// Last second at which it may act.
    pub expires_at: UnixSeconds,
    /// Largest value of an order, in quote atoms.
    pub order_notional_max: QuoteAtoms,
    /// Largest value of all orders of a UTC day.
    pub day_notional_max: QuoteAtoms,
    /// Most that the account may lose on a UTC day before the session may only cancel.
    pub day_loss_max: QuoteAtoms,
}

/// A key that may trade for one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Session {
    /// Header; the bump is that of the account's address.
    pub header: AccountHeader,
    /// The ledger in which it may act.
    pub ledger: Key,
    /// Who opened it, and may close it.
    pub owner: Key,
    /// Who signs.
    pub key: Key,
    /// The account that it trades for.
    pub trader: CellIndex,
    /// Incarnation of that account.
    pub generation: Generation,
    /// What it may do.
    pub terms: SessionTerms,
    /// UTC day, counted from 1970, of the numbers below; zero before the first.
    pub day: u32,
    pad: u32,
    /// Value of the orders of that day.
    pub notional: QuoteAtoms,
    /// What the account had made by trading when that day's first order came, modulo 2^64: see `risk::outcome`.
    pub profit: QuoteDelta,
    reserved: [u8; 8],
}

const _: () = assert!(size_of::<SessionTerms>() == 40);
const _: () = assert!(size_of::<Session>() == SESSION_SIZE && align_of::<Session>() == 8);

/// Whose a new session is, and who signs for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionIdentity {
    /// The ledger.
    pub ledger: Key,
    /// Owner of the account it trades for.
    pub owner: Key,
    /// Who signs.
    pub key: Key,
    /// The account.
    pub trader: CellIndex,
    /// Its incarnation.
    pub generation: Generation,
}

impl SessionTerms {
    /// Terms with these markets and actions, an end, and limits of an order's value, a day's value and a day's loss.
    pub const fn new(markets: u32, actions: u8, expires_at: UnixSeconds, limits: [QuoteAtoms; 3]) -> Self {
        let [order_notional_max, day_notional_max, day_loss_max] = limits;
        Self { markets, actions, pad: [0; 3], expires_at, order_notional_max, day_notional_max, day_loss_max }
    }

    /// Whether its padding is zero.
    pub fn is_padded(&self) -> bool {
        self.pad == [0; 3]
    }
}

impl Session {
    /// The session in these bytes. Fails with `AccountSize`, `AccountType` or `AccountVersion`.
    pub fn load(bytes: &[u8]) -> Result<&Self> {
        let (session, rest): (&Self, _) = slab::take_one(bytes)?;
        session.check(rest)?;
        Ok(session)
    }

    /// The session in these bytes. Fails with `AccountSize`, `AccountType` or `AccountVersion`.
    #[inline(always)]
    pub fn load_mut(bytes: &mut [u8]) -> Result<&mut Self> {
        let (session, rest): (&mut Self, _) = slab::take_one_mut(bytes)?;
        session.check(rest)?;
        Ok(session)
    }

    #[inline(always)]
    const fn check(&self, rest: &[u8]) -> Result<()> {
        if rest.is_empty() { self.header.check(SESSION_DISCRIMINATOR) } else { Err(EngineError::AccountSize) }
    }
}

/// Turns blank bytes into a session. Fails with `AccountSize`, or with `AccountNotBlank` if they are in use.
pub fn create(bytes: &mut [u8], identity: &SessionIdentity, terms: &SessionTerms, bump: u8) -> Result<()> {
    let (session, rest): (&mut Session, _) = slab::take_one_mut(bytes)?;
    if !rest.is_empty() {
        return Err(EngineError::AccountSize);
    }
    if !session.header.is_blank() {
        return Err(EngineError::AccountNotBlank);
    }
    let SessionIdentity { ledger, owner, key, trader, generation } = *identity;
    let header = AccountHeader::new(SESSION_DISCRIMINATOR, bump);
    *session = Session { header, ledger, owner, key, trader, generation, terms: *terms, ..Session::zeroed() };
    Ok(())
}
