//! From the journal of a run to its record.

use super::{
    drain::{Drained, drain},
    driver::Driver,
};
use crate::{
    chain::program_file,
    desk::QUOTE_DECIMALS,
    floor::{Account, Floor, Ladder, MarketPages, Rung, dollars},
    report::{
        ActorSeries, Check, FinalBalance, LadderRung, MarketSeries, MoneyFlow, Refusal, RunRecord, Totals, integer, usd,
    },
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
    /// The liquidation ladder, in atoms.
    pub ladder: Ladder,
    /// Atoms that accounts which never traded lost.
    pub bystanders_lost: i128,
}

/// Ends the run and writes its record.
pub fn close(mut driver: Driver, story: Story) -> Result<Outcome> {
    driver.floor.sample_markets()?;
    driver.floor.sample_equity()?;
    let drained = drain(&mut driver)?;
    let floor = driver.floor;
    let ladder = floor.journal.ladder.clone();
    let mut record = RunRecord {
        title: story.title,
        seed: story.seed,
        inputs: story.inputs,
        notes: story.notes,
        started_unix: story.started_unix,
        ended_unix: drained.calm_unix,
        state_hash: drained.state_after.clone(),
        program_sha256: program_sha256()?,
        ladder: rungs(&ladder),
        instructions: floor.journal.meter.stats(),
        refusals: refusals(&floor),
        totals: totals(&floor),
        money: money(&floor, &drained),
        balances: floor.accounts.iter().map(balance).collect(),
        checks: checks(&floor, &drained),
        vault_final_atoms: drained.vault_tokens,
        ownerless_atoms: drained.ownerless,
        ..RunRecord::default()
    };
    record.notes.extend(notes(&floor, &drained));
    fill_series(&mut record, floor);
    let (state_before_drain, bystanders_lost) = (drained.state_before, drained.bystanders_lost);
    Ok(Outcome { record, state_before_drain, ladder, bystanders_lost })
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
    record.solvency = floor.journal.solvency.finish();
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

fn rungs(ladder: &Ladder) -> Vec<LadderRung> {
    let row = |name: &str, rung: &Rung, amount: i128, meaning: &str| LadderRung {
        name: name.into(),
        accounts: rung.accounts.len() as u64,
        steps: rung.times,
        amount: dollars(amount),
        meaning: meaning.into(),
    };
    if ladder.measured == 0 && ladder.bankrupt.times == 0 {
        return Vec::new();
    }
    let against = Rung { accounts: ladder.counterparties.clone(), ..ladder.deleveraged.clone() };
    vec![
        row("orders cancelled", &ladder.cancelled, 0, ""),
        row("closed through the book", &ladder.liquidated, ladder.fees, "liquidation fees, take-overs included"),
        row("taken over", &ladder.taken_over, ladder.tips, "of these fees to keepers"),
        row("found bankrupt", &ladder.bankrupt, ladder.shortfall, "missing when found"),
        row("paid for by the pool", &ladder.absorbed, ladder.pool_paid, "paid by the pool"),
        row("deleveraged", &ladder.deleveraged, ladder.pool_repaid, "given back to the pool"),
        row("counterparties of these", &against, 0, ""),
    ]
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
    let (tally, ladder, pool) = (&floor.journal.tally, &floor.journal.ladder, &floor.journal.pool);
    let atoms = |source, target, reason, amount| flow(source, target, reason, dollars(amount));
    let shared = tally.taker_fees + tally.maker_fees - i128::from(drained.fees_collected);
    let mut flows = vec![
        flow("wallets", "trader cash", "deposits", sum(|account| account.deposited)),
        flow("trader cash", "wallets", "withdrawals", sum(|account| account.withdrawn)),
        flow("trader cash", "fees", "taker fees", dollars(tally.taker_fees)),
        flow("fees", "trader cash", "maker rebates", dollars(-tally.maker_fees)),
        atoms("fees", "admin", "collected at the end", drained.fees_collected.into()),
        atoms("pool", "admin", "belonged to no share at the end", drained.ownerless.into()),
        atoms("fees", "pool", "the pool's part of them", shared),
        atoms("trader cash", "pool", "liquidation fees", ladder.fees - ladder.tips),
        atoms("trader cash", "trader cash", "tips of keepers", ladder.tips),
        atoms("trader cash", "pool", "stakes", pool.staked),
        atoms("funding", "pool", "funding nobody is owed", pool.funded - shared),
        atoms("pool", "trader cash", "shortfalls", ladder.pool_paid),
        atoms("trader cash", "pool", "shortfalls given back", ladder.pool_repaid),
        atoms("pool", "trader cash", "stakes and what they earned or lost", pool.unstaked),
    ];
    flows.retain(|flow| flow.amount != 0.0);
    flows
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
    let ladder = &floor.journal.ladder;
    let exact = Check { passed: ladder.overshoot == 0, ..once("L2", OVERSHOOT, ladder.measured.max(1)) };
    let fair = Check { passed: ladder.unfair == 0, ..once("L3", FAIRNESS, ladder.finished) };
    let spared = Check { passed: drained.bystanders_lost == 0, ..once("L4", BYSTANDERS, 1) };
    checks.extend([
        exact,
        spared,
        once("R4", "nobody's equity is negative once the ladder is done", drained.solvent),
        once("M1, end", "once everybody has left, the vault is empty", 1),
        once("M3, end", "profits and losses of all actors and the fees add up to zero, to the atom", 1),
        once("B4, end", "every cell of the ledger is free again", 1),
    ]);
    if ladder.finished > 0 {
        checks.push(fair);
    }
    checks
}

const OVERSHOOT: &str =
    "no liquidation, take-over or deleveraging closed a lot more than needed, computed a second time";
const FAIRNESS: &str = "deleveraging closes those in profit first, nobody a lot more or less than his exact part";
const BYSTANDERS: &str = "accounts that never traded lost nothing";

fn notes(floor: &Floor, drained: &Drained) -> Vec<String> {
    let orders = &floor.journal.tally.orders;
    let [sent, whole, partial, unfilled, refused] =
        [orders.sent, orders.whole, orders.partial, orders.unfilled, orders.refused].map(integer);
    let value = |atoms: u128| usd(dollars(i128::try_from(atoms).unwrap_or(i128::MAX)));
    let missed = value(orders.missed);
    let mut notes = vec![
        format!(
            "{sent} taking orders: {whole} filled whole, {partial} in part, {unfilled} not at all, {refused} refused; \
             {missed} wanted in vain"
        ),
        format!("all positions were closed at the end, {} of the volume", value(drained.closed)),
        format!(
            "{} withdrawals had to wait in the queue at the end; {} atoms of the pool belonged to no share",
            integer(drained.queued),
            integer(drained.ownerless)
        ),
        format!("state before that: sha256 {}", drained.state_before),
    ];
    if orders.sent == 0 {
        notes.remove(0);
    }
    notes
}
