//! Failing accounts: cancels, liquidations, take-overs, the pool, deleveraging, and finding them.
//!
//! They bought at [`ENTRY`] what now stands at [`MARK`], 5.6% lower, against makers with positions since then.

use anyhow::{Context, Result};
use quantdesk_client::{
    engine::{CellIndex, Lots, QuoteAtoms, Side, Ticks},
    instruction::{Target, Trader},
    order::Ticket,
};
use solana_instruction::Instruction;

use super::{Case, compare, each_further};
use crate::{
    peers::{self, target},
    stage::{MARK, MARKET, PRICE, SOL, Stage, ask, bid},
    table::{Table, number},
    vm::Vm,
};

/// Where failing accounts bought, in ticks.
const ENTRY: u32 = 234_000;
/// The same in 1e-12 quote units.
const ENTRY_PRICE: u64 = 234_000_000_000_000;
/// Lots of a failing position.
const SIZE: u64 = 10 * SOL;
/// What an account is left with $45 of, against a requirement of $55.25.
const BELOW_MAINTENANCE: u64 = 176_170_000;
/// What is left with $30, below two thirds of the requirement.
const BELOW_TWO_THIRDS: u64 = 161_170_000;
/// What lacks $6.
const BANKRUPT: u64 = 125_170_000;
/// Makers of the book.
const MAKERS: usize = 32;
/// Depth of the regular book.
const DEPTH: u32 = 250;
/// Orders that one liquidation may meet.
const LARGEST: u32 = 255;
/// Markets there can be.
const MARKETS: usize = 32;

/// What the summary needs of this module.
pub struct Risk {
    /// Tables.
    pub tables: Vec<Table>,
    /// `Liquidate` with one fill.
    pub liquidate: u64,
    /// `Liquidate` at its largest.
    pub largest: u64,
}

/// Every table of this module.
pub fn measure(vm: &mut Vm) -> Result<Risk> {
    let (stage, people) = prepared()?;
    let mut ladder = Table::new(
        "Failing accounts",
        "Depth 250. A position of 10 SOL that lost 5.6%, in an account without orders and other positions unless said \
         otherwise; the keeper has no position. The largest liquidation: positions and an order in 32 markets, 128 orders \
         in this one, and 255 orders met, of 32 makers who have a position, each at a price of its own, in front of 445 \
         others.",
        &["case", "CU"],
    );
    let mut cases = liquidations(people);
    cases.extend(other_rungs(people));
    let units = compare(vm, &mut ladder, std::slice::from_ref(&stage), &cases)?;
    let first = |place: usize| units.get(place).and_then(|row| row.first()).copied().unwrap_or(0);
    let largest = cases.iter().position(|case| case.name.starts_with("Liquidate, largest")).context("largest")?;
    let risk =
        Risk { liquidate: first(0), largest: first(largest), tables: vec![ladder, deleveraging(vm)?, sweeping(vm)?] };
    Ok(risk)
}

/// Accounts of one stage.
#[derive(Clone, Copy)]
struct People {
    /// Below maintenance margin.
    failing: Trader,
    /// Below two thirds of it.
    further: Trader,
    /// The same with orders.
    ordered: Trader,
    /// Without equity.
    bankrupt: Trader,
}

fn named(trader: &Trader) -> Target {
    Target { trader: trader.cell, generation: trader.generation }
}

/// An account with this much cash.
fn open(stage: &mut Stage, atoms: u64) -> Result<Trader> {
    let owner = stage.desk.name(b"owner");
    Ok(stage.desk.open(owner, 0, atoms)?.0)
}

/// The trader buys so many lots of makers, the same number of each.
fn buy(stage: &mut Stage, trader: &Trader, makers: &[Trader], lots: u64) -> Result<()> {
    let each = lots / makers.len() as u64;
    for maker in makers {
        stage.place(maker, &ask(ENTRY, each).post_only().build())?;
        stage.place(trader, &bid(ENTRY, each).immediate_or_cancel().build())?;
    }
    Ok(())
}

