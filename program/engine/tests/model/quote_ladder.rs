//! Makers' ladders in the model: a list of levels that are left, and what may be filled in all.

use super::{
    Market, Model, NOBODY, Order,
    compare::{described, same},
    floor_div,
    matching::{ORDERS_MAX, Taker, signed},
    pair::{Did, Op, Pair, agree, did},
    rank,
};
use crate::support::world::{key, order};
use quantdesk_engine::{
    CellIndex, EngineError, Lots, NodeIndex, Result, Side, Ticks,
    book::{LadderMove, Moved, NewLadder, NewLadderSide, OrderKind, SelfTrade},
    state::{LadderLevel, LedgerView, MarketView, Source, TradeEventKind},
};

/// Ladders of a market, levels of a side.
pub const LADDERS: usize = 16;
const LEVELS: usize = 8;

/// A maker's ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    pub trader: usize,
    pub quoter: u64,
    pub sequence: u64,
    /// Its place in time.
    pub order: u64,
    pub mid: i128,
    pub sides: Vec<Half>,
}

/// A side of a ladder: an order that says what it may fill and come to, and levels as (distance, lots).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Half {
    pub order: Order,
    pub levels: Vec<(i128, i128)>,
    pub left: Vec<(i128, i128)>,
}

/// What can be taken: an order at a price, so many lots of it.
#[derive(Clone, Debug)]
pub struct Offer {
    pub order: Order,
    pub price: i128,
    pub room: i128,
    /// Its place in time.
    pub time: u64,
    pub ladder: Option<usize>,
    /// The maker's number of a ladder, an order's client id.
    pub client_id: u64,
}

/// A side asked for: limit, reserve, levels as (distance, lots).
pub type WantedSide = (u32, u64, Vec<(u32, u64)>);

/// A ladder asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub sequence: u64,
    pub quoter: u64,
    pub mid: u32,
    pub sides: [WantedSide; 2],
}

impl Wanted {
    /// As the engine is told.
    pub fn tell<R>(&self, call: impl FnOnce(&NewLadder<'_>) -> R) -> R {
        let levels = self.sides.each_ref().map(|(_, _, levels)| levels_of(levels));
        let side = |place: usize| NewLadderSide {
            limit: Ticks::new(self.sides[place].0),
            reserve: Lots::new(self.sides[place].1),
            levels: &levels[place],
        };
        let quoter = if self.quoter == 0 { quantdesk_engine::state::Key::ZERO } else { key(self.quoter) };
        call(&NewLadder { sequence: self.sequence, quoter, mid: Ticks::new(self.mid), bids: side(0), asks: side(1) })
    }

    fn is_sound(&self) -> bool {
        self.quoter != 0
            && self.sides.iter().all(|(limit, reserve, levels)| {
                let ascending = levels.windows(2).all(|pair| pair[0].0 < pair[1].0);
                ascending && levels.len() <= LEVELS && (!levels.is_empty() || (*limit, *reserve) == (0, 0))
            })
    }

    fn is_nothing(&self) -> bool {
        self.sides.iter().all(|(_, _, levels)| levels.is_empty())
    }

    fn sides(&self) -> impl Iterator<Item = (Side, &WantedSide)> {
        [Side::Bid, Side::Ask].into_iter().zip(&self.sides).filter(|(_, (_, _, levels))| !levels.is_empty())
    }
}

fn levels_of(levels: &[(u32, u64)]) -> Vec<LadderLevel> {
    levels.iter().map(|(distance, lots)| LadderLevel::new(Ticks::new(*distance), Lots::new(*lots))).collect()
}

impl Ladder {
    fn price(&self, side: Side, distance: i128) -> i128 {
        (self.mid - signed(side, distance)).clamp(0, u32::MAX.into())
    }

    /// Everything a side still offers, nearest first.
    fn offers(&self, number: usize, side: Side) -> Vec<Offer> {
        let mut offers = Vec::new();
        for half in self.sides.iter().filter(|half| half.order.side == side && self.mid != 0) {
            offers.extend(half.left.iter().map(|(distance, lots)| Offer {
                order: half.order.clone(),
                price: self.price(side, *distance),
                room: *lots,
                time: self.order,
                ladder: Some(number),
                client_id: self.sequence,
            }));
        }
        offers
    }
}

impl Market {
    /// What each side of each ladder may come to.
    pub fn ladder_orders(&self) -> impl Iterator<Item = &Order> {
        self.ladders.iter().flatten().flat_map(|ladder| ladder.sides.iter().map(|half| &half.order))
    }

    fn ladder_offers(&self, side: Side) -> Vec<Offer> {
        let numbered = self.ladders.iter().enumerate();
        numbered.filter_map(|(number, ladder)| Some(ladder.as_ref()?.offers(number, side))).flatten().collect()
    }

