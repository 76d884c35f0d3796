//! Conditional orders in the model. A market keeps them in the order in which they were placed; a trigger is named by its
//! number, and `None` is a name that no trigger has.

use super::{Event, Model, NOBODY, Order, PPM, Position, floor_div, matching::closable, price::Quality};
use quantdesk_engine::{
    EngineError, Lots, Result, Side, Ticks, UnixSeconds,
    book::{NewOrder, NewTrigger, OrderKind, SelfTrade},
    state::{CashEventKind, Condition, Reference, TradeEventKind},
};

/// Triggers of one trader in one market.
const TRIGGERS_MAX: usize = 16;

/// A conditional order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Its place in the arena.
    pub cell: u32,
    pub number: u64,
    pub trader: usize,
    pub condition: Condition,
    pub reference: Reference,
    pub side: Side,
    pub reduce_only: bool,
    /// Trigger price, or the extreme of a trailing one.
    pub price: i128,
    pub distance: i128,
    pub limit: i128,
    pub slippage: i128,
    pub lots: i128,
    pub share: i128,
    pub tip: i128,
    pub client_id: u64,
    pub parent: u64,
    pub group: u32,
    pub expires_at: i64,
    pub interval: i64,
    pub slices: i128,
    pub next_at: i64,
    pub turns: u32,
}

/// What may be given together.
fn is_consistent(new: &NewTrigger) -> bool {
    let given = |value: u32| value > 0;
    let (price, distance) = (given(new.price.get()), given(new.distance.get()));
    let timed = given(new.interval) || new.slices > 0;
    let well_timed = (2..=1_000).contains(&new.slices) && (1..=86_400).contains(&new.interval);
    let condition = match new.condition {
        Condition::Above | Condition::Below => price && !distance && !timed,
        Condition::Trailing => distance && !price && !timed,
        Condition::Twap => well_timed && !price && !distance && new.parent == 0 && !given(new.limit.get()),
    };
    let (lots, share) = (new.lots.get() > 0, given(new.share.get()));
    let size = match (lots, share, new.parent != 0) {
        (true, false, false) => true,
        (false, true, false) | (false, false, true) => new.reduce_only,
        _ => false,
    };
    let rates = new.share.get() <= 1_000_000 && new.slippage.get() <= 1_000_000;
    condition && size && rates && !(given(new.limit.get()) && given(new.slippage.get()))
}

impl Trigger {
    fn is_dormant(&self) -> bool {
        self.parent != 0 && self.lots == 0
    }

    fn is_orphan(&self, held: &Position) -> bool {
        self.reduce_only && !self.is_dormant() && self.turns != held.turns
    }

    fn waits_for(&self, trader: usize, client_id: u64, side: Side) -> bool {
        self.trader == trader && self.parent == client_id && client_id != 0 && self.side != side
    }

    /// Lots wanted now.
    fn wanted(&self, held: &Position) -> i128 {
        let most = closable(held.base, self.side);
        match () {
            () if !self.reduce_only => self.lots,
            () if self.share > 0 => floor_div(most * self.share, PPM).max(1).min(most),
            () => self.lots.min(most),
        }
    }
}

impl Model {
    fn position_of_trigger(&self, market: usize, number: u64) -> Option<usize> {
        self.markets[market].triggers.iter().position(|trigger| trigger.number == number)
    }

    fn trigger(&self, market: usize, number: u64) -> Option<Trigger> {
        self.position_of_trigger(market, number).map(|place| self.markets[market].triggers[place].clone())
    }

    fn trigger_mut(&mut self, market: usize, number: u64) -> &mut Trigger {
        let place = self.position_of_trigger(market, number).expect("a live trigger");
        &mut self.markets[market].triggers[place]
    }

    /// A trader's triggers in a market, newest first.
    pub fn triggers_of(&self, trader: usize, market: usize) -> Vec<Trigger> {
        self.markets[market].triggers.iter().rev().filter(|trigger| trigger.trader == trader).cloned().collect()
    }