fn prepared() -> Result<(Stage, People)> {
    let mut stage = Stage::with_makers(MAKERS)?;
    stage.desk.settle_price(MARKET, ENTRY_PRICE)?;
    let makers = stage.makers.clone();
    let loser = |atoms: u64, stage: &mut Stage| {
        let trader = open(stage, atoms)?;
        buy(stage, &trader, &makers[..1], SIZE)?;
        anyhow::Ok(trader)
    };
    let failing = loser(BELOW_MAINTENANCE, &mut stage)?;
    let further = loser(BELOW_TWO_THIRDS, &mut stage)?;
    let ordered = loser(BELOW_TWO_THIRDS, &mut stage)?;
    let bankrupt = loser(BANKRUPT, &mut stage)?;
    for step in 0..32 {
        stage.place(&ordered, &bid(100_000 + step, 1).build())?;
    }
    stage.desk.settle_price(MARKET, PRICE)?;
    Ok((stage.with_book(DEPTH)?, People { failing, further, ordered, bankrupt }))
}

fn liquidate(stage: &Stage, trader: &Trader) -> Instruction {
    stage.desk.venue.liquidate(&stage.alice, &stage.market(), named(trader), u8::MAX)
}

/// Bids of distinct makers in front of the book, each of so many lots at a price of its own, the best first.
fn offers(stage: &mut Stage, lots: &[u64]) -> Result<()> {
    let makers = stage.makers.clone();
    for ((maker, lots), place) in makers.iter().skip(1).zip(lots).zip(0..) {
        stage.place(maker, &bid(MARK - 1 - place, *lots).post_only().build())?;
    }
    Ok(())
}

fn liquidations(people: People) -> Vec<Case> {
    let failing = people.failing;
    let met = |name: &str, lots: Vec<u64>| {
        Case::new(name, move |vm, mut stage| {
            offers(&mut stage, &lots)?;
            vm.accepted(&stage.desk, &liquidate(&stage, &failing))
        })
    };
    vec![
        met("Liquidate, 1 fill", vec![SIZE]).within(target::LIQUIDATE).against(peers::PERCOLATOR_LIQUIDATE),
        met("Liquidate, 2 price levels", vec![SOL, SIZE]),
        met("Liquidate, 8 price levels", [vec![SOL / 10; 7], vec![SIZE]].concat()),
        Case::new("Liquidate, 1 fill, 32 own orders cancelled first", move |vm, mut stage| {
            offers(&mut stage, &[SIZE])?;
            vm.accepted(&stage.desk, &liquidate(&stage, &people.ordered))
        }),
        Case::new("Liquidate, 1 fill, 8 positions", |vm, _| with_positions(vm, 8)),
        Case::new("Liquidate, 1 fill, 32 positions", |vm, _| with_positions(vm, MARKETS)),
        Case::new("Liquidate, largest", |vm, _| largest(vm)).within(target::LARGEST),
        Case::new("refused: Liquidate, account is healthy", |vm, stage| {
            let healthy = stage.makers[0];
            let error = quantdesk_client::engine::EngineError::AccountHealthy;
            vm.refused(&stage.desk, &liquidate(&stage, &healthy), error)
        }),
    ]
}

/// One lot in each of so many markets, this one among them.
fn with_positions(vm: &mut Vm, count: usize) -> Result<u64> {
    let mut stage = Stage::with_makers(MAKERS)?;
    stage.desk.settle_price(MARKET, ENTRY_PRICE)?;
    let makers = stage.makers.clone();
    let trader = open(&mut stage, BELOW_MAINTENANCE + 1_000_000)?;
    buy(&mut stage, &trader, &makers[..1], SIZE)?;
    stage.list_until(count)?;
    for market in 1..count {
        stage.give(trader, market, 1)?;
    }
    stage.desk.settle_price(MARKET, PRICE)?;
    let mut stage = stage.with_book(DEPTH)?;
    offers(&mut stage, &[SIZE])?;
    vm.accepted(&stage.desk, &liquidate(&stage, &trader))
}

