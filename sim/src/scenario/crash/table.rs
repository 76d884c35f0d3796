//! All crashes in one table.

use super::{Cell, Figures};
use crate::{
    floor::dollars,
    report::{integer, usd_whole},
};
use tabled::{
    builder::Builder,
    settings::{Alignment, Style, object::Columns},
};

const HEAD: [&str; 14] = [
    "lever",
    "depth",
    "seed",
    "book",
    "taken",
    "pool",
    "ADL",
    "shortfall",
    "pool paid",
    "ADL lots",
    "over",
    "flat",
    "of none",
    "left",
];
const LEGEND: &str = "\
book, taken, pool, ADL   accounts closed through the book, taken over, paid for by the pool, deleveraged
shortfall, pool paid     missing in bankrupt accounts when they were found, and what the pool paid into them
ADL lots                 closed against counterparties at the bankruptcy price
over                     lots closed beyond what was needed, by a second computation of every size
flat                     atoms lost by accounts that never traded
of none                  atoms of the pool that belonged to no share when everybody had left; paid out with the last fees
left                     atoms in the vault in the end
";

/// The table, what its columns mean, and the verdict.
pub fn render(seed: u64, cells: &[Cell], seconds: f64) -> String {
    let title = format!("Crashes by leverage and depth, seed {seed}");
    let mut builder = Builder::default();
    builder.push_record(HEAD);
    for cell in cells {
        builder.push_record(row(cell));
    }
    let mut table = builder.build();
    table.with(Style::sharp()).modify(Columns::new(..), Alignment::right());
    let mut text = format!("{title}\n{}\n\n{table}\n\n{LEGEND}\n", "=".repeat(title.chars().count()));
    for cell in cells.iter().filter(|cell| !cell.passed()) {
        text.push_str(&format!("{}x {}% FAILED: {}\n", cell.level, cell.depth, reason(cell)));
    }
    let measured: u64 =
        cells.iter().filter_map(|cell| cell.outcome.as_ref().ok()).map(|figures| figures.measured).sum();
    let passed = cells.iter().filter(|cell| cell.passed()).count();
    text.push_str(&format!(
        "{passed} of {} crashes passed all checks; {} liquidations measured; {seconds:.1} s.\n",
        cells.len(),
        integer(measured)
    ));
    text
}

fn row(cell: &Cell) -> Vec<String> {
    let mut row = vec![format!("{}x", cell.level), format!("{}%", cell.depth), cell.seed.to_string()];
    match &cell.outcome {
        Ok(figures) => row.extend(columns(figures)),
        Err(_) => row.resize(HEAD.len(), "FAILED".into()),
    }
    row
}

fn columns(figures: &Figures) -> Vec<String> {
    let mut columns: Vec<_> = figures.accounts.map(integer).into();
    columns.extend([
        usd_whole(dollars(figures.shortfall)),
        usd_whole(dollars(figures.pool_paid)),
        integer(u64::try_from(figures.deleveraged_lots).unwrap_or(u64::MAX)),
        figures.overshoot.to_string(),
        figures.bystanders_lost.to_string(),
        integer(figures.ownerless),
        integer(figures.left),
    ]);
    columns
}

fn reason(cell: &Cell) -> String {
    match &cell.outcome {
        Err(error) => error.clone(),
        Ok(figures) => {
            let failed = figures.record.checks.iter().filter(|check| !check.passed);
            failed.map(|check| format!("{}, {}", check.id, check.description)).collect::<Vec<_>>().join("; ")
        }
    }
}
