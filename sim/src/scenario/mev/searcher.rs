//! The sandwich searcher: sees signed orders before they land and pays for its place in the block. It buys what the book
//! has in front of a buyer, offers it again at the buyer's limit, lets the buyer run into that, and gets rid of the rest;
//! with sellers the other way round.
//!
//! Where taking orders wait, its own first order waits as well, just ahead of the victim's. When both are due it runs
//! them one by one and puts its quote between them.

use super::{
    book::{Level, Shown, accepts, sign},
    stage::{MATCH_LIMIT, Stage, terms},
    takers::{Signed, Takers},
};
use crate::floor::Role;
use anyhow::Result;
use quantdesk_client::{
    engine::{
        Side,
        book::{NewOrder, Quote},
    },
    order::Ticket,
};
use std::collections::VecDeque;

/// Least profit of a plan that is worth an attack, in atoms: a dollar.
const PROFIT_MIN: i128 = 1_000_000;
/// How far from the fair price it gets rid of the rest, in ppm.
const UNWIND: i64 = 3_000;
const PPM: i128 = 1_000_000;

/// Rates of the market in ppm.
#[derive(Clone, Copy, Debug)]
struct Fees {
    taker: i128,
    maker: i128,
}

/// The best a sandwich can be, as the book stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    /// Lots to take in front.
    lots: u64,
    /// Down to this price.
    worst: u32,
    /// In atoms, if nothing changes.
    profit: i128,
}

/// Whom it is after.
#[derive(Clone, Copy, Debug)]
struct Victim {
    account: usize,
    order: NewOrder,
}

/// One of its orders that wait.
#[derive(Debug)]
enum Waiting {
    /// In front of a victim.
    Front(Victim),
    /// To get rid of the rest.
    Unwind,
}

/// The searcher.
#[derive(Debug)]
pub struct Searcher {
    account: usize,
    sequence: u64,
    waiting: VecDeque<Waiting>,
    /// Attacks.
    pub attacks: u64,
}

impl Searcher {
    /// Opens its account.
    pub fn employ(stage: &mut Stage) -> Result<Self> {
        let account = stage.open(Role::Searcher, "searcher".into())?;
        Ok(Self { account, sequence: 0, waiting: VecDeque::new(), attacks: 0 })
    }

    /// Lets the order land, with an attack around or ahead of it if one pays.
    pub fn escort(&mut self, stage: &mut Stage, takers: &mut Takers, signed: Signed) -> Result<()> {
        let victim = Victim { account: signed.account, order: signed.order };
        let plan = self.plan(stage, &victim)?.filter(|plan| plan.profit >= PROFIT_MIN);
        let Some(plan) = plan else {
            return takers.land(stage, signed);
        };
        self.attacks += 1;
        let (price, lots) = terms(plan.worst, plan.lots);
        let front = Ticket::of(victim.order.side, price, lots).immediate_or_cancel().match_limit(MATCH_LIMIT).build();
        stage.take(self.account, &front)?;
        if stage.delays() {
            self.waits(stage, Waiting::Front(victim))?;
            return takers.land(stage, signed);
        }
        self.bait(stage, &victim)?;
        takers.land(stage, signed)?;
        self.withdraw_bait(stage)?;
        self.unwind(stage)
    }

    /// At the head of a block: if orders of its own are due, runs everything that is due one by one, with its quotes
    /// between its own orders and their victims'.
    pub fn spring(&mut self, stage: &mut Stage) -> Result<()> {
        let due = stage.due()?;
        if !due.contains(&self.account) {
            return Ok(());
        }
        let mut baited = None;
        for account in due {
            stage.run_delayed(1)?;
            if account == self.account {
                if let Some(Waiting::Front(victim)) = self.waiting.pop_front() {
                    self.bait(stage, &victim)?;
                    baited = Some(victim.account);
                }
            } else if baited == Some(account) {
                self.withdraw_bait(stage)?;
                baited = None;
            }
        }
        self.withdraw_bait(stage)
    }

    /// Takes whatever the account has left to the book.
    pub fn unwind(&mut self, stage: &mut Stage) -> Result<()> {
        let base = stage.base(self.account)?;
        if base == 0 || stage.holds(self.account)? {
            return Ok(());
        }
        let side = if base > 0 { Side::Ask } else { Side::Bid };
        let limit = stage.ticks_at(side, stage.fair_price(), sign(side) * UNWIND);
        let (price, lots) = terms(limit, base.unsigned_abs());
        let order = Ticket::of(side, price, lots).immediate_or_cancel().reduce_only().match_limit(MATCH_LIMIT).build();
        stage.take(self.account, &order)?;
        self.waits(stage, Waiting::Unwind)
    }

    /// Remembers what the order just sent is for, if it waits.
    fn waits(&mut self, stage: &Stage, purpose: Waiting) -> Result<()> {
        let held = stage.waiting()?.iter().filter(|waiting| waiting.account == self.account).count();
        if held > self.waiting.len() {
            self.waiting.push_back(purpose);
        }
        Ok(())
    }

