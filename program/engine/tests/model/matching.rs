//! Placing and matching in the model.

use super::{
    Event, Market, Model, NOBODY, Order, Outcome, PPM, Position, ceil_div, floor_div, price::Quality, rank, risk,
};
use quantdesk_engine::{
    EngineError, Result, Side,
    book::{NewOrder, OrderKind, SelfTrade},
    risk::price::Action,
    state::TradeEventKind,
};

/// Resting orders of one trader in one market.
const ORDERS_MAX: usize = 128;

/// A taking order under way.
struct Taker {
    trader: usize,
    market: usize,
    wanted: i128,
    remaining: i128,
    /// Lots that closed and opened, and what they were worth.
    closed: (i128, i128),
    opened: (i128, i128),
    fee: i128,
    stopped: bool,
}

fn signed(side: Side, lots: i128) -> i128 {
    if side == Side::Bid { lots } else { -lots }
}

/// Lots of a position that a fill on `side` closes.
fn closable(base: i128, side: Side) -> i128 {
    (-signed(side, base)).max(0)
}

impl Market {
    fn crosses(side: Side, limit: i128, price: i128) -> bool {
        if side == Side::Bid { price <= limit } else { price >= limit }
    }

    fn best(&self, side: Side) -> Option<Order> {
        self.queue(side).values().next().cloned()
    }

    fn maker_fee(&self, value: i128) -> i128 {
        // A charge is rounded up, a rebate towards zero: both are the ceiling.
        ceil_div(value * self.terms.maker_fee, PPM)
    }
}

impl Model {
    pub fn place(&mut self, trader: Option<usize>, market: usize, order: &NewOrder) -> Result<Outcome> {
        self.attempt(|model| {
            model.check_order(market, order)?;
            let trader = trader.ok_or(EngineError::TraderNotFound)?;
            if model.trader(trader).positions[market].is_none() {
                model.take_cell()?;
                model.trader_mut(trader).positions[market] = Some(Position::default());
            }
            let same_id = |other: &Order| other.client_id == order.client_id;
            if order.client_id != 0 && model.markets[market].orders_of(trader).any(same_id) {
                return Err(EngineError::ClientIdInUse);
            }
            model.narrow_bounds(trader, market);
            let before = model.initial(trader);
            let worst_before = model.worst_lots(trader, market);
            let interest_before = model.open_interest(market);

            let outcome = model.take_and_rest(trader, market, order)?;

            let terms = &model.markets[market].terms;
            let worst = model.worst_lots(trader, market);
            if worst > terms.position_max && worst > worst_before {
                return Err(EngineError::PositionTooLarge);
            }
            let interest = model.open_interest(market);
            if interest > terms.open_interest_max && interest > interest_before {
                return Err(EngineError::OpenInterestTooLarge);
            }
            let after = model.initial(trader);
            if !order.reduce_only && after.worst != Quality::Fresh {
                return Err(EngineError::PriceNotValidForAction);
            }
            let no_worse = order.reduce_only && after.excess() >= before.excess();
            if after.excess() >= 0 || no_worse { Ok(outcome) } else { Err(EngineError::BelowInitialMargin) }
        })
    }

    fn worst_lots(&self, trader: usize, market: usize) -> i128 {
        risk::worst_lots(&self.position(trader, market), &self.markets[market].open(trader))
    }

    fn check_order(&self, market: usize, order: &NewOrder) -> Result<()> {
        let (terms, mark) = (&self.markets[market].terms, self.markets[market].mark);
        let (price, lots) = (i128::from(order.price.get()), i128::from(order.lots.get()));
        let accepted: &[u8] = if order.reduce_only { &[1, 2] } else { &[1] };
        let action = if order.reduce_only { Action::Reduce } else { Action::Place };
        let reach = floor_div(mark * terms.band, PPM);
        let distance = if order.side == Side::Bid { price - mark } else { mark - price };
        let lots_min = if order.reduce_only { 1 } else { terms.lots_min };
        let expired = order.expires_at.get() != 0 && order.expires_at.get() <= self.now;
        match () {
            () if !accepted.contains(&self.markets[market].status) => Err(EngineError::MarketNotActive),
            () if !self.quality(market).allows(action) => Err(EngineError::PriceNotValidForAction),
            () if price < 1 || price > terms.price_max => Err(EngineError::OrderPriceOutOfRange),
            () if distance > reach => Err(EngineError::OrderOutsideBand),
            () if lots < lots_min || lots > terms.lots_max => Err(EngineError::OrderLotsOutOfRange),
            () if expired => Err(EngineError::OrderExpired),
            () if order.match_limit == 0 => Err(EngineError::MatchLimitOutOfRange),
            () => Ok(()),
        }
    }

    /// A trader that places an order has its bounds made exact, if they lie through the mark.
    fn narrow_bounds(&mut self, trader: usize, market: usize) {
        let (mark, held) = (self.markets[market].mark, self.position(trader, market));
        if held.bid_bound <= mark && (held.ask_bound == 0 || held.ask_bound >= mark) {
            return;
        }
        let own = |side| self.markets[market].queue(side).values().find(move |order| order.trader == trader);
        let (bid, ask) = (own(Side::Bid).map_or(0, |o| o.price), own(Side::Ask).map_or(0, |o| o.price));
        let held = self.position_mut(trader, market);
        (held.bid_bound, held.ask_bound) = (bid, ask);
    }

