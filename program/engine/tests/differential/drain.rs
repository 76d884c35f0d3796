//! The drain: whatever state a run ends in, everybody can leave, and nothing is left behind but what nobody owns of the
//! pool.

use super::{
    Run,
    model::pair::{Did, Op},
    support::world::order,
};
use quantdesk_engine::{
    Lots, Side,
    book::{OrderKind, Sides},
    slab::free_list::Slot,
    state::{Cell, OrderNode},
};

impl Run {
    pub(super) fn drain(&mut self, number: u64) {
        self.lift(number);
        self.quieten(number);
        let live: Vec<usize> = self.pair.model.live().map(|(id, _)| id).collect();
        for trader in live {
            let atoms = (self.pair.model.withdrawable(trader).0 as u64).max(1);
            self.apply(number, &Op::Withdraw { trader, atoms });
        }
        self.apply(number, &Op::Grow { cells: 40 });
        let closer = self.open_for(number, 99);
        let atoms = (((1 << 62) - self.pair.model.total) / 2) as u64;
        self.apply(number, &Op::Deposit { trader: closer, atoms });
        self.deleverage_all(number);
        for market in 0..3 {
            self.flatten(number, market, closer);
        }
        // What settlements of funding left goes to the pool.
        self.refresh(number);
        let pots = self.pair.model.markets.iter().map(|market| market.funding_pot);
        assert_eq!(pots.sum::<i128>(), 0, "seed {}", self.seed);
        for (trader, _) in self.pair.model.clone().live() {
            self.make_good(number, trader);
        }
        self.unstake_all(number);
        self.pay_queue(number);
        while self.pair.model.fees > 0 {
            // As much as the bucket lets out in an hour.
            self.apply(number, &Op::Pass { seconds: 3_600 });
            let atoms = self.pair.model.fees.min(self.pair.model.outflow_capacity()) as u64;
            assert_eq!(self.apply(number, &Op::CollectFees { atoms }), Did::Nothing, "seed {}", self.seed);
        }
        for (trader, _) in self.pair.model.clone().live() {
            self.leave(number, trader);
        }
        self.check_empty();
    }

    /// Everything under way is brought to its end: deleveragings, orders, withdrawals that wait, prices.
    fn quieten(&mut self, number: u64) {
        for market in 0..3 {
            self.apply(number, &Op::Status { market, status: 1 });
        }
        if self.live().is_none() {
            let op = self.open();
            self.apply(number, &op);
        }
        for market in 0..3 {
            while self.pair.model.markets[market].deleverage.is_some() {
                let target = self.live().expect("somebody");
                self.apply(number, &Op::Deleverage { target, market, steps: u16::MAX });
            }
        }
        self.run_all_waiting(number);
        let live: Vec<usize> = self.pair.model.live().map(|(id, _)| id).collect();
        for (trader, market) in live.iter().flat_map(|trader| (0..3).map(|market| (*trader, market))) {
            self.apply(number, &Op::CancelAll { trader, market, sides: Sides::Both, limit: 255 });
        }
        for trader in live {
            self.apply(number, &Op::SetFeeMax { trader, ppm: u32::MAX });
        }
        self.cancel_triggers(number);
        // Later than every time a source may have published.
        self.apply(number, &Op::Pass { seconds: 20 });
        self.pay_queue(number);
        loop {
            self.apply(number, &Op::Pass { seconds: 600 });
            self.refresh(number);
            self.follow_marks();
            if self.pair.model.markets.iter().all(|market| market.low() == market.high()) {
                return;
            }
        }
    }

    /// Nobody waits longer than the delay.
    fn run_all_waiting(&mut self, number: u64) {
        self.apply(number, &Op::PassSlots { slots: super::DELAY.into() });
        for market in 0..3 {
            while !self.pair.model.markets[market].waiting.is_empty() {
                let did = self.apply(number, &Op::RunDelayed { market, limit: u8::MAX });
                assert!(matches!(did, Did::Ran(_)), "seed {}: {did:?}", self.seed);
            }
        }
    }

