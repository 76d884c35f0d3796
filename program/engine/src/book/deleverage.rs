//! The last rung: a bankrupt position is closed against its counterparties, exactly and in proportion.
//!
//! 1. *Start.* The pool pays what it can. The position's part of what is still missing is added to (a long) or taken
//!    from (a short) its value at mark: for these atoms, to the atom, its lots will change hands. From here on no
//!    position of the market moves: no fills, no liquidations, no funding.
//! 2. *Count.* One pass over the arena sums the lots of counterparties: those in profit at the price so found, and all.
//! 3. *Close.* A second pass closes. Counterparties in profit bear it in proportion to their lots; only if they have
//!    fewer lots than needed are they closed whole, and the others bear the rest in proportion to theirs.
//!
//! **Proportion.** Of `q` lots to close among `e`, a counterparty with `l` lots that comes after `p` others' lots
//! closes `⌊q·(p + l)/e⌋ − ⌊q·p/e⌋`. So the sum is exactly `q`, nobody is further than one lot from his exact part, and
//! an account split into a thousand dust accounts closes as much as before, which handing out remainders by size would
//! not do. Atoms are divided over closed lots in the same way. The result depends on the arena alone, not on who runs
//! the steps or how many cells each looks at; and it can be replayed from the records.

use super::Trading;
use crate::{
    error::{EngineError, Result},
    math,
    money::Balance,
    risk::{
        margin::{self, MaintenanceMargin},
        position::Execution,
        price::Action,
        shortfall::{self, Shortfall},
    },
    state::{MarketRow, PositionCell, TradeEvent, TradeEventKind, market::Deleverage},
    units::{CellIndex, Lots, QuoteAtoms, QuoteDelta, Side, Ticks},
};
use bytemuck::Zeroable;

const IDLE: u8 = 0;
const COUNTING: u8 = 1;
const CLOSING: u8 = 2;
/// Steps that closing one counterparty counts for, next to looking at a cell.
const CLOSE_STEPS: u32 = 32;

