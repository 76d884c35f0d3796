//! One file per instruction. Each opens with its purpose, its accounts, its arguments and what it fails with.
//!
//! Order inside every one: arguments, accounts, time, engine, token movement.

pub mod crank;
pub mod exchange;
pub mod order;
pub mod pool;
pub mod risk;
pub mod trader;

use crate::{
    error::{Refusal, engine},
    tag::Head,
};
use bytemuck::Pod;
use pinocchio::{
    AccountView, Address,
    error::ProgramError,
    sysvars::{Sysvar, clock::Clock},
};
use quantdesk_engine::{
    CellIndex, Generation, Now, Slot, UnixSeconds,
    book::Trading,
    state::{Ledger, Market, TraderCell},
};

/// What an instruction works on.
pub struct Context<'a> {
    /// This program's address.
    pub program_id: &'a Address,
    /// Accounts, in the documented order.
    pub accounts: &'a mut [AccountView],
    /// Parsed head.
    pub head: Head,
    /// Bytes after the head.
    pub arguments: &'a [u8],
    /// Whether the signer was found to be the key of a session of the trader, and this to be in its scope.
    pub in_session: bool,
}

impl Context<'_> {
    /// The arguments, whose length must be exact. Fails with `DataLength`.
    #[inline(always)]
    pub fn arguments<T: Pod>(&self) -> Result<T, ProgramError> {
        bytemuck::try_pod_read_unaligned(self.arguments).map_err(|_| Refusal::DataLength.into())
    }

    /// Fails with `FieldInvalid` if the head names a trader although the instruction is about none.
    pub fn expect_no_trader(&self) -> Result<(), ProgramError> {
        expect(self.head.trader.is_nil())
    }
}

/// Fails with `FieldInvalid` unless a field holds what it may.
#[inline(always)]
pub fn expect(valid: bool) -> Result<(), ProgramError> {
    if valid { Ok(()) } else { Err(Refusal::FieldInvalid.into()) }
}

/// The chain's time, from the runtime and from nowhere else.
#[inline(always)]
pub fn now() -> Result<Now, ProgramError> {
    let clock = Clock::get()?;
    Ok(Now { slot: Slot::new(clock.slot), unix_seconds: UnixSeconds::new(clock.unix_timestamp) })
}

/// A market and its ledger, from their bytes, at the chain's time. Fails with `WrongLedger` or the engine's account errors.
#[inline(always)]
pub fn trading<'a>(
    market: &'a mut [u8],
    ledger: &'a mut [u8],
    ledger_address: &Address,
) -> Result<Trading<'a>, ProgramError> {
    let market = Market::load(market).map_err(engine)?;
    let ledger = Ledger::load(ledger).map_err(engine)?;
    if !market.header.ledger.matches(ledger_address.as_array()) {
        return Err(Refusal::WrongLedger.into());
    }
    Ok(Trading { market, ledger, now: now()? })
}

/// The trader an instruction names, if `signer` owns it. Fails with `TraderNotFound` for another incarnation or
/// `NotAuthorized`.
pub fn owned_trader(
    ledger: &Ledger<'_>,
    index: CellIndex,
    generation: Generation,
    signer: &Address,
) -> Result<CellIndex, ProgramError> {
    let trader = live_trader(ledger, index, generation)?;
    if trader.owner.matches(signer.as_array()) { Ok(index) } else { Err(Refusal::NotAuthorized.into()) }
}

/// The trader an instruction names, if `signer` may trade for it: its owner, its delegate, or whoever was found to have a
/// session. Fails with `TraderNotFound` for another incarnation or `NotAuthorized`.
#[inline(always)]
pub fn tradable_trader(
    ledger: &Ledger<'_>,
    index: CellIndex,
    generation: Generation,
    signer: &Address,
    in_session: bool,
) -> Result<CellIndex, ProgramError> {
    let trader = live_trader(ledger, index, generation)?;
    if trader.owner.matches(signer.as_array()) || in_session || is_delegate(ledger, trader, signer)? {
        Ok(index)
    } else {
        Err(Refusal::NotAuthorized.into())
    }
}

/// An unset delegate is the zero key, which is the System program's address and cannot sign.
#[cold]
#[inline(never)]
fn is_delegate(ledger: &Ledger<'_>, trader: &TraderCell, signer: &Address) -> Result<bool, ProgramError> {
    let access = ledger.view().access(trader).map_err(engine)?;
    Ok(access.is_some_and(|access| access.delegate.matches(signer.as_array())))
}

#[inline(always)]
fn live_trader<'a>(
    ledger: &'a Ledger<'_>,
    index: CellIndex,
    generation: Generation,
) -> Result<&'a TraderCell, ProgramError> {
    let trader = ledger.trader(index).map_err(engine)?;
    if trader.generation == generation {
        Ok(trader)
    } else {
        Err(engine(quantdesk_engine::EngineError::TraderNotFound))
    }
}
