//! What every account starts with, and 32-byte keys.

use crate::error::{EngineError, Result};
use bytemuck::{Pod, Zeroable};

/// Layout version of all accounts.
pub const VERSION: u8 = 1;

/// First 16 bytes of every account. A discriminator is never zero, so an untouched account is never a valid one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct AccountHeader {
    discriminator: u64,
    version: u8,
    /// Bump of the account's own address, or of the address it controls.
    pub bump: u8,
    /// Life-cycle state; its meaning belongs to the account type.
    pub state: u8,
    pad: [u8; 5],
}

const _: () = assert!(size_of::<AccountHeader>() == 16);

impl AccountHeader {
    /// Header of a new account.
    pub const fn new(discriminator: u64, bump: u8) -> Self {
        Self { discriminator, version: VERSION, bump, state: 0, pad: [0; 5] }
    }

    /// Whether the account has never been initialised.
    #[inline(always)]
    pub const fn is_blank(&self) -> bool {
        self.discriminator == 0 && self.version == 0
    }

    /// Fails with `AccountType` or `AccountVersion` unless the account is of this type and of the version this code
    /// knows.
    #[inline(always)]
    pub const fn check(&self, discriminator: u64) -> Result<()> {
        if self.discriminator != discriminator {
            return Err(EngineError::AccountType);
        }
        if self.version != VERSION {
            return Err(EngineError::AccountVersion);
        }
        Ok(())
    }
}

/// A 32-byte address or feed id, as four words: comparing them is four compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(transparent)]
pub struct Key([u64; 4]);

impl Key {
    /// All zero: no key.
    pub const ZERO: Self = Self([0; 4]);

    /// From bytes.
    #[inline(always)]
    pub fn new(bytes: &[u8; 32]) -> Self {
        bytemuck::pod_read_unaligned(bytes)
    }

    /// The bytes.
    #[inline(always)]
    pub fn as_bytes(&self) -> &[u8; 32] {
        bytemuck::cast_ref(&self.0)
    }

    /// Whether these bytes are this key. Compares in place, without a copy.
    #[inline(always)]
    pub fn matches(&self, bytes: &[u8; 32]) -> bool {
        let [a, b, c, d] = self.0;
        let (words, _) = bytes.as_chunks::<8>();
        match words {
            [e, f, g, h] => {
                a == u64::from_le_bytes(*e)
                    && b == u64::from_le_bytes(*f)
                    && c == u64::from_le_bytes(*g)
                    && d == u64::from_le_bytes(*h)
            }
            _ => false,
        }
    }

    /// First eight bytes: a cheap filter before the full comparison.
    #[inline(always)]
    pub const fn tag(&self) -> u64 {
        let [tag, _, _, _] = self.0;
        tag
    }

    /// Whether no key is set.
    #[inline(always)]
    pub const fn is_zero(&self) -> bool {
        let [a, b, c, d] = self.0;
        (a | b | c | d) == 0
    }
}
