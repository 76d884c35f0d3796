//! Who shares in fees beside the exchange: builders, who bring orders and charge their takers for it, and referrers, who
//! brought a trader and get a share of what the exchange earns by it. Both are trading accounts.

use crate::{
    error::{EngineError, Result},
    state::{CashEventKind, Ledger, ledger::trader_mut},
    units::{CellIndex, Generation, Now},
};

/// Largest fee of a builder that a trader can agree to, in ppm.
pub const BUILDER_MAX: u16 = 1_000;

/// Whether a trader can agree to this.
pub const fn is_builder_max(ppm: u16) -> bool {
    ppm <= BUILDER_MAX
}

/// Says how much builders may charge the trader; the caller has checked [`is_builder_max`]. Fails with `TraderNotFound`.
pub fn set_builder_max(ledger: &mut Ledger<'_>, now: Now, trader: CellIndex, ppm: u16) -> Result<()> {
    trader_mut(ledger.cells, trader)?.builder_max = ppm;
    ledger.record_amount(now, trader, CashEventKind::BuilderMaxSet, i64::from(ppm))
}

/// Names who brought the trader, once and for all. Fails with `TraderNotFound` (either), with `ReferrerAlreadySet`, or with
/// `SelfReferral` for an account of the same owner.
pub fn set_referrer(
    ledger: &mut Ledger<'_>,
    now: Now,
    trader: CellIndex,
    referrer: CellIndex,
    generation: Generation,
) -> Result<()> {
    let found = ledger.trader(referrer)?;
    if found.generation != generation {
        return Err(EngineError::TraderNotFound);
    }
    let owner = found.owner;
    let cell = ledger.trader_mut(trader)?;
    if cell.has_referrer() {
        return Err(EngineError::ReferrerAlreadySet);
    }
    if cell.owner == owner {
        return Err(EngineError::SelfReferral);
    }
    (cell.referrer, cell.referrer_generation) = (referrer, generation);
    ledger.record_amount(now, trader, CashEventKind::ReferrerSet, i64::from(referrer.get()))
}
