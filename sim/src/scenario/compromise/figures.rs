//! What a run shows, in figures.

use super::{DAY_SECONDS, Theft, attempts::Attempt, exodus::ROUND_SECONDS, thief::Before};
use crate::{
    actors::{liquidator::Watch, maker::Makers},
    floor::Role,
    scenario::{self, Outcome, outcome::Story},
};
use anyhow::Result;
use quantdesk_client::engine::{governance::mode::HALT_SECONDS_MAX, outflow::WINDOW_SECONDS};

/// Seconds in which everything ends that stops customers, and an hour.
const HALT_OVER_SECONDS: i64 = HALT_SECONDS_MAX as i64 + 3_600;
/// A whole in parts per million.
const PPM: i128 = 1_000_000;

/// A finished run.
pub struct Figures {
    /// What the thief has more than it brought, in atoms: in its wallets and in its trading account.
    pub taken: i128,
    /// What the victim of a stolen session has less, in atoms, and what its session may lose in a day.
    pub victim: Option<(i128, u64)>,
    /// The most that the limiter lets out in a day, in atoms.
    pub outflow_max: i128,
    /// What left the vault in all after the theft, in atoms.
    pub left_vault: i128,
    /// Everything tried.
    pub attempts: Vec<Attempt>,
    /// Parameters that are looser than when the key was stolen, though nothing was due.
    pub loosened: Vec<String>,
    /// Accounts closed through the book or taken over since the theft.
    pub liquidated: u64,
    /// Where everybody left: role and seconds after the theft of each.
    pub leaving: Vec<(Role, i64)>,
    /// Seconds after the theft when the first loosening took effect.
    pub loosened_after: Option<i64>,
    /// The rest of the report.
    pub outcome: Option<Outcome>,
}

impl Figures {
    /// Measures the run, then ends it.
    pub fn close(mut theft: Theft, story: Story) -> Result<Self> {
        let Theft { stage, thief, stolen_at, exodus } = &theft;
        let floor = &stage.driver.floor;
        let ladder = &floor.journal.ladder;
        let left = exodus.iter().flat_map(|exodus| &exodus.left);
        let before = &thief.before;
        let tokens = i128::from(floor.desk.chain.tokens(&floor.desk.venue.vault)?);
        let mut figures = Self {
            taken: thief.gain(stage)?,
            victim: thief.victim(),
            outflow_max: day_outflow(before),
            left_vault: i128::from(before.total) - tokens,
            attempts: thief.attempts.list().to_vec(),
            loosened: thief.loosened.clone(),
            liquidated: ladder.liquidated.times + ladder.taken_over.times - before.liquidated,
            leaving: left.map(|(account, at)| (floor.accounts[*account].role, at - stolen_at)).collect(),
            loosened_after: thief.loosened_at.map(|at| at - stolen_at),
            outcome: None,
        };
        wait_for_exits(&mut theft)?;
        figures.outcome = Some(scenario::outcome::close(theft.stage.driver, story)?);
        Ok(figures)
    }
}

/// The most that the limiter lets out in a day: what an hour may take at once, and as much again in every hour.
fn day_outflow(before: &Before) -> i128 {
    let policy = &before.values.policy;
    let share = i128::from(before.total) * i128::from(policy.outflow_rate.get()) / PPM;
    share.max(i128::from(policy.outflow_floor.get())) * i128::from(1 + DAY_SECONDS / i64::from(WINDOW_SECONDS))
}

/// Lets the last halting end. Those who have left do nothing more.
fn wait_for_exits(theft: &mut Theft) -> Result<()> {
    let driver = &mut theft.stage.driver;
    driver.watch.away = false;
    if theft.exodus.is_some() {
        (driver.makers, driver.watch) = (Makers::default(), Watch::default());
    }
    for _ in 0..HALT_OVER_SECONDS / ROUND_SECONDS {
        theft.stage.pass(ROUND_SECONDS)?;
        theft.stage.driver.keeper.refresh(&mut theft.stage.driver.floor)?;
        theft.stage.driver.patrol()?;
    }
    Ok(())
}
