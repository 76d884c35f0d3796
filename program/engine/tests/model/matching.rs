//! Placing and matching in the model.

use super::{
    Event, Market, Model, NOBODY, Order, Outcome, PPM, Position, ceil_div, fees::Named, fees::Rates, floor_div,
    quote_ladder::Offer, rank, risk,
};
use quantdesk_engine::{
    EngineError, Result, Side, Ticks,
    book::{NewOrder, OrderKind, SelfTrade},
    risk::price::Action,
    state::TradeEventKind,
};

/// Resting orders of one trader in one market.
pub(super) const ORDERS_MAX: usize = 128;

/// A taking order under way.
pub(super) struct Taker {
    pub trader: usize,
    pub market: usize,
    pub wanted: i128,
    pub remaining: i128,
    /// Orders it may still meet.
    pub steps: u8,
    /// Lots that closed and opened, and what they were worth.
    pub closed: (i128, i128),
    pub opened: (i128, i128),
    pub fee: i128,
    /// Rebates paid to makers.
    pub rebates: i128,
    pub rates: Rates,
    pub stopped: bool,
}

impl Taker {
    pub fn new(trader: usize, market: usize, wanted: i128, steps: u8, rates: Rates) -> Self {
        let nothing = (0, 0);
        let (closed, opened) = (nothing, nothing);
        let (fee, rebates, stopped) = (0, 0, false);
        Self { trader, market, wanted, remaining: wanted, steps, closed, opened, fee, rebates, rates, stopped }
    }

    pub fn filled(&self) -> i128 {
        self.closed.0 + self.opened.0
    }

    pub fn quote(&self) -> i128 {
        self.closed.1 + self.opened.1
    }
}

pub(super) fn signed(side: Side, lots: i128) -> i128 {
    if side == Side::Bid { lots } else { -lots }
}

/// Lots of a position that a fill on `side` closes.
pub(super) fn closable(base: i128, side: Side) -> i128 {
    (-signed(side, base)).max(0)
}

impl Market {
    pub(super) fn crosses(side: Side, limit: i128, price: i128) -> bool {
        if side == Side::Bid { price <= limit } else { price >= limit }
    }
}

impl Position {
    /// Widens the price bound of a side over a resting order at this price.
    pub(super) fn cover(&mut self, side: Side, price: i128) {
        match side {
            Side::Bid => self.bid_bound = self.bid_bound.max(price),
            Side::Ask if self.ask_bound == 0 => self.ask_bound = price,
            Side::Ask => self.ask_bound = self.ask_bound.min(price),
        }
    }
}

impl Model {
    pub fn place(&mut self, trader: Option<usize>, market: usize, order: &NewOrder) -> Result<Outcome> {
        self.attempt(|model| model.place_now(trader, market, order))
    }

    /// The same as a part of something else.
    pub(super) fn place_now(&mut self, trader: Option<usize>, market: usize, order: &NewOrder) -> Result<Outcome> {
        self.place_for(trader, market, order, None)
    }

