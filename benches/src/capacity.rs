//! The cost model: what a transaction takes out of a block and out of the budget of each account it writes.
//!
//! `cost = 720 × signatures + 300 × write locks + instruction data / 4 + compute units + 8 × pages of 32 KiB loaded`,
//! after solana-cost-model 4.2.2 (`cost_model.rs`, `block_cost_limits.rs`). The cost counts in full against every account
//! that the transaction writes, so the busiest account, the ledger, is the limit of a risk group. Before execution the
//! limits that the transaction asks for count in place of the compute units and pages; afterwards, what it used.

use quantdesk_client::Address;
use solana_instruction::Instruction;

const SIGNATURE: u64 = 720;
const WRITE_LOCK: u64 = 300;
const DATA_BYTES_PER_UNIT: u64 = 4;
const PAGE: u64 = 8;
const PAGE_BYTES: u64 = 32 << 10;
/// Compute units of one compute-budget instruction.
pub const BUDGET_INSTRUCTION: u64 = 150;
/// Loaded bytes that an account counts beside its data.
pub const ACCOUNT_OVERHEAD: u64 = 64;
/// Largest legacy transaction in bytes.
pub const TRANSACTION_MAX: usize = 1_232;

/// What an account that is written may take per slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regime {
    /// Length of a slot in milliseconds.
    pub slot_millis: u64,
    /// Cost units of all transactions that write one account.
    pub account_units: u64,
}

/// Mainnet with slots of 200 ms: 40% of a block of 50 million units.
pub const MAINNET: Regime = Regime { slot_millis: 200, account_units: 20_000_000 };

/// A transaction as the cost model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Signatures.
    pub signatures: u64,
    /// Accounts it may write, the payer among them.
    pub write_locks: u64,
    /// Bytes of all instructions' data.
    pub data_bytes: u64,
    /// Bytes of all accounts loaded, programs included.
    pub loaded_bytes: u64,
    /// Compute units, those of compute-budget instructions included.
    pub compute_units: u64,
}

impl Load {
    /// Pages of loaded data.
    pub const fn pages(&self) -> u64 {
        self.loaded_bytes.div_ceil(PAGE_BYTES)
    }

    /// Everything but the compute units.
    pub const fn overhead(&self) -> u64 {
        self.signatures * SIGNATURE
            + self.write_locks * WRITE_LOCK
            + self.data_bytes / DATA_BYTES_PER_UNIT
            + self.pages() * PAGE
    }

    /// Cost units.
    pub const fn cost(&self) -> u64 {
        self.overhead() + self.compute_units
    }
}

impl Regime {
    /// Operations per slot on one account, with `operations` in each transaction of this cost.
    pub const fn per_slot(&self, cost: u64, operations: u64) -> u64 {
        self.account_units / cost * operations
    }

    /// The same per second.
    pub const fn per_second(&self, cost: u64, operations: u64) -> u64 {
        self.per_slot(cost, operations) * 1_000 / self.slot_millis
    }
}

/// A legacy transaction, as far as it can be known without executing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Signatures.
    pub signatures: u64,
    /// Accounts it may write.
    pub write_locks: u64,
    /// Bytes of all instructions' data.
    pub data_bytes: u64,
    /// Bytes on the wire.
    pub wire_bytes: usize,
}

impl Shape {
    /// The shape of a transaction with these instructions.
    pub fn of(payer: &Address, instructions: &[Instruction]) -> Self {
        let mut keys = vec![(*payer, true, true)];
        for instruction in instructions {
            let metas = instruction.accounts.iter().map(|meta| (meta.pubkey, meta.is_signer, meta.is_writable));
            for (key, signer, writable) in metas.chain([(instruction.program_id, false, false)]) {
                match keys.iter_mut().find(|known| known.0 == key) {
                    Some(known) => (known.1, known.2) = (known.1 || signer, known.2 || writable),
                    None => keys.push((key, signer, writable)),
                }
            }
        }
        let signatures = keys.iter().filter(|key| key.1).count();
        let instruction_bytes = |instruction: &Instruction| {
            let (accounts, data) = (instruction.accounts.len(), instruction.data.len());
            1 + length_bytes(accounts) + accounts + length_bytes(data) + data
        };
        // Signatures; header; keys; recent blockhash; instructions.
        let wire_bytes = length_bytes(signatures)
            + signatures * 64
            + 3
            + length_bytes(keys.len())
            + keys.len() * 32
            + 32
            + length_bytes(instructions.len())
            + instructions.iter().map(instruction_bytes).sum::<usize>();
        Self {
            signatures: signatures as u64,
            write_locks: keys.iter().filter(|key| key.2).count() as u64,
            data_bytes: instructions.iter().map(|instruction| instruction.data.len() as u64).sum(),
            wire_bytes,
        }
    }

