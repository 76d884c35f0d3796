//! The rungs of the ladder in the model: cancelling for risk, closing through the book, taking over, absorbing, looking
//! for failing accounts.

use super::{
    Model, NOBODY, Order, PPM, ceil_div, floor_div,
    matching::{Taker, closable},
    price::Quality,
    risk::Health,
};
use quantdesk_engine::{
    EngineError, Lots, Result, Side, Ticks, UnixSeconds,
    book::{NewOrder, OrderKind, SelfTrade},
    risk::price::Action,
    state::{CashEventKind, TradeEventKind},
};

/// Places on the watch list.
pub const WATCH_PLACES: usize = 8;
/// Sizes up to this are found by trying them all.
const TRIED: i128 = 4_096;

/// What a liquidation or a take-over did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    pub lots: i128,
    pub quote: i128,
    pub fee: i128,
    pub tip: i128,
}

/// A failing account on the watch list: its cell, its incarnation, its equity as a share of the requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    pub trader: u32,
    pub generation: u32,
    pub health: u32,
}

/// A position about to be closed, and what stands behind it.
struct Exposure {
    base: i128,
    equity: i128,
    others: i128,
    share: i128,
}

/// Rates charged by the book and for the liquidation.
#[derive(Clone, Copy)]
struct Rates {
    taker: i128,
    liquidation: i128,
}

fn is_above(health: &Health) -> bool {
    health.equity >= health.required
}

impl Model {
    fn sized(&self, market: usize) -> bool {
        matches!(self.markets[market].status, 1 | 2)
    }

    pub fn bankrupts(&self) -> usize {
        self.live().filter(|(_, trader)| trader.bankrupt).count()
    }

    pub fn cancel_for_risk(&mut self, target: usize, market: usize, limit: u8) -> Result<u8> {
        self.attempt(|model| {
            model.trader(target).positions[market].ok_or(EngineError::NothingToClose)?;
            let settled = model.markets[market].status == 3;
            if !settled {
                model.narrow_bounds(target, market);
                let before = model.initial(target);
                if !before.worst.allows(Action::Liquidate) {
                    return Err(EngineError::PriceNotValidForAction);
                }
                if before.excess() >= 0 {
                    return Err(EngineError::AccountHealthy);
                }
            }
            let mut cancelled = 0;
            while cancelled < limit {
                if !settled {
                    model.narrow_bounds(target, market);
                    if model.initial(target).excess() >= 0 {
                        break;
                    }
                }
                let orders = model.newest_first(target, market);
                let spared = model.sized(market);
                let stays = |order: &Order| order.reduce_only || model.markets[market].waits(order.sequence);
                let Some(order) = orders.iter().find(|order| !(spared && stays(order))) else { break };
                model.drop_order(market, order, TradeEventKind::RiskCancelled, NOBODY);
                cancelled += 1;
            }
            if cancelled == 0 { Err(EngineError::NothingToClose) } else { Ok(cancelled) }
        })
    }

    /// What stands in front of closing anything of an account.
    fn failing(&mut self, target: usize, market: usize) -> Result<Health> {
        if self.markets[market].deleverage.is_some() {
            return Err(EngineError::DeleverageRunning);
        }
        if !self.sized(market) {
            return Err(EngineError::MarketNotActive);
        }
        self.trader(target).positions[market].ok_or(EngineError::NothingToClose)?;
        self.settle_funding(target, market);
        let health = self.health(target);
        if !health.worst.allows(Action::Liquidate) {
            return Err(EngineError::PriceNotValidForAction);
        }
        if self.position(target, market).base == 0 { Err(EngineError::NothingToClose) } else { Ok(health) }
    }

    pub(super) fn cancel_all_for_risk(&mut self, target: usize, market: usize) {
        for order in self.newest_first(target, market) {
            self.drop_order(market, &order, TradeEventKind::RiskCancelled, NOBODY);
        }
    }

    fn exposure(&self, target: usize, market: usize) -> Result<Exposure> {
        let Health { equity, required, .. } = self.health(target);
        if equity <= 0 {
            return Err(EngineError::NoEquity);
        }
        let base = self.position(target, market).base;
        let own = self.markets[market].maintenance(base.abs());
        // Equity beyond the requirement backs nothing.
        let share = floor_div(equity.min(required) * own, required);
        Ok(Exposure { base, equity, others: required - own, share })
    }

