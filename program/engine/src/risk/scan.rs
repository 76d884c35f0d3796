//! Finding failing accounts from the ledger's bytes alone: off chain all of them, on chain a few at a time.

use super::{
    liquidation,
    margin::{self, MaintenanceMargin},
    price::Action,
};
use crate::{
    error::{EngineError, Result},
    math,
    state::{
        Ledger, LedgerView, TraderCell,
        ledger::{WATCH_MAX, Watched},
    },
    units::{CellIndex, Generation, Now, Ppm, QuoteAtoms, QuoteDelta, UnixSeconds},
};

/// The lowest rung of the ladder that is open for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// Below initial margin with orders resting: `CancelForRisk`.
    CancelForRisk,
    /// Below maintenance margin: `Liquidate`.
    Liquidate,
    /// Below two thirds of it: `Liquidate` or `TakeOver`.
    TakeOver,
    /// Without equity of its own, or marked as bankrupt: `AbsorbShortfall`, `Deleverage`.
    Bankrupt,
}

/// A failing account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its cell.
    pub trader: CellIndex,
    /// Its incarnation.
    pub generation: Generation,
    /// What may be done about it.
    pub rung: Rung,
    /// Equity at mark.
    pub equity: QuoteDelta,
    /// Maintenance requirement.
    pub maintenance: QuoteAtoms,
}

/// All failing accounts whose prices allow a liquidation, in order of cells. Accounts whose bytes contradict themselves
/// are passed over; the invariants report them.
pub fn scan<'a>(ledger: &'a LedgerView<'a>, now: UnixSeconds) -> impl Iterator<Item = Finding> + 'a {
    ledger.traders().filter_map(move |(cell, trader)| examine(ledger, cell, trader, now).ok().flatten())
}

/// One account; `None` if nothing may be done about it. Fails with `Overflow` or `Corrupt`.
pub fn examine(
    ledger: &LedgerView<'_>,
    cell: CellIndex,
    trader: &TraderCell,
    now: UnixSeconds,
) -> Result<Option<Finding>> {
    let health = margin::maintenance(ledger, trader, now)?;
    if !health.validity.allows(Action::Liquidate) {
        return Ok(None);
    }
    let rung = match rung_of(trader, &health) {
        Some(rung) => rung,
        None if is_over_ordered(ledger, trader, now)? => Rung::CancelForRisk,
        None => return Ok(None),
    };
    let (equity, maintenance) = (health.equity, health.required);
    Ok(Some(Finding { trader: cell, generation: trader.generation, rung, equity, maintenance }))
}

fn rung_of(trader: &TraderCell, health: &MaintenanceMargin) -> Option<Rung> {
    let exposed = !health.required.is_zero();
    if trader.is_bankrupt() || health.equity < QuoteDelta::ZERO || (exposed && health.equity.is_zero()) {
        Some(Rung::Bankrupt)
    } else if health.is_met() {
        None
    } else if liquidation::may_take_over(health) {
        Some(Rung::TakeOver)
    } else {
        Some(Rung::Liquidate)
    }
}

fn is_over_ordered(ledger: &LedgerView<'_>, trader: &TraderCell, now: UnixSeconds) -> Result<bool> {
    let orders = ledger.positions(trader).any(|(_, position)| position.orders > 0);
    if !orders {
        return Ok(false);
    }
    let initial = margin::initial(ledger, trader, now)?;
    Ok(initial.validity.allows(Action::Liquidate) && !initial.is_met())
}

/// `Sweep`: looks at the next `cells` cells of the arena and keeps the worst accounts it finds below maintenance margin
/// in the ledger's watch list; accounts on the list that recovered or are gone leave it. Returns how many are on it.
pub fn sweep(ledger: &mut Ledger<'_>, now: Now, cells: u16) -> Result<usize> {
    let mut watch = ledger.header.watch;
    let view = ledger.view();
    watch.retain_failing(&view, now);
    let end = ledger.header.cells.high_water();
    let mut cursor = ledger.header.sweep_cursor.get();
    for _ in 0..cells.min(u16::try_from(end).unwrap_or(u16::MAX)) {
        cursor = if cursor < end { cursor } else { 0 };
        let cell = CellIndex::new(cursor);
        cursor = cursor.wrapping_add(1);
        if let Some(found) = watched(&view, cell, now) {
            watch.keep(found);
        }
    }
    ledger.header.watch = watch;
    ledger.header.sweep_cursor = CellIndex::new(cursor);
    Ok(watch.iter().filter(|entry| !entry.generation.is_zero()).count())
}

/// The entry for the account in a cell, if it is below maintenance margin at prices that allow a liquidation.
fn watched(view: &LedgerView<'_>, cell: CellIndex, now: Now) -> Option<Watched> {
    let trader = view.trader(cell).ok()?;
    let health = margin::maintenance(view, trader, now.unix_seconds).ok()?;
    if !health.validity.allows(Action::Liquidate) {
        return None;
    }
    rung_of(trader, &health)?;
    Some(Watched { trader: cell.get(), generation: trader.generation, health: ratio(&health), seen_at: seconds(now) })
}

/// Equity as a share of the requirement, rounded down; zero without equity.
fn ratio(health: &MaintenanceMargin) -> Ppm {
    let equity = health.equity.positive_part().get();
    let share = math::mul_div_floor(equity, math::PPM, health.required.get().max(1)).unwrap_or(u64::MAX);
    Ppm::new(u32::try_from(share).unwrap_or(u32::MAX))
}

/// The time modulo 2^32, for the record only.
fn seconds(now: Now) -> u32 {
    let [a, b, c, d, ..] = now.unix_seconds.get().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

trait WatchList {
    fn retain_failing(&mut self, view: &LedgerView<'_>, now: Now);
    fn keep(&mut self, found: Watched);
}

impl WatchList for [Watched; WATCH_MAX] {
    /// Looks at every account on the list again.
    fn retain_failing(&mut self, view: &LedgerView<'_>, now: Now) {
        let before = core::mem::take(self);
        for entry in before.iter().filter(|entry| !entry.generation.is_zero()) {
            let again = watched(view, CellIndex::new(entry.trader), now);
            if let Some(found) = again.filter(|found| found.generation == entry.generation) {
                self.keep(found);
            }
        }
    }

    /// Puts an account in its place, worst first, once.
    fn keep(&mut self, found: Watched) {
        if self.iter().any(|entry| entry.trader == found.trader && entry.generation == found.generation) {
            return;
        }
        let mut carried = found;
        for place in self.iter_mut() {
            if place.generation.is_zero() || carried.health < place.health {
                core::mem::swap(place, &mut carried);
            }
            if carried.generation.is_zero() {
                return;
            }
        }
    }
}

/// Fails with `TraderNotFound` unless this incarnation of the account is alive.
pub fn live(ledger: &Ledger<'_>, trader: CellIndex, generation: Generation) -> Result<CellIndex> {
    let cell = ledger.trader(trader)?;
    if cell.generation == generation { Ok(trader) } else { Err(EngineError::TraderNotFound) }
}
