//! What positions in other markets add to the margin check.

use anyhow::{Context, Result};
use quantdesk_client::{engine::QuoteAtoms, instruction::Trader};

use super::{COMPARISON, comparison, each_further};
use crate::{
    peers::{self, target},
    stage::{MARK, MARKET, SOL, STEP, Stage, ask, bid},
    table::{Table, number},
    vm::Vm,
};

/// Numbers of positions.
const COUNTS: [usize; 6] = [1, 2, 4, 8, 16, 32];
const BEST_BID: u32 = MARK - STEP / 2;
const BEST_ASK: u32 = MARK + STEP / 2;

/// What the summary needs of this module.
pub struct Margin {
    /// Table.
    pub table: Table,
    /// Compute units that each further position adds to an order, at worst.
    pub plain: u64,
    /// The same if each has a resting order, too.
    pub with_orders: u64,
}

type Measure = fn(&mut Vm, Stage, Trader) -> Result<u64>;

/// A trader with so many positions.
type Setup = fn(&mut Stage, usize) -> Result<Trader>;

/// The table, on a regular book of depth 250.
pub fn measure(vm: &mut Vm, base: &Stage) -> Result<Margin> {
    let mut stage = base.clone();
    stage.list_until(COUNTS[COUNTS.len() - 1])?;
    let mut table = Table::new(
        "Positions in the margin check",
        "Depth 250; the column is the number of the trader's open positions, one of them in this market. A trader's \
         positions are a list, the newest first; an order looks for its own position in it and then examines all.",
        &["case, by positions"],
    );
    table.columns.extend(COUNTS.iter().map(|count| count.to_string()));
    table.columns.extend(["each further"].into_iter().chain(COMPARISON).map(String::from));
    let cases: [(&str, Setup, Measure, Option<u64>); 6] = [
        ("PlaceOrder, post-only; position found first", found_first, place, Some(target::POSITION)),
        ("PlaceOrder, post-only; position found last", found_last, place, Some(target::POSITION)),
        ("PlaceOrder, post-only; each other position has an order, too", with_orders, place, Some(target::POSITION)),
        ("PlaceOrder, IOC, 1 maker; position found last", found_last, take, Some(target::POSITION)),
        ("CancelOrder; position found last", found_last, cancel, None),
        ("Withdraw", found_last, withdraw, None),
    ];
    let mut further = Vec::new();
    for (name, setup, measure, target) in cases {
        let mut units = Vec::new();
        for count in COUNTS {
            let mut stage = stage.clone();
            let trader = setup(&mut stage, count).context(name)?;
            units.push(measure(vm, stage, trader).context(name)?);
        }
        let each = each_further(units[0], units[COUNTS.len() - 1], COUNTS[COUNTS.len() - 1]);
        let mut cells = vec![name.to_owned()];
        cells.extend(units.iter().chain([&each]).map(|units| number(Some(*units))));
        cells.extend(comparison(Some(each), target, target.map(|_| &peers::MANGO_HEALTH)));
        table.row(cells);
        further.push(each);
    }
    Ok(Margin { table, plain: further[0].max(further[1]).max(further[3]), with_orders: further[2] })
}

/// Alice's first position is that in this market.
fn found_last(stage: &mut Stage, count: usize) -> Result<Trader> {
    for market in 1..count {
        stage.give(stage.alice, market, 10 * SOL as i64)?;
    }
    Ok(stage.alice)
}

fn with_orders(stage: &mut Stage, count: usize) -> Result<Trader> {
    let alice = found_last(stage, count)?;
    for market in 1..count {
        stage.place_in(market, &alice, &bid(BEST_BID, SOL).post_only().build())?;
    }
    Ok(alice)
}

/// Somebody whose last position is that in this market.
fn found_first(stage: &mut Stage, count: usize) -> Result<Trader> {
    let trader = stage.newcomer;
    for market in (1..count).chain([MARKET]) {
        stage.give(trader, market, 10 * SOL as i64)?;
    }
    Ok(trader)
}

fn place(vm: &mut Vm, stage: Stage, trader: Trader) -> Result<u64> {
    vm.accepted(&stage.desk, &stage.order_of(&trader, &bid(BEST_BID, SOL).post_only().build()))
}

fn take(vm: &mut Vm, mut stage: Stage, trader: Trader) -> Result<u64> {
    let maker = stage.makers[0];
    stage.place(&maker, &ask(BEST_ASK, SOL).post_only().build())?;
    vm.accepted(&stage.desk, &stage.order_of(&trader, &bid(BEST_ASK, SOL).immediate_or_cancel().build()))
}

fn cancel(vm: &mut Vm, mut stage: Stage, trader: Trader) -> Result<u64> {
    stage.place(&trader, &bid(BEST_BID, SOL).post_only().build())?;
    vm.accepted(&stage.desk, &stage.cancel_newest(&trader)?)
}

fn withdraw(vm: &mut Vm, mut stage: Stage, trader: Trader) -> Result<u64> {
    let tokens = stage.desk.fund(&trader.authority, 0)?;
    let instruction = stage.desk.venue.withdraw(&trader, tokens, QuoteAtoms::new(1_000_000));
    vm.accepted(&stage.desk, &instruction)
}