    /// Worst price at which the position may be closed: at most the discount from the mark, and no further than where
    /// closing it all, with this fee, costs the share.
    fn price_limit(&self, market: usize, exposure: &Exposure, fee: i128) -> Option<i128> {
        let row = &self.markets[market];
        let per_tick = row.value(1, exposure.base.abs());
        let value = row.value(row.mark, exposure.base.abs());
        let discount = floor_div(row.mark * row.terms.takeover_discount, PPM);
        // Rounded towards the mark twice: to a tick, and to a tick again with the fee.
        let limit = if exposure.base > 0 {
            let bare = ceil_div((value - exposure.share).max(0), per_tick);
            ceil_div(bare * PPM, PPM - fee).max(row.mark - discount).max(1)
        } else {
            let bare = floor_div(value + exposure.share, per_tick);
            floor_div(bare * PPM, PPM + fee).min(row.mark + discount).min(row.terms.price_max)
        };
        let paid = exposure.base.signum() * (value - limit * per_tick) + ceil_div(limit * per_tick * fee, PPM);
        assert!(paid <= exposure.share + 1, "closing at the limit costs {paid} of {}", exposure.share);
        (limit <= u32::MAX.into()).then_some(limit)
    }

    /// Gain against the mark, taker fee, liquidation fee of closing so many lots at this price.
    fn cost(&self, market: usize, exposure: &Exposure, rates: Rates, price: i128, lots: i128) -> (i128, i128, i128) {
        let row = &self.markets[market];
        let gain = exposure.base.signum() * row.value(price - row.mark, lots);
        let value = row.value(price, lots);
        let taker = ceil_div(value * rates.taker, PPM);
        let left = floor_div(exposure.share * lots, exposure.base.abs()) + gain - taker;
        (gain, taker, ceil_div(value * rates.liquidation, PPM).min(left.max(0)))
    }

    /// Whether closing so many lots restores maintenance margin and its buffer.
    fn restores(&self, market: usize, exposure: &Exposure, rates: Rates, price: i128, lots: i128) -> bool {
        let row = &self.markets[market];
        let (gain, taker, liquidation) = self.cost(market, exposure, rates, price, lots);
        let kept = exposure.others + row.maintenance(exposure.base.abs() - lots);
        exposure.equity + gain - taker - liquidation >= ceil_div(kept * (PPM + row.terms.buffer), PPM)
    }

    /// Fewest lots that restore the account; all if none do, or if less than the smallest order would be left.
    fn needed(&self, market: usize, exposure: &Exposure, rates: Rates, price: i128) -> i128 {
        let all = exposure.base.abs();
        let enough = |lots| self.restores(market, exposure, rates, price, lots);
        let lots =
            if all <= TRIED { (0..=all).find(|lots| enough(*lots)) } else { self.first_of_many(market, all, enough) };
        let lots = lots.unwrap_or(all);
        if all - lots < self.markets[market].terms.lots_min { all } else { lots }
    }

    /// Between two boundaries of tiers what is missing changes in a straight line: it is enough from some size on, or
    /// nowhere.
    fn first_of_many(&self, market: usize, all: i128, enough: impl Fn(i128) -> bool) -> Option<i128> {
        let row = &self.markets[market];
        let lot = row.value(row.mark, 1);
        let ends = row.terms.tiers.iter().rev().map(|(notional, _)| (all - notional / lot).clamp(0, all));
        let mut start = 0;
        for end in ends.chain([all]) {
            if enough(start) {
                return Some(start);
            }
            if enough(end) {
                let (mut short, mut ample) = (start, end);
                while ample - short > 1 {
                    let lots = (short + ample) / 2;
                    if enough(lots) { ample = lots } else { short = lots }
                }
                return Some(ample);
            }
            start = end;
        }
        None
    }

    pub fn liquidate(&mut self, keeper: Option<usize>, target: usize, market: usize, steps: u8) -> Result<Closed> {
        self.attempt(|model| {
            if steps == 0 {
                return Err(EngineError::MatchLimitOutOfRange);
            }
            let health = model.failing(target, market)?;
            if is_above(&health) && !model.trader(target).bankrupt {
                return Err(EngineError::AccountHealthy);
            }
            model.cancel_all_for_risk(target, market);
            let mut done = Closed::default();
            let mut steps = steps;
            while model.close_level(target, market, &mut steps, &mut done)? {}
            if done.lots == 0 {
                return Err(EngineError::NoLiquidity);
            }
            let keeper = keeper.ok_or(EngineError::TraderNotFound)?;
            let strangers = model.trader(keeper).owner != model.trader(target).owner;
            done.tip = if strangers { (done.fee / 2).min(model.markets[market].terms.tip_max) } else { 0 };
            model.trader_mut(keeper).cash += done.tip;
            model.pool += done.fee - done.tip;
            model.log_closed(TradeEventKind::Liquidated, market, keeper, target, &done);
            model.resolve(target);
            Ok(done)
        })
    }

