//! Rungs of the ladder at random: mostly for accounts they are for.

use super::{
    Run,
    model::{Model, pair::Op},
};

fn is_failing(model: &Model, id: usize) -> bool {
    let (health, initial) = (model.health(id), model.initial(id));
    model.trader(id).bankrupt || health.equity < health.required || initial.excess() < 0
}

impl Run {
    pub(super) fn ladder(&mut self, by: usize) -> Op {
        let failing: Vec<usize> =
            self.pair.model.live().map(|(id, _)| id).filter(|id| is_failing(&self.pair.model, *id)).collect();
        let target = if failing.is_empty() || self.random.chance(10) { by } else { self.random.pick(&failing) };
        self.rung(by, target)
    }

    /// Somebody looks for accounts below maintenance margin, and does something about one.
    pub(super) fn watch(&mut self, by: usize) -> Option<Op> {
        if !self.random.chance(self.habits.vigilance) {
            return None;
        }
        let model = &self.pair.model;
        let below = |id: &usize| {
            let health = model.health(*id);
            health.equity < health.required || model.trader(*id).bankrupt
        };
        let failing: Vec<usize> = model.live().map(|(id, _)| id).filter(below).collect();
        let target = (!failing.is_empty()).then(|| self.random.pick(&failing))?;
        Some(self.rung(by, target))
    }

    fn rung(&mut self, by: usize, target: usize) -> Op {
        let market = self.market_of(target);
        let model = &self.pair.model;
        let health = model.health(target);
        // A third of what is done is not what the account's rung is for.
        let rung = match () {
            () if self.random.chance(33) => self.random.below(5),
            () if health.equity <= 0 || model.trader(target).bankrupt => self.random.pick(&[1, 3, 4]),
            () if health.equity * 3 < health.required * 2 => self.random.pick(&[1, 2, 2]),
            () if health.equity < health.required => self.random.pick(&[0, 1, 1, 1]),
            () => 0,
        };
        let known = !self.random.chance(3);
        let size = self.pair.model.position(target, market).base.unsigned_abs() as u64;
        match rung {
            0 => Op::CancelForRisk { target, market, limit: self.random.pick(&[0, 1, 2, 255]) },
            1 => {
                let steps = self.random.pick(&[0, 1, 2, 3, 50, 255, 255]);
                Op::Liquidate { keeper: known.then_some(by), target, market, steps }
            }
            2 => {
                let by = self.richest().unwrap_or(by);
                let lots = self.random.pick(&[0, 1, size / 2, size, size, u64::MAX]);
                Op::TakeOver { by: known.then_some(by), target, market, lots }
            }
            3 => Op::Absorb { target, market },
            _ => Op::Deleverage { target, market, steps: self.steps() },
        }
    }

    fn steps(&mut self) -> u16 {
        self.random.pick(&[0, 1, 5, 20, 40, 100, 60_000])
    }

    /// Mostly one in which the account has a position.
    fn market_of(&mut self, target: usize) -> usize {
        let held: Vec<usize> = (0..3).filter(|market| self.pair.model.position(target, *market).base != 0).collect();
        if held.is_empty() || self.random.chance(10) { self.random.index(3) } else { self.random.pick(&held) }
    }

    /// Mostly somebody who can afford to take over.
    fn richest(&mut self) -> Option<usize> {
        let best = self.pair.model.live().max_by_key(|(id, _)| self.pair.model.initial(*id).excess());
        best.map(|(id, _)| id).filter(|_| self.random.chance(80))
    }

    /// While one is under way somebody goes on with it soon, though not at once, and maybe in the name of another.
    pub(super) fn go_on_deleveraging(&mut self, trader: usize) -> Option<Op> {
        let market = (0..3).find(|market| self.pair.model.markets[*market].deleverage.is_some())?;
        let steps = self.steps();
        self.random.chance(25).then_some(Op::Deleverage { target: trader, market, steps })
    }
}
