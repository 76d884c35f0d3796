//! A chain that stood still.
//!
//! While the chain makes slots, its clock advances by less than a second a slot. So if the clock has advanced by more seconds
//! than there were slots, and by [`STILL_SECONDS_MIN`] more, the chain stood still: nobody could trade, cancel, deposit or
//! bring a price. Such time is nobody's to pay for. A slot does not measure time here: the number of slots is an upper bound
//! of the seconds in which the chain was alive, and nothing else.
//!
//! The bound is the longest age of a fresh price and how far ahead of the clock one may be published. So every price from
//! before is too old for anything that adds risk, in every market, until there is a new one.

use super::{listing::FRESH_SECONDS_MAX, price::CLOCK_SKEW_SECONDS};
use crate::{
    error::Result,
    state::{CashEvent, CashEventKind, Ledger, MarketRow},
    units::{CellIndex, MarketIndex, Now},
};

/// The chain stood still if more seconds than this passed beyond one a slot.
pub const STILL_SECONDS_MIN: u32 = 310;
const _: () = assert!(i64::abs_diff(CLOCK_SKEW_SECONDS, 0) == 10 && STILL_SECONDS_MIN == FRESH_SECONDS_MAX + 10);

/// Time since a board was last updated, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// In which the chain was alive, or more.
    pub lived: u64,
    /// For which it stood still, or less; 0 if it did not.
    pub still: u64,
}

/// Time since the market's board was last updated. Of one that never was, all of it counts as alive.
#[inline(always)]
pub fn since_update(row: &MarketRow, now: Now) -> Passed {
    let seconds = now.unix_seconds.since(row.updated_at);
    let slots = now.slot.get().saturating_sub(row.updated_slot.get());
    let most = slots.saturating_add(u64::from(STILL_SECONDS_MIN));
    if seconds <= most { Passed { lived: seconds, still: 0 } } else { after_standstill(row, seconds, slots) }
}

#[cold]
#[inline(never)]
fn after_standstill(row: &MarketRow, seconds: u64, slots: u64) -> Passed {
    if row.updated_at.is_zero() {
        return Passed { lived: seconds, still: 0 };
    }
    Passed { lived: slots, still: seconds.saturating_sub(slots) }
}

/// Says in the trail for how many seconds the chain stood still since the market's board was last updated.
#[cold]
#[inline(never)]
pub fn record(ledger: &mut Ledger<'_>, market: MarketIndex, still: u64, now: Now) -> Result<()> {
    let mut event = CashEvent::new(CashEventKind::ChainResumed);
    event.market = market;
    event.amount = i64::try_from(still).unwrap_or(i64::MAX);
    ledger.record(now, CellIndex::NIL, event)
}
