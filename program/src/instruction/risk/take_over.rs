//! `TakeOver`: moves a failing position, or part of it, to a liquidator's own account at a price the program computes.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the liquidator's account
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//!
//! Fails with `TraderNotFound`, `DeleverageRunning`, `MarketNotActive`, `PriceNotValidForAction`, `AccountHealthy`,
//! `NoEquity`, `NothingToClose`, `SelfTakeOver`, `AccountBankrupt`, `LedgerFull`, `PositionTooLarge`,
//! `OpenInterestTooLarge`, `BelowInitialMargin`, and as [`trade`](crate::instruction::order::trade).

use super::Target;
use crate::instruction::{Context, expect, order::trade};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{Generation, Lots};

/// Arguments, 24 bytes. The head names the liquidator's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct TakeOver {
    /// Incarnation of the liquidator's account.
    pub generation: Generation,
    /// Whose position.
    pub target: Target,
    pad: u32,
    /// Most lots to take.
    pub lots_max: Lots,
}

const _: () = assert!(size_of::<TakeOver>() == 24);

impl TakeOver {
    /// Arguments for this account.
    pub const fn new(generation: Generation, target: Target, lots_max: Lots) -> Self {
        Self { generation, target, pad: 0, lots_max }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: TakeOver = context.arguments()?;
    expect(arguments.pad == 0)?;
    trade(context, arguments.generation, |trading, liquidator| {
        let target = arguments.target.find(&trading.ledger)?;
        trading.take_over(liquidator, target, arguments.lots_max).map(|_| ())
    })
}