    fn book_offer(&self, side: Side) -> Option<Offer> {
        let order = self.queue(side).values().next().cloned()?;
        let (price, room, time, client_id) = (order.price, order.lots, order.sequence, order.client_id);
        Some(Offer { order, price, room, time, ladder: None, client_id })
    }

    /// Price, then time; of one ladder the nearest level, all of which came at one time.
    fn first(side: Side, offers: impl Iterator<Item = Offer>) -> Option<Offer> {
        offers.min_by_key(|offer| rank(side, offer.price, offer.time))
    }

    /// What a taker meets next.
    pub fn best_offer(&self, side: Side) -> Option<Offer> {
        let outside = self.ladder_offers(side).into_iter().chain(self.pegged_offers(side));
        Self::first(side, outside.chain(self.book_offer(side)))
    }

    /// The best of what a taker may have.
    pub fn best_for_sale(&self, side: Side, now: i64) -> Option<Offer> {
        let live = |offer: &Offer| offer.order.expires_at == 0 || now <= offer.order.expires_at;
        let outside = self.ladder_offers(side).into_iter().chain(self.pegged_offers(side));
        Self::first(side, outside.filter(live).filter(|offer| self.is_for_sale(offer)).chain(self.book_offer(side)))
    }

    /// What is outside the book trades neither beyond its limit nor more than a 128th through the mark.
    pub fn is_for_sale(&self, offer: &Offer) -> bool {
        let Order { side, price: limit, .. } = offer.order;
        let within = signed(side, offer.price) <= signed(side, limit);
        let stale = signed(side, offer.price - self.mark) > floor_div(self.mark, 128);
        let in_book = offer.ladder.is_none() && offer.order.peg.is_none();
        in_book || (within && !stale)
    }

    fn half_mut(&mut self, sequence: u64) -> Option<&mut Half> {
        let sides = self.ladders.iter_mut().flatten().flat_map(|ladder| &mut ladder.sides);
        sides.into_iter().find(|half| half.order.sequence == sequence)
    }

    /// Levels that are not for sale are consumed, up to the first that is.
    pub fn pass(&mut self, met: &Offer) {
        let number = met.ladder.expect("a ladder's offer");
        let offers = self.ladders[number].as_ref().expect("a ladder").offers(number, met.order.side);
        let passed = offers.iter().take_while(|offer| !self.is_for_sale(offer)).count();
        let half = self.half_mut(met.order.sequence).expect("a side");
        half.left.drain(..passed);
    }

    /// Takes lots off the level.
    pub fn consume(&mut self, offer: &Offer, lots: i128) {
        // The ladder may be gone with its last lot.
        if let Some(half) = self.half_mut(offer.order.sequence) {
            half.left[0].1 -= lots;
            half.left.retain(|(_, lots)| *lots > 0);
        }
    }

    /// Takes lots off the reserve of the ladder's side with this number, if there is one; a side without ends.
    pub fn shrink_side(&mut self, sequence: u64, lots: i128) -> bool {
        let Some(half) = self.half_mut(sequence) else { return false };
        half.order.lots -= lots;
        for place in &mut self.ladders {
            if let Some(ladder) = place {
                ladder.sides.retain(|half| half.order.lots > 0);
            }
            if place.as_ref().is_some_and(|ladder| ladder.sides.is_empty()) {
                *place = None;
            }
        }
        true
    }

    /// All levels are there again, but for those that would take the best order on the other side.
    fn arm(&self, ladder: &mut Ladder) {
        let (mid, best) = (ladder.clone(), |side| self.queue(side).values().next().map(|order| order.price));
        for half in &mut ladder.sides {
            let side = half.order.side;
            let takes = |distance| {
                let price = mid.price(side, distance);
                best(side.opposite()).is_some_and(|best| Self::crosses(side, price, best))
            };
            half.left = half.levels.iter().copied().filter(|(distance, _)| !takes(*distance)).collect();
        }
    }
}

impl Model {
    fn ladder_of(&self, trader: usize, market: usize) -> Option<usize> {
        let own = |ladder: &Option<Ladder>| ladder.as_ref().is_some_and(|ladder| ladder.trader == trader);
        self.markets[market].ladders.iter().position(own)
    }

    pub fn set_ladder(&mut self, trader: usize, market: usize, wanted: &Wanted) -> Result<bool> {
        self.attempt(|model| model.set_ladder_now(trader, market, wanted))
    }