fn largest(vm: &mut Vm) -> Result<u64> {
    let mut stage = Stage::with_makers(MAKERS)?;
    stage.desk.settle_price(MARKET, ENTRY_PRICE)?;
    let makers = stage.makers.clone();
    let trader = open(&mut stage, BELOW_MAINTENANCE + 500_000)?;
    buy(&mut stage, &trader, &makers, SIZE / 32 * 32)?;
    stage.list_until(MARKETS)?;
    for market in 1..MARKETS {
        stage.give(trader, market, 1)?;
        stage.place_in(market, &trader, &bid(1_000, 1).build())?;
    }
    for place in 0..128 {
        stage.place(&trader, &ask(ENTRY + 1_000 + place, 1).reduce_only().build())?;
    }
    stage.desk.settle_price(MARKET, PRICE)?;
    for place in 0..700 {
        let maker = makers[place as usize % makers.len()];
        let order = if place < LARGEST { bid(MARK - 1 - place, 1) } else { bid(MARK - 300 - place, SOL) };
        stage.place(&maker, &order.post_only().build())?;
        stage.place(&maker, &ask(MARK + 300 + place, SOL).post_only().build())?;
    }
    vm.accepted(&stage.desk, &liquidate(&stage, &trader))
}

fn other_rungs(people: People) -> Vec<Case> {
    let take = move |stage: &Stage, lots: u64| {
        let liquidator = stage.newcomer;
        stage.desk.venue.take_over(&liquidator, &stage.market(), named(&people.further), Lots::new(lots))
    };
    let cancel = move |limit: u8| {
        move |vm: &mut Vm, stage: Stage| {
            let instruction = stage.desk.venue.cancel_for_risk(&stage.market(), named(&people.ordered), limit);
            vm.accepted(&stage.desk, &instruction)
        }
    };
    let absorb = move |stage: &Stage| {
        stage.desk.venue.absorb_shortfall(stage.desk.markets[MARKET].index, named(&people.bankrupt))
    };
    vec![
        Case::new("TakeOver, a part", move |vm, stage| vm.accepted(&stage.desk, &take(&stage, SOL))),
        Case::new("TakeOver, as much as restores the account", move |vm, stage| {
            vm.accepted(&stage.desk, &take(&stage, u64::MAX))
        }),
        Case::new("CancelForRisk, 1 order", cancel(1)),
        Case::new("CancelForRisk, 8 orders", cancel(8)),
        Case::new("CancelForRisk, 32 orders", cancel(32)),
        Case::new("AbsorbShortfall, the pool pays", move |vm, mut stage| {
            let gift = stage.desk.venue.fund_pool(&stage.alice, QuoteAtoms::new(100_000_000));
            stage.desk.chain.send(gift)?;
            vm.accepted(&stage.desk, &absorb(&stage))
        }),
        Case::new("AbsorbShortfall, the pool is empty", move |vm, stage| vm.accepted(&stage.desk, &absorb(&stage))),
    ]
}

/// A bankrupt position against so many counterparties, with so many accounts besides.
fn bankrupt(counterparties: usize, others: usize) -> Result<(Stage, Trader)> {
    let mut stage = Stage::with_makers(counterparties)?;
    stage.desk.settle_price(MARKET, ENTRY_PRICE)?;
    let makers = stage.makers.clone();
    let trader = open(&mut stage, BANKRUPT)?;
    buy(&mut stage, &trader, &makers, SIZE / counterparties as u64 * counterparties as u64)?;
    for _ in 0..others {
        open(&mut stage, 0)?;
    }
    stage.desk.settle_price(MARKET, PRICE)?;
    Ok((stage, trader))
}

fn deleverage(stage: &Stage, trader: &Trader, steps: u16) -> Instruction {
    stage.desk.venue.deleverage(&stage.market(), named(trader), steps)
}