    /// Returns the number.
    pub fn place_trigger(&mut self, trader: usize, market: usize, new: &NewTrigger) -> Result<u64> {
        self.attempt(|model| {
            model.check_trigger(trader, market, new)?;
            model.enter(trader, market)?;
            let held = model.position(trader, market);
            if new.reduce_only && new.parent == 0 && closable(held.base, new.side) == 0 {
                return Err(EngineError::ReduceOnlyNothingToReduce);
            }
            let others = model.triggers_of(trader, market);
            if new.client_id != 0 && others.iter().any(|other| other.client_id == new.client_id) {
                return Err(EngineError::ClientIdInUse);
            }
            if others.len() >= TRIGGERS_MAX {
                return Err(EngineError::TriggersTooMany);
            }
            let cell = model.take_cell()?;
            model.markets[market].orders_placed += 1;
            let extreme = model.reference(market, new.reference).unwrap_or(0);
            let trigger = Trigger {
                cell,
                number: model.markets[market].orders_placed,
                trader,
                condition: new.condition,
                reference: new.reference,
                side: new.side,
                reduce_only: new.reduce_only,
                price: if new.condition == Condition::Trailing { extreme } else { new.price.get().into() },
                distance: new.distance.get().into(),
                limit: new.limit.get().into(),
                slippage: new.slippage.get().into(),
                lots: new.lots.get().into(),
                share: new.share.get().into(),
                tip: new.tip.get().into(),
                client_id: new.client_id,
                parent: new.parent,
                group: new.group,
                expires_at: new.expires_at.get(),
                interval: new.interval.into(),
                slices: new.slices.into(),
                next_at: if new.condition == Condition::Twap { model.now } else { 0 },
                turns: held.turns,
            };
            model.pay_in(trader, -trigger.tip);
            model.log_trigger(market, TradeEventKind::TriggerPlaced, &trigger, NOBODY, trigger.tip);
            model.markets[market].triggers.push(trigger);
            Ok(model.markets[market].orders_placed)
        })
    }

    fn check_trigger(&self, trader: usize, market: usize, new: &NewTrigger) -> Result<()> {
        let (terms, status) = (&self.markets[market].terms, self.markets[market].status);
        let beyond = |price: Ticks| i128::from(price.get()) > terms.price_max;
        let (lots, slices) = (i128::from(new.lots.get()), i128::from(new.slices).max(1));
        let least = if new.reduce_only { 1 } else { terms.lots_min };
        let unsized_ = lots > 0
            && (floor_div(lots, slices) < least || lots / slices > terms.lots_max || lots > terms.position_max);
        let accepted = status == 1 || (status == 2 && new.reduce_only);
        match () {
            () if !is_consistent(new) => Err(EngineError::TriggerInvalid),
            () if [new.price, new.distance, new.limit].into_iter().any(beyond) => {
                Err(EngineError::OrderPriceOutOfRange)
            }
            () if unsized_ => Err(EngineError::OrderLotsOutOfRange),
            () if self.forbids_order(new.reduce_only) => Err(EngineError::ModeForbids),
            () if !accepted => Err(EngineError::MarketNotActive),
            () if new.expires_at.get() != 0 && new.expires_at.get() <= self.now => Err(EngineError::OrderExpired),
            () if self.trader(trader).bankrupt => Err(EngineError::AccountBankrupt),
            () if i128::from(new.tip.get()) > terms.tip_max => Err(EngineError::TriggerTipTooLarge),
            () if new.tip.get() > 0 => self.require_free(trader, new.tip.get()),
            () => Ok(()),
        }
    }

    pub fn cancel_trigger(&mut self, trader: usize, market: usize, number: Option<u64>) -> Result<()> {
        self.attempt(|model| {
            let found = number.and_then(|number| model.trigger(market, number));
            let found = found.filter(|trigger| trigger.trader == trader).ok_or(EngineError::TriggerNotFound)?;
            model.remove_trigger(market, found.number, NOBODY);
            Ok(())
        })
    }

    pub fn cancel_trigger_by_client_id(&mut self, trader: usize, market: usize, client_id: u64) -> Result<()> {
        self.attempt(|model| {
            let own = model.triggers_of(trader, market);
            let found = own.iter().find(|trigger| client_id > 0 && trigger.client_id == client_id);
            let number = found.ok_or(EngineError::TriggerNotFound)?.number;
            model.remove_trigger(market, number, NOBODY);
            Ok(())
        })
    }

    pub(super) fn remove_trigger(&mut self, market: usize, number: u64, by: u32) {
        let place = self.position_of_trigger(market, number).expect("a live trigger");
        let trigger = self.markets[market].triggers.remove(place);
        self.pay_in(trigger.trader, trigger.tip);
        self.released.push(trigger.cell);
        self.log_trigger(market, TradeEventKind::TriggerRemoved, &trigger, by, trigger.tip);
    }

    fn log_trigger(&mut self, market: usize, kind: TradeEventKind, trigger: &Trigger, by: u32, tip: i128) {
        let maker = self.trader(trigger.trader).cell;
        self.log(market, kind, trigger.side, |event: &mut Event| {
            (event.order, event.client_id) = (trigger.number, trigger.client_id);
            (event.lots, event.price) = (trigger.lots, trigger.price);
            (event.maker, event.taker) = (maker, by);
            event.taker_fee = tip;
        });
    }

