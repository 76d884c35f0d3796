//! A stolen key on a live exchange: the admin's, the guardian's, and the key of a trader's session. What the thief tries,
//! what it gets within a day, and whether everybody could leave before anything it proposed took effect.

mod admin;
mod attempts;
mod exhibits;
mod exodus;
mod figures;
mod guardian;
mod session;
mod stage;
mod thief;

use super::{Options, Outcome, outcome::Story};
use crate::report::Check;
use anyhow::{Context, Result, ensure};
use exodus::{Exodus, ROUND_SECONDS};
use figures::Figures;
use stage::{START_MILLIS, STEP_SECONDS, Stage};
use thief::Thief;

/// How long the exchange is left alone at first: two hours.
const PEACE_SECONDS: i64 = 7_200;
/// What the thief has where nobody leaves: a day.
const DAY_SECONDS: i64 = 86_400;
/// After this everybody has left, or never will: ten days.
const PATIENCE_SECONDS: i64 = 864_000;

/// Whose key is stolen, and what the others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// Nobody's.
    Nobody,
    /// The admin's; nobody does anything about it.
    Admin,
    /// The admin's, and everybody leaves.
    Leaving,
    /// The guardian's; nobody does anything about it.
    Guardian,
    /// That of a trader's session.
    Session,
}

impl Case {
    const ALL: [Self; 5] = [Self::Nobody, Self::Admin, Self::Guardian, Self::Session, Self::Leaving];

    const fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody's",
            Self::Admin => "admin's",
            Self::Leaving => "admin's, all leave",
            Self::Guardian => "guardian's",
            Self::Session => "session's",
        }
    }
}

/// A run under way.
struct Theft {
    stage: Stage,
    thief: Thief,
    /// When the key was stolen, in unix seconds.
    stolen_at: i64,
    exodus: Option<Exodus>,
}

/// Steps of a run in which everybody stays.
const fn steps(seconds: i64) -> u64 {
    (seconds / STEP_SECONDS).unsigned_abs()
}

/// Runs all of them; the outcome is that of the one in which the admin's key is stolen and everybody stays, with the
/// comparison before it.
pub fn run(options: &Options) -> Result<Outcome> {
    run_for(options, DAY_SECONDS)
}

/// The same with less time for the thief where everybody stays.
pub fn run_for(options: &Options, seconds: i64) -> Result<Outcome> {
    let bar = options.bar(Case::ALL.len() as u64 * steps(PEACE_SECONDS + seconds), "steps");
    let mut runs = Vec::new();
    for case in Case::ALL {
        let theft = play(options, case, seconds, &bar).with_context(|| case.name())?;
        runs.push((case, Figures::close(theft, story(options, case)).with_context(|| case.name())?));
    }
    bar.finish_and_clear();
    let (shown, checked) = (exhibits::exhibits(&runs), exhibits::checks(&runs));
    let others: Vec<_> =
        runs.iter().filter(|(case, _)| *case != Case::Admin).map(|(case, figures)| all_of(*case, figures)).collect();
    let shown_run = runs.into_iter().find(|(case, _)| *case == Case::Admin);
    let mut outcome = shown_run.and_then(|(_, figures)| figures.outcome).context("a run")?;
    let record = &mut outcome.record;
    record.checks.splice(0..0, checked);
    record.checks.extend(others);
    record.exhibits = shown;
    Ok(outcome)
}

fn play(options: &Options, case: Case, seconds: i64, bar: &indicatif::ProgressBar) -> Result<Theft> {
    let mut stage = Stage::new(options)?;
    for _ in 0..steps(PEACE_SECONDS) {
        stage.step()?;
        bar.inc(1);
    }
    stage.driver.floor.check()?;
    let stolen_at = stage.unix_seconds();
    let thief = Thief::new(case, &mut stage)?;
    let mut theft = Theft { stage, thief, stolen_at, exodus: None };
    if case == Case::Leaving {
        bar.inc(steps(seconds));
        theft.leave()?;
    } else {
        theft.stay(seconds, bar)?;
    }
    Ok(theft)
}

impl Theft {
    fn act(&mut self) -> Result<()> {
        let passed = self.stage.unix_seconds() - self.stolen_at;
        self.thief.act(&mut self.stage, passed)
    }

    /// Everybody goes on as if nothing had happened.
    fn stay(&mut self, seconds: i64, bar: &indicatif::ProgressBar) -> Result<()> {
        for step in 0..steps(seconds) {
            if (step.cast_signed() * STEP_SECONDS) % ROUND_SECONDS == 0 {
                self.act()?;
            }
            self.stage.step()?;
            self.thief.hunt(&mut self.stage.driver.floor)?;
            if step.is_multiple_of(4) {
                self.stage.driver.sample()?;
            }
            bar.inc(1);
        }
        self.act()
    }

    /// Everybody leaves, and the thief tries until something that it proposed takes effect.
    fn leave(&mut self) -> Result<()> {
        let mut exodus = Exodus::new(&self.stage)?;
        while !exodus.is_over() || self.thief.loosened_at.is_none() {
            self.act()?;
            if !exodus.is_over() {
                exodus.round(&mut self.stage)?;
            }
            self.stage.pass(ROUND_SECONDS)?;
            let passed = self.stage.unix_seconds() - self.stolen_at;
            ensure!(passed < PATIENCE_SECONDS, "{}: somebody cannot leave", self.stage.driver.floor.step());
        }
        self.exodus = Some(exodus);
        Ok(())
    }
}

fn story(options: &Options, case: Case) -> Story {
    Story {
        title: "A stolen key: the admin's, the guardian's, a session's".into(),
        inputs: vec!["a quiet day of a random walk".into()],
        notes: vec![
            format!("the figures after the comparison are those of the run `{}`", case.name()),
            "the key is stolen two hours in; the thief tries everything every ten minutes".into(),
            "nobody defends the exchange: the guardian cancels nothing, and where everybody stays, everybody trades on"
                .into(),
            "with the admin's key the thief is the only keeper, too: what it gains are their tips, which are anybody's"
                .into(),
        ],
        seed: options.seed,
        started_unix: START_MILLIS / 1_000,
    }
}

/// One line for all checks of another run.
fn all_of(case: Case, figures: &Figures) -> Check {
    let checks = figures.outcome.as_ref().map_or(&[][..], |outcome| &outcome.record.checks);
    Check {
        id: "all".into(),
        description: format!("whatever of that can be checked in one run held in `{}` as well", case.name()),
        times: checks.iter().map(|check| check.times).sum(),
        passed: !checks.is_empty() && checks.iter().all(|check| check.passed),
    }
}