    /// Takes what is needed from the best level; whether there may be more to do.
    fn close_level(&mut self, target: usize, market: usize, steps: &mut u8, done: &mut Closed) -> Result<bool> {
        let base = self.position(target, market).base;
        let side = if base > 0 { Side::Ask } else { Side::Bid };
        *steps = self.drop_unbearable(target, market, side, self.markets[market].mark, *steps);
        if base == 0 || *steps == 0 {
            return Ok(false);
        }
        let exposure = match self.exposure(target, market) {
            Err(EngineError::NoEquity) if done.lots > 0 => return Ok(false),
            exposure => exposure?,
        };
        let row = &self.markets[market];
        let rates = Rates { taker: row.terms.taker_fee, liquidation: row.terms.liquidation_fee };
        let best = row.best_for_sale(side.opposite(), self.now);
        let Some(price) = best.map(|best| best.price) else { return Ok(false) };
        let Some(limit) = self.price_limit(market, &exposure, rates.taker) else { return Ok(false) };
        let worse = base.signum() * (row.mark - price);
        let in_band = worse <= floor_div(row.mark * row.terms.band, PPM);
        let affordable = base.signum() * (price - limit) >= 0;
        if !in_band || !affordable {
            return Ok(false);
        }
        let needed = self.needed(market, &exposure, rates, price);
        let lots = if self.trader(target).bankrupt { base.abs() } else { needed };
        if lots == 0 {
            return Ok(false);
        }
        let mut taker = Taker::new(target, market, lots, *steps, self.full_rates(market));
        self.match_taker(&mut taker, &closing(side, price, lots))?;
        self.settle_taker(&taker, side);
        *steps = taker.steps;
        let filled = taker.filled();
        if filled > 0 {
            let (_, expected, fee) = self.cost(market, &exposure, rates, price, filled);
            // What fees of several fills are more, by rounding, the liquidation fee is less.
            let fee = (fee - (taker.fee - expected)).max(0);
            self.trader_mut(target).cash -= fee;
            done.lots += filled;
            done.quote += taker.quote();
            done.fee += fee;
        }
        Ok(filled < lots)
    }

    pub fn take_over(&mut self, by: Option<usize>, target: usize, market: usize, most: u64) -> Result<Closed> {
        self.attempt(|model| {
            let health = model.failing(target, market)?;
            let exposure = model.exposure(target, market)?;
            // Below two thirds of the requirement.
            if health.equity * 3 >= health.required * 2 {
                return Err(EngineError::AccountHealthy);
            }
            let by = by.ok_or(EngineError::TraderNotFound)?;
            if model.trader(by).owner == model.trader(target).owner {
                return Err(EngineError::SelfTakeOver);
            }
            if model.trader(by).bankrupt {
                return Err(EngineError::AccountBankrupt);
            }
            model.cancel_all_for_risk(target, market);
            let rates = Rates { taker: 0, liquidation: model.markets[market].terms.liquidation_fee };
            let price = model.price_limit(market, &exposure, 0).ok_or(EngineError::NoLiquidity)?;
            let lots = model.needed(market, &exposure, rates, price).min(most.into());
            if lots == 0 {
                return Err(EngineError::NothingToClose);
            }
            let (_, _, fee) = model.cost(market, &exposure, rates, price, lots);
            let quote = model.markets[market].value(price, lots);
            model.hand_over(target, by, market, price, lots)?;
            model.trader_mut(target).cash -= fee;
            model.pool += fee;
            let done = Closed { lots, quote, fee, tip: 0 };
            model.log_closed(TradeEventKind::TakenOver, market, by, target, &done);
            model.resolve(target);
            let after = model.initial(by);
            match () {
                () if after.worst != Quality::Fresh => Err(EngineError::PriceNotValidForAction),
                () if after.excess() < 0 => Err(EngineError::BelowInitialMargin),
                () => Ok(done),
            }
        })
    }

    /// Lots change hands at a price, without a fee.
    fn hand_over(&mut self, target: usize, by: usize, market: usize, price: i128, lots: i128) -> Result<()> {
        self.enter(by, market)?;
        self.settle_funding(by, market);
        self.narrow_bounds(by, market);
        let (worst, interest) = (self.worst_lots(by, market), self.open_interest(market));
        let side = if self.position(target, market).base > 0 { Side::Ask } else { Side::Bid };
        for (trader, side) in [(target, side), (by, side.opposite())] {
            let closing = lots.min(closable(self.position(trader, market).base, side));
            let part = |lots| (lots, self.markets[market].value(price, lots));
            let parts = (part(closing), part(lots - closing));
            self.settle(trader, market, side, parts.0, parts.1);
        }
        self.check_limits(by, market, worst, interest)
    }