    /// With what executing it needs.
    pub const fn load(&self, loaded_bytes: u64, compute_units: u64) -> Load {
        Load {
            signatures: self.signatures,
            write_locks: self.write_locks,
            data_bytes: self.data_bytes,
            loaded_bytes,
            compute_units,
        }
    }
}

/// Bytes of a length in Solana's compact encoding.
const fn length_bytes(length: usize) -> usize {
    match length {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quantdesk_client::budget::Budget;
    use solana_instruction::AccountMeta;
    use solana_message::Message;

    /// The worked example: one signature, three write locks, 48 bytes of data, a 150 kB program beside the ledger, two
    /// compute-budget instructions.
    fn example(ledger_bytes: u64, operations: u64, units: u64) -> Load {
        Load {
            signatures: 1,
            write_locks: 3,
            data_bytes: 48,
            loaded_bytes: ledger_bytes + 150_000,
            compute_units: 2 * BUDGET_INSTRUCTION + operations * units,
        }
    }

    #[test]
    fn overheads_are_the_published_ones() {
        let sizes = [(64 << 10, 1_988), (256 << 10, 2_036), (1 << 20, 2_228), (10 << 20, 4_532)];
        for (bytes, cost) in sizes {
            assert_eq!(example(bytes, 0, 0).cost(), cost, "{bytes} bytes");
        }
    }

    #[test]
    fn capacities_are_the_published_ones() {
        // Units per operation; per slot and per second with one in a transaction; the same with eight.
        let table = [
            (300, 8_561, 42_805, 36_064, 180_320),
            (500, 7_886, 39_430, 26_504, 132_520),
            (1_000, 6_587, 32_935, 15_936, 79_680),
            (2_000, 4_955, 24_775, 8_864, 44_320),
            (3_157, 3_851, 19_255, 5_856, 29_280),
            (5_000, 2_842, 14_210, 3_800, 19_000),
            (6_897, 2_238, 11_190, 2_792, 13_960),
            (9_800, 1_689, 8_445, 1_984, 9_920),
            (13_902, 1_254, 6_270, 1_408, 7_040),
            (21_530, 848, 4_240, 912, 4_560),
            (27_251, 682, 3_410, 720, 3_600),
            (36_432, 519, 2_595, 544, 2_720),
            (58_306, 331, 1_655, 336, 1_680),
        ];
        for (units, slot_one, second_one, slot_eight, second_eight) in table {
            let (one, eight) = (example(256 << 10, 1, units).cost(), example(256 << 10, 8, units).cost());
            assert_eq!(MAINNET.per_slot(one, 1), slot_one, "{units}");
            assert_eq!(MAINNET.per_second(one, 1), second_one, "{units}");
            assert_eq!(MAINNET.per_slot(eight, 8), slot_eight, "{units}");
            assert_eq!(MAINNET.per_second(eight, 8), second_eight, "{units}");
        }
        assert_eq!(MAINNET.per_slot(example(256 << 10, 1, 306_396).cost(), 1), 64);
        assert_eq!(MAINNET.per_slot(example(256 << 10, 0, 0).cost(), 1), 9_823);
    }

    #[test]
    fn a_shape_is_that_of_the_serialised_message() {
        let key = |byte: u8| Address::new_from_array([byte; 32]);
        let payer = key(1);
        let order = |signer: Address, data: usize| Instruction {
            program_id: key(9),
            accounts: vec![
                AccountMeta::new_readonly(signer, true),
                AccountMeta::new(key(2), false),
                AccountMeta::new(key(3), false),
            ],
            data: vec![0; data],
        };
        let budget = Budget { compute_units: 1, unit_price: 1, loaded_bytes: 1 }.instructions();
        for (signer, count, data) in [(payer, 1, 56), (payer, 15, 56), (key(4), 2, 24), (key(4), 130, 300)] {
            let instructions: Vec<_> =
                budget.iter().cloned().chain(std::iter::repeat_n(order(signer, data), count)).collect();
            let message = Message::new(&instructions, Some(&payer));
            let shape = Shape::of(&payer, &instructions);
            let signatures = usize::from(message.header.num_required_signatures);
            assert_eq!(shape.signatures as usize, signatures);
            assert_eq!(shape.wire_bytes, 1 + 64 * signatures + message.serialize().len());
            let writable = (0..message.account_keys.len()).filter(|index| {
                message.is_maybe_writable_with_reserved_addresses(*index, None::<&std::collections::HashSet<Address>>)
            });
            assert_eq!(shape.write_locks as usize, writable.count());
        }
    }
}
