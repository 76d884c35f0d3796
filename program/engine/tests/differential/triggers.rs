//! Conditional orders at random: placed near the price, executed soon, named well or badly.

use super::{Run, model::pair::Op};
use quantdesk_engine::{
    Lots, Ppm, QuoteAtoms, Side, Ticks, UnixSeconds,
    book::NewTrigger,
    state::{Condition, Reference},
};

impl Run {
    pub(super) fn triggers(&mut self, trader: usize) -> Op {
        let market = self.random.index(3);
        match self.random.below(10) {
            0 => self.cancel_trigger(trader, market),
            1..=5 => {
                let placing = self.holder_of(market).filter(|_| self.random.chance(70)).unwrap_or(trader);
                let trigger = self.new_trigger(placing, market);
                Op::PlaceTrigger { trader: placing, market, trigger }
            }
            6 | 7 => self.parent(market).unwrap_or_else(|| self.trade(trader)),
            _ => {
                let count = 1 + self.random.below(4);
                let named = (0..count).map(|_| self.some_trigger(market)).collect();
                Op::ExecuteTriggers { keeper: trader, market, named }
            }
        }
    }

    /// Somebody who watches executes what there is, and mostly tries the triggers of one market in turn.
    pub(super) fn keep(&mut self, keeper: usize) -> Option<Op> {
        if !self.random.chance(self.habits.triggers / 2) {
            return None;
        }
        let model = &self.pair.model;
        let placed: Vec<usize> = (0..3).filter(|market| !model.markets[*market].triggers.is_empty()).collect();
        let market = (!placed.is_empty()).then(|| self.random.pick(&placed))?;
        let count = 1 + self.random.below(8);
        let named = (0..count).map(|_| self.some_trigger(market)).collect();
        Some(Op::ExecuteTriggers { keeper, market, named })
    }

    /// An order that a trigger waits for.
    fn parent(&mut self, market: usize) -> Option<Op> {
        let waiting = self.pair.model.markets[market].triggers.iter().filter(|trigger| trigger.parent != 0);
        let waiting: Vec<(usize, u64, Side)> = waiting.map(|it| (it.trader, it.parent, it.side.opposite())).collect();
        let (trader, client_id, side) = (!waiting.is_empty()).then(|| self.random.pick(&waiting))?;
        let mut order = self.order(trader, market);
        (order.client_id, order.side) = (client_id, side);
        (order.reduce_only, order.price) = (false, Ticks::new(self.marks[market] as u32));
        Some(Op::Place { trader: Some(trader), market, order })
    }

    /// Somebody with a position, so that there is something to reduce.
    fn holder_of(&mut self, market: usize) -> Option<usize> {
        let model = &self.pair.model;
        let held: Vec<usize> =
            model.live().map(|(id, _)| id).filter(|id| model.position(*id, market).base != 0).collect();
        (!held.is_empty()).then(|| self.random.pick(&held))
    }

    fn cancel_trigger(&mut self, trader: usize, market: usize) -> Op {
        let owners: Vec<usize> = self.pair.model.markets[market].triggers.iter().map(|it| it.trader).collect();
        let trader = if owners.is_empty() || self.random.chance(20) { trader } else { self.random.pick(&owners) };
        if self.random.chance(30) {
            return Op::CancelTriggerByClientId { trader, market, client_id: self.random.below(5) };
        }
        Op::CancelTrigger { trader, market, named: self.some_trigger(market) }
    }

    /// Mostly a live trigger, the newest most often; sometimes a name of none, or of none in this market.
    fn some_trigger(&mut self, market: usize) -> (u32, u64) {
        let market = if self.random.chance(3) { self.random.index(3) } else { market };
        let live: Vec<(u32, u64)> =
            self.pair.model.markets[market].triggers.iter().map(|it| (it.cell, it.number)).collect();
        let (cell, number) = if live.is_empty() { (0, 1) } else { self.random.pick(&live) };
        match self.random.below(30) {
            0 => (cell, number + 1),
            1 => (self.random.below(70) as u32, number),
            _ => (cell, number),
        }
    }

