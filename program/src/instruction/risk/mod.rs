//! The ladder of a failing account. What an instruction is told is a hint: the engine decides whether anything may be
//! done, how much and at which price.

pub mod absorb_shortfall;
pub mod cancel_for_risk;
pub mod deleverage;
pub mod liquidate;
pub mod take_over;

use super::{Context, trading};
use crate::{
    account::own_mut,
    error::{Refusal, engine},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::error::ProgramError;
use quantdesk_engine::{CellIndex, Generation, Result as EngineResult, book::Trading, risk::scan, state::Ledger};

/// The account a step of the ladder is about, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Target {
    /// Its cell.
    pub trader: CellIndex,
    /// Its incarnation.
    pub generation: Generation,
}

impl Target {
    /// The cell, if this incarnation is alive. Fails with `TraderNotFound`.
    pub fn find(&self, ledger: &Ledger<'_>) -> EngineResult<CellIndex> {
        scan::live(ledger, self.trader, self.generation)
    }
}

/// Opens a market and its ledger, the only two accounts, and runs `act` on them. Nobody needs to sign.
///
/// Fails with `AccountsCount`, `NotWritable`, `WrongOwner`, `AccountTwice`, `WrongLedger`, the engine's account errors, or
/// as `act` does.
pub fn on_market<T>(
    context: &mut Context<'_>,
    act: impl FnOnce(&mut Trading<'_>) -> EngineResult<T>,
) -> Result<T, ProgramError> {
    let [market, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let address = *ledger.address();
    let (mut market, mut ledger) = (own_mut(market, context.program_id)?, own_mut(ledger, context.program_id)?);
    act(&mut trading(&mut market, &mut ledger, &address)?).map_err(engine)
}
