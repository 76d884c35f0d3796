//! Money that comes and goes, stakes in the pool, and prices at random.

use super::{Run, model::pair::Op};
use quantdesk_engine::{EngineError, PicoPrice, UnixSeconds, risk::price::SourcePrice};

impl Run {
    /// Somebody without anything mostly gets something.
    pub(super) fn pocket_money(&mut self, trader: usize) -> Option<u64> {
        let empty = self.pair.model.trader(trader).cash == 0 && self.random.chance(60);
        empty.then(|| 1 + self.random.below(10u64.pow(self.habits.wealth) * 9))
    }

    pub(super) fn money(&mut self, trader: usize) -> Op {
        let scale = 10u64.pow(self.random.range(2, self.habits.wealth.into()) as u32);
        let atoms = match self.random.below(40) {
            0 => 0,
            1 => self.random.pick(&[1, 1 << 62, u64::MAX]),
            _ => 1 + self.random.below(scale * 10),
        };
        if self.random.chance(15) {
            let target = self.live().unwrap_or(trader);
            let available = self.pair.model.withdrawable(trader).0 as u64;
            let target = self.sibling(trader).unwrap_or(target);
            return Op::Transfer { trader, target, atoms: self.random.pick(&[atoms, available, available + 1]) };
        }
        if self.random.chance(45) || self.pair.model.trader(trader).cash <= 0 {
            return Op::Deposit { trader, atoms };
        }
        let available = self.pair.model.withdrawable(trader).0 as u64;
        let atoms = match self.random.below(4) {
            0 => atoms,
            1 => available,
            2 => available + 1,
            _ => available / 2,
        };
        Op::Withdraw { trader, atoms }
    }

    /// Another account of the same owner, if there is one and the dice say so.
    fn sibling(&mut self, trader: usize) -> Option<usize> {
        let owner = self.pair.model.trader(trader).owner;
        let mut others = self.pair.model.live().filter(|(id, other)| *id != trader && other.owner == owner);
        let sibling = others.next().map(|(id, _)| id);
        sibling.filter(|_| self.random.chance(80))
    }

    pub(super) fn pool(&mut self, trader: usize) -> Op {
        let available = self.pair.model.withdrawable(trader).0 as u64;
        let owner = self.pair.model.trader(trader).owner;
        let stake = self.pair.model.stakes.get(&owner).copied().unwrap_or_default();
        let shares = stake.shares as u64;
        let atoms = self.random.pick(&[0, 1, available / 20, available / 20, available / 3, available + 1]);
        match self.random.below(10) {
            0..=3 => Op::Stake { trader, atoms },
            4 => Op::Fund { trader, atoms: atoms / 8 },
            5..=7 => Op::RequestUnstake { trader, shares: self.random.pick(&[shares, shares / 2, shares + 1]) },
            _ => Op::Unstake { trader },
        }
    }

    /// Mostly good readings near the last mark, sometimes everything that can be wrong with one.
    pub(super) fn price(&mut self, market: usize) -> Op {
        let terms = &self.pair.model.markets[market].terms;
        let ground = &self.venue.grounds[market];
        let (tick, sources) = (terms.tick_size as u64, ground.listing.sources_len);
        let (low, high) = (ground.mark * 3 / 4, ground.mark * 5 / 4);
        let high = high.min(terms.price_max as i64);
        let step = self.random.range(-3, 3) * ground.step;
        let drift = self.habits.drift[market] * self.random.range(0, 2) * ground.step;
        // What drifts turns round at the end of its range.
        let index = self.pair.model.markets[market].index as i64;
        let index = if index == 0 { ground.mark } else { index };
        if index + drift < low || index + drift > high {
            self.habits.drift[market] *= -1;
        }
        let mark = (index + step + drift).clamp(low, high);
        let now = self.pair.model.now;
        let mut readings = Vec::new();
        for _ in 0..sources {
            let price = mark as u64 * tick + self.random.below(tick / 2);
            let confidence = PicoPrice::new(price / 1_000);
            let mut reading = SourcePrice {
                price: PicoPrice::new(price),
                confidence,
                publish_time: UnixSeconds::new(now - self.random.pick(&[0, 0, 0, 0, 0, 0, 1, 3])),
            };
            let mut result = Ok(());
            if !self.honest_oracle && self.random.chance(8) {
                match self.random.below(7) {
                    0 => reading.confidence = PicoPrice::new(price / 99),
                    1 => reading.price = PicoPrice::new(price + price / 40),
                    2 => reading.publish_time = UnixSeconds::new(now + self.random.range(9, 11)),
                    3 => reading.publish_time = UnixSeconds::new(now - self.random.range(59, 62)),
                    4 => reading.price = PicoPrice::new(self.random.pick(&[0, 1, u64::MAX])),
                    5 => reading.publish_time = UnixSeconds::new(now - 30),
                    _ => result = Err(EngineError::OracleSamplesTooFew),
                }
            }
            readings.push(result.map(|()| reading));
        }
        Op::Price { market, readings }
    }
}
