//! `SettleMarketPosition`: closes a long and a short position in a settled market against each other at its price, as many
//! lots as both have. Anybody may call it, for any two accounts, in any order: the result is the same for everybody.
//!
//! Accounts
//! 0. `[writable]` market
//! 1. `[writable]` ledger
//!
//! Fails with `TraderNotFound`, `MarketStatusInvalid` unless the market is settled, `DeleverageRunning`, `NoticeNotOver`
//! for an hour after that, `NothingToClose` if the one is not long or the other not short, `AccountBankrupt` if either is
//! worth less than nothing, and as [`on_market`](crate::instruction::risk::on_market).

use crate::instruction::{
    Context,
    risk::{Target, on_market},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::risk::life::{self, Pair};

/// Arguments, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SettleMarketPosition {
    /// Holds a long position.
    pub long: Target,
    /// Holds a short one.
    pub short: Target,
}

const _: () = assert!(size_of::<SettleMarketPosition>() == 16);

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: SettleMarketPosition = context.arguments()?;
    on_market(context, |trading| {
        let pair = Pair { long: arguments.long.find(&trading.ledger)?, short: arguments.short.find(&trading.ledger)? };
        life::settle_positions(&mut trading.ledger, trading.now, trading.market.header, pair)
    })
}