impl Trading<'_> {
    /// Starts deleveraging `target`'s position, or goes on with what is under way, for about as many cells as `steps`.
    /// Returns whether it is finished.
    ///
    /// Fails with `MarketNotActive` (closed), `PriceNotValidForAction`, `NothingToClose`, or `AccountHealthy` if the
    /// account has equity of its own.
    pub fn deleverage(&mut self, target: CellIndex, steps: u16) -> Result<bool> {
        let mut budget = u32::from(steps);
        if !self.market.header.deleverage.is_running() {
            self.start_deleverage(target)?;
        }
        if self.market.header.deleverage.phase == COUNTING {
            self.count(&mut budget)?;
        }
        if self.market.header.deleverage.phase == CLOSING {
            self.close_counterparties(&mut budget)?;
        }
        Ok(!self.market.header.deleverage.is_running())
    }

    fn start_deleverage(&mut self, target: CellIndex) -> Result<()> {
        if self.row()?.status().is_none_or(|status| status == crate::state::MarketStatus::Closed) {
            return Err(EngineError::MarketNotActive);
        }
        let position = self.position_of(target)?;
        self.settle_funding(position)?;
        shortfall::return_tips(&mut self.ledger, self.now, target)?;
        let health = shortfall::health(&self.ledger, target, Action::Deleverage, self.now)?;
        let cell = *self.ledger.position(position)?;
        if cell.base.is_zero() {
            return Err(EngineError::NothingToClose);
        }
        let trader = self.ledger.trader(target)?;
        let own = health.equity.checked_sub(trader.absorbed.as_delta()?)?;
        if own > QuoteDelta::ZERO {
            return Err(EngineError::AccountHealthy);
        }
        self.cancel_all_for_risk(position)?;
        shortfall::mark_bankrupt(&mut self.ledger, self.now, target, health.equity)?;
        let missing = self.absorb_first(target, &health)?;
        let plan = plan(self.row()?, &cell, &health, missing)?;
        let number = self.market.header.deleverage.number.wrapping_add(1);
        self.market.header.deleverage = Deleverage { trader: target, number, ..plan };
        self.record_deleverage(TradeEventKind::DeleverageStarted, CellIndex::NIL, plan.lots, plan.quote)
    }

    /// Lets the pool pay before counterparties do; returns what is still missing.
    fn absorb_first(&mut self, target: CellIndex, health: &MaintenanceMargin) -> Result<QuoteAtoms> {
        if health.equity >= QuoteDelta::ZERO {
            return Ok(QuoteAtoms::ZERO);
        }
        let missing = health.equity.magnitude();
        let shortfall = Shortfall { trader: target, market: self.market.header.index, atoms: missing };
        let paid = shortfall::absorb(&mut self.ledger, self.now, &shortfall)?;
        missing.checked_sub(paid)
    }

    /// First pass: sums the lots of counterparties.
    fn count(&mut self, budget: &mut u32) -> Result<()> {
        let state = &mut self.market.header.deleverage;
        let row =
            self.ledger.rows.get(usize::from(self.market.header.index.get())).ok_or(EngineError::MarketNotFound)?;
        let end = self.ledger.header.cells.high_water();
        while *budget > 0 && state.cursor.get() < end {
            *budget = budget.wrapping_sub(1);
            let cell = self.ledger.cells.get(state.cursor.as_usize()).ok_or(EngineError::Corrupt)?;
            state.cursor = CellIndex::new(state.cursor.get().wrapping_add(1));
            let Some(position) = cell.position().filter(|position| is_counterparty(state, row, position)) else {
                continue;
            };
            let lots = position.base.magnitude();
            state.opposite = state.opposite.checked_add(lots)?;
            if is_profitable(state, row, position) {
                state.profitable = state.profitable.checked_add(lots)?;
            }
        }
        if state.cursor.get() >= end {
            // Positions add up to zero (P1), so there are never fewer lots on the other side than to close. If there were, only
            // what they pay for would be closed.
            let lots = state.lots.min(state.opposite);
            let quote = math::mul_div_floor(state.quote.get(), lots.get(), state.lots.get())?;
            (state.lots, state.quote) = (lots, QuoteAtoms::new(quote));
            (state.phase, state.cursor) = (CLOSING, CellIndex::new(0));
        }
        Ok(())
    }

    /// Second pass: closes counterparties, each for its part.
    fn close_counterparties(&mut self, budget: &mut u32) -> Result<()> {
        let end = self.ledger.header.cells.high_water();
        // WHY: one record each; more in one instruction than the ring holds would be lost to those who follow it.
        let mut records = self.market.events.len().saturating_sub(2).max(1);
        let source = self.position_of(self.market.header.deleverage.trader)?;
        while *budget > 0 && records > 0 {
            let state = self.market.header.deleverage;
            if state.closed == state.lots || state.cursor.get() >= end {
                return self.finish_deleverage();
            }
            *budget = budget.wrapping_sub(1);
            self.market.header.deleverage.cursor = CellIndex::new(state.cursor.get().wrapping_add(1));
            let lots = self.part_of(&state, state.cursor)?;
            if !lots.is_zero() {
                self.close_one(&state, source, lots)?;
                *budget = budget.saturating_sub(CLOSE_STEPS);
                records = records.wrapping_sub(1);
            }
            // WHY: at once. An account without size could be resolved by another rung and then closed, and nobody could
            // finish what is under way any more.
            if self.market.header.deleverage.closed == state.lots {
                return self.finish_deleverage();
            }
        }
        Ok(())
    }

    /// Lots the position at `cell` has to close, and moves the running sums past it.
    fn part_of(&mut self, state: &Deleverage, cell: CellIndex) -> Result<Lots> {
        let row = self.row()?;
        let found = self.ledger.cells.get(cell.as_usize()).ok_or(EngineError::Corrupt)?.position();
        let Some(position) = found.filter(|position| is_counterparty(state, row, position)) else {
            return Ok(Lots::ZERO);
        };
        let lots = position.base.magnitude();
        let in_profit = is_profitable(state, row, position);
        let first = state.lots.min(state.profitable);
        let others = state.opposite.checked_sub(state.profitable)?;
        let sums = &mut self.market.header.deleverage;
        if in_profit {
            sums.profitable_passed = state.profitable_passed.checked_add(lots)?;
            part(first, state.profitable, state.profitable_passed, lots)
        } else {
            sums.others_passed = state.others_passed.checked_add(lots)?;
            part(state.lots.checked_sub(first)?, others, state.others_passed, lots)
        }
    }

    /// Closes `lots` of the counterparty at the cursor against the bankrupt position.
    fn close_one(&mut self, state: &Deleverage, source: CellIndex, lots: Lots) -> Result<()> {
        let quote = part(Lots::new(state.quote.get()), state.lots, state.closed, lots)?.get();
        let quote = QuoteAtoms::new(quote);
        self.settle_funding(state.cursor)?;
        let mut transit = Balance::ZERO;
        let mut interest = 0i64;
        let side = state.closing_side();
        for (cell, side) in [(source, side), (state.cursor, side.opposite())] {
            let closing = Execution { side, lots, quote, close_lots: lots, close_quote: quote };
            let change = self.settle_at(cell, &closing, &mut transit)?;
            interest = interest.checked_add(change).ok_or(EngineError::Overflow)?;
        }
        let row = self.ledger.row_mut(self.market.header.index)?;
        row.open_interest = row.open_interest.changed_by(interest)?;
        let sums = &mut self.market.header.deleverage;
        sums.closed = sums.closed.checked_add(lots)?;
        let counterparty = self.ledger.position(state.cursor)?.trader;
        if !transit.is_zero() {
            return Err(EngineError::Corrupt);
        }
        self.record_deleverage(TradeEventKind::Deleveraged, counterparty, lots, quote)
    }

    fn finish_deleverage(&mut self) -> Result<()> {
        let state = self.market.header.deleverage;
        self.record_deleverage(TradeEventKind::DeleverageFinished, CellIndex::NIL, state.closed, state.quote)?;
        self.market.header.deleverage = Deleverage { number: state.number, phase: IDLE, ..Deleverage::zeroed() };
        shortfall::resolve(&mut self.ledger, self.now, state.trader)
    }

    fn record_deleverage(
        &mut self,
        kind: TradeEventKind,
        counterparty: CellIndex,
        lots: Lots,
        quote: QuoteAtoms,
    ) -> Result<()> {
        let state = &self.market.header.deleverage;
        let mut event = TradeEvent::of(kind, state.closing_side().opposite(), state.trader);
        event.maker = counterparty;
        event.order = crate::units::Sequence::new(state.number);
        event.lots = lots;
        event.price = state.price;
        event.client_id = quote.get();
        self.market.record(self.now, event)
    }
}

