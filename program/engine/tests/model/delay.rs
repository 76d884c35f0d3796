//! Takers that wait, in the model: a plain queue in the order of coming.

use super::{
    Model, NOBODY, Order, Outcome, PPM, ceil_div,
    matching::{Taker, closable, signed},
    price::Quality,
    rank,
};
use quantdesk_engine::{
    EngineError, Lots, Result, Side, Ticks, UnixSeconds,
    book::{NewOrder, OrderKind, SelfTrade},
    risk::price::Action,
    state::TradeEventKind,
};

/// Takers that may wait in a market, those who left but are not first counted.
const WAITING_MAX: usize = 128;

/// A taker that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub order: Order,
    pub slot: u64,
    pub kind: OrderKind,
}

fn beyond(side: Side, price: i128, from: i128) -> i128 {
    signed(side, price - from).max(0)
}

impl Model {
    pub fn run_delayed(&mut self, market: usize, limit: u8) -> Result<u8> {
        self.attempt(|model| match model.run_due(market, limit, 32) {
            0 => Err(EngineError::TakerNotDue),
            runs => Ok(runs),
        })
    }

    /// What comes before an order where takers wait. `None` if it acts at once.
    pub(super) fn delay(&mut self, trader: Option<usize>, market: usize, order: &NewOrder) -> Result<Option<Outcome>> {
        self.run_due(market, 2, 8);
        if order.kind == OrderKind::FillOrKill {
            return Err(EngineError::OrderNotDelayable);
        }
        let row = &self.markets[market];
        let best = row.best_for_sale(order.side.opposite(), self.now).map(|best| best.price);
        let limit = i128::from(order.price.get());
        let takes = best.is_some_and(|best| signed(order.side, limit - best) >= 0);
        if !takes || matches!(order.kind, OrderKind::PostOnly | OrderKind::PostOnlySlide | OrderKind::Pegged) {
            return Ok(None);
        }
        self.check_order(market, order)?;
        let trader = trader.ok_or(EngineError::TraderNotFound)?;
        self.enter(trader, market)?;
        self.check_client_id(trader, market, order.client_id)?;
        self.narrow_bounds(trader, market);
        let health = self.health(trader);
        if order.reduce_only && health.equity < health.required {
            return Ok(None);
        }
        self.wait(trader, market, order).map(Some)
    }

    fn wait(&mut self, trader: usize, market: usize, order: &NewOrder) -> Result<Outcome> {
        if order.self_trade != SelfTrade::CancelMaker {
            return Err(EngineError::OrderNotDelayable);
        }
        let delay = self.markets[market].terms.taker_delay;
        if order.expires_at.get() != 0 && order.expires_at.get() < self.now + delay as i64 {
            return Err(EngineError::OrderExpired);
        }
        if self.markets[market].waiting.len() >= WAITING_MAX {
            return Err(EngineError::TakersTooMany);
        }
        let worst = self.worst_lots(trader, market);
        let lots = self.wanted(trader, market, order)?;
        let waiting = self.enlist(trader, market, order, lots)?;
        self.log_order(market, TradeEventKind::TakerQueued, &waiting, NOBODY);
        self.note_parent(trader, market, order, 0, true);
        let sequence = waiting.sequence;
        let (slot, kind) = (self.slot, order.kind);
        self.markets[market].waiting.push_back(Some(Waiting { order: waiting, slot, kind }));
        let interest = self.open_interest(market);
        self.check_limits(trader, market, worst, interest)?;
        if !order.reduce_only {
            self.check_risk(trader, None)?;
        }
        Ok(Outcome { filled: 0, quote: 0, fee: 0, builder_fee: 0, resting: None, waiting: Some(sequence) })
    }

    /// Those due go ahead; whether nobody is due any more.
    pub(super) fn run_ahead(&mut self, market: usize) -> bool {
        self.run_due(market, 2, 8);
        let row = &self.markets[market];
        let first = row.waiting.front().and_then(Option::as_ref);
        first.is_none_or(|first| self.slot < first.slot + row.terms.taker_delay)
    }

    fn run_due(&mut self, market: usize, runs: u8, steps: u8) -> u8 {
        for done in 0..runs {
            let row = &self.markets[market];
            let first = row.waiting.front().map(|first| first.clone().expect("somebody"));
            let Some(first) = first.filter(|first| self.slot >= first.slot + row.terms.taker_delay) else {
                return done;
            };
            self.run_first(market, &first, steps);
        }
        runs
    }

