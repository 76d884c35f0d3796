//! `sim/run`: a day at the venue.

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use quantdesk_sim::{
    desk::QUOTE_DECIMALS,
    report,
    scenario::{Options, Outcome, compromise, crash, market_day, mev, replay},
};
use std::{
    io::{ErrorKind, Write, stdout},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

/// Runs the compiled QuantDesk program through a day of trading on a virtual chain, and reports.
///
/// Without a command it is a built-in day, three markets through calm, trend and a crash as deep and as fast as that of
/// 10 October 2025. Equal seed, inputs and program give an equal final state.
#[derive(Debug, Parser)]
#[command(name = "sim/run", version)]
struct Arguments {
    /// Source of every random choice.
    #[arg(long, default_value_t = 1, global = true)]
    seed: u64,
    /// Where the page goes; the record goes beside it, as JSON.
    #[arg(long, value_name = "FILE", default_value = "sim-report.html", global = true)]
    report: PathBuf,
    /// Length of a slot.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000), global = true)]
    slot_millis: u64,
    /// No progress bar.
    #[arg(long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replays recorded trades: each becomes an order of its side and size, and their prices drive the oracles.
    Replay {
        /// Trades as CSV, plain or gzip: exchange,symbol,timestamp,local_timestamp,id,side,price,amount.
        #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
        trades: Vec<PathBuf>,
        /// Binance klines as CSV, plain or gzip, for the index of a symbol; its name, or the file's, says which.
        #[arg(long, num_args = 1.., value_name = "[SYMBOL=]FILE")]
        klines: Vec<String>,
    },
    /// Crashes by leverage and depth, each on an exchange of its own, until everybody has left it.
    ///
    /// Fails if in any of them a liquidation closed more than needed, somebody who never traded lost anything, or money
    /// is missing.
    Crash {
        /// Leverages that the markets allow.
        #[arg(long, value_delimiter = ',', value_name = "LIST", default_value = "5x,10x,20x,50x", value_parser = level)]
        levels: Vec<u32>,
        /// How far the index falls.
        #[arg(long, value_delimiter = ',', value_name = "LIST", default_value = "10%,20%,40%,60%", value_parser = depth)]
        depth: Vec<u32>,
        /// Stake in the protection pool of each, in dollars.
        #[arg(long, value_name = "USD", default_value_t = 120_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
        pool: u64,
        /// Writes a page for every crash into this folder.
        #[arg(long, value_name = "FOLDER")]
        pages: Option<PathBuf>,
    },
    /// A sandwich searcher and a stale-quote sniper against makers and takers, with a taker delay and without.
    ///
    /// Fails if the attacks do not pay without the delay, or do with it, or if with it takers pay more than the book showed.
    Mev {
        /// Slots of each of the four runs.
        #[arg(long, value_name = "N", default_value_t = 8_000, value_parser = clap::value_parser!(u32).range(500..=1_000_000))]
        slots: u32,
        /// Slots that taking orders wait in the runs with a delay.
        #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=25))]
        delay: u8,
    },
    /// A thief with the admin's key, the guardian's, or that of a trader's session, on a live exchange.
    ///
    /// Fails if it takes more in a day than it may, gets another answer than it should, or if anybody cannot leave before
    /// something that it proposed takes effect.
    AdminCompromise,
}

fn level(text: &str) -> Result<u32, String> {
    bounded(text, 'x', 1..=100)
}

fn depth(text: &str) -> Result<u32, String> {
    bounded(text, '%', 1..=95)
}

fn bounded(text: &str, unit: char, bounds: RangeInclusive<u32>) -> Result<u32, String> {
    let number = text.strip_suffix(unit).unwrap_or(text).parse().ok().filter(|number| bounds.contains(number));
    number.ok_or_else(|| format!("not of the form {}{unit} to {}{unit}", bounds.start(), bounds.end()))
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let options = Options { seed: arguments.seed, slot_millis: arguments.slot_millis, progress: !arguments.quiet };
    let Outcome { mut record, state_before_drain, .. } = match &arguments.command {
        None => market_day::run(&options)?,
        Some(Command::Replay { trades, klines }) => replay::run(&options, trades, klines)?,
        Some(Command::Mev { slots, delay }) => {
            mev::run(&options, &mev::Terms { slots: *slots as usize, delay: *delay })?
        }
        Some(Command::AdminCompromise) => compromise::run(&options)?,
        Some(Command::Crash { levels, depth, pool, pages }) => {
            let pool = pool * 10u64.pow(QUOTE_DECIMALS.into());
            let grid = crash::Grid { levels: levels.clone(), depths: depth.clone(), pool };
            return run_crashes(&options, &grid, pages.as_deref());
        }
    };
    record.wall_seconds = started.elapsed().as_secs_f64();
    report::write(&record, &arguments.report)?;
    let text = format!(
        "{}report  {}\nstate   {} at the end\n        {} before the drain\n",
        report::render(&record),
        arguments.report.display(),
        record.state_hash,
        state_before_drain
    );
    print(&text)?;
    ensure!(record.all_checks_passed(), "not everything held that must");
    Ok(())
}

fn run_crashes(options: &Options, grid: &crash::Grid, pages: Option<&Path>) -> Result<()> {
    let started = Instant::now();
    let cells = crash::run(options, grid);
    for cell in &cells {
        if let (Some(folder), Ok(figures)) = (pages, &cell.outcome) {
            report::write(&figures.record, &folder.join(format!("crash-{}x-{}.html", cell.level, cell.depth)))?;
        }
    }
    print(&crash::render(options.seed, &cells, started.elapsed().as_secs_f64()))?;
    let failed = cells.iter().filter(|cell| !cell.passed()).count();
    ensure!(failed == 0, "{failed} of {} crashes broke a rule", cells.len());
    Ok(())
}

fn print(text: &str) -> Result<()> {
    match stdout().write_all(text.as_bytes()) {
        // Nobody reads on: the report is written all the same.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("the summary cannot be printed"),
    }
}
