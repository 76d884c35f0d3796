//! From the journal of a run to its record.

use super::{
    drain::{Drained, drain},
    driver::Driver,
};
use crate::{
    chain::program_file,
    desk::QUOTE_DECIMALS,
    floor::{Account, Floor, MarketPages, dollars},
    report::{ActorSeries, Check, FinalBalance, MarketSeries, MoneyFlow, Refusal, RunRecord, Totals, integer, usd},
};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// What a scenario has to say of itself.
pub struct Story {
    pub title: String,
    pub inputs: Vec<String>,
    pub notes: Vec<String>,
    pub seed: u64,
    pub started_unix: i64,
}

/// A finished run.
pub struct Outcome {
    /// Everything for the report; the time the run took is left to the caller.
    pub record: RunRecord,
    /// Hash of the state when trading ended.
    pub state_before_drain: String,
}

/// Ends the run and writes its record.
pub fn close(mut driver: Driver, story: Story) -> Result<Outcome> {
    driver.floor.sample_markets()?;
    driver.floor.sample_equity()?;
    let drained = drain(&mut driver)?;
    let floor = driver.floor;
    let mut record = RunRecord {
        title: story.title,
        seed: story.seed,
        inputs: story.inputs,
        notes: story.notes,
        started_unix: story.started_unix,
        ended_unix: floor.desk.chain.unix_seconds(),
        state_hash: drained.state_after.clone(),
        program_sha256: program_sha256()?,
        instructions: floor.journal.meter.stats(),
        refusals: refusals(&floor),
        totals: totals(&floor),
        money: money(&floor, &drained),
        balances: floor.accounts.iter().map(balance).collect(),
        checks: checks(&floor, &drained),
        vault_final_atoms: drained.vault_tokens,
        ..RunRecord::default()
    };
    record.notes.extend(notes(&floor, &drained));
    fill_series(&mut record, floor);
    Ok(Outcome { record, state_before_drain: drained.state_before })
}

fn program_sha256() -> Result<String> {
    let file = program_file();
    let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn fill_series(record: &mut RunRecord, floor: Floor) {
    let symbols = floor.desk.markets.iter().map(|market| market.symbol.clone());
    let series = |(symbol, pages): (String, MarketPages)| MarketSeries {
        symbol,
        points: pages.trace.finish(),
        events: pages.events,
    };
    record.markets = symbols.zip(floor.journal.markets).map(series).collect();
    let actors = floor.accounts.into_iter().zip(floor.journal.equity);
    record.actors = actors
        .map(|(account, trace)| ActorSeries {
            name: account.name,
            role: account.role.name().into(),
            points: trace.finish(),
        })
        .collect();
}

fn refusals(floor: &Floor) -> Vec<Refusal> {
    let row = |((instruction, error), times): (&(&str, &str), &u64)| Refusal {
        instruction: (*instruction).into(),
        error: (*error).into(),
        times: *times,
    };
    floor.journal.refusals.iter().map(row).collect()
}

fn totals(floor: &Floor) -> Totals {
    let tally = &floor.journal.tally;
    Totals {
        transactions: tally.transactions,
        failed_transactions: tally.refused,
        slots: floor.desk.chain.slot(),
        fills: tally.fills,
        volume: tally.volume as f64 / 10f64.powi(QUOTE_DECIMALS.into()),
        fees_taker: dollars(tally.taker_fees),
        rebates_maker: dollars(-tally.maker_fees),
        ..Totals::default()
    }
}

fn money(floor: &Floor, drained: &Drained) -> Vec<MoneyFlow> {
    let sum = |of: fn(&Account) -> u64| dollars(floor.accounts.iter().map(|account| i128::from(of(account))).sum());
    let flow = |source: &str, target: &str, reason: &str, amount: f64| MoneyFlow {
        source: source.into(),
        target: target.into(),
        reason: reason.into(),
        amount,
    };
    let tally = &floor.journal.tally;
    vec![
        flow("wallets", "trader cash", "deposits", sum(|account| account.deposited)),
        flow("trader cash", "wallets", "withdrawals", sum(|account| account.withdrawn)),
        flow("trader cash", "fees", "taker fees", dollars(tally.taker_fees)),
        flow("fees", "trader cash", "maker rebates", dollars(-tally.maker_fees)),
        flow("fees", "admin", "collected at the end", dollars(drained.fees_collected.into())),
    ]
}

fn balance(account: &Account) -> FinalBalance {
    let (deposited, withdrawn) = (i128::from(account.deposited), i128::from(account.withdrawn));
    FinalBalance {
        actor: account.name.clone(),
        role: account.role.name().into(),
        deposited: dollars(deposited),
        withdrawn: dollars(withdrawn),
        pnl: dollars(withdrawn - deposited),
        fees: dollars(account.fees.into()),
    }
}

fn checks(floor: &Floor, drained: &Drained) -> Vec<Check> {
    let once = |id: &str, description: &str, times: u64| Check {
        id: id.into(),
        description: description.into(),
        times,
        passed: true,
    };
    let mut checks = floor.audit.rows();
    checks.extend([
        once("R4", "nobody's equity was negative when trading ended", drained.solvent),
        once("M1, end", "the vault is empty and nothing is owed once everybody has left", 1),
        once("M3, end", "profits and losses of all actors and the fees add up to zero, to the atom", 1),
        once("B4, end", "every cell of the ledger is free again", 1),
    ]);
    checks
}

fn notes(floor: &Floor, drained: &Drained) -> [String; 3] {
    let orders = &floor.journal.tally.orders;
    let [sent, whole, partial, unfilled, refused] =
        [orders.sent, orders.whole, orders.partial, orders.unfilled, orders.refused].map(integer);
    let value = |atoms: u128| usd(dollars(i128::try_from(atoms).unwrap_or(i128::MAX)));
    let missed = value(orders.missed);
    [
        format!(
            "{sent} taking orders: {whole} filled whole, {partial} in part, {unfilled} not at all, {refused} refused; \
             {missed} wanted in vain"
        ),
        format!("all positions were closed at the end, {} of the volume", value(drained.closed)),
        format!("state before that: sha256 {}", drained.state_before),
    ]
}
