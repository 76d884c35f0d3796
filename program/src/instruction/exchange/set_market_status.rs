//! `SetMarketStatus`: makes a market reduce-only, or before the exchange is sealed active again; after that opening goes
//! through `ProposeChange`. It never ends one: that is `SettleMarket`'s, and anybody's.
//!
//! Accounts
//! 0. `[signer]` admin
//! 1. `[]` exchange
//! 2. `[writable]` ledger
//! 3. `[]` instructions sysvar
//!
//! Fails with `MarketNotFound`, with `MarketStatusInvalid` for any other status than 1 (active) and 2 (reduce-only), for the
//! one the market has, and for a market that is settled or closed, with `ChangeNotTightening` for opening one of a sealed
//! exchange, with `NotAuthorized`, `WrongLedger`, `DurableNonce` and the account errors.

use super::as_admin;
use crate::instruction::{Context, expect};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{MarketIndex, governance::change, state::MarketStatus};

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
    as_admin(context, |ledger, now| change::set_status(ledger, now, arguments.market, arguments.status))
}
