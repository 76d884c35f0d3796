//! Orders pegged to the index in the model: a list, looked through whenever something is asked about it.

use super::{
    Market, Model, NOBODY, Order,
    matching::{Taker, signed},
    quote_ladder::Offer,
    rank,
};
use quantdesk_engine::{EngineError, Result, Side, Ticks, book::NewOrder, state::TradeEventKind};

/// Pegged orders of a side.
const PEGGED_MAX: usize = 128;

impl Market {
    /// What an order trades at now, if there is such a price.
    pub(super) fn price_of(&self, order: &Order) -> Option<i128> {
        let Some(offset) = order.peg else { return Some(order.price) };
        let price = self.index + offset;
        match order.side {
            Side::Bid if price < 1 => None,
            Side::Ask if price > self.terms.price_max => None,
            _ => Some(price),
        }
    }

    /// What a pegged order offers now, if it has a price.
    fn pegged_offer(&self, order: &Order) -> Option<Offer> {
        let (price, room, time, client_id) = (self.price_of(order)?, order.lots, order.sequence, order.client_id);
        Some(Offer { order: order.clone(), price, room, time, ladder: None, client_id })
    }

    /// What the pegged orders of a side offer, for sale or not.
    pub(super) fn pegged_offers(&self, side: Side) -> Vec<Offer> {
        let own = self.pegs.iter().filter(|order| order.side == side);
        own.filter_map(|order| self.pegged_offer(order)).collect()
    }

    /// Pegged orders of a side, the nearest to the other side first, then the oldest.
    pub fn pegs_of(&self, side: Side) -> Vec<Order> {
        let mut pegs: Vec<Order> = self.pegs.iter().filter(|order| order.side == side).cloned().collect();
        pegs.sort_by_key(|order| rank(side, order.peg.expect("a pegged order"), order.sequence));
        pegs
    }
}

impl Model {
    /// A pegged order meets the other side as a post-only one at its present price would.
    pub(super) fn as_post_only(&self, market: usize, order: &NewOrder) -> Result<NewOrder> {
        if order.price == Ticks::MAX {
            return Err(EngineError::OrderPriceOutOfRange);
        }
        let row = &self.markets[market];
        let asked = Order {
            sequence: 0,
            listed: 0,
            trader: 0,
            side: order.side,
            price: order.price.get().into(),
            lots: 0,
            client_id: 0,
            expires_at: 0,
            reduce_only: false,
            peg: Some(order.peg_offset.into()),
        };
        let offer =
            row.pegged_offer(&asked).filter(|offer| row.is_for_sale(offer)).ok_or(EngineError::PegNotForSale)?;
        let kind = quantdesk_engine::book::OrderKind::PostOnly;
        Ok(NewOrder { kind, price: Ticks::new(offer.price as u32), ..*order })
    }

    pub(super) fn rest_pegged(&mut self, taker: &Taker, order: &NewOrder) -> Result<u64> {
        let (market, offset) = (taker.market, i128::from(order.peg_offset));
        let pegs = self.markets[market].pegs_of(order.side);
        if pegs.len() >= PEGGED_MAX {
            let worst = pegs[pegs.len() - 1].clone();
            if signed(order.side, offset) <= signed(order.side, worst.peg.expect("a pegged order")) {
                return Err(EngineError::BookFull);
            }
            self.drop_order(market, &worst, TradeEventKind::Evicted, NOBODY);
        }
        let (trader, market) = (taker.trader, taker.market);
        let resting = Order { peg: Some(offset), ..self.enlist(trader, market, order, taker.remaining)? };
        self.markets[market].pegs.push(resting.clone());
        // Where the taker would be named stands the distance.
        self.log_order(market, TradeEventKind::PegPlaced, &resting, order.peg_offset as u32);
        Ok(resting.sequence)
    }
}
