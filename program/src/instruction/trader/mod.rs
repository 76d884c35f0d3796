//! Trading accounts and their collateral.

pub mod close_trader;
pub mod deposit;
pub mod heartbeat;
pub mod open_trader;
pub mod process_withdraw_queue;
pub mod set_builder_max;
pub mod set_referrer;
pub mod transfer_cash;
pub mod withdraw;

use bytemuck::{Pod, Zeroable};
use quantdesk_engine::{Generation, QuoteAtoms};

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
