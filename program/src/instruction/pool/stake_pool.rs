//! `StakePool`: turns free collateral of a trader into shares of the protection pool. The stake account is created when
//! there is none yet; the owner pays its rent.
//!
//! Accounts
//! 0. `[signer, writable]` owner
//! 1. `[writable]` ledger
//! 2. `[writable]` stake, the address of `["stake", ledger, owner]`
//! 3. `[]` System program
//!
//! Fails with `AmountZero`, `AccountBankrupt`, `PriceNotValidForAction`, `WithdrawExceedsAvailable`, `StakeTooSmall`,
//! `WrongAddress`, `WrongSystemProgram`, and as [`super::with_stake`].

use super::check_stake;
use crate::{
    account::{key_of, own_mut, pda, signer, writable},
    error::{Refusal, engine},
    instruction::{Context, expect, now, owned_trader, trader::MoveCash},
};
use pinocchio::{AccountView, Address, ProgramResult, cpi::Seed};
use quantdesk_engine::{
    math, pool,
    state::{
        Ledger, PoolStake,
        stake::{self, STAKE_SIZE},
    },
};

const STAKE_SPACE: u32 = 128;
const _: () = assert!(math::to_usize(STAKE_SPACE) == STAKE_SIZE);

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: MoveCash = context.arguments()?;
    expect(arguments.is_padded())?;
    let [owner, ledger_account, stake, system] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let owner_address = signer(owner)?;
    writable(owner)?;
    if system.address() != &pinocchio_system::ID {
        return Err(Refusal::WrongSystemProgram.into());
    }
    let ledger_address = *ledger_account.address();
    let mut ledger = own_mut(ledger_account, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let trader = owned_trader(&ledger, context.head.trader, arguments.generation, owner_address)?;
    writable(stake)?;
    if stake.data_len() == 0 {
        create(owner, stake, &ledger_address, context.program_id)?;
    }
    let mut stake = own_mut(stake, context.program_id)?;
    let stake = PoolStake::load_mut(&mut stake).map_err(engine)?;
    check_stake(stake, &ledger_address, owner_address)?;
    pool::stake(&mut ledger, stake, now()?, trader, arguments.atoms).map_err(engine)
}

/// Creates an empty stake. Fails with `WrongAddress`.
fn create(owner: &AccountView, stake: &mut AccountView, ledger: &Address, program_id: &Address) -> ProgramResult {
    let (ledger_seed, owner_seed) = (ledger.as_array(), owner.address().as_array());
    let bump = pda::check(stake, &[pda::STAKE_SEED, ledger_seed, owner_seed], program_id)?;
    let seed_bump = [bump];
    let seeds = [
        Seed::from(pda::STAKE_SEED),
        Seed::from(ledger_seed.as_slice()),
        Seed::from(owner_seed.as_slice()),
        Seed::from(seed_bump.as_slice()),
    ];
    pda::create(owner, stake, STAKE_SPACE, &seeds, program_id)?;
    let mut bytes = own_mut(stake, program_id)?;
    stake::create(&mut bytes, key_of(ledger), key_of(owner.address()), bump).map_err(engine)
}
