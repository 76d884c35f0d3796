//! Whole runs, small: equal seeds end in equal states, every trade is sent, and nothing stays in the vault.

use anyhow::Result;
use quantdesk_sim::{
    desk::DeskConfig,
    floor::{Floor, Role},
    report::{Exhibit, RunRecord},
    scenario::{Options, Outcome, compromise, crash, market_day, mev, replay},
};
use std::{fs, path::PathBuf};

const HEADER: &str = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount";

const fn options(seed: u64) -> Options {
    Options { seed, slot_millis: 200, progress: false }
}

fn hashes(outcome: &Outcome) -> (String, String) {
    (outcome.state_before_drain.clone(), outcome.record.state_hash.clone())
}

/// What must hold of every run.
fn check(record: &RunRecord) {
    assert!(record.all_checks_passed());
    assert!(record.checks.iter().all(|check| check.times > 0));
    let atoms = |dollars: f64| (dollars * 1e6).round() as i64;
    let pnl: i64 = record.balances.iter().map(|balance| atoms(balance.pnl)).sum();
    let collected = record.money.iter().filter(|flow| flow.reason == "collected at the end");
    let collected: i64 = collected.map(|flow| atoms(flow.amount)).sum();
    assert_eq!(record.vault_final_atoms, 0);
    // Of the pool, whatever rounding left to no share: next to nothing.
    let ownerless = i64::try_from(record.ownerless_atoms).unwrap_or(i64::MAX);
    assert!(ownerless < 1_000_000, "{ownerless}");
    assert_eq!(pnl, -collected - ownerless, "profits and losses are the fees, to the atom");
    assert_eq!(record.refusals.iter().map(|refusal| refusal.times).sum::<u64>(), record.totals.failed_transactions);
}

fn trades(name: &str, rows: &[String]) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("quantdesk-runs-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    fs::write(&path, format!("{HEADER}\n{}\n", rows.join("\n")))?;
    Ok(path)
}

#[test]
fn a_day_is_decided_by_its_seed() -> Result<()> {
    let day = |seed| market_day::run_for(&options(seed), 240);
    let (first, again, other) = (day(1)?, day(1)?, day(2)?);
    assert_eq!(hashes(&first), hashes(&again));
    assert_ne!(hashes(&first).0, hashes(&other).0);
    assert_ne!(hashes(&first).1, hashes(&other).1);
    for outcome in [first, other] {
        check(&outcome.record);
        assert!(outcome.record.totals.fills > 100);
        assert_eq!(outcome.record.markets.len(), 3);
    }
    Ok(())
}

#[test]
fn every_trade_is_sent_whatever_the_symbol() -> Result<()> {
    let row = |second: i64, symbol: &str, side: &str, price: &str, amount: &str| {
        format!("x,{symbol},{},0,{second},{side},{price},{amount}", (1_760_054_400 + second) * 1_000_000)
    };
    let path = trades(
        "mixed.csv",
        &[
            row(0, "BTCUSD", "buy", "121758.75", "0.014"),
            row(0, "BTCUSD", "sell", "121750.01", "1e-8"),
            row(1, "PEPEUSDT", "sell", "0.0000082", "5e11"),
            row(2, "XRP", "buy", "2.7", "100000"),
            row(700, "BTCUSD", "buy", "119000", "9"),
            row(701, "PEPEUSDT", "buy", "0.0000079", "1"),
        ],
    )?;
    let run = |seed| replay::run(&options(seed), std::slice::from_ref(&path), &[]);
    let (first, again, other) = (run(1)?, run(1)?, run(2)?);
    assert_eq!(hashes(&first), hashes(&again));
    assert_ne!(hashes(&first), hashes(&other), "the seed decides who takes");
    check(&first.record);
    assert_eq!(first.record.notes[0], "6 of 6 trades replayed");
    assert!(first.record.notes[2].starts_with("6 taking orders: 6 filled whole"), "{}", first.record.notes[2]);
    Ok(())
}

#[test]
fn a_malformed_row_stops_a_replay_before_it_begins() -> Result<()> {
    let path = trades("malformed.csv", &["x,BTCUSD,1760054400000000,0,1,buy,121758.75,nothing".into()])?;
    let error = replay::run(&options(1), &[path], &[]).err().map(|error| format!("{error:#}"));
    let error = error.unwrap_or_default();
    assert!(error.ends_with("malformed.csv:2: amount \"nothing\" is not a decimal number"), "{error}");
    assert_eq!(error.lines().count(), 1);
    Ok(())
}

#[test]
fn a_broken_invariant_is_told_with_seed_step_and_id() -> Result<()> {
    let mut floor = Floor::new(DeskConfig::default(), 7)?;
    floor.open(Role::Taker, "victim".into(), 1_000)?;
    floor.check()?;
    let venue = floor.desk.venue;
    let mut vault = floor.desk.chain.account(&venue.vault).expect("the vault");
    // The amount of a token account is at byte 64.
    vault.data[64..72].copy_from_slice(&999u64.to_le_bytes());
    floor.desk.chain.set_account(venue.vault, vault)?;
    let error = floor.check().err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(error.starts_with("seed 7, step 2, slot 1: invariant M1: "), "{error}");
    Ok(())
}

