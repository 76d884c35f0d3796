//! Orders and cancels at random.

use super::{
    Run,
    model::{self, pair::Op},
    support::world::order,
};
use quantdesk_engine::{
    Lots, NodeIndex, Side, Ticks, UnixSeconds,
    book::{NewOrder, OrderKind, SelfTrade, Sides},
};

impl Run {
    pub(super) fn trade(&mut self, trader: usize) -> Op {
        let market = self.random.index(3);
        match self.random.below(11) {
            10 => self.change(trader, market),
            0 => self.cancel(trader, market),
            1 => {
                let sides = self.random.pick(&[Sides::Both, Sides::Bids, Sides::Asks]);
                let limit = self.random.pick(&[0, 1, 2, 255]);
                Op::CancelAll { trader, market, sides, limit }
            }
            _ => {
                let order = self.order(trader, market);
                let known = !self.random.chance(self.habits.mistakes / 5);
                Op::Place { trader: known.then_some(trader), market, order }
            }
        }
    }

    /// What becomes of resting orders besides.
    fn change(&mut self, trader: usize, market: usize) -> Op {
        let owners: Vec<usize> = self.pair.model.markets[market].orders().map(|order| order.trader).collect();
        let trader = if owners.is_empty() || self.random.chance(10) { trader } else { self.random.pick(&owners) };
        let count = self.random.below(6);
        match self.random.below(8) {
            0 => {
                let named = (0..count).map(|_| self.named(trader, market)).collect();
                Op::CancelOrders { trader, market, named }
            }
            1 => Op::CancelByClientId { trader, market, client_id: self.random.below(5) },
            2 => {
                let named = (0..count).map(|_| self.expiring(market, trader)).collect();
                Op::DropExpired { market, named }
            }
            3 => Op::Heartbeat { trader, seconds: self.random.pick(&[0, 5, 5, 7, 20, 86_400]) },
            4 => {
                let silent = |account: &model::Trader| account.deadman.0 > 0;
                let watched: Vec<usize> =
                    self.pair.model.live().filter(|(_, account)| silent(account)).map(|(id, _)| id).collect();
                let target = if watched.is_empty() { trader } else { self.random.pick(&watched) };
                Op::EnforceDeadman { target, market, limit: self.random.pick(&[0, 1, 2, 255]) }
            }
            _ => self.amend(trader, market),
        }
    }

    /// Mostly fewer lots at the same price, or another price nearby.
    fn amend(&mut self, trader: usize, market: usize) -> Op {
        let named = self.named(trader, market);
        let (step, lots_max) = (self.venue.grounds[market].step, self.venue.grounds[market].lots);
        let known = self.pair.model.markets[market].find(named.1);
        let (price, lots) =
            known.map_or((self.marks[market], 1), |order| (order.price as i64, order.lots.unsigned_abs() as u64));
        let moved = price + self.random.range(-2, 2) * step;
        let price = if self.random.chance(60) { price } else { moved };
        let any = 1 + self.random.below(lots_max);
        let lots = self.random.pick(&[lots, lots.saturating_sub(1), lots / 2, lots + 1, any, u64::MAX]);
        Op::Amend { trader, market, named, price: price.clamp(0, u32::MAX.into()) as u32, lots }
    }

    fn named(&mut self, trader: usize, market: usize) -> (NodeIndex, u64) {
        match self.cancel(trader, market) {
            Op::Cancel { handle, sequence, .. } => (handle, sequence),
            _ => unreachable!(),
        }
    }

    /// Mostly an order that has an end, of anybody.
    fn expiring(&mut self, market: usize, trader: usize) -> (NodeIndex, u64) {
        let orders = self.pair.model.markets[market].orders().filter(|order| order.expires_at > 0);
        let numbers: Vec<u64> = orders.map(|order| order.sequence).collect();
        if numbers.is_empty() || self.random.chance(20) {
            return self.named(trader, market);
        }
        let sequence = self.random.pick(&numbers);
        (self.pair.handles.get(&(market, sequence)).copied().unwrap_or(NodeIndex::NIL), sequence)
    }