    /// Offers what it got in front of the victim, as near to the victim's limit as nobody else is before it.
    fn bait(&mut self, stage: &mut Stage, victim: &Victim) -> Result<()> {
        let side = victim.order.side;
        let held = stage.base(self.account)? * sign(side);
        let lots = u64::try_from(held).unwrap_or(0).min(victim.order.lots.get());
        let best = stage.meets(side)?.0.first().map(|level| level.price);
        let price = offer(side, victim.order.price.get(), best);
        if lots == 0 {
            return Ok(());
        }
        let (price, lots) = terms(price, lots);
        self.sequence += 1;
        stage.quote(self.account, self.sequence, &[Quote::new(side.opposite(), price, lots)])?;
        Ok(())
    }

    fn withdraw_bait(&mut self, stage: &mut Stage) -> Result<()> {
        let position = stage.driver.floor.position(self.account, super::stage::MARKET)?;
        if position.is_some_and(|position| position.orders > 0) {
            self.sequence += 1;
            stage.quote(self.account, self.sequence, &[])?;
        }
        Ok(())
    }

    fn plan(&self, stage: &Stage, victim: &Victim) -> Result<Option<Plan>> {
        let side = victim.order.side;
        let parameters = &stage.driver.floor.desk.markets[super::stage::MARKET].parameters;
        let fees = Fees { taker: parameters.taker_fee.get().into(), maker: parameters.maker_fee.get().into() };
        let (meets, behind) = (stage.meets(side)?, stage.meets(side.opposite())?);
        Ok(best_plan(&victim.order, &meets, &behind, fees))
    }
}

/// The price at which a buyer with this limit, or a seller, is offered what was taken in front of it.
fn offer(side: Side, limit: u32, next: Option<u32>) -> u32 {
    match (side, next) {
        (Side::Bid, Some(next)) => limit.min(next - 1),
        (Side::Ask, Some(next)) => limit.max(next + 1),
        (_, None) => limit,
    }
}

/// Tries to take one, two, three, … levels in front of the victim.
fn best_plan(victim: &NewOrder, meets: &Shown, behind: &Shown, fees: Fees) -> Option<Plan> {
    let (side, limit) = (victim.side, victim.price.get());
    let mut best: Option<Plan> = None;
    let mut taken = Level { price: 0, lots: 0 };
    let mut spent = 0i128;
    for (number, level) in meets.0.iter().enumerate() {
        if !accepts(side, level.price, limit) {
            break;
        }
        taken = Level { price: level.price, lots: taken.lots + level.lots };
        spent += i128::from(level.price) * i128::from(level.lots);
        let price = offer(side, limit, meets.0.get(number + 1).map(|level| level.price));
        let sold = taken.lots.min(victim.lots.get());
        let Some(dumped) = behind.cost(taken.lots - sold).and_then(|cost| i128::try_from(cost).ok()) else {
            break;
        };
        let offered = i128::from(price) * i128::from(sold);
        let paid = fees.taker * (spent + dumped) + fees.maker * offered;
        let profit = i128::from(sign(side)) * (offered + dumped - spent) - paid / PPM;
        if best.is_none_or(|best| profit > best.profit) {
            best = Some(Plan { lots: taken.lots, worst: taken.price, profit });
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEES: Fees = Fees { taker: 500, maker: -100 };

    fn side(levels: &[(u32, u64)]) -> Shown {
        Shown(levels.iter().map(|(price, lots)| Level { price: *price, lots: *lots }).collect())
    }

    #[test]
    fn a_plan_takes_what_pays_most() {
        let victim = |side, price, lots| {
            let (price, lots) = terms(price, lots);
            Ticket::of(side, price, lots).build()
        };
        let (asks, bids) = (side(&[(10_001, 50), (10_002, 50)]), side(&[(9_999, 50), (9_998, 50)]));
        // 100 lots for 1,000,150 at a fee of 500.1, sold for 1,005,000 with a rebate of 100.5.
        let plan = best_plan(&victim(Side::Bid, 10_050, 100), &asks, &bids, FEES);
        assert_eq!(plan, Some(Plan { lots: 100, worst: 10_002, profit: 1_005_000 - 1_000_150 - 399 }));
        // And for 999,850 at a fee of 499.9, bought back for 995,000 with a rebate of 99.5.
        let plan = best_plan(&victim(Side::Ask, 9_950, 100), &bids, &asks, FEES);
        assert_eq!(plan, Some(Plan { lots: 100, worst: 9_998, profit: 999_850 - 995_000 - 400 }));
        // A victim that small is not worth clearing the book for.
        let small = best_plan(&victim(Side::Bid, 10_050, 1), &asks, &bids, FEES);
        assert!(small.is_some_and(|plan| plan.profit < 0));
        assert_eq!(best_plan(&victim(Side::Bid, 10_000, 100), &asks, &bids, FEES), None);
    }
}
