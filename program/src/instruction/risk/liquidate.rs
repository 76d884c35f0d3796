//! `Liquidate`: closes as much of a failing position through the book as restores the account. The keeper's account gets
//! a part of the fee.
//!
//! Accounts
//! 0. `[signer]` owner or delegate of the keeper's account
//! 1. `[writable]` market
//! 2. `[writable]` ledger
//!
//! Fails with `TraderNotFound`, `MatchLimitOutOfRange`, `DeleverageRunning`, `MarketNotActive`,
//! `PriceNotValidForAction`, `AccountHealthy`, `NoEquity`, `NothingToClose`, `NoLiquidity`, and as
//! [`trade`](crate::instruction::order::trade).

use super::Target;
use crate::instruction::{Context, expect, order::trade};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::Generation;

/// Arguments, 16 bytes. The head names the keeper's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Liquidate {
    /// Incarnation of the keeper's account.
    pub generation: Generation,
    /// Whose position.
    pub target: Target,
    /// Most orders to meet, 1 to 255.
    pub match_limit: u8,
    pad: [u8; 3],
}

const _: () = assert!(size_of::<Liquidate>() == 16);

impl Liquidate {
    /// Arguments for this account.
    pub const fn new(generation: Generation, target: Target, match_limit: u8) -> Self {
        Self { generation, target, match_limit, pad: [0; 3] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: Liquidate = context.arguments()?;
    expect(arguments.pad == [0; 3])?;
    trade(context, arguments.generation, |trading, keeper| {
        let target = arguments.target.find(&trading.ledger)?;
        trading.liquidate(keeper, target, arguments.match_limit).map(|_| ())
    })
}