    fn log_closed(&mut self, kind: TradeEventKind, market: usize, by: usize, target: usize, done: &Closed) {
        let (maker, taker) = (self.trader(by).cell, self.trader(target).cell);
        let average = floor_div(done.quote, self.markets[market].value(1, done.lots));
        self.log(market, kind, Side::Bid, |event| {
            (event.maker, event.taker) = (maker, taker);
            (event.lots, event.price, event.client_id) = (done.lots, average, done.quote as u64);
            (event.taker_fee, event.maker_fee) = (done.fee, -done.tip);
        });
    }

    pub fn absorb_shortfall(&mut self, target: usize, market: usize) -> Result<()> {
        self.attempt(|model| {
            model.return_tips(target);
            let health = model.health(target);
            if !health.worst.allows(Action::Deleverage) {
                return Err(EngineError::PriceNotValidForAction);
            }
            let was_bankrupt = model.trader(target).bankrupt;
            if health.equity >= 0 && !was_bankrupt {
                return Err(EngineError::AccountHealthy);
            }
            model.trader(target).positions[market].ok_or(EngineError::MarketNotFound)?;
            model.mark_bankrupt(target, health.equity);
            let paid = model.absorb(target, market, (-health.equity).max(0));
            model.resolve(target);
            let nothing = was_bankrupt && paid == 0 && model.trader(target).bankrupt;
            if nothing { Err(EngineError::NothingToAbsorb) } else { Ok(()) }
        })
    }

    pub(super) fn mark_bankrupt(&mut self, target: usize, equity: i128) {
        if !self.trader(target).bankrupt {
            self.trader_mut(target).bankrupt = true;
            self.note(CashEventKind::Bankrupt, target, equity);
        }
    }

    /// A bankrupt account without size gives back what it was given, as far as it can; if it owes nothing then, it is
    /// an account like any other.
    pub(super) fn resolve(&mut self, target: usize) {
        let account = self.trader(target).clone();
        if !account.bankrupt || account.positions.iter().flatten().any(|held| held.base != 0) {
            return;
        }
        let repaid = account.cash.clamp(0, account.absorbed);
        if repaid > 0 {
            self.pool += repaid;
            self.trader_mut(target).cash -= repaid;
            self.trader_mut(target).absorbed -= repaid;
            self.note(CashEventKind::ShortfallRepaid, target, repaid);
        }
        if account.cash >= 0 {
            let account = self.trader_mut(target);
            let lost = std::mem::take(&mut account.absorbed);
            account.bankrupt = false;
            self.note(CashEventKind::Resolved, target, lost);
        }
    }

    /// The account in a cell, if it is below maintenance margin at prices that say so.
    fn watched(&self, cell: u32) -> Option<Watched> {
        let (id, trader) = self.live().find(|(_, trader)| trader.cell == cell)?;
        let health = self.health(id);
        let broke = health.equity < 0 || (health.equity == 0 && health.required > 0);
        if health.worst > Quality::SoftStale || (is_above(&health) && !trader.bankrupt && !broke) {
            return None;
        }
        let share = floor_div(health.equity.max(0) * PPM, health.required.max(1));
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        Some(Watched { trader: cell, generation: trader.generation, health: share })
    }

    /// Whom a sweep may list: everybody it finds failing among those on the list and those in the next cells. Moves the
    /// cursor past these.
    pub fn sweep(&mut self, cells: u16) -> Vec<Watched> {
        self.note_nothing();
        let again = |entry: &Watched| self.watched(entry.trader).filter(|now| now.generation == entry.generation);
        let mut found: Vec<Watched> = self.watch.iter().filter_map(again).collect();
        for _ in 0..u32::from(cells).min(self.high_water) {
            let cell = if self.sweep_cursor < self.high_water { self.sweep_cursor } else { 0 };
            self.sweep_cursor = cell + 1;
            found.extend(self.watched(cell).filter(|entry| !found.contains(entry)));
        }
        found.sort_by_key(|entry| entry.health);
        found
    }
}

fn closing(side: Side, price: i128, lots: i128) -> NewOrder {
    NewOrder {
        side,
        kind: OrderKind::ImmediateOrCancel,
        price: Ticks::new(price as u32),
        lots: Lots::new(lots as u64),
        client_id: 0,
        expires_at: UnixSeconds::ZERO,
        self_trade: SelfTrade::CancelMaker,
        reduce_only: true,
        match_limit: 1,
        peg_offset: 0,
    }
}
