//! The third rung: a liquidator's own account takes a failing position over.

use super::{Liquidated, Trading};
use crate::{
    account,
    error::{EngineError, Result},
    money::{self, Balance},
    risk::{
        liquidation::{self, Needed, Rates, Terms},
        position::{self, Execution, Fill},
        shortfall,
    },
    state::TradeEventKind,
    units::{CellIndex, Lots, Ppm, QuoteAtoms, Side},
};

impl Trading<'_> {
    /// Moves up to `lots_max` lots of a failing position to `liquidator`'s account, but no more than restores the
    /// account, at the mark less the market's discount, or at the bankruptcy price if that is nearer. The liquidator's
    /// account ends at or above initial margin. The fee goes to the pool.
    ///
    /// Fails with `DeleverageRunning`, `MarketNotActive`, `PriceNotValidForAction`, `AccountHealthy` (equity of two
    /// thirds of maintenance or more), `NoEquity`, `NothingToClose`, `SelfTakeOver`, `AccountBankrupt` (the
    /// liquidator), `LedgerFull`, `PositionTooLarge`, `OpenInterestTooLarge` or `BelowInitialMargin` (the liquidator).
    pub fn take_over(&mut self, liquidator: CellIndex, target: CellIndex, lots_max: Lots) -> Result<Liquidated> {
        let (source, rest) = self.failing(target)?;
        let exposure = self.exposure(target, source, &rest)?;
        if !liquidation::may_take_over(rest.health()) {
            return Err(EngineError::AccountHealthy);
        }
        let taking = self.ledger.trader(liquidator)?;
        if taking.owner == self.ledger.trader(target)?.owner {
            return Err(EngineError::SelfTakeOver);
        }
        if taking.is_bankrupt() {
            return Err(EngineError::AccountBankrupt);
        }
        self.cancel_all_for_risk(source)?;
        let row = self.row()?;
        let rates = Rates { taker: Ppm::ZERO, liquidation: row.risk.liquidation_fee };
        let price = exposure.price_limit(row, Ppm::ZERO)?.ok_or(EngineError::NoLiquidity)?;
        let terms = Terms { row, rates, price };
        let (Needed::Exactly(needed) | Needed::AtLeast(needed)) = exposure.needed(&terms, lots_max)?;
        let lots = needed.min(lots_max);
        if lots.is_zero() {
            return Err(EngineError::NothingToClose);
        }
        let cost = exposure.cost(&terms, lots)?;
        let fill =
            Fill { price, tick_value: row.tick_value, lots, quote: price.bounded_notional(lots, row.tick_value) };
        self.hand_over(source, liquidator, exposure.closing_side(), &fill)?;
        let mut pot = Balance::ZERO;
        money::post(&mut self.ledger.trader_mut(target)?.cash, &mut pot, cost.liquidation_fee)?;
        money::post(&mut pot, &mut self.ledger.header.pool, cost.liquidation_fee)?;
        let done = Liquidated { lots, quote: fill.quote, fee: cost.liquidation_fee, tip: QuoteAtoms::ZERO };
        self.record_liquidation(TradeEventKind::TakenOver, liquidator, target, &done)?;
        shortfall::resolve(&mut self.ledger, self.now, target)?;
        self.check_risk(liquidator, None, false)?;
        Ok(done)
    }

    /// Trades a fill between a position, on `side`, and an account of another owner, with the market's limits.
    fn hand_over(&mut self, source: CellIndex, account: CellIndex, side: Side, fill: &Fill) -> Result<()> {
        let market = self.market.header.index;
        let target = account::position_in(&mut self.ledger, account, market)?;
        self.settle_funding(target)?;
        self.narrow_bounds(target)?;
        let worst_before = position::worst_lots(self.ledger.position(target)?);
        let interest_before = self.row()?.open_interest;
        let mut transit = Balance::ZERO;
        let mut interest = 0i64;
        for (cell, side) in [(source, side), (target, side.opposite())] {
            let closable = self.ledger.position(cell)?.base.closable_by(side);
            let change = self.settle_at(cell, &fill.execution(side, fill.lots.min(closable)), &mut transit)?;
            interest = interest.checked_add(change).ok_or(EngineError::Overflow)?;
        }
        let row = self.ledger.row_mut(market)?;
        row.open_interest = row.open_interest.changed_by(interest)?;
        if !transit.is_zero() {
            return Err(EngineError::Corrupt);
        }
        self.check_limits(target, worst_before, interest_before)
    }

    /// Applies an execution to a position and its trader's cash.
    pub(super) fn settle_at(&mut self, cell: CellIndex, done: &Execution, transit: &mut Balance) -> Result<i64> {
        let (position, trader) = position::with_trader(self.ledger.cells, cell)?;
        position::settle(position, trader, done, transit)
    }
}
