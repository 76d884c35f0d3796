//! `SettleMarketPosition`: closes one account's position in a settled market at its price. Anybody may call it, for anybody,
//! in any order: the result is the same.
//!
//! Accounts
//! 0. `[writable]` market
//! 1. `[writable]` ledger
//!
//! Arguments: a [`Target`], 8 bytes.
//!
//! Fails with `TraderNotFound`, `MarketStatusInvalid` unless the market is settled, `DeleverageRunning`, `NoticeNotOver`
//! for an hour after that, `NothingToClose`, `AccountBankrupt` for an account that is worth less than nothing, and as
//! [`on_market`](crate::instruction::risk::on_market).

use crate::instruction::{
    Context,
    risk::{Target, on_market},
};
use pinocchio::ProgramResult;
use quantdesk_engine::risk::life;

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let target: Target = context.arguments()?;
    on_market(context, |trading| {
        let trader = target.find(&trading.ledger)?;
        life::settle_position(&mut trading.ledger, trading.now, trading.market.header, trader)
    })
}
