//! The first rungs of the ladder: cancelling what adds risk, and closing through the book.
//!
//! Whoever runs these passes hints only. Sizes, prices and fees are `risk::liquidation`'s.

use super::{
    NewOrder, OrderKind, SelfTrade, Trading,
    matching::{Taker, TakerIdentity},
    offer::Offer,
};
use crate::{
    error::{EngineError, Result},
    money::{self, Balance},
    risk::{
        liquidation::{Exposure, Needed, Rates, Terms},
        margin::{self, MaintenanceMargin},
        price::Action,
        shortfall,
    },
    state::{MarketStatus, OrderNode, TradeEvent, TradeEventKind, ledger},
    units::{CellIndex, Lots, NodeIndex, QuoteAtoms, QuoteDelta, Side, Ticks, UnixSeconds},
};

/// What a liquidation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Liquidated {
    /// Lots closed.
    pub lots: Lots,
    /// What they changed hands for.
    pub quote: QuoteAtoms,
    /// Liquidation fee paid by the account.
    pub fee: QuoteAtoms,
    /// What the keeper got of it.
    pub tip: QuoteAtoms,
}

/// Everything about an account that its position in one market does not change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// Unrealised profit and loss of other positions.
    unrealised: QuoteDelta,
    /// Their maintenance requirement.
    required: QuoteAtoms,
    health: MaintenanceMargin,
}

impl Rest {
    /// The whole account as it was before anything was closed.
    pub(super) const fn health(&self) -> &MaintenanceMargin {
        &self.health
    }
}

