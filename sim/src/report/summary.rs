//! The tables of a run, and how the terminal shows them. The page shows the same ones.

use tabled::{
    builder::Builder,
    settings::{
        Alignment, Modify, Style, Width,
        formatting::{AlignmentStrategy, TrimStrategy},
        object::Columns,
        peaker::PriorityMax,
    },
};

use super::{
    format,
    record::{Exhibit, FinalBalance, RunRecord},
};

const TERMINAL_COLUMNS: usize = 100;
/// Up to this many actors are listed one by one.
const ACTORS_LISTED_MAX: usize = 12;

/// Rows of text under a head, or without one if it is empty.
pub struct Table<'a> {
    pub title: String,
    pub head: Vec<&'a str>,
    /// One letter per column: `l` for words, `r` for figures.
    pub alignment: &'a str,
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
    let mut facts: Vec<_> = record.inputs.iter().map(|input| ("input", input.clone())).collect();
    facts.extend(record.notes.iter().map(|note| ("note", note.clone())));
    facts.extend([
        ("seed", record.seed.to_string()),
        ("simulated", format!("{day} {from} to {to} UTC ({})", format::duration(simulated))),
        ("took", format::duration(record.wall_seconds)),
        ("program", format!("sha256 {}", record.program_sha256)),
        ("state", format!("sha256 {}", record.state_hash)),
        ("vault", format!("{} atoms at the end", format::integer(record.vault_final_atoms))),
    ]);
    facts
}

/// One sentence on the checks.
pub fn verdict(record: &RunRecord) -> String {
    let failed: Vec<_> = (record.checks.iter()).filter(|check| !check.passed).map(|check| check.id.as_str()).collect();
    let count = record.checks.len();
    if failed.is_empty() {
        format!("All {count} checks passed.")
    } else {
        format!("{} of {count} checks FAILED: {}.", failed.len(), failed.join(", "))
    }
}

pub fn tables(record: &RunRecord) -> Vec<Table<'_>> {
    let mut tables: Vec<_> = record.exhibits.iter().filter_map(exhibit).collect();
    tables.extend([totals(record), ladder(record), instructions(record), refusals(record), money(record)]);
    tables.push(if record.balances.len() <= ACTORS_LISTED_MAX {
        balances_by_actor(record)
    } else {
        balances_by_role(record)
    });
    tables.push(checks(record));
    tables.retain(|table| !table.rows.is_empty());
    tables
}

/// An exhibit, if it is a table.
pub fn exhibit(exhibit: &Exhibit) -> Option<Table<'_>> {
    let Exhibit::Table { title, head, alignment, rows } = exhibit else {
        return None;
    };
    let head = head.iter().map(String::as_str).collect();
    Some(Table { title: title.clone(), head, alignment, rows: rows.clone() })
}

/// Totals as name and value, the most telling first.
pub fn total_figures(record: &RunRecord) -> Vec<(&'static str, String)> {
    let totals = &record.totals;
    let compute_units = record.instructions.iter().map(|row| row.total_compute_units).sum();
    vec![
        ("actors", format::integer(record.balances.len() as u64)),
        ("volume", format::usd_whole(totals.volume)),
        ("fills", format::integer(totals.fills)),
        ("transactions", format::integer(totals.transactions)),
        ("failed", format::integer(totals.failed_transactions)),
        ("slots", format::integer(totals.slots)),
        ("compute units", format::integer(compute_units)),
        ("taker fees", format::usd(totals.fees_taker)),
        ("maker rebates", format::usd(totals.rebates_maker)),
    ]
}

/// Two figures a row.
fn totals(record: &RunRecord) -> Table<'_> {
    let figures = total_figures(record);
    let (left, right) = figures.split_at(figures.len().div_ceil(2));
    let row = |at: usize| {
        let cell = |side: &[(&'static str, String)]| side.get(at).cloned().unwrap_or_default();
        let ((name, value), (next_name, next_value)) = (cell(left), cell(right));
        vec![name.into(), value, next_name.into(), next_value]
    };
    Table { title: "Totals".into(), head: vec![], alignment: "lrlr", rows: (0..left.len()).map(row).collect() }
}

pub fn ladder(record: &RunRecord) -> Table<'_> {
    let row = |rung: &super::LadderRung| {
        let amount = match rung.meaning.as_str() {
            "" => String::new(),
            meaning => format!("{} {meaning}", format::usd(rung.amount)),
        };
        vec![rung.name.clone(), format::integer(rung.accounts), format::integer(rung.steps), amount]
    };
    Table {
        title: "Liquidation ladder".into(),
        head: vec!["what", "accounts", "steps", "amount"],
        alignment: "lrrl",
        rows: record.ladder.iter().map(row).collect(),
    }
}

pub fn instructions(record: &RunRecord) -> Table<'_> {
    let row = |stats: &super::InstructionStats| {
        let figures = [stats.count, stats.failed, stats.p50, stats.p95, stats.p99, stats.max];
        let mut row = vec![stats.name.clone()];
        row.extend(figures.map(format::integer));
        row
    };
    Table {
        title: "Compute units by instruction".into(),
        head: vec!["instruction", "count", "failed", "P50", "P95", "P99", "max"],
        alignment: "lrrrrrr",
        rows: record.instructions.iter().map(row).collect(),
    }
}

