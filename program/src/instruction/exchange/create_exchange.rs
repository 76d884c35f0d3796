//! `CreateExchange`: makes a risk group: its exchange account, its ledger, and the vault that will hold its collateral.
//!
//! The client creates beforehand: the ledger account (any size that fits, owned by this program, blank) and the vault
//! (a classic token account whose owner is the vault authority). The mint can never be changed.
//!
//! Accounts
//! 0. `[signer, writable]` admin, pays for the exchange account
//! 1. `[writable]` exchange, the address of `["exchange", id]`, not yet created
//! 2. `[signer, writable]` ledger, blank: its key signs, or anybody could take a waiting account for an exchange of theirs
//! 3. `[]` vault
//! 4. `[]` mint
//! 5. `[]` vault authority, the address of `["vault", ledger]`
//! 6. `[]` System program
//!
//! Fails with `WrongAddress`, `WrongSystemProgram`, `WrongMint`, `TokenAccountInvalid`, `VaultNotExclusive`,
//! `PolicyInvalid`, `FeeScheduleInvalid`, `CapacityInvalid`, `AccountNotBlank`, `FieldInvalid` and the account errors.

use crate::{
    account::{all_distinct, key_of, own_mut, pda, signer, writable},
    error::{Refusal, engine},
    instruction::{Context, expect, now},
    token,
};
use bytemuck::{Pod, Zeroable};
use pinocchio::{AccountView, ProgramResult, cpi::Seed, error::ProgramError};
use quantdesk_engine::{
    CellIndex, EngineError,
    governance::Delays,
    math,
    state::{
        AccountHeader, CashEventKind, Exchange, Key, Ledger,
        exchange::{EXCHANGE_DISCRIMINATOR, EXCHANGE_SIZE},
        ledger::{LedgerIdentity, Policy},
    },
};

const EXCHANGE_SPACE: u32 = 10_240;
const _: () = assert!(math::to_usize(EXCHANGE_SPACE) == EXCHANGE_SIZE);

/// Arguments, 112 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CreateExchange {
    /// Number in the exchange's address.
    pub id: u64,
    /// Records in the ledger's event ring; a power of two.
    pub events_capacity: u32,
    pad: u32,
    /// What may leave the vault, what the pool gets, how fees go by volume.
    pub policy: Policy,
}

const _: () = assert!(size_of::<CreateExchange>() == 112);

impl CreateExchange {
    /// Arguments for this exchange.
    pub const fn new(id: u64, events_capacity: u32, policy: Policy) -> Self {
        Self { id, events_capacity, pad: 0, policy }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: CreateExchange = context.arguments()?;
    expect(arguments.pad == 0 && arguments.policy.fees.is_padded())?;
    let [admin, exchange, ledger, vault, mint, authority, system] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    all_distinct(&[admin, exchange, ledger, vault, mint, authority, system])?;
    let admin_key = key_of(signer(admin)?);
    signer(ledger)?;
    writable(admin)?;
    writable(exchange)?;
    if system.address() != &pinocchio_system::ID {
        return Err(Refusal::WrongSystemProgram.into());
    }
    let id = arguments.id.to_le_bytes();
    let bump = pda::check(exchange, &[pda::EXCHANGE_SEED, &id], context.program_id)?;
    let ledger_address = *ledger.address();
    let vault_bump = pda::check(authority, &[pda::VAULT_SEED, ledger_address.as_array()], context.program_id)?;
    let identity = LedgerIdentity {
        exchange: key_of(exchange.address()),
        vault: key_of(vault.address()),
        mint: key_of(mint.address()),
        mint_decimals: token::mint_decimals(mint)?,
        vault_bump,
        policy: arguments.policy,
    };
    check_vault(vault, &identity.mint, &key_of(authority.address()))?;
    identity.policy.check().map_err(engine)?;
    {
        let mut bytes = own_mut(ledger, context.program_id)?;
        let mut ledger = Ledger::create(&mut bytes, &identity, arguments.events_capacity).map_err(engine)?;
        ledger.record_amount(now()?, CellIndex::NIL, CashEventKind::ExchangeCreated, 0).map_err(engine)?;
    }
    let seed_bump = [bump];
    let seeds = [Seed::from(pda::EXCHANGE_SEED), Seed::from(id.as_slice()), Seed::from(seed_bump.as_slice())];
    pda::create(admin, exchange, EXCHANGE_SPACE, &seeds, context.program_id)?;
    let mut bytes = own_mut(exchange, context.program_id)?;
    let exchange: &mut Exchange =
        bytemuck::try_from_bytes_mut(&mut bytes).map_err(|_| engine(EngineError::AccountSize))?;
    exchange.header = AccountHeader::new(EXCHANGE_DISCRIMINATOR, bump);
    exchange.id = arguments.id;
    (exchange.admin, exchange.guardian) = (admin_key, admin_key);
    (exchange.lister, exchange.fee_collector) = (admin_key, admin_key);
    exchange.ledger = key_of(&ledger_address);
    exchange.vault = identity.vault;
    exchange.mint = identity.mint;
    exchange.delays = Delays::least(&identity.policy);
    exchange.clear_sources();
    Ok(())
}

/// The vault holds the mint, answers to the vault authority alone, and to nobody else.
fn check_vault(vault: &AccountView, mint: &Key, authority: &Key) -> Result<(), ProgramError> {
    let token = token::read(vault)?;
    if token.mint != *mint {
        return Err(Refusal::WrongMint.into());
    }
    if token.owner != *authority || token.shared {
        return Err(Refusal::VaultNotExclusive.into());
    }
    Ok(())
}
