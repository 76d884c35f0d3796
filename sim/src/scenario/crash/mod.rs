//! Crashes by leverage and depth: for every pair one exchange of its own, a market that allows the leverage, a population
//! of leveraged traders, and an index that falls by the depth. Keepers work from account bytes alone, and sometimes not
//! at all. In the end everybody leaves.

mod path;
pub mod population;
mod table;
mod terms;

pub use table::render;

use super::{Options, Outcome, POLICY, driver::Driver, outcome::Story};
use crate::{
    chain::SlotTime,
    desk::DeskConfig,
    floor::{Floor, MarginCall},
    report::RunRecord,
};
use anyhow::Result;
use path::CrashPath;
use std::time::Instant;

/// What a pool may pay in a day, in atoms: so little that the deepest crashes need more.
const POOL_BUDGET: u64 = 25_000_000_000;
/// Part of their usual sizes that makers quote in the fast leg, and at the bottom, in ppm.
const THIN: u64 = 50_000;
const SPARSE: u64 = 250_000;
const USUAL: u64 = 1_000_000;
/// Nobody gets more collateral.
const CALL: MarginCall = MarginCall { roles: &[], below: 0, target: 0 };
/// When every crash begins, in unix milliseconds.
const START_MILLIS: i64 = 1_760_129_400_000;
/// A chart point every n-th second.
const SAMPLE_SECONDS: usize = 2;

/// Leverages and depths to run, each with each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Leverages.
    pub levels: Vec<u32>,
    /// Depths in percent.
    pub depths: Vec<u32>,
    /// Stake in the pool of each, in atoms.
    pub pool: u64,
}

/// What became of one cell of the grid.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Leverage.
    pub level: u32,
    /// Depth in percent.
    pub depth: u32,
    /// What its random choices came from.
    pub seed: u64,
    /// The run, or why it was broken off.
    pub outcome: std::result::Result<Figures, String>,
}

/// Figures of a run that went to its end; amounts in atoms.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Accounts by rung: closed through the book, taken over, paid for by the pool, deleveraged.
    pub accounts: [u64; 4],
    /// Missing in accounts when they were found bankrupt.
    pub shortfall: i128,
    /// What the pool paid.
    pub pool_paid: i128,
    /// Lots closed by deleveraging.
    pub deleveraged_lots: u128,
    /// Liquidations whose size was computed a second time.
    pub measured: u64,
    /// Lots closed beyond what was needed.
    pub overshoot: i128,
    /// Deleveragings whose parts were computed a second time.
    pub finished: u64,
    /// Lost by accounts that never traded.
    pub bystanders_lost: i128,
    /// What of the pool was nobody's once everybody had left.
    pub ownerless: u64,
    /// Left in the vault in the end.
    pub left: u64,
    /// The report's record.
    pub record: RunRecord,
}

impl Cell {
    /// Whether everything held that must.
    pub fn passed(&self) -> bool {
        let exact = |figures: &Figures| figures.overshoot == 0 && figures.bystanders_lost == 0 && figures.left == 0;
        self.outcome.as_ref().is_ok_and(|figures| exact(figures) && figures.record.all_checks_passed())
    }
}

/// Runs every cell of the grid.
pub fn run(options: &Options, grid: &Grid) -> Vec<Cell> {
    let bar = options.bar((grid.levels.len() * grid.depths.len()) as u64, "crashes");
    let mut cells = Vec::new();
    for level in &grid.levels {
        for depth in &grid.depths {
            let seed = options.seed.wrapping_mul(1_000_000).wrapping_add(u64::from(*level * 1_000 + *depth));
            let outcome = crash(options, seed, *level, *depth, grid.pool).map_err(|error| format!("{error:#}"));
            cells.push(Cell { level: *level, depth: *depth, seed, outcome });
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    cells
}

/// One crash from its calm to the empty vault.
fn crash(options: &Options, seed: u64, level: u32, depth: u32, pool: u64) -> Result<Figures> {
    let started = Instant::now();
    let slot_time = SlotTime { millis: options.slot_millis };
    let config =
        DeskConfig { cells: 1_000, unix_millis: START_MILLIS, slot_time, policy: POLICY, ..DeskConfig::default() };
    let mut floor = Floor::new(config, seed)?;
    floor.list(&terms::spec(level))?;
    let mut driver = Driver::new(floor, CALL);
    let path = CrashPath::new(seed, depth);
    let unix = |second: usize| START_MILLIS / 1_000 + second as i64;
    let falling = unix(path.falling.start)..unix(path.falling.end);
    population::settle(&mut driver, seed, level, pool, &falling)?;
    for second in 0..path.prices.len() {
        step(&mut driver, &path, second)?;
    }
    let story = Story {
        title: format!("A crash by {depth}% at leverage up to {level}"),
        inputs: vec!["the built-in crash".into()],
        notes: Vec::new(),
        seed,
        started_unix: START_MILLIS / 1_000,
    };
    let mut outcome = super::outcome::close(driver, story)?;
    outcome.record.wall_seconds = started.elapsed().as_secs_f64();
    Ok(figures(outcome))
}

fn step(driver: &mut Driver, path: &CrashPath, second: usize) -> Result<()> {
    driver.floor.desk.chain.advance_to(START_MILLIS + second as i64 * 1_000);
    driver.keeper.observe(0, path.prices[second]);
    let share = if path.fast.contains(&second) {
        THIN
    } else if second >= path.fast.end && second < path.unwatched.end {
        SPARSE
    } else {
        USUAL
    };
    driver.makers.quote_share(share);
    for (at, name) in path.phases() {
        if second == at {
            driver.floor.mark_event(0, "phase", name.into())?;
        }
    }
    if path.dark.contains(&second) {
        return Ok(());
    }
    driver.keeper.crank(&mut driver.floor, true)?;
    driver.makers.requote(&mut driver.floor, 0)?;
    driver.bet()?;
    if !path.unwatched.contains(&second) {
        driver.patrol()?;
        driver.makers.requote(&mut driver.floor, 0)?;
    }
    if second.is_multiple_of(SAMPLE_SECONDS) {
        driver.sample()?;
    }
    Ok(())
}

fn figures(outcome: Outcome) -> Figures {
    let ladder = &outcome.ladder;
    let rungs = [&ladder.liquidated, &ladder.taken_over, &ladder.absorbed, &ladder.deleveraged];
    Figures {
        accounts: rungs.map(|rung| rung.accounts.len() as u64),
        shortfall: ladder.shortfall,
        pool_paid: ladder.pool_paid,
        deleveraged_lots: ladder.deleveraged.lots,
        measured: ladder.measured,
        overshoot: ladder.overshoot,
        finished: ladder.finished,
        bystanders_lost: outcome.bystanders_lost,
        ownerless: outcome.record.ownerless_atoms,
        left: outcome.record.vault_final_atoms,
        record: outcome.record,
    }
}
