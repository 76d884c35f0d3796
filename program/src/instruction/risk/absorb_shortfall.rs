//! `AbsorbShortfall`: marks an account without equity as bankrupt, lets the protection pool pay what it lacks, and
//! resolves it if it has no size left. Anybody may call it.
//!
//! Accounts
//! 0. `[writable]` ledger
//!
//! Fails with `AccountsCount`, `TraderNotFound`, `PriceNotValidForAction`, `AccountHealthy`, `MarketNotFound`,
//! `NothingToAbsorb` and the account errors.

use super::Target;
use crate::{
    account::own_mut,
    error::{Refusal, engine},
    instruction::{Context, expect, now},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{MarketIndex, risk::shortfall, state::Ledger};

/// Arguments, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct AbsorbShortfall {
    /// Which account.
    pub target: Target,
    /// A market it has traded in, whose budget is used.
    pub market: MarketIndex,
    pad: [u8; 6],
}

const _: () = assert!(size_of::<AbsorbShortfall>() == 16);

impl AbsorbShortfall {
    /// Arguments for this account.
    pub const fn new(target: Target, market: MarketIndex) -> Self {
        Self { target, market, pad: [0; 6] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: AbsorbShortfall = context.arguments()?;
    expect(arguments.pad == [0; 6])?;
    let [ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let mut bytes = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut bytes).map_err(engine)?;
    let target = arguments.target.find(&ledger).map_err(engine)?;
    shortfall::absorb_shortfall(&mut ledger, now()?, target, arguments.market).map_err(engine)
}
