//! `benches/run`: regenerates the committed tables.

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use quantdesk_benches::{host, readme, report};
use std::{
    env,
    os::unix::process::CommandExt,
    process::{Command as Process, ExitCode},
};

/// Measures the compute units of every instruction and writes benches/compute_units.md, and from it the column of README.md.
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
        keep_memory()?;
        print!("{}", host::run()?.trim_start());
        return Ok(());
    }
    let page = report::page()?;
    let path = report::path();
    let changed = report::write(&page, &path)?;
    let lines = page.lines().filter(|line| line.starts_with("| ")).count();
    println!("{lines} lines of figures, {}: {}", if changed { "changed" } else { "unchanged" }, path.display());
    let path = readme::path();
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    report::write(&readme::with_figures(&text, &page)?, &path)?;
    Ok(())
}

/// Starts this process anew with an allocator that keeps freed memory, unless it does already.
///
/// WHY: each transaction copies its accounts. glibc would hand that memory back to the kernel after each one and take it
/// again page by page, which makes a transaction with a ledger of 1 MiB ten times as slow; validators use jemalloc.
fn keep_memory() -> Result<()> {
    const VARIABLES: [&str; 2] = ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"];
    if VARIABLES.iter().all(|variable| env::var_os(variable).is_some()) {
        return Ok(());
    }
    let again = env::current_exe().context("the path of this program")?;
    let error =
        Process::new(again).args(env::args_os().skip(1)).envs(VARIABLES.map(|name| (name, "1073741824"))).exec();
    Err(error).context("cannot start again")
}