    fn new_trigger(&mut self, trader: usize, market: usize) -> NewTrigger {
        let (mark, step) = (self.marks[market], self.venue.grounds[market].step);
        let lots_max = self.venue.grounds[market].lots;
        let base = self.pair.model.position(trader, market).base;
        let closing = if base > 0 { Side::Ask } else { Side::Bid };
        let any = self.random.pick(&[Side::Bid, Side::Ask]);
        let reduce_only = self.random.chance(65);
        let condition = self.random.pick(&[
            Condition::Above,
            Condition::Below,
            Condition::Above,
            Condition::Below,
            Condition::Trailing,
            Condition::Twap,
        ]);
        let near = |run: &mut Self, steps: i64| (mark + run.random.range(-steps, steps) * step).max(1) as u32;
        let mut trigger = NewTrigger {
            condition,
            reference: self.random.pick(&[Reference::Mark, Reference::Mark, Reference::Last, Reference::Index]),
            side: if reduce_only && self.random.chance(85) { closing } else { any },
            reduce_only,
            price: Ticks::new(near(self, 4)),
            distance: Ticks::new((self.random.range(1, 4) * step) as u32),
            limit: Ticks::ZERO,
            slippage: Ppm::new(self.random.pick(&[0, 5_000, 30_000, 300_000])),
            lots: Lots::new(1 + self.random.below(lots_max)),
            share: Ppm::ZERO,
            tip: QuoteAtoms::new(self.tip(market)),
            client_id: if self.random.chance(self.habits.client_ids) { 1 + self.random.below(4) } else { 0 },
            parent: 0,
            group: self.random.pick(&[0, 0, 1, 2]),
            expires_at: UnixSeconds::ZERO,
            interval: 0,
            slices: 0,
        };
        self.specialise(market, &mut trigger);
        if condition == Condition::Twap {
            trigger.slices = self.random.pick(&[2, 3, 3, 10]);
            trigger.interval = self.random.pick(&[1, 5, 20]);
            trigger.lots = Lots::new(trigger.lots.get() * u64::from(self.random.pick(&[1u8, 4])));
        }
        if condition != Condition::Trailing {
            trigger.distance = Ticks::ZERO;
        }
        if matches!(condition, Condition::Trailing | Condition::Twap) {
            trigger.price = Ticks::ZERO;
        }
        if self.random.chance(self.habits.mistakes) {
            self.confuse(market, &mut trigger);
        }
        trigger
    }

    fn tip(&mut self, market: usize) -> u64 {
        let most = self.pair.model.markets[market].terms.tip_max as u64;
        let usual = most.min(1 + self.random.below(1_000));
        let more = if self.random.chance(self.habits.mistakes) { most.saturating_add(1) } else { most };
        self.random.pick(&[0, usual, usual, usual.min(10), more])
    }

    /// A share, a parent, a limit, an end.
    fn specialise(&mut self, market: usize, trigger: &mut NewTrigger) {
        let timed = trigger.condition == Condition::Twap;
        if trigger.reduce_only && self.random.chance(25) {
            (trigger.lots, trigger.share) = (Lots::ZERO, Ppm::new(self.random.pick(&[1, 333_333, 500_000, 1_000_000])));
        } else if trigger.reduce_only && !timed && self.random.chance(50) {
            (trigger.lots, trigger.parent) = (Lots::ZERO, 1 + self.random.below(4));
        }
        if !timed && self.random.chance(30) {
            let away = self.random.range(-3, 3) * self.venue.grounds[market].step;
            trigger.limit = Ticks::new((self.marks[market] + away).max(1) as u32);
            trigger.slippage = Ppm::ZERO;
        }
        if self.random.chance(self.habits.expiries) {
            trigger.expires_at = UnixSeconds::new(self.pair.model.now + self.random.range(1, 40));
        }
    }

    /// Something that does not go together, or is at or just past a bound.
    fn confuse(&mut self, market: usize, trigger: &mut NewTrigger) {
        let terms = &self.pair.model.markets[market].terms;
        let price = Ticks::new(self.random.pick(&[0, terms.price_max, terms.price_max + 1]) as u32);
        let lots = self.random.pick(&[0, 1, terms.lots_min - 1, terms.lots_max, terms.lots_max + 1]);
        match self.random.below(9) {
            0 => trigger.price = price,
            1 => trigger.limit = price,
            2 => trigger.distance = price,
            3 => trigger.lots = Lots::new(lots as u64),
            4 => trigger.slices = self.random.pick(&[0, 1, 2, 1_000, 1_001]),
            5 => trigger.interval = self.random.pick(&[0, 1, 86_400, 86_401]),
            6 => trigger.share = Ppm::new(self.random.pick(&[0, 1_000_000, 1_000_001])),
            7 => trigger.reduce_only = !trigger.reduce_only,
            _ => trigger.expires_at = UnixSeconds::new(self.pair.model.now - self.random.range(-1, 1)),
        }
    }
}
