//! Makers' ladders at random: set, set anew, taken away, moved in and out of order, by their quoter or somebody else.

use super::{
    Run,
    model::{
        self,
        pair::Op,
        quote_ladder::{Ladder, Wanted},
    },
};
use quantdesk_engine::Side;

/// Levels as (distance, lots).
type Levels = Vec<(u32, u64)>;

impl Run {
    pub(super) fn quote_ladder(&mut self, trader: usize, market: usize) -> Op {
        let present: Vec<usize> =
            (0..16).filter(|number| self.pair.model.markets[market].ladders[*number].is_some()).collect();
        if present.is_empty() || self.random.chance(25) {
            let wanted = self.ladder_wanted(trader, market);
            return Op::SetLadder { trader, market, wanted };
        }
        let number = if self.random.chance(5) { self.random.index(40) } else { self.random.pick(&present) };
        self.ladder_move(trader, market, number)
    }

    fn ladder_move(&mut self, trader: usize, market: usize, number: usize) -> Op {
        let ladder: Option<Ladder> = self.pair.model.markets[market].ladders.get(number).cloned().flatten();
        let maker = ladder.as_ref().map_or(trader, |ladder| ladder.trader);
        let position = self.pair.model.position(maker, market).cell;
        let position = if self.random.chance(3) { self.random.below(64) as u32 } else { position };
        let (last, quoter) = ladder.map_or((0, 1), |ladder| (ladder.sequence, ladder.quoter));
        let quoter = if self.random.chance(3) { self.random.below(9) + 1 } else { quoter };
        let sequence = if self.random.chance(10) { last.saturating_sub(self.random.below(3)) } else { last + 1 };
        let mid = self.middle(market);
        Op::MoveLadder { market, number: number as u32, position, quoter, sequence, mid }
    }

    /// Mostly near the mark, sometimes through the book, sometimes nothing for sale, sometimes nonsense.
    fn middle(&mut self, market: usize) -> u32 {
        let near = self.marks[market] + self.random.range(-3, 3) * self.venue.grounds[market].step;
        match self.random.below(20) {
            0 => 0,
            1 => self.random.pick(&[1, 2, u32::MAX, u32::MAX - 1]),
            2 => (self.marks[market] * 2) as u32,
            _ => near.max(0) as u32,
        }
    }

    fn ladder_wanted(&mut self, trader: usize, market: usize) -> Wanted {
        let last = self.pair.model.position(trader, market).quote_sequence;
        let number = self.pair.model.markets[market].ladders.iter().flatten().find(|it| it.trader == trader);
        let last = number.map_or(last, |ladder| ladder.sequence.max(last));
        let sequence = if self.random.chance(10) { last.saturating_sub(self.random.below(2)) } else { last + 1 };
        let nothing = self.random.chance(10);
        let quoter = if self.random.chance(1) { 0 } else { self.random.below(9) + 1 };
        let mut sides = [Side::Bid, Side::Ask].map(|side| {
            if nothing || self.random.chance(15) { (0, 0, Vec::new()) } else { self.ladder_side(market, side) }
        });
        if self.random.chance(self.habits.mistakes) {
            self.spoil_ladder(market, &mut sides);
        }
        Wanted { sequence, quoter, mid: self.middle(market), sides }
    }

    fn ladder_side(&mut self, market: usize, side: Side) -> (u32, u64, Levels) {
        let (step, most) = (self.venue.grounds[market].step, self.venue.grounds[market].lots);
        let terms = &self.pair.model.markets[market].terms;
        let least = terms.lots_min as u64;
        let many = self.random.pick(&[3, 3, 3, 8]);
        let levels = 1 + self.random.below(many);
        let mut distance = self.random.range(0, 2) * step;
        let mut all = Levels::new();
        for _ in 0..levels {
            all.push((distance as u32, least.max(1 + self.random.below(most))));
            distance += self.random.range(1, 2 * step);
        }
        // Mostly a limit that the levels keep, sometimes one they run into.
        let away = self.random.range(-2, 3) * step;
        let limit = self.marks[market] + if side == Side::Bid { away } else { -away };
        let reserve = least.max(1 + self.random.below(2 * most));
        (limit.max(1) as u32, reserve, all)
    }

    fn spoil_ladder(&mut self, market: usize, sides: &mut [(u32, u64, Levels); 2]) {
        let terms = &self.pair.model.markets[market].terms;
        let lots = [0, terms.lots_min - 1, terms.lots_max, terms.lots_max + 1];
        let edge = self.pair.model.markets[market].mark * terms.band / model::PPM;
        let mark = self.pair.model.markets[market].mark;
        let prices = [0, terms.price_max, terms.price_max + 1, mark + edge + 1, mark - edge - 1];
        let half = &mut sides[self.random.index(2)];
        match self.random.below(5) {
            0 => half.0 = self.random.pick(&prices).max(0) as u32,
            1 => half.1 = self.random.pick(&lots) as u64,
            2 => half.2.extend([(3, 3), (3, 3)]),
            3 => half.2.resize(9, (u32::MAX, 1)),
            _ => half.2.iter_mut().for_each(|level| level.1 = self.random.pick(&lots) as u64),
        }
    }
}