fn deleveraging(vm: &mut Vm) -> Result<Table> {
    let mut table = Table::new(
        "Deleveraging",
        "A bankrupt position of 10 SOL against counterparties who each have the same part of it. A first pass over the \
         arena counts, a second one closes.",
        &["case", "CU"],
    );
    let (stage, trader) = bankrupt(4, 220)?;
    let begin = vm.accepted(&stage.desk, &deleverage(&stage, &trader, 1))?;
    let mut begun = stage.clone();
    begun.desk.chain.send(deleverage(&begun, &trader, 1))?;
    let counted = vm.accepted(&begun.desk, &deleverage(&begun, &trader, 100))?;
    let two_hundred = vm.accepted(&begun.desk, &deleverage(&begun, &trader, 200))?;
    let whole: Vec<u64> = [1, 2, 32]
        .into_iter()
        .map(|count| {
            let (stage, trader) = bankrupt(count, 0)?;
            vm.accepted(&stage.desk, &deleverage(&stage, &trader, u16::MAX))
        })
        .collect::<Result<_>>()?;
    let rows = [
        ("Deleverage, starts", begin),
        ("Deleverage, counts 100 cells", counted),
        ("each further cell counted", (two_hundred - counted).div_ceil(100)),
        ("Deleverage, whole, 1 counterparty", whole[0]),
        ("Deleverage, whole, 2 counterparties", whole[1]),
        ("Deleverage, whole, 32 counterparties", whole[2]),
        ("each further counterparty, with its two cells", each_further(whole[0], whole[2], 32)),
    ];
    for (name, units) in rows {
        table.row(vec![name.into(), number(Some(units))]);
    }
    Ok(table)
}

/// So many accounts, each with a position at the mark if wanted, and the cell of the first.
fn crowd(count: usize, with_position: bool) -> Result<(Stage, CellIndex)> {
    let mut stage = Stage::with_makers(1)?;
    let maker = stage.makers[0];
    let order = |side: Side| Ticket::of(side, Ticks::new(MARK), Lots::new(1)).build();
    stage.place(&maker, &order(Side::Ask))?;
    let taker = stage.alice;
    stage.place(&taker, &order(Side::Bid))?;
    let mut first = None;
    for _ in 0..count {
        let trader = open(&mut stage, if with_position { 100_000_000 } else { 0 })?;
        first.get_or_insert(trader.cell);
        if with_position {
            stage.place(&maker, &order(Side::Ask))?;
            stage.place(&trader, &order(Side::Bid))?;
        }
    }
    Ok((stage, first.context("an account")?))
}

fn sweeping(vm: &mut Vm) -> Result<Table> {
    let mut table = Table::new(
        "Finding failing accounts",
        "`Sweep` over cells in which nobody fails, and with accounts on the watch list, which are looked at again.",
        &["case", "CU"],
    );
    let cases = [
        ("Sweep, 100 accounts without a position", 100, false, 100),
        ("Sweep, 50 accounts with a position each, 100 cells", 50, true, 100),
        ("Sweep, 500 accounts with a position each, 1,000 cells", 500, true, 1_000),
    ];
    for (name, accounts, with_position, cells) in cases {
        let (mut stage, first) = crowd(accounts, with_position)?;
        let reach = u16::try_from(first.get())?;
        stage.desk.chain.send(stage.desk.venue.sweep(reach))?;
        let units = vm.accepted(&stage.desk, &stage.desk.venue.sweep(cells)).context(name)?;
        table.row(vec![name.into(), number(Some(units))]);
    }
    let (mut stage, people) = prepared()?;
    let end = u16::try_from(people.bankrupt.cell.get() + 1)?;
    stage.desk.chain.send(stage.desk.venue.sweep(end))?;
    let again = vm.accepted(&stage.desk, &stage.desk.venue.sweep(1))?;
    table.row(vec!["Sweep, 1 cell, a watch list of 4".into(), number(Some(again))]);
    Ok(table)
}
