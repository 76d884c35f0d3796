//! The protection pool: stake and gifts.

pub mod fund_pool;
pub mod request_unstake;
pub mod stake_pool;
pub mod unstake;

use super::{Context, now, owned_trader};
use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
};
use pinocchio::{Address, ProgramResult, error::ProgramError};
use quantdesk_engine::{
    CellIndex, EngineError, Generation, Now,
    state::{Ledger, PoolStake},
};

/// Runs `change` on the ledger and the signer's stake, with the trader that the head names.
///
/// Accounts: `[signer]` owner, `[writable]` ledger, `[writable]` stake.
///
/// Fails with `TraderNotFound`, `NotAuthorized` for a trader or a stake of somebody else, `WrongLedger` for a stake in
/// another ledger's pool, the account errors, and as `change`.
#[inline(always)]
fn with_stake(
    context: &mut Context<'_>,
    generation: Generation,
    change: impl FnOnce(&mut Ledger<'_>, &mut PoolStake, Now, CellIndex) -> Result<(), EngineError>,
) -> ProgramResult {
    let [owner, ledger_account, stake] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let owner = signer(owner)?;
    let ledger_address = *ledger_account.address();
    let mut ledger = own_mut(ledger_account, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let trader = owned_trader(&ledger, context.head.trader, generation, owner)?;
    let mut stake = own_mut(stake, context.program_id)?;
    let stake = PoolStake::load_mut(&mut stake).map_err(engine)?;
    check_stake(stake, &ledger_address, owner)?;
    change(&mut ledger, stake, now()?, trader).map_err(engine)
}

/// A stake names its ledger and its owner, and only `StakePool` creates one, at the address of both. Fails with
/// `WrongLedger` or `NotAuthorized`.
fn check_stake(stake: &PoolStake, ledger: &Address, owner: &Address) -> Result<(), ProgramError> {
    if !stake.ledger.matches(ledger.as_array()) {
        return Err(Refusal::WrongLedger.into());
    }
    if stake.owner.matches(owner.as_array()) { Ok(()) } else { Err(Refusal::NotAuthorized.into()) }
}