impl Trading<'_> {
    /// Cancels orders of an account below initial margin, newest first and at most `limit`, until it is no longer
    /// below; reduce-only orders and takers that wait stay. In a settled market all orders go, whoever's they are. Returns
    /// how many went.
    ///
    /// Fails with `PriceNotValidForAction`, `AccountHealthy`, or `NothingToClose` if there is nothing to cancel.
    pub fn cancel_for_risk(&mut self, target: CellIndex, limit: u8) -> Result<u8> {
        let position = self.position_of(target)?;
        if self.row()?.status() == Some(MarketStatus::Settled) {
            return self.cancel_while(position, limit, |_| Ok(true));
        }
        self.narrow_bounds(position)?;
        let before = self.initial_margin(target, false)?;
        if !before.validity.allows(Action::Liquidate) {
            return Err(EngineError::PriceNotValidForAction);
        }
        if before.is_met() {
            return Err(EngineError::AccountHealthy);
        }
        let own = margin::position_initial(self.row()?, self.ledger.position(position)?)?;
        let others = before.required.checked_sub(own)?;
        // What besides cash does not change. Cash does where triggers go with an order that they waited for.
        let unrealised = before.equity.checked_sub(self.ledger.trader(target)?.cash.get())?;
        self.cancel_while(position, limit, |trading| {
            trading.narrow_bounds(position)?;
            let own = margin::position_initial(trading.row()?, trading.ledger.position(position)?)?;
            let required = others.checked_add(own)?;
            let equity = unrealised.checked_add(trading.ledger.trader(target)?.cash.get())?;
            Ok(equity < QuoteDelta::ZERO || equity.magnitude() < required)
        })
    }

    /// Cancels a position's orders while `goes_on` says so. In a live market reduce-only ones stay, and takers that wait: who
    /// chose his collateral so that a tick against him ends his order would have a way to take it back.
    fn cancel_while(
        &mut self,
        position: CellIndex,
        limit: u8,
        mut goes_on: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<u8> {
        let spared = self.row()?.accepts_reducing();
        let mut next = self.ledger.position(position)?.first_order;
        let mut cancelled = 0u8;
        while cancelled < limit && goes_on(self)? {
            let stays = |node: &&OrderNode| spared && (node.is_reduce_only() || node.is_waiting());
            while let Some(node) = self.market.node(next).filter(stays) {
                next = node.next;
            }
            let Some(node) = self.market.node(next) else {
                break;
            };
            let handle = core::mem::replace(&mut next, node.next);
            self.drop_for_risk(handle)?;
            cancelled = cancelled.wrapping_add(1);
        }
        if cancelled == 0 { Err(EngineError::NothingToClose) } else { Ok(cancelled) }
    }

    /// Closes as much of an account's position through the book as restores it, meeting at most `match_limit` orders.
    /// Its orders in this market are cancelled first. The fee is shared by the pool and `keeper`'s account, which gets
    /// nothing if it is of the same owner.
    ///
    /// Fails with `DeleverageRunning`, `MarketNotActive` (settled), `PriceNotValidForAction`, `AccountHealthy`,
    /// `NoEquity`, `NothingToClose`, `MatchLimitOutOfRange`, or `NoLiquidity` if no order can be reached at a price that
    /// helps.
    pub fn liquidate(&mut self, keeper: CellIndex, target: CellIndex, match_limit: u8) -> Result<Liquidated> {
        if match_limit == 0 {
            return Err(EngineError::MatchLimitOutOfRange);
        }
        let (position, rest) = self.failing(target)?;
        let bankrupt = self.ledger.trader(target)?.is_bankrupt();
        if rest.health.is_met() && !bankrupt {
            return Err(EngineError::AccountHealthy);
        }
        self.cancel_all_for_risk(position)?;
        let mut done = Liquidated::default();
        let mut pot = Balance::ZERO;
        let mut steps = match_limit;
        let mut progress = Progress { done: &mut done, pot: &mut pot, steps: &mut steps };
        while self.close_level(target, position, &rest, &mut progress)? {}
        if done.lots.is_zero() {
            return Err(EngineError::NoLiquidity);
        }
        done.tip = self.share_fee(keeper, target, &mut pot)?;
        self.record_liquidation(TradeEventKind::Liquidated, keeper, target, &done)?;
        shortfall::resolve(&mut self.ledger, self.now, target)?;
        Ok(done)
    }

    /// The position of a failing account with its funding settled, and the rest of the account.
    pub(super) fn failing(&mut self, target: CellIndex) -> Result<(CellIndex, Rest)> {
        self.require_moving()?;
        if !self.row()?.accepts_reducing() {
            return Err(EngineError::MarketNotActive);
        }
        let position = self.position_of(target)?;
        self.settle_funding(position)?;
        let health = shortfall::health(&self.ledger, target, Action::Liquidate, self.now)?;
        let (row, cell) = (self.row()?, self.ledger.position(position)?);
        if cell.base.is_zero() {
            return Err(EngineError::NothingToClose);
        }
        let cash = self.ledger.trader(target)?.cash.get();
        let unrealised = health.equity.checked_sub(cash)?.checked_sub(margin::unrealised(row, cell)?)?;
        let required = health.required.checked_sub(margin::position_maintenance(row, cell)?)?;
        Ok((position, Rest { unrealised, required, health }))
    }

    /// The target's position cell in this market. Fails with `NothingToClose`.
    pub(super) fn position_of(&self, target: CellIndex) -> Result<CellIndex> {
        let view = self.ledger.view();
        let market = self.market.header.index;
        let found = view.positions(view.trader(target)?).find(|(_, position)| position.market == market);
        found.map(|(cell, _)| cell).ok_or(EngineError::NothingToClose)
    }

    /// WHY: out of line, or every caller gets its own copy.
    #[inline(never)]
    fn drop_for_risk(&mut self, handle: NodeIndex) -> Result<()> {
        self.drop_order(handle, TradeEventKind::RiskCancelled, CellIndex::NIL)
    }

    /// Cancels all orders of a position.
    pub(super) fn cancel_all_for_risk(&mut self, position: CellIndex) -> Result<()> {
        let mut next = self.ledger.position(position)?.first_order;
        while let Some(node) = self.market.node(next) {
            let handle = core::mem::replace(&mut next, node.next);
            self.drop_for_risk(handle)?;
        }
        Ok(())
    }

    /// The exposure as it is now: what was closed so far has changed cash, size and requirement.
    pub(super) fn exposure(&self, target: CellIndex, position: CellIndex, rest: &Rest) -> Result<Exposure> {
        let (row, cell) = (self.row()?, self.ledger.position(position)?);
        let cash = self.ledger.trader(target)?.cash.get();
        let equity = cash.checked_add(rest.unrealised)?.checked_add(margin::unrealised(row, cell)?)?;
        Exposure::new(cell.base, equity, margin::position_maintenance(row, cell)?, rest.required)
    }

    /// Takes what is needed from the best price level. Returns whether there may be more to do.
    fn close_level(
        &mut self,
        target: CellIndex,
        position: CellIndex,
        rest: &Rest,
        progress: &mut Progress<'_>,
    ) -> Result<bool> {
        let base = self.ledger.position(position)?.base;
        let (side, mark) = (if base.get() > 0 { Side::Ask } else { Side::Bid }, self.row()?.mark);
        if self.meets_stale(side, mark) {
            *progress.steps = self.drop_unbearable(target, side, mark, *progress.steps)?;
        }
        if base.is_zero() || *progress.steps == 0 {
            return Ok(false);
        }
        let exposure = match self.exposure(target, position, rest) {
            Ok(exposure) => exposure,
            // Rounding of the last fill took the rest of the equity.
            Err(EngineError::NoEquity) if !progress.done.lots.is_zero() => return Ok(false),
            Err(error) => return Err(error),
        };
        let row = self.row()?;
        let rates = Rates { taker: row.taker_fee, liquidation: row.risk.liquidation_fee };
        let Some(price) = self.level_within(&exposure, &rates)? else {
            return Ok(false);
        };
        let terms = Terms { row, rates, price };
        let wind_up = self.ledger.trader(target)?.is_bankrupt();
        let needed = if wind_up {
            Needed::Exactly(base.magnitude())
        } else {
            exposure.needed(&terms, self.lots_at(price, side)?)?
        };
        let (Needed::Exactly(lots) | Needed::AtLeast(lots)) = needed;
        if lots.is_zero() {
            return Ok(false);
        }
        let order = closing_order(side, price, lots, *progress.steps);
        let owner = self.ledger.trader(target)?.owner;
        let identity = TakerIdentity { trader: target, position, owner };
        let mut taker = Taker::new(identity, row, &order, lots, base.magnitude());
        self.match_taker(&mut taker)?;
        self.settle_taker(&mut taker)?;
        *progress.steps = taker.steps_left;
        let filled = taker.filled();
        if !filled.is_zero() {
            let cost = exposure.cost(&Terms { row: self.row()?, rates, price }, filled)?;
            // WHY: the taker fee of each fill is rounded up on its own. What that is more the account may not have.
            let rounding = taker.fee.checked_sub(cost.taker_fee)?;
            let fee = QuoteAtoms::new(cost.liquidation_fee.get().saturating_sub(rounding.get()));
            let cash = &mut self.ledger.trader_mut(target)?.cash;
            money::post(cash, progress.pot, fee)?;
            progress.done.lots = progress.done.lots.checked_add(filled)?;
            progress.done.quote = progress.done.quote.checked_add(taker.quote())?;
            progress.done.fee = progress.done.fee.checked_add(fee)?;
        }
        // WHY: what it needs at least may be just what the level had.
        Ok(filled < lots || matches!(needed, Needed::AtLeast(_)))
    }

    /// Lots that rest at the best price of the side opposite to `side`. Taking fewer than a level has needs the exact size,
    /// taking all of it does not.
    fn lots_at(&self, price: Ticks, side: Side) -> Result<Lots> {
        let view = self.market.view();
        if !view.header.is_plain(side.opposite()) {
            // WHY: not taking more than a level has is only quicker. With more than the book there may be offers of several
            // kinds at one price, and what is taken of it in two parts pays fees that are rounded twice.
            return Ok(Lots::MAX);
        }
        let level =
            view.entries(side.opposite()).iter().rev().take_while(|entry| entry.price(side.opposite()) == price);
        let lots =
            level.filter_map(|entry| view.node(entry.node)).fold(0u64, |sum, node| sum.saturating_add(node.lots.get()));
        Ok(Lots::new(lots))
    }

    /// Price of the best order on the other side if a liquidation may take it: within the band, and not beyond what the
    /// position's share of equity pays for.
    fn level_within(&self, exposure: &Exposure, rates: &Rates) -> Result<Option<Ticks>> {
        let side = exposure.closing_side();
        let row = self.row()?;
        let Some(Offer { price, .. }) = self.best_fit(side.opposite())? else {
            return Ok(None);
        };
        let Some(limit) = exposure.price_limit(row, rates.taker)? else {
            return Ok(None);
        };
        let affordable = match side {
            Side::Ask => price >= limit,
            Side::Bid => price <= limit,
        };
        let in_band = super::place::check_band(row, side, price).is_ok();
        Ok(if affordable && in_band { Some(price) } else { None })
    }

    /// Gives the keeper its part of the fee and the pool the rest. ROUND: the keeper's half down.
    pub(super) fn share_fee(&mut self, keeper: CellIndex, target: CellIndex, pot: &mut Balance) -> Result<QuoteAtoms> {
        let tip_max = self.row()?.risk.liquidation_tip_max.get();
        let fee = pot.get().positive_part();
        let strangers = self.ledger.trader(keeper)?.owner != self.ledger.trader(target)?.owner;
        let tip = QuoteAtoms::new(if strangers { (fee.get() / 2).min(tip_max) } else { 0 });
        money::post(pot, &mut ledger::trader_mut(self.ledger.cells, keeper)?.cash, tip)?;
        money::post(pot, &mut self.ledger.header.pool, fee.checked_sub(tip)?)?;
        if pot.is_zero() { Ok(tip) } else { Err(EngineError::Corrupt) }
    }

    pub(super) fn record_liquidation(
        &mut self,
        kind: TradeEventKind,
        keeper: CellIndex,
        target: CellIndex,
        done: &Liquidated,
    ) -> Result<()> {
        let row = self.row()?;
        let base = done.lots.get().wrapping_mul(u64::from(row.tick_value.get()));
        // For the record only: the average price, in whole ticks.
        let average = done.quote.get().checked_div(base).unwrap_or(0);
        let mut event = TradeEvent::new(kind, Side::Bid);
        event.maker = keeper;
        event.taker = target;
        event.lots = done.lots;
        event.price = Ticks::new(u32::try_from(average).unwrap_or(u32::MAX));
        event.client_id = done.quote.get();
        event.taker_fee = done.fee.as_delta()?;
        event.maker_fee = done.tip.as_delta()?.negated()?;
        self.market.record(self.now, event)
    }
}

/// What a liquidation has done so far, and what it may still do.
struct Progress<'a> {
    done: &'a mut Liquidated,
    /// Liquidation fees on their way to keeper and pool.
    pot: &'a mut Balance,
    /// Orders it may still meet.
    steps: &'a mut u8,
}

fn closing_order(side: Side, price: Ticks, lots: Lots, match_limit: u8) -> NewOrder {
    NewOrder {
        side,
        kind: OrderKind::ImmediateOrCancel,
        price,
        lots,
        client_id: 0,
        expires_at: UnixSeconds::ZERO,
        self_trade: SelfTrade::CancelMaker,
        reduce_only: true,
        match_limit,
        peg_offset: 0,
    }
}
