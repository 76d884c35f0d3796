//! The tables of a run, and how the terminal shows them. The page shows the same ones.

use serde::Serialize;
use tabled::{
    builder::Builder,
    settings::{
        Alignment, Modify, Style, Width,
        object::{Columns, Rows},
        peaker::PriorityMax,
        style::HorizontalLine,
    },
};

use super::{
    format,
    record::{FinalBalance, RunRecord},
};

const TERMINAL_COLUMNS: usize = 100;
/// Up to this many actors are listed one by one.
const ACTORS_LISTED_MAX: usize = 12;

/// Rows of text under a head. The first `text_columns` are words, the rest figures.
#[derive(Debug, Serialize)]
pub struct Table {
    pub title: String,
    pub head: Vec<&'static str>,
    pub text_columns: usize,
    pub rows: Vec<Vec<String>>,
}

/// The whole run as text, at most 100 columns wide.
pub fn render(record: &RunRecord) -> String {
    let mut text = format!("{}\n{}\n\n", record.title, "=".repeat(record.title.chars().count()));
    for (name, value) in facts(record) {
        text.push_str(&format!("{name:<10} {value}\n"));
    }
    for table in tables(record) {
        text.push_str(&format!("\n{}\n{}\n", table.title, in_terminal(&table)));
    }
    text.push_str(&format!("\n{}\n", verdict(record)));
    text
}

/// What identifies the run, as name and value.
pub fn facts(record: &RunRecord) -> Vec<(&'static str, String)> {
    let simulated = (record.ended_unix - record.started_unix) as f64;
    let day = format::date(record.started_unix);
    let from = format::clock_seconds(record.started_unix);
    let to = format::clock_seconds(record.ended_unix);
    vec![
        ("inputs", record.inputs.join(", ")),
        ("seed", record.seed.to_string()),
        (
            "simulated",
            format!("{day} {from} to {to} UTC ({})", format::duration(simulated)),
        ),
        ("took", format::duration(record.wall_seconds)),
        ("program", format!("sha256 {}", record.program_sha256)),
        ("state", format!("sha256 {}", record.state_hash)),
    ]
}

/// One sentence on the checks.
pub fn verdict(record: &RunRecord) -> String {
    let failed: Vec<_> = (record.checks.iter())
        .filter(|check| !check.passed)
        .map(|check| check.id.as_str())
        .collect();
    let count = record.checks.len();
    if failed.is_empty() {
        format!("All {count} checks passed.")
    } else {
        format!("{} of {count} checks FAILED: {}.", failed.len(), failed.join(", "))
    }
}

pub fn tables(record: &RunRecord) -> Vec<Table> {
    let mut tables = vec![totals(record), instructions(record), money(record)];
    tables.push(if record.balances.len() <= ACTORS_LISTED_MAX {
        balances_by_actor(record)
    } else {
        balances_by_role(record)
    });
    tables.push(checks(record));
    tables.retain(|table| !table.rows.is_empty());
    tables
}

/// Totals as name and value, the most telling first.
pub fn total_figures(record: &RunRecord) -> Vec<(&'static str, String)> {
    let totals = &record.totals;
    let compute_units = record.instructions.iter().map(|row| row.total_compute_units).sum();
    vec![
        ("volume", format::usd(totals.volume)),
        ("fills", format::integer(totals.fills)),
        ("transactions", format::integer(totals.transactions)),
        ("failed", format::integer(totals.failed_transactions)),
        ("dropped", format::integer(totals.dropped_transactions)),
        ("slots", format::integer(totals.slots)),
        ("compute units", format::integer(compute_units)),
        ("taker fees", format::usd(totals.fees_taker)),
        ("maker rebates", format::usd(totals.rebates_maker)),
        ("liquidations", format::integer(totals.liquidations)),
        ("takeovers", format::integer(totals.takeovers)),
        ("deleverages", format::integer(totals.deleverages)),
        ("shortfall", format::usd(totals.shortfall)),
        ("vault atoms", format::integer(record.vault_final_atoms)),
    ]
}

