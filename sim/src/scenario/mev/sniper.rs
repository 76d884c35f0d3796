//! The stale-quote sniper: knows the fair price the moment it moves, pays for the head of the block, and takes quotes that
//! are still where the price was. It gets rid of what it took when makers have followed.

use super::{
    book::sign,
    stage::{MATCH_LIMIT, Stage, terms},
};
use crate::floor::Role;
use anyhow::Result;
use quantdesk_client::{engine::Side, order::Ticket};

/// How far from the fair price a quote has to be to be worth taking, in ppm: two taker fees and a spread.
const EDGE: i64 = 1_200;
/// Smallest order in atoms: a hundred dollars.
const VALUE_MIN: u64 = 100_000_000;
/// How far from the fair price it lets go again, in ppm.
const UNWIND: i64 = 1_000;

/// The sniper.
#[derive(Debug)]
pub struct Sniper {
    account: usize,
    /// Orders against stale quotes.
    pub attacks: u64,
}

impl Sniper {
    /// Opens its account.
    pub fn employ(stage: &mut Stage) -> Result<Self> {
        Ok(Self { account: stage.open(Role::Sniper, "sniper".into())?, attacks: 0 })
    }

    /// At the head of a block: runs its order if one is due, and takes what is stale.
    pub fn snipe(&mut self, stage: &mut Stage) -> Result<()> {
        let due = stage.due()?;
        if due.contains(&self.account) {
            stage.run_delayed(due.len())?;
        }
        for side in [Side::Bid, Side::Ask] {
            let limit = stage.ticks_at(side, stage.fair_price(), -sign(side) * EDGE);
            let lots = stage.meets(side)?.depth(side, limit);
            if lots * u64::from(limit) < VALUE_MIN || stage.holds(self.account)? {
                continue;
            }
            let (price, lots) = terms(limit, lots);
            let order = Ticket::of(side, price, lots).immediate_or_cancel().match_limit(MATCH_LIMIT).build();
            stage.take(self.account, &order)?;
            self.attacks += 1;
        }
        Ok(())
    }

    /// At the end of a block: lets go of its position if the book pays about the fair price.
    pub fn unwind(&self, stage: &mut Stage) -> Result<()> {
        let base = stage.base(self.account)?;
        if base == 0 || stage.holds(self.account)? {
            return Ok(());
        }
        let side = if base > 0 { Side::Ask } else { Side::Bid };
        let limit = stage.ticks_at(side, stage.fair_price(), sign(side) * UNWIND);
        let (price, lots) = terms(limit, base.unsigned_abs());
        let order = Ticket::of(side, price, lots).immediate_or_cancel().reduce_only().match_limit(MATCH_LIMIT).build();
        stage.take(self.account, &order).map(|_| ())
    }
}
