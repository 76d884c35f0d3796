//! The summary: what was aimed at, what came out.

use crate::{
    cases::{DEPTHS, blocks::Blocks, fills::Fills, margin::Margin, named, others::Others},
    peers::{self, Peer, target},
    samples::AtDepth,
    table::{DASH, Table, number, ratio, verdict},
};

/// Everything that the summary draws on.
pub struct Findings<'a> {
    /// Percentiles.
    pub samples: &'a [AtDepth],
    /// Taking.
    pub fills: &'a Fills,
    /// Positions.
    pub margin: &'a Margin,
    /// Prices and collateral.
    pub others: &'a Others,
    /// Blocks.
    pub blocks: &'a Blocks,
}

/// One line: operation, what was measured, how, target, peer.
struct Line {
    operation: &'static str,
    measured: Option<u64>,
    basis: &'static str,
    target: u64,
    peer: Option<Peer>,
}

/// Compute units against targets.
pub fn units(findings: &Findings<'_>) -> Table {
    let mut table = Table::new(
        "Targets",
        "Compute units of the program alone. Placing, cancelling and taking are judged by the 99th percentile over random \
         books of the deepest kind, the rest by the worst case in its table.",
        &["operation", "CU", "basis", "target", "", "best published peer", "peer ÷ ours"],
    );
    for line in lines(findings) {
        table.row(vec![
            line.operation.into(),
            number(line.measured),
            line.basis.into(),
            number(Some(line.target)),
            line.measured.map_or_else(|| DASH.into(), |units| verdict(units, line.target)),
            line.peer.map_or_else(|| DASH.into(), |peer| named(&peer)),
            line.peer.zip(line.measured).map_or_else(|| DASH.into(), |(peer, units)| ratio(peer.units, units)),
        ]);
    }
    table
}

fn lines(findings: &Findings<'_>) -> Vec<Line> {
    const NOT_BUILT: &str = "no such instruction yet";
    const PERCENTILE: &str = "P99 at depth 1,000";
    debug_assert_eq!(DEPTHS.last(), Some(&1_000));
    let deepest = findings.samples.last();
    let line = |operation, measured, basis, target, peer| Line { operation, measured, basis, target, peer };
    let at = |percentile: fn(&AtDepth) -> u64| deepest.map(percentile);
    let others = findings.others;
    vec![
        line(
            "place, rests, 1 position",
            at(|at| at.place.percentile(99)),
            PERCENTILE,
            target::PLACE,
            Some(peers::MANIFEST),
        ),
        line(
            "each further position",
            Some(findings.margin.further_position),
            "mean of 2 to 32",
            target::POSITION,
            Some(peers::MANGO_HEALTH),
        ),
        line("cancel", at(|at| at.cancel.percentile(99)), PERCENTILE, target::CANCEL, Some(peers::PHOENIX_CANCEL)),
        line("take, 1 maker", at(|at| at.take.percentile(99)), PERCENTILE, target::TAKE, Some(peers::PERCOLATOR_TRADE)),
        line(
            "each further maker",
            Some(findings.fills.further_maker),
            "mean of 2 to 32",
            target::MAKER,
            Some(peers::MANGO_MATCH),
        ),
        line(
            "cancel 10, place 10",
            Some(findings.blocks.replace),
            "11 instructions; ReplaceQuotes is not built yet",
            target::REPLACE,
            Some(peers::PHOENIX_REPLACE),
        ),
        line("MoveLadder", None, NOT_BUILT, target::MOVE_LADDER, None),
        line(
            "UpdatePrice, 2 sources",
            Some(others.update_price),
            "worst case",
            target::UPDATE_PRICE,
            Some(peers::DRIFT_LAZER),
        ),
        line("liquidate, 1 fill", None, NOT_BUILT, target::LIQUIDATE, Some(peers::PERCOLATOR_LIQUIDATE)),
        line("deposit", Some(others.deposit), "worst case", target::DEPOSIT, Some(peers::PERCOLATOR_DEPOSIT)),
        line("withdraw", Some(others.withdraw), "1 position", target::WITHDRAW, Some(peers::PERCOLATOR_WITHDRAW)),
    ]
}

/// Operations per second against targets.
pub fn capacity(blocks: &Blocks) -> Table {
    let mut table = Table::new(
        "Targets of capacity",
        "Order operations per second of one risk group, by the cost model below.",
        &["operations", "per second", "target", ""],
    );
    let lines = [
        ("single orders, one in a transaction", blocks.single, target::SINGLE_ORDERS),
        ("best batch of one transaction", blocks.batched, target::BATCHED_ORDERS),
    ];
    for (name, measured, target) in lines {
        let verdict = if measured >= target {
            "met".to_owned()
        } else {
            format!("missed by {}%", ((target - measured) * 100).div_ceil(target))
        };
        table.row(vec![name.into(), number(Some(measured)), number(Some(target)), verdict]);
    }
    table
}

/// The figures that are compared with.
pub fn sources() -> Table {
    let mut table = Table::new(
        "Peers",
        "Spot books examine no margin and move tokens; engines without a book match nothing. No peer does both in one \
         instruction for less. Percolator's PushOraclePrice takes 1,010, but there a trusted key writes a number, so it is \
         not compared with UpdatePrice.",
        &["figure", "CU", "source"],
    );
    for peer in peers::ALL {
        table.row(vec![peer.name.into(), number(Some(peer.units)), peer.source.into()]);
    }
    table
}
