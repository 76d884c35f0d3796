//! `benches/run`: regenerates the committed tables.

use anyhow::Result;
use clap::{Parser, Subcommand};
use quantdesk_benches::{host, report};
use std::process::ExitCode;

/// Measures the compute units of every instruction and writes benches/compute_units.md.
#[derive(Debug, Parser)]
#[command(name = "benches/run", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints wall times on this machine instead; compare figures of one run only.
    Host,
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
    if let Some(Command::Host) = arguments.command {
        print!("{}", host::run()?.trim_start());
        return Ok(());
    }
    let page = report::page()?;
    let path = report::path();
    let changed = report::write(&page, &path)?;
    let lines = page.lines().filter(|line| line.starts_with("| ")).count();
    println!("{lines} lines of figures, {}: {}", if changed { "changed" } else { "unchanged" }, path.display());
    Ok(())
}
