//! What positions in other markets add to the margin check.

use anyhow::{Context, Result};
use quantdesk_client::{engine::QuoteAtoms, instruction::Trader};

use super::named;
use crate::{
    peers::{self, target},
    stage::{MARK, MARKET, SOL, STEP, Stage, ask, bid},
    table::{Table, number, ratio, verdict},
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
    /// Compute units that each further position adds to a placement, at worst.
    pub further_position: u64,
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
    table
        .columns
        .extend(["each further position", "target", "", "best published peer", "peer ÷ ours"].map(String::from));
    let cases: [(&str, Setup, Measure); 6] = [
        ("PlaceOrder, post-only; position found first", found_first, place),
        ("PlaceOrder, post-only; position found last", found_last, place),
        ("PlaceOrder, post-only; each other position has an order, too", with_orders, place),
        ("PlaceOrder, IOC, 1 maker; position found last", found_last, take),
        ("CancelOrder; position found last", found_last, cancel),
        ("Withdraw", found_last, withdraw),
    ];
    let mut worst = 0;
    for (name, setup, measure) in cases {
        let mut units = Vec::new();
        for count in COUNTS {
            let mut stage = stage.clone();
            let trader = setup(&mut stage, count).context(name)?;
            units.push(measure(vm, stage, trader).context(name)?);
        }
        let further = further(&units);
        let mut cells = vec![name.to_owned()];
        cells.extend(units.iter().chain([&further]).map(|units| number(Some(*units))));
        let examines = further > 0;
        cells.push(number(examines.then_some(target::POSITION)));
        if examines {
            worst = worst.max(further);
            cells.extend([verdict(further, target::POSITION), named(&peers::MANGO_HEALTH)]);
            cells.push(ratio(peers::MANGO_HEALTH.units, further));
        }
        cells.resize(table.columns.len(), crate::table::DASH.into());
        table.row(cells);
    }
    Ok(Margin { table, further_position: worst })
}

/// What each position beyond the first costs, rounded up.
fn further(units: &[u64]) -> u64 {
    let (first, last) = (units.first().copied().unwrap_or(0), units.last().copied().unwrap_or(0));
    let positions = COUNTS[COUNTS.len() - 1] - COUNTS[0];
    last.saturating_sub(first).div_ceil(positions as u64)
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
