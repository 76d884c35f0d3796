//! Orders. Every one of these takes exactly `[signer, market (writable), ledger (writable)]`, but `MoveLadder`, which needs no
//! ledger. Those that a session key may sign take its session (writable) as a fourth account, and then that key signs.

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
pub mod session;
pub mod set_ladder;

use super::{Context, live_trader, tradable_trader, trading};
use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
};
use pinocchio::{Address, error::ProgramError};
use quantdesk_engine::{
    CellIndex, Generation, Result as EngineResult,
    book::Trading,
    state::{Key, Ledger, Session},
};

/// Opens the three accounts, checks that the signer may trade for the trader named in the head, and runs `act` on the
/// market and its ledger. Within a session that has been examined already.
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
    let trader = tradable_trader(&trading.ledger, context.head.trader, generation, authority, context.in_session)?;
    act(&mut trading, trader).map_err(engine)
}

/// What an instruction that a session key signs names.
pub struct Named<'a> {
    /// Trader of the head.
    pub trader: CellIndex,
    /// Who signs.
    pub signer: &'a Address,
    /// Incarnation of the trader.
    pub generation: Generation,
}

impl Named<'_> {
    /// Fails with `SessionMismatch` unless the session is one of this signer for this incarnation of the trader in the
    /// ledger of this address, or with `TraderNotFound` once the trader is gone.
    #[inline(always)]
    pub fn check(&self, session: &Session, ledger: &Ledger<'_>, address: &Key) -> Result<(), ProgramError> {
        if !session.is_of(address, self.signer.as_array(), self.trader, self.generation) {
            return Err(Refusal::SessionMismatch.into());
        }
        live_trader(ledger, self.trader, self.generation).map(|_| ())
    }
}
