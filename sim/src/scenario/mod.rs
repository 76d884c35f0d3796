//! Whole runs: who is on the floor, what happens, and how it ends.

mod drain;
mod driver;
pub mod market_day;
mod outcome;
pub mod replay;
mod survey;

pub use outcome::Outcome;

use indicatif::{ProgressBar, ProgressStyle};

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