    /// Mostly a live order of the trader, sometimes another's or one that is gone.
    fn cancel(&mut self, trader: usize, market: usize) -> Op {
        let own: Vec<u64> = self.pair.model.markets[market].orders_of(trader).map(|order| order.sequence).collect();
        let placed = self.pair.model.markets[market].orders_placed;
        let sequence = if own.is_empty() || self.random.chance(20) {
            self.random.below(placed + 2)
        } else {
            self.random.pick(&own)
        };
        let known = self.pair.handles.get(&(market, sequence)).copied();
        let stray = NodeIndex::new(self.random.below(40) as u32);
        let handle = if self.random.chance(5) { stray } else { known.unwrap_or(stray) };
        Op::Cancel { trader, market, handle, sequence }
    }

    pub(super) fn order(&mut self, trader: usize, market: usize) -> NewOrder {
        let reduce_only = self.random.chance(self.habits.reduce_only);
        let closing = match self.pair.model.position(trader, market).base {
            base if base > 0 => Side::Ask,
            _ => Side::Bid,
        };
        let any = self.random.pick(&[Side::Bid, Side::Ask]);
        let side = if reduce_only && self.random.chance(80) { closing } else { any };
        let kinds = [
            OrderKind::Limit,
            OrderKind::Limit,
            OrderKind::Limit,
            OrderKind::PostOnly,
            OrderKind::PostOnlySlide,
            OrderKind::ImmediateOrCancel,
            OrderKind::FillOrKill,
            OrderKind::Market,
        ];
        let away = self.random.range(-3, 3) - self.habits.aggression;
        let away = if side == Side::Bid { -away } else { away } * self.venue.grounds[market].step;
        let price = (self.marks[market] + away).max(1) as u32;
        let lots_max = self.venue.grounds[market].lots;
        let kind = self.random.pick(&kinds);
        let mut order = order(side, kind, price, 1 + self.random.below(lots_max));
        order.reduce_only = reduce_only;
        order.self_trade = self.random.pick(&[
            SelfTrade::CancelMaker,
            SelfTrade::CancelTaker,
            SelfTrade::CancelBoth,
            SelfTrade::Decrement,
        ]);
        let now = self.pair.model.now;
        if self.random.chance(self.habits.client_ids) {
            order.client_id = 1 + self.random.below(4);
        }
        if self.random.chance(self.habits.expiries) {
            order.expires_at = UnixSeconds::new(now + self.random.range(1, 30));
        }
        if self.random.chance(self.habits.few_matches) {
            order.match_limit = 1 + self.random.below(3) as u8;
        }
        if self.random.chance(self.habits.mistakes) {
            self.spoil(market, &mut order);
        }
        order
    }

    /// An order at or just past one of the bounds it must keep.
    fn spoil(&mut self, market: usize, order: &mut NewOrder) {
        let terms = &self.pair.model.markets[market].terms;
        let (mark, reach) = (self.pair.model.markets[market].mark, terms.band);
        let reach = mark * reach / model::PPM;
        let edge = if order.side == Side::Bid { mark + reach } else { mark - reach };
        let prices = [0, terms.price_max, terms.price_max + 1, edge, edge + 1, edge - 1];
        let lots = [0, 1, terms.lots_min - 1, terms.lots_min, terms.lots_max, terms.lots_max + 1];
        match self.random.below(4) {
            0 => order.price = Ticks::new(self.random.pick(&prices).max(0) as u32),
            1 => order.lots = Lots::new(self.random.pick(&lots) as u64),
            2 => order.match_limit = 0,
            _ => order.expires_at = UnixSeconds::new(self.pair.model.now - self.random.range(-1, 1)),
        }
    }
}