    /// The same with who brought the order.
    pub(super) fn place_for(
        &mut self,
        trader: Option<usize>,
        market: usize,
        order: &NewOrder,
        builder: Option<Named>,
    ) -> Result<Outcome> {
        if let Some(builder) = builder {
            self.check_builder(trader, builder)?;
        }
        if self.markets[market].terms.taker_delay > 0
            && let Some(waiting) = self.delay(trader, market, order)?
        {
            // Nobody is paid for what waits.
            return if builder.is_some() { Err(EngineError::OrderNotDelayable) } else { Ok(waiting) };
        }
        let order = &self.slid(market, order);
        self.check_order(market, order)?;
        let met_as = if order.kind == OrderKind::Pegged { self.as_post_only(market, order)? } else { *order };
        let trader = trader.ok_or(EngineError::TraderNotFound)?;
        let steps = match order.kind {
            OrderKind::PostOnly | OrderKind::Pegged => order.match_limit,
            _ => {
                let (limit, most) = (order.price.get().into(), order.match_limit);
                self.drop_unbearable(trader, market, order.side, limit, most)
            }
        };
        self.enter(trader, market)?;
        self.check_client_id(trader, market, order.client_id)?;
        self.narrow_bounds(trader, market);
        let before = order.reduce_only.then(|| self.initial(trader).excess());
        let worst_before = self.worst_lots(trader, market);
        let interest_before = self.open_interest(market);

        let mut outcome = self.take_and_rest(trader, market, &NewOrder { match_limit: steps, ..*order }, &met_as)?;
        if let Some(builder) = builder {
            outcome.builder_fee = self.pay_builder(trader, builder, outcome.quote);
        }

        self.check_limits(trader, market, worst_before, interest_before)?;
        self.check_risk(trader, before)?;
        Ok(outcome)
    }

    pub(super) fn check_client_id(&self, trader: usize, market: usize, client_id: u64) -> Result<()> {
        let used = client_id != 0 && self.markets[market].orders_of(trader).any(|order| order.client_id == client_id);
        if used { Err(EngineError::ClientIdInUse) } else { Ok(()) }
    }

    /// A sliding order is a post-only one at a price that does not take.
    fn slid(&self, market: usize, order: &NewOrder) -> NewOrder {
        if order.kind != OrderKind::PostOnlySlide {
            return *order;
        }
        let best = self.markets[market].best_for_sale(order.side.opposite(), self.now).map(|best| best.price as i64);
        let price = i64::from(order.price.get());
        let price = match (best, order.side) {
            (Some(ask), Side::Bid) => price.min(ask - 1),
            (Some(bid), Side::Ask) => price.max(bid + 1),
            (None, _) => price,
        };
        NewOrder { kind: OrderKind::PostOnly, price: Ticks::new(price as u32), ..*order }
    }

    /// Neither cap is passed by an order that adds to what it caps.
    pub(super) fn check_limits(&self, trader: usize, market: usize, worst: i128, interest: i128) -> Result<()> {
        let terms = &self.markets[market].terms;
        let (worst_after, interest_after) = (self.worst_lots(trader, market), self.open_interest(market));
        if worst_after > terms.position_max && worst_after > worst {
            return Err(EngineError::PositionTooLarge);
        }
        if interest_after > terms.open_interest_max && interest_after > interest {
            return Err(EngineError::OpenInterestTooLarge);
        }
        Ok(())
    }

    pub(super) fn worst_lots(&self, trader: usize, market: usize) -> i128 {
        risk::worst_lots(&self.position(trader, market), &self.markets[market].open(trader))
    }

