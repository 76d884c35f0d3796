//! `UpdatePrice`: reads a market's oracle sources and its book, accrues funding and moves the price board. Anybody may
//! call it.
//!
//! Accounts
//! 0. `[]` exchange
//! 1. `[writable]` ledger
//! 2. `[]` market
//! 3. … accounts of the configured sources, in the order of the listing: one for a price account, two or three for a
//!    signed price (`oracle`), whose ed25519 instructions directly precede this one, the first source's nearest
//!
//! Fails with an `Oracle…` refusal if an account is not what the listing says, with the engine's price errors if too few
//! sources count, `MarketNotFound`, `WrongAddress` for another market, `MarketStatusInvalid` once it is over,
//! `WrongLedger` and the account errors.

use crate::{
    account::{own, own_mut},
    error::{Refusal, engine},
    instruction::{Context, expect, now},
    oracle::Sources,
};
use bytemuck::{Pod, Zeroable};
use pinocchio::{AccountView, Address, ProgramResult, error::ProgramError};
use quantdesk_engine::{
    EngineError, MarketIndex, Now, Result as EngineResult,
    risk::price::{self, Book, SourcePrice},
    state::{Exchange, Ledger, MarketView, SourceKind, exchange::MARKET_SOURCES_MAX},
};

/// Arguments, 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct UpdatePrice {
    /// The market.
    pub market: MarketIndex,
    pad: [u8; 6],
}

const _: () = assert!(size_of::<UpdatePrice>() == 8);

impl UpdatePrice {
    /// Arguments for this market.
    pub const fn new(market: MarketIndex) -> Self {
        Self { market, pad: [0; 6] }
    }
}

/// Runs the instruction.
#[inline(never)]
pub fn process(context: &mut Context<'_>) -> ProgramResult {
    context.expect_no_trader()?;
    let arguments: UpdatePrice = context.arguments()?;
    expect(arguments.pad == [0; 6])?;
    let market = arguments.market;
    let [exchange, ledger, book, sources @ ..] = context.accounts else {
        return Err(Refusal::AccountsCount.into());
    };
    let ledger_address = *ledger.address();
    let exchange = own(exchange, context.program_id)?;
    let exchange = Exchange::load(&exchange).map_err(engine)?;
    if !exchange.ledger.matches(ledger_address.as_array()) {
        return Err(Refusal::WrongLedger.into());
    }
    let mut bytes = own_mut(ledger, context.program_id)?;
    let mut ledger = Ledger::load(&mut bytes).map_err(engine)?;
    let now = now()?;
    let row = ledger.row(market).map_err(engine)?;
    if !row.market.matches(book.address().as_array()) {
        return Err(Refusal::WrongAddress.into());
    }
    let sources_len = usize::from(row.sources_len);
    if sources.len() != exchange.source_accounts(market) {
        return Err(Refusal::AccountsCount.into());
    }
    let book = own(book, context.program_id)?;
    let book = Book::of(&MarketView::load(&book).map_err(engine)?, now.unix_seconds);
    let readings = read_sources(exchange, market, sources, context.program_id, now)?;
    let readings = readings.get(..sources_len).unwrap_or(&[]);
    price::update(&mut ledger, market, readings, &book, now).map(|_| ()).map_err(engine)
}

/// One reading per source, each from as many accounts as its kind takes.
#[inline(always)]
fn read_sources(
    exchange: &Exchange,
    market: MarketIndex,
    accounts: &[AccountView],
    program_id: &Address,
    now: Now,
) -> Result<[EngineResult<SourcePrice>; MARKET_SOURCES_MAX], ProgramError> {
    let mut readings = [Err(EngineError::OracleStale); MARKET_SOURCES_MAX];
    let mut sources = Sources::new(program_id, now);
    let mut rest = accounts;
    for (place, reading) in readings.iter_mut().enumerate() {
        let Some(source) = exchange.source(market, place) else { break };
        let kind = SourceKind::from_byte(source.kind).ok_or(Refusal::OracleWrongType)?;
        let (own, others) = rest.split_at_checked(kind.accounts()).ok_or(Refusal::AccountsCount)?;
        *reading = sources.read(source, own)?;
        rest = others;
    }
    Ok(readings)
}
