//! Our cost model against the validator's.

use agave_feature_set::FeatureSet;
use quantdesk_benches::capacity::{Load, Shape};
use quantdesk_client::{Address, budget::Budget};
use solana_cost_model::cost_model::CostModel;
use solana_instruction::{AccountMeta, Instruction};
use solana_message::{Message, SimpleAddressLoader, VersionedMessage};
use solana_runtime_transaction::runtime_transaction::RuntimeTransaction;
use solana_transaction::{
    sanitized::{MessageHash, SanitizedTransaction},
    versioned::VersionedTransaction,
};
use std::collections::HashSet;

fn key(byte: u8) -> Address {
    Address::new_from_array([byte; 32])
}

/// An order of `signer`, paid by key 1.
fn transaction(signer: Address, orders: usize, data: usize) -> Vec<Instruction> {
    let order = Instruction {
        program_id: key(9),
        accounts: vec![
            AccountMeta::new_readonly(signer, true),
            AccountMeta::new(key(2), false),
            AccountMeta::new(key(3), false),
        ],
        data: vec![0; data],
    };
    let budget = Budget { compute_units: 50_000, unit_price: 1, loaded_bytes: 1 << 20 }.instructions();
    budget.into_iter().chain(std::iter::repeat_n(order, orders)).collect()
}

/// What the validator charges once the transaction has used these compute units and loaded these bytes.
fn charged(instructions: &[Instruction], compute_units: u64, loaded_bytes: u64) -> u64 {
    let message = Message::new(instructions, Some(&key(1)));
    let signatures = vec![Default::default(); usize::from(message.header.num_required_signatures)];
    let transaction = VersionedTransaction { signatures, message: VersionedMessage::Legacy(message) };
    let transaction = RuntimeTransaction::<SanitizedTransaction>::try_create(
        transaction,
        MessageHash::Compute,
        Some(false),
        SimpleAddressLoader::Disabled,
        &HashSet::new(),
        true,
    )
    .unwrap();
    let loaded = u32::try_from(loaded_bytes).unwrap();
    let features = FeatureSet::all_enabled();
    CostModel::calculate_cost_for_executed_transaction(&transaction, compute_units, loaded, &features).sum()
}

#[test]
fn both_charge_the_same() {
    for (signer, orders, data) in [(key(1), 1, 56), (key(1), 15, 56), (key(1), 31, 24), (key(4), 3, 57)] {
        for loaded_bytes in [1, 32 << 10, (32 << 10) + 1, 620_000, 11 << 20] {
            let instructions = transaction(signer, orders, data);
            let load: Load = Shape::of(&key(1), &instructions).load(loaded_bytes, 1_758);
            assert_eq!(
                load.cost(),
                charged(&instructions, 1_758, loaded_bytes),
                "{orders} orders, {loaded_bytes} bytes"
            );
        }
    }
}
