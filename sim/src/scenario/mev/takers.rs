//! Honest takers: each opens a position of its own choice and closes it again, with orders that take at once, for a size
//! the book shows, within a limit of some basis points from the price it shows. Signed in a slot, landing in the next.

use super::{
    book::{Shown, accepts, sign},
    stage::{MATCH_LIMIT, Stage, terms},
};
use crate::floor::Role;
use anyhow::{Context, Result};
use quantdesk_client::{
    engine::{Side, book::NewOrder},
    order::Ticket,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Takers.
const COUNT: usize = 24;
/// Orders signed in a slot: none, or one with this probability for each of two.
const ARRIVALS: u32 = 2;
const ARRIVAL: f64 = 0.3;
/// Value of an opening order in atoms: 5,000 times up to two, four, eight or sixteen.
const VALUE: u64 = 5_000_000_000;
const DOUBLINGS: u32 = 4;
/// Limit beyond the average price shown, in ppm.
const SLIPPAGE: Range<i64> = 3_000..5_000;

/// Random choices of an arrival, drawn whether or not they are used, so that runs differ by the market alone.
struct Wish {
    arrives: bool,
    account: usize,
    side: Side,
    value: u64,
    slippage: i64,
}

/// An order on its way.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Whose.
    pub account: usize,
    /// As signed.
    pub order: NewOrder,
    /// The side of the book it was to meet.
    shown: Shown,
    /// Slot of the run in which it was signed.
    slot: usize,
}

/// What became of an order; prices in basis points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Done {
    /// Part of the size that was filled.
    pub filled: f64,
    /// Paid beyond what the book showed for the same size; of no meaning if nothing was filled.
    pub cost: f64,
    /// The same, less what the fair price moved in between.
    pub adjusted: f64,
    /// Value filled in atoms.
    pub value: f64,
    /// Whether any lot was filled beyond the limit.
    pub beyond_limit: bool,
}

/// All takers.
pub struct Takers {
    rng: ChaCha8Rng,
    accounts: Vec<usize>,
    /// Signed in the last slot.
    pub pending: Vec<Signed>,
    /// Landed, and not over.
    open: Vec<(Signed, usize)>,
    /// Over.
    pub done: Vec<Done>,
}

impl Takers {
    /// Opens all takers' accounts.
    pub fn employ(stage: &mut Stage, seed: u64) -> Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Stream 0 is the fair price's.
        rng.set_stream(1);
        let open = |number| stage.open(Role::Taker, format!("taker {number}"));
        let accounts = (1..=COUNT).map(open).collect::<Result<_>>()?;
        Ok(Self { rng, accounts, pending: Vec::new(), open: Vec::new(), done: Vec::new() })
    }

    fn wish(&mut self) -> Wish {
        let doublings = self.rng.random_range(0..DOUBLINGS);
        Wish {
            arrives: self.rng.random_bool(ARRIVAL),
            account: self.rng.random_range(0..COUNT),
            side: if self.rng.random() { Side::Bid } else { Side::Ask },
            value: self.rng.random_range(VALUE << doublings..VALUE << (doublings + 1)),
            slippage: self.rng.random_range(SLIPPAGE),
        }
    }

    /// Looks at the book as the slot ends, and signs for the next.
    pub fn sign(&mut self, stage: &Stage) -> Result<()> {
        for _ in 0..ARRIVALS {
            let wish = self.wish();
            let account = self.accounts[wish.account];
            let busy = self.pending.iter().chain(self.open.iter().map(|(open, _)| open));
            if wish.arrives
                && busy.clone().all(|signed| signed.account != account)
                && let Some(signed) = sign_order(stage, account, &wish)?
            {
                self.pending.push(signed);
            }
        }
        Ok(())
    }

    /// An order lands.
    pub fn land(&mut self, stage: &mut Stage, signed: Signed) -> Result<()> {
        let first = stage.tape.fills.len();
        stage.take(signed.account, &signed.order)?;
        self.open.push((signed, first));
        Ok(())
    }

    /// Books the orders that are over.
    pub fn close(&mut self, stage: &Stage) -> Result<()> {
        for (signed, first) in std::mem::take(&mut self.open) {
            if stage.holds(signed.account)? {
                self.open.push((signed, first));
            } else {
                self.done.push(outcome(stage, &signed, first)?);
            }
        }
        Ok(())
    }
}

/// An order that closes the position, or opens one; `None` if the book does not show as much within the limit.
fn sign_order(stage: &Stage, account: usize, wish: &Wish) -> Result<Option<Signed>> {
    let base = stage.base(account)?;
    let side = match base {
        0 => wish.side,
        1.. => Side::Ask,
        _ => Side::Bid,
    };
    let shown = stage.meets(side)?;
    let Some(best) = shown.0.first() else {
        return Ok(None);
    };
    let lots = if base == 0 { wish.value / u64::from(best.price) } else { base.unsigned_abs() };
    let Some(cost) = shown.cost(lots) else {
        return Ok(None);
    };
    let average = u64::try_from(cost * u128::from(stage.tick_size()) / u128::from(lots.max(1)))?;
    let limit = stage.ticks_at(side, average, sign(side) * wish.slippage);
    let (price, lots) = terms(limit, lots);
    let order = Ticket::of(side, price, lots).immediate_or_cancel().match_limit(MATCH_LIMIT).build();
    Ok(Some(Signed { account, order, shown, slot: stage.slot }))
}

/// What an order got, out of the fills since it landed.
fn outcome(stage: &Stage, signed: &Signed, first: usize) -> Result<Done> {
    let (account, order) = (signed.account, &signed.order);
    let fills = || stage.tape.fills.iter().skip(first).filter(|fill| fill.taker == account);
    let lots: u64 = fills().map(|fill| fill.lots).sum();
    let paid: f64 = fills().map(super::tape::Fill::value).sum();
    let whole = lots as f64 / order.lots.get() as f64;
    let Some(last) = fills().next_back() else {
        return Ok(Done { filled: 0.0, cost: 0.0, adjusted: 0.0, value: 0.0, beyond_limit: false });
    };
    let shown = signed.shown.cost(lots).context("the book showed as much")? as f64;
    let cost = sign(order.side) as f64 * (paid / shown - 1.0) * 1e4;
    let moved = stage.fair.at(last.slot) as f64 / stage.fair.at(signed.slot) as f64;
    let adjusted = cost - sign(order.side) as f64 * (moved - 1.0) * 1e4;
    let beyond_limit = fills().any(|fill| !accepts(order.side, fill.price, order.price.get()));
    Ok(Done { filled: whole, cost, adjusted, value: paid, beyond_limit })
}
