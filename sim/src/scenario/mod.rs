//! Whole runs: who is on the floor, what happens, and how it ends.

mod bets;
pub mod compromise;
pub mod crash;
mod drain;
mod driver;
pub mod market_day;
pub mod mev;
mod outcome;
pub mod replay;
mod survey;

pub use outcome::Outcome;

use indicatif::{ProgressBar, ProgressStyle};
use quantdesk_client::engine::{
    Ppm, QuoteAtoms,
    state::{fees::FeeSchedule, ledger::Policy},
};

/// A quarter of the ledger and at least a million may leave at once in an hour; the rest waits a day at most.
const POLICY: Policy = Policy {
    outflow_rate: Ppm::new(250_000),
    queue_seconds: 86_400,
    outflow_floor: QuoteAtoms::new(1_000_000_000_000),
    pool_fee_share: Ppm::new(100_000),
    unstake_seconds: 86_400,
    fees: FeeSchedule::NONE,
};

/// What every run is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Source of every random choice.
    pub seed: u64,
    /// Length of a slot.
    pub slot_millis: u64,
    /// Whether a terminal shows progress.
    pub progress: bool,
}

impl Options {
    /// A bar over `length` of `what`; invisible where nobody watches.
    fn bar(&self, length: u64, what: &str) -> ProgressBar {
        if !self.progress {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {msg}, {eta} left");
        let bar = ProgressBar::new(length).with_message(what.to_owned());
        if let Ok(style) = style { bar.with_style(style) } else { bar }
    }
}