    /// Tips of an account without equity belong to those who pay for it.
    pub(super) fn return_tips(&mut self, trader: usize) {
        let own = self.markets.iter_mut().flat_map(|market| &mut market.triggers);
        let tips: i128 =
            own.filter(|trigger| trigger.trader == trader).map(|trigger| std::mem::take(&mut trigger.tip)).sum();
        if tips > 0 {
            self.pay_in(trader, tips);
            self.note(CashEventKind::TipsReturned, trader, tips);
        }
    }

    /// What a new order means for those that wait for it.
    pub(super) fn note_parent(&mut self, trader: usize, market: usize, order: &NewOrder, filled: i128, rests: bool) {
        self.arm_children(trader, market, (order.client_id, order.side), filled);
        if !rests {
            self.release_children(trader, market, order.client_id, order.side);
        }
    }

    /// Triggers that wait for an order want more by what it filled.
    pub(super) fn arm_children(&mut self, trader: usize, market: usize, order: (u64, Side), lots: i128) {
        let held = self.position(trader, market);
        for trigger in &mut self.markets[market].triggers {
            if lots == 0 || !trigger.waits_for(trader, order.0, order.1) {
                continue;
            }
            if trigger.is_dormant() || trigger.is_orphan(&held) {
                // What was wanted of another position is forgotten.
                (trigger.lots, trigger.turns) = (0, held.turns);
                if trigger.condition == Condition::Trailing {
                    trigger.price = 0;
                }
            }
            trigger.lots += lots;
        }
    }

    /// Their order is gone: they have what they have, or go, too.
    pub(super) fn release_children(&mut self, trader: usize, market: usize, client_id: u64, side: Side) {
        for child in self.triggers_of(trader, market) {
            if child.waits_for(trader, client_id, side) {
                if child.lots == 0 {
                    self.remove_trigger(market, child.number, NOBODY);
                } else {
                    self.trigger_mut(market, child.number).parent = 0;
                }
            }
        }
    }

    /// The price that a trigger looks at, if it counts.
    fn reference(&self, market: usize, reference: Reference) -> Option<i128> {
        let row = &self.markets[market];
        let away = (row.last_trade_price - row.mark).abs();
        let young = self.now - row.last_trade_time <= row.terms.fresh_seconds;
        let counts = young && row.last_trade_price > 0 && away <= floor_div(row.mark * row.terms.band, PPM);
        if self.quality(market) != Quality::Fresh {
            return None;
        }
        match reference {
            Reference::Mark => Some(row.mark),
            Reference::Index => Some(row.index),
            Reference::Last => counts.then_some(row.last_trade_price),
        }
    }

    pub fn execute_triggers(&mut self, keeper: usize, market: usize, named: &[Option<u64>]) -> Result<u8> {
        self.attempt(|model| {
            if !model.run_ahead(market) {
                return Err(EngineError::NoTriggerDue);
            }
            let mut worked = 0;
            for number in named {
                let Some(trigger) = number.and_then(|number| model.trigger(market, number)) else { continue };
                worked += u8::from(model.execute_trigger(keeper, market, &trigger)?);
            }
            if worked == 0 { Err(EngineError::NoTriggerDue) } else { Ok(worked) }
        })
    }

    fn execute_trigger(&mut self, keeper: usize, market: usize, trigger: &Trigger) -> Result<bool> {
        let by = self.trader(keeper).cell;
        let held = self.position(trigger.trader, market);
        let expired = trigger.expires_at != 0 && self.now > trigger.expires_at;
        let ended = !matches!(self.markets[market].status, 1 | 2);
        let gone = trigger.is_orphan(&held) && trigger.parent == 0;
        if expired || ended || gone || self.trader(trigger.trader).bankrupt {
            self.remove_trigger(market, trigger.number, by);
            return Ok(true);
        }
        let Some(price) = self.reference(market, trigger.reference) else { return Ok(false) };
        if trigger.is_dormant() || trigger.is_orphan(&held) {
            return Ok(false);
        }
        let sells = trigger.side == Side::Ask;
        let due = match trigger.condition {
            Condition::Above => price >= trigger.price,
            Condition::Below => price <= trigger.price,
            Condition::Twap => self.now >= trigger.next_at,
            Condition::Trailing => {
                let better = if sells { price > trigger.price } else { price < trigger.price };
                if better || trigger.price == 0 {
                    self.trigger_mut(market, trigger.number).price = price;
                    let moved = Trigger { price, ..trigger.clone() };
                    self.log_trigger(market, TradeEventKind::TriggerMoved, &moved, by, 0);
                    return Ok(true);
                }
                (trigger.price - price).abs() >= trigger.distance
            }
        };
        match self.order_of(market, trigger, price).filter(|_| due) {
            Some(order) => self.fire(keeper, market, trigger, &order, price),
            None => Ok(false),
        }
    }

