//! `ReplaceQuotes`: a maker says what it wants on the book from now on, under a number of its own; the last word wins.
//!
//! The layout is fixed for those who schedule transactions: the number is the u64 at byte 8 of the data, the market the
//! second account. Dropped, repeated or overtaken transactions do no harm: an older or equal number does nothing.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the trader, or the key of a session
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//! 3. `[writable]` that session, if a session key signs
//!
//! Fails with `DataLength` unless exactly `count` quotes follow, with `FieldInvalid` for more than 16 of them or bytes that
//! mean nothing, `InstructionExpired`, `PostOnlyWouldCross`, `AccountBankrupt`, the order and margin errors, and as
//! [`super::trade`].

use super::trade;
use crate::{
    error::Refusal,
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::{ProgramResult, error::ProgramError};
use quantdesk_engine::{
    Generation, UnixSeconds,
    book::{QUOTES_MAX, Quote, Replacement, Sides},
};

/// Arguments before the quotes, 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ReplaceQuotes {
    /// The maker's own number.
    pub sequence: u64,
    /// Incarnation of the trader.
    pub generation: Generation,
    /// Whose present orders go: a [`Sides`], or 3 for none.
    pub sides: u8,
    /// Quotes that follow, at most 16.
    pub count: u8,
    pad: [u8; 2],
    /// Last second at which the quotes may be filled; 0 for no end.
    pub expires_at: UnixSeconds,
    /// Last second at which this instruction may run; 0 for no end.
    pub valid_until: UnixSeconds,
}

const _: () = assert!(size_of::<ReplaceQuotes>() == 32 && size_of::<Quote>() == 16);

/// [`ReplaceQuotes::sides`] for none.
const NO_SIDE: u8 = 3;

impl ReplaceQuotes {
    /// Arguments for this many quotes.
    pub fn new(generation: Generation, wanted: &Replacement<'_>, valid_until: UnixSeconds) -> Self {
        #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
        let sides = wanted.sides.map_or(NO_SIDE, |sides| sides as u8);
        let count = u8::try_from(wanted.quotes.len()).unwrap_or(u8::MAX);
        Self {
            sequence: wanted.sequence,
            generation,
            sides,
            count,
            pad: [0; 2],
            expires_at: wanted.expires_at,
            valid_until,
        }
    }

    /// Fails with `FieldInvalid`.
    #[inline(always)]
    fn sides(&self) -> Result<Option<Sides>, ProgramError> {
        if self.sides == NO_SIDE {
            return Ok(None);
        }
        Sides::from_byte(self.sides).map(Some).ok_or(Refusal::FieldInvalid.into())
    }
}

/// Runs the instruction.
#[inline(never)]
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let (arguments, rest) =
        context.arguments.split_at_checked(size_of::<ReplaceQuotes>()).ok_or(Refusal::DataLength)?;
    let arguments: ReplaceQuotes = bytemuck::try_pod_read_unaligned(arguments).map_err(|_| Refusal::DataLength)?;
    let count = usize::from(arguments.count);
    expect(arguments.pad == [0; 2] && count <= QUOTES_MAX)?;
    let sides = arguments.sides()?;
    let mut quotes = [Quote::zeroed(); QUOTES_MAX];
    let (bytes, surplus) = rest.as_chunks::<{ size_of::<Quote>() }>();
    if bytes.len() != count || !surplus.is_empty() {
        return Err(Refusal::DataLength.into());
    }
    for (place, quote) in quotes.iter_mut().zip(bytes) {
        *place = bytemuck::pod_read_unaligned(quote);
        expect(place.is_padded() && place.side().is_some())?;
    }
    let quotes = quotes.get(..count).unwrap_or(&[]);
    let late = trade(context, arguments.generation, |trading, trader| {
        if !arguments.valid_until.is_zero() && trading.now.unix_seconds > arguments.valid_until {
            return Ok(true);
        }
        let wanted = Replacement { sequence: arguments.sequence, sides, expires_at: arguments.expires_at, quotes };
        trading.replace_quotes(trader, &wanted).map(|_| false)
    })?;
    if late { Err(Refusal::InstructionExpired.into()) } else { Ok(()) }
}