    pub(super) fn check_order(&self, market: usize, order: &NewOrder) -> Result<()> {
        let (terms, mark) = (&self.markets[market].terms, self.markets[market].mark);
        let (price, lots) = (i128::from(order.price.get()), i128::from(order.lots.get()));
        let accepted: &[u8] = if order.reduce_only { &[1, 2] } else { &[1] };
        let action = if order.reduce_only { Action::Reduce } else { Action::Place };
        let reach = floor_div(mark * terms.band, PPM);
        let distance = if order.side == Side::Bid { price - mark } else { mark - price };
        let lots_min = if order.reduce_only { 1 } else { terms.lots_min };
        let expired = order.expires_at.get() != 0 && order.expires_at.get() <= self.now;
        match () {
            () if self.markets[market].deleverage.is_some() => Err(EngineError::DeleverageRunning),
            () if self.forbids_order(order.reduce_only) => Err(EngineError::ModeForbids),
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

    /// A trader that places an order has its bounds made exact, if they cost margin.
    pub(super) fn narrow_bounds(&mut self, trader: usize, market: usize) {
        let (low, high) = (self.markets[market].low(), self.markets[market].high());
        let held = self.position(trader, market);
        if held.bid_bound <= low && (held.ask_bound == 0 || held.ask_bound >= high) {
            return;
        }
        let row = &self.markets[market];
        let own = |side| row.orders_of(trader).filter(move |order| order.side == side).map(|order| order.price);
        let (bid, ask) = (own(Side::Bid).max().unwrap_or(0), own(Side::Ask).min().unwrap_or(0));
        let held = self.position_mut(trader, market);
        (held.bid_bound, held.ask_bound) = (bid, ask);
    }

    /// Lots that an order is for.
    pub(super) fn wanted(&self, trader: usize, market: usize, order: &NewOrder) -> Result<i128> {
        self.check_fee(trader, market)?;
        let asked = i128::from(order.lots.get());
        let reducible = closable(self.position(trader, market).base, order.side);
        let wanted = if order.reduce_only { asked.min(reducible) } else { asked };
        if wanted == 0 {
            return Err(EngineError::ReduceOnlyNothingToReduce);
        }
        if self.trader(trader).bankrupt && !order.reduce_only {
            return Err(EngineError::AccountBankrupt);
        }
        Ok(wanted)
    }

    /// `met_as` is the order as the other side meets it.
    fn take_and_rest(&mut self, trader: usize, market: usize, order: &NewOrder, met_as: &NewOrder) -> Result<Outcome> {
        let wanted = self.wanted(trader, market, order)?;
        let mut taker = Taker::new(trader, market, wanted, order.match_limit, self.rates(trader, market));
        self.match_taker(&mut taker, met_as)?;
        self.settle_taker(&taker, order.side);
        let filled = taker.filled();
        if filled > 0 {
            self.credit(trader, taker.quote(), taker.fee, taker.rebates);
        }
        if order.kind == OrderKind::FillOrKill && filled < taker.wanted {
            return Err(EngineError::FillOrKillUnfilled);
        }
        let mut resting = None;
        if order.kind == OrderKind::Pegged && !taker.stopped {
            resting = Some(self.rest_pegged(&taker, order)?);
        } else if taker.remaining > 0 && order.kind.rests() && !taker.stopped {
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
        self.note_parent(trader, market, order, filled, resting.is_some());
        Ok(Outcome { filled, quote: taker.quote(), fee: taker.fee, builder_fee: 0, resting, waiting: None })
    }

    pub(super) fn settle_taker(&mut self, taker: &Taker, side: Side) {
        if taker.filled() > 0 {
            self.settle_funding(taker.trader, taker.market);
            self.settle(taker.trader, taker.market, side, taker.closed, taker.opened);
            self.charge(taker.trader, taker.market, taker.fee);
        }
    }

    /// Pays what a position owes of funding, or is owed.
    pub(super) fn settle_funding(&mut self, trader: usize, market: usize) {
        let due = self.markets[market].due(&self.position(trader, market));
        let index = self.markets[market].funding_index;
        let held = self.position_mut(trader, market);
        held.funding_index = index;
        held.funding_paid += due;
        self.trader_mut(trader).cash -= due;
        self.markets[market].funding_pot += due;
    }

    pub(super) fn match_taker(&mut self, taker: &mut Taker, order: &NewOrder) -> Result<()> {
        let cell = self.trader(taker.trader).cell;
        let owner = self.trader(taker.trader).owner;
        while taker.remaining > 0 && !taker.stopped {
            let Some(offer) = self.markets[taker.market].best_offer(order.side.opposite()) else { break };
            if !Market::crosses(order.side, order.price.get().into(), offer.price) {
                break;
            }
            if taker.steps == 0 {
                taker.stopped = true;
                break;
            }
            taker.steps -= 1;
            let best = offer.order.clone();
            let base = self.position(best.trader, taker.market).base;
            let fillable =
                if best.reduce_only { closable(base, best.side).min(best.lots) } else { best.lots.min(offer.room) };
            if best.expires_at != 0 && self.now > best.expires_at {
                self.drop_order(taker.market, &best, TradeEventKind::Expired, cell);
            } else if !self.markets[taker.market].is_for_sale(&offer) && offer.ladder.is_none() {
                self.drop_order(taker.market, &best, TradeEventKind::PegDropped, cell);
            } else if !self.markets[taker.market].is_for_sale(&offer) {
                self.markets[taker.market].pass(&offer);
            } else if order.kind == OrderKind::PostOnly {
                return Err(EngineError::PostOnlyWouldCross);
            } else if self.trader(best.trader).owner == owner && offer.ladder.is_some() {
                self.prevent_on_ladder(taker, &offer, order.self_trade);
            } else if self.trader(best.trader).owner == owner {
                self.prevent_self_trade(taker, &best, order.self_trade);
            } else if fillable == 0 {
                self.drop_order(taker.market, &best, TradeEventKind::ReduceOnlyDropped, cell);
            } else {
                self.fill(taker, &offer, fillable.min(taker.remaining));
            }
        }
        Ok(())
    }

    /// Orders more than a 128th through the mark, as far as a taker would meet them, go if their owners could not bear
    /// them. Returns how many orders the taker may still meet.
    pub(super) fn drop_unbearable(&mut self, trader: usize, market: usize, side: Side, limit: i128, steps: u8) -> u8 {
        let mark = self.markets[market].mark;
        let met = self.markets[market].queue(side.opposite()).values().take(steps.into());
        let stale = |order: &&Order| signed(order.side, order.price - mark) > floor_div(mark, 128);
        let met: Vec<Order> =
            met.take_while(stale).take_while(|order| Market::crosses(side, limit, order.price)).cloned().collect();
        let (cell, owner) = (self.trader(trader).cell, self.trader(trader).owner);
        let mut left = steps;
        for order in met {
            let expired = order.expires_at != 0 && self.now > order.expires_at;
            if self.trader(order.trader).owner != owner && !expired && !self.bears(market, &order) {
                self.drop_order(market, &order, TradeEventKind::RiskCancelled, cell);
                left -= 1;
            }
        }
        left
    }

    /// Whether the owner keeps maintenance margin if this order fills and, unless it is reduce-only, all others on its
    /// side with it, at its price.
    fn bears(&self, market: usize, order: &Order) -> bool {
        let row = &self.markets[market];
        let (base, open) = (self.position(order.trader, market).base, row.open(order.trader));
        let all = if order.side == Side::Bid { open.bids } else { open.asks };
        let lots = if order.reduce_only { order.lots.min(closable(base, order.side)) } else { all };
        let health = self.health(order.trader);
        let kept = row.maintenance((base + signed(order.side, lots)).abs()) - row.maintenance(base.abs());
        let loss = row.value((order.price - row.mark).abs(), lots);
        lots == 0 || health.equity - loss >= health.required + kept
    }

    /// Whether a maker closes size and has no equity afterwards. Not asked if closing all of it at this price leaves cash
    /// enough: a 32nd of its value.
    fn leaves_debt(&self, market: usize, order: &Order, price: i128, lots: i128, fee: i128) -> bool {
        let (row, held) = (&self.markets[market], self.position(order.trader, market));
        if closable(held.base, order.side) == 0 {
            return false;
        }
        let (cash, value) = (self.trader(order.trader).cash, row.value(price, held.base));
        if cash >= 0 && cash + held.quote + value > floor_div(value.abs(), 32) {
            return false;
        }
        let gain = signed(order.side, row.value(row.mark - price, lots));
        self.health(order.trader).equity + gain - fee < 0
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
                if lots == best.lots {
                    self.release_children(best.trader, taker.market, best.client_id, best.side);
                }
                self.log_order(taker.market, kind, &shrunk, cell);
                self.shrink(taker.market, best, lots);
            }
        }
    }

    fn fill(&mut self, taker: &mut Taker, offer: &Offer, lots: i128) {
        let (best, price) = (&offer.order, offer.price);
        let (market, side) = (taker.market, best.side.opposite());
        let value = self.markets[market].value(price, lots);
        let taker_fee = ceil_div(value * taker.rates.taker, PPM);
        // A charge is rounded up, a rebate towards zero: both are the ceiling.
        let maker_fee = ceil_div(value * taker.rates.maker, PPM);
        // The maker settles at once, fill by fill.
        self.settle_funding(best.trader, market);
        if self.leaves_debt(market, best, price, lots, maker_fee) {
            let cell = self.trader(taker.trader).cell;
            self.drop_order(market, best, TradeEventKind::RiskCancelled, cell);
            return;
        }
        self.shrink(market, best, lots);
        self.markets[market].consume(offer, lots);
        let closing = lots.min(closable(self.position(best.trader, market).base, best.side));
        let worth = |lots| price * lots;
        let tick_value = self.markets[market].terms.tick_value;
        let parts = ((closing, worth(closing) * tick_value), (lots - closing, worth(lots - closing) * tick_value));
        self.settle(best.trader, market, best.side, parts.0, parts.1);
        self.charge(best.trader, market, maker_fee);
        self.arm_children(best.trader, market, (best.client_id, best.side), lots);
        if lots == best.lots {
            self.release_children(best.trader, market, best.client_id, best.side);
        }
        // The taker's fills add up and settle at the end.
        let left = closable(self.position(taker.trader, market).base, side) - taker.closed.0;
        let closing = lots.min(left);
        taker.closed.0 += closing;
        taker.closed.1 += worth(closing) * tick_value;
        taker.opened.0 += lots - closing;
        taker.opened.1 += worth(lots - closing) * tick_value;
        taker.remaining -= lots;
        taker.fee += taker_fee;
        taker.rebates -= maker_fee.min(0);
        self.markets[market].last_trade_price = price;
        self.markets[market].last_trade_time = self.now;
        let (maker, taker) = (self.trader(best.trader).cell, self.trader(taker.trader).cell);
        self.log(market, TradeEventKind::Filled, best.side, |event| {
            (event.order, event.client_id) = (best.sequence, offer.client_id);
            (event.lots, event.price) = (lots, price);
            (event.maker, event.taker) = (maker, taker);
            (event.maker_fee, event.taker_fee) = (maker_fee, taker_fee);
        });
    }

    /// Books fills worth `closed.1 + opened.1`: the closed share of the cost becomes cash.
    pub(super) fn settle(
        &mut self,
        trader: usize,
        market: usize,
        side: Side,
        closed: (i128, i128),
        opened: (i128, i128),
    ) {
        if closed.0 + opened.0 == 0 {
            return;
        }
        let position = self.position_mut(trader, market);
        let before = position.base.signum();
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
        if before != 0 && position.base.signum() != before {
            position.turns += 1;
        }
    }

    fn charge(&mut self, trader: usize, market: usize, fee: i128) {
        self.trader_mut(trader).cash -= fee;
        self.position_mut(trader, market).fees_paid += fee;
        self.fees += fee;
    }

    fn rest(&mut self, taker: &Taker, order: &NewOrder) -> Result<u64> {
        let Taker { trader, market, remaining, .. } = *taker;
        let price = i128::from(order.price.get());
        self.make_room(market, order.side, price)?;
        let resting = self.enlist(trader, market, order, remaining)?;
        let sequence = resting.sequence;
        self.markets[market].queue_mut(order.side).insert(rank(order.side, price, sequence), resting.clone());
        self.log_order(market, TradeEventKind::Placed, &resting, NOBODY);
        Ok(sequence)
    }

    /// A full side's worst order goes for a better one.
    pub(super) fn make_room(&mut self, market: usize, side: Side, price: i128) -> Result<()> {
        let full = self.markets[market].queue(side).len() >= self.markets[market].terms.side_capacity;
        if full {
            let worst = self.markets[market].queue(side).values().next_back().cloned();
            let worst = worst.ok_or(EngineError::BookFull)?;
            if rank(side, price, 0).0 >= rank(side, worst.price, 0).0 {
                return Err(EngineError::BookFull);
            }
            self.drop_order(market, &worst, TradeEventKind::Evicted, NOBODY);
        }
        Ok(())
    }

    /// Gives an order a number, and its owner a price bound that covers it.
    pub(super) fn enlist(&mut self, trader: usize, market: usize, order: &NewOrder, lots: i128) -> Result<Order> {
        let price = i128::from(order.price.get());
        if self.markets[market].orders_of(trader).count() >= ORDERS_MAX {
            return Err(EngineError::OrdersTooMany);
        }
        self.position_mut(trader, market).cover(order.side, price);
        self.markets[market].orders_placed += 1;
        let sequence = self.markets[market].orders_placed;
        Ok(Order {
            sequence,
            listed: sequence,
            trader,
            side: order.side,
            price,
            lots,
            client_id: order.client_id,
            expires_at: order.expires_at.get(),
            reduce_only: order.reduce_only,
            peg: None,
        })
    }

    pub(super) fn drop_order(&mut self, market: usize, order: &Order, kind: TradeEventKind, taker: u32) {
        self.release_children(order.trader, market, order.client_id, order.side);
        self.log_order(market, kind, order, taker);
        self.shrink(market, order, order.lots);
    }

    /// Takes lots off an order; one without lots leaves the book or the queue.
    pub(super) fn shrink(&mut self, market: usize, order: &Order, lots: i128) {
        if self.markets[market].waits(order.sequence) {
            self.shrink_waiting(market, order, lots);
        } else if !self.markets[market].shrink_side(order.sequence, lots) {
            self.shrink_resting(market, order, lots);
        }
        let own = |other: &Order| other.side == order.side;
        if !self.markets[market].orders_of(order.trader).any(own) {
            let held = self.position_mut(order.trader, market);
            match order.side {
                Side::Bid => held.bid_bound = 0,
                Side::Ask => held.ask_bound = 0,
            }
        }
    }

    fn shrink_waiting(&mut self, market: usize, order: &Order, lots: i128) {
        let row = &mut self.markets[market];
        for place in &mut row.waiting {
            if let Some(waiting) = place.as_mut().filter(|waiting| waiting.order.sequence == order.sequence) {
                waiting.order.lots -= lots;
                if waiting.order.lots == 0 {
                    *place = None;
                }
            }
        }
        row.pass_left();
    }

    fn shrink_resting(&mut self, market: usize, order: &Order, lots: i128) {
        let row = &mut self.markets[market];
        let place = rank(order.side, order.price, order.sequence);
        let pegged = row.pegs.iter_mut().find(|other| other.sequence == order.sequence);
        let left = pegged.or_else(|| match order.side {
            Side::Bid => row.bids.get_mut(&place),
            Side::Ask => row.asks.get_mut(&place),
        });
        let left = left.expect("a resting order");
        left.lots -= lots;
        if left.lots == 0 {
            row.pegs.retain(|other| other.sequence != order.sequence);
            row.queue_mut(order.side).remove(&place);
        }
    }

    pub(super) fn log_order(&mut self, market: usize, kind: TradeEventKind, order: &Order, taker: u32) {
        let maker = self.trader(order.trader).cell;
        self.log(market, kind, order.side, |event| {
            (event.order, event.client_id) = (order.sequence, order.client_id);
            (event.lots, event.price) = (order.lots, order.price);
            (event.maker, event.taker) = (maker, taker);
        });
    }

    pub(super) fn log(&mut self, market: usize, kind: TradeEventKind, side: Side, fill: impl FnOnce(&mut Event)) {
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