    fn set_ladder_now(&mut self, trader: usize, market: usize, wanted: &Wanted) -> Result<bool> {
        if !wanted.is_sound() {
            return Err(EngineError::LadderInvalid);
        }
        self.enter(trader, market)?;
        let present = self.ladder_of(trader, market);
        let moved = present.map_or(0, |number| self.markets[market].ladders[number].as_ref().unwrap().sequence);
        if wanted.sequence <= moved || wanted.sequence <= self.position(trader, market).quote_sequence {
            return Ok(false);
        }
        self.position_mut(trader, market).quote_sequence = wanted.sequence;
        if !wanted.is_nothing() && self.trader(trader).bankrupt {
            return Err(EngineError::AccountBankrupt);
        }
        if !wanted.is_nothing() {
            self.check_fee(trader, market)?;
        }
        for (side, (limit, reserve, levels)) in wanted.sides() {
            for lots in [*reserve].into_iter().chain(levels.iter().map(|(_, lots)| *lots)) {
                self.check_order(market, &order(side, OrderKind::PostOnly, *limit, lots))?;
            }
        }
        let (worst, interest) = (self.worst_lots(trader, market), self.open_interest(market));
        if let Some(number) = present {
            self.drop_ladder(market, number, TradeEventKind::Cancelled);
        }
        if wanted.is_nothing() {
            return Ok(true);
        }
        self.narrow_bounds(trader, market);
        let number = match present {
            Some(number) => number,
            None => self.place_for_ladder(market, wanted)?,
        };
        self.put_ladder(trader, market, number, wanted)?;
        self.check_limits(trader, market, worst, interest)?;
        self.check_risk(trader, None)?;
        Ok(true)
    }

    fn drop_ladder(&mut self, market: usize, number: usize, kind: TradeEventKind) {
        let ladder = self.markets[market].ladders[number].clone().expect("a ladder");
        for half in &ladder.sides {
            self.drop_order(market, &half.order, kind, NOBODY);
        }
    }

    /// The first free one, or the first of those with the fewest lots left if they are fewer.
    fn place_for_ladder(&mut self, market: usize, wanted: &Wanted) -> Result<usize> {
        if let Some(free) = self.markets[market].ladders.iter().position(Option::is_none) {
            return Ok(free);
        }
        let reserve: i128 = wanted.sides().map(|(_, (_, reserve, _))| i128::from(*reserve)).sum();
        let lots = |ladder: &Ladder| ladder.sides.iter().map(|half| half.order.lots).sum::<i128>();
        let numbered = self.markets[market].ladders.iter().flatten().enumerate();
        let (fewest, number) = numbered.map(|(number, ladder)| (lots(ladder), number)).min().expect("all in use");
        if fewest >= reserve {
            return Err(EngineError::LaddersFull);
        }
        self.drop_ladder(market, number, TradeEventKind::Evicted);
        Ok(number)
    }

    fn put_ladder(&mut self, trader: usize, market: usize, number: usize, wanted: &Wanted) -> Result<()> {
        let mut sides: Vec<Half> = Vec::new();
        for (side, (limit, reserve, levels)) in wanted.sides() {
            if self.markets[market].orders_of(trader).count() + sides.len() >= ORDERS_MAX {
                return Err(EngineError::OrdersTooMany);
            }
            self.position_mut(trader, market).cover(side, (*limit).into());
            self.markets[market].orders_placed += 1;
            let order = Order {
                sequence: self.markets[market].orders_placed,
                trader,
                side,
                price: (*limit).into(),
                lots: (*reserve).into(),
                client_id: 0,
                expires_at: 0,
                reduce_only: false,
                listed: self.markets[market].orders_placed,
                peg: None,
            };
            let logged = Order { client_id: wanted.sequence, ..order.clone() };
            self.log_order(market, TradeEventKind::LadderSet, &logged, NOBODY);
            let levels = levels.iter().map(|(distance, lots)| (i128::from(*distance), i128::from(*lots))).collect();
            sides.push(Half { order, levels, left: Vec::new() });
        }
        let order = self.markets[market].orders_placed;
        let (quoter, sequence, mid) = (wanted.quoter, wanted.sequence, wanted.mid.into());
        let mut ladder = Ladder { trader, quoter, sequence, order, mid, sides };
        self.markets[market].arm(&mut ladder);
        self.markets[market].ladders[number] = Some(ladder);
        Ok(())
    }