/// Two figures a row.
fn totals(record: &RunRecord) -> Table {
    let figures = total_figures(record);
    let (left, right) = figures.split_at(figures.len().div_ceil(2));
    let row = |at: usize| {
        let cell = |side: &[(&'static str, String)]| side.get(at).cloned().unwrap_or_default();
        let ((name, value), (next_name, next_value)) = (cell(left), cell(right));
        vec![name.into(), value, next_name.into(), next_value]
    };
    Table {
        title: "Totals".into(),
        head: vec!["", "", "", ""],
        text_columns: 1,
        rows: (0..left.len()).map(row).collect(),
    }
}

pub fn instructions(record: &RunRecord) -> Table {
    let row = |stats: &super::InstructionStats| {
        let figures = [stats.count, stats.failed, stats.p50, stats.p95, stats.p99, stats.max];
        let mut row = vec![stats.name.clone()];
        row.extend(figures.map(format::integer));
        row
    };
    Table {
        title: "Compute units by instruction".into(),
        head: vec!["instruction", "count", "failed", "P50", "P95", "P99", "max"],
        text_columns: 1,
        rows: record.instructions.iter().map(row).collect(),
    }
}

pub fn money(record: &RunRecord) -> Table {
    let row = |flow: &super::MoneyFlow| {
        vec![
            flow.source.clone(),
            flow.target.clone(),
            flow.reason.clone(),
            format::usd(flow.amount),
        ]
    };
    Table {
        title: "Money flow".into(),
        head: vec!["from", "to", "reason", "amount"],
        text_columns: 3,
        rows: record.money.iter().map(row).collect(),
    }
}

pub fn balances_by_actor(record: &RunRecord) -> Table {
    let row = |balance: &FinalBalance| {
        let mut row = vec![balance.actor.clone(), balance.role.clone()];
        row.extend(figures(&[balance]));
        row
    };
    let mut rows: Vec<_> = record.balances.iter().map(row).collect();
    let everyone: Vec<_> = record.balances.iter().collect();
    if everyone.len() > 1 {
        rows.push(["all".into(), String::new()].into_iter().chain(figures(&everyone)).collect());
    }
    Table {
        title: "Final balances".into(),
        head: vec!["actor", "role", "deposited", "withdrawn", "PnL", "fees paid"],
        text_columns: 2,
        rows,
    }
}

pub fn balances_by_role(record: &RunRecord) -> Table {
    let mut roles: Vec<(&str, Vec<&FinalBalance>)> = Vec::new();
    for balance in &record.balances {
        match roles.iter_mut().find(|(role, _)| *role == balance.role) {
            Some((_, members)) => members.push(balance),
            None => roles.push((&balance.role, vec![balance])),
        }
    }
    if roles.len() > 1 {
        roles.push(("all", record.balances.iter().collect()));
    }
    let row = |(role, members): &(&str, Vec<&FinalBalance>)| {
        let mut row = vec![(*role).into(), format::integer(members.len() as u64)];
        row.extend(figures(members));
        row
    };
    Table {
        title: "Final balances by role".into(),
        head: vec!["role", "actors", "deposited", "withdrawn", "PnL", "fees paid"],
        text_columns: 1,
        rows: roles.iter().map(row).collect(),
    }
}

/// Deposited, withdrawn, PnL and fees, summed.
fn figures(balances: &[&FinalBalance]) -> [String; 4] {
    let sum = |of: fn(&FinalBalance) -> f64| {
        format::usd(balances.iter().map(|balance| of(balance)).sum())
    };
    [
        sum(|balance| balance.deposited),
        sum(|balance| balance.withdrawn),
        sum(|balance| balance.pnl),
        sum(|balance| balance.fees),
    ]
}

pub fn checks(record: &RunRecord) -> Table {
    let row = |check: &super::Check| {
        let result = if check.passed { "passed" } else { "FAILED" };
        vec![
            check.id.clone(),
            check.description.clone(),
            format::integer(check.times),
            result.into(),
        ]
    };
    Table {
        title: "Checks".into(),
        head: vec!["id", "what must hold", "times tested", "result"],
        text_columns: 2,
        rows: record.checks.iter().map(row).collect(),
    }
}

fn in_terminal(table: &Table) -> tabled::Table {
    let mut builder = Builder::default();
    let headed = table.head.iter().any(|name| !name.is_empty());
    if headed {
        builder.push_record(table.head.iter().copied());
    }
    for row in &table.rows {
        builder.push_record(row);
    }
    let mut text = builder.build();
    let rule = HorizontalLine::inherit(Style::modern());
    if headed {
        text.with(Style::sharp().horizontals([(1, rule)]));
    } else {
        text.with(Style::sharp().remove_horizontals());
    }
    text.with(Modify::new(Columns::new(table.text_columns..)).with(Alignment::right()));
    if headed {
        text.with(Modify::new(Rows::first()).with(Alignment::left()));
        text.with(
            Modify::new(Columns::new(table.text_columns..).intersect(Rows::first()))
                .with(Alignment::right()),
        );
    }
    text.with(Width::wrap(TERMINAL_COLUMNS).priority(PriorityMax::right()).keep_words(true));
    text
}