    fn run_first(&mut self, market: usize, first: &Waiting, steps: u8) {
        let (order, trader) = (&first.order, first.order.trader);
        let reducible = closable(self.position(trader, market).base, order.side);
        let lots = if order.reduce_only { order.lots.min(reducible) } else { order.lots };
        if !self.may_run(market, order, lots) {
            return self.drop_order(market, order, TradeEventKind::TakerDropped, NOBODY);
        }
        let asked = NewOrder {
            side: order.side,
            kind: first.kind,
            price: Ticks::new(order.price as u32),
            lots: Lots::new(order.lots as u64),
            client_id: order.client_id,
            expires_at: UnixSeconds::new(order.expires_at),
            self_trade: SelfTrade::CancelMaker,
            reduce_only: order.reduce_only,
            match_limit: steps,
            peg_offset: 0,
        };
        let left = self.drop_unbearable(trader, market, order.side, order.price, steps);
        let mut taker = Taker::new(trader, market, lots, left, self.rates(trader, market));
        self.match_taker(&mut taker, &asked).expect("a waiting taker never fails");
        self.settle_taker(&taker, order.side);
        let filled = taker.filled();
        if filled > 0 {
            self.credit(trader, taker.quote(), taker.fee, taker.rebates);
        }
        self.shrink(market, order, filled);
        self.arm_children(trader, market, (order.client_id, order.side), filled);
        if filled == order.lots {
            self.release_children(trader, market, order.client_id, order.side);
        }
        let unfilled = Order { lots: order.lots - filled, ..order.clone() };
        // Who met as many as a run may stays first.
        if unfilled.lots == 0 || taker.stopped {
            return;
        }
        if first.kind != OrderKind::Limit || taker.remaining == 0 || !self.has_room(market, order) {
            let cell = self.trader(trader).cell;
            self.drop_order(market, &unfilled, TradeEventKind::RemainderDropped, cell);
        } else {
            self.come_to_rest(market, unfilled);
        }
    }

    fn may_run(&self, market: usize, order: &Order, lots: i128) -> bool {
        let row = &self.markets[market];
        let trader = order.trader;
        let (accepted, action): (&[u8], _) =
            if order.reduce_only { (&[1, 2], Action::Reduce) } else { (&[1], Action::Place) };
        let expired = order.expires_at != 0 && self.now > order.expires_at;
        let base = self.position(trader, market).base;
        let opening = lots - lots.min(closable(base, order.side));
        let capped = opening == 0 || self.open_interest(market) + opening <= row.terms.open_interest_max;
        let health = self.health(trader);
        let priced = order.reduce_only || health.worst == Quality::Fresh;
        // At the worst price that its limit allows.
        let loss = row.value(beyond(order.side, order.price, row.mark), lots);
        let fee = ceil_div(row.value(order.price, lots) * row.terms.taker_fee, PPM);
        let kept = row.maintenance((base + signed(order.side, lots)).abs()) - row.maintenance(base.abs());
        let sound = health.equity >= health.required && health.equity - loss - fee >= health.required + kept;
        row.deleverage.is_none()
            && !self.forbids_order(order.reduce_only)
            && accepted.contains(&row.status)
            && self.quality(market).allows(action)
            && !expired
            && (order.reduce_only || !self.trader(trader).bankrupt)
            && lots > 0
            && capped
            && priced
            && sound
    }

    /// Evicts the worst order of a full side if it is worse; says whether there is a place.
    fn has_room(&mut self, market: usize, order: &Order) -> bool {
        self.make_room(market, order.side, order.price).is_ok()
    }

    /// What is left of a limit order is an order like others now.
    fn come_to_rest(&mut self, market: usize, order: Order) {
        let row = &mut self.markets[market];
        row.waiting.pop_front();
        row.pass_left();
        row.orders_placed += 1;
        let sequence = row.orders_placed;
        let resting = Order { sequence, ..order.clone() };
        row.queue_mut(order.side).insert(rank(order.side, order.price, sequence), resting.clone());
        let cell = self.trader(order.trader).cell;
        self.log(market, TradeEventKind::Replaced, order.side, |event| {
            (event.order, event.client_id) = (sequence, order.sequence);
            (event.lots, event.price, event.maker) = (order.lots, order.price, cell);
        });
    }
}