    pub fn move_ladder(&mut self, market: usize, op: &Op) -> Result<Moved> {
        let Op::MoveLadder { number, position, quoter, sequence, mid, .. } = *op else { unreachable!() };
        self.attempt(|model| {
            let found = model.markets[market].ladders.get(number as usize).cloned().flatten();
            let own = |ladder: &Ladder| model.position(ladder.trader, market).cell == position;
            let mut ladder = found.filter(own).ok_or(EngineError::LadderNotFound)?;
            if ladder.quoter != quoter {
                return Ok(Moved::NotAllowed);
            }
            if sequence <= ladder.sequence {
                return Ok(Moved::Before);
            }
            model.markets[market].orders_placed += 1;
            let last = ladder.order;
            (ladder.sequence, ladder.mid, ladder.order) = (sequence, mid.into(), model.markets[market].orders_placed);
            let now = ladder.order;
            model.markets[market].arm(&mut ladder);
            model.markets[market].ladders[number as usize] = Some(ladder);
            model.log(market, TradeEventKind::LadderMoved, Side::Bid, |event| {
                (event.order, event.client_id, event.price) = (now, last, mid.into());
            });
            Ok(Moved::Now)
        })
    }

    /// A taker and its owner's ladder: what would be cancelled is the level.
    pub(super) fn prevent_on_ladder(&mut self, taker: &mut Taker, offer: &Offer, policy: SelfTrade) {
        taker.stopped = matches!(policy, SelfTrade::CancelTaker | SelfTrade::CancelBoth);
        let lots = match policy {
            SelfTrade::CancelTaker => return,
            SelfTrade::CancelMaker | SelfTrade::CancelBoth => offer.room,
            SelfTrade::Decrement => offer.room.min(offer.order.lots).min(taker.remaining),
        };
        if policy == SelfTrade::Decrement {
            taker.remaining -= lots;
        }
        let cell = self.trader(taker.trader).cell;
        let spent = Order { client_id: offer.client_id, lots, price: offer.price, ..offer.order.clone() };
        self.log_order(taker.market, TradeEventKind::SelfTradePrevented, &spent, cell);
        self.markets[taker.market].consume(offer, lots);
    }
}

impl Pair {
    pub(super) fn run_quote_ladder(&mut self, op: &Op) -> std::result::Result<Did, String> {
        Ok(match op {
            Op::SetLadder { trader, market, wanted } => {
                let cell = self.cell(*trader);
                let engine = wanted.tell(|it| self.world.trading(*market, |trading| trading.set_ladder(cell, it)));
                let view = self.world.market(*market);
                for (node, index) in view.nodes.iter().zip(0..).filter(|(node, _)| node.source() == Source::Ladder) {
                    self.handles.insert((*market, node.sequence.get()), NodeIndex::new(index));
                }
                did(agree(engine, self.model.set_ladder(*trader, *market, wanted))?, Did::Quoted)
            }
            Op::MoveLadder { market, number, position, quoter, sequence, mid } => {
                let (number, position) = (*number, CellIndex::new(*position));
                let wanted = LadderMove { number, position, sequence: *sequence, mid: Ticks::new(*mid) };
                let by = key(*quoter);
                let engine = self.world.trading(*market, |trading| trading.market.move_ladder(by.as_bytes(), &wanted));
                did(agree(engine, self.model.move_ladder(*market, op))?, |moved| Did::Quoted(moved == Moved::Now))
            }
            _ => unreachable!("{op:?} is not about a ladder"),
        })
    }
}

/// Ladders in the bytes are those of the model.
pub fn equal(
    model: &Model,
    view: &LedgerView<'_>,
    book: &MarketView<'_>,
    market: &Market,
) -> std::result::Result<(), String> {
    for (number, expected) in market.ladders.iter().enumerate() {
        let used = book.header.ladders >> number & 1 != 0;
        same("ladder in use", used, expected.is_some())?;
        let (Some(expected), found) = (expected, &book.annex.ladders[number]) else { continue };
        let position = view.position(found.position).map_err(|error| format!("{error:?}"))?;
        same("maker of a ladder", position.trader.get(), model.trader(expected.trader).cell)?;
        same("quoter", found.quoter, key(expected.quoter))?;
        let mut sides = Vec::new();
        for half in [&found.bids, &found.asks] {
            let Some(node) = book.node(half.node) else { continue };
            let all: Vec<(i128, i128)> = half
                .levels
                .iter()
                .map(|level| (i128::from(level.distance.get()), i128::from(level.lots.get())))
                .filter(|(_, lots)| *lots > 0)
                .collect();
            let mut left: Vec<_> = all.iter().copied().skip(half.level as usize).collect();
            if let Some(first) = left.first_mut() {
                first.1 -= i128::from(half.used.get());
            }
            let known = expected.sides.iter().find(|half| half.order.sequence == node.sequence.get());
            let Some(known) = known else { return Err(format!("side {} of a ladder", node.sequence.get())) };
            sides.push(Half { order: described(node, &known.order), levels: all, left });
        }
        let found = Ladder {
            trader: expected.trader,
            quoter: expected.quoter,
            sequence: found.sequence,
            order: found.order.get(),
            mid: found.mid.get().into(),
            sides,
        };
        same("ladder", &found, expected)?;
    }
    Ok(())
}
