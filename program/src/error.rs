//! What the program refuses before the engine is asked: malformed instructions, wrong accounts, wrong oracles.
//!
//! Engine errors pass through with their own codes (300 and up, see [`quantdesk_engine::EngineError`]).

use pinocchio::error::ProgramError;
use quantdesk_engine::EngineError;

quantdesk_engine::error_codes! {
/// A refusal of the program itself. The number is the custom error code; codes are never reused.
pub enum Refusal {
    // 100: instruction data
    /// No instruction has this tag.
    UnknownInstruction = 100,
    /// Data are not exactly as long as the instruction's.
    DataLength = 101,
    /// The instruction's encoding version is another one.
    DataVersion = 102,
    /// A field holds a value that means nothing, or padding is not zero.
    FieldInvalid = 103,
    /// The instruction's `valid_until` has passed.
    InstructionExpired = 104,

    // 200: accounts
    /// More or fewer accounts than the instruction takes.
    AccountsCount = 200,
    /// A required signature is missing.
    SignatureMissing = 201,
    /// An account that is written is not writable.
    NotWritable = 202,
    /// An account is not owned by this program.
    WrongOwner = 203,
    /// The same account stands in two places.
    AccountTwice = 204,
    /// The market or exchange belongs to another ledger.
    WrongLedger = 205,
    /// Not the vault of this ledger.
    WrongVault = 207,
    /// Another mint than the collateral's.
    WrongMint = 208,
    /// Not the classic SPL Token program.
    WrongTokenProgram = 209,
    /// Not the System program.
    WrongSystemProgram = 210,
    /// Not the address these seeds derive, or that the ledger names.
    WrongAddress = 211,
    /// The signer may not do this.
    NotAuthorized = 212,
    /// Not an initialised classic token account or mint, or frozen.
    TokenAccountInvalid = 213,
    /// A vault with a delegate or a close authority, or whose authority is not the vault authority.
    VaultNotExclusive = 214,
    /// The receiving token account does not belong to the trader's owner.
    WrongTokenOwner = 215,
    /// The vault did not change by the amount moved.
    VaultMismatch = 216,
    /// Not the token account that the first waiting withdrawal names.
    WrongTarget = 217,
    /// Not the instructions sysvar.
    WrongInstructionsSysvar = 218,
    /// Administration in a transaction with a durable nonce.
    DurableNonce = 219,
    /// The session is of another key, ledger or trading account than the instruction.
    SessionMismatch = 230,

    // 250: oracle accounts
    /// The account is not owned by the source's oracle program.
    OracleWrongOwner = 250,
    /// Not the configured feed account, or not the account or sysvar that proves a signature.
    OracleWrongAccount = 251,
    /// Not an account, or a signed message, of the source's type.
    OracleWrongType = 252,
    /// Another feed than configured.
    OracleWrongFeed = 253,
    /// Another Switchboard queue than configured.
    OracleWrongQueue = 254,
    /// A Pyth update that is not fully verified, or signatures that do not lie where they were verified or are of one
    /// oracle twice.
    OracleNotVerified = 255,
}
}

impl From<Refusal> for ProgramError {
    #[cold]
    fn from(refusal: Refusal) -> Self {
        Self::Custom(refusal.code())
    }
}

/// Engine errors keep their codes.
#[cold]
pub fn engine(error: EngineError) -> ProgramError {
    ProgramError::Custom(error.code())
}
