//! The seal: from an exchange that its admin sets up at will to one whose changes wait in a queue.
//!
//! Before it, markets are listed and changed at once, and nothing can be deposited: there is nobody whose money a change
//! could touch. After it, cash comes in and the rules that protect it hold. It is set once and never lifted.

use crate::{
    error::{EngineError, Result},
    state::{CashEventKind, Ledger, LedgerHeader},
    units::{CellIndex, Now},
};

/// Seals the exchange, for ever. Fails with `ExchangeSealed` if that was done.
pub fn seal(ledger: &mut Ledger<'_>, now: Now) -> Result<()> {
    require_unsealed(ledger.header)?;
    ledger.header.sealed = 1;
    ledger.record_amount(now, CellIndex::NIL, CashEventKind::ExchangeSealed, i64::from(ledger.header.markets_len))
}

/// Fails with `ExchangeNotSealed` while the exchange is being set up.
#[inline(always)]
pub fn require_sealed(header: &LedgerHeader) -> Result<()> {
    if header.is_sealed() { Ok(()) } else { Err(EngineError::ExchangeNotSealed) }
}

/// Fails with `ExchangeSealed` once changes go through the queue.
pub fn require_unsealed(header: &LedgerHeader) -> Result<()> {
    if header.is_sealed() { Err(EngineError::ExchangeSealed) } else { Ok(()) }
}
