//! Trading accounts and their collateral.

pub mod allow_target;
pub mod close_session;
pub mod close_trader;
pub mod deposit;
pub mod heartbeat;
pub mod open_session;
pub mod open_trader;
pub mod process_withdraw_queue;
pub mod set_builder_max;
pub mod set_delegate;
pub mod set_fee_max;
pub mod set_referrer;
pub mod set_withdraw_delay;
pub mod transfer_cash;
pub mod withdraw;

use super::{Context, now, owned_trader};
use crate::{
    account::{own_mut, signer},
    error::{Refusal, engine},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::error::ProgramError;
use quantdesk_engine::{CellIndex, Generation, Now, QuoteAtoms, state::Ledger};

/// Arguments of `Deposit`, `Withdraw`, `StakePool` and `FundPool`, 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MoveCash {
    /// Incarnation of the trader.
    pub generation: Generation,
    pad: u32,
    /// How much.
    pub atoms: QuoteAtoms,
}

const _: () = assert!(size_of::<MoveCash>() == 16);

impl MoveCash {
    /// Arguments for this amount.
    pub const fn new(generation: Generation, atoms: QuoteAtoms) -> Self {
        Self { generation, pad: 0, atoms }
    }

    /// Whether its padding is zero.
    pub const fn is_padded(&self) -> bool {
        self.pad == 0
    }
}

/// Opens the two accounts `[owner (signer), ledger (writable)]` and runs `act` on the ledger for the trader named in the head.
///
/// Fails with `AccountsCount`, `SignatureMissing`, `NotWritable`, `WrongOwner`, `TraderNotFound`, `NotAuthorized`, the
/// engine's account errors, or as `act` does.
fn as_owner(
    context: &mut Context<'_>,
    generation: Generation,
    act: impl FnOnce(&mut Ledger<'_>, Now, CellIndex) -> Result<(), ProgramError>,
) -> Result<(), ProgramError> {
    let [owner, ledger] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let owner = signer(owner)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let trader = owned_trader(&ledger, context.head.trader, generation, owner)?;
    act(&mut ledger, now()?, trader)
}
