//! The virtual chain: LiteSVM with mainnet's features, driven by a clock of its own.
//!
//! Signatures are not computed: a transaction is a message plus as many empty signatures as it needs, and the SVM is told
//! not to verify them. Who must sign is still enforced by the program, through the message's signer flags.

use anyhow::{Context, Result, anyhow, bail};
use litesvm::LiteSVM;
use quantdesk_client::{Address, error::ProgramError};
use solana_account::{Account, AccountSharedData, ReadableAccount};
use solana_clock::Clock;
use solana_instruction::{Instruction, error::InstructionError};
use solana_message::{Message, VersionedMessage};
use solana_program_pack::Pack;
use solana_transaction::{TransactionError, versioned::VersionedTransaction};
use spl_token_interface::state::{Account as TokenAccount, AccountState, Mint};
use std::path::{Path, PathBuf};

/// Where the program lives on the virtual chain.
pub const PROGRAM: Address = Address::from_str_const("QDeskPerp1111111111111111111111111111111111");

/// Length of a slot.
#[derive(Clone, Copy, Debug)]
pub struct SlotTime {
    /// Milliseconds.
    pub millis: u64,
}

/// The virtual chain. A clone goes its own way from there; account data are shared until written.
#[derive(Clone)]
pub struct Chain {
    svm: LiteSVM,
    payer: Address,
    slot: u64,
    unix_millis: i64,
    slot_time: SlotTime,
    blockhash: [u8; 32],
}

/// What an executed transaction used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Compute units.
    pub compute_units: u64,
}

/// Why a transaction failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The program's own error, if it was one.
    pub error: Option<ProgramError>,
    /// The runtime's error.
    pub transaction_error: TransactionError,
    /// Compute units used before it failed.
    pub compute_units: u64,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.error {
            Some(error) => write!(formatter, "{error}"),
            None => write!(formatter, "{}", self.transaction_error),
        }
    }
}

impl std::error::Error for Failure {}

/// The compiled program: `QUANTDESK_SO`, or what `program/build` left.
pub fn program_file() -> PathBuf {
    std::env::var_os("QUANTDESK_SO")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/deploy/quantdesk.so"), PathBuf::from)
}

impl Chain {
    /// An empty chain with the program deployed, at this unix time in milliseconds. Fails if the program is not built.
    pub fn new(unix_millis: i64, slot_time: SlotTime) -> Result<Self> {
        let file = program_file();
        let program = std::fs::read(&file)
            .with_context(|| format!("{}: the program is not built; run program/build", file.display()))?;
        let mut svm = LiteSVM::new()
            .with_mainnet_features()
            .with_sigverify(false)
            .with_blockhash_check(false)
            .with_transaction_history(0);
        svm.add_program(PROGRAM, &program).map_err(|error| anyhow!("{}: {error}", file.display()))?;
        let payer = Address::new_from_array(*b"QuantDesk simulation: fee payer.");
        let mut chain = Self { svm, payer, slot: 1, unix_millis, slot_time, blockhash: [0; 32] };
        chain.give_lamports(payer, u64::MAX / 4)?;
        chain.write_clock();
        Ok(chain)
    }

    /// Slot.
    pub const fn slot(&self) -> u64 {
        self.slot
    }

    /// Unix time in seconds, as the clock sysvar shows it.
    pub const fn unix_seconds(&self) -> i64 {
        self.unix_millis.div_euclid(1000)
    }

    /// Unix time in milliseconds.
    pub const fn unix_millis(&self) -> i64 {
        self.unix_millis
    }

    /// Lets one slot pass.
    pub fn next_slot(&mut self) {
        self.slot += 1;
        self.unix_millis += i64::try_from(self.slot_time.millis).unwrap_or(i64::MAX);
        self.write_clock();
    }

    /// Lets slots pass until `unix_millis`; does nothing if that is past.
    pub fn advance_to(&mut self, unix_millis: i64) {
        let gap = u64::try_from(unix_millis - self.unix_millis).unwrap_or(0);
        let slots = gap.div_ceil(self.slot_time.millis.max(1));
        if slots > 0 {
            self.slot += slots;
            self.unix_millis += i64::try_from(slots * self.slot_time.millis).unwrap_or(i64::MAX);
            self.write_clock();
        }
    }

    /// Sets the clock's unix time without letting slots pass; for tests of time limits.
    pub fn set_unix_seconds(&mut self, seconds: i64) {
        self.unix_millis = seconds * 1000;
        self.write_clock();
    }

    /// Sets the blockhash that transactions name from now on, zero at first: a recent one or, with a durable nonce, the
    /// nonce. It is not compared with any block's.
    pub const fn set_blockhash(&mut self, blockhash: [u8; 32]) {
        self.blockhash = blockhash;
    }

