//! `UpdatePrice`: reads a market's oracle sources and moves its price board. Anybody may call it.
//!
//! Accounts
//! 0. `[]` exchange
//! 1. `[writable]` ledger
//! 2. … one account per configured source, in the order of the listing
//!
//! Fails with an `Oracle…` refusal if an account is not what the listing says, with the engine's price errors if too few
//! sources count, `MarketNotFound`, `WrongLedger` and the account errors.

use crate::{
    account::{key_of, own, own_mut},
    error::{Refusal, engine},
    instruction::{Context, expect, now},
    oracle::{self, OracleAccount},
};
use bytemuck::{Pod, Zeroable};
use pinocchio::{AccountView, ProgramResult, error::ProgramError};
use quantdesk_engine::{
    CellIndex, EngineError, MarketIndex, Result as EngineResult,
    risk::price::SourcePrice,
    state::{CashEvent, CashEventKind, Exchange, Ledger, exchange::MARKET_SOURCES_MAX},
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
    let [exchange, ledger, sources @ ..] = context.accounts else {
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
    let row = ledger.row_mut(market).map_err(engine)?;
    if sources.len() != usize::from(row.sources_len) {
        return Err(Refusal::AccountsCount.into());
    }
    let readings = read_sources(exchange, market, sources)?;
    let board = (row.index_price, row.mark, row.condition());
    row.update_price(readings.get(..sources.len()).unwrap_or(&[]), now).map_err(engine)?;
    // WHY: anybody may call this at any time; records of nothing would push others out of the ring.
    if board == (row.index_price, row.mark, row.condition()) {
        return Ok(());
    }
    let mut event = CashEvent::new(CashEventKind::PriceUpdated);
    event.market = market;
    event.amount = i64::from(row.index_price.get());
    event.balance = i64::from(row.mark.get());
    ledger.record(now, CellIndex::NIL, event).map_err(engine)
}

/// One reading per source account.
#[inline(always)]
fn read_sources(
    exchange: &Exchange,
    market: MarketIndex,
    sources: &[AccountView],
) -> Result<[EngineResult<SourcePrice>; MARKET_SOURCES_MAX], ProgramError> {
    let mut readings = [Err(EngineError::OracleStale); MARKET_SOURCES_MAX];
    for ((place, account), reading) in sources.iter().enumerate().zip(&mut readings) {
        let source = exchange.source(market, place).ok_or(Refusal::AccountsCount)?;
        let data = account.try_borrow().map_err(|_| Refusal::AccountTwice)?;
        let account = OracleAccount { address: key_of(account.address()), owner: key_of(account.owner()), data: &data };
        *reading = oracle::read(source, &account)?;
    }
    Ok(readings)
}
