//! Orders that take.

use anyhow::{Context, Result};
use quantdesk_client::engine::{Side, UnixSeconds};

use super::{Case, compare, comparison, depth_table, each_further, fees, orders};
use crate::{
    peers::{self, Peer, target},
    stage::{MARK, MARKET, SOL, STEP, Stage, ask, bid},
    table::{Table, number},
    vm::Vm,
};

/// Price of the best ask, in front of the regular book.
const BEST_ASK: u32 = MARK + STEP / 2;
/// Price of the best bid, in front of the regular book.
const BEST_BID: u32 = MARK - STEP / 2;
const SIZE: i64 = SOL as i64;
/// Numbers of makers taken at once.
const COUNTS: [(usize, Option<Peer>); 6] = [
    (1, Some(peers::OPENBOOK_TAKE)),
    (2, Some(peers::OPENBOOK_TAKE_2)),
    (4, Some(peers::OPENBOOK_TAKE_4)),
    (8, Some(peers::OPENBOOK_TAKE_8)),
    (16, None),
    (32, None),
];

/// One order against one other.
#[derive(Clone, Copy)]
struct Match {
    /// Position that the maker is given first.
    maker: i64,
    /// What is added to the taker's position, 10 SOL long, first.
    taker: i64,
    /// Side of the taker.
    side: Side,
    /// Lots of the taker.
    lots: u64,
    /// Lots of the maker's order.
    resting: u64,
}

const BUY: Match = Match { maker: 0, taker: 0, side: Side::Bid, lots: SOL, resting: SOL };

impl Match {
    fn measure(self, vm: &mut Vm, mut stage: Stage) -> Result<u64> {
        let (alice, bob) = (stage.alice, stage.makers[0]);
        stage.give(bob, MARKET, self.maker)?;
        stage.give(alice, MARKET, self.taker)?;
        let (resting, taking) = match self.side {
            Side::Bid => (ask(BEST_ASK, self.resting), bid(BEST_ASK, self.lots)),
            Side::Ask => (bid(BEST_BID, self.resting), ask(BEST_BID, self.lots)),
        };
        stage.place(&bob, &resting.post_only().build())?;
        vm.accepted(&stage.desk, &stage.order(&taking.immediate_or_cancel().build()))
    }
}

/// What the summary needs of this module.
pub struct Fills {
    /// Tables.
    pub tables: Vec<Table>,
    /// Compute units that each further maker costs, at worst.
    pub further_maker: u64,
}

/// Every table of this module.
pub fn measure(vm: &mut Vm, stages: &[Stage]) -> Result<Fills> {
    let mut table = depth_table(
        "Taking",
        "An IOC order of 1 SOL that fills an order of 1 SOL whole, unless said otherwise. The taker is 10 SOL long.",
    );
    let mut cases = makers_side();
    cases.extend(takers_side());
    cases.extend(on_the_way());
    cases.extend(orders::self_trades());
    cases.extend(fees::taking());
    compare(vm, &mut table, stages, &cases)?;

    let mut many = depth_table("Taking several makers", "Distinct makers without a position before, one order each.");
    let cases: Vec<Case> = COUNTS.into_iter().map(|(count, peer)| take_many(count, peer)).collect();
    let units = compare(vm, &mut many, stages, &cases)?;
    let further = further_makers(&units)?;
    let worst = further.iter().copied().max().unwrap_or(0);
    let mut cells = vec!["each further maker, mean of 2 to 32".to_owned()];
    cells.extend(further.iter().map(|units| number(Some(*units))));
    cells.extend(comparison(Some(worst), Some(target::MAKER), Some(&peers::MANGO_MATCH)));
    many.row(cells);
    Ok(Fills { tables: vec![table, many], further_maker: worst })
}

