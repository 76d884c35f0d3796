//! A guardian who sets modes and lowers caps, and a chain that stands still.

use super::{Run, model::pair::Op};
use quantdesk_engine::{
    Lots, MarketIndex,
    governance::{
        guard::Tightening,
        mode::{Act, Mode},
    },
};

impl Run {
    /// Now and then somebody restricts something, and then mostly for a short time; what takes long is waited for.
    pub(super) fn restrict(&mut self) -> Option<Op> {
        if self.pair.model.forbids(Act::Open) && self.random.chance(2) {
            return Some(self.wait_for_all());
        }
        if self.random.chance(self.habits.guard) {
            return Some(Op::Guard { wanted: self.tightening() });
        }
        if self.random.chance(1) && self.random.chance(20) {
            return Some(Op::Stand { seconds: self.random.pick(&[1, 200, 311, 330, 4_000, 200_000]) });
        }
        None
    }

    fn tightening(&mut self) -> Tightening {
        let random = &mut self.random;
        if random.chance(92) {
            let modes = [Mode::CloseOnly, Mode::CloseOnly, Mode::WithdrawOnly, Mode::Halted, Mode::Active];
            let seconds = random.pick(&[1, 3, 5, 10, 10, 20, 30, 60, 0, 21_600, 21_601, 604_800, 604_801]);
            return Tightening::Mode { mode: random.pick(&modes), seconds };
        }
        let number = random.below(4) as usize;
        let terms = self.pair.model.markets.get(number).map(|market| &market.terms);
        let (position, interest, least) =
            terms.map_or((1, 1, 1), |it| (it.position_max, it.open_interest_max, it.lots_max));
        let market = MarketIndex::new(number as u16);
        let lots = |lots: i128| Lots::new(lots as u64);
        if random.chance(50) {
            let cap = random.pick(&[position - 1, position - position / 9, position, least, least - 1, 0]);
            Tightening::PositionMax { market, lots: lots(cap) }
        } else {
            let cap = random.pick(&[interest - 1, interest - interest / 9, interest, 0]);
            Tightening::InterestMax { market, lots: lots(cap) }
        }
    }

    /// Whatever was restricted ends, and caps are what they were when the markets were listed.
    pub(super) fn lift(&mut self, number: u64) {
        let wait = self.wait_for_all();
        self.apply(number, &wait);
        let listings = self.venue.grounds.each_ref().map(|ground| ground.listing);
        for (market, listing) in listings.iter().enumerate() {
            let terms = &mut self.pair.model.markets[market].terms;
            terms.position_max = listing.position_max.get().into();
            terms.open_interest_max = listing.open_interest_max.get().into();
            let lifted = self.pair.world.ledger(|ledger, _| {
                let row = ledger.row_mut(MarketIndex::new(market as u16))?;
                (row.position_max, row.open_interest_max) = (listing.position_max, listing.open_interest_max);
                Ok(())
            });
            assert_eq!(lifted, Ok(()));
        }
    }

    /// Time passes until everything is allowed.
    pub(super) fn wait_for_all(&self) -> Op {
        let ends = self.pair.world.view().header.modes.restricted_until().get();
        Op::Pass { seconds: (ends - self.pair.model.now).max(0) }
    }
}
