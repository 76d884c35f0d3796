//! Percentiles over random books.
//!
//! Each book has exactly `depth` orders on each side, at random prices up to 2.3% from the mark, of random sizes, by
//! makers with about twenty orders each (four makers at least) who are flat, long or short with equal chance. Every sample
//! is one instruction of a random maker in such a book, on a random side; the book is as before for the next one.

use anyhow::{Context, Result};
use quantdesk_client::{
    engine::{Side, book::NewOrder},
    instruction::Trader,
    order::Ticket,
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use solana_instruction::Instruction;

use crate::{
    cases::DEPTHS,
    stage::{MARK, MARKET, Stage, ask, bid},
    table::{Table, number},
    vm::Vm,
};

/// Random books per depth.
const BOOKS: u64 = 4;
/// Samples per book and operation.
const SAMPLES: usize = 50;
/// Farthest price from the mark, in ticks.
const RANGE: u32 = 5_000;
/// Largest order and position in lots.
const LOTS: u64 = 5_000;
/// Orders of a maker, both sides together.
const ORDERS_PER_MAKER: u32 = 20;

/// Sorted compute units of one operation at one depth.
#[derive(Clone, Debug, Default)]
pub struct Distribution(Vec<u64>);

impl Distribution {
    /// Nearest-rank percentile.
    pub fn percentile(&self, percent: usize) -> u64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    }

    fn of(mut units: Vec<u64>) -> Self {
        units.sort_unstable();
        Self(units)
    }
}

/// The operations at one depth.
#[derive(Clone, Debug, Default)]
pub struct AtDepth {
    /// Resting orders placed.
    pub place: Distribution,
    /// Orders cancelled.
    pub cancel: Distribution,
    /// One maker taken.
    pub take: Distribution,
}

/// Picks an operation.
type Of = fn(&AtDepth) -> &Distribution;

/// Samples every operation at each of [`DEPTHS`].
pub fn measure(vm: &mut Vm) -> Result<Vec<AtDepth>> {
    DEPTHS.iter().map(|depth| at_depth(vm, *depth).with_context(|| format!("samples at depth {depth}"))).collect()
}

/// As a table.
pub fn table(samples: &[AtDepth]) -> Table {
    let mut table = Table::new(
        "Percentiles over random books",
        "200 samples each, over 4 seeded random books per depth: exactly so many orders on each side, prices up to 2.3% \
         from the mark, makers with about twenty orders who are flat, long or short. Each sample is one instruction of a \
         random maker on a random side. Placing: post-only at a random price, every other one with a client id. \
         Cancelling: a random order. Taking: all or a part of the best order, 1 maker.",
        &["operation", "depth", "min", "P50", "P95", "P99", "max"],
    );
    let operations: [(&str, Of); 3] =
        [("place", |at| &at.place), ("cancel", |at| &at.cancel), ("take, 1 maker", |at| &at.take)];
    for (name, of) in operations {
        for (depth, at) in DEPTHS.iter().zip(samples) {
            let distribution = of(at);
            let mut cells = vec![name.to_owned(), number(Some(u64::from(*depth)))];
            cells.extend([0, 50, 95, 99, 100].map(|percent| number(Some(distribution.percentile(percent)))));
            table.row(cells);
        }
    }
    table
}

fn at_depth(vm: &mut Vm, depth: u32) -> Result<AtDepth> {
    let makers = (2 * depth / ORDERS_PER_MAKER).max(4) as usize;
    let empty = Stage::with_makers(makers)?;
    let (mut place, mut cancel, mut take) = (Vec::new(), Vec::new(), Vec::new());
    for book in 0..BOOKS {
        let mut random = ChaCha8Rng::seed_from_u64(u64::from(depth) * BOOKS + book);
        let stage = random_book(&mut random, empty.clone(), depth)?;
        for _ in 0..SAMPLES {
            let (maker, side) = (choose(&mut random, &stage.makers)?, any_side(&mut random));
            let ticket = resting(&mut random, side).post_only();
            let order = if random.random() { ticket.client_id(u64::MAX) } else { ticket };
            place.push(vm.accepted(&stage.desk, &stage.order_of(&maker, &order.build()))?);
            let (stage, instruction) = cancelling(&mut random, &stage, maker, side)?;
            cancel.push(vm.accepted(&stage.desk, &instruction)?);
            let (stage, instruction) = taking(&mut random, &stage, side)?;
            take.push(vm.accepted(&stage.desk, &instruction)?);
        }
    }
    Ok(AtDepth { place: Distribution::of(place), cancel: Distribution::of(cancel), take: Distribution::of(take) })
}

fn random_book(random: &mut ChaCha8Rng, mut stage: Stage, depth: u32) -> Result<Stage> {
    let makers = stage.makers.clone();
    for maker in &makers {
        let lots = random.random_range(1..=LOTS) as i64;
        let lots = [0, lots, -lots][random.random_range(0..3)];
        stage.give(*maker, MARKET, lots)?;
    }
    for place in 0..depth {
        let maker = makers[place as usize % makers.len()];
        for side in [Side::Bid, Side::Ask] {
            let order = resting(random, side).post_only().build();
            stage.place(&maker, &order)?;
        }
    }
    Ok(stage)
}

/// An order that does not cross.
fn resting(random: &mut ChaCha8Rng, side: Side) -> Ticket {
    let (distance, lots) = (random.random_range(1..=RANGE), random.random_range(1..=LOTS));
    match side {
        Side::Bid => bid(MARK - distance, lots),
        Side::Ask => ask(MARK + distance, lots),
    }
}

fn any_side(random: &mut ChaCha8Rng) -> Side {
    if random.random() { Side::Bid } else { Side::Ask }
}

fn choose(random: &mut ChaCha8Rng, makers: &[Trader]) -> Result<Trader> {
    makers.choose(random).copied().context("a maker")
}

/// Cancels a random order of the maker; one more is placed first, so that there is one.
fn cancelling(random: &mut ChaCha8Rng, stage: &Stage, maker: Trader, side: Side) -> Result<(Stage, Instruction)> {
    let mut stage = stage.clone();
    stage.place(&maker, &resting(random, side).post_only().build())?;
    let (node, sequence) = *stage.handles(&maker)?.choose(random).context("an order")?;
    let instruction = stage.desk.venue.cancel_order(&maker, &stage.market(), node, sequence);
    Ok((stage, instruction))
}

/// Takes the best order of a side, whole or in part, by somebody else than its maker.
fn taking(random: &mut ChaCha8Rng, stage: &Stage, side: Side) -> Result<(Stage, Instruction)> {
    let mut stage = stage.clone();
    if stage.side_len(side.opposite())? == 0 {
        let maker = choose(random, &stage.makers)?;
        stage.place(&maker, &resting(random, side.opposite()).post_only().build())?;
    }
    let (price, lots, owner) = stage.best(side.opposite())?;
    let taker = loop {
        let taker = choose(random, &stage.makers)?;
        if taker.cell != owner {
            break taker;
        }
    };
    let lots = if random.random() { lots } else { random.random_range(1..=lots) };
    let ticket = match side {
        Side::Bid => bid(price, lots),
        Side::Ask => ask(price, lots),
    };
    let order: NewOrder = ticket.immediate_or_cancel().build();
    let instruction = stage.order_of(&taker, &order);
    Ok((stage, instruction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let distribution = Distribution::of((1..=200).rev().collect());
        assert_eq!([0, 50, 95, 99, 100].map(|percent| distribution.percentile(percent)), [1, 100, 190, 198, 200]);
        assert_eq!(Distribution::default().percentile(50), 0);
    }
}
