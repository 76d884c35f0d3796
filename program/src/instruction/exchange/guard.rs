//! `Guard`: tightens something at once: a stricter or longer mode of the exchange, a lower cap of a market. It never loosens
//! anything, so it is what a guardian may do alone; the admin may, too.
//!
//! Accounts
//! 0. `[signer]` guardian or admin
//! 1. `[]` exchange
//! 2. `[writable]` ledger
//! 3. `[]` instructions sysvar
//!
//! Fails with `FieldInvalid` for a kind or mode that there is not, and for a field that the kind has not; with `ModeInvalid`,
//! `NotTightening`, `HaltTooSoon`, `MarketNotFound`, `MarketStatusInvalid`, `ListingParametersInvalid`, `NotAuthorized`,
//! `WrongLedger`, `WrongInstructionsSysvar`, `DurableNonce` and the account errors.

use super::as_holder;
use crate::{
    error::Refusal,
    instruction::{Context, expect},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::{ProgramResult, error::ProgramError};
use quantdesk_engine::{
    Lots, MarketIndex,
    governance::{
        guard::{self, Tightening},
        mode::Mode,
        role::Role,
    },
};

/// What is tightened.
const MODE: u8 = 0;
const POSITION_MAX: u8 = 1;
const INTEREST_MAX: u8 = 2;

/// Arguments, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Guard {
    /// 0 the mode, 1 a market's cap on positions, 2 its cap on open interest.
    pub kind: u8,
    /// A [`Mode`]; 0 for a cap.
    pub mode: u8,
    /// The market; 0 for a mode.
    pub market: MarketIndex,
    /// How long the mode holds; 0 for a cap.
    pub seconds: u32,
    /// The new cap; 0 for a mode.
    pub lots: Lots,
}

const _: () = assert!(size_of::<Guard>() == 16);

impl Guard {
    /// Arguments for this.
    pub const fn new(wanted: &Tightening) -> Self {
        let none = Self { kind: MODE, mode: 0, market: MarketIndex::new(0), seconds: 0, lots: Lots::ZERO };
        match *wanted {
            Tightening::Mode { mode, seconds } => Self { mode: mode.byte(), seconds, ..none },
            Tightening::PositionMax { market, lots } => Self { kind: POSITION_MAX, market, lots, ..none },
            Tightening::InterestMax { market, lots } => Self { kind: INTEREST_MAX, market, lots, ..none },
        }
    }

    fn tightening(&self) -> Result<Tightening, ProgramError> {
        let Self { kind, mode, market, seconds, lots } = *self;
        let wanted = match kind {
            MODE => Tightening::Mode { mode: Mode::from_byte(mode).ok_or(Refusal::FieldInvalid)?, seconds },
            POSITION_MAX => Tightening::PositionMax { market, lots },
            INTEREST_MAX => Tightening::InterestMax { market, lots },
            _ => return Err(Refusal::FieldInvalid.into()),
        };
        // What the kind has not must be zero.
        expect(*self == Self::new(&wanted))?;
        Ok(wanted)
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: Guard = context.arguments()?;
    let wanted = arguments.tightening()?;
    as_holder(context, &[Role::Guardian, Role::Admin], |ledger, now| guard::tighten(ledger, now, &wanted))
}
