//! `SetMarketStatus`: makes a market reduce-only, or active again. It never ends one: that is `SettleMarket`'s, and anybody's.
//!
//! Accounts
//! 0. `[signer]` admin
//! 1. `[]` exchange
//! 2. `[writable]` ledger
//!
//! Fails with `MarketNotFound`, with `MarketStatusInvalid` for any other status than 1 (active) and 2 (reduce-only), for the
//! one the market has, and for a market that is settled or closed, with `NotAuthorized`, `WrongLedger` and the account
//! errors.

use super::check_admin;
use crate::{
    account::{own, own_mut, signer},
    error::{Refusal, engine},
    instruction::{Context, expect, now},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    MarketIndex,
    risk::life,
    state::{Exchange, Ledger, MarketStatus},
};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SetMarketStatus {
    /// The market.
    pub market: MarketIndex,
    /// A [`MarketStatus`], 1 or 2.
    pub status: u8,
    pad: [u8; 5],
}

const _: () = assert!(size_of::<SetMarketStatus>() == 8);

impl SetMarketStatus {
    /// Arguments for this market.
    pub const fn new(market: MarketIndex, status: MarketStatus) -> Self {
        #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
        let status = status as u8;
        Self { market, status, pad: [0; 5] }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: SetMarketStatus = context.arguments()?;
    expect(arguments.pad == [0; 5])?;
    let [admin, exchange, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let admin = signer(admin)?;
    let exchange = own(exchange, context.program_id)?;
    check_admin(Exchange::load(&exchange).map_err(engine)?, admin, ledger)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    life::set_status(&mut ledger, now()?, arguments.market, arguments.status).map_err(engine)
}