    fn cancel_triggers(&mut self, number: u64) {
        for market in 0..3 {
            for trigger in self.pair.model.markets[market].triggers.clone() {
                let named = (trigger.cell, trigger.number);
                let did = self.apply(number, &Op::CancelTrigger { trader: trigger.trader, market, named });
                assert_eq!(did, Did::Nothing, "seed {}: a trigger can always be cancelled", self.seed);
            }
        }
    }

    /// Nobody waits longer than the policy says.
    fn pay_queue(&mut self, number: u64) {
        if !self.pair.model.queue.is_empty() {
            let seconds = self.pair.model.policy.queue_seconds.into();
            self.apply(number, &Op::Pass { seconds });
        }
        while !self.pair.model.queue.is_empty() {
            assert_eq!(self.apply(number, &Op::Process { usable: true }), Did::Nothing, "seed {}", self.seed);
        }
    }

    fn open_for(&mut self, number: u64, owner: u64) -> usize {
        match self.apply(number, &Op::Open { owner, sub_account: 0 }) {
            Did::Opened(trader) => trader,
            did => panic!("seed {}: no cell after growing: {did:?}", self.seed),
        }
    }

    /// What accounts without equity owe is for those who won it. Who is left without equity by that comes next.
    fn deleverage_all(&mut self, number: u64) {
        let indebted = |run: &Self| {
            let model = &run.pair.model;
            let mut all = model.live().flat_map(|(id, _)| (0..3).map(move |market| (id, market)));
            all.find(|(id, market)| model.health(*id).equity < 0 && model.position(*id, *market).base != 0)
        };
        while let Some((target, market)) = indebted(self) {
            let did = self.apply(number, &Op::Deleverage { target, market, steps: u16::MAX });
            assert!(matches!(did, Did::Deleveraged(_)), "seed {}: {did:?}", self.seed);
        }
    }

    /// Somebody pays in what closing at the mark may cost, where an account has hardly anything left.
    fn lend(&mut self, number: u64, trader: usize, market: usize) {
        let row = &self.pair.model.markets[market];
        let wanted = row.value(row.mark, self.pair.model.position(trader, market).base.abs()) / 16 + 1_000;
        let equity = self.pair.model.health(trader).equity;
        if equity < wanted {
            self.apply(number, &Op::Deposit { trader, atoms: (wanted - equity) as u64 });
        }
    }

    /// Closes all positions of a market at the mark, long and short in turn, against one account that ends flat.
    fn flatten(&mut self, number: u64, market: usize, closer: usize) {
        loop {
            let held = self.pair.model.position(closer, market).base;
            let Some((trader, base)) = self.holder(market, held > 0, closer) else { break };
            self.lend(number, trader, market);
            let terms = &self.pair.model.markets[market].terms;
            let lots = base.abs().min(self.venue.grounds[market].lots.into());
            let (side, taken) = (if base > 0 { Side::Ask } else { Side::Bid }, lots.max(terms.lots_min));
            let mark = self.marks[market] as u32;
            // Where takers wait, one that opens size could be dropped for the cap of open interest; one that reduces never is.
            let waits = terms.taker_delay > 0;
            let (rests, takes) = (OrderKind::PostOnly, OrderKind::ImmediateOrCancel);
            let mut leaving = order(side, if waits { takes } else { rests }, mark, lots as u64);
            leaving.reduce_only = true;
            let closing = order(side.opposite(), if waits { rests } else { takes }, mark, taken as u64);
            let leave = Op::Place { trader: Some(trader), market, order: leaving };
            let close = Op::Place { trader: Some(closer), market, order: closing };
            for op in if waits { [close, leave] } else { [leave, close] } {
                self.expect_placed(number, op);
            }
            self.run_all_waiting(number);
            assert_ne!(self.pair.model.position(trader, market).base, base, "seed {}: closing goes on", self.seed);
            self.apply(number, &Op::CancelAll { trader: closer, market, sides: Sides::Both, limit: u8::MAX });
        }
        assert_eq!(self.pair.model.position(closer, market).base, 0, "seed {}: positions add up", self.seed);
    }

    /// Somebody who is short, or long, in this market, and how much.
    fn holder(&self, market: usize, short: bool, except: usize) -> Option<(usize, i128)> {
        let model = &self.pair.model;
        let mut bases = model.live().map(|(id, _)| (id, model.position(id, market).base));
        bases.find(|(id, base)| *id != except && if short { *base < 0 } else { *base > 0 })
    }

