//! `sim/run`: a day at the venue.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use quantdesk_sim::{
    report,
    scenario::{Options, Outcome, market_day, replay},
};
use std::{
    io::{ErrorKind, Write, stdout},
    path::PathBuf,
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
    let Outcome { mut record, state_before_drain } = match &arguments.command {
        None => market_day::run(&options)?,
        Some(Command::Replay { trades, klines }) => replay::run(&options, trades, klines)?,
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
    match stdout().write_all(text.as_bytes()) {
        // Nobody reads on: the report is written all the same.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("the summary cannot be printed"),
    }
}
