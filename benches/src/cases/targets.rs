//! The summary: what was aimed at, what came out.

use crate::{
    cases::{
        COMPARISON, blocks::Blocks, comparison, fills::Fills, ladders::Ladders, margin::Margin, others::Others,
        risk::Risk,
    },
    peers::{self, Peer, target},
    samples::AtDepth,
    table::{Table, number},
};

/// Everything that the summary draws on.
pub struct Findings<'a> {
    /// Percentiles.
    pub samples: &'a [AtDepth],
    /// Taking.
    pub fills: &'a Fills,
    /// Ladders.
    pub ladders: &'a Ladders,
    /// Positions.
    pub margin: &'a Margin,
    /// Prices and collateral.
    pub others: &'a Others,
    /// Liquidations.
    pub risk: &'a Risk,
    /// Blocks.
    pub blocks: &'a Blocks,
    /// What an order costs more if a session signs it.
    pub session: u64,
}

/// One line of the summary.
struct Line {
    operation: &'static str,
    basis: &'static str,
    units: Option<u64>,
    target: u64,
    peer: Option<Peer>,
}

/// Compute units against targets.
pub fn units(findings: &Findings<'_>) -> Table {
    let mut table = Table::new(
        "Targets",
        "Compute units of the program alone. Placing, cancelling and taking are judged by the worst 99th percentile over \
         all depths, the rest by the worst case in its table.\n\n\
         Why targets are missed: about 400 units of every order are the loader's three accounts, authority and clock, \
         before any book is looked at. A place at the 99th percentile comes from a maker with twenty orders of its own, \
         whose client ids are compared (12 each). Of a further position, 18 are the walk to the traded one when that is \
         last in the account's list; the margin check itself takes the 114 of the row in which it is first: two bounds \
         checks, two multiplications for its worth and two for its requirement, a division, a comparison each for \
         freshness, funding, tier and scale, and checked sums. An order in it costs 45 more, for the worst case and the loss \
         by fills on two sides. Pegged orders, ladders, waiting takers, conditional orders, fee tiers and builders cost an \
         order that uses none of them a test each and the registers that their code takes from it: about 110 units of a \
         place, 150 of a take, 50 of a further maker.",
        &["operation", "basis", "CU"],
    );
    table.columns.extend(COMPARISON.map(String::from));
    let order_lines = order_lines(findings);
    for line in order_lines.into_iter().chain(other_lines(findings)) {
        let mut cells = vec![line.operation.into(), line.basis.into(), number(line.units)];
        cells.extend(comparison(line.units, Some(line.target), line.peer.as_ref()));
        table.row(cells);
    }
    table
}

fn line(operation: &'static str, basis: &'static str, units: u64, target: u64, peer: Peer) -> Line {
    Line { operation, basis, units: Some(units), target, peer: Some(peer) }
}

fn order_lines(findings: &Findings<'_>) -> Vec<Line> {
    const PERCENTILE: &str = "P99";
    let worst = |percentile: fn(&AtDepth) -> u64| findings.samples.iter().map(percentile).max().unwrap_or(0);
    let margin = findings.margin;
    vec![
        line(
            "place an order that rests, 1 position",
            PERCENTILE,
            worst(|at| at.place.percentile(99)),
            target::PLACE,
            peers::MANIFEST,
        ),
        line("each further position", "mean of 2 to 32", margin.plain, target::POSITION, peers::MANGO_HEALTH),
        line(
            "each further position with an order",
            "mean of 2 to 32",
            margin.with_orders,
            target::POSITION,
            peers::MANGO_HEALTH,
        ),
        line(
            "cancel by handle",
            PERCENTILE,
            worst(|at| at.cancel.percentile(99)),
            target::CANCEL,
            peers::PHOENIX_CANCEL,
        ),
        line("take, 1 maker", PERCENTILE, worst(|at| at.take.percentile(99)), target::TAKE, peers::PERCOLATOR_TRADE),
        line("each further maker", "mean of 2 to 32", findings.fills.further_maker, target::MAKER, peers::MANGO_MATCH),
    ]
}

fn other_lines(findings: &Findings<'_>) -> Vec<Line> {
    const WORST: &str = "worst case";
    let others = findings.others;
    vec![
        Line {
            operation: "PlaceOrder by session over owner-signed",
            basis: WORST,
            units: Some(findings.session),
            target: target::SESSION,
            peer: None,
        },
        line(
            "replace 10 quotes",
            "ReplaceQuotes, depth 250",
            findings.blocks.replace,
            target::REPLACE,
            peers::PHOENIX_REPLACE,
        ),
        Line {
            operation: "move a ladder",
            basis: WORST,
            units: Some(findings.ladders.moved),
            target: target::MOVE_LADDER,
            peer: None,
        },
        line("UpdatePrice, 2 sources", WORST, others.update_price, target::UPDATE_PRICE, peers::DRIFT_LAZER),
        line(
            "liquidate into the book, 1 fill",
            WORST,
            findings.risk.liquidate,
            target::LIQUIDATE,
            peers::PERCOLATOR_LIQUIDATE,
        ),
        Line {
            operation: "liquidate at the largest",
            basis: "32 positions, 128 orders, 255 fills",
            units: Some(findings.risk.largest),
            target: target::LARGEST,
            peer: None,
        },
        line("Deposit", WORST, others.deposit, target::DEPOSIT, peers::PERCOLATOR_DEPOSIT),
        line("Withdraw", "1 position", others.withdraw, target::WITHDRAW, peers::PERCOLATOR_WITHDRAW),
    ]
}

/// Operations per second against targets.
pub fn capacity(blocks: &Blocks) -> Table {
    let mut table = Table::new(
        "Targets of capacity",
        "Order operations per second of one risk group, by the cost model (see the table of block costs).",
        &["operations", "per second", "target", "is"],
    );
    let lines = [
        ("single orders, one in a transaction", blocks.single, target::SINGLE_ORDERS),
        ("10 quotes replaced in a transaction", blocks.batched, target::BATCHED_ORDERS),
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
        "Published compute units, or measured on published binaries where the source says so. Spot books examine no \
         margin; Percolator examines margin but has no book. Percolator's PushOraclePrice takes 1,010, but there a trusted \
         key writes a number, so UpdatePrice is not compared with it.",
        &["venue", "figure", "CU", "source"],
    );
    for peer in peers::ALL {
        table.row(vec![peer.venue.into(), peer.what.into(), number(Some(peer.units)), peer.source.into()]);
    }
    table
}