#[test]
fn a_crash_uses_every_rung_closes_nothing_too_much_and_spares_bystanders() -> Result<()> {
    let grid = crash::Grid { levels: vec![10], depths: vec![40], pool: 120_000_000_000 };
    let [first, again, other] = [1, 1, 2].map(|seed| crash::run(&options(seed), &grid).remove(0));
    let figures = |cell: &crash::Cell| cell.outcome.clone().map_err(anyhow::Error::msg);
    assert_eq!(figures(&first)?.record.state_hash, figures(&again)?.record.state_hash);
    assert_ne!(figures(&first)?.record.state_hash, figures(&other)?.record.state_hash);
    for cell in [first, other] {
        assert!(cell.passed());
        let figures = figures(&cell)?;
        check(&figures.record);
        assert!(figures.accounts.iter().all(|accounts| *accounts > 0), "{:?}", figures.accounts);
        assert!(figures.measured > 100 && figures.finished > 10);
        assert_eq!((figures.overshoot, figures.bystanders_lost), (0, 0));
        assert!(figures.pool_paid > 0 && figures.shortfall >= figures.pool_paid);
        let kinds = ["liquidation", "takeover", "deleverage", "shortfall"];
        let events = &figures.record.markets[0].events;
        assert!(kinds.iter().all(|kind| events.iter().any(|event| event.kind == *kind)));
    }
    Ok(())
}

#[test]
fn one_crash_that_fails_does_not_hide_the_others() {
    // No market may allow this leverage.
    let grid = crash::Grid { levels: vec![1_000, 5], depths: vec![10], pool: 1_000_000_000 };
    let cells = crash::run(&options(1), &grid);
    assert_eq!(cells.iter().map(crash::Cell::passed).collect::<Vec<_>>(), [false, true]);
    let text = crash::render(1, &cells, 0.0);
    assert!(text.contains("\n1000x 10% FAILED: ListMarket CRASH-1000X: "), "{text}");
    assert!(text.ends_with("1 of 2 crashes passed all checks; 0 liquidations measured; 0.0 s.\n"), "{text}");
}

#[test]
fn a_pool_that_is_used_up_starts_anew_and_counterparties_bear_the_rest() -> Result<()> {
    let grid = crash::Grid { levels: vec![5], depths: vec![60], pool: 5_000_000_000 };
    let cell = crash::run(&options(1), &grid).remove(0);
    assert!(cell.passed());
    let figures = cell.outcome.map_err(anyhow::Error::msg)?;
    assert!(figures.pool_paid >= 5_000_000_000 && figures.shortfall > 2 * figures.pool_paid, "{figures:?}");
    let stakers = figures.record.balances.iter().filter(|balance| balance.role == "pool staker");
    assert!(stakers.clone().count() == 4 && stakers.clone().all(|balance| balance.withdrawn == 0.0));
    Ok(())
}

#[test]
fn attacks_on_takers_and_makers_pay_without_a_delay_and_not_with_it() -> Result<()> {
    let run = |seed, slots| mev::run(&options(seed), &mev::Terms { slots, delay: 2 });
    let (first, again) = (run(1, 1_500)?, run(1, 1_500)?);
    assert_eq!(hashes(&first), hashes(&again));
    check(&first.record);
    let ids: Vec<_> = first.record.checks.iter().take(7).map(|check| check.id.as_str()).collect();
    assert_eq!(ids, ["V1", "V2", "V3", "V4", "V5", "V6", "V7"]);
    let Some(Exhibit::Table { head, rows, .. }) = first.record.exhibits.first() else { anyhow::bail!("no comparison") };
    assert_eq!(head, &["who", "no attack", "no delay", "blind delay", "delay"]);
    assert_eq!(rows.last().map(|row| row[1..].join(" ")).as_deref(), Some("$0 $0 $0 $0"), "nothing is lost on the way");
    Ok(())
}

#[test]
fn a_delay_no_longer_than_makers_need_protects_nobody() -> Result<()> {
    let record = mev::run(&options(1), &mev::Terms { slots: 1_500, delay: 1 })?.record;
    let failed: Vec<_> = record.checks.iter().filter(|check| !check.passed).map(|check| check.id.as_str()).collect();
    assert_eq!(failed, ["V4", "V5", "V6"]);
    Ok(())
}

#[test]
fn a_stolen_key_takes_nothing_and_everybody_leaves_in_time() -> Result<()> {
    let record = compromise::run_for(&options(3), 21_600)?.record;
    check(&record);
    assert!(record.checks.iter().any(|check| check.description.starts_with("everybody had left before")));
    Ok(())
}
