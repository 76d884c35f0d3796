//! What the guardian may do at once: only what tightens.
//!
//! A cap is lowered to what a listing may have at the least, which leaves liquidators room: a position of the largest order,
//! and open interest of a lot. Above a cap everything that does not grow goes on.

use super::mode::Mode;
use crate::{
    error::{EngineError, Result},
    state::{CashEvent, CashEventKind, Ledger, MarketRow},
    units::{CellIndex, Lots, MarketIndex, Now},
};

/// Something to tighten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tightening {
    /// A mode for so many seconds from now.
    Mode {
        /// Which.
        mode: Mode,
        /// For how long.
        seconds: u32,
    },
    /// A market's cap on a position including open orders.
    PositionMax {
        /// The market.
        market: MarketIndex,
        /// The new cap.
        lots: Lots,
    },
    /// A market's cap on open interest.
    InterestMax {
        /// The market.
        market: MarketIndex,
        /// The new cap.
        lots: Lots,
    },
}

/// Tightens something. Fails with `ModeInvalid`, `NotTightening`, `HaltTooSoon` as [`super::mode::Modes::set`], for a cap with
/// `MarketNotFound`, `MarketStatusInvalid` if the market is settled or closed, `NotTightening` unless it is lower than the
/// present one, or `ListingParametersInvalid` if it is lower than a listing's may be.
pub fn tighten(ledger: &mut Ledger<'_>, now: Now, wanted: &Tightening) -> Result<()> {
    let event = match *wanted {
        Tightening::Mode { mode, seconds } => {
            let until = ledger.header.modes.set(mode, seconds, now.unix_seconds)?;
            let mut event = CashEvent::new(CashEventKind::ModeSet);
            (event.amount, event.balance) = (i64::from(mode.byte()), until.get());
            event
        }
        Tightening::PositionMax { market, lots } => {
            let row = open_row(ledger, market)?;
            let least = row.lots_max;
            lower(CashEventKind::PositionMaxLowered, market, &mut row.position_max, lots, least)?
        }
        Tightening::InterestMax { market, lots } => {
            let row = open_row(ledger, market)?;
            lower(CashEventKind::InterestMaxLowered, market, &mut row.open_interest_max, lots, Lots::new(1))?
        }
    };
    ledger.record(now, CellIndex::NIL, event)
}

/// The row of a market that is not over.
fn open_row<'a>(ledger: &'a mut Ledger<'_>, market: MarketIndex) -> Result<&'a mut MarketRow> {
    let row = ledger.row_mut(market)?;
    if row.accepts_reducing() { Ok(row) } else { Err(EngineError::MarketStatusInvalid) }
}

/// Lowers a cap, and says so.
fn lower(kind: CashEventKind, market: MarketIndex, cap: &mut Lots, lots: Lots, least: Lots) -> Result<CashEvent> {
    if lots >= *cap {
        return Err(EngineError::NotTightening);
    }
    if lots < least {
        return Err(EngineError::ListingParametersInvalid);
    }
    let old = core::mem::replace(cap, lots);
    let mut event = CashEvent::new(kind);
    event.market = market;
    event.amount = i64::try_from(lots.get()).map_err(|_| EngineError::Overflow)?;
    // A cap of open interest may be larger than a record can say.
    event.balance = i64::try_from(old.get()).unwrap_or(i64::MAX);
    Ok(event)
}
