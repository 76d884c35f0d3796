//! What the integration tests share: exact refusals, snapshots of the whole chain, and small exchanges to test on.
//!
//! * [`refused`], [`refuses`] — a refusal with exactly this code, and nothing changed by it.
//! * [`snapshot`] — every account before and after, and which bytes of which account may differ.
//! * [`scene`] — an exchange with one market and two traders; second exchanges beside it.
//! * [`failing`] — accounts that fail, and the engine on this machine beside the program.
//! * [`instances`] — a valid instruction of every kind on one chain.
//! * [`read`] — numbers out of account bytes.
//! * [`document`], [`authority`] — tables of the specification.

pub mod authority;
pub mod document;
pub mod failing;
pub mod instances;
pub mod read;
pub mod scene;
pub mod snapshot;

use quantdesk_client::error::ProgramError;
use quantdesk_sim::chain::{Chain, Executed, Failure};
use snapshot::Snapshot;
use solana_instruction::{Instruction, error::InstructionError};
use solana_transaction::TransactionError;

/// What a transaction came to.
pub type Sent = Result<Executed, Failure>;

/// The first instruction of a transaction was refused by the program with exactly this error.
#[track_caller]
pub fn refused(sent: Sent, error: impl Into<ProgramError>) {
    refused_at(sent, 0, error);
}

/// The instruction at `place` was refused by the program with exactly this error.
#[track_caller]
pub fn refused_at(sent: Sent, place: u8, error: impl Into<ProgramError>) {
    let error = error.into();
    match sent {
        Ok(_) => panic!("accepted, expected {error}"),
        Err(failure) => {
            let expected = TransactionError::InstructionError(place, InstructionError::Custom(error.code()));
            assert_eq!(failure.transaction_error, expected, "got {failure}, expected {error}");
            assert_eq!(failure.error, Some(error), "the client decodes the code");
        }
    }
}

/// The first instruction failed with an error of the runtime or of another program.
#[track_caller]
pub fn failed(sent: Sent, error: InstructionError) {
    match sent {
        Ok(_) => panic!("accepted, expected {error}"),
        Err(failure) => assert_eq!(failure.transaction_error, TransactionError::InstructionError(0, error)),
    }
}

/// Sends an instruction that must be refused with exactly this error and change no account.
#[track_caller]
pub fn refuses(chain: &mut Chain, instruction: Instruction, error: impl Into<ProgramError>) {
    let before = Snapshot::of(chain);
    refused(chain.send(instruction), error);
    before.unchanged(chain);
}

/// Sends an instruction that must fail with this error of the runtime or of another program and change no account.
#[track_caller]
pub fn fails(chain: &mut Chain, instruction: Instruction, error: InstructionError) {
    let before = Snapshot::of(chain);
    failed(chain.send(instruction), error);
    before.unchanged(chain);
}

/// Errors of the classic token program that reach our callers.
pub mod token_error {
    use solana_instruction::error::InstructionError;

    /// The source holds less than is to be moved.
    pub const INSUFFICIENT_FUNDS: InstructionError = InstructionError::Custom(1);
    /// The signer is neither owner nor delegate of the source.
    pub const OWNER_MISMATCH: InstructionError = InstructionError::Custom(4);
}
