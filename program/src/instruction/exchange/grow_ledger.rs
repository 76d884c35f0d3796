//! `GrowLedger`: adds cells to the ledger's arena, at most 10 KiB an instruction. The admin pays the rent.
//!
//! Accounts
//! 0. `[signer, writable]` admin
//! 1. `[]` exchange
//! 2. `[writable]` ledger
//! 3. `[]` System program
//! 4. `[]` instructions sysvar
//!
//! Fails with `CapacityInvalid` for zero or too many cells, `NotAuthorized`, `WrongLedger`, `DurableNonce`, `WrongSystemProgram`
//! and the account errors.

use super::{check_admin, official};
use crate::{
    account::{own, own_mut, resize, writable},
    error::{Refusal, engine},
    instruction::{Context, expect, now},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::{
    AccountView, ProgramResult,
    error::ProgramError,
    sysvars::{Sysvar, rent::Rent},
};
use pinocchio_system::instructions::Transfer;
use quantdesk_engine::{
    CellIndex, EngineError, math,
    state::{CashEventKind, Exchange, Ledger, cell::CELL_SIZE, ledger::ACCOUNT_SIZE_MAX},
};

/// Cells one instruction may add: the runtime lets an account grow by 10 KiB.
pub const CELLS_MAX: u32 = 80;
const _: () = assert!(math::to_usize(CELLS_MAX) * CELL_SIZE == resize::GROWTH_MAX);

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct GrowLedger {
    /// Cells to add, 1 to 80.
    pub cells: u32,
    pad: u32,
}

const _: () = assert!(size_of::<GrowLedger>() == 8);

impl GrowLedger {
    /// Arguments for this many cells.
    pub const fn new(cells: u32) -> Self {
        Self { cells, pad: 0 }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: GrowLedger = context.arguments()?;
    expect(arguments.pad == 0)?;
    let [admin, exchange, ledger, system, sysvar] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let admin_address = official(admin, sysvar)?;
    writable(admin)?;
    if system.address() != &pinocchio_system::ID {
        return Err(Refusal::WrongSystemProgram.into());
    }
    {
        let exchange = own(exchange, context.program_id)?;
        check_admin(Exchange::load(&exchange).map_err(engine)?, admin_address, ledger)?;
    }
    // The ledger must be sound before it grows.
    Ledger::load(&mut own_mut(ledger, context.program_id)?).map_err(engine)?;
    let size = grown_size(ledger.data_len(), arguments.cells)?;
    pay_rent(admin, ledger, size)?;
    resize::grow(ledger, size)?;
    let mut bytes = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::grow(&mut bytes).map_err(engine)?;
    let cells = i64::from(ledger.header.cells.capacity());
    ledger.record_amount(now()?, CellIndex::NIL, CashEventKind::LedgerGrown, cells).map_err(engine)
}

fn grown_size(size: usize, cells: u32) -> Result<usize, ProgramError> {
    let error = EngineError::CapacityInvalid;
    if cells == 0 || cells > CELLS_MAX {
        return Err(engine(error));
    }
    // Both factors are small.
    let added = math::to_usize(cells).wrapping_mul(CELL_SIZE);
    size.checked_add(added).filter(|size| *size <= ACCOUNT_SIZE_MAX).ok_or_else(|| engine(error))
}

fn pay_rent(payer: &AccountView, ledger: &AccountView, size: usize) -> ProgramResult {
    let missing = Rent::get()?.try_minimum_balance(size)?.saturating_sub(ledger.lamports());
    if missing == 0 {
        return Ok(());
    }
    Transfer { from: payer, to: ledger, lamports: missing }.invoke()
}