fn makers_side() -> Vec<Case> {
    let cases = [
        ("opens a position", 0),
        ("adds to its position", -5 * SIZE),
        ("closes a part", 5 * SIZE),
        ("closes all", SIZE),
        ("flips", SIZE / 2),
    ];
    let case = |(name, maker): (&str, i64)| {
        let taken = Match { maker, ..BUY };
        Case::new(format!("1 maker; the maker {name}, the taker adds"), move |vm, stage| taken.measure(vm, stage))
            .within(target::TAKE)
            .against(peers::PERCOLATOR_TRADE)
    };
    cases.into_iter().map(case).collect()
}

fn takers_side() -> Vec<Case> {
    let sell = Match { side: Side::Ask, ..BUY };
    let cases = [
        ("opens a position", Match { taker: -10 * SIZE, ..BUY }),
        ("closes a part", sell),
        ("closes all", Match { lots: 10 * SOL, resting: 10 * SOL, ..sell }),
        ("flips", Match { lots: 20 * SOL, resting: 20 * SOL, ..sell }),
    ];
    let case = |(name, taken): (&str, Match)| {
        Case::new(format!("1 maker; the taker {name}, the maker opens"), move |vm, stage| taken.measure(vm, stage))
            .within(target::TAKE)
            .against(peers::PERCOLATOR_TRADE)
    };
    cases.into_iter().map(case).collect()
}

fn on_the_way() -> Vec<Case> {
    vec![
        Case::new("1 maker, whose order remains in part", |vm, stage| {
            Match { resting: 3 * SOL, ..BUY }.measure(vm, stage)
        }),
        Case::new("1 maker, pegged", |vm, mut stage| {
            let bob = stage.makers[0];
            stage.place(&bob, &ask(MARK, SOL).pegged(1).build())?;
            vm.accepted(&stage.desk, &stage.order(&bid(BEST_ASK, SOL).immediate_or_cancel().build()))
        }),
        Case::new("1 maker, then a limit order's remainder rests", |vm, mut stage| {
            let bob = stage.makers[0];
            stage.place(&bob, &ask(BEST_ASK, SOL).build())?;
            vm.accepted(&stage.desk, &stage.order(&bid(BEST_ASK, 2 * SOL).build()))
        }),
        Case::new("1 maker, reduce-only taker", |vm, mut stage| {
            let bob = stage.makers[0];
            stage.place(&bob, &bid(BEST_BID, SOL).build())?;
            let order = ask(BEST_BID, SOL).immediate_or_cancel().reduce_only();
            vm.accepted(&stage.desk, &stage.order(&order.build()))
        }),
        Case::new("1 expired order dropped, then 1 maker", |vm, mut stage| {
            let bob = stage.makers[0];
            let expiry = UnixSeconds::new(stage.desk.chain.unix_seconds() + 1);
            stage.place(&bob, &ask(BEST_ASK - 1, SOL).expires_at(expiry).build())?;
            stage.place(&bob, &ask(BEST_ASK, SOL).build())?;
            stage.wait(3);
            vm.accepted(&stage.desk, &stage.order(&bid(BEST_ASK, SOL).immediate_or_cancel().build()))
        }),
    ]
}

fn take_many(count: usize, peer: Option<Peer>) -> Case {
    let case = Case::new(format!("{count} {}", if count == 1 { "maker" } else { "makers" }), move |vm, mut stage| {
        for maker in 0..count {
            let maker = *stage.makers.get(maker).context("a maker")?;
            stage.place(&maker, &ask(BEST_ASK, SOL).post_only().build())?;
        }
        let order = bid(BEST_ASK, count as u64 * SOL).immediate_or_cancel();
        vm.accepted(&stage.desk, &stage.order(&order.build()))
    });
    match peer {
        Some(peer) => case.against(peer),
        None => case,
    }
}

/// Per column, what each maker beyond the first costs, rounded up.
fn further_makers(units: &[Vec<u64>]) -> Result<Vec<u64>> {
    let (first, last) = (units.first().context("one maker")?, units.last().context("all makers")?);
    let makers = COUNTS[COUNTS.len() - 1].0;
    Ok(first.iter().zip(last).map(|(one, all)| each_further(*one, *all, makers)).collect())
}
