//! Sandwiches and stale quotes, with and without a taker delay: the same makers, takers, attackers and fair price on
//! exchanges of their own. On the first nobody attacks; the second has no delay; the others have one, the last with makers
//! that watch the orders waiting in the market's queue.

mod block;
mod book;
mod exhibits;
mod fair;
mod figures;
mod gate;
mod makers;
mod searcher;
mod sniper;
mod stage;
mod stats;
mod takers;
mod tape;

use super::{Options, Outcome, outcome::Story};
use crate::report::{Check, RunRecord};
use anyhow::{Context, Result};
use block::Play;
use exhibits::Run;
use fair::Fair;
use figures::Figures;
use stage::START_MILLIS;

/// How long, and with how much of a delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Slots of each run.
    pub slots: usize,
    /// Slots that taking orders wait where they wait.
    pub delay: u8,
}

/// What is different between the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// No attackers, no delay.
    Unattacked,
    /// Attackers, no delay.
    Undelayed,
    /// Attackers and a delay, and makers that do not look at the queue.
    Blind,
    /// Attackers and a delay, and makers that do.
    Delayed,
}

impl Case {
    const ALL: [Self; 4] = [Self::Unattacked, Self::Undelayed, Self::Blind, Self::Delayed];

    const fn name(self) -> &'static str {
        match self {
            Self::Unattacked => "no attack",
            Self::Undelayed => "no delay",
            Self::Blind => "blind delay",
            Self::Delayed => "delay",
        }
    }

    const fn is_attacked(self) -> bool {
        !matches!(self, Self::Unattacked)
    }

    const fn is_delayed(self) -> bool {
        matches!(self, Self::Blind | Self::Delayed)
    }
}

/// Runs all of them; the outcome is the last one's, with the comparison before it.
pub fn run(options: &Options, terms: &Terms) -> Result<Outcome> {
    let bar = options.bar((Case::ALL.len() * terms.slots) as u64, "slots");
    let mut runs: Vec<Run> = Vec::new();
    for case in Case::ALL {
        let delay = if case.is_delayed() { terms.delay } else { 0 };
        let mut play = Play::new(options, Fair::new(options.seed, terms.slots), delay, case)?;
        for _ in 0..terms.slots {
            play.slot()?;
            bar.inc(1);
        }
        play.finish()?;
        runs.push((case, Figures::close(play, story(options, terms)).with_context(|| case.name())?));
    }
    bar.finish_and_clear();
    let (shown, checked) = (exhibits::exhibits(&runs, options.slot_millis), exhibits::checks(&runs));
    let others = runs
        .iter()
        .take(runs.len() - 1)
        .map(|(case, figures)| all_of(*case, &figures.outcome.record))
        .collect::<Vec<_>>();
    let (_, last) = runs.pop().context("a run")?;
    let mut outcome = last.outcome;
    let record = &mut outcome.record;
    record.checks.splice(0..0, checked);
    record.checks.extend(others);
    record.exhibits = shown;
    // Nobody is liquidated here, and who gained is told before.
    record.solvency.clear();
    record.actors.clear();
    Ok(outcome)
}

fn story(options: &Options, terms: &Terms) -> Story {
    Story {
        title: format!("Sandwiches and stale quotes, with a taker delay of {} slots and without", terms.delay),
        inputs: vec!["a geometric random walk with jumps".into()],
        notes: vec![
            format!("{} slots a run; the figures after the comparison are those of the run `delay`", terms.slots),
            "attackers buy the head of the block and the places around a victim; what they pay for that is not counted"
                .into(),
            "makers follow the fair price a slot late; the sniper knows it at once".into(),
            "in `delay` makers show as much more as waiting orders want; in `blind delay` they do not look at the queue".into(),
        ],
        seed: options.seed,
        started_unix: START_MILLIS / 1_000,
    }
}

/// One line for all checks of another run.
fn all_of(case: Case, record: &RunRecord) -> Check {
    Check {
        id: "all".into(),
        description: format!("whatever of that can be checked in one run held in `{}` as well", case.name()),
        times: record.checks.iter().map(|check| check.times).sum(),
        passed: record.all_checks_passed(),
    }
}