    fn write_clock(&mut self) {
        let clock = Clock {
            slot: self.slot,
            epoch_start_timestamp: 0,
            epoch: 0,
            leader_schedule_epoch: 0,
            unix_timestamp: self.unix_seconds(),
        };
        self.svm.set_sysvar(&clock);
    }

    /// Executes one instruction in a transaction of its own.
    pub fn send(&mut self, instruction: Instruction) -> std::result::Result<Executed, Failure> {
        self.send_all(&[instruction])
    }

    /// Executes instructions in one transaction.
    pub fn send_all(&mut self, instructions: &[Instruction]) -> std::result::Result<Executed, Failure> {
        let mut message = Message::new(instructions, Some(&self.payer));
        message.recent_blockhash = self.blockhash.into();
        let signatures = vec![Default::default(); usize::from(message.header.num_required_signatures)];
        let transaction = VersionedTransaction { signatures, message: VersionedMessage::Legacy(message) };
        match self.svm.send_transaction(transaction) {
            Ok(done) => Ok(Executed { compute_units: done.compute_units_consumed }),
            Err(failed) => Err(Failure {
                error: program_error(&failed.err),
                transaction_error: failed.err,
                compute_units: failed.meta.compute_units_consumed,
            }),
        }
    }

    /// An account, if it exists.
    pub fn account(&self, address: &Address) -> Option<Account> {
        self.svm.get_account(address)
    }

    /// Bytes of an account. Fails if it does not exist.
    pub fn data(&self, address: &Address) -> Result<Vec<u8>> {
        self.svm.get_account(address).map(|account| account.data).with_context(|| format!("no account {address}"))
    }

    /// Bytes of an account where they are, without a copy. Fails if it does not exist.
    pub fn bytes(&self, address: &Address) -> Result<&[u8]> {
        let account = self.svm.accounts_db().get_account_ref(address);
        account.map(ReadableAccount::data).with_context(|| format!("no account {address}"))
    }

    /// Every account there is.
    pub fn accounts(&self) -> impl Iterator<Item = (&Address, &AccountSharedData)> {
        self.svm.accounts_db().inner.iter()
    }

    /// Who pays the fee of every transaction.
    pub const fn payer(&self) -> Address {
        self.payer
    }

    /// Writes an account as it is.
    pub fn set_account(&mut self, address: Address, account: Account) -> Result<()> {
        self.svm.set_account(address, account).map_err(|error| anyhow!("{address}: {error}"))
    }

    /// Creates a blank rent-exempt account of this size owned by `owner`.
    pub fn create_account(&mut self, address: Address, size: usize, owner: Address) -> Result<()> {
        let lamports = self.svm.minimum_balance_for_rent_exemption(size);
        self.set_account(address, Account { lamports, data: vec![0; size], owner, executable: false, rent_epoch: 0 })
    }

    /// Gives an address lamports, so that it can pay.
    pub fn give_lamports(&mut self, address: Address, lamports: u64) -> Result<()> {
        self.set_account(address, Account { lamports, ..Account::default() })
    }

    /// Creates a classic mint.
    pub fn create_mint(&mut self, address: Address, decimals: u8) -> Result<()> {
        let mint = Mint { supply: u64::MAX, decimals, is_initialized: true, ..Mint::default() };
        self.create_account(address, Mint::LEN, quantdesk_client::instruction::TOKEN_PROGRAM)?;
        self.write_packed(address, &mint)
    }

    /// Creates a classic token account with `amount` tokens in it.
    pub fn create_token_account(
        &mut self,
        address: Address,
        mint: &Address,
        owner: &Address,
        amount: u64,
    ) -> Result<()> {
        let token = TokenAccount {
            mint: mint.to_bytes().into(),
            owner: owner.to_bytes().into(),
            amount,
            state: AccountState::Initialized,
            ..TokenAccount::default()
        };
        self.create_account(address, TokenAccount::LEN, quantdesk_client::instruction::TOKEN_PROGRAM)?;
        self.write_packed(address, &token)
    }

    fn write_packed<T: Pack>(&mut self, address: Address, value: &T) -> Result<()> {
        let mut account = self.account(&address).context("just created")?;
        T::pack_into_slice(value, &mut account.data);
        self.set_account(address, account)
    }

    /// Tokens in a token account. Fails if it is none.
    pub fn tokens(&self, address: &Address) -> Result<u64> {
        match TokenAccount::unpack(self.bytes(address)?) {
            Ok(token) => Ok(token.amount),
            Err(error) => bail!("{address}: {error}"),
        }
    }
}

fn program_error(error: &TransactionError) -> Option<ProgramError> {
    match error {
        TransactionError::InstructionError(_, InstructionError::Custom(code)) => ProgramError::from_code(*code),
        _ => None,
    }
}
