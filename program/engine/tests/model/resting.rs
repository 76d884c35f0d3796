//! Resting orders in the model: amended, cancelled many at a time, by client id, by the dead-man switch, dropped when they
//! have expired. Orders are named by their numbers; `None` is a name that no order ever had.

use super::{Model, NOBODY, Order};
use quantdesk_engine::{
    EngineError, Lots, Result, Ticks, UnixSeconds,
    book::{NewOrder, OrderKind, SelfTrade},
    state::TradeEventKind,
};

impl Model {
    pub fn heartbeat(&mut self, trader: usize, seconds: u32) {
        self.note_nothing();
        self.trader_mut(trader).deadman = (seconds, self.now);
    }

    fn named(&self, market: usize, sequence: Option<u64>) -> Option<Order> {
        self.markets[market].find(sequence?).cloned()
    }

    pub fn cancel_orders(&mut self, trader: usize, market: usize, named: &[Option<u64>]) -> Result<u8> {
        self.attempt(|model| {
            let mut cancelled = 0;
            for sequence in named {
                if let Some(order) = model.named(market, *sequence).filter(|order| order.trader == trader) {
                    if model.markets[market].waits(order.sequence) {
                        continue;
                    }
                    model.drop_order(market, &order, TradeEventKind::Cancelled, NOBODY);
                    cancelled += 1;
                }
            }
            Ok(cancelled)
        })
    }

    pub fn cancel_by_client_id(&mut self, trader: usize, market: usize, client_id: u64) -> Result<()> {
        self.attempt(|model| {
            let named = |order: &&Order| order.client_id == client_id && client_id > 0;
            let found = model.markets[market].orders_of(trader).find(named).cloned();
            let order = found.ok_or(EngineError::OrderNotFound)?;
            if model.markets[market].waits(order.sequence) {
                return Err(EngineError::OrderWaiting);
            }
            model.drop_order(market, &order, TradeEventKind::Cancelled, NOBODY);
            Ok(())
        })
    }

    pub fn drop_expired(&mut self, market: usize, named: &[Option<u64>]) -> Result<u8> {
        self.attempt(|model| {
            let mut dropped = 0;
            for sequence in named {
                let Some(order) = model.named(market, *sequence) else { continue };
                if order.expires_at != 0 && model.now > order.expires_at {
                    model.drop_order(market, &order, TradeEventKind::Expired, NOBODY);
                    dropped += 1;
                }
            }
            if dropped == 0 { Err(EngineError::NothingToClose) } else { Ok(dropped) }
        })
    }

    pub fn enforce_deadman(&mut self, target: usize, market: usize, limit: u8) -> Result<u8> {
        self.attempt(|model| {
            let (seconds, set_at) = model.trader(target).deadman;
            if seconds == 0 || model.now - set_at <= i64::from(seconds) {
                return Err(EngineError::HeartbeatAlive);
            }
            let mut orders = model.newest_first(target, market);
            orders.retain(|order| !order.reduce_only && !model.markets[market].waits(order.sequence));
            orders.truncate(limit.into());
            for order in &orders {
                model.drop_order(market, order, TradeEventKind::DeadmanCancelled, NOBODY);
            }
            let mut triggers = model.triggers_of(target, market);
            triggers.retain(|trigger| !trigger.reduce_only);
            triggers.truncate(usize::from(limit) - orders.len());
            for trigger in &triggers {
                model.remove_trigger(market, trigger.number, NOBODY);
            }
            let gone = orders.len() + triggers.len();
            if gone == 0 { Err(EngineError::NothingToClose) } else { Ok(gone as u8) }
        })
    }

    /// Returns the number of what rests afterwards.
    pub fn amend(
        &mut self,
        trader: usize,
        market: usize,
        sequence: Option<u64>,
        price: u32,
        lots: u64,
    ) -> Result<Option<u64>> {
        self.attempt(|model| {
            let order = model.named(market, sequence).filter(|order| order.trader == trader);
            let order = order.ok_or(EngineError::OrderNotFound)?;
            let row = &model.markets[market];
            let on_ladder = row.ladder_orders().any(|side| side.sequence == order.sequence);
            if row.waits(order.sequence) || order.peg.is_some() || on_ladder {
                return Err(EngineError::OrderNotAmendable);
            }
            let wanted = i128::from(lots);
            if wanted == 0 {
                return Err(EngineError::OrderLotsOutOfRange);
            }
            if i128::from(price) == order.price && wanted == order.lots {
                return Ok(Some(order.sequence));
            }
            if i128::from(price) == order.price && wanted < order.lots {
                if wanted < model.markets[market].terms.lots_min && !order.reduce_only {
                    return Err(EngineError::OrderLotsOutOfRange);
                }
                model.shrink(market, &order, order.lots - wanted);
                let smaller = Order { lots: wanted, ..order };
                model.log_order(market, TradeEventKind::Amended, &smaller, NOBODY);
                return Ok(Some(smaller.sequence));
            }
            // Not dropped: what waits for it waits for the new one.
            model.log_order(market, TradeEventKind::Cancelled, &order, NOBODY);
            model.shrink(market, &order, order.lots);
            let anew = NewOrder {
                side: order.side,
                kind: OrderKind::PostOnly,
                price: Ticks::new(price),
                lots: Lots::new(lots),
                client_id: order.client_id,
                expires_at: UnixSeconds::new(order.expires_at),
                self_trade: SelfTrade::CancelMaker,
                reduce_only: order.reduce_only,
                match_limit: 255,
                peg_offset: 0,
            };
            model.place_now(Some(trader), market, &anew).map(|outcome| outcome.resting)
        })
    }
}
