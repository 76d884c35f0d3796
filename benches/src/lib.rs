//! Compute-unit benchmarks of the compiled program, and what they mean for a block.
//!
//! Books, positions and balances are made by the program's own instructions on the virtual chain of `quantdesk-sim`. The
//! accounts then go to Mollusk, which executes the one instruction to be measured under mainnet's features. LiteSVM
//! executes it as well: both must agree on the compute units and on every byte, and all invariants must hold afterwards.
//!
//! * [`vm`] — one measured instruction.
//! * [`stage`] — the states that are measured on.
//! * [`cases`] — what is measured.
//! * [`samples`] — the same over random books: percentiles.
//! * [`capacity`] — the cost model: what a transaction takes out of a block, and how many fit.
//! * [`peers`] — published figures of other venues, and our targets.
//! * [`table`], [`report`] — the committed page.
//! * [`readme`] — the figures of it that README repeats.
//! * [`host`] — wall time on the host; printed, not committed.

pub mod capacity;
pub mod cases;
pub mod host;
pub mod peers;
pub mod readme;
pub mod report;
pub mod samples;
pub mod stage;
pub mod table;
pub mod vm;
