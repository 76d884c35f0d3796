//! Orders. Every one of these takes exactly `[signer, market (writable), ledger (writable)]`, but `MoveLadder`, which needs no
//! ledger.

pub mod amend_order;
pub mod cancel_all;
pub mod cancel_by_client_id;
pub mod cancel_order;
pub mod cancel_orders;
pub mod cancel_trigger;
pub mod handles;
pub mod move_ladder;
pub mod place_order;
pub mod place_orders;
pub mod place_trigger;
pub mod replace_quotes;
pub mod set_ladder;

use super::{Context, tradable_trader, trading};
use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
};
use pinocchio::error::ProgramError;
use quantdesk_engine::{CellIndex, Generation, Result as EngineResult, book::Trading};

/// Opens the three accounts, checks that the signer may trade for the trader named in the head, and runs `act` on the
/// market and its ledger.
///
/// Fails with `AccountsCount`, `SignatureMissing`, `NotWritable`, `WrongOwner`, `AccountTwice`, `WrongLedger`,
/// `TraderNotFound`, `NotAuthorized`, the engine's account errors, or as `act` does.
#[inline(always)]
pub fn trade<T>(
    context: &mut Context<'_>,
    generation: Generation,
    act: impl FnOnce(&mut Trading<'_>, CellIndex) -> EngineResult<T>,
) -> Result<T, ProgramError> {
    let [authority, market, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let authority = signer(authority)?;
    let address = *ledger.address();
    let (mut market, mut ledger) = (own_mut(market, context.program_id)?, own_mut(ledger, context.program_id)?);
    let mut trading = trading(&mut market, &mut ledger, &address)?;
    let trader = tradable_trader(&trading.ledger, context.head.trader, generation, authority)?;
    act(&mut trading, trader).map_err(engine)
}
