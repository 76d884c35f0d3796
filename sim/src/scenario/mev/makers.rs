//! Honest makers: several levels a side around the fair price as they saw it a slot ago, leaning against their inventory,
//! all replaced in one instruction. What they see in a slot they act on in the next.
//!
//! Orders that wait in the market's queue are there for all to see. Makers that watch it compete for them: they show as
//! much more at every level as will be wanted.

use super::stage::{MARKET, Stage};
use crate::floor::{Role, engine};
use anyhow::Result;
use quantdesk_client::{
    engine::{Lots, Side, Ticks, book::Quote},
    view,
};

/// Makers.
const COUNT: usize = 3;
/// Levels a side.
const LEVELS: u32 = 5;
/// Ticks from the middle to the first level, and from a level to the next: 1.3 and 2 basis points.
const HALF_SPREAD: u32 = 2;
const STEP: u32 = 3;
/// Value of the first level in atoms; the n-th holds n times as much. All makers together show $108,000 a side.
const SIZE: u64 = 2_400_000_000;
/// Sum of the levels' numbers.
const SHARES: u64 = (LEVELS * (LEVELS + 1) / 2) as u64;
/// How far the middle leans against a full inventory, in ppm, and what is full, in atoms.
const LEAN: i128 = 300;
const FULL: i128 = 300_000_000_000;

/// One maker.
#[derive(Debug)]
pub struct Maker {
    account: usize,
    /// Whether it looks at what waits in the market's queue.
    watches: bool,
    seen: Sight,
    /// Of its last replacement.
    sequence: u64,
    quoted: Vec<Quote>,
}

/// What a maker saw last.
#[derive(Clone, Copy, Debug)]
struct Sight {
    /// Fair price.
    price: u64,
    /// Lots that waiting orders want to buy and to sell.
    waiting: [u64; 2],
}

/// Opens all makers' accounts.
pub fn employ(stage: &mut Stage, watches: bool) -> Result<Vec<Maker>> {
    let mut makers = Vec::new();
    for number in 1..=COUNT {
        let account = stage.open(Role::Maker, format!("maker {number}"))?;
        let seen = Sight { price: stage.fair_price(), waiting: [0; 2] };
        makers.push(Maker { account, watches, seen, sequence: 0, quoted: Vec::new() });
    }
    Ok(makers)
}

impl Maker {
    /// Looks around; acts on it in the next slot.
    pub fn see(&mut self, stage: &Stage) -> Result<()> {
        self.seen = Sight { price: stage.fair_price(), waiting: stage.wanted()? };
        Ok(())
    }

    /// Replaces the quotes if they are not as they should be.
    pub fn act(&mut self, stage: &mut Stage) -> Result<()> {
        let wanted = self.wanted(stage)?;
        if wanted == self.quoted && self.is_whole(stage)? {
            return Ok(());
        }
        self.sequence += 1;
        let accepted = stage.quote(self.account, self.sequence, &wanted)?;
        self.quoted = if accepted { wanted } else { Vec::new() };
        Ok(())
    }

    /// Quotes around the price last seen, behind the best of everybody else so that none would take.
    fn wanted(&self, stage: &Stage) -> Result<Vec<Quote>> {
        let base = stage.base(self.account)?;
        let middle = ticks(self.seen.price, stage.tick_size());
        let value = i128::from(base) * i128::from(middle);
        let lean = i128::from(middle) * LEAN * value.clamp(-FULL, FULL) / FULL / 1_000_000;
        let middle = middle.saturating_add_signed(i32::try_from(-lean).unwrap_or(0));
        let mut quotes = Vec::new();
        // Who sells to the market meets bids.
        let [buying, selling] = if self.watches { self.seen.waiting } else { [0; 2] };
        for (side, waiting) in [(Side::Bid, selling), (Side::Ask, buying)] {
            let other = self.best_of_others(stage, side.opposite())?;
            for level in 0..LEVELS {
                let away = HALF_SPREAD + STEP * level;
                let price = match side {
                    Side::Bid => middle.saturating_sub(away).min(other.unwrap_or(u32::MAX).saturating_sub(1)),
                    Side::Ask => middle.saturating_add(away).max(other.unwrap_or(0).saturating_add(1)),
                };
                let usual = SIZE * u64::from(level + 1) / u64::from(price.max(1));
                let lots = usual + waiting * u64::from(level + 1) / (SHARES * COUNT as u64);
                quotes.push(Quote::new(side, Ticks::new(price), Lots::new(lots)));
            }
        }
        Ok(quotes)
    }

    fn best_of_others(&self, stage: &Stage, side: Side) -> Result<Option<u32>> {
        let desk = &stage.driver.floor.desk;
        let (ledger, market) = (desk.ledger_view()?, desk.market_view(MARKET)?);
        let trader = &stage.driver.floor.accounts[self.account].trader;
        let own = view::own_orders(&ledger, &market, trader).map_err(engine)?;
        let mut others = market.orders(side).filter(|(handle, _)| own.iter().all(|(mine, _)| mine != handle));
        Ok(others.next().map(|(_, node)| node.price.get()))
    }

    /// Whether everything quoted still rests.
    fn is_whole(&self, stage: &Stage) -> Result<bool> {
        let position = stage.driver.floor.position(self.account, MARKET)?;
        let resting = position.map_or(0, |cell| cell.open_bid_lots.get() + cell.open_ask_lots.get());
        Ok(resting == self.quoted.iter().map(|quote| quote.lots.get()).sum::<u64>())
    }
}

/// Nearest tick.
fn ticks(price: u64, tick_size: u64) -> u32 {
    u32::try_from((price + tick_size / 2) / tick_size).unwrap_or(u32::MAX)
}
