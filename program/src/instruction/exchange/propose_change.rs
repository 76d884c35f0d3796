//! `ProposeChange`: puts a change of an exchange or of a market into the queue, or a new market; what tightens takes effect at
//! once. See `SPEC.md`, "Changes".
//!
//! Accounts
//! 0. `[signer]` admin; for a listing also the lister
//! 1. `[writable]` exchange
//! 2. `[writable]` ledger
//! 3. `[signer]` market, blank, of a listing only: its key signs, or anybody could take a waiting account for an exchange of
//!    theirs
//! 4. `[]` instructions sysvar, the last in any case
//!
//! Arguments: a [`Proposal`], 16 bytes, and what its kind consists of: [`MarginParameters`], [`FeeSchedule`],
//! [`SourcesParameters`], [`ListingParameters`], or nothing.
//!
//! Fails with `FieldInvalid` for a kind or parameter that there is not, or anything where there should be nothing, with
//! `NotAuthorized`, `WrongLedger`, `WrongInstructionsSysvar`, `DurableNonce`, `MarketNotFound`, `MarketStatusInvalid`,
//! `ChangeOutOfBounds`, `ChangeWithoutEffect`, `DelayShrinks`, `ChangeStepTooLarge`, `MarginRampRunning`, `ChangesFull`,
//! `PayloadsFull`, and if what comes of it would be none, as a listing or `CreateExchange` does; and with the account errors.
//!
//! [`MarginParameters`]: quantdesk_engine::risk::life::MarginParameters
//! [`FeeSchedule`]: quantdesk_engine::state::fees::FeeSchedule
//! [`SourcesParameters`]: quantdesk_engine::governance::change::SourcesParameters

use super::check_ledger;
use crate::{
    account::{key_of, own, own_mut, signer, transaction::refuse_durable_nonce},
    error::{Refusal, engine},
    instruction::{Context, expect, now},
};
use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};
use quantdesk_engine::{
    governance::change::{Governed, Kind, Proposal, Proposer, Wanted},
    risk::listing::ListingParameters,
    state::{Exchange, Key, Ledger, Market},
};

/// Runs the instruction.
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let (proposal, kind, payload) = arguments(context.arguments)?;
    let (proposer, exchange, ledger, market, sysvar) = match context.accounts {
        [proposer, exchange, ledger, market, sysvar] if kind == Kind::Listing => {
            (proposer, exchange, ledger, Some(market), sysvar)
        }
        [proposer, exchange, ledger, sysvar] if kind != Kind::Listing => (proposer, exchange, ledger, None, sysvar),
        _ => return Err(Refusal::AccountsCount.into()),
    };
    let key = market.as_ref().map_or(Key::ZERO, |market| key_of(market.address()));
    // The runtime lays data out so that 8 divides their address.
    let wanted = Wanted::read(&proposal, key, payload).ok_or(Refusal::FieldInvalid)?;
    let proposer = signer(proposer)?;
    if let Some(market) = &market {
        signer(market)?;
    }
    refuse_durable_nonce(sysvar)?;
    let mut exchange = own_mut(exchange, context.program_id)?;
    let exchange = Exchange::load_mut(&mut exchange).map_err(engine)?;
    let role = role_of(exchange, proposer, kind)?;
    check_ledger(exchange, ledger)?;
    let mut ledger = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut ledger).map_err(engine)?;
    if let (Some(market), Wanted::Listing(_, parameters)) = (market, &wanted) {
        check_market(market, parameters, context.program_id)?;
    }
    let mut governed = Governed { exchange, ledger: &mut ledger, now: now()? };
    governed.propose(&proposal, &wanted, role).map_err(engine)
}

/// The proposal, its kind, and the bytes that follow it. Fails with `DataLength` or `FieldInvalid`.
fn arguments(bytes: &[u8]) -> Result<(Proposal, Kind, &[u8]), ProgramError> {
    let (proposal, payload) = bytes.split_at_checked(size_of::<Proposal>()).ok_or(Refusal::DataLength)?;
    let proposal: Proposal = bytemuck::try_pod_read_unaligned(proposal).map_err(|_| Refusal::DataLength)?;
    let kind = Kind::from_byte(proposal.kind).ok_or(Refusal::FieldInvalid)?;
    if payload.len() != kind.payload_size() {
        return Err(Refusal::DataLength.into());
    }
    expect(proposal.is_padded())?;
    Ok((proposal, kind, payload))
}

/// In which role `signer` proposes. Fails with `NotAuthorized`.
fn role_of(exchange: &Exchange, signer: &Address, kind: Kind) -> Result<Proposer, ProgramError> {
    if exchange.admin.matches(signer.as_array()) {
        return Ok(Proposer::Admin);
    }
    let lists = kind == Kind::Listing && exchange.lister.matches(signer.as_array());
    if lists { Ok(Proposer::Lister) } else { Err(Refusal::NotAuthorized.into()) }
}

/// The account that a market is to be listed with is blank and as large as its capacities ask for.
fn check_market(market: &AccountView, parameters: &ListingParameters, program_id: &Address) -> ProgramResult {
    let bytes = own(market, program_id)?;
    Market::check_blank(&bytes, parameters.side_capacity, parameters.events_capacity).map_err(engine)
}
