//! `Deleverage`: closes a bankrupt position against its counterparties, some cells at a time. Anybody may call it, and
//! whoever does goes on with what is under way in the market, whatever account is named.
//!
//! Accounts
//! 0. `[writable]` market
//! 1. `[writable]` ledger
//!
//! Fails with `FieldInvalid` for zero steps, `TraderNotFound`, `MarketNotActive`, `PriceNotValidForAction`,
//! `NothingToClose`, `AccountHealthy`, and as [`super::on_market`].

use super::{Target, on_market};
use crate::instruction::{Context, expect};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;

/// Arguments, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Deleverage {
    /// Whose position, if none is under way.
    pub target: Target,
    /// How much work: a cell looked at is one step, a counterparty closed 32 more.
    pub steps: u16,
    pad: [u8; 6],
}

const _: () = assert!(size_of::<Deleverage>() == 16);

impl Deleverage {
    /// Arguments for this account.
    pub const fn new(target: Target, steps: u16) -> Self {
        Self { target, steps, pad: [0; 6] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: Deleverage = context.arguments()?;
    expect(arguments.pad == [0; 6] && arguments.steps > 0)?;
    on_market(context, |trading| {
        let running = trading.market.header.deleverage;
        let target = if running.is_running() { running.trader } else { arguments.target.find(&trading.ledger)? };
        trading.deleverage(target, arguments.steps).map(|_| ())
    })
}