    fn take_and_rest(&mut self, trader: usize, market: usize, order: &NewOrder) -> Result<Outcome> {
        let asked = i128::from(order.lots.get());
        let reducible = closable(self.position(trader, market).base, order.side);
        let wanted = if order.reduce_only { asked.min(reducible) } else { asked };
        if wanted == 0 {
            return Err(EngineError::ReduceOnlyNothingToReduce);
        }
        let mut taker =
            Taker { trader, market, wanted, remaining: wanted, closed: (0, 0), opened: (0, 0), fee: 0, stopped: false };
        self.match_taker(&mut taker, order)?;
        self.settle(trader, market, order.side, taker.closed, taker.opened);
        self.charge(trader, market, taker.fee);
        let filled = taker.closed.0 + taker.opened.0;
        if order.kind == OrderKind::FillOrKill && filled < taker.wanted {
            return Err(EngineError::FillOrKillUnfilled);
        }
        let mut resting = None;
        if taker.remaining > 0 && order.kind.rests() && !taker.stopped {
            resting = Some(self.rest(&taker, order)?);
        } else if taker.remaining > 0 {
            let cell = self.trader(trader).cell;
            self.log(market, TradeEventKind::RemainderDropped, order.side, |event| {
                event.client_id = order.client_id;
                event.lots = taker.remaining;
                event.price = order.price.get().into();
                event.taker = cell;
            });
        }
        Ok(Outcome { filled, quote: taker.closed.1 + taker.opened.1, fee: taker.fee, resting })
    }

    fn match_taker(&mut self, taker: &mut Taker, order: &NewOrder) -> Result<()> {
        let cell = self.trader(taker.trader).cell;
        let owner = self.trader(taker.trader).owner;
        let mut steps = order.match_limit;
        while taker.remaining > 0 && !taker.stopped {
            let Some(best) = self.markets[taker.market].best(order.side.opposite()) else { break };
            if !Market::crosses(order.side, order.price.get().into(), best.price) {
                break;
            }
            if steps == 0 {
                taker.stopped = true;
                break;
            }
            steps -= 1;
            let base = self.position(best.trader, taker.market).base;
            let fillable = if best.reduce_only { closable(base, best.side).min(best.lots) } else { best.lots };
            if best.expires_at != 0 && self.now > best.expires_at {
                self.drop_order(taker.market, &best, TradeEventKind::Expired, cell);
            } else if order.kind == OrderKind::PostOnly {
                return Err(EngineError::PostOnlyWouldCross);
            } else if self.trader(best.trader).owner == owner {
                self.prevent_self_trade(taker, &best, order.self_trade);
            } else if fillable == 0 {
                self.drop_order(taker.market, &best, TradeEventKind::ReduceOnlyDropped, cell);
            } else {
                self.fill(taker, &best, fillable.min(taker.remaining));
            }
        }
        Ok(())
    }

    fn prevent_self_trade(&mut self, taker: &mut Taker, best: &Order, policy: SelfTrade) {
        let (kind, cell) = (TradeEventKind::SelfTradePrevented, self.trader(taker.trader).cell);
        taker.stopped = matches!(policy, SelfTrade::CancelTaker | SelfTrade::CancelBoth);
        match policy {
            SelfTrade::CancelTaker => {}
            SelfTrade::CancelMaker | SelfTrade::CancelBoth => self.drop_order(taker.market, best, kind, cell),
            SelfTrade::Decrement => {
                let lots = taker.remaining.min(best.lots);
                taker.remaining -= lots;
                let mut shrunk = best.clone();
                shrunk.lots = lots;
                self.log_order(taker.market, kind, &shrunk, cell);
                self.shrink(taker.market, best, lots);
            }
        }
    }

    fn fill(&mut self, taker: &mut Taker, best: &Order, lots: i128) {
        let (market, side) = (taker.market, best.side.opposite());
        let value = self.markets[market].value(best.price, lots);
        let taker_fee = ceil_div(value * self.markets[market].terms.taker_fee, PPM);
        let maker_fee = self.markets[market].maker_fee(value);
        // The maker settles at once, fill by fill.
        self.shrink(market, best, lots);
        let closing = lots.min(closable(self.position(best.trader, market).base, best.side));
        let price = best.price;
        let worth = |lots| price * lots;
        let tick_value = self.markets[market].terms.tick_value;
        let parts = ((closing, worth(closing) * tick_value), (lots - closing, worth(lots - closing) * tick_value));
        self.settle(best.trader, market, best.side, parts.0, parts.1);
        self.charge(best.trader, market, maker_fee);
        // The taker's fills add up and settle at the end.
        let left = closable(self.position(taker.trader, market).base, side) - taker.closed.0;
        let closing = lots.min(left);
        taker.closed.0 += closing;
        taker.closed.1 += worth(closing) * tick_value;
        taker.opened.0 += lots - closing;
        taker.opened.1 += worth(lots - closing) * tick_value;
        taker.remaining -= lots;
        taker.fee += taker_fee;
        self.markets[market].last_trade_price = price;
        let (maker, taker) = (self.trader(best.trader).cell, self.trader(taker.trader).cell);
        self.log(market, TradeEventKind::Filled, best.side, |event| {
            (event.order, event.client_id) = (best.sequence, best.client_id);
            (event.lots, event.price) = (lots, price);
            (event.maker, event.taker) = (maker, taker);
            (event.maker_fee, event.taker_fee) = (maker_fee, taker_fee);
        });
    }

