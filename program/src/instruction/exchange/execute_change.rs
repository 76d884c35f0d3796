//! `ExecuteChange`: puts a change into effect whose time has come. Anybody may. See `SPEC.md`, "Changes".
//!
//! Accounts
//! 0. `[writable]` exchange
//! 1. `[writable]` ledger
//! 2. `[writable]` market, of a listing and of a change of `taker_delay` only: that which the proposal names
//!
//! Fails with `WrongLedger`, `ChangeNotFound`, `WrongAddress` for another market, `ChangeLapsed`, `ChangeTooEarly`,
//! `TakersWaiting`, `ChangeStale`, as `ProposeChange` where what is in force has changed since, and with the account errors.

use super::check_ledger;
use crate::{
    account::{key_of, own_mut},
    error::{Refusal, engine},
    instruction::{Context, now},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::ProgramResult;
use quantdesk_engine::{
    governance::change::{Governed, MarketAccount},
    state::{Exchange, Ledger},
};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ExecuteChange {
    /// Number of the change.
    pub number: u64,
}

const _: () = assert!(size_of::<ExecuteChange>() == 8);

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: ExecuteChange = context.arguments()?;
    let (exchange, ledger, market) = match context.accounts {
        [exchange, ledger] => (exchange, ledger, None),
        [exchange, ledger, market] => (exchange, ledger, Some(market)),
        _ => return Err(Refusal::AccountsCount.into()),
    };
    let mut exchange = own_mut(exchange, context.program_id)?;
    let exchange = Exchange::load_mut(&mut exchange).map_err(engine)?;
    check_ledger(exchange, ledger)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let mut governed = Governed { exchange, ledger: &mut ledger, now: now()? };
    match (governed.needed_market(arguments.number).map_err(engine)?, market) {
        (None, None) => governed.execute(arguments.number, None).map_err(engine),
        (Some(key), Some(market)) => {
            if key_of(market.address()) != key {
                return Err(Refusal::WrongAddress.into());
            }
            let mut bytes = own_mut(market, context.program_id)?;
            governed.execute(arguments.number, Some(MarketAccount { key, bytes: &mut bytes })).map_err(engine)
        }
        _ => Err(Refusal::AccountsCount.into()),
    }
}
