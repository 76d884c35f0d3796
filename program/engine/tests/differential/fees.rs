//! Tiers, builders, referrers, guards and batches at random.

use super::{
    Run,
    model::{fees::Named, pair::Op},
    support::random::Random,
};
use quantdesk_engine::{
    Ppm, QuoteAtoms,
    book::NewOrder,
    state::fees::{FEE_TIERS_MAX, FeeSchedule, FeeTier},
};

/// None, or up to four tiers that somebody with so much money reaches, up to a fee of nothing.
pub fn schedule(random: &mut Random, wealth: u32) -> FeeSchedule {
    let mut tiers = [FeeTier::UNUSED; FEE_TIERS_MAX];
    let (mut volume, mut discount) = (0, 0);
    let count = random.index(FEE_TIERS_MAX + 1);
    for tier in tiers.iter_mut().take(count) {
        volume += 1 + random.below(10u64.pow(wealth) * 3);
        discount += 1 + random.below(250_000) as u32;
        *tier = FeeTier::new(QuoteAtoms::new(volume), Ppm::new(discount));
    }
    if count > 0 && random.chance(20) {
        tiers[count - 1].discount = Ppm::new(1_000_000);
    }
    let schedule = FeeSchedule::new(tiers, Ppm::new(random.pick(&[0, 100_003, 333_333, 500_000])));
    assert_eq!(schedule.check(), Ok(()));
    schedule
}

impl Run {
    /// Somebody names a referrer, or says what builders may charge; or days pass, in which volume fades.
    pub(super) fn partners(&mut self, trader: usize) -> Op {
        if self.random.chance(10) {
            return Op::Pass { seconds: self.random.pick(&[1, 3, 29, 30, 31]) * 86_400 };
        }
        if self.random.chance(60) {
            return Op::SetBuilderMax { trader, ppm: self.random.pick(&[0, 1, 77, 1_000, 1_000]) };
        }
        if self.random.chance(30) {
            // Seldom less than a market asks for, and mostly not for long.
            return Op::SetFeeMax { trader, ppm: self.random.pick(&[u32::MAX, u32::MAX, u32::MAX, 20_000, 300, 0]) };
        }
        let (cell, generation) = self.incarnation(trader);
        Op::SetReferrer { trader, cell, generation }
    }

    /// Mostly a live account, sometimes an older one or any cell.
    fn incarnation(&mut self, trader: usize) -> (u32, u32) {
        let named = self.live().unwrap_or(trader);
        let (cell, generation) = {
            let named = self.pair.model.trader(named);
            (named.cell, named.generation)
        };
        match self.random.below(30) {
            0 => (cell, generation - 1),
            1 => (self.random.below(40) as u32, generation),
            2 => (u32::MAX, 0),
            _ => (cell, generation),
        }
    }

    /// An order with a builder, a guard, or others beside it.
    pub(super) fn special(&mut self, trader: Option<usize>, market: usize, order: NewOrder) -> Op {
        let plain = |trader: &usize| self.pair.model.trader(*trader).fees.builder_max == 0;
        if let Some(trader) = trader.filter(plain).filter(|_| self.random.chance(40)) {
            return self.partners(trader);
        }
        let guard = match self.random.below(6) {
            0..=2 => 0,
            3 => self.pair.model.markets[market].events,
            4 => self.pair.model.markets[market].events.saturating_sub(1),
            _ => self.pair.model.markets[market].events + self.random.below(3),
        };
        match trader {
            Some(trader) if self.random.chance(35) => {
                let more = self.random.below(5);
                let mut orders = vec![order];
                orders.extend((0..more).map(|_| self.order(trader, market)));
                Op::PlaceOrders { trader, market, orders, guard }
            }
            _ => {
                let builder = self.random.chance(85).then(|| self.builder(trader.unwrap_or(0)));
                Op::PlaceGuarded { trader, market, order, builder, guard }
            }
        }
    }

    /// Mostly within what the trader agreed to.
    fn builder(&mut self, trader: usize) -> Named {
        let (cell, generation) = self.incarnation(trader);
        let account = self.pair.model.traders.get(trader).and_then(Option::as_ref);
        let most = u32::from(account.map_or(0, |account| account.fees.builder_max));
        let fee = self.random.pick(&[most, most, most / 2, 0, most + 1]);
        (cell, generation, fee)
    }
}
