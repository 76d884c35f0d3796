//! `OpenSession`: lets a key trade for the trader, within a scope and for a time. Order instructions that it signs take the
//! session as a fourth account.
//!
//! Accounts
//! 0. `[signer, writable]` owner
//! 1. `[writable]` ledger
//! 2. `[writable]` session, the address of `["session", ledger, key]`
//! 3. `[]` System program
//!
//! Fails with `FieldInvalid` for a zero key, with `SessionInvalid`, `AccountNotBlank` if the key has a session in this
//! ledger, `WrongAddress`, `WrongSystemProgram`, `AccountsCount`, `TraderNotFound`, `NotAuthorized` and the account errors.

use crate::{
    account::{key_of, own_mut, pda, signer, writable},
    error::{Refusal, engine},
    instruction::{Context, expect, now, owned_trader},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::{AccountView, Address, ProgramResult, cpi::Seed, error::ProgramError};
use quantdesk_engine::{
    Generation, math, session as rules,
    state::{
        Key, Ledger, Session, SessionIdentity, SessionTerms,
        session::{self, SESSION_SIZE},
    },
};

const SESSION_SPACE: u32 = 192;
const _: () = assert!(math::to_usize(SESSION_SPACE) == SESSION_SIZE);

/// Arguments, 80 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OpenSession {
    /// Incarnation of the trader.
    pub generation: Generation,
    pad: u32,
    /// Who will sign.
    pub key: Key,
    /// What it may do.
    pub terms: SessionTerms,
}

const _: () = assert!(size_of::<OpenSession>() == 80);

impl OpenSession {
    /// Arguments for this key and these terms.
    pub const fn new(generation: Generation, key: Key, terms: SessionTerms) -> Self {
        Self { generation, pad: 0, key, terms }
    }
}

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    let arguments: OpenSession = context.arguments()?;
    expect(arguments.pad == 0 && arguments.terms.is_padded() && !arguments.key.is_zero())?;
    let [owner, ledger_account, session, system] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let owner_address = signer(owner)?;
    writable(owner)?;
    if system.address() != &pinocchio_system::ID {
        return Err(Refusal::WrongSystemProgram.into());
    }
    let ledger_key = key_of(ledger_account.address());
    let mut ledger = own_mut(ledger_account, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    let trader = owned_trader(&ledger, context.head.trader, arguments.generation, owner_address)?;
    writable(session)?;
    let now = now()?;
    arguments.terms.check(now.unix_seconds).map_err(engine)?;
    let identity = SessionIdentity {
        ledger: ledger_key,
        owner: key_of(owner_address),
        key: arguments.key,
        trader,
        generation: arguments.generation,
    };
    let bump = create(owner, session, &identity, context.program_id)?;
    let mut bytes = own_mut(session, context.program_id)?;
    session::create(&mut bytes, &identity, &arguments.terms, bump).map_err(engine)?;
    let opened = Session::load(&bytes).map_err(engine)?;
    rules::record(&mut ledger, now, opened, arguments.terms.expires_at).map_err(engine)
}

/// Creates the account and returns its bump. Fails with `WrongAddress` or `AccountNotBlank`.
fn create(
    owner: &AccountView,
    session: &AccountView,
    identity: &SessionIdentity,
    program_id: &Address,
) -> Result<u8, ProgramError> {
    let (ledger, key) = (identity.ledger.as_bytes(), identity.key.as_bytes());
    let bump = pda::check(session, &[pda::SESSION_SEED, ledger, key], program_id)?;
    let seed_bump = [bump];
    let seeds = [
        Seed::from(pda::SESSION_SEED),
        Seed::from(ledger.as_slice()),
        Seed::from(key.as_slice()),
        Seed::from(seed_bump.as_slice()),
    ];
    pda::create(owner, session, SESSION_SPACE, &seeds, program_id)?;
    Ok(bump)
}