    fn expect_placed(&mut self, number: u64, op: Op) {
        let did = self.apply(number, &op);
        assert!(matches!(did, Did::Placed(_)), "seed {}: {op:?} {did:?}", self.seed);
    }

    /// A flat account that owes: the pool pays what it may, the rest comes from outside; then it is an account like any
    /// other.
    fn make_good(&mut self, number: u64, trader: usize) {
        let held = (0..3).find(|market| self.pair.model.trader(trader).positions[*market].is_some());
        let Some(market) = held else { return };
        self.apply(number, &Op::Absorb { target: trader, market });
        let cash = self.pair.model.trader(trader).cash;
        if cash < 0 {
            self.apply(number, &Op::Deposit { trader, atoms: cash.unsigned_abs() as u64 });
            assert_eq!(self.apply(number, &Op::Absorb { target: trader, market }), Did::Nothing, "seed {}", self.seed);
        }
        assert!(!self.pair.model.trader(trader).bankrupt, "seed {}: R4: resolved", self.seed);
    }

    /// Everybody takes his stake out.
    fn unstake_all(&mut self, number: u64) {
        let epoch = self.pair.model.pool_epoch;
        let stakes = self.pair.model.stakes.clone().into_iter();
        let stakes: Vec<(u64, u64)> = stakes
            .filter(|(_, stake)| stake.epoch == epoch && stake.shares > 0)
            .map(|(owner, stake)| (owner, stake.shares as u64))
            .collect();
        let mut stakers = Vec::new();
        for (owner, shares) in stakes {
            let trader = self.open_for(number, owner);
            let asked = self.apply(number, &Op::RequestUnstake { trader, shares });
            assert_eq!(asked, Did::Nothing, "seed {}", self.seed);
            stakers.push(trader);
        }
        let seconds = self.pair.model.policy.unstake_seconds.into();
        self.apply(number, &Op::Pass { seconds });
        for trader in stakers {
            let did = self.apply(number, &Op::Unstake { trader });
            let worthless = Did::Refused(quantdesk_engine::EngineError::StakeTooSmall);
            assert!(did == Did::Nothing || did == worthless, "seed {}: {did:?}", self.seed);
        }
    }

    /// Everything is withdrawn and the account closed.
    fn leave(&mut self, number: u64, trader: usize) {
        let cash = self.pair.model.trader(trader).cash;
        if cash > 0 {
            let did = self.apply(number, &Op::Withdraw { trader, atoms: cash as u64 });
            let leaves = matches!(did, Did::Nothing | Did::Queued);
            assert!(leaves, "seed {}: a flat account may take all its cash: {did:?}", self.seed);
            self.pay_queue(number);
        }
        assert_eq!(self.apply(number, &Op::Close { trader }), Did::Nothing, "seed {}", self.seed);
    }

    fn check_empty(&self) {
        let (view, seed) = (self.pair.world.view(), self.seed);
        let header = view.header;
        let left = header.pool.get().get();
        assert_eq!(header.total.get().get(), left, "seed {seed}: what nobody owns of the pool is all that is left");
        assert_eq!(self.pair.world.vault, left as u64, "seed {seed}: and it is in the vault");
        assert_eq!(header.bankrupts, 0, "seed {seed}: nobody is bankrupt");
        assert_eq!(header.cells.in_use(), 0, "seed {seed}: all cells are free");
        for cell in view.cells.iter().take(header.cells.high_water() as usize) {
            assert_eq!(cell.next_free().map(Cell::released), Some(*cell), "seed {seed}: a released cell is zero");
        }
        for index in 0..3 {
            let market = self.pair.world.market(index);
            assert_eq!(view.rows[index].open_interest, Lots::ZERO, "seed {seed}: no open interest");
            assert_eq!(market.header.nodes.in_use(), 0, "seed {seed}: books are empty");
            assert!(
                self.pair.world.entries(index).iter().all(|byte| *byte == 0),
                "seed {seed}: unused entries are zero"
            );
            for node in market.nodes.iter().take(market.header.nodes.high_water() as usize) {
                assert_eq!(node.next_free().map(OrderNode::released), Some(*node), "seed {seed}: a free node is zero");
            }
        }
    }
}
