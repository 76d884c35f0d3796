//! `SettleMarket`: ends trading in a market at its mark, for ever: a day after it became reduce-only, or once its price has
//! been dead for a day. Anybody may call it, so nobody can strand those who hold positions.
//!
//! Accounts
//! 0. `[writable]` market
//! 1. `[writable]` ledger
//!
//! Fails with `MarketStatusInvalid` if it was done before, `DeleverageRunning`, `NoticeNotOver`, and as
//! [`on_market`](crate::instruction::risk::on_market).

use crate::instruction::{Context, risk::on_market};
use pinocchio::ProgramResult;
use quantdesk_engine::risk::life;

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let []: [u8; 0] = context.arguments()?;
    on_market(context, |trading| life::settle_market(&mut trading.ledger, trading.now, trading.market.header))
}
