//! What a transaction asks of a block. Both limits count in full against the transaction's priority, and a missing
//! loaded-data limit counts as 64 MiB (16,384 compute units).

use solana_compute_budget_interface::ComputeBudgetInstruction;
use solana_instruction::Instruction;

/// Compute units and loaded account data a transaction may use, and what it pays for its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Compute-unit limit.
    pub compute_units: u32,
    /// Micro-lamports per compute unit.
    pub unit_price: u64,
    /// Bytes of account data it may load: accounts, the program, and 64 bytes each.
    pub loaded_bytes: u32,
}

impl Budget {
    /// The instructions to put first in the transaction.
    pub fn instructions(&self) -> [Instruction; 3] {
        [
            ComputeBudgetInstruction::set_compute_unit_limit(self.compute_units),
            ComputeBudgetInstruction::set_compute_unit_price(self.unit_price),
            ComputeBudgetInstruction::set_loaded_accounts_data_size_limit(self.loaded_bytes),
        ]
    }
}