impl Deleverage {
    /// The side on which the bankrupt position trades when it is closed.
    #[inline(always)]
    pub const fn closing_side(&self) -> Side {
        if self.side == Side::Bid.byte() { Side::Ask } else { Side::Bid }
    }
}

/// What is to be closed and for how much: all lots of the position, for their value at mark and the position's part of
/// what is missing, in proportion to maintenance margin, so that no order of markets is better for anybody.
fn plan(row: &MarketRow, cell: &PositionCell, health: &MaintenanceMargin, missing: QuoteAtoms) -> Result<Deleverage> {
    let lots = cell.base.magnitude();
    let value = row.mark.bounded_notional(lots, row.tick_value).get();
    let required = margin::position_maintenance(row, cell)?.get();
    // ROUND: down; what several positions round away is left to the last one, whose part is all of it.
    let part = math::mul_div_floor(missing.get(), required, health.required.get())?;
    let per_tick = lots.get().wrapping_mul(u64::from(row.tick_value.get()));
    let long = cell.base.get() > 0;
    // Nobody buys above the largest price, nor pays for selling: what such a price does not cover stays with the account.
    let most = row.price_max.bounded_notional(lots, row.tick_value).get();
    let quote = if long { value.saturating_add(part).min(most) } else { value.saturating_sub(part) };
    let price = if long { quote.div_ceil(per_tick.max(1)) } else { quote.checked_div(per_tick).unwrap_or(0) };
    Ok(Deleverage {
        phase: COUNTING,
        side: if long { Side::Bid.byte() } else { Side::Ask.byte() },
        price: Ticks::new(u32::try_from(price).map_err(|_| EngineError::Overflow)?),
        lots,
        quote: QuoteAtoms::new(quote),
        cursor: CellIndex::new(0),
        ..Deleverage::zeroed()
    })
}

/// Whether a position is in this market, on the other side of the bankrupt one.
#[inline(always)]
fn is_counterparty(state: &Deleverage, row: &MarketRow, position: &PositionCell) -> bool {
    position.market == row.index
        && match state.closing_side() {
            Side::Ask => position.base.get() < 0,
            Side::Bid => position.base.get() > 0,
        }
}

/// Whether closing at the price would leave the position a gain.
#[inline(always)]
fn is_profitable(state: &Deleverage, row: &MarketRow, position: &PositionCell) -> bool {
    let value = state.price.bounded_value(position.base, row.tick_value);
    value.checked_add(position.quote.get()).is_ok_and(|gain| gain > QuoteDelta::ZERO)
}

/// `⌊whole·(passed + own)/all⌋ − ⌊whole·passed/all⌋`: one part of a division that leaves nothing over.
fn part(whole: Lots, all: Lots, passed: Lots, own: Lots) -> Result<Lots> {
    if whole.is_zero() {
        return Ok(Lots::ZERO);
    }
    let upto = |lots: Lots| math::mul_div_floor(whole.get(), lots.get(), all.get()).map(Lots::new);
    upto(passed.checked_add(own)?)?.checked_sub(upto(passed)?)
}