pub fn refusals(record: &RunRecord) -> Table<'_> {
    let row = |refusal: &super::Refusal| {
        vec![refusal.instruction.clone(), refusal.error.clone(), format::integer(refusal.times)]
    };
    Table {
        title: "Refused by the program".into(),
        head: vec!["instruction", "error", "times"],
        alignment: "llr",
        rows: record.refusals.iter().map(row).collect(),
    }
}

pub fn money(record: &RunRecord) -> Table<'_> {
    let row = |flow: &super::MoneyFlow| {
        vec![flow.source.clone(), flow.target.clone(), flow.reason.clone(), format::usd(flow.amount)]
    };
    Table {
        title: "Money flow".into(),
        head: vec!["from", "to", "reason", "amount"],
        alignment: "lllr",
        rows: record.money.iter().map(row).collect(),
    }
}

pub fn balances_by_actor(record: &RunRecord) -> Table<'_> {
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
        alignment: "llrrrr",
        rows,
    }
}

pub fn balances_by_role(record: &RunRecord) -> Table<'_> {
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
        alignment: "lrrrrr",
        rows: roles.iter().map(row).collect(),
    }
}

/// Deposited, withdrawn, PnL and fees, summed.
fn figures(balances: &[&FinalBalance]) -> [String; 4] {
    let sum = |of: fn(&FinalBalance) -> f64| format::usd(balances.iter().map(|balance| of(balance)).sum());
    [
        sum(|balance| balance.deposited),
        sum(|balance| balance.withdrawn),
        sum(|balance| balance.pnl),
        sum(|balance| balance.fees),
    ]
}

pub fn checks(record: &RunRecord) -> Table<'_> {
    let row = |check: &super::Check| {
        let result = if check.passed { "passed" } else { "FAILED" };
        vec![check.id.clone(), check.description.clone(), format::integer(check.times), result.into()]
    };
    Table {
        title: "Checks".into(),
        head: vec!["id", "what must hold", "times tested", "result"],
        alignment: "llrl",
        rows: record.checks.iter().map(row).collect(),
    }
}

fn in_terminal(table: &Table<'_>) -> tabled::Table {
    let mut builder = Builder::default();
    if !table.head.is_empty() {
        builder.push_record(table.head.iter().copied());
    }
    for row in &table.rows {
        builder.push_record(row);
    }
    let mut text = builder.build();
    if table.head.is_empty() {
        text.with(Style::sharp().remove_horizontals());
    } else {
        text.with(Style::sharp());
    }
    for (column, letter) in table.alignment.chars().enumerate() {
        if letter == 'r' {
            text.with(Modify::new(Columns::one(column)).with(Alignment::right()));
        }
    }
    // A line broken before a space would otherwise begin with it.
    text.with(AlignmentStrategy::PerLine).with(TrimStrategy::Horizontal);
    text.with(Width::wrap(TERMINAL_COLUMNS).priority(PriorityMax::right()).keep_words(true));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Check, InstructionStats, MoneyFlow};

    /// A record in which everything is as wide as it may get in practice.
    fn wide() -> RunRecord {
        let balance = |actor: usize| FinalBalance {
            actor: format!("market-maker-{actor}"),
            role: "market maker".into(),
            deposited: 12_345_678_901.23,
            withdrawn: 12_345_678_901.23,
            pnl: -12_345_678_901.23,
            fees: -123_456_789.01,
        };
        let check = Check {
            id: "A2".into(),
            description: "what must hold, told at great length, ".repeat(6),
            times: 1_234_567_890,
            passed: false,
        };
        let stats = InstructionStats { name: "settle_market_position".into(), p99: 1_400_000, ..Default::default() };
        let flow = MoneyFlow { source: "wallets".into(), target: "trader cash".into(), ..Default::default() };
        RunRecord {
            title: "A day".into(),
            balances: (0..9).map(balance).collect(),
            checks: vec![check],
            instructions: vec![stats],
            money: vec![flow],
            program_sha256: "0".repeat(64),
            ..RunRecord::default()
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let few = wide();
        let mut many = wide();
        many.balances.extend(wide().balances);
        for record in [few, many] {
            let text = render(&record);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(TERMINAL_COLUMNS), "{widest:?}\n{text}");
            assert!(text.ends_with("\n1 of 1 checks FAILED: A2.\n"));
        }
    }

    #[test]
    fn roles_are_summed_in_order_of_appearance() {
        let balance = |role: &str, pnl: f64| FinalBalance { role: role.into(), pnl, ..FinalBalance::default() };
        let record = RunRecord {
            balances: vec![balance("taker", -3.0), balance("maker", 2.0), balance("taker", -1.5)],
            ..RunRecord::default()
        };
        let rows = balances_by_role(&record).rows;
        let told: Vec<_> = rows.iter().map(|row| [&row[0], &row[1], &row[4]].map(String::as_str)).collect();
        assert_eq!(told, [["taker", "2", "-$4.50"], ["maker", "1", "$2.00"], ["all", "3", "-$2.50"]]);
    }
}