    /// The order of a trigger at this reference price, unless there is nothing for it to do.
    fn order_of(&self, market: usize, trigger: &Trigger, reference: i128) -> Option<NewOrder> {
        let row = &self.markets[market];
        let reach = floor_div(row.mark * row.terms.band, PPM);
        let slippage = floor_div(reference * trigger.slippage, PPM);
        let rests = trigger.limit > 0;
        let price = match trigger.side {
            _ if rests => trigger.limit,
            Side::Bid => (reference + slippage).min(row.mark + reach).min(row.terms.price_max),
            Side::Ask => (reference - slippage).max(row.mark - reach).max(1),
        };
        let beyond = if trigger.side == Side::Bid { price - row.mark } else { row.mark - price } > reach;
        let wanted = trigger.wanted(&self.position(trigger.trader, market));
        let accepted = (row.status == 1 || trigger.reduce_only) && !self.forbids_order(trigger.reduce_only);
        let soonest = (self.now + 1).max(self.now + row.terms.taker_delay as i64);
        let last_second = rests && trigger.expires_at != 0 && trigger.expires_at < soonest;
        let dear = row.terms.taker_fee > i128::from(self.trader(trigger.trader).fee_max);
        if wanted == 0 || !accepted || row.deleverage.is_some() || beyond || last_second || dear {
            return None;
        }
        let lots = floor_div(wanted, trigger.slices.max(1)).max(1).min(row.terms.lots_max);
        let taken = row.orders_of(trigger.trader).any(|order: &Order| order.client_id == trigger.client_id);
        Some(NewOrder {
            side: trigger.side,
            kind: if rests { OrderKind::Limit } else { OrderKind::ImmediateOrCancel },
            price: Ticks::new(price as u32),
            lots: Lots::new(lots as u64),
            client_id: if rests && !taken { trigger.client_id } else { 0 },
            expires_at: UnixSeconds::new(if rests { trigger.expires_at } else { 0 }),
            self_trade: SelfTrade::CancelMaker,
            reduce_only: trigger.reduce_only,
            match_limit: 255,
            peg_offset: 0,
        })
    }

    fn fire(
        &mut self,
        keeper: usize,
        market: usize,
        trigger: &Trigger,
        order: &NewOrder,
        reference: i128,
    ) -> Result<bool> {
        let trader = trigger.trader;
        let wanted = trigger.wanted(&self.position(trader, market));
        let outcome = self.place_now(Some(trader), market, order)?;
        let rests = outcome.resting.or(outcome.waiting).is_some();
        let done = if rests { order.lots.get().into() } else { outcome.filled };
        if done == 0 {
            return Ok(false);
        }
        let trigger = self.trigger(market, trigger.number).expect("it fired");
        let left = wanted - done;
        let parents = self.markets[market].orders_of(trader);
        let to_come: i128 = parents
            .filter(|order| trigger.waits_for(trader, order.client_id, order.side))
            .map(|order| order.lots)
            .sum();
        let all = done + left + to_come;
        let tip = if all == done { trigger.tip } else { floor_div(trigger.tip * done, all) };
        let by = self.trader(keeper).cell;
        self.trigger_mut(market, trigger.number).tip -= tip;
        self.trader_mut(keeper).cash += tip;
        let fired = Trigger { lots: done, price: reference, ..trigger.clone() };
        self.log_trigger(market, TradeEventKind::TriggerFired, &fired, by, tip);
        let finished = left == 0 || (!trigger.reduce_only && left < self.markets[market].terms.lots_min);
        if finished || !trigger.reduce_only {
            self.end_group(market, &trigger, by);
        }
        let now = self.now;
        let kept = self.trigger_mut(market, trigger.number);
        kept.lots = if kept.share > 0 { left } else { kept.lots - done };
        kept.share = 0;
        if kept.slices > 0 {
            kept.slices = (kept.slices - 1).max(1);
            kept.next_at = now + kept.interval;
        }
        if finished && kept.parent != 0 {
            kept.lots = 0;
        } else if finished {
            self.remove_trigger(market, trigger.number, by);
        }
        Ok(true)
    }

    /// One cancels the others: those of the same parent until it fills more, the rest for good.
    fn end_group(&mut self, market: usize, trigger: &Trigger, by: u32) {
        for other in self.triggers_of(trigger.trader, market) {
            let same = other.group == trigger.group && other.group != 0 && other.number != trigger.number;
            if same && trigger.parent != 0 && other.parent == trigger.parent {
                self.trigger_mut(market, other.number).lots = 0;
            } else if same {
                self.remove_trigger(market, other.number, by);
            }
        }
    }
}