    /// Books fills worth `closed.1 + opened.1`: the closed share of the cost becomes cash.
    fn settle(&mut self, trader: usize, market: usize, side: Side, closed: (i128, i128), opened: (i128, i128)) {
        if closed.0 + opened.0 == 0 {
            return;
        }
        let position = self.position_mut(trader, market);
        if closed.0 > 0 {
            let share = floor_div(position.quote * closed.0, position.base.abs());
            let realised = share - signed(side, closed.1);
            position.quote -= share;
            position.realised += realised;
            position.base += signed(side, closed.0);
            self.trader_mut(trader).cash += realised;
        }
        let position = self.position_mut(trader, market);
        position.quote -= signed(side, opened.1);
        position.base += signed(side, opened.0);
    }

    fn charge(&mut self, trader: usize, market: usize, fee: i128) {
        self.trader_mut(trader).cash -= fee;
        self.position_mut(trader, market).fees_paid += fee;
        self.fees += fee;
    }

    fn rest(&mut self, taker: &Taker, order: &NewOrder) -> Result<u64> {
        let Taker { trader, market, remaining, .. } = *taker;
        let price = i128::from(order.price.get());
        let full = self.markets[market].queue(order.side).len() >= self.markets[market].terms.side_capacity;
        if full {
            let worst = self.markets[market].queue(order.side).values().next_back().cloned();
            let worst = worst.ok_or(EngineError::BookFull)?;
            if rank(order.side, price, 0).0 >= rank(order.side, worst.price, 0).0 {
                return Err(EngineError::BookFull);
            }
            self.drop_order(market, &worst, TradeEventKind::Evicted, NOBODY);
        }
        if self.markets[market].orders_of(trader).count() >= ORDERS_MAX {
            return Err(EngineError::OrdersTooMany);
        }
        let held = self.position_mut(trader, market);
        match order.side {
            Side::Bid => held.bid_bound = held.bid_bound.max(price),
            Side::Ask if held.ask_bound == 0 => held.ask_bound = price,
            Side::Ask => held.ask_bound = held.ask_bound.min(price),
        }
        self.markets[market].orders_placed += 1;
        let sequence = self.markets[market].orders_placed;
        let resting = Order {
            sequence,
            trader,
            side: order.side,
            price,
            lots: remaining,
            client_id: order.client_id,
            expires_at: order.expires_at.get(),
            reduce_only: order.reduce_only,
        };
        self.markets[market].queue_mut(order.side).insert(rank(order.side, price, sequence), resting.clone());
        self.log_order(market, TradeEventKind::Placed, &resting, NOBODY);
        Ok(sequence)
    }

    pub(super) fn drop_order(&mut self, market: usize, order: &Order, kind: TradeEventKind, taker: u32) {
        self.log_order(market, kind, order, taker);
        self.shrink(market, order, order.lots);
    }

    /// Takes lots off a resting order; one without lots leaves the book.
    fn shrink(&mut self, market: usize, order: &Order, lots: i128) {
        let queue = self.markets[market].queue_mut(order.side);
        let place = rank(order.side, order.price, order.sequence);
        let left = queue.get_mut(&place).expect("a resting order");
        left.lots -= lots;
        if left.lots == 0 {
            queue.remove(&place);
        }
        if self.markets[market].queue(order.side).values().all(|other| other.trader != order.trader) {
            let held = self.position_mut(order.trader, market);
            match order.side {
                Side::Bid => held.bid_bound = 0,
                Side::Ask => held.ask_bound = 0,
            }
        }
    }

    fn log_order(&mut self, market: usize, kind: TradeEventKind, order: &Order, taker: u32) {
        let maker = self.trader(order.trader).cell;
        self.log(market, kind, order.side, |event| {
            (event.order, event.client_id) = (order.sequence, order.client_id);
            (event.lots, event.price) = (order.lots, order.price);
            (event.maker, event.taker) = (maker, taker);
        });
    }

    fn log(&mut self, market: usize, kind: TradeEventKind, side: Side, fill: impl FnOnce(&mut Event)) {
        let mut event = Event {
            kind,
            side,
            order: 0,
            client_id: 0,
            lots: 0,
            price: 0,
            maker: NOBODY,
            taker: NOBODY,
            taker_fee: 0,
            maker_fee: 0,
        };
        fill(&mut event);
        self.trail.push(event);
        self.markets[market].events += 1;
    }
}
