//! Properties of the engine's parts over their whole range, checked against arbitrary-precision arithmetic and plain
//! restatements of the rules.

mod funding;
mod layout;
mod life;
mod listing;
mod margin;
mod math;
mod modes;
mod money;
mod outflow;
mod pool;
mod price;
mod role;
mod slab;
mod trading;

#[allow(dead_code, reason = "every test binary uses its part")]
#[path = "../support/mod.rs"]
mod support;

use proptest::test_runner::Config;

/// Proptest's settings: the given number of cases, and no files of failures next to the sources.
fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}
